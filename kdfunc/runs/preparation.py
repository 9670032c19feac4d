"""The checks of runs and dry runs before workers start."""

import dataclasses
import os
from collections.abc import Sequence

from kdfunc import checksums, datasets, system
from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.runs import engine, plan, tensorboard
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.workplace import Workplace

#: Workers or threads above which nobody means it.
MOST_AT_ONCE = 1024


@dataclasses.dataclass(frozen=True)
class Prepared:
    """What a run is to do.

    Attributes:
      directory: the run directory.
      place: where and how tasks are done; its config covers everything the directory
        will hold, which may be more than is requested now.
      tasks: the requested tasks, including finished ones.
      analyses: whether it ends with tables, figures and the report.
      workers: local worker processes; 0 for none.
      about: what is known about the data set without reading it.
    """

    directory: RunDirectory
    place: Workplace
    tasks: list[plan.Task]
    analyses: bool
    workers: int
    about: datasets.Description


def prepare(
    config: ExperimentConfig,
    output_dir: str | os.PathLike[str] = "runs",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    stages: Sequence[str] = plan.STAGES,
    workers: int | None = None,
    threads: int = 1,
    log_tensorboard: bool = False,
) -> Prepared:
    """Makes the checks that take at most a second; writes nothing.

    Args:
      config: the experiment.
      output_dir: folder that contains the run directory, `config.name`.
      data_dir: where TFDS keeps its data sets; None for its default.
      stages: the parts to do, of `plan.STAGES`; whatever they need is done, too.
      workers: local worker processes; None starts one per core.
      threads: threads of one operation.
      log_tensorboard: whether to write the learning curves for TensorBoard, too.

    Raises:
      InputError: the experiment cannot work as requested.
    """
    plan.check_stages(stages)
    if log_tensorboard:
        tensorboard.check()
    workers = number_of_workers(workers, threads)
    data_dir = None if data_dir is None else os.fspath(data_dir)
    if data_dir is not None and "://" not in data_dir:
        data_dir = os.path.abspath(
            os.path.expanduser(data_dir)
        )  # workers are elsewhere
    directory = directory_of(config, output_dir)
    whole = directory.check(config)
    _check_paths(directory, whole)
    tasks = plan.select(plan.make(whole), stages, config)
    _check_work(directory, tasks, stages)
    about = datasets.describe(config.dataset, data_dir)
    place = Workplace(
        directory.path.absolute(), whole, data_dir, threads, log_tensorboard
    )
    return Prepared(directory, place, tasks, "analyse" in stages, workers, about)


def directory_of(
    config: ExperimentConfig, output_dir: str | os.PathLike[str]
) -> RunDirectory:
    """The run directory of an experiment.

    Args:
      config: the experiment.
      output_dir: folder that contains it; `~` is the user's home, since shells leave it
        to the command in `--output_dir=~/runs`.

    Raises:
      InputError: the folder's name is empty.
    """
    if not os.fspath(output_dir):
        raise InputError("--output_dir: got ''; give a folder, such as runs.")
    return RunDirectory(os.path.join(os.path.expanduser(output_dir), config.name))


def number_of_workers(workers: int | None, threads: int) -> int:
    """The number of local workers; refuses absurd numbers.

    Args:
      workers: number of worker processes; None starts one per core.
      threads: of each task.

    Raises:
      InputError: a number is out of range.
    """
    if workers is None:
        workers = engine.default_workers()
    for flag, given, least in (("workers", workers, 0), ("threads", threads, 1)):
        if not least <= given <= MOST_AT_ONCE:
            raise InputError(
                f"--{flag}: got {given}; allowed: {least}, {least + 1}, ... "
                f"{MOST_AT_ONCE}."
            )
    return workers


def _check_work(
    directory: RunDirectory, tasks: Sequence[plan.Task], stages: Sequence[str]
) -> None:
    """Refuses stages that leave nothing to do."""
    if tasks:
        return
    if "analyse" not in stages:
        raise InputError(
            f"--stages: {', '.join(stages)} has nothing to do in this experiment; omit "
            "--stages, or request some work in these stages."
        )
    if not directory.record("base").exists:
        raise InputError(
            f"--stages: {directory.path} holds no base model, so there is nothing to "
            f"analyse; give --stages={','.join(['train', *stages])} or omit it."
        )


def _check_paths(directory: RunDirectory, config: ExperimentConfig) -> None:
    """Refuses names that are too long, as of long pipelines, before hours of work."""
    longest = max((task.name for task in plan.make(config)), key=len)
    manifest = f".{checksums.MANIFEST}.01234567.partial"
    path = directory.record(f"{longest}-corrupted").path / manifest
    if not system.takes_path(path):
        raise InputError(
            f"--output_dir: this system does not allow a path as long as {path}; "
            "give a folder closer to the root, or shorter names of modules and "
            "functions."
        )
