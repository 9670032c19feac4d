import json
import tracemalloc

import numpy as np
import pytest
from sklearn.metrics import jaccard_score

import kdfunc
from kdfunc.comparison import limits, page
from kdfunc.comparison.outputs import Said
from kdfunc.comparison.result import compare
from kdfunc.errors import InputError
from kdfunc.similarity import MEASURES, all_measures, bootstrap_measures
from kdfunc.similarity.labels import check_labels

RESAMPLES = 200


def compared(*given, labels=None, wanted=(), said=None, resamples=RESAMPLES):
    given = [x if isinstance(x, dict) else {"": x} for x in given]
    models = [{"file": f"m{i}"} for i in range(len(given))]
    wanted = limits.parse(wanted, labels is not None, len(given) > 2, sizes=[])
    return compare(given, models, labels, wanted, said or Said(), resamples, 0.95)


def only(result):
    (output,) = result["outputs"]
    return output


@pytest.fixture
def softmax(rng):
    p = rng.dirichlet(np.full(6, 0.4), 300)
    q = 0.8 * p + 0.2 * rng.dirichlet(np.full(6, 0.4), 300)
    return p, q


def test_classes_have_every_measure(softmax, rng):
    p, q = softmax
    labels = rng.integers(6, size=300)
    found = only(compared(p, q, labels=labels))
    assert list(found["measures"]) == ["agreement", "accuracy", *MEASURES]
    for name, value in all_measures(p, q, labels).items():
        assert found["measures"][name]["value"] == pytest.approx(value, rel=1e-9), name
    estimates = bootstrap_measures(p, [q], labels, resamples=RESAMPLES)
    for name in ("jensen_shannon", "brier_difference", "calibration_difference"):
        entry, expected = found["measures"][name], estimates[name]
        assert (entry["low"], entry["high"]) == (expected.low[0], expected.high[0])


def test_shares_have_exact_intervals(softmax, rng):
    p, q = softmax
    found = only(compared(p, p))["measures"]
    assert found["agreement"]["low"] == pytest.approx(0.025 ** (1 / 300))
    assert found["disagreement"]["high"] == pytest.approx(1 - 0.025 ** (1 / 300))
    for name in ("cohen_kappa", "top_k_agreement"):
        assert found[name]["low"] < 1 - 0.012 and found[name]["high"] == 1
    assert found["rank_disagreement"]["high"] > 0.012
    labels = p.argmax(axis=1)
    found = only(compared(p, p, labels=labels))["measures"]
    for name in ("accuracy_difference", "negative_flips", "normalized_disagreement"):
        assert found[name]["high"] > 0.012, name
    assert found["copied_errors"]["value"] is None  # there are no errors
    ratio = found["accuracy_corrected_disagreement"]  # 0 of 0 errors
    assert (ratio["value"], ratio["low"], ratio["high"]) == (0, 0, None)
    limit = ["accuracy_corrected_disagreement<=0.1 at 95%"]
    (judged,) = compared(p, p, labels=labels, wanted=limit)["limits"]
    assert judged["outcome"] == "undecided"
    assert found["copied_correct"]["low"] == pytest.approx(0.025 ** (1 / 300))


def test_errors_are_drawn_with_the_changes_that_they_divide(rng):
    """Of few errors, the draw matters as much as that of the changes."""
    truth, covered = 0.024 / 0.006, 0
    for _ in range(60):
        kinds = rng.choice(3, size=1000, p=[0.976, 0.018, 0.006])
        p = np.eye(2)[(kinds > 0).astype(int)]  # the candidate says 0 of all
        q, labels = np.eye(2)[np.zeros(1000, int)], (kinds == 2).astype(int)
        found = only(compared(p, q, labels=labels, resamples=200))["measures"]
        ratio = found["accuracy_corrected_disagreement"]
        covered += ratio["low"] <= truth <= (ratio["high"] or np.inf)
    assert covered >= 54


