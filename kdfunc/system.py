"""Everything that differs between Linux, macOS and Windows.

kdfunc was developed and tested on Linux, which has all of these features. The variants
for the others are tested by removing what those systems lack.
"""

import contextlib
import ctypes
import errno
import os
import pathlib
import platform
import re
import shlex
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import resource_tracker
from typing import Any

try:
    import fcntl
except ImportError:  # on Windows
    fcntl = None  # type: ignore[assignment]
try:
    import resource
except ImportError:  # on Windows
    resource = None  # type: ignore[assignment]

#: What Linux tells of processes and processors.
PROC = pathlib.Path("/proc")
#: What Linux tells of the limits of a container.
CGROUP = pathlib.Path("/sys/fs/cgroup")
#: Characters of a path that Windows takes, unless it was set up for more.
WINDOWS_PATH = 259
#: Seconds for which a file that another program holds is tried again on Windows.
HELD = 2.0


def flush(handle: int) -> None:
    """Waits until what was written to a file is on the disk.

    Args:
      handle: the file's descriptor.
    """
    if hasattr(fcntl, "F_FULLFSYNC"):  # on macOS, fsync does not wait for the drive
        with contextlib.suppress(OSError):  # some network folders have no such thing
            fcntl.fcntl(handle, fcntl.F_FULLFSYNC)
            return
    os.fsync(handle)


def sync(path: str | os.PathLike[str]) -> None:
    """Asks the system to write a file or folder to the disk.

    Args:
      path: the file or folder.
    """
    is_folder = os.path.isdir(path)
    try:
        # Windows syncs no handle that cannot write.
        handle = os.open(path, os.O_RDONLY if is_folder else os.O_RDWR)
    except PermissionError:
        if is_folder:  # Windows opens no folders
            return
        raise
    try:
        flush(handle)
    except OSError as error:
        # Some network and shared folders sync no folders; borg and git pass it over.
        unable = error.errno in (errno.EINVAL, errno.EBADF, errno.ENOTSUP)
        if not (is_folder and unable):
            raise
    finally:
        os.close(handle)


def insist(call: Callable[..., None], *paths: pathlib.Path) -> None:
    """Moves or removes a file or folder.

    On Windows, virus scanners and indexers hold a file for moments, so a refusal is
    final only after `HELD` seconds.

    Args:
      call: what to do, such as `os.replace`.
      *paths: with what.
    """
    end = time.monotonic() + (HELD if os.name == "nt" else 0)
    while True:
        try:
            return call(*paths)
        except PermissionError:
            if time.monotonic() >= end:
                raise
            time.sleep(0.05)


def reader_left(error: OSError) -> bool:
    """Whether output could not be written because nobody reads it any more.

    Args:
      error: of the write. Windows has no error of its own for this
        (python/cpython issue 79935).
    """
    lost = os.name == "nt" and error.errno == errno.EINVAL
    return lost or isinstance(error, BrokenPipeError)


