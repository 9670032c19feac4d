"""`provenance.json`: the commands that made a run directory, when, where and how."""

import contextlib
import functools
import json
import os
import pathlib
import platform
import shlex
import sys
import time
from collections.abc import Iterator
from importlib import metadata
from typing import Any

from kdfunc import __version__
from kdfunc.checksums import digest
from kdfunc.writing import remove, write_json

FILE = "provenance.json"
PACKAGES = (
    "tensorflow",
    "tf_keras",
    "tensorflow-model-optimization",
    "tensorflow-datasets",
    "ai-edge-litert",
    "ai-edge-quantizer",
    "numpy",
    "scikit-learn",
)


def read(folder: pathlib.Path) -> list[dict[str, Any]]:
    """The sessions of a run directory, oldest first; empty if none was recorded.

    Args:
      folder: the run directory's path.

    Raises:
      ValueError: the file is damaged; says how.
    """
    path = folder / FILE
    if not os.path.lexists(path):
        return []
    try:
        sessions = [dict(session) for session in json.loads(path.read_text("utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        raise ValueError(f"{FILE} cannot be read ({error})") from error
    if not sessions:
        raise ValueError(f"{FILE} lists no session")
    for session in sessions:  # those of earlier versions have no checksum
        given = session.pop("sha256", None)
        if given not in (None, digest(session)):
            raise ValueError(f"{FILE} has changed since it was written (checksum)")
    return sessions


@contextlib.contextmanager
def noted(
    folder: pathlib.Path, threads: int, machines: list[dict[str, Any]], begin: float
) -> Iterator[None]:
    """Adds this session to the record of how a run directory was made.

    A session that fails or is stopped counts, too. No result depends on this record, so
    the work continues whatever the state of the file; a damaged one is set aside.

    Args:
      folder: the run directory.
      threads: threads per operation.
      machines: the properties of each worker's machine on which results depend.
      begin: start of the session, by `time.monotonic`.
    """
    try:
        yield
    finally:
        try:
            sessions = _read_or_put_aside(folder)
            seconds = time.monotonic() - begin
            write(folder, [*sessions, _session(threads, machines, seconds)])
        except OSError as error:
            print(
                f"{folder / FILE} cannot be written ({error}); no result depends on it."
            )


def write(folder: pathlib.Path, sessions: list[dict[str, Any]]) -> None:
    """Writes the record of how a run directory was made.

    Args:
      folder: the run directory.
      sessions: as `read` returns them.
    """
    sealed = [{**each, "sha256": digest(each)} for each in sessions]
    write_json(folder / FILE, sealed)


def _read_or_put_aside(folder: pathlib.Path) -> list[dict[str, Any]]:
    try:
        return read(folder)
    except ValueError as error:
        aside = folder / f"{FILE}.damaged"
        remove(aside)
        os.replace(folder / FILE, aside)
        print(f"{folder}: {error}; moved it to {aside.name} and started a new one.")
        return []


def _program() -> list[str]:
    """What was started, without its folder: a script or command, or a package."""
    path = pathlib.Path(sys.argv[0])
    if path.name == "__main__.py":
        return ["python", "-m", path.parent.name]
    return [path.name]


def _session(threads: int, machines: list[dict[str, Any]], seconds: float):
    first, *others = [m for i, m in enumerate(machines) if m not in machines[:i]]
    return {
        "command": shlex.join([*_program(), *sys.argv[1:]]),
        "ended": time.strftime("%Y-%m-%d %H:%M:%S %z"),
        "seconds": round(seconds, 1),
        "threads_a_task": threads,
        "machine": first,
        **({"other_machines": others} if others else {}),
        "versions": versions(),
    }


@functools.cache
def versions() -> dict[str, str]:
    """The versions of this package, of Python and of what results depend on."""
    found = {"kdfunc": __version__, "python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