def test_no_flips_do_not_make_the_function_preserved_certain(softmax):
    """Of 300 examples without a flip, 1.2 % may flip all the same."""
    p, _ = softmax
    q = 0.9 * p + 0.1 / 6  # other numbers, the same classes
    other = p[::-1]
    result = compared(p, q, other, wanted=["preserved.disagreement>=99.9 at 95%"])
    found = only(result)["measures"]["disagreement"]["preserved"]
    yardstick = (p.argmax(axis=1) != other.argmax(axis=1)).mean()
    assert found["value"] == 100
    assert found["low"] == pytest.approx(
        100 - 100 * (1 - 0.025 ** (1 / 300)) / yardstick
    )
    assert result["limits"][0]["outcome"] == "undecided"
    assert "more independently trained models may decide it" in result["outcome"]


def test_nor_do_other_events_that_no_example_shows(softmax):
    p, labels = softmax[0], softmax[0].argmax(axis=1)
    q = 0.9 * p + 0.1 / 6
    found = only(compared(p, q, p[::-1], labels=labels))["measures"]
    unseen = 1 - 0.025 ** (1 / 300)
    for name in ("negative_flips", "copied_correct"):
        other = all_measures(p, p[::-1], labels)[name]
        yardstick = abs(other - MEASURES[name].identity)
        kept = found[name]["preserved"]
        assert kept["value"] == 100
        assert kept["low"] == pytest.approx(100 - 100 * unseen / yardstick), name


def test_the_reference_is_no_yardstick_of_itself(softmax):
    p, q = softmax
    with pytest.raises(InputError, match="independent model 1 gives the same outputs"):
        compared(p, q, p.copy())


@pytest.mark.parametrize("shape", [(40,), (40, 1)])
def test_predicted_classes_are_compared(rng, shape):
    r = rng.integers(0, 3, shape)
    c = r.copy()
    c[:4] = (c[:4] + 1) % 3
    found = only(compared(r, c))["measures"]
    assert found["pixel_agreement"]["value"] == pytest.approx(0.9)
    assert 0 < found["mean_iou"]["value"] < 0.9
    assert only(compared(r, r))["measures"]["mean_iou"]["value"] == 1


def test_limits_are_shown_in_full(softmax):
    wanted = ["jensen_shannon<=0.00125 at 95%", "top_k_agreement>=12.3456789%"]
    result = compared(*softmax, wanted=wanted)
    found = only(result)["measures"]
    value, low, high = (
        f"{found['jensen_shannon'][end]:.6g}" for end in ("value", "low", "high")
    )
    told = " ".join(str(result).split())
    assert f"limits undecided {wanted[0]}: {value} ({low} to {high}) met" in told
    percent = f"{100 * found['top_k_agreement']['value']:.6g} %"
    assert f"met {wanted[1]}: {percent} " in told


def test_confident_flips_come_first(softmax):
    p, q = softmax
    flips = only(compared(p, q))["flips"]
    assert {f["index"] for f in flips} == set(
        np.flatnonzero(p.argmax(1) != q.argmax(1))
    )
    sure = [min(f["reference_confidence"], f["candidate_confidence"]) for f in flips]
    assert sure == sorted(sure, reverse=True)


def test_tails_of_the_divergence(rng):
    p = rng.dirichlet(np.ones(3), 1000)
    q = p.copy()
    q[:30] = q[:30, ::-1]
    found = only(compared(p, q, wanted=["jensen_shannon.p99.9<=0.000001"]))
    rows = zip(p[:, None], q[:, None], strict=True)
    each = [all_measures(*pair)["jensen_shannon"] for pair in rows]
    ordered = np.sort(each)
    assert found["tails"] == {
        "p95": 0.0,
        "p99": pytest.approx(ordered[989], abs=1e-12),
        "p99.9": pytest.approx(ordered[998], abs=1e-12),
        "max": pytest.approx(ordered[999], abs=1e-12),
    }
    assert [w["index"] for w in found["worst"]] == list(
        np.argsort(-np.array(each), kind="stable")[:10]
    )
    assert only(compared(p[:500], q[:500]))["tails"]["p99.9"] is None  # too few


