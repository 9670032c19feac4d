"""Every table and figure of a run."""

import contextlib

from kdfunc.analysis import accuracy, files, landscapes, similarity, spread, summary
from kdfunc.runs import plan, records
from kdfunc.runs.records import RunDirectory

#: Sizes and checksums of tables and figures.
MANIFEST = "analysis.json"


def write(run: RunDirectory) -> bool:
    """Writes tables and figures of what a run directory holds; prints some.

    A part of the plan that has not been run is left out, and so are models that a
    library cannot make. Of a run of which the final outputs alone were kept, the tables
    and figures of files and of landscapes stay as they are.

    Returns:
      Whether there is a base model, without which there is nothing to analyse.
    """
    done = [
        task
        for task in plan.make(run.config)
        if task.family
        and run.record(task.name).exists
        and not run.record(task.name).not_possible
    ]
    tasks = [task for task in done if not task.replicate]
    if not any(task.name == "base" for task in tasks):
        print("There is no base model yet, so there is nothing to analyse.")
        return False
    _remove_damaged(run)
    accuracies = accuracy.write(run, done)
    spread.write(run, done)
    similarity.write(run, tasks)
    print(f"\n{summary.of_run(run, tasks)}\n\n{accuracies}\n")
    if not run.kept:  # they need the models and all epochs
        files.write(run, tasks)
        landscapes.write(run, tasks)
    written = (
        path.relative_to(run.path).as_posix()
        for folder in ("tables", "figures")
        for path in (run.path / folder).glob("[!.]*")
        if path.is_file()
    )
    records.seal(run.path, written, MANIFEST)
    return True


def _remove_damaged(run: RunDirectory) -> None:
    """Removes what is damaged, so that nothing in it is kept, as latencies are."""
    for folder in ("tables", "figures"):
        if not (run.path / folder).is_dir():
            records.remove(run.path / folder)
    entries = records.read_manifest(run.path, MANIFEST).get("files", {})
    for name, entry in entries.items():
        path = run.path / name
        with contextlib.suppress(OSError):  # what cannot be read can be replaced
            if path.is_file() and records.sha256(path) == entry["sha256"]:
                continue
        records.remove(path)
    in_the_way = [run.path / "report.html", *run.path.glob("tables/*.*")]
    for path in (*in_the_way, *run.path.glob("figures/*.*")):
        if path.is_dir():
            records.remove(path)
    records.remove(run.path / MANIFEST)
