"""Files that are there whole or not at all, and that replace nothing else."""

import contextlib
import json
import os
import pathlib
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from kdfunc import system
from kdfunc.errors import InputError

PARTIAL = ".partial"


def output_path(
    path: str | os.PathLike[str],
    inputs: Iterable[str | os.PathLike[str]] = (),
    option: str = "--output",
) -> pathlib.Path:
    """Where a file that a user names is to be written; links are followed.

    Args:
      path: as the user gave it.
      inputs: files and folders that are read; none of them must be lost.
      option: by which it was given.

    Raises:
      InputError: it is empty, a folder, a device or the like, or one of the inputs.
    """
    if not os.fspath(path):
        raise InputError(f"{option} is empty; give the file to write.")
    real = pathlib.Path(os.path.realpath(path))
    _check_regular(real, os.fspath(path), option)
    for other in inputs:
        within = pathlib.Path(os.path.realpath(other)) in real.parents
        same = os.path.exists(real) and os.path.exists(other)
        if within or same and os.path.samefile(real, other):
            raise InputError(
                f"{option}: {path} is also an input and would be lost; give another "
                "file to write."
            )
    return real


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Opens a file to be written that is there whole in the end or not at all.

    It survives power cuts, too. A process that is killed meanwhile leaves a hidden file
    that ends in `.partial`, which the next run removes.

    Args:
      path: the file to write; folders that it needs are made.

    Yields:
      the file, open for bytes.

    Raises:
      InputError: a device or the like is there, which would be no more.
    """
    if not path.is_symlink():
        _check_regular(path, os.fspath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    # A name that nobody can foresee, and no link in its place, is written through.
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")
    try:
        with open(partial, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    system.sync(path.parent)


def write_atomic(path: pathlib.Path, content: bytes | str) -> None:
    """Writes a file so that it is there whole or not at all; see `replacing`.

    Args:
      path: the file to write; folders that it needs are made.
      content: text is written as UTF-8.
    """
    with replacing(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes readable JSON atomically.

    Args:
      path: the file to write.
      content: what JSON can hold.
    """
    write_atomic(path, json.dumps(content, indent=2) + "\n")


def remove(path: pathlib.Path) -> None:
    """Removes whatever stands there, a folder with all that it holds; if anything.

    Args:
      path: a file, a link or a folder.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _check_regular(path: pathlib.Path, given: str, option: str = "") -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError:  # nothing there; what else is wrong shows when it is written
        return
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        start = f"{option}: {given}" if option else given
        raise InputError(f"{start} is {what}; give a file to write.")
