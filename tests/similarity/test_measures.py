import inspect
import math
import re
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from ml_dtypes import bfloat16
from scipy.spatial.distance import jensenshannon
from scipy.stats import entropy
from sklearn.metrics import cohen_kappa_score, log_loss

from kdfunc import similarity
from kdfunc.errors import InputError
from kdfunc.similarity import (
    MEASURES,
    all_measures,
    ambiguity,
    bootstrap_measures,
    by_class,
    check_softmax,
    measure,
    pairwise,
    rashomon_capacity,
    trajectory,
)

# Four examples, three classes. The reference is right on the first and the last; the
# candidate repeats the mistake on the second, corrects the third and loses the last.
P = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.2, 0.3, 0.5], [0.5, 0.25, 0.25]])
Q = np.array([[0.6, 0.3, 0.1], [0.2, 0.5, 0.3], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5]])
LABELS = np.array([0, 2, 1, 0])


def kl_by_hand(p, q):
    return sum(a * math.log(a / b) for a, b in zip(p.flat, q.flat, strict=True)) / 4


def cosine_by_hand():
    dots = [0.49, 0.41, 0.325, 0.3125]
    squares = [(0.54, 0.46), (0.46, 0.38), (0.38, 0.375), (0.375, 0.375)]
    return sum(
        1 - d / math.sqrt(a * b) for d, (a, b) in zip(dots, squares, strict=True)
    )


BY_HAND = {
    "disagreement": 2 / 4,
    "accuracy_corrected_disagreement": 0.5 / 0.5,
    "normalized_disagreement": (0.5 - 0) / (1 - 0),
    "cohen_kappa": (0.5 - 5 / 16) / (1 - 5 / 16),
    "activation_distance": (2 * 0.02**0.5 + 0.105**0.5 + 0.125**0.5) / 4,
    "jensen_shannon": (kl_by_hand(P, (P + Q) / 2) + kl_by_hand(Q, (P + Q) / 2))
    / (2 * math.log(2)),
    "kl_forward": kl_by_hand(P, Q),
    "kl_reverse": kl_by_hand(Q, P),
    "total_variation": (0.1 + 0.1 + 0.25 + 0.25) / 4,
    "cosine_distance": cosine_by_hand() / 4,
    "surrogate_churn": (5 / 42 + 1 / 6 + 1 / 2 + 1 / 2) / 4,
    "rank_disagreement": (0 + 0 + 1 + 1) / 4,
    "top_k_agreement": (1 + 1 + 1 / 3 + 1 / 3) / 4,
    "negative_flips": 1 / 4,
    "positive_flips": 1 / 4,
    "confident_flips": 0.0,
    "copied_errors": 1 / 2,
    "copied_correct": 1 / 2,
    "accuracy_difference": 0.0,
    "log_loss_difference": (math.log(0.7 / 0.6) + math.log(0.3 / 0.5) + math.log(2))
    / 4,
    "brier_difference": (0.12 - 0.08 - 0.405 + 0.5) / 4,
    "calibration_difference": (0.4 + 0.5) / 4 - (0.3 + 0.6 + 0.0) / 4,
}


def random_softmax(seed, n=50, classes=4, sharpness=2.0):
    logits = sharpness * np.random.default_rng(seed).normal(size=(n, classes))
    odds = np.exp(logits)
    return odds / odds.sum(axis=1, keepdims=True)


@st.composite
def two_models(draw):
    """Two models with many zeros and ties, and labels."""
    shape = draw(st.tuples(st.integers(1, 6), st.integers(2, 7)))
    weights = hnp.arrays(np.int64, shape, elements=st.integers(0, 3))
    p, q = draw(weights), draw(weights)
    p[p.sum(axis=1) == 0, 0] = 1
    q[q.sum(axis=1) == 0, -1] = 1
    labels = draw(hnp.arrays(np.int64, shape[0], elements=st.integers(0, shape[1] - 1)))
    return p / p.sum(axis=1, keepdims=True), q / q.sum(axis=1, keepdims=True), labels


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_by_hand(name):
    assert measure(name, P, Q, LABELS) == pytest.approx(BY_HAND[name], abs=1e-12)


