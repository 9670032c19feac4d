"""The function preserved: a distance to the base model on a readable scale.

The yardstick is the independent models, trained like the base model from other initial
weights. The **distance ratio** r of a model is its distance to the base model, divided
by theirs. The **function preserved** is 100 (1 - r) up to r = 1 and 100 (1 / r - 1)
beyond: 100 is the base model's own function, 0 is as far from it as an independent
model, -50 is twice as far, and nothing is below -100. Exchanging a model and the
yardstick only changes the sign.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kdfunc.similarity.intervals import TEstimate
from kdfunc.text import count


def score(ratio: float) -> float:
    """Function preserved, in percent, at a distance ratio.

    Args:
      ratio: Distance to the base model over that of independent models, at least 0.

    Returns:
      100 for the same function, 0 for as far as independent models, never below -100.
    """
    return 100 * (1 / ratio - 1) if ratio > 1 else 100 * (1 - ratio)


def steepness(ratio: float) -> float:
    """Share of the scale by which the function preserved changes per unit of log r.

    Args:
      ratio: Distance ratio r, at least 0.
    """
    return min(ratio, 1 / ratio) if ratio else 0.0


def ratio_at(score: float) -> float:
    """Distance ratio at which this much of the function is preserved.

    Args:
      score: Function preserved in percent, in (-100, 100].
    """
    if score >= 0:
        return 1 - score / 100
    return 1 / (1 + score / 100) if score > -100 else math.inf


def in_words(ratio: float, low: float | None = None, high: float | None = None) -> str:
    """What a distance ratio means, as a predicate, with its interval if there is one.

    "preserves 78.0 % of the base model's function", or "is 3.5 times as far from the
    base model as an independently trained model is".

    Args:
      ratio: Distance to the base model over that of independent models.
      low: Lower end of the ratio's interval, or None.
      high: Upper end of the ratio's interval, or None.
    """
    interval = ""
    if not ratio > 1:
        if low is not None and high is not None:
            interval = f" [{score(high):.1f}, {score(low):.1f}]"
        kept = f"{score(ratio):.1f}{interval} %"
        return f"preserves {kept} of the base model's function"
    if low is not None and high is not None:
        interval = f" [{_factor(low)}, {_factor(high)}]"
    times = f"{_factor(ratio)}{interval} times"
    return f"is {times} as far from the base model as an independently trained model is"


def _factor(ratio: float) -> str:
    return f"{ratio:,.1f}" if ratio >= 1.1 else f"{ratio:.2f}"


def exp(value: float) -> float:
    """The exponential, infinite if it is too large for a float.

    Args:
      value: Any number.
    """
    return math.inf if value > 700 else math.exp(value)


def log(value: float) -> float:
    """The logarithm, minus infinity of 0.

    Args:
      value: A number of at least 0.
    """
    return math.log(value) if value else -math.inf


@dataclass(frozen=True)
class Preserved:
    """Function preserved by the models of a group, with its interval.

    Attributes:
      log_ratio: Logarithm of the distance ratio, of mean distances.
      models: How many models are in the group.
      independents: How many are the yardstick.
    """

    log_ratio: TEstimate
    models: int
    independents: int

    @property
    def value(self) -> float:
        """In percent; NaN if the independent models do not differ from the base."""
        return score(self.ratio)

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return score(self.ratio_high)

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return score(self.ratio_low)

    @property
    def ratio(self) -> float:
        """Distance ratio."""
        return exp(self.log_ratio.value)

    @property
    def ratio_low(self) -> float:
        """Lower end of the distance ratio's interval."""
        return exp(self.log_ratio.low)

    @property
    def ratio_high(self) -> float:
        """Upper end of the distance ratio's interval."""
        return exp(self.log_ratio.high)

    @property
    def columns(self) -> dict[str, float]:
        """Distance ratio and function preserved, each with its interval, of a table."""
        return {
            "ratio": self.ratio,
            "ratio_low": self.ratio_low,
            "ratio_high": self.ratio_high,
            "preserved": self.value,
            "preserved_low": self.low,
            "preserved_high": self.high,
        }

    @property
    def rests_on(self) -> str:
        """The trainings that the interval rests on."""
        return (
            f"{count(self.models, 'model')}, "
            f"{count(self.independents, 'independent model')}"
        )

    def __str__(self) -> str:
        return in_words(self.ratio, self.ratio_low, self.ratio_high)

    def at(self, confidence: float) -> "Preserved":
        """The same with an interval of another confidence.

        Args:
          confidence: Share of intervals that should cover the truth, in (0, 1).
        """
        return replace(self, log_ratio=replace(self.log_ratio, confidence=confidence))

    def widened(self, tests: int) -> "Preserved":
        """The same with an interval that holds for several tests at once (Bonferroni).

        Args:
          tests: Number of tests.
        """
        return replace(self, log_ratio=self.log_ratio.widened(tests))

    def p_above(self, points: float) -> float:
        """Two-sided p value, small if the truth lies above a threshold.

        Args:
          points: Function preserved, in percent.
        """
        return self.log_ratio.p_below(log(ratio_at(points)))

    def p_below(self, points: float) -> float:
        """Two-sided p value, small if the truth lies below a threshold.

        Args:
          points: Function preserved, in percent.
        """
        return self.log_ratio.p_above(log(ratio_at(points)))


@dataclass(frozen=True)
class FunctionPreserved:
    """The function preserved by several candidates, by one measure.

    Attributes:
      groups: What each candidate preserves.
      confidence: Share of intervals that should cover the truth.
    """

    groups: Sequence[Preserved]
    confidence: float

    def __repr__(self) -> str:
        shown = [str(group.at(self.confidence)) for group in self.groups]
        return f"FunctionPreserved({'; '.join(shown)})"

    def _each(self, attribute: str) -> np.ndarray:
        groups = [group.at(self.confidence) for group in self.groups]
        return np.array([getattr(group, attribute) for group in groups])

    @property
    def value(self) -> np.ndarray:
        """`[candidates]` in percent."""
        return self._each("value")

    @property
    def low(self) -> np.ndarray:
        """`[candidates]` lower ends of the intervals."""
        return self._each("low")

    @property
    def high(self) -> np.ndarray:
        """`[candidates]` upper ends of the intervals."""
        return self._each("high")

    @property
    def ratio(self) -> np.ndarray:
        """`[candidates]` distance ratios."""
        return self._each("ratio")

    @property
    def ratio_low(self) -> np.ndarray:
        """`[candidates]` lower ends of the distance ratios' intervals."""
        return self._each("ratio_low")

    @property
    def ratio_high(self) -> np.ndarray:
        """`[candidates]` upper ends of the distance ratios' intervals."""
        return self._each("ratio_high")

    @property
    def rests_on(self) -> list[str]:
        """The trainings that each interval rests on."""
        return [group.rests_on for group in self.groups]
