"""What a record was made from, so that a change of it is noticed.

A manifest has, next to its files' checksums, `sources`: the settings that no run may
change (`experiment`), and the checksum of the files of each record that the task needs
(`needs`). Manifests of earlier versions have none, or all alphas among the settings,
which are not compared.

No TensorFlow is imported here.
"""

from typing import TYPE_CHECKING, Any

from kdfunc import checksums
from kdfunc.config import ExperimentConfig
from kdfunc.runs.extension import EXTENDABLE, REDUCIBLE

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
    experiment = _fixed(config)
    if task.family in ("control", "variant") and "alpha" in task.settings:
        experiment["leaning_alpha"] = task.settings["alpha"]
    needs = {need: _files(run, need) for need in task.needs}
    return {"experiment": experiment, "needs": needs}


def conflicts(manifest: dict[str, Any], config: ExperimentConfig) -> list[str]:
    """The settings in which a record's experiment differs from another one.

    Args:
      manifest: the record's.
      config: the other experiment.

    Returns:
      names of flags.
    """
    made = manifest.get("sources", {}).get("experiment", {})
    here = _fixed(config) | {"leaning_alpha": config.leaning_alpha}
    return [
        {"leaning_alpha": "alphas"}.get(field, field)
        for field, value in made.items()
        if here.get(field, value) != value
    ]


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
    joined = (*REDUCIBLE, *EXTENDABLE)
    return {name: fields[name] for name in fields if name not in joined}


def _files(run: "RunDirectory", task: str) -> str:
    """The checksum of a record's files; empty if there is no record."""
    files = checksums.read_manifest(run.record(task).path).get("files")
    return "" if files is None else checksums.digest(files)