def test_all_measures_are_the_single_ones_and_go_without_labels():
    values = all_measures(P, Q, LABELS)
    assert values == {name: measure(name, P, Q, LABELS) for name in MEASURES}
    unlabelled = all_measures(P, Q)
    assert unlabelled == {name: values[name] for name in unlabelled}
    assert set(MEASURES) - set(unlabelled) == {
        name for name, m in MEASURES.items() if m.needs_labels
    }


@given(two_models())
@settings(max_examples=100, deadline=None)
def test_bounds_symmetry_and_identity(case):
    p, q, labels = case
    there, back = all_measures(p, q, labels), all_measures(q, p, labels)
    itself = all_measures(p, p, labels)
    for name, m in MEASURES.items():
        if math.isnan(there[name]):
            assert name in {
                "accuracy_corrected_disagreement",
                "copied_errors",
                "copied_correct",
            }
        else:
            assert m.low - 1e-12 <= there[name] <= m.high + 1e-12, name
        if m.symmetric:
            assert there[name] == pytest.approx(back[name], abs=1e-12), name
        if m.identity is None:
            assert there[name] == pytest.approx(-back[name], abs=1e-12), name
        if not math.isnan(itself[name]):
            assert itself[name] == (m.identity or 0), name


def test_agrees_with_scikit_learn_and_scipy():
    p, q = random_softmax(0, 200), random_softmax(1, 200)
    labels = np.random.default_rng(2).integers(4, size=200)
    values = all_measures(p, q, labels)
    expected = {
        "cohen_kappa": cohen_kappa_score(p.argmax(1), q.argmax(1)),
        "jensen_shannon": np.mean(jensenshannon(p, q, axis=1, base=2) ** 2),
        "kl_forward": entropy(p, q, axis=1).mean(),
        "kl_reverse": entropy(q, p, axis=1).mean(),
        "log_loss_difference": log_loss(labels, q) - log_loss(labels, p),
    }
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, rel=1e-10), name


def test_jensen_shannon_with_zeros():
    p = np.array([[1.0, 0.0], [1.0, 0.0]])
    q = np.array([[0.0, 1.0], [0.5, 0.5]])
    half = -(0.75 * math.log2(0.75) + 0.25 * math.log2(0.25)) - 0.5
    assert measure("jensen_shannon", p, q) == pytest.approx((1 + half) / 2)


def test_zero_probabilities_are_clipped_in_kl_and_log_loss():
    p, q, labels = np.array([[1.0, 0.0]]), np.array([[0.0, 1.0]]), np.array([0])
    for name in ("kl_forward", "kl_reverse", "log_loss_difference"):
        assert measure(name, p, q, labels) == pytest.approx(-math.log(1e-7)), name


def test_kl_directions():
    p, q = np.array([[0.5, 0.5]]), np.array([[0.9, 0.1]])
    forward = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    assert measure("kl_forward", p, q) == pytest.approx(forward)
    assert measure("kl_reverse", q, p) == pytest.approx(forward)


def test_clipping_makes_no_divergence_negative():
    p, q = np.array([[1 - 1e-8, 1e-8]]), np.array([[1.0, 0.0]])
    assert measure("kl_forward", p, q) == measure("kl_reverse", q, p) == 0


def test_many_ties_rank_by_the_number_of_the_class():
    tied, falling = np.full((1, 200), 1 / 200), np.arange(200.0, 0, -1)[None]
    falling = falling / falling.sum()
    assert measure("rank_disagreement", tied, falling) == 0
    assert measure("top_k_agreement", tied, falling) == 1


def test_ties_go_to_the_lowest_class():
    tied, first = np.array([[0.4, 0.4, 0.2]]), np.array([[0.5, 0.3, 0.2]])
    assert measure("disagreement", tied, first) == 0
    assert measure("rank_disagreement", tied, first) == 0
    assert measure("disagreement", tied[:, ::-1], np.array([[0.0, 0.0, 1.0]])) == 1


def test_two_models_that_predict_one_class_throughout():
    p = np.tile([0.9, 0.1], (5, 1))
    values = all_measures(p, np.tile([0.8, 0.2], (5, 1)), np.zeros(5, int))
    assert values["cohen_kappa"] == 1
    assert values["disagreement"] == 0
    assert values["accuracy_corrected_disagreement"] == 0
    assert values["normalized_disagreement"] == 0
    assert values["copied_correct"] == 1
    assert math.isnan(values["copied_errors"])


