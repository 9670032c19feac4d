"""What a record was made from, so that a change of it is noticed.

A manifest has, next to its files' checksums, `sources`: the checksum of the settings
that no run may change (`experiment`), and that of the files of each record that the
task needs. Manifests of earlier versions have none; they count as unchanged.

No TensorFlow is imported here.
"""

from typing import TYPE_CHECKING

from kdfunc import checksums
from kdfunc.config import EXTENDABLE, REDUCIBLE, ExperimentConfig

if TYPE_CHECKING:
    from kdfunc.runs.directory import RunDirectory
    from kdfunc.runs.task import Task

EXPERIMENT = "experiment"


def of(run: "RunDirectory", config: ExperimentConfig, task: "Task") -> dict[str, str]:
    """The sources of a task's record: checksums by name.

    Args:
      run: the run directory.
      config: the experiment.
      task: the task, whose needs have records.
    """
    needs = {need: _files(run, need) for need in task.needs}
    return {EXPERIMENT: experiment(config), **needs}


def experiment(config: ExperimentConfig) -> str:
    """The checksum of the settings that no run may change.

    Args:
      config: the experiment.
    """
    fixed = config.to_dict()
    for field in (*EXTENDABLE, *REDUCIBLE):
        del fixed[field]
    return checksums.digest(fixed)


def changed(run: "RunDirectory", task: "Task") -> list[str]:
    """The needs of a finished task whose records have changed since it was done.

    Args:
      run: the run directory.
      task: the task.

    Returns:
      names of tasks; those that have no record are not among them.
    """
    made = checksums.read_manifest(run.record(task.name).path).get("sources", {})
    return [
        need
        for need in task.needs
        if need in made and _files(run, need) not in ("", made[need])
    ]


def _files(run: "RunDirectory", task: str) -> str:
    """The checksum of a record's files; empty if there is no record."""
    files = checksums.read_manifest(run.record(task).path).get("files")
    return "" if files is None else checksums.digest(files)
