"""A random-effects meta-analysis against published numbers."""

import math

import numpy as np
import pytest

from kdfunc.similarity.meta_analysis import pool

# Thirteen trials of BCG vaccine (Colditz et al. 1994): with and without tuberculosis
# among the vaccinated, then among the others.
BCG = np.array(
    [
        *[[4, 119, 11, 128], [6, 300, 29, 274], [3, 228, 11, 209]],
        *[[62, 13536, 248, 12619], [33, 5036, 47, 5761], [180, 1361, 372, 1079]],
        *[[8, 2537, 10, 619], [505, 87886, 499, 87892], [29, 7470, 45, 7232]],
        *[[17, 1699, 65, 1600], [186, 50448, 141, 27197], [5, 2493, 3, 2338]],
        *[[27, 16886, 29, 17825]],
    ],
    float,
)


def test_it_gives_the_published_numbers_of_the_vaccine_trials():
    a, b, c, d = BCG.T
    ratios = np.log(a / (a + b)) - np.log(c / (c + d))
    errors = np.sqrt(1 / a - 1 / (a + b) + 1 / c - 1 / (c + d))
    found = pool(ratios, errors)
    # R, metafor: rma(yi, vi, data=dat.bcg, method="PM").
    assert found.tau2 == pytest.approx(0.3181, abs=5e-5)
    assert found.i2 == pytest.approx(92.33, abs=5e-3)
    assert found.q == pytest.approx(152.2330, abs=5e-5)
    # statsmodels 0.15: combine_effects(ratios, errors**2, "iterated", use_t=True).
    assert found.tau2 == pytest.approx(0.31806845, abs=1e-8)
    assert (found.value, found.error, found.low, found.high) == (
        pytest.approx(-0.71496815, abs=1e-8),
        pytest.approx(0.18089219, abs=1e-8),
        pytest.approx(-1.10909838, abs=1e-8),
        pytest.approx(-0.32083793, abs=1e-8),
    )
    assert found.predicted_low < found.low < found.high < found.predicted_high
    assert found.p_alike < 1e-20


def test_set_ups_that_agree_do_not_make_the_interval_narrower_than_their_errors():
    found = pool([1.0, 1.0, 1.0, 1.0], [0.2] * 4)
    assert (found.tau2, found.i2) == (0, 0)
    assert found.error == pytest.approx(0.1)
    assert found.high - found.value == pytest.approx(3.182446 * 0.1, rel=1e-6)


def test_two_set_ups_have_no_prediction_interval():
    found = pool([0.0, 1.0], [0.1, 0.1])
    assert np.isnan(found.predicted_low) and np.isnan(found.predicted_high)


def test_set_ups_without_errors_are_as_far_apart_as_their_estimates():
    values = np.random.default_rng(0).normal(0, 20, (50, 4))
    for row in values:
        found = pool(row, [1e-9] * 4)
        assert found.tau2 == pytest.approx(row.var(ddof=1))
        assert found.i2 == pytest.approx(100)


def test_three_set_ups_by_hand():
    """Without variance between them: Q is 2, and Student's t of 1 is Cauchy's."""
    found = pool([0.0, 1.0, 2.0], [1.0] * 3)
    assert (found.q, found.tau2) == (pytest.approx(2), 0)
    assert found.p_alike == pytest.approx(math.exp(-1))
    reach = math.tan(0.475 * math.pi) / math.sqrt(3)
    assert found.predicted_high - found.value == pytest.approx(reach)
    assert found.value - found.predicted_low == pytest.approx(reach)
