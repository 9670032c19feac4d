"""A task: one piece of work of a plan, as data."""

import dataclasses
from collections.abc import Mapping
from typing import Any

from kdfunc.config import ExperimentConfig


@dataclasses.dataclass(frozen=True)
class Task:
    """One piece of work that writes one record.

    Attributes:
      name: name of the task and of its record's folder.
      kind: what to do, a key of `worker.KINDS`.
      stage: its stage; None if it is done only because others need it.
      needs: names of the tasks whose records it reads.
      settings: what distinguishes it from other tasks of its kind.
      family: `base`, `independent`, `student`, `control`, `variant`, `quantized`,
        `pruned` or `compressed` for models.
      label: short name in tables and figures.
      cost: expected work, in training epochs.
      asked_by: the values of extendable or reducible config fields that ask for it;
        none for tasks that every run has or others need.
    """

    name: str
    kind: str
    stage: str | None = None
    needs: tuple[str, ...] = ()
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    family: str | None = None
    label: str = ""
    cost: float = 0.2
    asked_by: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def is_asked_for(self, config: ExperimentConfig) -> bool:
        """Whether a smaller config asks for this task of a larger plan.

        Args:
          config: the smaller experiment.
        """
        return all(config.asks_for(*asked) for asked in self.asked_by.items())

    @property
    def replicate(self) -> bool:
        """Whether it is a further base model or made from one; see `base_models`."""
        return self.settings.get("base", "base") != "base"

    @property
    def group(self) -> str:
        """The name without its random part: trainings that share it differ by chance.

        The random part is the seed, or the number of an independent model.
        """
        match self.family:
            case "independent":
                return "independent"
            case "control":
                return self.settings["control"]
            case "student" | "variant":
                return self.name.removesuffix(f"-{self.settings['order']}")
        return self.name