def test_one_sigmoid_is_two_classes(rng):
    p = rng.random((50, 1))
    q = (p + 0.1 * rng.random((50, 1))).clip(0, 1)
    two = [np.concatenate([1 - x, x], axis=1) for x in (p, q)]
    found, expected = only(compared(p, q)), only(compared(*two))
    assert found["measures"] == expected["measures"]
    assert found["flips"] == expected["flips"]


def test_tags(rng):
    p, q = rng.random((2, 40, 5))
    found = only(compared(p, q))["measures"]
    given = (p >= 0.5) == (q >= 0.5)
    assert found["tag_agreement"]["value"] == pytest.approx(given.mean())
    assert found["same_tags"]["value"] == given.all(axis=1).mean()
    assert found["tag_difference"]["value"] == pytest.approx(np.abs(p - q).mean())
    pairs = [np.stack([1 - x.ravel(), x.ravel()], axis=1) for x in (p, q)]
    expected = all_measures(*pairs)["jensen_shannon"]
    assert found["tag_jensen_shannon"]["value"] == pytest.approx(expected)


def test_positions(rng):
    r = rng.integers(4, size=(12, 6, 7))
    c = np.where(rng.random(r.shape) < 0.2, rng.integers(4, size=r.shape), r)
    output = only(compared(r, c))
    found = output["measures"]
    assert found["pixel_agreement"]["value"] == pytest.approx((r == c).mean())
    expected = jaccard_score(r.ravel(), c.ravel(), average=None)
    assert found["mean_iou"]["value"] == pytest.approx(expected.mean())
    ious = {entry["class"]: entry["iou"] for entry in output["classes"]}
    assert [ious[k] for k in range(4)] == pytest.approx(expected)
    assert found["mean_iou"]["low"] < found["mean_iou"]["value"]


def test_classes_that_no_position_gets_cost_nothing(rng):
    """Masks of 0 and 30000 are those of 0 and 1, in as little memory."""
    r = rng.integers(2, size=(40, 6, 7))
    c = np.where(rng.random(r.shape) < 0.2, 1 - r, r)
    expected = only(compared(r, c))
    tracemalloc.start()
    found = only(compared(30000 * r, 30000 * c))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert found["measures"] == expected["measures"]
    named = [{**e, "class": 30000 * e["class"]} for e in expected["classes"]]
    assert found["classes"] == named and len(named) == 2
    assert peak < 5 << 20


def test_one_example_is_not_told_as_several():
    p = np.array([[0.9, 0.1]])
    found = compared(p, p[:, ::-1])
    told = " ".join(str(found).split())
    assert "measures on 1 example with 95 % intervals" in told
    assert "1 of 1 example changes class" in told
    assert "for 0.00 % of 1 example (" in found["outcome"]
    html = page.render(found)
    assert ">1 example changes class" in html and "1 examples" not in html + told


def test_numbers(rng):
    r = rng.normal(5, 2, (30, 8))
    c = r + rng.normal(0, 0.1, (30, 8))
    output = only(compared(r, c))
    found = {name: entry["value"] for name, entry in output["measures"].items()}
    cosine = (r * c).sum(1) / np.linalg.norm(r, axis=1) / np.linalg.norm(c, axis=1)
    assert found["cosine_similarity"] == pytest.approx(cosine.mean())
    assert found["mean_absolute_difference"] == pytest.approx(np.abs(r - c).mean())
    assert found["max_absolute_difference"] == pytest.approx(np.abs(r - c).max())
    spread = np.sqrt(r.var(axis=0).mean())
    assert output["spread"] == pytest.approx(spread)
    assert found["max_relative_difference"] == pytest.approx(
        np.abs(r - c).max() / spread
    )
    noise = 10 * np.log10((r**2).sum() / ((r - c) ** 2).sum())
    assert found["snr_db"] == pytest.approx(noise)
    assert found["identical"] == 0


