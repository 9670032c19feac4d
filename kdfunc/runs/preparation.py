"""What a run checks before its workers start, and so does a dry run."""

import dataclasses
import os
from collections.abc import Sequence

from kdfunc import datasets, system
from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.runs import engine, plan, tensorboard
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.workplace import Workplace

#: Workers or threads above which nobody means it.
MOST_AT_ONCE = 1024


@dataclasses.dataclass(frozen=True)
class Job:
    """What a run is to do.

    Attributes:
      directory: the run directory.
      place: where and how tasks are done; its config has what the directory is to
        hold, which may be more than is asked for now.
      tasks: those that are asked for, done ones too.
      analyses: whether it ends with tables, figures and the report.
      workers: local worker processes; 0 for none.
      about: what can be known of the data set without reading it.
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
    data_dir: str | None = None,
    stages: Sequence[str] = plan.STAGES,
    workers: int | None = None,
    threads: int = 1,
    log_tensorboard: bool = False,
) -> Job:
    """Checks what can be checked in a second; writes nothing.

    Args:
      config: the experiment.
      output_dir: folder in which the run directory, `config.name`, lies.
      data_dir: where TFDS keeps its data sets; None for its default.
      stages: the parts to do, of `plan.STAGES`; with what they need.
      workers: local worker processes; None takes one per core.
      threads: threads of one operation.
      log_tensorboard: whether to write the learning curves for TensorBoard, too.

    Raises:
      InputError: something cannot work as asked.
    """
    plan.check_stages(stages)
    if log_tensorboard:
        tensorboard.check()
    workers = number_of_workers(workers, threads)
    if data_dir is not None and "://" not in data_dir:
        data_dir = os.path.abspath(
            os.path.expanduser(data_dir)
        )  # workers are elsewhere
    if not os.fspath(output_dir):
        raise InputError("--output_dir: is empty; give a folder, such as runs.")
    directory = RunDirectory(os.path.join(output_dir, config.name))
    whole = directory.check(config)
    _check_paths(directory, whole)
    tasks = plan.select(plan.make(whole), stages, config)
    _check_work(directory, tasks, stages)
    about = datasets.describe(config.dataset, data_dir)
    place = Workplace(
        directory.path.absolute(), whole, data_dir, threads, log_tensorboard
    )
    return Job(directory, place, tasks, "analyse" in stages, workers, about)


def number_of_workers(workers: int | None, threads: int) -> int:
    """How many local workers there are to be; refuses numbers that nobody means.

    Args:
      workers: number of worker processes; None takes one per core.
      threads: of each task.

    Raises:
      InputError: nobody means so many.
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
            f"--stages: {', '.join(stages)} has nothing to do in this experiment; "
            "leave --stages out, or ask for some work of these stages."
        )
    if not directory.record("base").exists:
        raise InputError(
            f"--stages: {directory.path} holds no base model, so there is nothing to "
            f"analyse; give --stages={','.join(['train', *stages])} or leave it out."
        )


def _check_paths(directory: RunDirectory, config: ExperimentConfig) -> None:
    """Long pipelines make long names; they are told before hours of work."""
    longest = max((task.name for task in plan.make(config)), key=len)
    path = directory.record(longest).path / ".checkpoint.npz.01234567.partial"
    if not system.takes_path(path):
        raise InputError(
            f"--output_dir: this system does not allow a path as long as {path}; "
            "give a folder closer to the root, or shorter names of modules and "
            "functions."
        )
