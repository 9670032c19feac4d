"""Numbers with intervals, and how many examples would decide about a bound."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from kdfunc.similarity import Estimate
from kdfunc.similarity.bootstrap import resample_counts
from kdfunc.similarity.scale import FunctionPreserved
from kdfunc.similarity.shares import exact_interval, unseen_share

#: Below so many examples, percentile intervals of a mean cover too rarely to decide.
FEWEST = 30
MOST = 10**9  # examples that anybody would gather


@dataclass(frozen=True)
class Quantity:
    """What two models gave, as one number.

    Attributes:
      value: NaN where it is not defined.
      examples: How many it comes from; 0 where there is no chance in it.
      ends: Of a confidence and a number of examples, the interval; on other numbers of
        examples than there are, what is to be expected. None where there is no chance.
      fewest: Examples from which on the interval may decide.
      narrows: Whether more examples alone make the interval as narrow as is wanted;
        not where few trainings are in it, too.
    """

    value: float
    examples: int = 0
    ends: Callable[[float, int], tuple[float, float]] | None = None
    fewest: int = 0
    narrows: bool = True

    def interval(self, confidence: float) -> tuple[float, float]:
        """Lower and upper end; the value itself where there is no chance in it.

        Args:
          confidence: Share of intervals that are to cover the truth, in (0, 1).
        """
        if self.ends is None:
            return self.value, self.value
        return self.ends(confidence, self.examples)

    def is_open(self, bound: float, confidence: float, examples: int) -> bool:
        """Whether so many examples leave open on which side of the bound it is.

        Args:
          bound: Of a limit, in the quantity's unit.
          confidence: Share of intervals that are to cover the truth, in (0, 1).
          examples: How many there would be.
        """
        if self.ends is None:
            return False
        low, high = self.ends(confidence, examples)
        return examples < self.fewest or low < bound < high

    def examples_to_decide(self, bound: float, confidence: float) -> int | None:
        """About how many examples would tell on which side of the bound it is.

        If the value stays what it is; None where no number of examples would.

        Args:
          bound: Of a limit, in the quantity's unit.
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


def share(count: int, of: int, examples: int) -> Quantity:
    """The share of `of` that are counted, with exact intervals.

    Args:
      count: How many are counted.
      of: All of them, such as the mistakes of a model.
      examples: That these come from.
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
) -> Quantity:
    """A measure with its bootstrap distribution.

    Args:
      estimate: `[1]`.
      examples: That were resampled.
      reach: For what counts events, the ends of its range: what no example shows, and
        no resample can, may still happen as often as `unseen_share` says.
    """
    value = float(estimate.value[0])
    if not math.isfinite(value):
        return Quantity(value)

    def ends(confidence: float, number: int) -> tuple[float, float]:
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

    return Quantity(value, examples, ends, fewest=FEWEST)


def resampled(
    components: np.ndarray,
    combine: Callable[[np.ndarray], np.ndarray],
    resamples: int,
    confidence: float,
    seed: int = 0,
) -> Estimate:
    """Bootstrap of a formula on means over examples.

    Args:
      components: `[examples, k]` numbers of each example.
      combine: Of their means `[..., k]`, the value `[...]`.
      resamples: Number of resamples, the same as in `similarity.bootstrap_measures`.
      confidence: Share of intervals that are to cover the truth.
      seed: Of the resampling.

    Returns:
      An estimate `[1]`.
    """
    n = len(components)
    draws = resample_counts(n, resamples, np.random.default_rng(seed))
    replicates = [combine(counts @ components / n) for counts in draws]
    value = combine(components.mean(axis=0))
    return Estimate(
        np.reshape(value, 1), np.concatenate(replicates)[:, None], confidence
    )
