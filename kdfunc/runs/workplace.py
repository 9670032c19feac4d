"""Where and how the tasks of a plan are done, and what does one is given."""

import dataclasses
import functools
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kdfunc import datasets
from kdfunc.config import ExperimentConfig
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.task import Task

if TYPE_CHECKING:
    from kdfunc.training import Report


@dataclasses.dataclass(frozen=True)
class Workplace:
    """Where and how tasks are done; stateless, so it can be sent between processes.

    Attributes:
      directory: the run directory.
      config: the experiment.
      data_dir: where TFDS keeps its data sets; None for its default.
      threads: threads per operation, on which the last digits of results depend.
      tensorboard: whether trainings write their curves for TensorBoard, too.
    """

    directory: pathlib.Path
    config: ExperimentConfig
    data_dir: str | None = None
    threads: int = 1
    tensorboard: bool = False

    @property
    def run(self) -> RunDirectory:
        """The run directory."""
        return RunDirectory(self.directory)

    @property
    def data(self) -> datasets.Dataset:
        """The images and labels, mapped into memory; checked anew at each call."""
        return datasets.load(self.config.dataset, self.data_dir)


@dataclasses.dataclass(frozen=True)
class Work:
    """What the function that does a task is given; see `worker.KINDS`.

    Attributes:
      task: the task.
      place: where and how it is done.
      folder: where to write its files.
      report: called with progress.
    """

    task: Task
    place: Workplace
    folder: pathlib.Path
    report: "Report"

    @property
    def settings(self) -> Mapping[str, Any]:
        """The task's settings, which depend on its kind."""
        return self.task.settings

    @property
    def config(self) -> ExperimentConfig:
        """The experiment."""
        return self.place.config

    @property
    def run(self) -> RunDirectory:
        """The run directory, which has the records that the task needs."""
        return self.place.run

    @functools.cached_property
    def data(self) -> datasets.Dataset:
        """The images and labels."""
        return self.place.data
