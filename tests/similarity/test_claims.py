import itertools
import re
from dataclasses import replace

import numpy as np
import pytest

from kdfunc.errors import InputError
from kdfunc.similarity import bootstrap_measures, function_preserved, measure
from kdfunc.similarity.claims import CLAIMS, MARGIN, verdicts
from kdfunc.similarity.claims.transfer import _more, transfer
from kdfunc.similarity.effects import more_or_less, some
from kdfunc.similarity.groups import Evidence
from kdfunc.similarity.intervals import TEstimate
from kdfunc.similarity.ladder import ladder, yardstick
from kdfunc.similarity.scale import score

N, CLASSES, RESAMPLES = 2000, 5, 400
LABELS = np.random.default_rng(0).integers(CLASSES, size=N)


def trained(seed):
    """Softmax of a model that knows the classes, and beside that its own noise."""
    noise = np.random.default_rng([1, seed]).normal(size=(N, CLASSES))
    logits = np.exp(3 * np.eye(CLASSES)[LABELS] + 2 * noise)
    return logits / logits.sum(axis=1, keepdims=True)


BASE = trained(0)
SEEDS = itertools.count(1)


@pytest.fixture(autouse=True)
def own_seeds(monkeypatch):
    """Every test draws the same models, whichever ran before it."""
    monkeypatch.setitem(globals(), "SEEDS", itertools.count(1000))


def blend(share):
    """A model that answers a share of the examples as the base, the rest as nobody.

    Preserves `100 * share` percent of the function: on the rest it is independent.
    """
    seed = next(SEEDS)
    as_base = np.random.default_rng([2, seed]).permutation(N) < round(share * N)
    return np.where(as_base[:, None], BASE, trained(seed))


def blends(share, seeds=3):
    return [blend(share) for _ in range(seeds)]


def wrong(share):
    """The base model with a share of its examples answered wrongly and for sure."""
    model = BASE.copy()
    rows = np.arange(round(share * N))
    model[rows] = np.eye(CLASSES)[(LABELS[rows] + 1) % CLASSES]
    return model


INDEPENDENTS = blends(0)
QUANTIZED = {"float16": blend(0.999), "dynamic-range": blend(0.96)}
PRUNED = {
    level: blend(share)
    for level, share in [(0.1, 0.99), (0.3, 0.95), (0.5, 0.8), (0.7, 0.5), (0.9, 0.1)]
}


def evidence(**changes):
    fields = {
        "base": BASE,
        "labels": LABELS,
        "leans_on_teacher": True,
        "soft_targets": "logits",
        "independents": INDEPENDENTS,
        "controls": {"same-start": blends(0)},
        "students": {0.1: blends(0), 0.9: blends(0)},
        "quantized": QUANTIZED,
        "pruned": PRUNED,
        "resamples": RESAMPLES,
    }
    fields |= changes
    for name in ("controls", "students"):
        fields[name] = {
            key: dict(enumerate(models)) for key, models in fields[name].items()
        }
    return Evidence(**fields)


def judge(claim, **changes):
    return verdicts(evidence(**changes))[claim]


def softened(power=0.05):
    """A model of the base model's answers, and less sure of them."""
    model = BASE**power
    return model / model.sum(axis=1, keepdims=True)


def opposed(share):
    """An independent model that is sure of wrong answers to a share of the examples."""
    seed = next(SEEDS)
    rows = np.random.default_rng([3, seed]).permutation(N) < share * N
    return np.where(
        rows[:, None], np.eye(CLASSES)[(LABELS + 1) % CLASSES], trained(seed)
    )


# Claim 1: alpha


@pytest.mark.parametrize(
    ("shares", "outcome"),
    [
        ((0.3, 0.3, 0.3), "supported"),
        ((0.1, 0.3, 0.5), "contradicted"),
        ((0.1, 0.5, 0.1), "contradicted"),  # no trend, but an effect
        ((0.3, 0.3, 0.4), "undecided"),  # on the margin
    ],
)
def test_alpha(shares, outcome):
    students = {
        alpha: blends(s, seeds=5)
        for alpha, s in zip((0.1, 0.5, 0.9), shares, strict=True)
    }
    verdict = judge(0, students=students)
    assert verdict.outcome == outcome
    assert verdict.low < verdict.effect < verdict.high
    assert abs(verdict.effect) == pytest.approx(100 * np.ptp(shares), abs=4)
    assert (verdict.details["p_within"] < 0.05).all() == (outcome == "supported")
    picked = verdict.details.loc[verdict.details["points"].abs().idxmax()]
    assert verdict.effect == picked["points"]  # the largest of three: wider for that
    assert verdict.low < picked["low"] < picked["high"] < verdict.high
    assert verdict.rests_on == "5 pairs of models matched by seed, 3 independent models"


def test_alpha_rises_with_the_reliance_on_the_teacher():
    students = {0.1: blends(0.6), 0.5: blends(0.4), 0.9: blends(0.2)}
    labels = judge(0, students=students, leans_on_teacher=False)
    assert labels.against == ("alpha 0.9", "alpha 0.5", "alpha 0.1")
    assert labels.effect == pytest.approx(40, abs=4)
    assert labels.sentence.startswith(
        "Alpha does matter: students of alpha 0.1, which lean more on the teacher than "
        "those of alpha 0.9, keep more of its function. Students of alpha 0.1 preserve "
    )
    assert "Somers' d +1.00, p = 0.0093: significant." in labels.sentence
    teacher = judge(0, students=students, leans_on_teacher=True)
    assert teacher.effect == pytest.approx(-40, abs=4)
    assert "keep less of its function" in teacher.sentence
    assert "points less than those of alpha 0.1" in teacher.sentence
    assert "Somers' d -1.00" in teacher.sentence


