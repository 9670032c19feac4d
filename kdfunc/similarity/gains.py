"""How much more of the function one group of models preserves than another."""

import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from kdfunc.similarity.intervals import CONFIDENCE, TEstimate
from kdfunc.similarity.scale import log, ratio_at, score, steepness
from kdfunc.text import count

if TYPE_CHECKING:
    from kdfunc.similarity.distances import Distances

STEPS = 20  # to the end of the scale, in the search for an end of an interval


@dataclass(frozen=True, eq=False)
class Gain:
    """How much more one group of models preserves than another, in points.

    To test whether the gain is above a threshold, one of the groups is moved by that
    many points: at 0 points, this tests the ratio of the groups' distances, without any
    yardstick. The interval contains the thresholds that no such test rejects.

    Attributes:
      distances: Of all models to the base model.
      members: Indices of the group's models.
      others: Indices of the other group's.
      paired: Whether they are paired by seed.
      confidence: Share of intervals that should cover the truth.
    """

    distances: "Distances" = field(repr=False)
    members: tuple[int, ...]
    others: tuple[int, ...]
    paired: bool
    confidence: float = CONFIDENCE

    @property
    def value(self) -> float:
        """In points."""
        return score(self.distances.ratio(self.members)) - score(
            self.distances.ratio(self.others)
        )

    @property
    def log_ratio(self) -> TEstimate:
        """Logarithm of how many times as far the group is as the other."""
        return replace(self._moved(0.0), confidence=self.confidence)

    @property
    def points(self) -> TEstimate:
        """The gain with its standard error in points, for a mean over several runs.

        The error is linearized (delta method): the function preserved changes by 100
        min(r, 1 / r) points per unit of log r, where r is the distance ratio.
        """
        slopes = [
            100 * steepness(self.distances.ratio(group))
            for group in (self.members, self.others)
        ]
        return self._estimate(
            self.value, (-slopes[0], self.members), (slopes[1], self.others)
        )

    @property
    def rests_on(self) -> str:
        """The trainings that the interval rests on."""
        against = f"{count(len(self.members), 'model')} against {len(self.others)}"
        if self.paired:
            against = f"{count(len(self.members), 'pair')} of models matched by seed"
        yardstick = count(len(self.distances.independents), "independent model")
        return f"{against}, {yardstick}"

    def widened(self, tests: int) -> "Gain":
        """The same with an interval that holds for several tests at once (Bonferroni).

        Args:
          tests: Number of tests.
        """
        return replace(self, confidence=1 - (1 - self.confidence) / tests)

    def p_above(self, points: float) -> float:
        """Two-sided p value for the gain lying above a threshold.

        Args:
          points: The threshold, in percentage points of function preserved.
        """
        p = self._moved(points).p_below(0)
        return min(p, self._moved(0.0).p_below(0)) if points < 0 else p

    def p_below(self, points: float) -> float:
        """Two-sided p value for the gain lying below a threshold.

        Args:
          points: The threshold, in percentage points of function preserved.
        """
        p = self._moved(points).p_above(0)
        return min(p, self._moved(0.0).p_above(0)) if points > 0 else p

    @cached_property
    def _ends(self) -> tuple[float, float]:
        value, level = self.value, 1 - self.confidence
        moved = self._moved(0.0)
        if math.isnan(value) or moved.value == 0 == moved.variance:
            return value, value
        return (
            _first(value, -200.0, lambda points: self.p_above(points) < level),
            _first(value, 200.0, lambda points: self.p_below(points) < level),
        )

    @property
    def low(self) -> float:
        """Lower end of the interval."""
        return self._ends[0]

    @property
    def high(self) -> float:
        """Upper end of the interval."""
        return self._ends[1]

    def _moved(self, points: float) -> TEstimate:
        """Log ratio of the groups' distances after a move; below 0 the gain is more."""
        if points < 0:
            found = self._apart(self.others, self.members, -points)
            return replace(found, value=-found.value)
        return self._apart(self.members, self.others, points)

    def _apart(
        self, first: Sequence[int], second: Sequence[int], points: float
    ) -> TEstimate:
        """Log ratio of distances, the second group being that many points ahead.

        Moves either the first group farther away or the second nearer, whichever
        magnifies its uncertainty less.
        """
        ratios = [self.distances.ratio(group) for group in (first, second)]
        scores = [score(ratio) for ratio in ratios]
        weights = [1.0, 1.0]
        if points:
            moved = [ratio_at(scores[0] - points), ratio_at(scores[1] + points)]
            slopes = [_slope(*pair) for pair in zip(ratios, moved, strict=True)]
            which = int(slopes[1] < slopes[0])
            if math.isinf(slopes[which]):
                return TEstimate(math.inf, 0.0, math.inf)  # beyond the scale
            ratios[which], weights[which] = moved[which], slopes[which]
        value = 0.0 if ratios[0] == ratios[1] else log(ratios[0]) - log(ratios[1])
        if not math.isfinite(value) or ratios == [0, 0]:
            return TEstimate(value, 0.0, math.inf)
        return self._estimate(value, (weights[0], first), (-weights[1], second))

    def _estimate(self, value: float, *terms: tuple[float, Sequence[int]]) -> TEstimate:
        """A sum of weighted logarithms of distance ratios, whose value is known."""
        yardstick = -sum(weight for weight, _ in terms)
        trainings = (
            [self.distances.trainings(*terms)]
            if self.paired
            else [self.distances.trainings(term) for term in terms]
        )
        return TEstimate.of(
            value,
            self.distances.over_images(
                *terms, (yardstick, self.distances.independents)
            ),
            [*trainings, self.distances.yardstick(yardstick)],
        )


def matched(
    first: Mapping[Hashable, int], second: Mapping[Hashable, int]
) -> tuple[list[int], list[int], bool]:
    """Which models of two groups to compare, and whether seed by seed.

    Groups with common seeds are compared on these alone, except if both have several
    models and only one common seed, since one pair decides nothing.

    Args:
      first: Indices of a group's models by seed.
      second: The other group's.

    Returns:
      The indices of each, and whether those at the same position share a seed.
    """
    seeds = [seed for seed in first if seed in second]
    if len(seeds) < min(2, len(first), len(second)):
        return [*first.values()], [*second.values()], False
    return [first[seed] for seed in seeds], [second[seed] for seed in seeds], True


def _slope(ratio: float, moved: float) -> float:
    """Relative change of a moved ratio per change of the ratio; infinite off scale."""
    if not 0 < moved < math.inf:
        return math.inf
    return steepness(ratio) / steepness(moved)


def _first(inside: float, outside: float, refused: Callable[[float], bool]) -> float:
    """The first point on the way outside that is rejected."""
    step = (outside - inside) / STEPS
    for place in range(1, STEPS + 1):
        if refused(inside + place * step):
            break
    else:
        return outside
    low, high = inside + (place - 1) * step, inside + place * step
    for _ in range(25):
        middle = (low + high) / 2
        low, high = (low, middle) if refused(middle) else (middle, high)
    return high
