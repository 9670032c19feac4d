import sys
import threading

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.runs import experiment, tensorboard

TINY = ExperimentConfig(
    architecture="kdfunc_test_network:build",
    epochs=2,
    independents=0,
    alphas=(0.5,),
    distillation_seeds=(2,),
    quantization=(),
    pruning_levels=(),
    controls=(),
)
NETWORK = """
import tf_keras as keras

def build(shape, classes):
    return keras.Sequential([
        keras.layers.Input(shape),
        keras.layers.Flatten(),
        keras.layers.Dense(classes, activation="softmax"),
    ])
"""


def test_curves_that_nobody_needs_leave_no_thread_behind(tmp_path):
    before = threading.active_count()
    written = tensorboard.Curves(tmp_path)
    written.add({"epoch": 0, "accuracy": 0.5})
    assert threading.active_count() == before + 1
    del written
    assert threading.active_count() == before
    assert curves(tmp_path) == {"test/accuracy": [(0, 0.5)]}


def curves(folder):
    events = EventAccumulator(str(folder)).Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


def test_curves_are_the_metrics_live_and_for_what_was_trained_before(
    tmp_path, monkeypatch
):
    (tmp_path / "kdfunc_test_network.py").write_text(NETWORK, "utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = {"workers": 0, "log_tensorboard": True}
    experiment.run(TINY, tmp_path, stages=["train"], workers=0)
    run = experiment.run(TINY, tmp_path, stages=["train", "distill"], **settings)
    for task in ("base", "student-alpha0.5-seed2"):
        found = curves(run.path / tensorboard.FOLDER / task)
        metrics = run.record(task).metrics
        assert dict(found["test/accuracy"]) == pytest.approx(dict(metrics["accuracy"]))
        assert [step for step, _ in found["train/loss"]] == [1, 2]
        assert dict(found["train/loss"])[2] == pytest.approx(metrics["train_loss"][2])


def test_without_the_package_it_is_said_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(InputError, match="pip install tensorboard"):
        experiment.run(TINY, tmp_path, log_tensorboard=True)
    assert not list(tmp_path.iterdir())
