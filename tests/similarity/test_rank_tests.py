from itertools import combinations, permutations, product

import numpy as np
import pytest
from scipy.stats import (
    PermutationMethod,
    mannwhitneyu,
    permutation_test,
    somersd,
    spearmanr,
)

from kdfunc.errors import InputError
from kdfunc.similarity.rank_tests import (
    cliffs_delta,
    holm,
    jonckheere_terpstra,
    mann_whitney,
    smallest_p,
    spearman,
)

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("x", "y", "delta"),
    [
        ([4, 5, 6], [1, 2, 3], 1),
        ([1, 2], [3], -1),
        ([1, 2, 3], [1, 2, 3], 0),
        ([1, 4], [2, 3], 0),
        ([1, 2, 2], [2, 3], -4 / 6),  # two ties, four pairs below
        ([2, 5, 6], [1, 3], 4 / 6),  # five above, one below
    ],
)
def test_cliffs_delta_by_hand(x, y, delta):
    assert cliffs_delta(x, y) == pytest.approx(delta)
    assert cliffs_delta(y, x) == pytest.approx(-delta)


def test_holm_by_hand():
    # Times 4, 3, 2, 1 in order of size, never falling, at most 1.
    np.testing.assert_allclose(
        holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02]
    )
    np.testing.assert_allclose(holm([0.5, 0.6]), [1, 1])
    np.testing.assert_allclose(holm([0.2]), [0.2])
    assert holm([]).shape == (0,)


@pytest.mark.parametrize(
    ("sizes", "p"),
    [
        ((3, 3), 0.1),
        ((3, 2), 0.2),
        ((1, 1), 1),
        ((4, 4), 2 / 70),
        ((3, 3, 3), 2 / 1680),
    ],
)
def test_smallest_p_counts_the_arrangements(sizes, p):
    assert smallest_p(*sizes) == pytest.approx(p)


@pytest.mark.parametrize("sizes", [(3, 3), (3, 2), (4, 5)])
def test_smallest_p_is_that_of_separated_samples(sizes):
    x, y = np.arange(sizes[0]), 100 + np.arange(sizes[1])
    assert mann_whitney(x, {"c": y})[0].p == pytest.approx(smallest_p(*sizes))
    trend = jonckheere_terpstra([x, y])
    assert trend.p == pytest.approx(smallest_p(*sizes))


def test_u_tests_are_scipys_with_holms_correction():
    sample = RNG.normal(size=6)
    controls = {name: RNG.normal(i, size=5) for i, name in enumerate("abc")}
    tests = mann_whitney(sample, controls)
    assert [test.control for test in tests] == ["a", "b", "c"]
    exact = [mannwhitneyu(sample, c, method="exact") for c in controls.values()]
    assert [test.u for test in tests] == [result.statistic for result in exact]
    np.testing.assert_allclose([t.p for t in tests], [r.pvalue for r in exact])
    np.testing.assert_allclose(
        [t.adjusted_p for t in tests], holm([r.pvalue for r in exact])
    )
    for test, control in zip(tests, controls.values(), strict=True):
        assert test.delta == pytest.approx(2 * test.u / 30 - 1)
        assert test.delta == cliffs_delta(sample, control)


def test_u_test_with_ties_is_exact():
    (test,) = mann_whitney([1, 1, 1], {"c": [2, 2, 2]})
    assert (test.p, test.delta) == (pytest.approx(0.1), -1)  # normal theory: 0.047
    (test,) = mann_whitney([1, 2], {"c": [2, 3]})
    values = np.array([1, 2, 2, 3])
    sums = [sum(values[list(dealt)]) for dealt in combinations(range(4), 2)]
    assert test.p == pytest.approx(2 * np.mean(np.array(sums) <= 3))
    (test,) = mann_whitney([1], {"c": [1]})
    assert (test.u, test.delta, test.p) == (0.5, 0, 1)


