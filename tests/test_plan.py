import pytest

from kdfunc import plan
from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError


def test_the_papers_models_are_all_there():
    tasks = plan.make(ExperimentConfig())
    families = [task.family for task in tasks if task.family]
    counts = {family: families.count(family) for family in families}
    assert counts == {
        "base": 1,
        "independent": 2,
        "student": 9,
        "control": 14,
        "quantized": 2,
        "pruned": 5,
    }


def test_names_are_unique_and_needs_come_first():
    tasks = plan.make(ExperimentConfig(alphas=(0, 0.25, 1), pruning_levels=(0.125,)))
    seen = set()
    for task in tasks:
        assert task.name not in seen
        assert set(task.needs) <= seen
        seen.add(task.name)


def test_students_and_controls_of_one_seed_share_their_data_order():
    orders = {}
    for task in plan.make(ExperimentConfig()):
        if task.kind == "train":
            orders.setdefault(task.settings["order"], []).append(task.name)
    assert orders.pop("seed2")[:3] == [
        f"student-alpha{a}-seed2" for a in (0.1, 0.5, 0.9)
    ]
    assert len(orders.pop("seed24")) == len(orders.pop("seed42")) == 7
    assert all(len(names) == 1 for names in orders.values())


def controls(**settings):
    tasks = plan.make(ExperimentConfig(**settings))
    return {task.name: task.settings for task in tasks if task.family == "control"}


def test_controls_differ_from_students_in_one_thing_each():
    student = plan.make(ExperimentConfig())[5]
    assert student.name == "student-alpha0.1-seed2"
    found = controls()
    assert len(found) == 14
    base_optimizer = found["same-start-base-optimizer-seed2"]
    assert (found["same-start-seed2"]["optimizer"], base_optimizer["optimizer"]) == (
        "adamax",
        "adam",
    )
    assert "teacher" not in found["same-start-seed2"]
    expected = {"no-knowledge": {"teacher": "random"}}
    expected["other-targets"] = {"soft_targets": "logits"}
    for control, change in expected.items():
        settings = dict(found[f"{control}-seed2"])
        assert settings.pop("control") == control
        assert settings == {**student.settings, **change}
    assert "same_start" not in found["independent-optimizer-1"]


def test_a_control_that_would_be_another_model_is_left_out():
    found = controls(preset="standard")
    assert {settings["control"] for settings in found.values()} == {
        "same-start",
        "no-knowledge",
        "other-targets",
    }
    assert found["other-targets-seed2"]["soft_targets"] == "probabilities"
    assert found["other-targets-seed2"]["alpha"] == 0.9  # leans most on the teacher


def test_no_controls_on_request():
    assert controls(controls=()) == {}


def test_a_stage_brings_what_it_needs():
    chosen = plan.select(plan.make(ExperimentConfig(alphas=(0.5,))), ["prune"])
    assert [task.name for task in chosen] == [
        "data",
        "base",
        *(f"pruned-{level}" for level in (10, 30, 50, 70, 90)),
    ]


def test_unknown_stage_is_refused():
    with pytest.raises(InputError, match="--stages: got 'tain'; allowed: train, "):
        plan.check_stages(["tain"])
