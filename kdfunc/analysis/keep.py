"""Copies what is to be kept of a finished run: all but records and models."""

import os
import pathlib
import shutil

from kdfunc.analysis import everything
from kdfunc.runs import kept, provenance
from kdfunc.runs.directory import RunDirectory

#: Whose outputs go first where not all fit: what the claims rest on comes before
#: pipelines, and these before what other base models gave.
_LAST = ("compressed", "variant")


def keep(run: RunDirectory, folder: str | os.PathLike[str]) -> list[str]:
    """Writes a run's config, provenance, tables, figures and final outputs.

    What is there of an earlier version is replaced, but for the README.

    Args:
      run: a finished run with its records.
      folder: where to; the directory in it has the run's name.

    Returns:
      The models whose outputs found no place in the file, see `kept.LIMIT`.
    """
    tasks = everything.finished(run)
    tasks.sort(key=lambda task: (task.replicate, task.family in _LAST))
    target = pathlib.Path(folder) / run.path.resolve().name
    target.mkdir(parents=True, exist_ok=True)
    for name in ("config.json", provenance.FILE):
        shutil.copyfile(run.path / name, target / name)
    for name in ("tables", "figures"):
        shutil.rmtree(target / name, ignore_errors=True)
        shutil.copytree(run.path / name, target / name)
    softmax = ((task.name, run.record(task.name).softmax[-1]) for task in tasks)
    return kept.save(target / kept.FILE, softmax, run.labels, run.class_names)