def test_the_alphas_that_are_told_are_a_pair_that_decides():
    varied = [BASE, BASE, *blends(0, seeds=3)]
    students = {0.1: blends(0.1, seeds=5), 0.5: blends(0.4, seeds=5), 0.9: varied}
    verdict = judge(0, students=students)
    assert verdict.outcome == "contradicted"
    assert (
        "students of alpha 0.5, which lean more on the teacher than those of alpha "
        in (verdict.sentence)
    )
    assert (
        "the largest of 3 differences that lies beyond the margin by its own interval"
        in (verdict.sentence)
    )
    assert verdict.low > 10


# Claim 2: students and independent models


def test_a_student_that_is_the_teacher():
    students = {alpha: [BASE] * 3 for alpha in (0.1, 0.9)}
    verdict = judge(1, students=students)
    assert verdict.outcome == "contradicted"
    assert verdict.sentence.startswith(
        "Students end up closer to their teacher than independently trained models do."
    )
    assert [verdict.effect, verdict.low, verdict.high] == pytest.approx([100] * 3)
    details = verdict.details.set_index("control")
    assert details.loc["same-start", "points"] == pytest.approx(100, abs=4)
    assert (details["p_beyond"] < 0.001).all() and (details["cliffs_delta"] == 1).all()
    assert (details["by_disagreement"] > 90).all()
    powerless = "cannot reach significance with 3 against 3 (smallest p 0.2)"
    assert (details["significance"] == powerless).all()
    assert (
        "Against same-start: Cliff's delta +1.00, p = 0.1 (0.2 after Holm's correction "
        f"over all controls): {powerless}."
    ) in verdict.sentence
    assert judge(0, students=students).outcome == "supported"


def test_a_student_that_is_as_far_as_independent_models():
    verdict = judge(1)
    assert verdict.outcome == "supported"
    assert verdict.effect == pytest.approx(0, abs=4)
    assert verdict.sentence.startswith(
        "Students end up as far from their teacher as independently trained models do."
    )
    assert "closeness" not in verdict.sentence
    assert verdict.against == ("independent", "same-start")


def test_a_student_that_is_farther_is_not_as_dissimilar():
    """That they are no closer was all that was tested."""
    far = [np.eye(CLASSES)[(LABELS + k) % CLASSES] for k in (1, 2, 3)]
    verdict = judge(1, students={0.9: far})
    assert verdict.outcome == "contradicted" and verdict.effect < -20
    assert verdict.sentence.startswith("Students end up farther from their teacher")
    assert "points less than" in verdict.sentence


def test_a_student_that_is_a_known_mixture():
    verdict = judge(
        1, students={0.9: blends(0.4)}, controls={"same-start": blends(0.2)}
    )
    assert verdict.outcome == "contradicted"
    assert verdict.effect == pytest.approx(40, abs=4)
    assert verdict.low < 40 < verdict.high
    points = verdict.details.set_index("control").loc["same-start"]
    assert points["low"] < 20 < points["high"] and points["p_beyond"] < 0.05
    assert "the teacher contributes to the closeness." in verdict.sentence


def test_closeness_that_is_not_the_teachers():
    verdict = judge(
        1, students={0.9: blends(0.25)}, controls={"same-start": blends(0.25)}
    )
    assert verdict.outcome == "contradicted"
    told = "the teacher adds less than 10 points. Against same-start: "
    assert told in verdict.sentence


def test_closeness_that_may_be_the_teachers():
    verdict = judge(
        1, students={0.9: blends(0.35)}, controls={"same-start": blends(0.25)}
    )
    assert verdict.outcome == "contradicted"
    assert "it remains open whether the teacher contributes." in verdict.sentence


def test_a_student_on_the_margin():
    verdict = judge(1, students={0.9: blends(MARGIN / 100)})
    assert verdict.outcome == "undecided"
    assert verdict.sentence.startswith("It remains open whether students end up closer")


def test_the_fair_zero_has_the_students_optimizer():
    """What a far student shows may be the optimizer."""
    far = {"independent-optimizer": [opposed(0.2) for _ in range(3)]}
    students = {0.9: [opposed(0.2) for _ in range(3)]}
    verdict = judge(1, students=students, controls=far, same_optimizer=False)
    assert verdict.outcome == "supported"
    assert verdict.effect == pytest.approx(0, abs=5)
    paper = verdict.details.set_index("control").loc["independent"]
    assert paper["points"] < -10
    assert (
        "Compared with the paper's independent models, which have another optimizer, "
        "a student is 1."
    ) in verdict.sentence
    lacking = judge(1, students=students, same_optimizer=False)
    assert lacking.sentence == "The run lacks: control independent-optimizer."


def test_the_students_that_lean_most_on_the_teacher_are_judged():
    students = {0.1: blends(0.5), 0.9: blends(0)}
    assert judge(1, students=students).outcome == "supported"
    verdict = judge(1, students=students, leans_on_teacher=False)
    assert verdict.outcome == "contradicted" and "alpha 0.1" in verdict.sentence