def test_the_same_numbers_have_no_noise(rng):
    r = rng.normal(size=(30, 2, 8))
    result = compared(r, r, wanted=["snr_db>=60", "snr_db>=60 at 95%"])
    assert only(result)["measures"]["snr_db"]["value"] is None  # infinite
    assert [entry["outcome"] for entry in result["limits"]] == ["met", "undecided"]
    assert result["limits"][1]["examples_to_decide"] == 500  # as of any mean
    assert "to the last bit" in result["outcome"]
    r = rng.normal(size=(500, 2))
    (limit,) = compared(r, r, resamples=200, wanted=["snr_db>=60 at 95%"])["limits"]
    assert limit["outcome"] == "met"


def test_few_examples_with_noise_have_an_interval_all_the_same(rng, recwarn):
    """Resamples of those without noise have an infinite signal-to-noise ratio."""
    r = rng.normal(size=(6, 3))
    c = r.copy()
    c[0] += 0.1
    found = kdfunc.compare(r, c, resamples=200)["outputs"][0]["measures"]["snr_db"]
    assert found["low"] < found["value"] and found["high"] is None
    assert not recwarn.list


def test_several_outputs_each_by_what_fits_it(softmax, rng):
    p, q = softmax
    boxes = rng.normal(size=(300, 10, 4))
    reference = {"scores": p, "boxes": boxes}
    candidate = {"scores": q, "boxes": boxes + 0.01}
    result = compared(
        reference,
        candidate,
        {"scores": p[::-1], "boxes": boxes},
        labels=p.argmax(axis=1),
        wanted=["agreement>=1%", "cosine_similarity[boxes]>=99%", "accuracy>=10%"],
    )
    scores, places = result["outputs"]
    assert (scores["kind"], places["kind"]) == ("classes", "numbers")
    assert places["notes"] == ["the function preserved is defined for classes only"]
    assert result["models"][0]["accuracy"] == 1
    assert [entry["output"] for entry in result["limits"]] == [
        "scores",
        "boxes",
        "scores",
    ]
    assert "in output 'boxes'" in result["outcome"]
    with pytest.raises(InputError, match="there is no output 'scorse'"):
        compared(reference, candidate, said=Said("scorse=logits"))
    numbers = compared(reference, candidate, said=Said("scores=numbers"))
    assert [output["kind"] for output in numbers["outputs"]] == ["numbers"] * 2
    # Where names differ, those in the same place belong together.
    renamed = {"a": q, "b": candidate["boxes"]}
    again = compared(reference, renamed)
    assert again["outputs"][1]["measures"] == places["measures"]
    with pytest.raises(InputError, match="m1 has 1 outputs, but reference m0 has 2"):
        compared(reference, {"scores": q})


def test_it_prints_well_and_is_json(softmax, rng):
    p, q = softmax
    labels = rng.integers(6, size=300)
    undecided = f"agreement>={(p.argmax(1) == q.argmax(1)).mean():.3f} at 95%"
    result = compared(p, np.log(q), p[::-1], labels=labels, wanted=[undecided])
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    lines = str(result).split("\n")
    assert max(map(len, lines)) < 80
    text = " ".join(" ".join(lines).split())
    assert "probabilities (reference), logits (candidate)" in text
    assert (
        "showing the 10 most confident" in text and "hit hardest, by true class" in text
    )
    assert "is undecided, at 0." in text
    assert "examples in all would show that it is met, if the value stayed" in text
    assert "is right in 15.3 % of the examples, which is not shown to be more" in text
    assert "the notes say what may mislead here" in text
    assert repr(result) == str(result)


