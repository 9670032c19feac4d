import numpy as np
import pytest
from scipy.stats import binom, bootstrap

from kdfunc.errors import InputError
from kdfunc.similarity import (
    MEASURES,
    Estimate,
    bootstrap_measures,
    divergences,
    function_preserved,
    measure,
)
from kdfunc.similarity.bootstrap import resample_counts

N = 40
RNG = np.random.default_rng(0)
LABELS = RNG.integers(3, size=N)
REFERENCE, *MODELS = RNG.dirichlet(np.ones(3), size=(5, N))


def disagreeing(n, differ):
    """Reference and candidate that disagree on the first examples."""
    return np.eye(2)[np.zeros(n, int)], np.eye(2)[(np.arange(n) < differ).astype(int)]


def test_counts_are_resamples_with_replacement(monkeypatch):
    monkeypatch.setitem(resample_counts.__globals__, "BLOCK_SIZE", 700)
    blocks = list(resample_counts(100, 3000, np.random.default_rng(0)))
    counts = np.concatenate(blocks)
    assert len(blocks[0]) == 7 and counts.shape == (3000, 100)
    assert (counts.sum(axis=1) == 100).all()
    assert counts.mean(axis=0) == pytest.approx(np.ones(100), abs=0.1)
    assert counts.var() == pytest.approx(0.99, abs=0.02)


@pytest.mark.parametrize("name", MEASURES)
def test_replicates_are_the_measure_on_the_resampled_examples(name):
    estimate = bootstrap_measures(
        REFERENCE, MODELS, LABELS, resamples=5, seed=3, names=[name]
    )[name]
    (counts,) = resample_counts(N, 5, np.random.default_rng(3))
    for i, q in enumerate(MODELS):
        assert estimate.value[i] == pytest.approx(measure(name, REFERENCE, q, LABELS))
        for count, replicate in zip(counts, estimate.replicates[:, i], strict=True):
            rows = np.repeat(np.arange(N), count.astype(int))
            value = measure(name, REFERENCE[rows], q[rows], LABELS[rows])
            assert replicate == pytest.approx(value, abs=1e-12)


def test_sparse_components_change_nothing(monkeypatch):
    """Cohen's kappa of 100 classes, for which sums are of whole numbers: exact."""
    monkeypatch.setattr("kdfunc.similarity.softmax.BLOCK_SIZE", 1000)  # 10 rows
    rng = np.random.default_rng(0)
    reference, *models = rng.dirichlet(np.full(100, 0.01), size=(4, 95))
    estimates = []
    for threshold in (64, 1000):
        monkeypatch.setattr("kdfunc.similarity.bootstrap.SPARSE_FROM", threshold)
        estimates.append(
            bootstrap_measures(reference, models, resamples=20, names=["cohen_kappa"])[
                "cohen_kappa"
            ]
        )
    thin, full = estimates
    np.testing.assert_array_equal(thin.value, full.value)
    np.testing.assert_array_equal(thin.replicates, full.replicates)
    expected = [measure("cohen_kappa", reference, model) for model in models]
    assert thin.value == pytest.approx(expected)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_interval_of_a_proportion_is_the_binomial_one(confidence):
    n, share = 500, 0.3
    p, q = disagreeing(n, 150)
    estimate = bootstrap_measures(p, [q], confidence=confidence, names=["disagreement"])
    estimate = estimate["disagreement"]
    low, high = binom.interval(confidence, n, share)
    assert estimate.value == pytest.approx([share])
    assert estimate.low == pytest.approx([low / n], abs=2 / n)
    assert estimate.high == pytest.approx([high / n], abs=2 / n)
    error = np.sqrt(share * (1 - share) / n)
    assert estimate.replicates.std() == pytest.approx(error, rel=0.03)


