"""Checks the files of a run directory, including those outside its records."""

import os
import pathlib
from collections.abc import Iterator

from kdfunc import checksums
from kdfunc.analysis import everything
from kdfunc.report import page
from kdfunc.runs import provenance, tensorboard
from kdfunc.runs.directory import RunDirectory

#: Files and folders that are no results, and that nothing reads.
_NO_RESULTS = ("logs", tensorboard.FOLDER, f"{provenance.FILE}.damaged")


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
