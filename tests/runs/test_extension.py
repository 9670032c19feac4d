import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdfunc.config import ExperimentConfig
from kdfunc.runs import plan
from kdfunc.runs.extension import conflicts, joined


def test_conflicts_name_the_fields():
    one, other = ExperimentConfig(epochs=1), ExperimentConfig(epochs=2)
    assert conflicts(one, other) == {"epochs": (1, 2)}


def test_more_or_less_of_what_stands_side_by_side_is_no_conflict():
    few = ExperimentConfig(controls=("same-start",), pruning_levels=(0.9,))
    many = ExperimentConfig(controls=("no-knowledge", "same-start"))
    assert conflicts(few, many) == conflicts(many, few) == {}
    assert joined(few, many) == joined(many, few) == many


@pytest.mark.parametrize(
    ("there", "more", "allowed"),
    [
        ({"controls": ("independent-optimizer", "same-start")}, (0.1, 0.9), True),
        ({"controls": ("no-knowledge",)}, (0.1, 0.9), False),
        ({"controls": (), "variants": ("temperature=10",)}, (0.1, 0.9), False),
        ({"controls": ("no-knowledge",)}, (0.7, 0.9), True),  # 0.5 leans most on it
        ({"alpha_convention": "teacher"}, (0.7, 0.9), False),
        ({"alpha_convention": "teacher"}, (0.1,), True),
    ],
)
def test_more_alphas_are_no_conflict_if_what_follows_from_them_stays(
    there, more, allowed
):
    made = ExperimentConfig(alphas=(0.5,), **there)
    before = plan.make(made)
    for alphas in (more, (*more, 0.5)):
        wanted = dataclasses.replace(made, alphas=alphas)
        assert (conflicts(made, wanted) == {}) is allowed
        after = plan.make(joined(made, wanted))
        assert all(task in after for task in before) is allowed
        assert {*joined(made, wanted).alphas} == {*more, 0.5}


def test_a_run_without_alphas_takes_any():
    made = ExperimentConfig(alphas=())
    wanted = ExperimentConfig(alphas=(0.1, 0.9))
    assert conflicts(made, wanted) == conflicts(wanted, made) == {}
    assert joined(made, wanted) == joined(wanted, made) == wanted


@pytest.mark.parametrize(
    ("there", "allowed"),
    [
        ({"controls": ()}, True),
        ({"controls": ("independent-optimizer", "same-start")}, True),
        ({"controls": (), "base_models": 2}, True),
        ({"controls": (), "base_models": 3}, False),  # base-3 is another model then
        ({"controls": ("other-teacher",)}, False),  # whose students alternate
        ({"controls": ("other-teacher",), "distillation_seeds": (2,)}, True),
        ({"controls": (), "variants": ("teacher=ensemble",)}, False),
    ],
)
def test_more_independent_models_are_no_conflict_if_all_other_models_stay(
    there, allowed
):
    made = ExperimentConfig(independents=1, **there)
    wanted = dataclasses.replace(made, independents=3)
    expected = {} if allowed else {"independents": (1, 3)}
    assert conflicts(made, wanted) == expected
    assert conflicts(wanted, made) == {}
    assert joined(made, wanted) == joined(wanted, made) == wanted


def test_less_of_what_controls_follow_from_is_no_conflict_and_more_is():
    few = ExperimentConfig(alphas=(0.5,), independents=1, base_models=5)
    many = ExperimentConfig(alphas=(0.1, 0.5), independents=5, base_models=2)
    assert conflicts(many, few) == {}
    assert joined(many, few) == dataclasses.replace(many, base_models=5)
    assert conflicts(few, many) == {
        "alphas": ([0.5], [0.1, 0.5]),
        "independents": (1, 5),
    }


def test_configs_are_joined_in_the_order_in_which_they_were_asked_for():
    first = ExperimentConfig(distillation_seeds=(24, 2), pruning_levels=(0.5,))
    second = ExperimentConfig(distillation_seeds=(1, 2), pruning_levels=(0.9, 0.5))
    both = joined(first, second)
    assert both.distillation_seeds == (24, 2, 1)
    assert both.pruning_levels == (0.9, 0.5)  # as if all had been asked for at once


@given(st.permutations(range(4)), st.integers(0, 4))
def test_whatever_seeds_are_asked_for_finished_models_stay_in_the_plan(seeds, first):
    made = ExperimentConfig(distillation_seeds=tuple(seeds[first:] or seeds))
    wanted = ExperimentConfig(distillation_seeds=tuple(range(4)))
    before = {task.name for task in plan.make(made)}
    assert before <= {task.name for task in plan.make(joined(made, wanted))}
