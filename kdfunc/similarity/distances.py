"""Distances to the base model, and how much chance may change them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from kdfunc.errors import InputError
from kdfunc.similarity.bootstrap import Estimate, bootstrap_measures
from kdfunc.similarity.evaluate import pairwise, select
from kdfunc.similarity.gains import Gain
from kdfunc.similarity.intervals import (
    CONFIDENCE,
    TEstimate,
    Trainings,
    covariance,
    own_variance,
)
from kdfunc.similarity.measures import MEASURES
from kdfunc.similarity.scale import FunctionPreserved, Preserved, log
from kdfunc.similarity.softmax import listed


@dataclass(frozen=True, eq=False)
class Distances:
    """Distances of models to the base model, and their uncertainty.

    Attributes:
      values: `[models]`.
      images: `[models, models]` covariance, over test images, of relative errors.
      independents: Indices of the models that are the yardstick.
      spread: Variance of log distances from a model to independently trained ones.
      freedom: Degrees of freedom of the spread, 0 if it is unknown.
    """

    values: np.ndarray
    images: np.ndarray
    independents: Sequence[int]
    spread: float
    freedom: int

    @classmethod
    def of(
        cls,
        measure: str,
        estimate: Estimate,
        independents: Sequence[int],
        among: np.ndarray,
    ) -> "Distances":
        """Distances by a measure.

        Args:
          measure: Key in `MEASURES`, with an `identity`.
          estimate: The measure's, `[models]`.
          independents: Indices of the independent models.
          among: `[m + 1, m + 1]` values between base and independents, base first.
        """
        identity = MEASURES[measure].identity
        values = np.abs(estimate.value - identity)
        replicates = np.abs(estimate.replicates - identity)
        with np.errstate(divide="ignore", invalid="ignore"):
            relative = replicates / values
        relative[~np.isfinite(relative)] = 1.0  # no distance, or undefined
        spread, freedom = turn_taking(np.abs(among - identity))
        return cls(values, covariance(relative), tuple(independents), spread, freedom)

    @cached_property
    def logs(self) -> np.ndarray:
        """`[models]` logarithms of the distances."""
        with np.errstate(divide="ignore"):
            return np.log(self.values)

    def mean(self, members: Sequence[int]) -> float:
        """Mean distance of some models.

        Args:
          members: Places of the models in `values`.
        """
        return float(self.values[list(members)].mean())

    def ratio(self, members: Sequence[int]) -> float:
        """Mean distance of some models over that of the independent ones.

        Args:
          members: Places of the models in `values`.

        Returns:
          The ratio; NaN if the independent models do not differ from the base model.
        """
        unit = self.mean(self.independents)
        return self.mean(members) / unit if unit > 0 else math.nan

    def log_mean(self, members: Sequence[int]) -> TEstimate:
        """Logarithm of the mean distance of some models.

        Args:
          members: Places of the models in `values`.
        """
        independent = tuple(members) == tuple(self.independents)
        return TEstimate.of(
            log(self.mean(members)),
            self.over_images((1, members)),
            [self.yardstick(1) if independent else self.trainings((1, members))],
        )

    def spread_of(self, members: Sequence[int]) -> float:
        """Relative standard deviation of distances in percent; NaN for a single one.

        Args:
          members: Places of the models in `values`.
        """
        independent = tuple(members) == tuple(self.independents)
        found = self.yardstick(1) if independent else self.trainings((1, members))
        return 100 * math.sqrt(found.spread) if found.freedom else math.nan

    def preserved(self, members: Sequence[int]) -> Preserved:
        """Function preserved by some models, as one group.

        Args:
          members: Places of the models in `values`.
        """
        if tuple(members) == tuple(self.independents):
            estimate = TEstimate(0.0 * log(self.ratio(members)), 0.0, math.inf)
        else:
            estimate = TEstimate.of(
                log(self.ratio(members)),
                self.over_images((1, members), (-1, self.independents)),
                [self.trainings((1, members)), self.yardstick(1)],
            )
        return Preserved(estimate, len(members), len(self.independents))

    def gain(self, members: Sequence[int], others: Sequence[int], paired: bool) -> Gain:
        """How much more some models preserve than others.

        Args:
          members: Indices of the former in `values`.
          others: Indices of the latter.
          paired: Whether models at the same position in both share a seed.
        """
        return Gain(self, tuple(members), tuple(others), paired)

    def over_images(self, *terms: tuple[float, Sequence[int]]) -> float:
        """Variance over images of a sum of weighted logarithms of mean distances.

        Args:
          *terms: Pairs of a weight and the indices of the models whose mean distance it
            weights.
        """
        weights = np.zeros(len(self.values))
        for weight, members in terms:
            total = self.values[list(members)].sum()
            if weight and total:
                weights[list(members)] += weight * self.values[list(members)] / total
        return max(0.0, float(weights @ self.images @ weights))

    def trainings(self, *terms: tuple[float, Sequence[int]]) -> Trainings:
        """Trainings whose weighted log distances are added up, seed by seed.

        Args:
          *terms: Pairs of a weight and the indices of models; models at the same
            position in each pair share a seed.
        """
        weighted = [(weight, list(members)) for weight, members in terms if weight]
        if not weighted:
            return Trainings(1, 0.0, 0.0, 0)
        number = len(weighted[0][1])
        if number < 2:
            return Trainings(number, 0.0, 0.0, 0)
        with np.errstate(invalid="ignore"):
            sums = sum(weight * self.logs[members] for weight, members in weighted)
            spread = float(np.var(sums, ddof=1))
        own = sum(
            weight * other * own_variance(self.images[np.ix_(members, others)])
            for weight, members in weighted
            for other, others in weighted
        )
        return Trainings(number, spread, float(own), number - 1)

    def yardstick(self, weight: float) -> Trainings:
        """The independent models as trainings.

        Args:
          weight: Of the logarithm of their mean distance.
        """
        places = list(self.independents)
        if not weight or not self.freedom:
            return Trainings(len(places), 0.0, 0.0, 0)
        own = own_variance(self.images[np.ix_(places, places)])
        squared = weight**2
        return Trainings(
            len(places), squared * self.spread, squared * own, self.freedom
        )


def turn_taking(among: np.ndarray) -> tuple[float, int]:
    """How much distances from one model to independently trained ones vary.

    Each model in turn is the one that distances are measured from; the result is the
    mean of the variances of their logarithms. With m independent models and the base
    model, it has m degrees of freedom; the base model's own distances have m - 1.

    Args:
      among: `[m + 1, m + 1]` distances between all of them.

    Returns:
      The variance and its degrees of freedom, 0 and 0 for fewer than two independents.
    """
    number = len(among)
    if number < 3:
        return 0.0, 0
    others = ~np.eye(number, dtype=bool)
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(among[others].reshape(number, number - 1))
        return float(logs.var(axis=1, ddof=1).mean()), number - 1


def function_preserved(
    reference: np.ndarray,
    candidates: Sequence[np.ndarray | Sequence[np.ndarray]],
    independents: Sequence[np.ndarray],
    labels: np.ndarray | None = None,
    *,
    names: Sequence[str] | None = None,
    resamples: int = 10_000,
    confidence: float = CONFIDENCE,
    seed: int = 0,
) -> dict[str, FunctionPreserved]:
    """How much of the reference's function each candidate keeps, in percent.

    A distance is the difference between a measure's value and its value for identical
    models. Intervals cover the choice of test examples, the trainings of the
    independent models, and those of a candidate that was trained several times.

    Args:
      reference: `[examples, classes]` softmax of the base model.
      candidates: The same for each compressed model; a list of several for a model that
        was trained several times.
      independents: The same for models trained like the base model from other initial
        weights.
      labels: `[examples]` true classes, or None.
      names: Measures with an `identity`; None for all of them or, without labels, for
        those that need none.
      resamples: Number of bootstrap resamples.
      confidence: Share of intervals that should cover the truth.
      seed: Seed of the resampling.

    Returns:
      What each candidate preserves, by measure; NaN if the independents do not differ
      from the reference.

    Raises:
      InputError: As in `bootstrap_measures`, a measure without `identity`, no
        independents.
    """
    candidates = listed(candidates, "candidates")
    independents = listed(independents, "independents")
    if len(independents) < 1:
        raise InputError("there are no independent models; give at least one.")
    chosen = select(names, labels)
    if names is None:
        chosen = [name for name in chosen if MEASURES[name].identity is not None]
    for name in chosen:
        if MEASURES[name].identity is None:
            raise InputError(
                f"measure {name!r} is a difference in quality and says nothing about "
                "the function preserved; give one with an identity."
            )
    models: list[np.ndarray] = []
    members = []
    for candidate in candidates:
        group: Any = candidate if np.ndim(candidate[0]) == 2 else [candidate]
        members.append(range(len(models), len(models) + len(group)))
        models += group
    yardstick = range(len(models), len(models) + len(independents))
    estimates = bootstrap_measures(
        reference,
        [*models, *independents],
        labels,
        names=chosen,
        resamples=resamples,
        confidence=confidence,
        seed=seed,
    )
    among = pairwise([reference, *independents], labels, names=chosen)
    found = {}
    for name in chosen:
        distances = Distances.of(name, estimates[name], yardstick, among[name])
        groups = tuple(distances.preserved(group) for group in members)
        found[name] = FunctionPreserved(groups, confidence)
    return found
