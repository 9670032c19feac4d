"""Intervals over trainings and images, from numbers whose truth is known."""

import math

import numpy as np
import pytest
from scipy import stats

from kdfunc.similarity.intervals import (
    TEstimate,
    Trainings,
    covariance,
    mean_of,
    own_variance,
    t_quantile,
    t_tail,
)


@pytest.mark.parametrize("freedom", [1, 1.3, 2, 2.67, 5, 30, 100, 1e4, 1e9, math.inf])
def test_students_t_is_scipys(freedom):
    for t in (-3, 0, 0.01, 0.5, 2, 12.7, 100):
        assert t_tail(t, freedom) == pytest.approx(stats.t.sf(t, freedom), abs=1e-8)
    for tail in (0.25, 0.025, 0.0042, 0.0005):
        expected = stats.t.isf(tail, freedom)
        assert t_quantile(tail, freedom) == pytest.approx(expected, rel=1e-6)


def test_images_alone_give_a_normal_interval():
    found = TEstimate.of(1.0, 0.04, [Trainings(1, 0.0, 0.0, 0)])
    assert found.ends == pytest.approx((1 - 1.96 * 0.2, 1 + 1.96 * 0.2), abs=1e-4)


def test_one_group_gives_the_interval_of_a_mean():
    values = np.array([1.0, 2.0, 4.0, 3.0])
    found = mean_of(values, np.tile(values, (10, 1)))
    expected = stats.t.interval(0.95, 3, values.mean(), stats.sem(values))
    assert found.ends == pytest.approx(expected)
    assert found.p_above(1.0) == pytest.approx(stats.ttest_1samp(values, 1).pvalue)


@pytest.mark.parametrize("number", [3, 4])
def test_two_groups_give_welchs_interval(number):
    samples = [1.0, 2.0, 4.0, 3.0], [0.0, 1.5, 2.2, 3.1][:number]
    groups = [Trainings(len(x), np.var(x, ddof=1), 0.0, len(x) - 1) for x in samples]
    found = TEstimate.of(np.mean(samples[0]) - np.mean(samples[1]), 0.0, groups)
    welch = stats.ttest_ind(*samples, equal_var=False)
    assert found.value / found.error == pytest.approx(welch.statistic)
    # The estimate of Welch and Satterthwaite, but not far above the smaller group's.
    assert found.freedom == pytest.approx(min(welch.df, 1.5 * (number - 1)))


def test_what_images_bring_to_each_training_is_counted_once():
    # Trainings differ by 3 and images bring 2 to all of them and 4 to each by itself.
    rng = np.random.default_rng(0)
    number, seeds, resamples = 5, 4000, 200
    common = rng.normal(0, 2**0.5, (seeds, resamples, 1))
    own = rng.normal(0, 2, (seeds, resamples, number))
    variances = []
    for image, noise in zip(common, own, strict=True):
        values = rng.normal(0, 3**0.5, number) + rng.normal(0, 2, number)
        variances.append(mean_of(values, image + noise).variance)
    assert np.mean(variances) == pytest.approx(2 + (4 + 3) / number, rel=0.1)


def test_the_spread_is_no_less_than_what_images_bring():
    images = np.diag([0.1, 0.1])
    assert own_variance(images) == pytest.approx(0.1)
    alike = Trainings(2, 0.0, 0.1, 1)
    assert TEstimate.of(0.0, 0.05, [alike]).variance == 0.05
    assert covariance(np.ones((1, 2))).tolist() == [[0, 0], [0, 0]]


def test_an_unknown_spread_leaves_everything_open():
    found = TEstimate.of(1.0, 0.1, [Trainings(2, math.nan, 0.0, 1)])
    assert found.ends == (-math.inf, math.inf)
    assert found.p_above(-1e9) == found.p_below(1e9) == 1


def test_more_tests_and_less_freedom_widen():
    narrow = TEstimate(0.0, 1.0, 20.0)
    assert narrow.widened(3).high == pytest.approx(stats.t.isf(0.025 / 3, 20), rel=1e-6)
    assert TEstimate(0.0, 1.0, 2.0).high > narrow.high
    # Three seeds have 27 resamples, so a bootstrap has one interval for 1 and 70 tests.
    few = TEstimate(0.0, 1.0, 2.0)
    assert few.widened(70).high > 5 * few.high


def test_p_values_and_intervals_agree():
    found = TEstimate(1.0, 0.25, 3.0)
    assert found.p_above(found.low) == pytest.approx(0.05)
    assert found.p_below(found.high) == pytest.approx(0.05)
    assert found.p_above(1.0) == found.p_above(2.0) == 1
    certain = TEstimate(1.0, 0.0, math.inf)
    assert certain.p_above(0.9) == 0 and certain.p_above(1.0) == 1
    assert math.isnan(TEstimate(math.nan, 1.0, 1.0).p_above(0))