def test_the_bootstrap_is_scipys():
    """The same draws of the same generator, so the same replicates and interval.

    scipy's would go through all examples once per resample and measure: sums over
    counts of examples serve all models and measures with one product of matrices.
    """
    estimate = bootstrap_measures(
        REFERENCE, MODELS[:2], names=["jensen_shannon"], resamples=500, seed=3
    )["jensen_shannon"]
    each = [divergences(REFERENCE, model) for model in MODELS[:2]]
    expected = bootstrap(
        each,
        lambda x, y, axis: np.stack([x.mean(axis), y.mean(axis)]),
        paired=True,
        n_resamples=500,
        method="percentile",
        vectorized=True,
        random_state=np.random.default_rng(3),
    )
    np.testing.assert_allclose(
        estimate.replicates, expected.bootstrap_distribution.T, rtol=1e-12
    )
    low, high = expected.confidence_interval
    np.testing.assert_allclose([estimate.low, estimate.high], [low, high], rtol=1e-12)


def test_candidates_and_measures_share_the_resamples():
    names = ["disagreement", "total_variation"]
    p, q = disagreeing(100, 30)
    both = bootstrap_measures(p, [q, q], resamples=200, names=names)
    difference = both["disagreement"].derive(lambda x: x[..., 0] - x[..., 1])
    assert difference.value == difference.low == difference.high == 0
    assert both["disagreement"].low[0] < both["disagreement"].high[0]
    # One-hot outputs: the two measures are equal on every resample.
    np.testing.assert_allclose(*(both[name].replicates for name in names))
    alone = bootstrap_measures(p, [q], resamples=200, names=["disagreement"])[
        "disagreement"
    ]
    np.testing.assert_array_equal(
        alone.replicates[:, 0], both["disagreement"].replicates[:, 1]
    )


def test_pairing_narrows_the_interval_of_a_difference():
    p, worse = disagreeing(200, 60)
    _, better = disagreeing(200, 58)
    estimate = bootstrap_measures(p, [worse, better], names=["disagreement"])[
        "disagreement"
    ]
    difference = estimate.derive(lambda x: x[..., 0] - x[..., 1])
    width, single = difference.high - difference.low, estimate.high - estimate.low
    assert difference.value == pytest.approx(0.01)
    assert width < single.min() / 2


def test_the_seed_fixes_the_interval():
    def replicates(seed):
        estimates = bootstrap_measures(REFERENCE, MODELS, resamples=50, seed=seed)
        return estimates["jensen_shannon"].replicates

    np.testing.assert_array_equal(replicates(1), replicates(1))
    assert (replicates(1) != replicates(2)).any()


def test_identical_models_have_no_uncertainty():
    for name, estimate in bootstrap_measures(
        REFERENCE, [REFERENCE], LABELS, resamples=50
    ).items():
        expected = MEASURES[name].identity or 0
        assert estimate.low == estimate.value == estimate.high == expected, name


def test_intervals_of_a_calibration_difference_cover_the_truth():
    """Resampling repeats its bias, so that percentiles cover it in half of these."""
    covered, n = 0, 1000
    for seed in range(20):
        rng = np.random.default_rng(seed)
        sure = rng.uniform(0.7, 0.95, (2, n))
        top = np.where(rng.random((2, n)) < sure - [[0.15], [0]], 0, 1)  # 0 is right
        p, q = (
            np.where(np.arange(2) == each[:, None], s[:, None], 1 - s[:, None])
            for each, s in zip(top, sure, strict=True)
        )
        found = bootstrap_measures(
            p, [q], np.zeros(n, int), names=["calibration_difference"], resamples=200
        )["calibration_difference"]
        assert found.low[0] < found.value[0] < found.high[0]
        covered += found.low[0] < -0.15 < found.high[0]
    assert covered >= 15


def test_undefined_replicates_are_left_out():
    _, p = disagreeing(10, 1)
    labels = np.zeros(10, int)  # one mistake, missing from a third of the resamples
    estimate = bootstrap_measures(p, [p], labels, names=["copied_errors"])[
        "copied_errors"
    ]
    assert np.isnan(estimate.replicates).mean() == pytest.approx(0.9**10, abs=0.03)
    assert estimate.low == estimate.high == 1
    right = bootstrap_measures(
        p[1:], [p[1:]], labels[1:], resamples=9, names=["copied_errors"]
    )
    assert np.isnan([right["copied_errors"].value, right["copied_errors"].high]).all()


