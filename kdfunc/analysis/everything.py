"""Every table and figure of a run."""

import contextlib
from collections.abc import Collection, Container

from kdfunc import checksums, writing
from kdfunc.analysis import (
    accuracy,
    corruptions,
    files,
    landscapes,
    pruned_arrays,
    similarity,
    spread,
    summary,
    tables,
)
from kdfunc.analysis.jobs import Jobs, Submit
from kdfunc.errors import InputError
from kdfunc.runs import plan, sources
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.task import Task
from kdfunc.text import count

#: Sizes and checksums of tables and figures, and the models that they cover.
MANIFEST = "analysis.json"
#: Of tables and figures.
SUFFIXES = {".csv", ".md", ".tex", ".png", ".pdf"}
#: The one table whose numbers an analysis takes over from the one before.
LATENCIES = "tables/latency.csv"


def write(
    run: RunDirectory, checked: Collection[str] = (), submit: Submit | None = None
) -> None:
    """Writes the tables and figures of a run directory; prints a summary.

    Parts of the plan that have not been run, models that cannot be made and
    damaged records are left out. If only the final outputs of a run were kept, its
    tables and figures of files and landscapes stay unchanged.

    Args:
      run: a run directory.
      checked: names of tasks whose records are known to be intact.
      submit: submits a call to other processes, which make maps and figures; None
        makes them in threads of this one.

    Raises:
      InputError: the base model or the test split is missing or damaged.
    """
    done = finished(run)
    models = [task.name for task in done]
    has_data = run.kept or run.record("data").exists
    if not has_data or "base" not in models:
        raise InputError(
            f"{run.path} has no base model, so there is nothing to analyse."
        )
    damaged = {} if run.kept else run.damaged({"data", *models} - {*checked})
    for name, problems in damaged.items():
        told = f"{run.record(name).path}: {'; '.join(problems)}"
        if name in ("base", "data"):
            raise InputError(f"{told}; repeat the run's command to rebuild it.")
        print(f"{told}; left out.")
    done = [task for task in done if task.name not in damaged]
    tasks = [task for task in done if not task.replicate]
    if stale := len(_made(run)) - len(models):
        print(
            f"{count(stale, 'model')} made from another model than the one that is "
            "there now: left out until the command of the run makes them again."
        )
    if missing := left_out(run):
        print(
            f"{run.path} does not have the outputs of {count(len(missing), 'model')}; "
            "tables and figures leave them out, but those of files, landscapes and "
            "several base models stay as they are."
        )
    writing.remove(run.path / "report.html")  # which shows the tables before
    foreign = {} if run.kept else _begin(run)
    with Jobs(submit) as jobs:
        finish_landscapes = None
        if not run.kept:  # they need the models and all epochs, as files do
            finish_landscapes = landscapes.begin(run, tasks, jobs)
        accuracies = accuracy.write(run, done)
        if not missing:  # which would leave out base models
            spread.write(run, done, jobs)
        similarity.write(run, tasks, jobs)
        if not run.kept:
            pruned_arrays.write(run, tasks)
        print(f"\n{summary.of_run(run, tasks)}\n\n{accuracies}\n")
        if finish_landscapes:
            files.write(run, tasks, jobs)
            corruptions.write(run, tasks, jobs)
            finish_landscapes()
    if not run.kept:
        _seal(run, models, foreign)


def left_out(run: RunDirectory) -> list[str]:
    """The models of a run whose final outputs its copy does not have.

    Args:
      run: a run directory; one with records lacks none.
    """
    if not run.kept:
        return []
    made = tables.read(run, "metrics")
    names = [] if made is None else dict.fromkeys(made["model"])
    return [name for name in names if not run.record(name).exists]


