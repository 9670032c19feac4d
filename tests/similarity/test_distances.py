"""Distances to the base model, what they preserve, and differences of that."""

import math

import numpy as np
import pytest

from kdfunc.similarity import bootstrap_measures, function_preserved, pairwise
from kdfunc.similarity.distances import Distances, turn_taking
from kdfunc.similarity.intervals import t_quantile
from kdfunc.similarity.scale import score

RNG = np.random.default_rng(0)


def made(models, independents=(1.0, 1.0), among=None, images=0.0):
    """Distances of models, the independent ones last, with equal own image noise."""
    values = np.array([*models, *independents])
    places = range(len(models), len(values))
    if among is None:
        among = np.ones([len(independents) + 1] * 2) * np.mean(independents)
        among[0, 1:] = among[1:, 0] = independents
    return Distances(
        values, images * np.eye(len(values)), places, *turn_taking(np.array(among))
    )


def test_every_model_takes_its_turn():
    logs = [[0.0, 1.0, 3.0], [1.0, 0.0, 2.0], [3.0, 2.0, 0.0]]
    # From the base model 1 and 3, from the first independent 1 and 2, then 3 and 2.
    spread, freedom = turn_taking(np.exp(logs))
    assert (spread, freedom) == (pytest.approx((2 + 0.5 + 0.5) / 3), 2)
    assert turn_taking(np.ones((2, 2))) == (0, 0)  # a single independent model


@pytest.mark.parametrize("number", [2, 5])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_turns_estimate_how_distances_from_one_model_vary(number, share):
    """Whether the models or their pairs are what makes distances differ."""
    found = []
    for _ in range(4000):
        models = RNG.normal(0, math.sqrt(share), number + 1)
        pairs = np.triu(RNG.normal(0, math.sqrt(1 - share), [number + 1] * 2), 1)
        found.append(turn_taking(np.exp(models + models[:, None] + pairs + pairs.T))[0])
    assert np.mean(found) == pytest.approx(1, rel=0.06)
    least = 2 * np.mean(found) ** 2 / number  # of so many degrees of freedom
    assert np.var(found) < 1.15 * least


@pytest.mark.parametrize("far", [0.006, 0.010, 0.1])
def test_an_interval_never_shrinks_as_less_is_known(far):
    """Independents at .001 and .006 gave 77.1 [77.1, 2351]; .010 85.5 [85.5, 193]."""
    known = made([0.0008], (0.001, 0.002)).preserved([0])
    kept = made([0.0008], (0.001, far)).preserved([0])
    assert kept.ratio == pytest.approx(0.0008 / ((0.001 + far) / 2))
    assert kept.low < kept.value < kept.high < 100
    assert kept.low < known.low
    assert kept.log_ratio.high - kept.log_ratio.low > (
        known.log_ratio.high - known.log_ratio.low
    )
    assert kept.p_above(50) > 0.05  # had been "supported"


def test_independents_that_differ_leave_all_near_zero_open():
    """Those of the digits stood at -32 and +32 %: 5 points mean nothing there."""
    distances = made([0.95], (1.32, 0.68))
    kept = distances.preserved([0])
    assert kept.low < -32 < kept.value < 32 < kept.high
    assert distances.spread_of([1, 2]) > 25


def test_the_interval_is_of_the_log_ratio():
    distances = made([0.5, 0.6, 0.55], (0.9, 1.1), images=0.0004)
    kept = distances.preserved([0, 1, 2])
    assert kept.ratio == pytest.approx(0.55)
    spread = np.log([0.5, 0.6, 0.55]).var(ddof=1) / 3
    yardstick = distances.spread / 2
    # Images: all is each model's own, and in the spreads already.
    assert kept.log_ratio.variance == pytest.approx(spread + yardstick, rel=0.01)
    freedom = (spread + yardstick) ** 2 / (spread**2 / 2 + yardstick**2 / 2)
    assert kept.log_ratio.freedom == pytest.approx(min(freedom, 3), rel=0.02)
    reach = t_quantile(0.025, kept.log_ratio.freedom) * kept.log_ratio.error
    assert kept.ratio_high == pytest.approx(0.55 * math.exp(reach))


def test_the_yardstick_preserves_nothing_for_sure():
    kept = made([0.5], (0.9, 1.1)).preserved([1, 2])
    assert kept.value == kept.low == kept.high == 0


def test_single_models_have_the_chance_of_images_alone():
    distances = made([0.5], (1.0,), images=0.01)
    kept = distances.preserved([0])
    assert kept.log_ratio.variance == pytest.approx(0.02)
    assert kept.log_ratio.freedom == math.inf
    assert kept.rests_on == "1 model, 1 independent model"


def test_a_model_that_is_the_base_and_independents_that_are():
    kept = made([0.0]).preserved([0])
    assert kept.value == kept.low == kept.high == 100
    some = made([0.0, 0.5]).preserved([0, 1])  # one of two trainings: all is open
    assert (some.low, some.value, some.high) == (-100, 75, 100)
    nothing = made([0.5], (0.0, 0.0)).preserved([0])
    assert np.isnan([nothing.value, nothing.low, nothing.high]).all()


def test_gains_are_differences_of_scores():
    distances = made([0.2, 0.5, 3.0])
    for one, other, points in [(0, 1, 30), (1, 0, -30), (2, 0, -200 / 3 - 80)]:
        gain = distances.gain([one], [other], paired=False)
        assert gain.value == pytest.approx(points)
        assert gain.low == pytest.approx(points, abs=0.01)  # nothing is left to chance
        assert gain.high == pytest.approx(points, abs=0.01)
        assert math.exp(gain.log_ratio.value) == pytest.approx(
            distances.values[one] / distances.values[other]
        )


