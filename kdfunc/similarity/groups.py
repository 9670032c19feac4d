"""The models of one run by group, and their distances to the base model.

The yardstick is the **function preserved**: 100 % is the base model's own function, 0 %
is as far from it, in mean Jensen-Shannon divergence over the test examples, as the
independent models are on average. Intervals are bootstrap intervals over test examples
and training seeds, those of the independent models included; with few seeds they are
too narrow (see `bootstrap_seeds`). One bootstrap serves all groups, and groups of the
same seeds are resampled together, so the differences between them are paired.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Literal

import numpy as np
import pandas as pd

from kdfunc.errors import InputError
from kdfunc.similarity.bootstrap import Estimate, bootstrap_measures, bootstrap_seeds

MEASURE = "jensen_shannon"

Seeds = Mapping[Hashable, np.ndarray]  # softmax outputs by seed

#: Groups of other initial weights than the base model's.
STRANGERS = ("independent", "independent-optimizer")

#: The controls and what their models are.
CONTROLS = {
    "independent-optimizer": "independent, with the students' optimizer",
    "same-start": "the base model's initial weights, students' optimizer, no teacher",
    "same-start-base-optimizer": "the base model's initial weights and optimizer",
    "no-knowledge": "students of fixed random soft targets",
    "other-teacher": "students of independent models instead of the base model",
    "other-targets": "students of the other preset's soft targets",
}


@dataclass(frozen=True, eq=False)
class Evidence:
    """The final softmax outputs of one run's models, `[examples, classes]` each.

    What was not trained is left empty; a claim that needs it stays undecided.

    Attributes:
      base: The base model's.
      labels: `[examples]` true classes.
      independents: Of models trained like the base model from other initial weights.
      controls: By a name in `CONTROLS` and by seed. The three with soft targets are
        distilled at the alpha that leans most on the teacher.
      students: By alpha and by seed. Models of one seed, students or controls, have
        their data order in common.
      leans_on_teacher: Whether a larger alpha leans on the teacher, not on the labels.
      soft_targets: What the students' teacher gives, "probabilities" or "logits".
      quantized: By mode.
      pruned: By level, the share of weights that are zero.
      shared_order: Whether the independent models saw the data in the base model's
        order and students and controls of some seeds did not.
      resamples: Number of bootstrap resamples.
      seed: Seed of the resampling.

    Raises:
      InputError: No such control or soft targets; arrays that are no softmax outputs
        for the same examples are refused when they are first compared.
    """

    base: np.ndarray
    labels: np.ndarray
    leans_on_teacher: bool
    soft_targets: Literal["probabilities", "logits"]
    independents: Sequence[np.ndarray] = ()
    controls: Mapping[str, Seeds] = field(default_factory=dict)
    students: Mapping[float, Seeds] = field(default_factory=dict)
    quantized: Mapping[str, np.ndarray] = field(default_factory=dict)
    pruned: Mapping[float, np.ndarray] = field(default_factory=dict)
    shared_order: bool = False
    resamples: int = 10_000
    seed: int = 0

    def __post_init__(self):
        for name in self.controls:
            if name not in CONTROLS:
                raise InputError(
                    f"no control {name!r}; allowed: {', '.join(CONTROLS)}."
                )
        if self.soft_targets not in ("probabilities", "logits"):
            raise InputError(
                f"soft_targets is {self.soft_targets!r}; "
                "allowed: probabilities, logits."
            )

    @property
    def alphas(self) -> list[str]:
        """Names of the students' groups, the one leaning most on the teacher last."""
        trained = [alpha for alpha, models in self.students.items() if len(models)]
        ordered = sorted(trained, reverse=not self.leans_on_teacher)
        return [f"alpha {alpha:g}" for alpha in ordered]

    @property
    def levels(self) -> dict[str, float]:
        """Pruning levels by the names of their groups, the lowest first."""
        return {f"pruning by {100 * level:g} %": level for level in sorted(self.pruned)}

    @cached_property
    def groups(self) -> dict[str, list[np.ndarray]]:
        """The models by group: those of one group differ by their training's seed."""
        groups = {"independent": self.independents}
        groups |= {name: [*models.values()] for name, models in self._seeded.items()}
        groups |= {mode: [model] for mode, model in self.quantized.items()}
        groups |= {name: [self.pruned[level]] for name, level in self.levels.items()}
        return {name: list(models) for name, models in groups.items() if len(models)}

    @property
    def _seeded(self) -> dict[str, Seeds]:
        """The groups whose seeds mean something to other groups."""
        students = {f"alpha {alpha:g}": seeds for alpha, seeds in self.students.items()}
        return {**self.controls, **students}

    def seeds(self, group: str) -> tuple[Hashable, ...]:
        """What a group's seeds are; groups of the same ones share their data orders.

        Models of other groups have seeds that no other group has.
        """
        models = self.groups[group]
        return tuple(self._seeded.get(group, [(group, i) for i in range(len(models))]))

    @cached_property
    def _members(self) -> dict[str, list[int]]:
        """Indices of each group's models."""
        ends = np.cumsum([0, *map(len, self.groups.values())])
        members = [list(range(start, end)) for start, end in pairwise(ends)]
        return dict(zip(self.groups, members, strict=True))

    @cached_property
    def _distances(self) -> Estimate:
        """Distances to the base model `[models]`."""
        models = [model for group in self.groups.values() for model in group]
        return bootstrap_measures(
            [MEASURE],
            self.base,
            models,
            self.labels,
            resamples=self.resamples,
            seed=self.seed,
        )[MEASURE]

    @property
    def has_scale(self) -> bool:
        """Whether there are independent models, at a distance that can be 0 %."""
        return "independent" in self.groups and self.distance("independent").value > 0

    def _means(self, groups: Sequence[str], seeds: Sequence[Hashable]) -> Estimate:
        """Mean distances to the base model `[groups]`, of these seeds if of any."""
        members, names = [], []
        for group in groups:
            own = dict(zip(self.seeds(group), self._members[group], strict=True))
            kept = [seed for seed in own if seed in seeds] or list(own)
            members.append([own[seed] for seed in kept])
            names.append(tuple(kept))
        return bootstrap_seeds(self._distances, members, names, seed=self.seed)

    def distance(self, group: str) -> Estimate:
        """Mean distance of a group's models to the base model, in bits."""
        return self._means([group], ()).derive(lambda means: means[..., 0])

    def preserved(self, group: str) -> Estimate:
        """Mean function preserved by a group's models, in percent."""
        return self.gain(group, "independent")

    def gain(self, group: str, other: str) -> Estimate:
        """How much more function one group preserves than another, in points.

        Groups with some seeds in common are compared on these alone.
        """
        common = set(self.seeds(group)) & set(self.seeds(other))
        means = self._means([group, other, "independent"], common)
        return means.derive(lambda m: 100 * (m[..., 1] - m[..., 0]) / m[..., 2])

    def each_preserved(self, group: str) -> np.ndarray:
        """Function preserved by each of a group's models, in percent."""
        distances = self._distances.value[self._members[group]]
        return 100 * (1 - distances / self.distance("independent").value)

    def accuracy_deviation(self, group: str) -> float:
        """Mean relative deviation from the base model's accuracy, in percent."""
        base, *others = (
            np.mean(np.argmax(model, axis=1) == self.labels)
            for model in (self.base, *self.groups[group])
        )
        return float(100 * (np.mean(others) - base) / base)