def test_accuracy_correction_is_by_the_candidate():
    one, two = np.eye(3)[[0, 0, 0, 0]], np.eye(3)[[0, 0, 0, 1]]
    labels = np.array([0, 0, 0, 0])
    assert measure("accuracy_corrected_disagreement", one, two, labels) == 1
    assert math.isnan(measure("accuracy_corrected_disagreement", two, one, labels))


def test_normalized_disagreement_at_its_bounds():
    labels = np.array([0, 0, 0, 0])
    p = np.eye(3)[[1, 0, 0, 0]]
    nested, apart = np.eye(3)[[1, 1, 0, 0]], np.eye(3)[[0, 1, 1, 0]]
    assert measure("normalized_disagreement", p, nested, labels) == 0
    assert measure("normalized_disagreement", p, apart, labels) == 1


@pytest.mark.parametrize(("e", "f"), [(0.8, 0.8), (0.9, 0.6), (0.3, 0.4), (0.5, 0.5)])
@pytest.mark.parametrize("classes", [2, 3])
def test_normalized_disagreement_reaches_its_ends_whatever_the_error_rates(
    classes, e, f
):
    """Of ten images: errors as far apart as they can be, and one within the other."""
    labels = np.zeros(10, int)
    p_wrong, q_wrong = np.arange(10) < 10 * e, np.arange(10) >= 10 - 10 * f
    both = p_wrong & q_wrong
    q_class = np.where(both & (classes > 2), 2, 1)  # another wrong class, if there is
    p = np.eye(classes)[np.where(p_wrong, 1, 0)]
    q = np.eye(classes)[np.where(q_wrong, q_class, 0)]
    assert measure("normalized_disagreement", p, q, labels) == pytest.approx(1)
    least = np.eye(classes)[np.where(np.arange(10) < 10 * f, 1, 0)]
    assert measure("normalized_disagreement", p, least, labels) == 0


def test_two_classes_are_known_in_resamples_too():
    """Error rates 0.8 and 0.8: all disagreement that two classes allow is 0.4."""
    p = np.eye(2)[np.repeat([1, 1, 0], [20, 60, 20])]
    q = np.eye(2)[np.repeat([0, 1, 1], [20, 60, 20])]
    labels = np.zeros(100, int)
    assert measure("disagreement", p, q) == 0.4
    estimate = bootstrap_measures(p, [q], labels, names=["normalized_disagreement"])
    assert estimate["normalized_disagreement"].value == 1
    lowest = np.nanmin(estimate["normalized_disagreement"].replicates)
    assert lowest == pytest.approx(1)


@pytest.mark.parametrize("classes", [2, 5])
def test_surrogate_churn_is_at_most_half_the_classes(classes):
    p = np.eye(classes)[:1]
    q = (1 - p) / (classes - 1)
    assert measure("surrogate_churn", p, q) == pytest.approx(classes / 2)
    assert MEASURES["surrogate_churn"].high_formula == "C / 2"


def test_same_wrong_class_is_a_copied_error_another_is_not():
    labels = np.array([0, 0])
    p, q = np.eye(3)[[1, 1]], np.eye(3)[[1, 2]]
    assert measure("copied_errors", p, q, labels) == 0.5


def test_calibration_error_by_hand():
    # Reference: certain and right, ECE 0. Candidate: 0.8 sure in one bin, half of it
    # right (|0.5 - 0.8|), and 0.6 sure in another, all of it right (|1 - 0.6|).
    labels = np.array([0, 0, 0, 0])
    q = np.array([[0.8, 0.2], [0.2, 0.8], [0.61, 0.39], [0.61, 0.39]])
    value = measure("calibration_difference", np.eye(2)[labels], q, labels)
    assert value == pytest.approx(0.5 * 0.3 + 0.5 * 0.39)


def test_a_calibration_bin_includes_its_upper_end():
    # 0.8 is the upper end of the twelfth bin of fifteen, where 0.75 lies, too.
    q, labels = np.array([[0.8, 0.2], [0.25, 0.75]]), np.array([0, 0])
    value = measure("calibration_difference", np.eye(2)[labels], q, labels)
    assert value == pytest.approx(abs((1 - 0.8) + (0 - 0.75)) / 2)


