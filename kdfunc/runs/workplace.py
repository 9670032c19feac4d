"""Where and how the tasks of a plan are done."""

import dataclasses
import pathlib

from kdfunc.config import ExperimentConfig
from kdfunc.runs.directory import RunDirectory


@dataclasses.dataclass(frozen=True)
class Workplace:
    """Where and how tasks are done; has no state and travels between processes.

    Attributes:
      directory: the run directory.
      config: the experiment.
      data_dir: where TFDS keeps its data sets; None for its default.
      threads: threads of one operation, which the results' last digits depend on.
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
