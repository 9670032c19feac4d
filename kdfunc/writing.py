"""Writes files completely or not at all, and never over an input."""

import contextlib
import json
import os
import pathlib
import secrets
import shutil
import stat
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from kdfunc import system
from kdfunc.errors import InputError

if TYPE_CHECKING:
    import pandas as pd

PARTIAL = ".partial"


def nearest(folder: pathlib.Path) -> pathlib.Path:
    """The folder itself, or the one in which it will be created.

    Args:
      folder: the folder, which need not exist.
    """
    found = folder.absolute()
    # The parent of a drive that is not there is that drive.
    while found != found.parent and not os.path.lexists(found):
        found = found.parent
    return found


def check_writable(folder: str | os.PathLike[str], name: str = "") -> None:
    """Creates a file in a folder and removes it.

    On Windows, before Python 3.13, `tempfile` would try for hours to create one where
    it may not (python/cpython issue 66305).

    Args:
      folder: the folder.
      name: of the file that will be written there.

    Raises:
      OSError: no file can be created there.
    """
    path = _partial(pathlib.Path(folder, name or "file"))
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY))
    os.remove(path)


def _partial(path: pathlib.Path) -> pathlib.Path:
    """A hidden file beside another, by a name that nobody can foresee."""
    return path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")


@contextlib.contextmanager
def telling(path: str | os.PathLike[str], option: str = "--output") -> Iterator[None]:
    """Says in one sentence why a file that the user names cannot be written.

    Args:
      path: as the user gave it.
      option: the option that gave it.

    Raises:
      InputError: it cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{option}: {os.fspath(path)} cannot be written ({error.strerror}); give a "
            "file in a folder that exists, is writable and has enough space."
        ) from error


def output_path(
    path: str | os.PathLike[str],
    inputs: Iterable[str | os.PathLike[str]] = (),
    option: str = "--output",
) -> pathlib.Path:
    """The path at which to write a file that the user names; links are followed.

    Args:
      path: as the user gave it.
      inputs: files and folders that are read; none of them may be overwritten.
      option: the option that gave it.

    Raises:
      InputError: it is empty, a folder, a device or similar, or one of the inputs, or
        cannot be written there.
    """
    if not os.fspath(path):
        raise InputError(f"{option} is empty; give a file to write.")
    # Shells leave it to the command in `--output=~/page.html`.
    real = pathlib.Path(os.path.realpath(os.path.expanduser(path)))
    _check_regular(real, os.fspath(path), option)
    for other in inputs:
        within = pathlib.Path(os.path.realpath(other)) in real.parents
        same = os.path.exists(real) and os.path.exists(other)
        if within or same and os.path.samefile(real, other):
            raise InputError(
                f"{option}: {path} is also an input and would be overwritten; give "
                "another file to write."
            )
    with telling(path, option):
        check_writable(nearest(real.parent), real.name)
    return real


@contextlib.contextmanager
def replacing(path: pathlib.Path) -> Iterator[BinaryIO]:
    """Opens a file that is written completely or not at all.

    This holds even after a power cut. A process that is killed while writing leaves a
    hidden file that ends in `.partial`, which the next run removes.

    Args:
      path: the file to write; missing folders are created.

    Yields:
      the file, open for bytes.

    Raises:
      InputError: a device or similar is there, which would be replaced.
    """
    if not path.is_symlink():
        _check_regular(path, os.fspath(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _partial(path)
    try:
        with open(partial, "xb") as file:  # which follows no link in its place
            yield file
            file.flush()
            system.flush(file.fileno())
        system.insist(os.replace, partial, path)
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong first is what counts
            remove(partial)
        raise
    system.sync(path.parent)


def write_atomic(path: pathlib.Path, content: bytes | str) -> None:
    """Writes a file completely or not at all; see `replacing`.

    Args:
      path: the file to write; missing folders are created.
      content: text is written as UTF-8.
    """
    with replacing(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes readable JSON atomically.

    Args:
      path: the file to write.
      content: anything that JSON can represent.
    """
    write_atomic(path, json.dumps(content, indent=2) + "\n")


def as_csv(table: "pd.DataFrame", index: bool = False) -> str:
    """A table as CSV, in the same bytes on all systems.

    Args:
      table: the table.
      index: whether its index is written, too.
    """
    return table.to_csv(index=index, lineterminator="\n")


def remove(path: pathlib.Path) -> None:
    """Removes a file, or a folder with all its contents, if it exists.

    Args:
      path: a file, a link or a folder.
    """
    if path.is_dir() and not path.is_symlink():
        with contextlib.suppress(FileNotFoundError):  # it went while it was held
            system.insist(shutil.rmtree, path)
    else:
        system.insist(lambda: path.unlink(missing_ok=True))


def _check_regular(path: pathlib.Path, given: str, option: str = "") -> None:
    try:
        mode = os.stat(path).st_mode
    except OSError:  # nothing there; what else is wrong shows when it is written
        return
    if not stat.S_ISREG(mode):
        what = "a folder" if stat.S_ISDIR(mode) else "not a regular file"
        start = f"{option}: {given}" if option else given
        raise InputError(f"{start} is {what}; give a file to write.")