def test_top_k_takes_five_classes():
    order = np.arange(10)
    p = (10.0 - order) / 55
    swapped = p[[5, 1, 2, 3, 4, 0, 6, 7, 8, 9]]  # the sixth takes the first's place
    assert measure("top_k_agreement", p[None], swapped[None]) == pytest.approx(4 / 6)


def test_by_class_is_the_measure_on_the_examples_of_the_class():
    p, q = random_softmax(3, classes=5), random_softmax(4, classes=5)
    labels = np.random.default_rng(5).integers(4, size=50)  # class 4 has no examples
    values = by_class(p, q, labels)
    assert list(values) == list(MEASURES)
    for name, value in values.items():
        alone = [
            measure(name, p[labels == c], q[labels == c], labels[labels == c])
            for c in range(4)
        ]
        np.testing.assert_allclose(value, [*alone, np.nan], atol=1e-12, err_msg=name)


def test_trajectory_is_the_measure_of_each_snapshot():
    records = np.stack([random_softmax(seed) for seed in range(3)])
    labels = np.random.default_rng(6).integers(4, size=50)
    values = trajectory(records[0], records, labels)
    for i, record in enumerate(records):
        expected = all_measures(records[0], record, labels)
        assert {name: value[i] for name, value in values.items()} == expected


def test_pairwise_is_the_measure_of_each_pair_in_its_direction():
    models = [random_softmax(seed) for seed in range(3)]
    labels = np.random.default_rng(7).integers(4, size=50)
    matrices = pairwise(models, labels=labels)
    assert list(matrices) == list(MEASURES)
    for name, matrix in matrices.items():
        expected = [[measure(name, p, q, labels) for q in models] for p in models]
        np.testing.assert_allclose(matrix, expected, atol=1e-12, err_msg=name)


def test_chosen_names_only():
    names = ["kl_forward", "disagreement"]
    assert list(pairwise([P, Q], names=names)) == names
    assert list(trajectory(P, [P, Q], names=names)) == names
    assert list(by_class(P, Q, LABELS, names=names)) == names


def test_ambiguity_is_the_share_of_examples_any_model_changes():
    base = np.eye(3)[[0, 0, 0, 0]]
    models = [base, np.eye(3)[[1, 0, 0, 0]], np.eye(3)[[2, 0, 1, 0]]]
    assert ambiguity(models) == 0.5
    assert pairwise(models, names=["disagreement"])["disagreement"].max() == 0.5
    assert ambiguity([base, base]) == 0


@pytest.mark.parametrize(
    ("models", "capacity"),
    [
        ([[0.3, 0.3, 0.4]] * 3, 0),
        (np.eye(3), math.log2(3)),  # the answer gives the model away
        ([[1, 0], [0, 1], [0.5, 0.5]], 1),  # the third adds nothing
        ([[0.9, 0.1], [0.1, 0.9]], 1 + 0.9 * math.log2(0.9) + 0.1 * math.log2(0.1)),
        ([[1, 0], [0.5, 0.5]], math.log2(5 / 4)),  # Z-channel: weights 3/5 and 2/5
    ],
)
def test_rashomon_capacity_of_known_channels(models, capacity):
    models = np.array(models, np.float64)[:, None]
    assert rashomon_capacity(models, 1e-9) == pytest.approx(capacity, abs=1e-9)


def test_rashomon_capacity_is_at_least_the_divergence_of_any_pair():
    p, q, r = (random_softmax(seed) for seed in range(3))
    pair, three = rashomon_capacity([p, q]), rashomon_capacity([p, q, r])
    assert measure("jensen_shannon", p, q) <= pair + 1e-4 < three <= math.log2(3)
    rows = [rashomon_capacity([p[i : i + 1], q[i : i + 1]]) for i in range(50)]
    assert pair == pytest.approx(np.mean(rows))


