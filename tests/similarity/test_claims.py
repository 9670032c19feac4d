import itertools
from dataclasses import replace

import numpy as np
import pytest

from kdfunc.errors import InputError
from kdfunc.similarity import bootstrap_measures, function_preserved, measure
from kdfunc.similarity.claims import MARGIN, verdicts
from kdfunc.similarity.groups import Evidence, ladder

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
QUANTIZED = {"float16": blend(0.999), "int8": blend(0.96)}
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


@pytest.mark.parametrize(
    ("shares", "outcome"),
    [
        ((0.3, 0.3, 0.3), "supported"),
        ((0.1, 0.3, 0.5), "contradicted"),
        ((0.1, 0.5, 0.1), "contradicted"),  # no trend, but an effect
        ((0.3, 0.3, 0.35), "undecided"),  # on the margin
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
    assert verdict.details["equivalent"].all() == (outcome == "supported")
    picked = verdict.details.loc[verdict.details["points"].abs().idxmax()]
    assert verdict.effect == picked["points"]  # the largest of three: wider for that
    assert verdict.low < picked["low"] < picked["high"] < verdict.high


def test_alpha_rises_with_the_reliance_on_the_teacher():
    students = {0.1: blends(0.6), 0.5: blends(0.4), 0.9: blends(0.2)}
    labels = judge(0, students=students, leans_on_teacher=False)
    assert labels.against == ("alpha 0.9", "alpha 0.5", "alpha 0.1")
    assert labels.effect == pytest.approx(40, abs=4)
    assert "Students of alpha 0.1, which lean more on the teacher" in labels.sentence
    assert "Somers' d +1.00, p = 0.0093: significant." in labels.sentence
    teacher = judge(0, students=students, leans_on_teacher=True)
    assert teacher.effect == pytest.approx(-40, abs=4)
    assert "Somers' d -1.00" in teacher.sentence


# Claim 2: students and strangers


def test_a_student_that_is_the_teacher():
    students = {alpha: [BASE] * 3 for alpha in (0.1, 0.9)}
    verdict = judge(1, students=students)
    assert verdict.outcome == "contradicted"
    assert [verdict.effect, verdict.low, verdict.high] == pytest.approx([100] * 3)
    details = verdict.details.set_index("control")
    assert details.loc["same-start", "points"] == pytest.approx(100, abs=4)
    assert (details["margin"] == "beyond").all() and (
        details["cliffs_delta"] == 1
    ).all()
    powerless = "cannot reach significance with 3 against 3 (smallest p 0.2)"
    assert (details["significance"] == powerless).all()
    assert verdict.sentence.endswith(
        "Against same-start: Cliff's delta +1.00, p = 0.1, after Holm's correction "
        f"0.2: {powerless}."
    )
    assert judge(0, students=students).outcome == "supported"


def test_a_student_that_is_a_stranger():
    verdict = judge(1)
    assert verdict.outcome == "supported"
    assert verdict.effect == pytest.approx(0, abs=4)
    assert "not beyond the margin" in verdict.sentence
    assert "closeness" not in verdict.sentence
    assert verdict.against == ("independent", "same-start")


def test_a_student_that_is_a_known_mixture():
    verdict = judge(
        1, students={0.9: blends(0.4)}, controls={"same-start": blends(0.25)}
    )
    assert verdict.outcome == "contradicted"
    assert verdict.effect == pytest.approx(40, abs=4)
    assert verdict.low < 40 < verdict.high
    points = verdict.details.set_index("control").loc["same-start"]
    assert points["low"] < 15 < points["high"] and points["margin"] == "beyond"
    assert "So the teacher has a part in the closeness." in verdict.sentence


def test_closeness_that_is_not_the_teachers():
    verdict = judge(
        1, students={0.9: blends(0.25)}, controls={"same-start": blends(0.25)}
    )
    assert verdict.outcome == "contradicted"
    assert verdict.details["margin"].tolist() == ["beyond", "not beyond"]
    assert (
        "points, not beyond the margin. So the closeness comes from optimizer and "
        "initial weights, not from the teacher. Against same-start: "
    ) in verdict.sentence


def test_closeness_that_may_be_the_teachers():
    verdict = judge(
        1, students={0.9: blends(0.3)}, controls={"same-start": blends(0.25)}
    )
    assert verdict.outcome == "contradicted"
    assert verdict.details["margin"].tolist() == ["beyond", "around"]
    assert "So it is open whether the teacher has a part" in verdict.sentence


def test_a_student_on_the_margin():
    verdict = judge(1, students={0.9: blends(MARGIN / 100)})
    assert verdict.outcome == "undecided" and "around the margin" in verdict.sentence


def test_the_students_that_lean_most_on_the_teacher_are_judged():
    students = {0.1: blends(0.5), 0.9: blends(0)}
    assert judge(1, students=students).outcome == "supported"
    verdict = judge(1, students=students, leans_on_teacher=False)
    assert verdict.outcome == "contradicted" and "alpha 0.1" in verdict.sentence


def test_students_that_share_a_seed_with_their_control_are_paired():
    # Each seed has a part of its own, up to 20 points, and the teacher adds 15.
    bases = (0.2, 0.3, 0.4)
    students = {0.9: [blend(share + 0.15) for share in bases]}
    controls = {"same-start": [blend(share) for share in bases]}
    points = judge(1, students=students, controls=controls).details
    paired = points.set_index("control").loc["same-start"]
    assert paired["low"] > MARGIN and paired["margin"] == "beyond"
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


def test_a_data_order_that_only_independents_share_is_told():
    told = "independent models have the base model's data order"
    assert told in judge(1, shared_order=True).sentence
    assert told not in judge(1).sentence


def test_what_was_trained_once_is_named():
    verdict = judge(1, controls={"same-start": blends(0, seeds=1)})
    assert verdict.sentence.endswith("chance in training is not covered: same-start.")
    assert "Trained once" not in judge(1).sentence


# Claim 3: quantization


def test_quantization_that_is_best():
    verdict = judge(2)
    assert verdict.outcome == "supported"
    # float16 stands against half of the weights pruned, int8 against nine tenths.
    assert verdict.effect == pytest.approx(20, abs=4)
    assert (
        "float16 with" in verdict.sentence
        and "than pruning by 50 %." in verdict.sentence
    )
    rivals = verdict.details[verdict.details["rival"]]
    assert set(rivals[rivals["quantized"] == "int8"]["other"]) == {
        "alpha 0.1",
        "alpha 0.9",
        "pruning by 90 %",
    }
    assert "pruning by 10 % preserves more than int8" in verdict.sentence


@pytest.mark.parametrize(
    "better",
    [{"pruned": {0.9: blend(0.995)}}, {"students": {0.5: blends(0.995)}}],
)
def test_quantization_that_is_not_best(better):
    verdict = judge(2, **better)
    assert verdict.outcome == "contradicted" and verdict.high < 0
    assert "Not every quantized model" in verdict.sentence


def test_quantization_that_is_as_good_as_pruning():
    model = blend(0.98)
    verdict = judge(2, quantized={"int8": model}, pruned={0.9: model})
    assert verdict.outcome == "undecided" and verdict.effect == 0


def test_quantization_that_is_hardly_better_than_pruning():
    verdict = judge(2, quantized={"int8": blend(0.98)}, pruned={0.9: blend(0.975)})
    assert verdict.outcome == "undecided" and verdict.low < 0 < verdict.effect


def test_an_unknown_mode_is_held_against_all_pruning():
    verdict = judge(2, quantized={"int4": blend(0.9)})
    assert verdict.details["rival"].all() and verdict.outcome == "contradicted"


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
    assert "90 % at levels up to 30 % and 50 % at levels up to 50 %." in kept
    hardly = judge(3, pruned={0.1: blend(0.9), 0.5: blend(0.52)})
    assert hardly.low < 50 < hardly.effect  # above half, and not for sure
    assert "90 % at no level and 50 % at levels up to 10 %" in hardly.sentence
    lost = judge(3, pruned={0.5: blend(0.3)}).sentence
    assert "90 % at no level and 50 % at no level" in lost


# Claim 5: accuracy


def test_accuracy_that_misleads():
    # Strangers and the base model know the classes equally well.
    verdict = judge(4, students={0.9: blends(0)}, pruned={})
    assert verdict.outcome == "supported"
    assert verdict.effect == pytest.approx(100, abs=5)
    assert "By accuracy, alpha 0.9" in verdict.sentence


def test_function_that_outlives_accuracy():
    # Nearer in function than the student although its accuracy fell.
    changes = {
        "students": {0.9: blends(0)},
        "quantized": {},
        "pruned": {0.5: wrong(0.2)},
    }
    verdict = judge(4, **changes)
    assert verdict.outcome == "supported" and verdict.effect > 20
    assert verdict.details["accuracy_deviation"].iloc[1] < -15


def test_accuracy_that_tells_the_same_as_function():
    pruned = {0.1: wrong(0.001), 0.5: wrong(0.1), 0.9: wrong(0.5)}
    verdict = judge(4, students={}, pruned=pruned)
    assert verdict.outcome == "contradicted"
    assert "like every pair within the margin" in verdict.sentence


def test_accuracy_on_the_margin():
    verdict = judge(4, students={}, quantized={"int8": BASE}, pruned={0.1: blend(0.95)})
    assert verdict.outcome == "undecided"


# All of them


def test_verdicts_have_all_fields():
    for verdict in verdicts(evidence()):
        assert verdict.low <= verdict.effect <= verdict.high
        assert verdict.claim.endswith(".") and verdict.sentence.endswith(".")
        assert len(verdict.details) and verdict.against and verdict.statistic
        assert "nan" not in verdict.sentence


@pytest.mark.parametrize(
    ("missing", "undecided"),
    [
        ("independents", [0, 1, 2, 3, 4]),
        ("students", [0, 1, 2]),
        ("quantized", [2]),
        ("pruned", [2, 3]),
        ("controls", [1]),
    ],
)
def test_missing_pieces_leave_claims_undecided(missing, undecided):
    found = verdicts(evidence(**{missing: {} if missing != "independents" else []}))
    for claim, verdict in enumerate(found):
        if claim in undecided:
            assert verdict.outcome == "undecided" and np.isnan(verdict.effect)
            assert verdict.sentence.startswith("The run has no ")
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
    with pytest.raises(InputError, match="no control 'same start'"):
        evidence(controls={"same start": blends(0)})
    with pytest.raises(InputError, match="soft_targets is 'teacher'"):
        evidence(soft_targets="teacher")
    with pytest.raises(InputError, match="labels have shape"):
        verdicts(evidence(labels=LABELS[:-1]))


def test_evidence_preserves_as_the_headline_does():
    made = evidence()
    models = [QUANTIZED["int8"], *made.students[0.9].values()]
    headline = function_preserved(
        ["jensen_shannon"], BASE, models, INDEPENDENTS, resamples=RESAMPLES
    )["jensen_shannon"]
    assert made.preserved("int8").value == pytest.approx(headline.value[0])
    assert made.preserved("alpha 0.9").value == pytest.approx(headline.value[1:].mean())
    np.testing.assert_allclose(made.each_preserved("alpha 0.9"), headline.value[1:])
    distances = [measure("jensen_shannon", BASE, model) for model in INDEPENDENTS]
    assert made.distance("independent").value == pytest.approx(np.mean(distances))
    assert made.preserved("independent").high == 0
    # Chance in training the independent models is in the interval too.
    width = headline.high[0] - headline.low[0]
    assert made.preserved("int8").high - made.preserved("int8").low > 0.9 * width


RUNGS = {
    "independent-optimizer": 0.1,
    "same-start": 0.3,
    "same-start-base-optimizer": 0.15,
    "no-knowledge": 0.2,
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
    assert side["group"].tolist() == ["same-start-base-optimizer", "no-knowledge"]
    assert side["over"].tolist() == ["independent", "same-start"]
    np.testing.assert_allclose(side["step"], [15, -10], atol=4)


def test_ladder_with_missing_rungs():
    made = evidence(controls={"no-knowledge": blends(0)}, students={0.9: blends(0.3)})
    table = ladder(made).set_index("group")
    assert table.index.tolist() == ["independent", "alpha 0.9", "no-knowledge"]
    assert table.loc["alpha 0.9", "over"] == "independent"
    assert np.isnan(table.loc["no-knowledge", "step"])


def test_ladder_tells_where_the_data_order_changes_too():
    made = evidence(controls={name: blends(0) for name in RUNGS}, shared_order=True)
    assert ladder(made).set_index("group")["rung"].to_dict() == {
        "independent": "Independent",
        "independent-optimizer": "+ optimizer",
        "same-start": "+ initial weights, other order",
        "alpha 0.9": "+ teacher's logits",
        "same-start-base-optimizer": "Initial weights alone, other order",
        "no-knowledge": "Teacher of no knowledge",
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