def test_seeds_in_common_cancel():
    seeds = np.array([0.8, 1.0, 1.3])
    distances = made([*(0.5 * seeds), *seeds])
    paired = distances.gain([0, 1, 2], [3, 4, 5], paired=True)
    apart = distances.gain([0, 1, 2], [3, 4, 5], paired=False)
    assert paired.value == apart.value > 0
    assert paired.p_above(0) == 0 and apart.p_above(0) > 0.01
    assert apart.high - apart.low > 2 * (paired.high - paired.low)
    assert paired.rests_on == "3 pairs of models matched by seed, 2 independent models"
    assert apart.rests_on == "3 models against 3, 2 independent models"


def test_the_yardstick_matters_to_points_and_not_to_order():
    sure = made([0.2, 0.5], (0.99, 1.01), images=1e-6)
    unsure = made([0.2, 0.5], (0.5, 1.5), images=1e-6)
    gains = [d.gain([0], [1], paired=False) for d in (sure, unsure)]
    assert gains[0].value == gains[1].value == pytest.approx(30)
    assert gains[1].low < gains[0].low < 30 < gains[0].high < gains[1].high
    assert gains[0].p_above(0) == gains[1].p_above(0) < 1e-6


def test_gains_and_their_tests_agree():
    distances = made([0.4, 0.45, 0.42, 0.8, 0.9, 0.7], (0.9, 1.1), images=0.001)
    gain = distances.gain([0, 1, 2], [3, 4, 5], paired=False)
    assert gain.low < gain.value < gain.high
    assert gain.p_above(gain.low) == pytest.approx(0.05, abs=1e-6)
    assert gain.p_below(gain.high) == pytest.approx(0.05, abs=1e-6)
    points = np.linspace(-100, 199, 150)
    above = [gain.p_above(p) for p in points]
    assert (np.diff(above) >= -0.001).all()  # harder to exceed, the more it is
    assert gain.widened(3).low < gain.low
    back = distances.gain([3, 4, 5], [0, 1, 2], paired=False)
    assert (back.low, back.high) == pytest.approx((-gain.high, -gain.low), abs=1e-6)


def test_an_end_of_the_scale_is_no_end_of_knowledge():
    distances = made([1e-6, 0.23], (0.9, 1.1), images=0.001)
    gain = distances.gain([0], [1], paired=False)
    assert gain.value == pytest.approx(23, abs=0.01)
    pruned = distances.preserved([1])
    assert gain.high == pytest.approx(100 - pruned.low, abs=0.05)
    assert gain.low == pytest.approx(100 - pruned.high, abs=0.05)


def test_broken_models_are_all_far():
    distances = made([35.0, 30.0], images=0.001)
    gain = distances.gain([0], [1], paired=False)
    assert gain.value == pytest.approx(score(35) - score(30))
    assert abs(gain.value) < 1 and gain.p_below(-10) == 1 and gain.p_above(-10) < 1e-6


def test_the_same_model_gains_nothing():
    distances = made([0.3, 0.3, 0.0, 0.0], images=0.0)
    for places in ([0], [1]), ([2], [3]):
        gain = distances.gain(*places, paired=True)
        assert gain.value == gain.low == gain.high == 0
        assert gain.p_above(0) == gain.p_below(0) == 1


def test_arrays_give_the_distances_that_measures_do():
    models = RNG.dirichlet(np.ones(3), size=(6, 60))
    base, a, b, *independents = models
    estimate = bootstrap_measures(base, models[1:], names=["jensen_shannon"])
    estimate = estimate["jensen_shannon"]
    among = pairwise([base, *independents], names=["jensen_shannon"])["jensen_shannon"]
    distances = Distances.of("jensen_shannon", estimate, [2, 3, 4], among)
    np.testing.assert_array_equal(distances.values, estimate.value)
    # The bootstrap of a mean has the covariance of its terms, by the number of them.
    from kdfunc.similarity.evaluate import components

    wanted = {("base", str(i)): ["jensen_shannon"] for i in range(5)}
    named = {"base": base, **{str(i): m for i, m in enumerate(models[1:])}}
    terms = np.column_stack([x[:, 0] for *_, x in components(named, wanted)])
    exact = np.cov(terms / terms.mean(axis=0), rowvar=False, ddof=0) / 60
    np.testing.assert_allclose(distances.images, exact, atol=0.1 * exact.max())
    found = function_preserved(
        base, [a, [a, b]], independents, names=["jensen_shannon"]
    )
    found = found["jensen_shannon"]
    for place, members in enumerate([[0], [0, 1]]):
        kept = distances.preserved(members)
        assert found.value[place] == pytest.approx(kept.value)
        assert found.low[place] == pytest.approx(kept.low)
        assert found.ratio_high[place] == pytest.approx(kept.ratio_high)
    assert found.rests_on[1] == "2 models, 3 independent models"


def test_several_tests_widen_every_interval():
    """Three seeds have 27 resamples, which gave one interval for 1 and for 70 tests."""
    distances = made([0.5, 0.6, 0.55, 0.8, 0.7, 0.9], (0.9, 1.1))
    for found in (
        distances.preserved([0, 1, 2]),
        distances.gain([0, 1, 2], [3, 4, 5], paired=True),
    ):
        widened = found.widened(70)
        assert widened.value == found.value
        assert widened.low < found.low < found.value < found.high < widened.high
        assert widened.high - widened.low > 1.5 * (found.high - found.low)