def test_blocks_of_a_memory_map_give_the_value_of_one_block(monkeypatch, tmp_path):
    p, q = random_softmax(8), random_softmax(9)
    labels = np.random.default_rng(10).integers(4, size=50)
    whole = all_measures(p, q, labels), by_class(p, q, labels), ambiguity([p, q])
    np.save(tmp_path / "p.npy", p)
    mapped = np.load(tmp_path / "p.npy", mmap_mode="r")
    monkeypatch.setattr("kdfunc.similarity.softmax.BLOCK_SIZE", 28)  # seven rows
    assert all_measures(mapped, q, labels) == pytest.approx(whole[0], abs=1e-12)
    for name, values in by_class(mapped, q, labels).items():
        np.testing.assert_allclose(values, whole[1][name], atol=1e-12)
    assert ambiguity([mapped, q]) == whole[2]


def test_float32_is_summed_in_float64():
    p = np.tile(np.float32([0.1, 0.9]), (30_000, 1))
    q = np.tile(np.float32([0.2, 0.8]), (30_000, 1))
    one = measure("total_variation", p[:1], q[:1])
    assert measure("total_variation", p, q) == pytest.approx(one, rel=1e-13)


@pytest.mark.parametrize("classes", [2, 10, 100, 1000])
def test_float16_and_integer_softmax_are_accepted(classes):
    p = random_softmax(11, classes=classes)
    half = check_softmax(p.astype(np.float16))
    np.testing.assert_allclose(half, p, atol=1e-3)
    # Softmax of TFLite integer models: steps of 1/256, at most 255/256.
    eight_bit = np.rint(p * 256).clip(max=255) / 256
    eight_bit = eight_bit[eight_bit.sum(axis=1) > 0].astype(np.float32)
    np.testing.assert_allclose(check_softmax(eight_bit).sum(axis=1), 1)


def test_16_bit_softmax_may_be_off_by_its_rounding():
    p = np.full((1, 100), 328 / 32768, np.float32)
    p[0, :17] += 1 / 32768
    assert p.sum() - 1 > 1e-3
    np.testing.assert_allclose(check_softmax(p).sum(), 1)
    p[0, :50] += 1 / 32768
    with pytest.raises(InputError, match="sums to 1.003"):
        check_softmax(p)


@pytest.mark.parametrize("classes", [2, 10, 1000])
def test_bfloat16_softmax_may_be_off_by_its_rounding(classes):
    x = np.random.default_rng(3).normal(0, 10, [2000, classes])
    e = np.exp((x - x.max(axis=1, keepdims=True)).astype(bfloat16))
    p = e / e.astype(np.float32).sum(axis=1, keepdims=True).astype(bfloat16)
    assert p.dtype == bfloat16
    sums = p.astype(np.float64).sum(axis=1)
    assert np.abs(sums - 1).max() > 4e-3
    for kept in (p, p.astype(np.float32)):
        np.testing.assert_allclose(check_softmax(kept).sum(axis=1), 1)
    with pytest.raises(InputError, match="sums to 1.00"):
        check_softmax(np.nextafter(p[sums > 1.002].astype(np.float32), 1))
    with pytest.raises(InputError, match="sums to 1.01"):
        check_softmax(np.float32([[0.5, 0.51171875]]))


def bad(value, row=30, column=1):
    p = random_softmax(12)
    p[row, column] = value
    return p


@pytest.mark.parametrize(
    ("q", "message"),
    [
        (bad(np.nan), "q has nan in row 30"),
        (bad(np.inf), "q has inf in row 30"),
        (bad(-0.2), "q has -0.2 in row 30"),
        (bad(1.5, row=41), "q has 1.5 in row 41"),
        (random_softmax(12) * 0.9, r"q sums to 0\.9 in row 0"),
        (np.zeros((50, 4)), "q sums to 0 in row 0"),
        (np.log(random_softmax(12)), r"q has -\d.* in row 0.* look like logits"),
        (random_softmax(12)[:40], r"q has shape \(40, 4\) but p has \(50, 4\)"),
    ],
)
def test_refused_outputs_name_the_array_and_the_row(monkeypatch, q, message):
    monkeypatch.setattr("kdfunc.similarity.softmax.BLOCK_SIZE", 28)
    with pytest.raises(InputError, match=message):
        all_measures(random_softmax(13), q)


def test_logits_are_told_what_they_look_like():
    logits = np.random.default_rng(1).normal(0, 4, (50, 4))
    with pytest.raises(InputError) as error:
        measure("disagreement", random_softmax(13), logits)
    assert str(error.value).endswith(
        "probabilities lie between 0 and 1. These look like logits; give their "
        "softmax, scipy.special.softmax(q, axis=1)."
    )
    for other in (bad(-0.2), 100 * random_softmax(12), bad(np.nan)):
        with pytest.raises(InputError) as error:
            measure("disagreement", random_softmax(13), other)
        assert "logits" not in str(error.value)


