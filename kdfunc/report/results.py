"""What the analysis left in a run directory, read back for the report page."""

import dataclasses
from functools import cached_property
from typing import Any

import pandas as pd

from kdfunc.analysis import names as naming
from kdfunc.analysis import over_base_models, published, setups, summary, tables
from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.runs import plan, provenance
from kdfunc.runs.directory import RunDirectory
from kdfunc.similarity.groups import MEASURE

#: Columns of text; all others that the page needs contain numbers.
_WORDS = {
    *("model", "group", "family", "method", "setting", "measure", "panel", "rung"),
    *("claim", "outcome", "sentence", "statistic", "variant", "teacher", "warning"),
    *("zero", "rests_on", "where", "scope", "corruption"),
}


@dataclasses.dataclass(frozen=True)
class Results:
    """The tables and figures of a run directory.

    Attributes:
      directory: the run directory.
      id: prefix of the ids of its elements.
      name: what the page calls it, different from the other runs.
    """

    directory: RunDirectory
    id: str
    name: str

    @cached_property
    def config(self) -> ExperimentConfig:
        """The experiment."""
        return self.directory.config

    @property
    def title(self) -> str:
        """Architecture and data set, as readers see them."""
        return naming.title(self.config)

    @property
    def is_papers(self) -> bool:
        """Whether accuracies are made by the paper's protocol, chance aside."""
        return setups.is_papers(self.config)

    @cached_property
    def sessions(self) -> list[dict[str, Any]]:
        """How the run was made: commands, times, machines, versions."""
        try:
            return provenance.read(self.directory.path)
        except ValueError as error:  # no result depends on it
            print(f"{self.directory.path}: {error}; the page leaves it out.")
            return []

    @cached_property
    def names(self) -> dict[str, str]:
        """The page's names of models; trainings that differ in the seed share one."""
        tasks = plan.make(self.config)
        return {
            name: naming.name(task)
            for task in tasks
            for name in (task.name, task.group)
        }

    def table(self, name: str, *columns: str) -> pd.DataFrame | None:
        """A table of the analysis, or None if it was not written or has no rows.

        A table of models or groups gets a column with their `name`.

        Args:
          name: of the table, without a suffix.
          *columns: that it must have; those that are not text must contain numbers.

        Raises:
          InputError: it cannot be read or lacks one of the columns.
        """
        path = self.directory.path / "tables" / f"{name}.csv"
        remedy = "remove it and make the report again from the run's records"
        try:
            table = tables.read(self.directory, name)
        except (OSError, ValueError) as error:
            reason = " ".join(str(error).split())
            raise InputError(f"{path} cannot be read ({reason}); {remedy}.") from error
        if table is None:
            return None
        if missing := [column for column in columns if column not in table]:
            raise InputError(f"{path} has no column {missing[0]!r}; {remedy}.")
        if table.empty:  # whose columns are of no kind
            return None
        for column in set(columns) - _WORDS:
            if not pd.api.types.is_numeric_dtype(table[column]):
                raise InputError(
                    f"{path}: column {column!r} holds no numbers; {remedy}."
                )
        for column in {"model", "group"} & {*table}:
            named = table[column].map(lambda model: self.names.get(model, model))
            table = table.assign(name=named)
        return table

    def figure(self, name: str) -> bytes | None:
        """A PNG of the analysis.

        Args:
          name: of the figure, without a suffix.
        """
        path = self.directory.path / "figures" / f"{name}.png"
        return path.read_bytes() if path.exists() else None

    @cached_property
    def accuracy(self) -> pd.DataFrame | None:
        """The deviations of accuracy, with the paper's if it has such numbers."""
        table = self.table("accuracy", "method", "setting", "deviation", "std")
        if table is None:
            return None
        beside = published.beside(table, self.config.dataset, self.config.architecture)
        if beside is None:
            return table
        # Under another protocol, a difference is not a failure to reproduce.
        return beside.assign(marked=beside["marked"] & self.is_papers)

    @cached_property
    def metrics(self) -> pd.DataFrame | None:
        """Accuracy and log-loss of every model and epoch, with their families."""
        table = self.table("metrics", "model", "epoch", "accuracy", "log_loss")
        if table is None:
            return None
        families = {task.name: task.family for task in self._tasks}
        return table.assign(family=table["model"].map(families)).dropna(
            subset=["family"]
        )

    @cached_property
    def models(self) -> list[plan.Task]:
        """The models that the tables contain; without tables, all of the experiment."""
        if self.metrics is None:
            return self._tasks
        there = {*self.metrics["model"]}
        return [task for task in self._tasks if task.name in there]

    @cached_property
    def _tasks(self) -> list[plan.Task]:
        return [task for task in plan.make(self.config) if not task.replicate]

    @cached_property
    def base_accuracy(self) -> float | None:
        """Accuracy of the base model after its last epoch."""
        if self.metrics is None:
            return None
        rows = self.metrics[self.metrics["model"] == "base"]
        return None if rows.empty else float(rows["accuracy"].iloc[-1])

    @cached_property
    def warning(self) -> str:
        """What is wrong with the base model; empty if nothing is known to be."""
        table = self.table("base", "warning")
        told = None if table is None else table["warning"].iloc[0]
        return "" if pd.isna(told) else told

    @cached_property
    def verdicts(self) -> pd.DataFrame | None:
        """The claims and their outcomes."""
        columns = ("claim", "outcome", "sentence", "statistic", "effect", "low", "high")
        return self.table("verdicts", *columns)

    @cached_property
    def setup(self) -> setups.Setup | None:
        """The run as it is asked together with others; None if it was not judged."""
        if self.verdicts is None:
            return None
        bases = self.table("base_models", "preserved")
        rivals = self.table("verdict-3", "points", "rival")
        found = over_base_models.effects(bases, rivals)
        return setups.Setup(self.name, self.config, self.verdicts, found)

    @cached_property
    def preserved(self) -> pd.DataFrame | None:
        """Function preserved by every model but the base, in the page's measure."""
        columns = ("model", "family", "measure", "ratio", "preserved", "low", "high")
        columns += ("rests_on",)
        table = self.table("function_preserved", *columns)
        if table is None:
            return None
        return table[table["measure"] == MEASURE].reset_index(drop=True)

    @property
    def opening(self) -> list[str]:
        """Paragraphs: what was compared, what came out, and how certain it is."""
        return summary.opening(
            self.config,
            self.base_accuracy,
            not self.warning,
            self.preserved,
            self.verdicts,
        )

    @cached_property
    def ladder(self) -> pd.DataFrame | None:
        """The ladder, if it has two rungs or more."""
        table = self.table(
            "ladder",
            "rung",
            "side",
            "ratio",
            "preserved",
            "step",
            "distance",
            "rests_on",
        )
        return None if table is None or len(table) < 2 else table
