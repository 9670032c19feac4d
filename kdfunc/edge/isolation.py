"""Runs what may crash, hang or take all memory in a process of its own.

The interpreter trusts its models: one with a few bytes changed can end the process. So
the command line has a second process do the work, with limits to its time and memory,
and tells its end in a sentence. This guards against damage, not against a model that
was made to attack.
"""

import contextlib
import os
import pathlib
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from kdfunc.errors import InputError

CHILD = "import sys; sys.path[:] = {path!r}; from kdfunc.edge import isolation; "
CHILD += "isolation.serve()"


class Isolated:
    """An object that lives in a process of its own.

    A context manager; leaving it ends the process.

    Args:
      make: importable function or class that makes the object there.
      *arguments: of `make`.
      title: what errors call it.
      seconds: limit for making it and for each call.
      memory: limit in bytes for what it takes beyond the bare process; None for none.

    Raises:
      InputError: here and in `call`: one that was raised there, or the process ended.
    """

    def __init__(
        self,
        make: Callable[..., Any],
        *arguments: Any,
        title: str,
        seconds: float = 60,
        memory: int | None = None,
    ):
        self._title, self._seconds, self._memory = title, seconds, memory
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD.format(path=sys.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # the interpreter's own words; errors say more
            env=environment,
        )
        try:
            self._ask(make, arguments, memory)
        except BaseException:
            self.close()
            raise

    def call(self, method: str, *arguments: Any) -> Any:
        """What a method of the object returns."""
        return self._ask(method, arguments)

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.__exit__(None, None, None)

    def __enter__(self) -> "Isolated":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def _ask(self, what, arguments, memory=None):
        try:
            pickle.dump((what, arguments, self._seconds, memory), self._process.stdin)
            self._process.stdin.flush()
            outcome, result = pickle.load(self._process.stdout)
        except Exception:  # nothing, or whatever a process leaves that breaks down
            raise InputError(f"{self._title} {self._end()}") from None
        if outcome == "told":
            raise InputError(result)
        if outcome == "failed":
            raise InputError(
                f"{self._title} failed with {result}; the file is damaged or needs "
                f"more than the memory allowed ({self._limit}, see --memory)."
            )
        return result

    def _end(self) -> str:
        """How the process ended, and what to do about it."""
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # it ends by itself when nothing more is asked
        code = self._process.wait()
        if code == -getattr(signal, "SIGALRM", 0):
            return (
                f"took more than {self._seconds:g} s for a step and was stopped; give "
                "smaller batches, fewer runs or a larger --timeout, unless the file "
                "is damaged."
            )
        name = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        return (
            f"made the interpreter crash ({name}); the file is damaged, cannot be run "
            "by this interpreter (try --batch-size=1) or needs more than the memory "
            f"allowed ({self._limit}, see --memory)."
        )

    @property
    def _limit(self) -> str:
        return f"{self._memory >> 20} MB" if self._memory else "all there is"


def serve() -> None:
    """The other end: makes the object and calls its methods until nothing is asked."""
    questions = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever libraries print there
    has_timer = hasattr(signal, "setitimer")  # not on Windows
    if has_timer:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)  # which ends the process
    subject = None
    while True:
        try:
            what, arguments, seconds, memory = pickle.load(questions)
        except EOFError:
            return
        if has_timer:
            signal.setitimer(signal.ITIMER_REAL, seconds)
        answer = "done", None
        try:
            if subject is None:
                limit_resources(memory)
                subject = what(*arguments)
            else:
                answer = "done", getattr(subject, what)(*arguments)
        except InputError as error:
            answer = "told", str(error)
        except Exception as error:
            answer = "failed", f"{type(error).__name__} {error}".strip()
        pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()
        if has_timer:
            signal.setitimer(signal.ITIMER_REAL, 0)


def limit_resources(memory: int | None) -> None:
    """Limits what this process may take from now on; no core files.

    Args:
      memory: bytes of data beyond those in use, where the system can limit them.
    """
    with contextlib.suppress(ImportError):  # not on Windows
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        status = pathlib.Path("/proc/self/statm")
        if memory and status.exists():
            in_use = int(status.read_text().split()[5]) * resource.getpagesize()
            _, most = resource.getrlimit(resource.RLIMIT_DATA)
            if most == resource.RLIM_INFINITY or in_use + memory < most:
                resource.setrlimit(resource.RLIMIT_DATA, (in_use + memory, most))


def half_of_memory() -> int:
    """Half of the machine's memory in bytes, 1 GB where it is not known."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return 1 << 30
