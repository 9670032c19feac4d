"""What page and terminal open with is plain, true, and comes first."""

import dataclasses
import re

import numpy as np
import pandas as pd
import pytest

from kdfunc.analysis import summary
from kdfunc.config import ExperimentConfig
from kdfunc.runs import plan
from kdfunc.similarity.claims import CLAIMS

CONFIG = ExperimentConfig()
KEPT = pd.DataFrame(
    [
        ("independent-1", "independent", "Independent", 1.0),
        ("independent-optimizer-1", "control", "Control: independent", 2.5),
        ("independent-optimizer-2", "control", "Control: independent", 3.5),
        ("student-alpha0.1-seed2", "student", "Distilled, alpha 0.1", 2.0),
        ("student-alpha0.1-seed24", "student", "Distilled, alpha 0.1", 3.0),
        ("student-alpha0.9-seed2", "student", "Distilled, alpha 0.9", 3.2),
        ("float16", "quantized", "Quantized, 16-bit", 0.0001),
        ("dynamic-range", "quantized", "Quantized, 8-bit", 0.0008),
        ("pruned-10", "pruned", "Pruned by 10 %", 0.04),
        ("pruned-90", "pruned", "Pruned by 90 %", 11.4),
    ],
    columns=["model", "family", "name", "ratio"],
)
VERDICTS = pd.DataFrame(
    {
        "claim": [claim.text for claim in CLAIMS.values()],
        "outcome": ["supported", "undecided", "supported", "supported"]
        + ["contradicted", "undecided"],
        "sentence": "Alpha 0.1 keeps more. By -2.5 [-3.0, -2.0] points (p = 0.01).",
    }
)


def opening(kept=KEPT, learnt=True, verdicts=VERDICTS):
    return "\n".join(summary.opening(CONFIG, 0.98, learnt, kept, verdicts))


def test_the_opening_says_what_was_compared_what_came_out_and_how_sure():
    text = opening()
    compared, came_out, sure = text.split("\n")
    assert "yardstick" in compared and "preserv" in came_out
    assert sure.startswith("Verdicts: ")
    assert text.startswith("The base model is LeNet on digits; it classifies 98.0 %")
    assert "the yardstick is 1 independent model, the same network" in text
    for sentence in (
        "as in the paper preserve at least 99.9 % of the base model's function.",
        "Pruned models range from preserving 96.0 % of the base model's function "
        "(pruned by 10 %) to being 11 times as far from the base model as independent "
        "models are (pruned by 90 %).",
        "the students, are 2.5 to 3.2 times as far from the base model as independent",
        "with the students' optimizer are 3.0 times as far from the base model",
        "of 6 claims, 3 are supported, 1 contradicted and 2 undecided.",
    ):
        assert sentence in text


@pytest.mark.parametrize("ratios", [KEPT["ratio"], 0.5, 1.0, 40.0, 1.0001, 1e-9])
def test_no_number_of_the_opening_has_a_minus(ratios):
    text = opening(KEPT.assign(ratio=ratios))
    assert not re.search(r"[-\u2212]\d", text) and "nan" not in text
    assert text.count("preserve") + text.count("as far from the base") >= 3


def test_one_model_is_told_in_the_singular():
    text = opening(KEPT[KEPT["model"] != "independent-optimizer-2"])
    assert "1 independent model with the students' optimizer is 2.5 times" in text


def test_a_share_is_not_rounded_up():
    at_least = opening(KEPT.assign(ratio=0.00118))  # 99.88 %
    assert (
        "as in the paper preserve at least 99.8 % of the base model's function."
        in at_least
    )


def test_which_way_alpha_points_is_told():
    assert "the larger it is, the less students learn from their teacher" in opening()
    config = dataclasses.replace(CONFIG, alpha_convention="teacher")
    told = summary.opening(config, 0.98, True, KEPT, VERDICTS)[0]
    assert "the larger it is, the more students learn from it." in told


def test_no_model_is_called_one_time_as_far():
    text = opening(KEPT.assign(ratio=1.004))
    assert "are about as far from the base model as independent models are." in text
    assert "1.0 times" not in text


def test_a_base_model_that_learnt_nothing_has_no_function_to_preserve():
    assert "preserve" not in opening(learnt=False)
    assert "Verdicts" not in opening(None, verdicts=None)


def doubts(config=CONFIG, without=(), yardstick=None, warning=""):
    """Of a run that holds all of an experiment but for some families."""
    models = [task for task in plan.make(config) if task.family not in without]
    return summary.doubts(config, models, warning, yardstick)


def test_what_a_run_cannot_tell():
    yardstick = pd.DataFrame({"zero": ["independent"], "high": [5.0]})
    assert doubts(yardstick=yardstick) == []
    uncertain = yardstick.assign(high=23.4)
    (told,) = doubts(yardstick=uncertain)
    assert told.startswith("The 5 independent models differ so much")
    assert told.endswith("the zero of the scale is known only to within 23.4 points.")
    two = dataclasses.replace(CONFIG, independents=2)
    (told,) = doubts(two, yardstick=uncertain)
    assert "the zero of the scale is known only to within 23.4 points; 5 are" in told
    poor = dataclasses.replace(
        CONFIG, independents=2, epochs=2, distillation_seeds=(2,), controls=()
    )
    warning, few, once, short, controls = doubts(poor, warning="It learnt nothing.")
    assert warning == "It learnt nothing."
    assert "only 2 independent models" in few and "trained only once" in once
    assert "2 epochs instead of the paper's 25" in short and "no teacher" in controls
    (none, *_) = doubts(dataclasses.replace(poor, independents=0))
    assert "no yardstick" in none and none.endswith("with --independents=5.")


