"""What a record was made from, so that a change of it is noticed.

A manifest has, next to its files' checksums, `sources`: the settings that no run may
change (`experiment`), and the checksum of the files of each record that the task needs
(`needs`). Manifests of earlier versions have none.

No TensorFlow is imported here.
"""

from typing import TYPE_CHECKING, Any

from kdfunc import checksums
from kdfunc.config import EXTENDABLE, ExperimentConfig

if TYPE_CHECKING:
    from kdfunc.runs.directory import RunDirectory
    from kdfunc.runs.task import Task


def of(run: "RunDirectory", config: ExperimentConfig, task: "Task") -> dict[str, Any]:
    """The sources of a task's record, as JSON types.

    Args:
      run: the run directory.
      config: the experiment, with all that the directory holds of it.
      task: the task, whose needs have records.
    """
    needs = {need: _files(run, need) for need in task.needs}
    return {"experiment": _fixed(config), "needs": needs}


def conflicts(manifest: dict[str, Any], config: ExperimentConfig) -> list[str]:
    """The settings in which a record's experiment differs from another one.

    Args:
      manifest: the record's.
      config: the other experiment.
    """
    made = manifest.get("sources", {}).get("experiment", {})
    here = _fixed(config)
    return [field for field in made if here.get(field, made[field]) != made[field]]


def changed(run: "RunDirectory", task: "Task") -> list[str]:
    """The needs of a finished task whose records have changed since it was done.

    Args:
      run: the run directory.
      task: the task.

    Returns:
      names of tasks; those that have no record are not among them.
    """
    made = checksums.read_manifest(run.record(task.name).path).get("sources")
    if made is None:  # by an earlier version, so before what this one has made
        manifests = {n: checksums.read_manifest(run.record(n).path) for n in task.needs}
        return [need for need, found in manifests.items() if "sources" in found]
    return [
        need
        for need in task.needs
        if _files(run, need) not in ("", made["needs"].get(need))
    ]


def _fixed(config: ExperimentConfig) -> dict[str, Any]:
    fields = config.to_dict()
    return {name: fields[name] for name in fields if name not in EXTENDABLE}


def _files(run: "RunDirectory", task: str) -> str:
    """The checksum of a record's files; empty if there is no record."""
    files = checksums.read_manifest(run.record(task).path).get("files")
    return "" if files is None else checksums.digest(files)