@pytest.mark.parametrize("sizes", [(3, 3), (2, 5), (4, 4)])
def test_tied_u_tests_are_scipys_permutation_method(sizes):
    sample, control = (RNG.integers(4, size=size) for size in sizes)
    expected = mannwhitneyu(sample, control, method=PermutationMethod())
    (test,) = mann_whitney(sample, {"c": control})
    assert (test.u, test.p) == pytest.approx((expected.statistic, expected.pvalue))


@pytest.mark.parametrize("kind", ["independent", "samples"])
@pytest.mark.parametrize("ties", [False, True])
def test_trends_are_scipys_permutation_test(kind, ties):
    groups = RNG.integers(4, size=(3, 3)) if ties else RNG.normal(size=(3, 3))

    def in_order(*groups):
        pairs = combinations(groups, 2)
        if kind == "samples":
            return sum(np.sign(b - a).sum() for a, b in pairs)
        return sum(np.sign(np.subtract.outer(b, a)).sum() for a, b in pairs)

    expected = permutation_test(
        tuple(groups), in_order, permutation_type=kind, vectorized=False
    )
    trend = jonckheere_terpstra(groups, matched=kind == "samples")
    assert trend.p == pytest.approx(expected.pvalue)


def test_three_against_three_cannot_be_significant():
    tests = mann_whitney([7, 8, 9], {"near": [4, 5, 6], "far": [1, 2, 3]})
    for test in tests:
        assert test.delta == 1 and test.p == pytest.approx(0.1)
        assert test.adjusted_p == test.smallest_p == pytest.approx(0.2)
        assert "cannot reach significance with 3 against 3" in str(test)


def test_smallest_p_of_a_family_is_reachable_and_least():
    sample = np.arange(6) + 100
    separated = {"few": np.arange(2), "many": np.arange(6)}
    for test in mann_whitney(sample, separated):
        assert test.adjusted_p == pytest.approx(test.smallest_p)
    mixed = {"few": np.arange(2), "many": np.arange(6) + 100.5}
    for test in mann_whitney(sample, mixed):
        assert test.adjusted_p >= test.smallest_p
    (strong,) = mann_whitney(sample, {"many": np.arange(6)})
    assert "(0.0022 after Holm's correction over all controls): significant." in str(
        strong
    )
    (weak,) = mann_whitney(sample, {"many": np.arange(6) + 100.5})
    assert weak.significance == "not significant"


def test_trend_by_hand():
    trend = jonckheere_terpstra([[1, 4], [2, 5], [3]])
    # In order: 1-2 1-5 4-5 1-3 2-3; against it: 4-2 4-3 5-3.
    assert trend.statistic == 5
    assert trend.strength == pytest.approx(2 / 8)
    assert trend.smallest_p == pytest.approx(2 / 30)
    tied = jonckheere_terpstra([[1], [1], [2]])
    assert (tied.statistic, tied.strength) == (2.5, pytest.approx(2 / 3))


def test_trend_p_is_the_share_of_all_permutations():
    groups = [[0.1, 0.6], [0.5, 0.3], [0.8]]
    flat = np.concatenate(groups)
    trend = jonckheere_terpstra(groups)
    statistics = []
    for order in permutations(flat):
        a, b, c = order[:2], order[2:4], order[4:]
        pairs = [(x, y) for p, q in [(a, b), (a, c), (b, c)] for x in p for y in q]
        statistics.append(sum(x < y for x, y in pairs))
    p = 2 * np.mean(np.array(statistics) >= trend.statistic)
    assert trend.p == pytest.approx(min(p, 1))


def test_trend_of_three_alphas_with_three_seeds():
    rising = np.arange(9.0).reshape(3, 3)
    up, down = jonckheere_terpstra(rising), jonckheere_terpstra(-rising)
    assert up.p == down.p == up.smallest_p == pytest.approx(2 / 1680)
    assert (up.strength, down.strength) == (1, -1)
    assert "Somers' d +1.00, p = 0.0012: significant." in str(up)
    flat = jonckheere_terpstra(np.ones((3, 3)))
    assert (flat.strength, flat.p) == (0, 1)
    values = RNG.normal(size=(3, 3))
    d = somersd(np.repeat(np.arange(3), 3), values.ravel()).statistic
    assert jonckheere_terpstra(values).strength == pytest.approx(d)