def test_students_that_share_a_seed_with_their_control_are_paired():
    # Each seed has a part of its own, up to 20 points, and the teacher adds 20.
    bases = (0.2, 0.3, 0.4)
    students = {0.9: [blend(share + 0.2) for share in bases]}
    controls = {"same-start": [blend(share) for share in bases]}
    points = judge(1, students=students, controls=controls).details
    paired = points.set_index("control").loc["same-start"]
    shuffled = {"same-start": dict(zip("abc", controls["same-start"], strict=True))}
    made = evidence(students=students, controls=controls)
    apart = replace(made, controls=shuffled).gain("alpha 0.9", "same-start")
    assert apart.value == pytest.approx(paired["points"])
    assert apart.high - apart.low > 1.5 * (paired["high"] - paired["low"])


def test_students_are_held_against_their_control_on_common_seeds():
    models = {"near": blend(0.5), "far": blend(0.1)}
    made = replace(
        evidence(), students={0.9: models}, controls={"same-start": dict(models)}
    )
    del made.controls["same-start"]["far"]
    gain = made.gain("alpha 0.9", "same-start")
    assert gain.value == gain.low == gain.high == 0  # the same model
    assert made.preserved("alpha 0.9").value == pytest.approx(30, abs=4)
    back = made.gain("same-start", "alpha 0.9")
    assert back.value == 0
    made.controls["same-start"].clear()
    made.controls["same-start"]["other"] = models["near"]
    fresh = replace(made)
    assert fresh.gain("alpha 0.9", "same-start").value == pytest.approx(-20, abs=4)


def test_one_seed_in_common_is_no_reason_to_leave_the_other_trainings_out():
    students = {0.9: {seed: blend(0.5) for seed in (2, 24, 42)}}
    controls = {"same-start": {seed: blend(0.1) for seed in (42, 43, 44)}}
    made = replace(evidence(), students=students, controls=controls)
    gain = made.gain("alpha 0.9", "same-start")
    assert gain.rests_on.startswith("3 models against 3,")
    assert (len(gain.members), len(gain.others)) == (3, 3)


def test_a_data_order_that_only_independents_share_is_told():
    told = "independent models see the data in the base model's order"
    assert told in judge(1, shared_order=True).sentence
    assert told not in judge(1).sentence


def test_what_was_trained_once_is_named():
    once = "chance in training is not covered: same-start."
    beside = judge(1, controls={"same-start": blends(0, seeds=1)})
    assert once in beside.sentence and beside.outcome == "supported"
    assert "Trained once" not in judge(1).sentence


@pytest.mark.parametrize(("seeds", "known"), [(1, False), (3, True)])
def test_one_training_does_not_show_whether_the_teacher_contributes(seeds, known):
    alone = {"same-start": blends(0, seeds=seeds)}
    found = judge(1, students={0.9: blends(0.8)}, controls=alone)
    assert ("the teacher contributes" in found.sentence) is known


@pytest.mark.parametrize(
    ("single", "decided"),
    [
        ({}, [0, 1, 2, 3, 4, 5]),
        ({"independents": INDEPENDENTS[:1]}, []),
        ({"students": {0.1: [softened()], 0.9: [softened()]}}, [3]),
    ],
)
def test_nothing_is_decided_by_single_trainings(single, decided):
    """One student per alpha had made "alpha makes no difference" sure, p = 0.004."""
    seeds = {
        "students": {0.1: [softened()] * 3, 0.9: [softened()] * 3},
        "controls": {"other-teacher": [wrong(0.5)] * 3},
    }
    found = verdicts(evidence(**(seeds | single)))
    for claim, verdict in enumerate(found):
        once = "Trained once: " in verdict.sentence
        if claim in decided:
            assert not once and verdict.p < 1
        else:
            assert once and verdict.outcome == "undecided" and verdict.p == 1
            assert (
                "so the claim stays undecided; train more of them." in verdict.sentence
            )
            assert np.isnan(verdict.estimate)  # nor averaged with other runs


# Claim 3: quantization


def test_quantization_that_is_best():
    verdict = judge(2)
    assert verdict.outcome == "supported"
    # float16 stands against half of the weights pruned, dynamic-range against 90 %.
    assert verdict.effect == pytest.approx(20, abs=4)
    assert "The closest rival: float16 preserves " in verdict.sentence
    assert "points more than pruning by 50 % (margin: 10 points)" in verdict.sentence
    rivals = verdict.details[verdict.details["rival"]]
    assert set(rivals[rivals["quantized"] == "dynamic-range"]["other"]) == {
        "alpha 0.1",
        "alpha 0.9",
        "pruning by 90 %",
    }
    lighter = "Lighter pruning: dynamic-range preserves "
    _, found, told = verdict.sentence.partition(lighter)
    assert found and "points less than pruning by 10 %" in told


@pytest.mark.parametrize(
    "better",
    [{"pruned": {0.9: blend(0.995)}}, {"students": {0.5: blends(0.995)}}],
)
def test_quantization_that_is_not_best(better):
    verdict = judge(2, **better)
    assert verdict.outcome == "contradicted" and verdict.high < 0
    assert verdict.sentence.startswith("Quantization is not the best method here: ")


@pytest.mark.parametrize("rival", [0.98, 0.979])
def test_a_tenth_of_a_point_does_not_make_quantization_the_best(rival):
    """0.1 point more had been "supported"."""
    verdict = judge(
        2, quantized={"dynamic-range": blend(0.98)}, pruned={0.9: blend(rival)}
    )
    assert verdict.outcome == "undecided" and abs(verdict.effect) < 2
    assert verdict.sentence.startswith(
        "Quantization is not shown to be the best here: dynamic-range and its closest "
        "rival, pruning by 90 %, are within 10 points of each other. "
    )


