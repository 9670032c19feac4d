"""How much of the function models preserve on changed images and on clean ones.

On each set of images, the base model's outputs are the function and the independent
models are the yardstick, so a base model that fails on corrupted images does not count
against the others. The sets are versions of the same images, so one resample serves all
of them, and effects of images and trainings common to two sets cancel in a difference.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kdfunc.similarity.bootstrap import Estimate, bootstrap_measures
from kdfunc.similarity.distances import Distances, turn_taking
from kdfunc.similarity.evaluate import pairwise
from kdfunc.similarity.groups import MEASURE
from kdfunc.similarity.intervals import TEstimate
from kdfunc.similarity.rank_tests import spearman
from kdfunc.similarity.scale import Preserved, score, steepness

RESAMPLES = 10_000


@dataclass(frozen=True, eq=False)
class Distant:
    """Distances to the base model on one set of images, or means over several.

    Attributes:
      estimate: `[models]`, the independent models last.
      among: `[m + 1, m + 1]` between base and independent models, base first.
    """

    estimate: Estimate
    among: np.ndarray

    @classmethod
    def mean(cls, several: Sequence["Distant"]) -> "Distant":
        """Mean distances over sets of the same images.

        Args:
          several: distances of the same models, in the same order.
        """
        estimates = [each.estimate for each in several]
        return cls(
            Estimate(
                np.mean([each.value for each in estimates], axis=0),
                np.mean([each.replicates for each in estimates], axis=0),
                estimates[0].confidence,
            ),
            np.mean([each.among for each in several], axis=0),
        )


def distant(
    base: np.ndarray,
    models: Sequence[np.ndarray],
    independents: Sequence[np.ndarray],
    resamples: int = RESAMPLES,
) -> Distant:
    """Distances on one set of images.

    Args:
      base: softmax of the base model `[examples, classes]`.
      models: the same for other models.
      independents: the same for the independent models.
      resamples: number of bootstrap resamples.
    """
    everyone = [*models, *independents]
    names = [MEASURE]
    estimates = bootstrap_measures(base, everyone, names=names, resamples=resamples)
    among = pairwise([base, *independents], names=names)
    return Distant(estimates[MEASURE], among[MEASURE])


class Shift:
    """How much groups of models preserve on one set of images and on another.

    Args:
      clean: distances on the first set.
      changed: on the second set, for the same models and images.
      groups: indices of the models of each group.
    """

    def __init__(
        self, clean: Distant, changed: Distant, groups: Mapping[str, Sequence[int]]
    ):
        self._models = models = len(clean.estimate.value)
        self._among = clean.among, changed.among
        first = models - len(clean.among) + 1
        both = clean.estimate, changed.estimate
        values = np.concatenate([each.value for each in both])
        replicates = np.concatenate([each.replicates for each in both], axis=1)
        self._joined = Estimate(values, replicates, clean.estimate.confidence)
        yardstick = range(first, models)
        self._clean = Distances.of(MEASURE, self._joined, yardstick, clean.among)
        spread, freedom = turn_taking(changed.among)
        self._changed = replace(
            self._clean,
            independents=tuple(place + models for place in yardstick),
            spread=spread,
            freedom=freedom,
        )
        self.groups = groups

    def clean(self, group: str) -> Preserved:
        """Function preserved on the first set.

        Args:
          group: name of a group.
        """
        return self._clean.preserved(self.groups[group])

    def changed(self, group: str) -> Preserved:
        """Function preserved on the second set.

        Args:
          group: name of a group.
        """
        return self._changed.preserved(self._moved(self.groups[group]))

    def _moved(self, places: Sequence[int]) -> list[int]:
        return [place + self._models for place in places]

    def difference(self, group: str) -> TEstimate:
        """How many points more of the function a group preserves on the second set.

        The variance is that of the linearized difference (delta method): a score
        changes by `min(r, 1 / r)` per change of the logarithm of the distance ratio r.

        Args:
          group: name of a group.
        """
        before = self.groups[group]
        if tuple(before) == self._clean.independents:
            return TEstimate(0.0, 0.0, math.inf)
        after = self._moved(before)
        ratios = self._clean.ratio(before), self._changed.ratio(after)
        if not all(map(math.isfinite, ratios)):
            return TEstimate(math.nan, math.inf, 1.0)
        old, new = map(steepness, ratios)
        models = (-new, after), (old, before)
        yardstick = (new, self._changed.independents), (-old, self._clean.independents)
        trainings = self._clean.trainings(*yardstick)
        with np.errstate(divide="ignore", invalid="ignore"):
            turns = self._among[1] ** new / self._among[0] ** old
        spread, freedom = turn_taking(turns)
        found = TEstimate.of(
            0.0,
            self._clean.over_images(*models, *yardstick),
            [
                self._clean.trainings(*models),
                replace(trainings, spread=spread, freedom=freedom),
            ],
        )
        points = score(ratios[1]) - score(ratios[0])
        return replace(found, value=points, variance=100**2 * found.variance)

    def correlation(self, groups: Sequence[str]) -> tuple[float, float, float]:
        """Spearman's rank correlation of the groups' mean distances on both sets.

        Args:
          groups: names of groups.

        Returns:
          The correlation and the ends of its 95 % interval over test images
          (percentiles of the resamples).
        """
        rows = np.vstack([self._joined.value, self._joined.replicates])
        means = []
        for moved in (0, self._models):
            places = [np.add(self.groups[name], moved) for name in groups]
            of_each = [rows[:, each].mean(axis=1) for each in places]
            means.append(np.stack(of_each, axis=1))
        found = spearman(*means)
        low, high = np.nanquantile(found[1:], [0.025, 0.975])
        return float(found[0]), float(low), float(high)
