"""Copies everything of a finished run that is kept: all but records and models."""

import os
import pathlib
import re
import shlex
import shutil

import pandas as pd

from kdfunc import system
from kdfunc.analysis import everything
from kdfunc.errors import InputError
from kdfunc.runs import kept, plan, provenance
from kdfunc.runs.directory import RunDirectory
from kdfunc.writing import PARTIAL, as_csv, remove, write_atomic

#: Time and processor of each task, from the records, which are not kept.
TIMES = "times.csv"

#: Whose outputs go first where not all fit: what the claims rest on comes before
#: pipelines, and these before what other base models gave.
_LAST = ("compressed", "variant")

#: Flags whose values are places on the machine of the run.
_PLACE = re.compile("(--?(?:data|output)[_-]dir)(=.*)?")


def keep(run: RunDirectory, folder: str | os.PathLike[str]) -> list[str]:
    """Writes a run's config, provenance, times, tables, figures and final outputs.

    An earlier copy is replaced once the new one is complete.

    Args:
      run: a finished run with its records.
      folder: where to create a directory with the run's name.

    Returns:
      The models whose outputs did not fit into the file, see `kept.LIMIT`.

    Raises:
      InputError: there are no records, for example in a copy, or the copy would
        replace the run itself.
    """
    if run.kept:
        raise InputError(f"{run.path} has no records; give the original run directory.")
    own = run.path.resolve()
    goal = pathlib.Path(folder).resolve() / own.name
    if goal in (own, *own.parents) or own in goal.parents:
        raise InputError(
            f"{run.path} is where its own copy would go; move the run directory out of "
            f"{goal.parent}."
        )
    target = goal.with_name(f".{goal.name}{PARTIAL}")
    remove(target)
    target.mkdir(parents=True)
    try:
        left_out = _copied(run, target)
        remove(goal)
        system.insist(os.replace, target, goal)
    finally:
        remove(target)
    return left_out


def _copied(run: RunDirectory, target: pathlib.Path) -> list[str]:
    tasks = everything.finished(run)
    tasks.sort(key=lambda task: (task.replicate, task.family in _LAST))
    shutil.copyfile(run.path / "config.json", target / "config.json")
    sessions = provenance.read(run.path)
    for session in sessions:
        session["command"] = without_places(session["command"])
    provenance.write(target, sessions)
    write_atomic(target / TIMES, as_csv(_times(run), index=True))
    for name in ("tables", "figures"):
        shutil.copytree(run.path / name, target / name)
    softmax = ((task.name, run.record(task.name).softmax[-1]) for task in tasks)
    # Claims cannot be judged without these.
    needed = [t.name for t in tasks if not t.replicate and t.family not in _LAST]
    return kept.save(target / kept.FILE, softmax, run.labels, run.class_names, needed)


def without_places(command: str) -> str:
    """A command with `DIR` in place of the machine's folders.

    Args:
      command: as a shell takes it.
    """
    words = shlex.split(command)
    for place, word in enumerate(words):
        flag, value = re.fullmatch("(-[^=]*=)?(.*)", word, re.DOTALL).groups("")
        path = pathlib.PureWindowsPath(value)
        if path.is_absolute() or value.startswith("/"):
            words[place] = f"{flag}DIR/{path.name}"
        if flag := _PLACE.fullmatch(word):
            if flag[2]:
                words[place] = f"{flag[1]}=DIR"
            else:
                words[place + 1 : place + 2] = ["DIR"]
    return shlex.join(words)


def _times(run: RunDirectory) -> pd.DataFrame:
    """Seconds, threads, instruction set and oneDNN, one row per task in order."""
    tasks = (task.name for task in plan.make(run.config))
    made = {name: run.record(name).made for name in tasks if run.record(name).exists}
    columns = ["seconds", "threads", "instruction_set", "onednn"]
    return pd.DataFrame.from_dict(made, "index").rename_axis("task")[columns]
