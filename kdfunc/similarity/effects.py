"""Differences in function preserved: the margin, tests against it, and their text."""

import math
from collections.abc import Mapping, Sequence
from typing import Protocol

from kdfunc.similarity.rank_tests import LEVEL
from kdfunc.text import number

Pair = tuple[str, str]

#: Largest difference in function preserved, in points, that does not matter. Near the
#: base model it is a tenth of the independent models' distance to it; near those
#: models, a tenth closer or farther (distance ratios of 0.9 and 1.11). A margin says
#: what matters, so it is the same for every run: a margin taken from the run's own
#: spread would grow where trainings differ much, and call everything alike there.
#: The intervals contain the spread; if independent models differ among themselves by
#: more than the margin, the yardstick says so. With a margin below about 5 points,
#: three trainings with the usual spread of 2 to 5 % could show nothing.
MARGIN = 10.0

#: The margin as the logarithm of a ratio of distances: a tenth closer or farther.
LOG_MARGIN = -math.log(1 - MARGIN / 100)


class Effect(Protocol):
    """A number with an interval and tests of it, in points or percent."""

    @property
    def value(self) -> float:
        """The number."""

    @property
    def low(self) -> float:
        """Lower end of its interval."""

    @property
    def high(self) -> float:
        """Upper end of its interval."""

    def p_above(self, points: float) -> float:
        """Two-sided p value, small if the truth lies above.

        Args:
          points: The threshold, in the unit of `value`.
        """

    def p_below(self, points: float) -> float:
        """Two-sided p value, small if the truth lies below.

        Args:
          points: The threshold, in the unit of `value`.
        """


def some(p_values: Sequence[float]) -> float:
    """P value for at least one of several effects (Bonferroni).

    Args:
      p_values: Of each of the tests, in [0, 1].

    Returns:
      Their smallest times their number, at most 1.
    """
    return min(1.0, len(p_values) * min(p_values))


def shown(p_values: Mapping[Pair, float]) -> list[Pair]:
    """The pairs with a significant effect by the test of `some`; all if there is none.

    Args:
      p_values: Of the test of each pair, in [0, 1].
    """
    found = [pair for pair, p in p_values.items() if len(p_values) * p < LEVEL]
    return found or [*p_values]


def within(effect: Effect) -> float:
    """P value, small if the truth lies within the margin on both sides.

    Two one-sided tests (Schuirmann 1987), at half the usual level, so that it is below
    0.05 where the 95 % interval lies within the margin.

    Args:
      effect: The number and its distribution.
    """
    return max(effect.p_above(-MARGIN), effect.p_below(MARGIN))


def beyond(effect: Effect) -> float:
    """P value, small if the truth lies beyond the margin on one side.

    Args:
      effect: The number and its distribution.
    """
    return min(effect.p_above(MARGIN), effect.p_below(-MARGIN))


def p_text(p: float) -> str:
    """A p value as text.

    Args:
      p: The p value, in [0, 1].
    """
    return f"p = {p:.2g}" if p >= 0.001 else "p < 0.001"


def numbers(effect: Effect) -> tuple[float, float, float]:
    """Value and ends of the interval.

    Args:
      effect: The number and its distribution.
    """
    return float(effect.value), float(effect.low), float(effect.high)


def text(effect: Effect, unit: str = "") -> str:
    """Value and interval as text.

    Args:
      effect: The number and its distribution.
      unit: Stands right behind the value, so it begins with a space.
    """
    value, low, high = (number(each, 1) for each in numbers(effect))
    return f"{value}{unit} [{low}, {high}]"


def more_or_less(effect: Effect) -> str:
    """A difference as text: "12.0 [3.0, 21.0] points less", never a negative "more".

    Args:
      effect: A difference in points and its distribution.
    """
    value, low, high = numbers(effect)
    more = "less" if value < 0 else "more"
    if value < 0:
        value, low, high = -value, -high, -low
    return f"{number(value, 1)} [{number(low, 1)}, {number(high, 1)}] points {more}"