def test_trend_of_matched_groups_by_hand():
    # Seeds 1 < 2 < 3, 10 < 20 = 20 and 90 > 80 > 70 in columns: 3 + 2.5 + 0 pairs.
    trend = jonckheere_terpstra([[1, 10, 90], [2, 20, 80], [3, 20, 70]], matched=True)
    assert (trend.statistic, trend.strength) == (5.5, pytest.approx((3 + 2 - 3) / 9))
    assert trend.smallest_p == pytest.approx(2 / 216)


@pytest.mark.parametrize("ties", [False, True])
def test_trend_p_of_matched_groups_is_the_share_of_permutations_within_seeds(ties):
    values = RNG.integers(3, size=(3, 3)) if ties else RNG.normal(size=(3, 3))

    def pairs(table):
        return sum(
            (a < b) + (a == b) / 2
            for column in np.transpose(table)
            for a, b in combinations(column, 2)
        )

    dealt = product(*(permutations(column) for column in values.T))
    statistics = np.array([pairs(np.transpose(columns)) for columns in dealt])
    trend = jonckheere_terpstra(values, matched=True)
    assert len(statistics) == 216 and trend.statistic == pairs(values)
    above, below = statistics >= trend.statistic, statistics <= trend.statistic
    assert trend.p == pytest.approx(min(1, 2 * min(above.mean(), below.mean())))


def test_a_trend_that_seeds_hide_is_found_when_they_are_matched():
    seeds = np.array([0.0, 50.0, 90.0])
    groups = [seeds, seeds + 1, seeds + 2]
    hidden, found = jonckheere_terpstra(groups), jonckheere_terpstra(groups, True)
    assert hidden.significance == "not significant"
    assert (found.strength, found.p) == (1, pytest.approx(2 / 216))
    many = np.arange(12.0).reshape(12, 1) + 50 * RNG.normal(size=3)  # above 10,000
    assert jonckheere_terpstra(many, True).p < 1e-9


@pytest.mark.parametrize("matched", [False, True])
def test_trend_level_holds_without_a_trend(matched):
    p = [jonckheere_terpstra(RNG.normal(size=(3, 3)), matched).p for _ in range(150)]
    assert np.mean(np.array(p) < 0.05) < 0.1


def test_trend_without_significance_in_reach():
    trend = jonckheere_terpstra([[1, 2], [3, 4]])
    assert "cannot reach significance with 2 against 2" in str(trend)
    # More ways than are drawn: still a p value, and the same every time.
    many = [RNG.normal(i, size=6) for i in range(3)]
    assert jonckheere_terpstra(many).p == jonckheere_terpstra(many).p < 0.05


def test_bad_input_is_refused():
    with pytest.raises(InputError, match="x is"):
        cliffs_delta([], [1])
    with pytest.raises(InputError, match="same-start is"):
        mann_whitney([1], {"same-start": [np.nan]})
    with pytest.raises(InputError, match="1 groups"):
        jonckheere_terpstra([[1, 2]])
    with pytest.raises(InputError, match="group 1 is"):
        jonckheere_terpstra([[1], []])
    with pytest.raises(InputError, match="matched groups have 2, 1 numbers"):
        jonckheere_terpstra([[1, 2], [3]], matched=True)


def test_spearman_is_scipys_row_by_row():
    x = RNG.integers(0, 6, size=(20, 9))  # with ties
    y = RNG.integers(0, 6, size=(20, 9))
    each = [spearmanr(a, b).statistic for a, b in zip(x, y, strict=True)]
    np.testing.assert_allclose(spearman(x, y), each)
    same = [spearmanr(a, y[0]).statistic for a in x]
    np.testing.assert_allclose(spearman(x, y[0]), same)
    assert np.isnan(spearman(np.ones((1, 4)), np.arange(4))).all()
