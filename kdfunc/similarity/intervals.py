"""Intervals that cover the choice of trainings and of test images together.

The quantities compared are distances to the base model. They are above 0 and differ by
factors, so all computations use their logarithms: a ratio of distances cannot become
negative or infinite, however uncertain it is.

A mean distance contains two kinds of chance. The **test images** could have been
others; the bootstrap gives their variance. The **trainings** could have gone another
way; their variance is that of the log distances, divided by the number of trainings.
The effect of images on each single training is in both and is counted once. The sum is
an estimate from few trainings, so the interval is that of Student's t with the degrees
of freedom of Welch and Satterthwaite. `benchmarks/coverage.py` shows how often it
covers the truth.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

CONFIDENCE = 0.95
#: Welch and Satterthwaite's degrees of freedom are an estimate, which is too large if
#: the trainings that vary most happen to vary little. So several groups together have
#: at most the first number times the degrees of freedom of the smallest group; with the
#: images, at most the second number times.
MOST_FREEDOM = (1.5, 2.0)

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


def t_tail(t: float, freedom: float) -> float:
    """Probability that Student's t exceeds a number; scipy is not on every device.

    Args:
      t: The number.
      freedom: Degrees of freedom, from 1 to infinity.
    """
    if math.isnan(t):
        return math.nan
    if freedom > 1e8:
        return math.erfc(t / math.sqrt(2)) / 2
    if abs(t) > 40 and freedom > 30:
        t = math.copysign(40, t)  # beyond there is less than 1e-27
    # With t = sqrt(freedom) * tan(angle) the density is a power of the cosine.
    angle = math.atan(abs(t) / math.sqrt(freedom))
    angles = angle / 2 * (_NODES + 1)
    area = angle / 2 * float(_WEIGHTS @ np.cos(angles) ** (freedom - 1))
    log_half = math.lgamma(freedom / 2) - math.lgamma((freedom + 1) / 2)
    half = math.exp(log_half) * math.sqrt(math.pi) / 2
    beyond = max(0.0, (1 - area / half) / 2)
    return beyond if t > 0 else 1 - beyond


def t_quantile(tail: float, freedom: float) -> float:
    """The number that Student's t exceeds with this probability, at most 1 / 2.

    Args:
      tail: The probability, in (0, 1 / 2].
      freedom: Degrees of freedom, above 0; infinite for the normal distribution.
    """
    low, high = 0.0, math.pi / 2  # angles, as in `t_tail`
    scale = math.sqrt(min(freedom, 1e8))
    for _ in range(60):
        middle = (low + high) / 2
        if t_tail(scale * math.tan(middle), freedom) > tail:
            low = middle
        else:
            high = middle
    return scale * math.tan((low + high) / 2)


@dataclass(frozen=True)
class Trainings:
    """Trainings of one kind, as a source of chance.

    Attributes:
      number: How many there are.
      spread: Variance between them; NaN or infinite if it is unknown.
      own: Variance that the test images add to each separately; part of the spread.
      freedom: Degrees of freedom of the spread; 0 for a single training, whose spread
        is unknown and not counted.
    """

    number: int
    spread: float
    own: float
    freedom: int


@dataclass(frozen=True)
class TEstimate:
    """A number with an interval of Student's t.

    Attributes:
      value: The number.
      variance: Its variance.
      freedom: Degrees of freedom of the variance, 1 to infinity.
      confidence: Share of intervals that should cover the truth.
    """

    value: float
    variance: float
    freedom: float
    confidence: float = CONFIDENCE

    @classmethod
    def of(
        cls, value: float, images: float, trainings: Sequence[Trainings]
    ) -> "TEstimate":
        """Combines the variances over images and trainings.

        Args:
          value: The number.
          images: Variance over test images for these trainings.
          trainings: The trainings whose variances add up.
        """
        known = [group for group in trainings if group.freedom]
        if not all(math.isfinite(group.spread) for group in known):
            return cls(value, math.inf, 1.0)
        parts = [group.spread / group.number for group in known]
        between = sum(parts)
        variance = images + sum(
            max(group.spread - group.own, 0) / group.number for group in known
        )
        if between == 0:
            return cls(value, variance, math.inf)
        squares = sum(
            part**2 / group.freedom for part, group in zip(parts, known, strict=True)
        )
        freedom = between**2 / squares
        smallest = min(group.freedom for group in known)
        if len(known) > 1:
            freedom = min(freedom, MOST_FREEDOM[0] * smallest)
        freedom *= (variance / between) ** 2
        return cls(value, variance, max(1.0, min(freedom, MOST_FREEDOM[1] * smallest)))

    @property
    def error(self) -> float:
        """Standard error."""
        return math.sqrt(self.variance)

    def widened(self, tests: int) -> "TEstimate":
        """The same with an interval that holds for several tests at once (Bonferroni).

        Args:
          tests: Number of tests.
        """
        return replace(self, confidence=1 - (1 - self.confidence) / tests)

    @cached_property
    def ends(self) -> tuple[float, float]:
        """Lower and upper end of the interval."""
        if self.variance == 0 or not math.isfinite(self.value):
            return self.value, self.value
        if math.isinf(self.variance):
            return -math.inf, math.inf
        reach = t_quantile((1 - self.confidence) / 2, self.freedom) * self.error
        return self.value - reach, self.value + reach

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self.ends[0]

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self.ends[1]

    def p_above(self, threshold: float) -> float:
        """Two-sided p value, small if the truth lies above a threshold.

        It is below 0.05 if the whole 95 % interval lies above the threshold, and 1 if
        the number itself does not.

        Args:
          threshold: In the unit of `value`.
        """
        return _two_sided(self.value - threshold, self.variance, self.freedom)

    def p_below(self, threshold: float) -> float:
        """Two-sided p value, small if the truth lies below a threshold.

        Args:
          threshold: In the unit of `value`.
        """
        return _two_sided(threshold - self.value, self.variance, self.freedom)


def _two_sided(excess: float, variance: float, freedom: float) -> float:
    if math.isnan(excess):
        return math.nan
    if excess <= 0:
        return 1.0
    if variance == 0 or math.isinf(excess):
        return 0.0
    return 2 * t_tail(excess / math.sqrt(variance), freedom)


def covariance(replicates: np.ndarray) -> np.ndarray:
    """Covariance `[k, k]` of replicates `[resamples, k]`; 0 for a single resample.

    Args:
      replicates: One row per resample.
    """
    if len(replicates) < 2:
        return np.zeros([replicates.shape[1]] * 2)
    return np.atleast_2d(np.cov(replicates, rowvar=False))


def own_variance(images: np.ndarray) -> float:
    """Variance that images add to each training separately, beyond their common effect.

    Args:
      images: `[k, k]` covariance over images of the results of k trainings.
    """
    number = len(images)
    if number < 2:
        return 0.0
    return float((np.trace(images) - images.sum() / number) / (number - 1))


def mean_of(values: np.ndarray, replicates: np.ndarray) -> TEstimate:
    """Mean over trainings, with an interval over trainings and images.

    Args:
      values: `[trainings]` numbers.
      replicates: `[resamples, trainings]` the same on resampled images.
    """
    number = len(values)
    finite = np.isfinite(replicates).all(axis=1)
    images = covariance(replicates[finite])
    spread = float(np.var(values, ddof=1)) if number > 1 else 0.0
    trainings = Trainings(number, spread, own_variance(images), number - 1)
    return TEstimate.of(float(np.mean(values)), float(images.mean()), [trainings])
