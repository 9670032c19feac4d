"""Checks the files of a run directory, including those outside its records."""

import os
import pathlib
from collections.abc import Iterator

from kdfunc import checksums
from kdfunc.analysis import everything
from kdfunc.config import ExperimentConfig
from kdfunc.report import page
from kdfunc.runs import (
    corrupted,
    plan,
    preparation,
    provenance,
    sources,
    tensorboard,
)
from kdfunc.runs.directory import RunDirectory

#: Files and folders that are no results, and that nothing reads.
_NO_RESULTS = ("logs", tensorboard.FOLDER, f"{provenance.FILE}.damaged")


def verify(config: ExperimentConfig, output_dir: str | os.PathLike[str]) -> int:
    """Checks every file of a run directory and reports what is missing or damaged.

    Args:
      config: the experiment.
      output_dir: the folder that contains its run directory.

    Returns:
      0 if all records are there and all files are intact, else 1.

    Raises:
      InputError: there is no run directory, it holds another experiment, or it has no
        records.
    """
    directory = preparation.directory_of(config, output_dir)
    _ = directory.config  # refuses what is none
    tasks = plan.select(plan.make(directory.joined(config)), wanted=config)
    names = [task.name for task in tasks]
    missing = [name for name in names if not directory.record(name).exists]
    damaged = directory.damaged(names)
    for name, problems in damaged.items():
        print(f"{name}: damaged: {'; '.join(problems)}")
    for task in tasks:
        if task.name not in (*damaged, *missing):
            for name in sources.changed(directory, task):
                print(
                    f"{task.name}: made from another {name}; repeat the command of the "
                    "run to make it again."
                )
                damaged[task.name] = [name]
    for name in missing:
        print(f"{name}: missing")
    others = damages(directory)
    for problem in others:
        print(f"{problem}; repeat the command of the run to make it again.")
    models = [task for task in tasks if task.family]
    beside = directory.damaged(task.name for task in corrupted.tasks(models))
    for model in models:
        if corrupted.outdated(directory, model):
            name = corrupted.prediction(model).name
            beside.setdefault(name, ["older than the model or the images"])
    for name, problems in beside.items():
        remedy = f"kdfunc corruptions {directory.path}"
        print(
            f"{name}: damaged: {'; '.join(problems)}; run `{remedy}` to make it again."
        )
        others.append(name)
    for name in unknown(directory):
        print(f"{name}: not part of this run, and not used.")
    whole = len(names) - len(missing) - len(damaged)
    print(f"{directory.path}: {whole} of {len(names)} records are intact.")
    return int(whole < len(names) or bool(others))


def damages(run: RunDirectory) -> list[str]:
    """What is wrong outside the records, one clause per file; empty if all is intact.

    Tables, figures and the report are checked if any of them exists.

    Args:
      run: the run directory.
    """
    found = []
    try:
        if not provenance.read(run.path):
            found.append(f"{provenance.FILE} is missing")
    except ValueError as error:
        found.append(str(error))
    parts = ("tables", "figures", "report.html", everything.MANIFEST)
    if any(os.path.lexists(run.path / part) for part in parts):
        found += checksums.damages(run.path, everything.MANIFEST)
        problem = page.damage(run.path / "report.html")
        found += [problem] if problem else []
    return found


def unknown(run: RunDirectory) -> Iterator[str]:
    """Files that no manifest lists; leftovers of unfinished work do not count.

    Args:
      run: the run directory.
    """
    known = {run.path / name for name in ("config.json", "report.html", ".lock")}
    known |= {run.path / provenance.FILE, *(run.path / name for name in _NO_RESULTS)}
    known |= _listed(run.path, everything.MANIFEST)
    for record in (run.path / "records").glob("*"):
        if (record / checksums.MANIFEST).is_file():
            known |= _listed(record, checksums.MANIFEST)
        else:
            known.add(record)
    for path in sorted(run.path.rglob("*")):
        within = path.relative_to(run.path).parents
        inside = any(run.path / parent in known for parent in within)
        if not path.is_dir() and path not in known and not inside:
            yield path.relative_to(run.path).as_posix()


def _listed(folder: pathlib.Path, manifest: str) -> set[pathlib.Path]:
    files = checksums.read_manifest(folder, manifest).get("files", ())
    return {folder / manifest, *(folder / name for name in files)}