def test_what_a_rounded_output_gives_to_chance_is_told(rng):
    """Three of nine changes were ties of an int8 model; log loss was its rounding."""
    p = rng.dirichlet(np.ones(6), size=300)
    p[0] = [0.502, 0.498, 0, 0, 0, 0]
    p[1] = [0.498, 0.502, 0, 0, 0, 0]
    q = np.round(p * 8) / 8
    result = compared(p, q / q.sum(axis=1, keepdims=True), labels=p.argmax(1))
    ties, zeros = only(result)["notes"]
    tied = (q == q.max(1, keepdims=True)).sum(1) > 1
    changed = p.argmax(1) != q.argmax(1)
    assert changed[1] and not changed[0]
    assert ties == (
        f"the candidate gives several classes the same highest value in {tied.sum()} "
        f"examples, where the first of them is taken: {(tied & changed).sum()} of the "
        f"{changed.sum()} changes of class are such ties"
    )
    assert zeros.startswith(f"{100 * (q == 0).mean():.1f} % of the candidate's prob")
    assert only(compared(p, p, labels=p.argmax(1)))["notes"] == []
    few = np.eye(2)[[0, 1, 1, 0]]  # all right, which four examples do not show
    assert only(compared(few, few, labels=few.argmax(1)))["notes"] == []
    (unlabelled,) = only(compared(p[2:], q[2:] / q[2:].sum(axis=1, keepdims=True)))[
        "notes"
    ][-1:]
    assert "log_loss_difference" not in unlabelled


@pytest.mark.parametrize(
    ("files", "begin", "end"),
    [
        (("a/base.tflite", "b/small.tflite"), "small.tflite gives", "as base.tflite"),
        (("x/f/m.tflite", "x/q/m.tflite"), "q/m.tflite gives", "as f/m.tflite"),
        (("m.tflite", "m.tflite"), "the candidate gives", "as the reference"),
        (("/m.tflite", "sub/m.tflite"), "sub/m.tflite gives", "as /m.tflite"),
    ],
)
def test_models_are_called_by_what_differs_in_their_paths(softmax, files, begin, end):
    arrays = [{"": x} for x in softmax]
    models = [{"file": f} for f in files]
    found = compare(arrays, models, None, [], Said(), 5, 0.95)
    assert found["outcome"].startswith(begin) and f" {end} for" in found["outcome"]


def test_few_examples_are_told_as_the_reason(softmax):
    """The whole interval met the limit, and "undecided" was not explained."""
    result = compared(*softmax, wanted=["jensen_shannon<=0.9 at 95%"])
    assert result["limits"][0]["interval"][1] < 0.9
    assert "a reliable interval takes at least 500 examples" in result["outcome"]


def test_labels_are_checked(softmax):
    p, q = softmax
    for labels, told in [
        (np.zeros(7), "give the 300 true classes"),
        (np.full(300, -1), "whole numbers from 0"),
        (np.full(300, 0.5), "whole numbers from 0"),
    ]:
        with pytest.raises(InputError, match=told):
            check_labels(labels, 300)
    with pytest.raises(InputError, match="go up to 6, but the models have 6 classes"):
        compared(p, q, labels=np.full(300, 6))


@pytest.mark.parametrize(
    ("classifications", "told"),
    [
        (0, "since no output is a classification"),
        (1, "accuracy goes from"),
        (2, "since 2 outputs are classifications, not one"),
    ],
)
def test_labels_that_cannot_be_used_are_told(softmax, rng, classifications, told):
    labels = rng.integers(6, size=300)
    places = rng.normal(size=(300, 4))
    given = [
        {**{f"c{i}": x for i in range(classifications)}, "places": places}
        for x in softmax
    ]
    result = compared(*given, labels=labels)
    assert told in result["outcome"]
    assert result["labels"] == (classifications == 1)


def test_what_is_said_of_outputs_is_read():
    assert Said().of("reference") == {}
    assert Said("logits", candidate="numbers").of("reference") == {None: "logits"}
    assert Said("logits", candidate="numbers").of("candidate") == {None: "numbers"}
    found = Said("a=b=numbers,c=logits").of("independent-1")
    assert found == {"a=b": "numbers", "c": "logits"}
    with pytest.raises(InputError, match="outputs cannot be 'logit'; choose from auto"):
        Said("logit").of("reference")