def write_corruptions(run: RunDirectory) -> None:
    """Adds the tables and figures on corrupted images to a complete analysis.

    Args:
      run: the run directory.
    """
    done, own = finished(run), checksums.read_manifest(run.path, MANIFEST)
    foreign = _others(run, own.get("files", ()))
    with Jobs() as jobs:
        corruptions.write(run, [task for task in done if not task.replicate], jobs)
    _seal(run, [task.name for task in done], foreign)


def _files(run: RunDirectory) -> dict[str, int]:
    """When each file among tables and figures was written."""
    return {
        path.relative_to(run.path).as_posix(): path.stat().st_mtime_ns
        for folder in ("tables", "figures")
        for path in (run.path / folder).glob("[!.]*")
        if path.is_file()
    }


def _foreign(run: RunDirectory) -> dict[str, int]:
    """Files among tables and figures that no analysis wrote, such as a user's notes.

    While an analysis is not finished, its manifest names them instead of its own files.
    Without such a manifest, as of an earlier version, nobody knows: then all may be.
    """
    manifest = checksums.read_manifest(run.path, MANIFEST)
    if "foreign" not in manifest:
        return _files(run)
    if manifest["models"]:
        return _others(run, manifest["files"])
    return _others(run, _files(run).keys() - {*manifest["foreign"]})


def _others(run: RunDirectory, own: Container[str]) -> dict[str, int]:
    return {name: when for name, when in _files(run).items() if name not in own}


def _seal(run: RunDirectory, models: list[str], foreign: dict[str, int]) -> None:
    there = _files(run)
    foreign = {name: when for name, when in foreign.items() if there.get(name) == when}
    checksums.seal(
        run.path,
        there.keys() - foreign.keys(),
        MANIFEST,
        models=models,
        foreign=sorted(foreign),
    )


def finished(run: RunDirectory) -> list[Task]:
    """The tasks that trained or made the models in a run directory.

    Models made from others than those that are there now are left out.

    Args:
      run: the run directory.
    """
    return [task for task in _made(run) if not sources.changed(run, task)]


def _made(run: RunDirectory) -> list[Task]:
    return [
        task
        for task in plan.make(run.config)
        if task.family
        and run.record(task.name).exists
        and not run.record(task.name).not_possible
    ]


def outdated(run: RunDirectory) -> list[str]:
    """Why tables and figures must be made again from the records of a run.

    Args:
      run: the run directory.

    Returns:
      A clause for each reason; empty if they are intact or there are no records.
    """
    models = [task.name for task in finished(run)]
    if "base" not in models:
        return []
    if run.kept:  # whose tables are published as they are
        table = "tables/accuracy.csv"
        return [] if (run.path / table).exists() else [f"{table} is missing"]
    manifest = checksums.read_manifest(run.path, MANIFEST)
    if manifest.get("models", models) != models:
        return ["tables and figures were made from other records"]
    return checksums.damages(run.path, MANIFEST)


def _begin(run: RunDirectory) -> dict[str, int]:
    """Removes what an earlier analysis wrote, but the latencies if they are intact.

    So no table stays that this analysis has no reason to write.

    Returns:
      What is not of an analysis, see `_foreign`.
    """
    foreign = _foreign(run)
    for folder in (run.path / "tables", run.path / "figures"):
        if not folder.is_dir():
            writing.remove(folder)
        for path in folder.glob("*"):  # of a user, unless in the place of a file
            if path.is_dir() and path.suffix in SUFFIXES:
                writing.remove(path)
    if (run.path / MANIFEST).is_dir():
        writing.remove(run.path / MANIFEST)
    entries = checksums.read_manifest(run.path, MANIFEST).get("files", {})
    checksums.seal(run.path, [], MANIFEST, models=[], foreign=sorted(foreign))
    for name in _files(run).keys() - foreign.keys():
        path = run.path / name
        if name == LATENCIES and name in entries:
            with contextlib.suppress(OSError):  # what cannot be read can be replaced
                if checksums.sha256(path) == entries[name]["sha256"]:
                    continue
        writing.remove(path)
    return foreign
