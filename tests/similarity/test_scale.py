import math

import numpy as np
import pytest

from kdfunc.similarity.intervals import TEstimate
from kdfunc.similarity.scale import Preserved, in_words, ratio_at, score


@pytest.mark.parametrize(
    ("ratio", "percent"),
    [
        (0, 100),
        (0.2, 80),
        (1, 0),
        (2, -50),
        (3.02, -66.9),
        (3.475, -71.2),
        (33.32, -97),
    ],
)
def test_a_score_for_every_ratio(ratio, percent):
    assert score(ratio) == pytest.approx(percent, abs=0.05)
    assert ratio_at(score(ratio)) == pytest.approx(ratio)


def test_the_scale_is_bounded_smooth_and_fair():
    assert score(math.inf) == -100 and ratio_at(-100) == math.inf
    ratios = np.geomspace(1e-3, 1e3, 50)
    for ratio in ratios:
        assert score(ratio) == pytest.approx(-score(1 / ratio))
    step = 1e-6
    assert (score(1 - step) - score(1)) / step == pytest.approx(100, rel=1e-4)
    assert (score(1) - score(1 + step)) / step == pytest.approx(100, rel=1e-4)
    assert math.isnan(score(math.nan))


def test_words():
    assert in_words(0.22) == "preserves 78.0 % of the base model's function"
    far = "times as far from the base model as an independently trained model is"
    assert in_words(3.475) == f"is 3.5 {far}"  # was: preserves -247.5 %
    assert in_words(33.32) == f"is 33.3 {far}"  # was: -3,232 %
    assert in_words(3.02) == f"is 3.0 {far}"  # was: -202, for want of the fair zero
    assert in_words(1.04) == f"is 1.04 {far}"
    assert in_words(3.475, 1.993, 10.224) == f"is 3.5 [2.0, 10.2] {far}"
    kept = Preserved(TEstimate(math.log(0.5), 0.01, math.inf), 3, 2)
    assert str(kept) == "preserves 50.0 [39.2, 58.9] % of the base model's function"
    assert kept.rests_on == "3 models, 2 independent models"


def test_intervals_and_tests_are_carried_over():
    kept = Preserved(TEstimate(math.log(0.5), 0.01, 4.0), 3, 2)
    assert (kept.ratio_low, kept.ratio, kept.ratio_high) == pytest.approx(
        tuple(0.5 * math.exp(x * 0.1 * 2.7764) for x in (-1, 0, 1)), rel=1e-4
    )
    assert (kept.low, kept.high) == (score(kept.ratio_high), score(kept.ratio_low))
    assert kept.p_above(kept.low) == pytest.approx(0.05)
    assert kept.p_below(kept.high) == pytest.approx(0.05)
    assert kept.p_above(100) == 1 and kept.p_below(100) == 0
    assert kept.p_above(-100) == 0
    assert kept.at(0.5).low > kept.low > kept.widened(5).low