@pytest.mark.parametrize(
    ("rival", "told"),
    [
        (0.93, ", but fewer than 10 points more than pruning by 90 %."),
        (0.88, "; whether by more than 10 points remains open."),
    ],
)
def test_quantization_that_is_best_by_little_is_not_contradicted(rival, told):
    """A lead of 7 points, far from chance, had been "contradicted"."""
    verdict = judge(
        2, quantized={"dynamic-range": blend(0.98)}, pruned={0.9: blend(rival)}
    )
    assert verdict.outcome == "undecided" and verdict.low > 0
    assert verdict.sentence.startswith(f"Quantization preserves the most here{told}")


def test_a_lead_over_the_closest_rival_alone_is_no_lead():
    """Students that differ as much as these may preserve more than anything."""
    verdict = judge(
        2,
        quantized={"dynamic-range": blend(0.98)},
        students={0.5: [blend(0.0), blend(0.97)]},
        pruned={0.9: blend(0.90)},
    )
    assert verdict.outcome == "undecided" and verdict.low > 0
    assert verdict.sentence.startswith("It remains open whether quantization")


def test_the_rival_that_preserves_more_is_named():
    verdict = judge(
        2,
        quantized={"dynamic-range": blend(0.9)},
        students={0.5: [blend(0.9), blend(0.9995), blend(0.99)]},
        pruned={0.9: blend(0.97)},
    )
    assert verdict.outcome == "contradicted" and verdict.high < 0
    assert verdict.sentence.startswith(
        "Quantization is not the best method here: pruning by 90 % preserves more"
    )


def test_quantization_is_not_judged_where_a_mode_has_no_pruned_rival():
    """8 bits save 75 %, and nothing is pruned by as much."""
    verdict = judge(2, pruned={0.5: blend(0.8)})
    assert verdict.outcome == "undecided" and np.isnan(verdict.effect)
    assert "models pruned by as much as quantization saves" in verdict.sentence


def test_an_unknown_mode_is_held_against_all_pruning():
    verdict = judge(2, quantized={"ternary": blend(0.9)})
    assert verdict.details["rival"].all() and verdict.outcome == "contradicted"


def test_what_a_format_saves_stands_in_the_catalog():
    details = judge(2, quantized={"int4": blend(0.9)}).details
    pruned = details[~details["other"].str.startswith("alpha")]
    saved = pruned.set_index("other")["rival"]
    assert list(saved[saved].index) == ["pruning by 90 %"]  # int4 saves 87.5 %


# Claim 4: pruning


@pytest.mark.parametrize(
    ("share", "outcome"),
    [(0.8, "supported"), (0.5, "undecided"), (0.2, "contradicted")],
)
def test_pruning(share, outcome):
    verdict = judge(3, pruned={0.1: blend(0.99), 0.5: blend(share), 0.9: blend(0)})
    assert verdict.outcome == outcome
    assert verdict.low < 100 * share < verdict.high


def test_limits_of_pruning():
    kept = judge(3).sentence
    assert (
        "By the estimates, pruning by 10 %, 30 % keeps more than 90 %; by the whole "
        "intervals, pruning by 10 %, 30 % does. By the estimates, pruning by 10 %, "
        "30 %, 50 % keeps more than 50 %; by the whole intervals, pruning by 10 %, "
        "30 %, 50 % does."
    ) in kept
    # Was "78 %, about half ... 50 % at levels up to 30 %".
    unsure = judge(3, independents=[blend(0), blend(0.5)])
    assert unsure.outcome == "undecided" and unsure.effect > 70
    assert unsure.sentence.startswith(
        "It remains open whether pruning by 50 % keeps half"
    )
    assert (
        "pruning by 10 %, 30 %, 50 % keeps more than 50 %; by the whole intervals, "
        "pruning by 10 %, 30 % does." in unsure.sentence
    )
    lost = judge(3, pruned={0.5: blend(0.3)}).sentence
    assert "No level keeps more than 90 %. No level keeps more than 50 %." in lost


def test_verdict_and_limits_of_pruning_never_contradict_each_other():
    """Not even where a lighter level keeps less than the one that decides."""
    for kept in (0.3, 0.45, 0.55, 0.8):
        verdict = judge(3, pruned={0.1: blend(0.4), 0.5: blend(kept), 0.9: blend(0)})
        half = re.search(
            "estimates, pruning by ([^;]*) keeps more than 50 %; "
            "by the whole intervals, (none|pruning by (.*?)) does",
            verdict.sentence,
        )
        estimates, intervals = (
            (half and half[place] or "").split(", ") for place in (1, 3)
        )
        assert ("50 %" in estimates) == (verdict.effect > 50)
        assert ("50 %" in intervals) == (verdict.outcome == "supported")


# Claim 5: accuracy


def test_accuracy_that_misleads():
    students = {0.9: [softened()] * 3}
    verdict = judge(4, students=students, pruned={}, quantized={"dynamic-range": BASE})
    assert verdict.outcome == "supported" and verdict.effect > 20
    assert verdict.sentence.startswith(
        "Accuracy alone misleads: on these images, students of alpha 0.9 are no less "
        "accurate than dynamic-range but keep less of the base model's function."
    )
    assert "(relative deviation of accuracy " in verdict.sentence


def test_a_gain_in_accuracy_is_no_loss():
    better = np.where((np.arange(N) < 500)[:, None], np.eye(CLASSES)[LABELS], BASE)
    verdict = judge(4, students={0.9: [better] * 3}, pruned={}, quantized=QUANTIZED)
    found = verdict.details.set_index("model").loc["alpha 0.9"]
    assert found["relative_accuracy_deviation"] > 5 and found["alike"]
    assert verdict.outcome == "supported"


