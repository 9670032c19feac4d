import pytest

from kdfunc.config import ExperimentConfig
from kdfunc.datasets import Description
from kdfunc.runs import forecast, plan
from kdfunc.runs.forecast import Speed
from kdfunc.runs.task import Task

ABOUT = Description((28, 28, 1), tuple("0123456789"), 898, 899)


def tasks(needs):
    return [Task(name, "train", needs=tuple(needs[name])) for name in needs]


@pytest.mark.parametrize(
    ("needs", "seconds", "workers", "expected"),
    [
        ({"a": ""}, {"a": 3}, 1, 3),
        ({"a": "", "b": "", "c": ""}, {"a": 3, "b": 2, "c": 2}, 1, 7),
        ({"a": "", "b": "", "c": ""}, {"a": 3, "b": 2, "c": 2}, 2, 4),
        ({"a": "", "b": "a", "c": "a"}, {"a": 3, "b": 2, "c": 2}, 2, 5),
        # One worker waits for a, the other goes on with what needs nothing.
        ({"a": "", "b": "a", "c": ""}, {"a": 3, "b": 2, "c": 4}, 2, 5),
        ({"a": "", "b": "a", "c": "b"}, {"a": 3, "b": 2, "c": 2}, 9, 7),
        ({"b": ["done before"]}, {"b": 2}, 1, 2),
        ({}, {}, 2, 0),
    ],
)
def test_makespan_is_that_of_workers_who_take_what_can_be_begun(
    needs, seconds, workers, expected
):
    assert forecast.makespan(tasks(needs), seconds, workers) == expected


def test_a_task_takes_its_start_and_what_is_left_of_its_epochs():
    speeds = {"": Speed(2, 10, 0), "mobilenet": Speed(5, 100, 0)}
    config = ExperimentConfig(variants=("student=mobilenet",), epochs=3)
    found = forecast.seconds(plan.make(config), speeds)
    assert found["base"] == 2 + 3 * 10
    assert found["student=mobilenet-seed2"] == 5 + 3 * 100
    assert found["dynamic-range"] == pytest.approx(2 + 0.2 * 10)


def test_disk_is_what_records_hold():
    config = ExperimentConfig(
        epochs=3, quantization=("dynamic-range",), pruning_levels=()
    )
    some = plan.select(plan.make(config), ["quantize"])
    snapshot = 899 * 10 * 4
    data = 899 * (28 * 28 + 8)
    base = 4 * snapshot + 2 * 1000
    small = snapshot + 1000
    assert [task.name for task in some] == ["data", "base", "dynamic-range"]
    speeds = {"": Speed(0, 0, 1000)}
    assert forecast.disk(some, speeds, config, ABOUT) == data + base + small


def test_the_mean_of_speeds():
    assert Speed.mean([Speed(1, 2, 8), Speed(3, 6, 8)]) == Speed(2, 4, 8)
