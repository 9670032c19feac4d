import gc

import one_worker
import pytest


@pytest.mark.usefixtures("tensorflow")
def test_no_graph_of_a_training_outlives_it(tmp_path):
    """A worker of a long run does thousands of tasks."""
    from tensorflow.python.framework.func_graph import FuncGraph

    left = []
    for number in (1, 2):
        one_worker.trainings(number, tmp_path / str(number))
        gc.collect()
        left.append(sum(isinstance(each, FuncGraph) for each in gc.get_objects()))
    assert left[0] == left[1]
