"""Numbers with intervals, and how many examples would decide a limit."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from kdfunc.similarity import Estimate
from kdfunc.similarity.bootstrap import resample_counts
from kdfunc.similarity.scale import FunctionPreserved
from kdfunc.similarity.shares import exact_interval, unseen_share

#: Below so many examples, percentile intervals of a mean cover too rarely to decide: of
#: a divergence, which few examples make up for the most part, a tenth of those from 200
#: examples and a sixth of those from 30 missed the value on 10,000, 5 % from 500.
FEWEST = 500
#: The same for the function preserved, whose interval is that of a log ratio.
FEWEST_PRESERVED = 30
#: Resamples beyond each end of a percentile interval, without which it decides nothing.
BEYOND = 5
MOST = 10**9  # examples that anybody would gather


@dataclass(frozen=True)
class Quantity:
    """One number of a comparison.

    Attributes:
      value: NaN if undefined.
      examples: Number of examples behind it; 0 if it does not depend on chance.
      ends: The interval as a function of confidence and number of examples; for another
        number of examples than given, the expected interval. None if it does not depend
        on chance.
      fewest: Smallest number of examples for which the interval may decide; infinite if
        it never may.
      narrows: Whether more examples alone can make the interval arbitrarily narrow;
        they cannot if it also covers a few trainings.
      resamples: Number of resamples behind the ends; infinite if there are none.
    """

    value: float
    examples: int = 0
    ends: Callable[[float, int], tuple[float, float]] | None = None
    fewest: float = 0
    narrows: bool = True
    resamples: float = math.inf

    def interval(self, confidence: float) -> tuple[float, float]:
        """Lower and upper end; the value itself if it does not depend on chance.

        Args:
          confidence: Share of intervals that are to cover the truth, in (0, 1).
        """
        if self.ends is None:
            return self.value, self.value
        return self.ends(confidence, self.examples)

    def is_open(self, bound: float, confidence: float, examples: int) -> bool:
        """Whether a number of examples leaves open on which side of the bound it is.

        Args:
          bound: The limit's bound, in the quantity's unit.
          confidence: Share of intervals that are to cover the truth, in (0, 1).
          examples: Number of examples.
        """
        if self.ends is None:
            return False
        low, high = self.ends(confidence, examples)
        few = examples < self.fewest or self.resamples < fewest_resamples(confidence)
        return few or low < bound < high

    def examples_to_decide(self, bound: float, confidence: float) -> int | None:
        """About how many examples would show on which side of the bound it is.

        This assumes that the value stays the same; None if no number of examples would.

        Args:
          bound: The limit's bound, in the quantity's unit.
          confidence: Share of intervals that are to cover the truth, in (0, 1).
        """
        enough = self.examples
        still_open = enough
        while self.is_open(bound, confidence, enough):
            still_open, enough = enough, 2 * enough
            if enough > MOST:
                return None
        while enough - still_open > max(1, enough // 200):
            middle = (enough + still_open) // 2
            if self.is_open(bound, confidence, middle):
                still_open = middle
            else:
                enough = middle
        return enough


def fewest_resamples(confidence: float) -> int:
    """Smallest number of resamples for which a percentile interval may decide.

    Args:
      confidence: Share of intervals that are to cover the truth, in (0, 1).
    """
    return round(2 * BEYOND / round(1 - confidence, 12))


def share(count: int, of: int, examples: int) -> Quantity:
    """The share `count / of`, with exact intervals.

    Args:
      count: The number counted.
      of: The total, such as the mistakes of a model.
      examples: Number of examples from which these come.
    """

    def ends(confidence: float, number: int) -> tuple[float, float]:
        total = round(of * number / examples)
        fewer, part = divmod(count * total / of if of else 0.0, 1)
        low, high = exact_interval(int(fewer), total, confidence)
        if part:  # between two whole counts, which only other numbers of examples have
            more = exact_interval(int(fewer) + 1, total, confidence)
            low += part * (more[0] - low)
            high += part * (more[1] - high)
        return low, high

    return Quantity(count / of if of else math.nan, examples, ends)


def estimated(
    estimate: Estimate | FunctionPreserved,
    examples: int,
    reach: tuple[float, float] | None = None,
    fewest: float = FEWEST,
) -> Quantity:
    """A measure with its bootstrap distribution.

    Args:
      estimate: `[1]`.
      examples: Number of resampled examples.
      reach: The ends of the range, for measures that count events: an event that no
        example shows, and so no resample, may still happen as often as `unseen_share`
        says.
      fewest: Smallest number of examples for which the interval may decide.
    """
    value = float(estimate.value[0])
    if math.isnan(value):
        return Quantity(value)

    def ends(confidence: float, number: int) -> tuple[float, float]:
        if math.isinf(value):
            return value, value
        found = replace(estimate, confidence=confidence)
        low, high = float(found.low[0]), float(found.high[0])
        if number != examples:
            narrower = math.sqrt(examples / number)
            low, high = (value + narrower * (end - value) for end in (low, high))
        if reach:
            unseen = unseen_share(number, confidence)
            low = min(low, value + unseen * (reach[0] - value))
            high = max(high, value + unseen * (reach[1] - value))
        return low, high

    found = Quantity(value, examples, ends, fewest)
    if isinstance(estimate, Estimate):
        found = replace(found, resamples=len(estimate.replicates))
    return found


def resampled(
    components: np.ndarray,
    combine: Callable[[np.ndarray], np.ndarray],
    resamples: int,
    confidence: float,
) -> Estimate:
    """Bootstrap of a formula applied to means over examples.

    Args:
      components: `[examples, k]` numbers, k for each example.
      combine: Maps their means `[..., k]` to the value `[...]`.
      resamples: Number of resamples, the same as in `similarity.bootstrap_measures`.
      confidence: Share of intervals that are to cover the truth.

    Returns:
      An estimate `[1]`.
    """
    n = len(components)
    draws = resample_counts(n, resamples, np.random.default_rng(0))
    replicates = [combine(counts @ components / n) for counts in draws]
    value = combine(components.mean(axis=0))
    return Estimate(
        np.reshape(value, 1), np.concatenate(replicates)[:, None], confidence
    )