def words(text: str) -> list[str]:
    """The words of a text as a shell splits it; paths of Windows stay whole.

    Args:
      text: words with spaces between them, in quotation marks if they contain some.

    Raises:
      ValueError: a quotation mark is not closed.
    """
    lexer = shlex.shlex(text, posix=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    if os.name == "nt":
        lexer.escape = ""
    return list(lexer)


def quoted(words: Iterable[str]) -> str:
    """A command that this system's shell takes; on Windows, that is PowerShell.

    Args:
      words: of the command.
    """
    if os.name != "nt":
        return shlex.join(words)
    plain = re.compile(r"[\w.:=/\\-]+")
    return " ".join(
        word if plain.fullmatch(word) else "'" + word.replace("'", "''") + "'"
        for word in words
    )


def takes_path(path: pathlib.Path) -> bool:
    """Whether a path is short enough, as a whole and in each part.

    Args:
      path: the path, which need not exist.
    """
    path = path.absolute()
    if os.name == "nt":
        return len(str(path)) <= WINDOWS_PATH
    return len(os.fsencode(path)) < os.pathconf("/", "PC_PATH_MAX") and all(
        len(os.fsencode(part)) <= 255 for part in path.parts
    )


def processor() -> str:
    """The name of the processor, if the system tells it."""
    return cpuinfo("model name") or platform.processor()


def processors() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def cpuinfo(entry: str) -> str:
    """What Linux reports about the first processor; empty if nothing.

    Args:
      entry: a key of `/proc/cpuinfo`, such as `model name`.
    """
    try:
        lines = (PROC / "cpuinfo").read_text("utf-8").splitlines()
    except OSError:
        return ""
    parts = (line.partition(":") for line in lines)
    return next((text.strip() for name, _, text in parts if name.strip() == entry), "")


def memory(which: str) -> int | None:
    """Resident memory of this process, in bytes.

    Args:
      which: `VmRSS` for the present, `VmHWM` for the peak.

    Returns:
      None if the system does not tell.
    """
    try:
        lines = (PROC / "self" / "status").read_text("utf-8").splitlines()
    except OSError:
        return None
    fields = dict(line.split(":", 1) for line in lines)
    return 1024 * int(fields[which].split()[0]) if which in fields else None


def half_of_memory() -> int | None:
    """Half of the memory in bytes, of the machine or, if less, of the container.

    None if memory cannot be limited.
    """
    if not can_limit_memory():
        return None
    found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    for file in ("memory.max", "memory/memory.limit_in_bytes"):
        with contextlib.suppress(OSError, ValueError):  # "max": as much as there is
            found.append(int((CGROUP / file).read_text("utf-8")))
    return min(found) // 2


def can_limit_memory() -> bool:
    """Whether `limit_memory` works: on Linux."""
    return resource is not None and (PROC / "self" / "statm").exists()


def limit_memory(memory: int) -> None:
    """Limits the memory that this process may take from now on.

    Args:
      memory: bytes in addition to those in use.
    """
    pages = (PROC / "self" / "statm").read_text("utf-8").split()[5]
    in_use = int(pages) * resource.getpagesize()
    _, most = resource.getrlimit(resource.RLIMIT_DATA)
    if most == resource.RLIM_INFINITY or in_use + memory < most:
        resource.setrlimit(resource.RLIMIT_DATA, (in_use + memory, most))


def leave_no_core_file() -> None:
    """Prevents a crash of this process from writing its memory to the disk."""
    if resource is not None:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def how_it_ended(code: int) -> str:
    """A process's return code in words: the signal that ended it, or its exit code.

    Args:
      code: as `subprocess` gives it; negative for a signal.
    """
    if code < 0:
        return signal.Signals(-code).name
    return f"exit code {code:#x}" if code > 255 else f"exit code {code}"


@contextlib.contextmanager
def interrupts_put_off() -> Iterator[None]:
    """Defers Ctrl-C and SIGTERM; processes started meanwhile ignore them for good.

    A terminal, `timeout` or Slurm sends them to every process of a group. The parent
    process stops the others in an orderly way. On Windows, Ctrl-C is lost meanwhile.
    """
    numbers = {signal.SIGINT, signal.SIGTERM}
    heard: list[int] = []
    handlers: dict[signal.Signals, Any] = {}
    if threading.current_thread() is threading.main_thread():  # which alone hears them
        # A signal can come by a thread that does not block it, such as numpy's.
        for number in numbers:
            handlers[number] = signal.signal(number, lambda n, _: heard.append(n))
    blocks = hasattr(signal, "pthread_sigmask")
    if blocks:  # whichever thread starts this ends with both unblocked
        resource_tracker.ensure_running()
    # Threads and processes inherit what is blocked.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers) if blocks else set()
    _ignore_ctrl_c(True)
    try:
        yield
    finally:
        _ignore_ctrl_c(False)
        if blocks:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        for number, handler in handlers.items():
            signal.signal(number, handler or signal.SIG_DFL)
        if heard:
            signal.raise_signal(heard[0])


def _ignore_ctrl_c(ignore: bool) -> None:
    """On Windows, processes inherit whether Ctrl-C is ignored."""
    if os.name == "nt":
        ctypes.windll.kernel32.SetConsoleCtrlHandler(None, ignore)  # type: ignore