def test_function_preserved_from_the_base_to_the_independents():
    # Sure of most answers, so that there are confident flips to measure by, too.
    reference, *independents = RNG.dirichlet(np.full(3, 0.2), size=(3, N))
    candidates = [reference, *independents, (reference + independents[0]) / 2]
    values = function_preserved(
        reference, candidates, independents, LABELS, resamples=200
    )
    assert set(values) == {n for n, m in MEASURES.items() if m.identity is not None}
    for name, found in values.items():
        assert found.value[0] == found.low[0] == found.high[0] == 100, name
        assert found.ratio[1:3].mean() == pytest.approx(1), name
    mixture = values["total_variation"]
    assert mixture.ratio[3] == pytest.approx(mixture.ratio[1] / 2)
    assert mixture.value[3] == pytest.approx(100 * (1 - mixture.ratio[3]))
    assert mixture.low[3] < mixture.value[3] < mixture.high[3] < 100
    assert mixture.rests_on[3] == "1 model, 2 independent models"


def test_function_preserved_of_an_agreement_uses_its_distance_from_1():
    values = function_preserved(
        REFERENCE, MODELS[:1], MODELS[1:3], resamples=9, names=["cohen_kappa"]
    )
    kappas = [measure("cohen_kappa", REFERENCE, q) for q in MODELS[:3]]
    expected = (1 - kappas[0]) / (1 - np.mean(kappas[1:]))
    assert values["cohen_kappa"].ratio == pytest.approx([expected])


def test_function_preserved_needs_independents_that_differ():
    values = function_preserved(
        REFERENCE, MODELS[:1], [REFERENCE], resamples=9, names=["disagreement"]
    )
    assert np.isnan(values["disagreement"].value).all()
    assert np.isnan(values["disagreement"].low).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"confidence": 95}, "confidence is 95"),
        ({"resamples": 0}, "resamples is 0"),
        ({"candidates": []}, "no candidates"),
        ({"candidates": MODELS[0]}, r"candidates is one array \[40, 3\]"),
        ({"candidates": [MODELS[0], -MODELS[1]]}, r"candidates\[1\] has -.* in row 0"),
        ({"names": ["negative_flips"]}, "needs labels"),
    ],
)
def test_refused_arguments(arguments, message):
    defaults = {"names": ["disagreement"], "candidates": MODELS, "resamples": 9}
    with pytest.raises(InputError, match=message):
        bootstrap_measures(reference=REFERENCE, **(defaults | arguments))


def test_function_preserved_refuses_differences_in_quality():
    with pytest.raises(InputError, match="'accuracy_difference' is a difference"):
        function_preserved(
            REFERENCE,
            MODELS,
            MODELS,
            LABELS,
            resamples=9,
            names=["accuracy_difference"],
        )
    with pytest.raises(InputError, match="no independent models"):
        function_preserved(REFERENCE, MODELS, [], resamples=9, names=["disagreement"])


def test_estimates_print_as_value_and_interval():
    estimate = Estimate(
        np.array([0.5, 0.25]), np.array([[0.5, 0.25], [0.25, 0.125]] * 500), 0.9
    )
    assert repr(estimate) == (
        "Estimate(0.5 [0.25, 0.5], 0.25 [0.125, 0.25]; 90 % intervals)"
    )
    difference = estimate.derive(lambda x: x[..., 0] - x[..., 1])
    assert str(difference) == "Estimate(0.25 [0.125, 0.25]; 90 % intervals)"
    many = estimate.derive(lambda x: np.repeat(x, 20, axis=-1))
    assert len(repr(many)) < 300 and "... 40 in all" in repr(many)


def test_function_preserved_prints_in_words():
    found = function_preserved(
        REFERENCE, [REFERENCE], MODELS[:2], resamples=9, names=["disagreement"]
    )
    assert repr(found["disagreement"]) == (
        "FunctionPreserved(preserves 100.0 [100.0, 100.0] % of the base model's "
        "function)"
    )
