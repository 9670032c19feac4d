"""What one group of models preserves more of the function than another."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from kdfunc.similarity.intervals import CONFIDENCE, TEstimate
from kdfunc.similarity.scale import count, log, ratio_at, score

if TYPE_CHECKING:
    from kdfunc.similarity.distances import Distances

STEPS = 20  # to the end of the scale, in the search for an end of an interval


@dataclass(frozen=True, eq=False)
class Gain:
    """What one group of models preserves more than another, in points.

    Whether it is above some points is tested by moving one of the groups by as many: at
    0 points what is tested is the ratio of the groups' distances, without any
    yardstick. The interval holds the points that no such test refuses.

    Attributes:
      distances: Of all models to the base model.
      members: Places of the group's.
      others: Places of the other's.
      paired: Whether they are paired by seed.
      confidence: Share of intervals that are to cover the truth.
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
    def times(self) -> TEstimate:
        """Logarithm of how many times as far the group is as the other."""
        return replace(self._moved(0.0), confidence=self.confidence)

    @property
    def rests_on(self) -> str:
        """The trainings that the interval rests on."""
        against = f"{count(len(self.members), 'model')} against {len(self.others)}"
        if self.paired:
            against = f"{count(len(self.members), 'pair')} of models of one seed"
        yardstick = count(len(self.distances.independents), "independent model")
        return f"{against}, {yardstick}"

    def widened(self, tests: int) -> "Gain":
        """With an interval that holds for all of several such tests (Bonferroni).

        Args:
          tests: How many they are.
        """
        return replace(self, confidence=1 - (1 - self.confidence) / tests)

    def p_above(self, points: float) -> float:
        """Two-sided p value for the gain lying above so many points.

        Args:
          points: Of function preserved, in percentage points.
        """
        p = self._moved(points).p_below(0)
        return min(p, self._moved(0.0).p_below(0)) if points < 0 else p

    def p_below(self, points: float) -> float:
        """Two-sided p value for the gain lying below so many points.

        Args:
          points: Of function preserved, in percentage points.
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
        """Log ratio of distances, the second group being so many points ahead.

        Either the first group is moved farther or the second nearer, whichever makes
        less of what is not known of it.
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
        terms = (weights[0], first), (-weights[1], second)
        yardstick = weights[1] - weights[0]
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


def _slope(ratio: float, moved: float) -> float:
    """Relative change of a moved ratio per change of the ratio; infinite off scale."""
    if not 0 < moved < math.inf:
        return math.inf
    steepness = [min(r, 1 / r) if r else 0.0 for r in (ratio, moved)]
    return steepness[0] / steepness[1]


def _first(inside: float, outside: float, refused: Callable[[float], bool]) -> float:
    """The first point that is refused on the way outside."""
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
