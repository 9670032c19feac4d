"""Where and how the tasks of a plan are done."""

import dataclasses
import pathlib

from kdfunc import datasets
from kdfunc.config import ExperimentConfig
from kdfunc.runs.directory import RunDirectory


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
