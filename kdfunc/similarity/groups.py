"""The models of one run by group, and their distances to the base model.

The yardstick of the function preserved (see `scale`) is the independent models. All
groups share one bootstrap, and groups of the same seeds are compared seed by seed: the
effects of a data order on both cancel in their difference.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise as neighbours
from typing import Literal

import numpy as np

from kdfunc.catalog import CONTROLS, FAIR_ZERO
from kdfunc.errors import refuse_unknown
from kdfunc.similarity.bootstrap import Estimate, bootstrap_measures
from kdfunc.similarity.distances import Distances
from kdfunc.similarity.evaluate import pairwise
from kdfunc.similarity.gains import Gain, matched
from kdfunc.similarity.intervals import TEstimate, mean_of
from kdfunc.similarity.scale import Preserved

MEASURE = "jensen_shannon"
#: Further measures of each model; the first also serves as a distance.
OTHERS = ("disagreement", "copied_errors", "copied_correct", "accuracy_difference")

Seeds = Mapping[Hashable, np.ndarray]  # softmax outputs by seed


def student_group(alpha: float) -> str:
    """The name of the group of an alpha's students.

    Args:
      alpha: Weight of the label loss or, by the run's convention, of the teacher's, in
        [0, 1].
    """
    return f"alpha {alpha:g}"


def pruned_group(level: float) -> str:
    """The name of the group of the model pruned to a level.

    Args:
      level: Share of weights set to zero, in [0, 1].
    """
    return f"pruning by {100 * level:g} %"


@dataclass(frozen=True, eq=False)
class Evidence:
    """The final softmax outputs of one run's models, `[examples, classes]` each.

    Models that were not trained are left out; a claim that needs them stays undecided.

    Attributes:
      base: The base model's.
      labels: `[examples]` true classes.
      independents: Of models trained like the base model from other initial weights.
      controls: By a name in `catalog.CONTROLS` and by seed. Those with soft targets
        are distilled at the alpha that leans most on the teacher.
      teachers: By seed, whose student the model of the control `other-teacher` is, as
        any key; models without one count as students of different teachers.
      students: By alpha and by seed. Models of one seed, students or controls, share a
        data order.
      leans_on_teacher: Whether a larger alpha gives more weight to the teacher.
      soft_targets: What the students' teacher gives, "probabilities" or "logits".
      quantized: By mode.
      pruned: By level, the share of weights that are zero.
      same_optimizer: Whether students have the base model's optimizer, so that the
        independent models are a fair zero for them.
      shared_order: Whether the independent models saw the data in the base model's
        order and students and controls of some seeds did not.
      resamples: Number of bootstrap resamples.

    Raises:
      InputError: No such control or soft targets; arrays that are not softmax outputs
        for the same examples are refused when they are first compared.
    """

    base: np.ndarray
    labels: np.ndarray
    leans_on_teacher: bool
    soft_targets: Literal["probabilities", "logits"]
    independents: Sequence[np.ndarray] = ()
    controls: Mapping[str, Seeds] = field(default_factory=dict)
    teachers: Mapping[Hashable, Hashable] = field(default_factory=dict)
    students: Mapping[float, Seeds] = field(default_factory=dict)
    quantized: Mapping[str, np.ndarray] = field(default_factory=dict)
    pruned: Mapping[float, np.ndarray] = field(default_factory=dict)
    same_optimizer: bool = True
    shared_order: bool = False
    resamples: int = 10_000

    def __post_init__(self):
        for name in self.controls:
            refuse_unknown("controls", name, CONTROLS)
        refuse_unknown("soft_targets", self.soft_targets, ("probabilities", "logits"))

    @property
    def alphas(self) -> list[str]:
        """Names of the students' groups, the one leaning most on the teacher last."""
        trained = [alpha for alpha, models in self.students.items() if len(models)]
        ordered = sorted(trained, reverse=not self.leans_on_teacher)
        return [student_group(alpha) for alpha in ordered]

    @property
    def levels(self) -> dict[str, float]:
        """Pruning levels by the names of their groups, the lowest first."""
        return {pruned_group(level): level for level in sorted(self.pruned)}

    @cached_property
    def groups(self) -> dict[str, list[np.ndarray]]:
        """The models by group: those of one group differ in their training's seed."""
        groups = {"independent": self.independents}
        groups |= {name: [*models.values()] for name, models in self._seeded.items()}
        groups |= {mode: [model] for mode, model in self.quantized.items()}
        groups |= {name: [self.pruned[level]] for name, level in self.levels.items()}
        return {name: list(models) for name, models in groups.items() if len(models)}

    @property
    def _seeded(self) -> dict[str, Seeds]:
        """The groups that may share seeds with other groups."""
        students = {student_group(a): seeds for a, seeds in self.students.items()}
        return {**self.controls, **students}

    def seeds(self, group: str) -> tuple[Hashable, ...]:
        """A group's seeds; groups of the same seeds share their data orders.

        Models without such a seed get one that no other group has.

        Args:
          group: Name of a group.
        """
        models = self.groups[group]
        return tuple(self._seeded.get(group, [(group, i) for i in range(len(models))]))

    @cached_property
    def members(self) -> dict[str, list[int]]:
        """Places of each group's models among all of them."""
        ends = np.cumsum([0, *map(len, self.groups.values())])
        members = [list(range(start, end)) for start, end in neighbours(ends)]
        return dict(zip(self.groups, members, strict=True))

    @cached_property
    def estimates(self) -> dict[str, Estimate]:
        """Measures of all models against the base model, `[models]`."""
        models = [model for group in self.groups.values() for model in group]
        return bootstrap_measures(
            self.base,
            models,
            self.labels,
            names=[MEASURE, *OTHERS],
            resamples=self.resamples,
        )

    @cached_property
    def _distances(self) -> dict[str, Distances]:
        names = [MEASURE, "disagreement"]
        among = pairwise([self.base, *self.groups["independent"]], names=names)
        yardstick = self.members["independent"]
        return {
            name: Distances.of(name, self.estimates[name], yardstick, among[name])
            for name in names
        }

    def distances(self, measure: str = MEASURE) -> Distances:
        """Distances of all models to the base model, by a measure.

        Args:
          measure: Name of a measure with an `identity`.
        """
        return self._distances[measure]

    @cached_property
    def has_scale(self) -> bool:
        """Whether there are independent models that differ from the base model."""
        if "independent" not in self.groups:
            return False
        return self.distances().mean(self.members["independent"]) > 0

    @property
    def fair_zero(self) -> str | None:
        """Independent models with the students' optimizer; None if there are none."""
        if self.same_optimizer:
            return "independent"
        return FAIR_ZERO if FAIR_ZERO in self.groups else None

    def common(self, group: str, other: str) -> tuple[list[int], list[int], bool]:
        """Places of two groups' models to compare, as `matched` chooses them.

        Args:
          group: Name of a group.
          other: Name of the group that it is compared with.
        """
        first, second = (
            dict(zip(self.seeds(name), self.members[name], strict=True))
            for name in (group, other)
        )
        return matched(first, second)

    def distance(self, group: str) -> TEstimate:
        """Logarithm of the mean distance of a group's models to the base model.

        Args:
          group: Name of a group.
        """
        return self.distances().log_mean(self.members[group])

    def preserved(self, group: str, measure: str = MEASURE) -> Preserved:
        """Function preserved by a group's models, in percent.

        Args:
          group: Name of a group.
          measure: Name of a measure with an `identity`.
        """
        return self.distances(measure).preserved(self.members[group])

    def gain(self, group: str, other: str, measure: str = MEASURE) -> Gain | Preserved:
        """How much more function one group preserves than another, in points.

        Compared with the independent models, the zero of the scale, the gain is the
        function preserved itself.

        Args:
          group: The name of the group.
          other: The group that it is compared with.
          measure: The name of the measure of distance.

        Returns:
          The gain in points, with its 95 % interval.
        """
        if other == "independent":
            return self.preserved(group, measure)
        return self.distances(measure).gain(*self.common(group, other))

    def each_preserved(self, group: str) -> np.ndarray:
        """Function preserved by each of a group's models, in percent.

        Args:
          group: Name of a group.

        Returns:
          `[models of the group]`.
        """
        distances = self.distances()
        return np.array(
            [distances.preserved([place]).value for place in self.members[group]]
        )

    @cached_property
    def base_accuracy(self) -> float:
        """Share of the examples that the base model classifies correctly."""
        return float(np.mean(np.argmax(self.base, axis=1) == self.labels))

    def accuracy_deviation(self, group: str) -> TEstimate:
        """Mean relative deviation from the base model's accuracy, in percent.

        Args:
          group: Name of a group.
        """
        estimate, places = self.estimates["accuracy_difference"], self.members[group]
        unit = self.base_accuracy / 100
        return mean_of(
            estimate.value[places] / unit, estimate.replicates[:, places] / unit
        )