def test_one_thing_where_a_list_is_meant_is_not_taken_apart():
    with pytest.raises(
        InputError, match=r"names: .*give a list, such as \['kl_forward'\]"
    ):
        pairwise([P, Q], names="kl_forward")
    for call in (pairwise, ambiguity, rashomon_capacity):
        with pytest.raises(
            InputError, match=r"models is one array \[4, 3\]; give a list"
        ):
            call(P)
    with pytest.raises(InputError, match="records is one array"):
        trajectory(P, Q)
    with pytest.raises(InputError, match="candidates is one array"):
        bootstrap_measures(P, Q)
    with pytest.raises(InputError, match="independents is one array"):
        similarity.function_preserved(P, [Q], P)


def test_names_are_a_keyword_everywhere():
    for name in similarity.__all__:
        found = getattr(similarity, name)
        if inspect.isfunction(found) and "names" in inspect.signature(found).parameters:
            names = inspect.signature(found).parameters["names"]
            assert names.kind is names.KEYWORD_ONLY and names.default is None, name


@pytest.mark.parametrize("shape", [(5,), (0, 3), (5, 1), (2, 5, 3)])
def test_refused_shapes(shape):
    p = np.full(shape, 0.5)
    with pytest.raises(InputError, match=re.escape(f"p has shape {shape}")):
        all_measures(p, p)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([0, 1, 3, 0], "labels have 3 in row 2"),
        ([0, 1, -1, 0], "labels have -1 in row 2"),
        ([0, 1], "labels have shape"),
        (np.eye(3)[LABELS], "labels have shape"),
        ([0.0, 1.0, 2.5, 0.0], "labels have 2.5 in row 2"),
        (["a", "b", "c", "a"], "type <U1"),
    ],
)
def test_refused_labels(labels, message):
    with pytest.raises(InputError, match=message):
        by_class(P, Q, labels)


@pytest.mark.parametrize("alike", [LABELS[:, None], LABELS.astype(float)])
def test_labels_as_other_libraries_give_them(alike):
    for name, shares in by_class(P, Q, LABELS).items():
        np.testing.assert_array_equal(by_class(P, Q, alike)[name], shares)


def test_refused_names():
    with pytest.raises(InputError, match="did you mean jensen_shannon[?]"):
        measure("jensen-shannon", P, Q)
    with pytest.raises(InputError, match="measure: got 'accuracy'; allowed: disagree"):
        measure("accuracy", P, Q)
    with pytest.raises(InputError, match="'negative_flips' needs labels"):
        measure("negative_flips", P, Q)
    with pytest.raises(InputError, match="no models"):
        pairwise([])


def test_numpy_is_enough():
    code = (
        "import sys; import kdfunc.similarity; "
        "print(*{'scipy', 'pandas', 'sklearn', 'tensorflow'} & set(sys.modules))"
    )
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True
    )
    assert loaded.returncode == 0 and loaded.stdout.strip() == ""


def test_a_record_that_is_no_softmax_is_named():
    with pytest.raises(InputError, match=r"records\[1\] sums to 2 in row 0"):
        trajectory(P, [P, np.full((4, 2), 1.0) @ np.eye(2, 3)])


def test_many_classes_take_no_square_of_memory(rng):
    """60,000 classes: an identity matrix of them would have 26.8 GiB."""
    p, q = rng.dirichlet(np.ones(60_000), (2, 2))
    labels = np.array([0, 59_999])
    tracemalloc.start()
    values = all_measures(p, q, labels)
    estimates = bootstrap_measures(p, [q], labels, resamples=500)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 200 << 20
    assert values["cohen_kappa"] == 0 and values["disagreement"] == 1
    truth = np.zeros_like(p)
    truth[[0, 1], labels] = 1
    expected = (np.square(q - truth) - np.square(p - truth)).sum(axis=1).mean()
    assert values["brier_difference"] == pytest.approx(expected)
    assert estimates["brier_difference"].value[0] == pytest.approx(expected)