def test_a_bad_last_epoch_is_told_of():
    models, epochs = plan.make(CONFIG), {"model": "base", "epoch": range(4)}
    for last, told in ((0.28, False), (0.26, True)):
        metrics = pd.DataFrame({**epochs, "accuracy": [0.01, 0.2, 0.34, last]})
        found = summary.doubts(CONFIG, models, "", None, metrics)
        assert len(found) == told
    assert (
        "right on 26.0 % of the test images, but was right on 34.0 % after epoch 2"
        in (found[0])
    )


def test_what_counts_is_what_was_trained_and_not_what_was_asked_for():
    (none,) = doubts(without=["independent"])
    assert "no yardstick" in none and none.endswith("with --stages=train,analyse.")
    (controls,) = doubts(without=["control"])
    assert controls.startswith("There are no models with the base model's initial")
    others = dataclasses.replace(CONFIG, controls=("other-teacher", "no-knowledge"))
    assert doubts(others)[0] == controls.replace(
        "--stages=control,analyse", "--controls=same-start"
    )
    poor = dataclasses.replace(CONFIG, distillation_seeds=(2,), controls=())
    (students,) = doubts(poor, without=["student"])
    assert students.startswith("No students were trained")
    assert doubts(dataclasses.replace(poor, alphas=()), without=["student"]) == []


def test_the_terminal_shows_the_quotable_sentence_without_the_statistics():
    text = summary.terminal(["It is so.", "So much."], ["Little."], VERDICTS, {})
    assert text.startswith(
        "It is so.\n\nSo much.\n\nWhat this run cannot tell:\n- Little.\n"
    )
    assert text.count("Alpha 0.1 keeps more.") == 6
    assert "p = 0.01" not in text and "-2.5" not in text
    assert max(map(len, text.splitlines())) <= 79


def test_whether_batch_normalization_broke_is_told_with_the_claim_on_pruning():
    pruned = pd.DataFrame(
        [(0.1, "all arrays", "pruned-10", -82.0, 10944, 4221)],
        columns=["level", "scope", "model", "deviation", "moving_variances", "zero"],
    )
    (told,) = (notes := summary.notes(pruned)).items()
    assert "L1 pruning" in told[0] and "4,221 of 10,944 moving variances" in told[1]
    text = " ".join(summary.terminal([], [], VERDICTS, notes).split())
    after = text.partition(told[0])[2]
    assert after.startswith(f" Alpha 0.1 keeps more. {told[1]}")
    assert summary.notes(None) == {}


def test_a_sentence_is_split_behind_its_first_full_stop():
    plain, numbers = summary.first_sentence(
        "At alpha 0.1 it holds. By 2.0 points (p = 0.1)."
    )
    assert (plain, numbers) == ("At alpha 0.1 it holds.", "By 2.0 points (p = 0.1).")
    assert summary.first_sentence("It is open.") == ("It is open.", "")


def test_every_verdict_begins_with_a_plain_sentence(rng):
    from kdfunc.similarity.claims import verdicts
    from kdfunc.similarity.groups import Evidence

    labels = rng.integers(4, size=80)

    def made(noise):
        raw = np.eye(4)[labels] + noise * rng.random((80, 4))
        return raw / raw.sum(axis=1, keepdims=True)

    evidence = Evidence(
        base=made(0.5),
        labels=labels,
        leans_on_teacher=True,
        soft_targets="logits",
        independents=[made(0.6), made(0.6)],
        controls={"same-start": {s: made(0.5) for s in (1, 2)}},
        students={a: {s: made(0.5) for s in (1, 2)} for a in (0.1, 0.9)},
        quantized={"float16": made(0.5)},
        pruned={0.1: made(0.5), 0.9: made(0.9)},
        same_optimizer=True,
        shared_order=False,
    )
    for verdict in verdicts(evidence):
        plain, _ = summary.first_sentence(verdict.sentence)
        assert plain[0].isupper() and plain.endswith(".")
        assert not re.search(r"p [=<]|\[|-\d", plain)


def test_a_scale_whose_zero_is_an_untrained_network_is_told_of():
    """ResNet-50 on CIFAR-100 ends where independent models share almost nothing."""
    models = plan.make(CONFIG)
    yardstick = pd.DataFrame({"zero": ["independent"], "distance": [0.73], "high": 5.0})
    for start, told in ((0.76, True), (0.9, False)):
        trajectories = pd.DataFrame(
            {"model": "base", "epoch": [0, 1], "jensen_shannon": [start, 0.0]}
        )
        found = summary.doubts(CONFIG, models, "", yardstick, None, trajectories)
        assert len(found) == told
    trajectories["jensen_shannon"] = [0.76, 0.0]
    (found,) = summary.doubts(CONFIG, models, "", yardstick, None, trajectories)
    assert "than an untrained network is (which is 1.04 times as far)" in found