def test_broken_models_are_left_out():
    """Two that had lost 82 % of their accuracy had made the claim "supported"."""
    broken = {0.7: wrong(0.8), 0.9: blend(0.1)}
    broken[0.9][: N // 2] = 1 / CLASSES
    students = {0.5: [wrong(0.8)] * 3, 0.9: [wrong(0.001)] * 3}
    verdict = judge(4, students=students, pruned=broken)
    assert verdict.outcome == "contradicted"
    assert verdict.against == ("alpha 0.9", "float16", "dynamic-range")
    alike = verdict.details.set_index("model")["alike"]
    assert tuple(alike[alike].index) == verdict.against
    alone = judge(4, students={}, quantized={}, pruned=broken)
    assert alone.sentence == (
        "The run lacks: two compressed models that keep 99 % of the accuracy."
    )


def test_accuracy_that_tells_the_same_as_function():
    pruned = {0.1: wrong(0.001), 0.5: wrong(0.1), 0.9: wrong(0.5)}
    students = {0.9: [wrong(0.001)] * 3}
    verdict = judge(4, students=students, pruned=pruned)
    assert verdict.outcome == "contradicted"
    assert verdict.sentence.startswith(
        "Accuracy alone does not mislead here: of the models that keep the base "
        "model's accuracy, none keeps clearly less of its function than a less "
        "accurate one."
    )
    assert np.isfinite(verdict.estimate)


def test_a_run_without_students_cannot_contradict_that_accuracy_misleads():
    """LeNet on MNIST: "contradicted" without its students, "supported" with them."""
    pruned = {0.1: wrong(0.001), 0.5: wrong(0.1), 0.9: wrong(0.5)}
    verdict = judge(4, students={}, pruned=pruned)
    assert (verdict.outcome, verdict.p) == ("undecided", 1)
    assert np.isfinite(verdict.effect) and np.isnan(verdict.estimate)
    assert (
        "The run lacks students, so the others can support the claim but not "
        "contradict it." in verdict.sentence
    )


@pytest.mark.parametrize(
    ("students", "told"),
    [
        ([wrong(0.001)], "Students were trained only once (alpha 0.9)"),
        # As MobileNet's; float16 and dynamic-range are left alone.
        ([wrong(0.2)] * 3, "No students keep 99 % of the accuracy"),
    ],
)
def test_students_trained_once_or_less_accurate_do_not_contradict_it_either(
    students, told
):
    pruned = {0.1: wrong(0.001), 0.5: wrong(0.1), 0.9: wrong(0.5)}
    verdict = judge(4, students={0.9: students}, pruned=pruned)
    assert (verdict.outcome, verdict.p) == ("undecided", 1)
    assert np.isfinite(verdict.effect) and np.isnan(verdict.estimate)
    assert f"{told}, so the others can support" in verdict.sentence


def test_the_pair_that_is_told_is_one_that_decides():
    """The largest difference may be of students that vary too much to show it."""
    varied = [softened(0.001), softened(0.001), BASE]
    students = {0.1: [softened(0.3)] * 3, 0.9: varied}
    verdict = judge(4, students=students, pruned={}, quantized={"float16": BASE})
    preserved = verdict.details.set_index("model")["preserved"]
    assert preserved["alpha 0.9"] < preserved["alpha 0.1"]
    assert verdict.outcome == "supported" and verdict.low > 10
    assert (
        "on these images, students of alpha 0.1 are no less accurate than"
        in verdict.sentence
    )


# Claim 6: what is passed on


def copier(errors, right, seed=0):
    """Answers as the base model on a share of its errors, and of its right answers.

    Elsewhere it gives another class, which is wrong where the base model is right.
    """
    answers = BASE.argmax(axis=1)
    correct = answers == LABELS
    other = np.where(correct, (LABELS + 1) % CLASSES, LABELS)
    rng = np.random.default_rng([5, seed])
    chosen = np.zeros(N, bool)
    for rows, share in ((~correct, errors), (correct, right)):
        places = rng.permutation(np.flatnonzero(rows))
        chosen[places[: round(share * rows.sum())]] = True
    return np.eye(CLASSES)[np.where(chosen, answers, other)]


def copies(students, control, seeds=3, **changes):
    rng = np.random.default_rng(6)

    def made(shares):
        return [copier(*(shares + rng.normal(0, 0.005, 2)), s) for s in range(seeds)]

    return judge(
        5,
        students={0.9: made(students)},
        controls={"other-teacher": made(control), "same-start": made(control)},
        **changes,
    )


@pytest.mark.parametrize(
    ("students", "outcome", "effect"),
    [
        ((0.65, 0.82), "supported", 50 - 10),
        ((0.44, 0.90), "contradicted", 20 - 50),
        ((0.44, 0.84), "contradicted", 0),  # any answer as likely: no asymmetry
        ((0.37, 0.80), "undecided", 10),
    ],
)
def test_transfer(students, outcome, effect):
    verdict = copies(students, (0.3, 0.8))
    assert verdict.outcome == outcome
    assert verdict.effect == pytest.approx(effect, abs=3)
    assert verdict.low < verdict.effect < verdict.high
    assert verdict.against == ("other-teacher", "same-start")
    assert verdict.rests_on == "3 pairs of models matched by seed"


def test_students_of_one_other_teacher_count_once():
    """Two of three controls share their teacher, as where there are two models."""
    apart = copies((0.65, 0.82), (0.3, 0.8))
    shared = copies((0.65, 0.82), (0.3, 0.8), teachers={0: "A", 1: "B", 2: "A"})
    assert shared.rests_on == "3 pairs of models matched by seed, 2 teachers"
    assert shared.high - shared.low > 1.5 * (apart.high - apart.low)
    assert shared.effect == pytest.approx(apart.effect, abs=1)
    single = copies((0.65, 0.82), (0.3, 0.8), teachers=dict.fromkeys(range(3), "A"))
    assert single.outcome == "undecided" and np.isnan(single.estimate)
    assert "with students of one other teacher" in single.sentence


def test_three_ways_to_count_what_is_passed_on():
    """LeNet on CIFAR-10: shares and counts say errors, the room says right answers."""
    errors, right = 3164, 6836
    labels = np.zeros(errors + right, int)

    def answers(of_errors, of_right):
        model = np.where(np.arange(errors + right) < errors, 0, 2)
        model[:of_errors] = 1
        model[errors : errors + of_right] = 0
        return np.eye(3)[model]

    base = answers(errors, right)
    made = Evidence(
        base,
        labels,
        True,
        "logits",
        students={0.9: {2: answers(1027 + 342, 5609 + 337)}},
        controls={"same-start": {2: answers(1027, 5609)}},
        resamples=20,
    )
    found = transfer(made, "alpha 0.9", "same-start")
    assert (found.errors, found.right) == (errors, right)
    assert found.shares == pytest.approx((10.8, 4.9), abs=0.05)
    assert found.images == pytest.approx((342, 337))
    adopted = [estimate.value for estimate in found.adoption]
    assert adopted == pytest.approx([16.0, 27.5], abs=0.05)
    assert found.asymmetry.value == pytest.approx(-11.5, abs=0.05)


def test_shares_and_numbers_of_images_have_the_same_sign():
    """Two of 9,900 right answers fewer were "0.0 points more"."""
    assert _more(-100 * 7 / 3 / 9900, ".2f", " points") == "0.02 points less"
    assert _more(-7 / 3, ",.0f") == "2 fewer"
    assert _more(-1e-15, ".2f", " points") == "0.00 points more"


def test_equal_adoption_has_no_sign_where_shares_and_counts_do():
    verdict = copies((0.3 + 0.3 * 0.7, 0.8 + 0.3 * 0.2), (0.3, 0.8))
    row = verdict.details.set_index("control").loc["other-teacher"]
    assert row["error_points"] > 2 * row["right_points"]
    assert abs(row["asymmetry"]) < 3 and verdict.outcome == "contradicted"


def test_transfer_needs_errors_adoption_and_the_same_seeds():
    none = copies((0.3, 0.8), (0.3, 0.8))
    assert none.outcome == "undecided"
    flawless = np.eye(CLASSES)[LABELS]
    never = judge(
        5,
        base=flawless,
        students={0.9: [flawless] * 3},
        controls={"other-teacher": blends(0)},
    )
    assert never.outcome == "undecided" and "to adopt." in never.sentence
    assert "Neither adoption is clearly above 5 %" in none.sentence
    assert np.isnan(none.estimate)  # so it is not averaged with other runs
    few = np.where(
        (np.cumsum(BASE.argmax(axis=1) != LABELS) > 99)[:, None],
        np.eye(CLASSES)[LABELS],
        BASE,
    )
    assert (few.argmax(axis=1) != LABELS).sum() == 99
    found = judge(
        5,
        base=few,
        students={0.9: [few] * 3},
        controls={"other-teacher": blends(0)},
    )
    assert found.outcome == "undecided" and found.effect == pytest.approx(0)
    assert "The teacher makes 99 errors, too few to judge by" in found.sentence
    assert np.isnan(found.estimate)
    made = evidence(controls={"other-teacher": blends(0)})
    made.controls["other-teacher"] = {"a": blend(0)}
    assert verdicts(made)[5].sentence == (
        "The run lacks: control other-teacher of the students' seeds that leaves some "
        "of the teacher's errors and right answers to adopt."
    )


# All of them


WHOLE = {
    "students": {0.1: [softened()] * 3, 0.9: [softened()] * 3},
    "controls": {"same-start": blends(0), "other-teacher": blends(0)},
}


def test_verdicts_have_all_fields():
    found = verdicts(evidence(**WHOLE))
    assert len(found) == len(CLAIMS) == 6
    for verdict in found:
        assert verdict.low <= verdict.effect <= verdict.high
        assert verdict.claim.endswith(".") and verdict.sentence.endswith(".")
        assert len(verdict.details) and verdict.against and verdict.statistic
        assert (
            verdict.rests_on and f" Rests on {verdict.rests_on}; p " in verdict.sentence
        )
        assert "nan" not in verdict.sentence
        assert not re.search(
            r"-\d+(\.\d+)? \[[^]]*\] points (more|less)", verdict.sentence
        )


@pytest.mark.parametrize(
    "changes",
    [
        {},
        WHOLE,
        # Both near the base model, one a hundred times as near as the other.
        {
            "students": {0.1: blends(0), 0.9: blends(0)},
            "quantized": {"float16": blend(0.9995), "dynamic-range": blend(0.99)},
            "pruned": {0.5: blend(0.97), 0.9: blend(0.93)},
        },
        {"students": {0.1: blends(0.98), 0.5: blends(0.95), 0.9: blends(0.9)}},
    ],
)
def test_several_runs_are_averaged_on_the_scale_of_their_verdicts(changes):
    """A difference of 0.2 points was "contradicted" in a run and a mean of such not."""
    for number, verdict in enumerate(verdicts(evidence(**changes)), 1):
        claim = CLAIMS[number]
        if verdict.outcome == "undecided":
            continue
        low, high = claim.holds
        assert (low < verdict.estimate < high) == (verdict.outcome == "supported")
        assert verdict.scale == claim.scale and verdict.error >= 0


def test_alphas_are_averaged_over_runs_as_they_are_without_choice():
    students = {0.1: blends(0.3), 0.5: blends(0.6), 0.9: blends(0.4)}
    verdict = judge(0, students=students)
    assert verdict.effect == pytest.approx(30, abs=4)  # 0.1 and 0.5
    assert verdict.estimate == pytest.approx(10, abs=4)  # 0.1 and 0.9


@pytest.mark.parametrize("shares", [(0.9, 0.6), (0.999, 0.96), (0.3, -0.5)])
def test_the_error_in_points_is_that_of_resampled_images(shares):
    models = [blend(share) if share > 0 else opposed(-share) for share in shares]
    made = evidence(
        independents=INDEPENDENTS[:1],  # whose trainings are then not counted
        quantized=dict(zip(("float16", "dynamic-range"), models, strict=True)),
    )
    found = made.gain("float16", "dynamic-range").points
    replicates = made.estimates["jensen_shannon"].replicates
    places = [made.members[n][0] for n in ("float16", "dynamic-range", "independent")]
    gains = [score(a / u) - score(b / u) for a, b, u in replicates[:, places]]
    assert found.error == pytest.approx(np.std(gains, ddof=1), rel=0.05)
    assert found.value == pytest.approx(np.mean(gains), abs=1)


def test_holm_corrects_over_all_claims():
    found = verdicts(evidence(**WHOLE))
    by_p = sorted(found, key=lambda verdict: verdict.p)
    assert by_p[0].adjusted_p == pytest.approx(6 * by_p[0].p)
    for verdict in found:
        assert verdict.adjusted_p >= verdict.p
        assert (verdict.outcome == "undecided") == (verdict.adjusted_p >= 0.05)
        assert " after Holm's correction over 6 claims." in verdict.sentence
    fewer = verdicts(evidence(**(WHOLE | {"quantized": {}})))  # claim 3 is not judged
    assert "over 5 claims" in fewer[0].sentence


def test_what_would_be_decided_without_the_correction_is_told(monkeypatch):
    alone = judge(3)
    monkeypatch.setattr(
        "kdfunc.similarity.claims.rules.holm", lambda ps: np.full(len(ps), 0.06)
    )
    corrected = judge(3)
    assert (alone.outcome, corrected.outcome) == ("supported", "undecided")
    told = " Without the correction, the test would call the claim supported."
    assert corrected.sentence.endswith(told) and told not in alone.sentence


def test_less_is_not_a_negative_more():
    gain = evidence().gain("pruning by 90 %", "dynamic-range")
    assert re.fullmatch(r"8\d\.\d \[\d+\.\d, \d+\.\d\] points less", more_or_less(gain))
    lost = TEstimate(-42.3, 4.0, np.inf)  # was "preserve -42.3 points more"
    assert more_or_less(lost) == "42.3 [38.4, 46.2] points less"
    assert some([0.01, 0.2, 0.5]) == pytest.approx(0.03)


@pytest.mark.parametrize(
    ("missing", "undecided"),
    [
        ("independents", [0, 1, 2, 3, 4, 5]),
        ("students", [0, 1, 2, 5]),
        ("quantized", [2]),
        ("pruned", [2, 3]),
        ("controls", [5]),
    ],
)
def test_missing_pieces_leave_claims_undecided(missing, undecided):
    nothing = {missing: {} if missing != "independents" else []}
    found = verdicts(evidence(**(WHOLE | nothing)))
    for claim, verdict in enumerate(found):
        if claim in undecided:
            assert verdict.outcome == "undecided" and np.isnan(verdict.effect)
            assert verdict.sentence.startswith("The run lacks: ")
        else:
            assert np.isfinite(verdict.effect)


def test_nothing_but_the_base_model():
    nothing = Evidence(BASE, LABELS, True, "logits")
    assert {verdict.outcome for verdict in verdicts(nothing)} == {"undecided"}
    assert ladder(nothing).empty
    twin = evidence(independents=[BASE])  # no scale: they do not differ
    assert {verdict.outcome for verdict in verdicts(twin)} == {"undecided"}
    assert ladder(twin).empty


def test_wrong_evidence_is_refused():
    with pytest.raises(InputError, match="controls: got 'same start'"):
        evidence(controls={"same start": blends(0)})
    with pytest.raises(InputError, match="soft_targets: got 'teacher'"):
        evidence(soft_targets="teacher")
    with pytest.raises(InputError, match="labels have shape"):
        verdicts(evidence(labels=LABELS[:-1]))


def test_one_quantity_has_one_interval():
    """It was 78.4 [70.4, 84.0] in one table and [39.5, 87.5] in another."""
    made = evidence()
    students = [*made.students[0.9].values()]
    headline = function_preserved(
        BASE,
        [QUANTIZED["dynamic-range"], students],
        INDEPENDENTS,
        names=["jensen_shannon"],
        resamples=RESAMPLES,
    )["jensen_shannon"]
    for place, group in enumerate(["dynamic-range", "alpha 0.9"]):
        kept = made.preserved(group)
        assert kept.value == pytest.approx(headline.value[place])
        assert kept.low == pytest.approx(headline.low[place])
        assert kept.high == pytest.approx(headline.high[place])
        assert kept.rests_on == headline.rests_on[place]
    verdict = verdicts(made)[3]
    pruned = made.preserved("pruning by 50 %")
    assert (verdict.effect, verdict.low, verdict.high) == (
        pruned.value,
        pruned.low,
        pruned.high,
    )
    distances = [measure("jensen_shannon", BASE, model) for model in INDEPENDENTS]
    unit = made.distances().mean(made.members["independent"])
    assert unit == pytest.approx(np.mean(distances))


def test_the_yardstick_tells_how_uncertain_it_is():
    table = yardstick(evidence(), MARGIN)
    assert table["zero"].tolist() == ["independent"]
    sentence = table["sentence"][0]
    assert sentence.startswith(
        "The yardstick, independent models (3): the distances from one such model to "
        "others differ by "
    )
    assert table["spread"][0] < 10 and "more than the margin" not in sentence
    apart = evidence(
        independents=[blend(0), blend(0.5)],
        controls={"independent-optimizer": blends(0)},
    )
    table = yardstick(apart, MARGIN).set_index("zero")
    assert table.loc["independent", "spread"] > 30
    assert (
        "This is more than the margin of 10 points"
        in (table.loc["independent", "sentence"])
    )
    assert table.loc["independent", "low"] < -30 < 30 < table.loc["independent", "high"]
    assert table.loc["independent-optimizer", "sentence"].startswith("The fair zero")
    single = yardstick(evidence(independents=INDEPENDENTS[:1]), MARGIN)
    assert (
        "one model does not show how much such models differ" in single["sentence"][0]
        and single["spread"].isna().all()
    )


RUNGS = {
    "independent-optimizer": 0.1,
    "same-start": 0.3,
    "same-start-base-optimizer": 0.15,
    "no-knowledge": 0.2,
    "other-teacher": 0.25,
}


@pytest.mark.parametrize("soft_targets", ["probabilities", "logits"])
def test_ladder(soft_targets):
    controls = {name: blends(share) for name, share in RUNGS.items()}
    shares = {"probabilities": 0.4, "logits": 0.6}
    other = {"logits": "probabilities", "probabilities": "logits"}[soft_targets]
    table = ladder(
        evidence(
            students={0.1: blends(0), 0.9: blends(shares[soft_targets])},
            controls=controls | {"other-targets": blends(shares[other])},
            soft_targets=soft_targets,
        )
    )
    main, side = table[~table["side"]], table[table["side"]]
    assert main["rung"].iloc[3:].tolist() == [
        "+ teacher's probabilities",
        "+ teacher's logits",
    ]
    assert set(main["group"][3:]) == {"alpha 0.9", "other-targets"}
    np.testing.assert_allclose(main["preserved"], [0, 10, 30, 40, 60], atol=4)
    np.testing.assert_allclose(main["step"][1:], np.diff(main["preserved"]))
    assert np.isnan(main["step"].iloc[0]) and (main["models"] == 3).all()
    assert main["over"].tolist()[1:] == main["group"].tolist()[:-1]
    assert dict(zip(side["group"], side["over"], strict=True)) == {
        "same-start-base-optimizer": "independent",
        "no-knowledge": "same-start",
        "other-teacher": "same-start",
    }
    taught = side.set_index("group").loc["other-teacher"]
    assert taught["rung"] == "Another teacher" and taught["step"] < 0
    np.testing.assert_allclose(side["step"], [15, -10, -5], atol=4)


def test_ladder_with_missing_rungs():
    """The next rung adds their ingredients too, and its name says so."""
    left = {"controls": {"no-knowledge": blends(0)}, "students": {0.9: blends(0.3)}}
    made = evidence(**left)
    table = ladder(made).set_index("group")
    assert table.index.tolist() == ["independent", "alpha 0.9", "no-knowledge"]
    assert table.loc["alpha 0.9", "over"] == "independent"
    assert np.isnan(table.loc["no-knowledge", "step"])
    assert table.loc["alpha 0.9", "rung"] == "+ initial weights, teacher's logits"
    other = ladder(evidence(**left, same_optimizer=False)).set_index("group")
    assert other.loc["alpha 0.9", "rung"] == (
        "+ optimizer, initial weights, teacher's logits"
    )


def test_ladder_tells_where_the_data_order_changes_too():
    made = evidence(controls={name: blends(0) for name in RUNGS}, shared_order=True)
    assert ladder(made).set_index("group")["rung"].to_dict() == {
        "independent": "Independent",
        "independent-optimizer": "+ optimizer",
        "same-start": "+ initial weights, other order",
        "alpha 0.9": "+ teacher's logits",
        "same-start-base-optimizer": "Initial weights alone, other order",
        "no-knowledge": "Teacher of no knowledge",
        "other-teacher": "Another teacher",
    }


def test_all_models_are_resampled_once(monkeypatch):
    calls = []
    monkeypatch.setattr(
        "kdfunc.similarity.groups.bootstrap_measures",
        lambda *args, **kwargs: (
            calls.append(args) or bootstrap_measures(*args, **kwargs)
        ),
    )
    made = evidence()
    verdicts(made)
    ladder(made)
    assert len(calls) == 1


def test_every_claim_is_undecided_where_the_base_model_has_learnt_nothing():
    ignorant = np.tile(np.full(CLASSES, 0.1) + 0.5 * np.eye(CLASSES)[0], (N, 1))
    for verdict in verdicts(evidence(base=ignorant)):
        assert verdict.outcome == "undecided" and np.isnan(verdict.effect)
        assert "The base model has learnt nothing" in verdict.sentence
        assert verdict.claim and verdict.statistic