def ladder(evidence: Evidence) -> pd.DataFrame:
    """What each ingredient of distillation adds to the function preserved.

    From independent models, one ingredient after the other: the students' optimizer,
    the base model's initial weights, the teacher's probabilities, its logits. Beside
    them, `side` rungs: initial weights alone, and a teacher of no knowledge. Rungs
    whose models are not there are left out; without independent models all are. Where
    the independent models share the base model's data order, the step from them to
    models of other seeds changes the data order, too, and its rung says so.

    Args:
      evidence: The models.

    Returns:
      A row a rung: `rung`, the `group` of its models and how many (`models`), `side`;
      `distance` to the base model in bits, function `preserved` in percent, and `step`,
      what is preserved more than `over`, another rung's group, in points; each with its
      ends `_low` and `_high`. The first rung has no step.
    """
    students = evidence.alphas[-1] if evidence.alphas else None
    taught = dict.fromkeys(("probabilities", "logits"), "other-targets")
    taught[evidence.soft_targets] = students
    rungs = [
        ("independent", "Independent", None),
        ("independent-optimizer", "+ optimizer", None),
        ("same-start", "+ initial weights", None),
        (taught["probabilities"], "+ teacher's probabilities", None),
        (taught["logits"], "+ teacher's logits", None),
        ("same-start-base-optimizer", "Initial weights alone", "independent"),
        ("no-knowledge", "Teacher of no knowledge", "same-start"),
    ]
    rows = []
    last = None
    for group, rung, beside in rungs:
        if group not in evidence.groups or not evidence.has_scale:
            continue
        over = beside or last
        if evidence.shared_order and over in STRANGERS and group not in STRANGERS:
            rung += ", other order"
        estimates = {
            "distance": evidence.distance(group),
            "preserved": evidence.preserved(group),
        }
        if over in evidence.groups:
            estimates["step"] = evidence.gain(group, over)
        row = {
            "rung": rung,
            "group": group,
            "side": beside is not None,
            "models": len(evidence.groups[group]),
            "over": over,
        }
        for name, estimate in estimates.items():
            row |= {
                name: float(estimate.value),
                f"{name}_low": float(estimate.low),
                f"{name}_high": float(estimate.high),
            }
        rows.append(row)
        if not beside:
            last = group
    numbers = [
        name + end
        for name in ("distance", "preserved", "step")
        for end in ("", "_low", "_high")
    ]
    columns = ["rung", "group", "side", "models", "over", *numbers]
    return pd.DataFrame(rows, columns=columns)
