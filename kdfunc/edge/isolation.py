"""Runs in a separate process what may crash, hang or use up all memory.

The interpreter trusts its models: a few changed bytes can crash the process. So the
command line does the work in a second process with limits on time and memory, and
reports in one sentence how it ended. This protects against damage, not against a
malicious model.
"""

import contextlib
import faulthandler
import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from typing import Any

from kdfunc import system
from kdfunc.errors import InputError

CHILD = "import sys; sys.path[:] = {path!r}; from kdfunc.edge import isolation; "
CHILD += "isolation.serve()"
#: What faulthandler writes before it ends a process that takes too long.
TIMED_OUT = b"Timeout ("


class Isolated:
    """An object in a separate process.

    A context manager; leaving it ends the process.

    Args:
      make: importable function or class that creates the object there.
      *arguments: arguments of `make`.
      title: its name in errors.
      seconds: time limit for creating it and for each call.
      memory: limit in bytes for its memory beyond that of the bare process; None for no
        limit, the only choice outside Linux.

    Raises:
      InputError: here and in `call`: it was raised there, or the process ended.
    """

    def __init__(
        self,
        make: Callable[..., Any],
        *arguments: Any,
        title: str,
        seconds: float = 60,
        memory: int | None = None,
    ):
        if memory and not system.can_limit_memory():
            raise InputError("--memory: limits work only on Linux; omit it.")
        self._title, self._seconds, self._memory = title, seconds, memory
        path = [each for each in sys.path if isinstance(each, str)]  # as Python does
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        self._said = tempfile.TemporaryFile()
        self._process = subprocess.Popen(
            [sys.executable, "-c", CHILD.format(path=path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._said,
            env=environment,
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        self._questions, self._answers = self._process.stdin, self._process.stdout
        try:
            self._ask(make, arguments, memory)
        except BaseException:
            self.close()
            raise

    def call(self, method: str, *arguments: Any) -> Any:
        """Calls a method of the object and returns its result.

        Args:
          method: its name.
          *arguments: of the method, which must be picklable.
        """
        return self._ask(method, arguments)

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        with contextlib.suppress(OSError):
            self._process.__exit__(None, None, None)
        self._said.close()

    def __enter__(self) -> "Isolated":
        return self

    def __exit__(self, *error) -> None:
        self.close()

    def _ask(self, what, arguments, memory=None):
        try:
            pickle.dump((what, arguments, self._seconds, memory), self._questions)
            self._questions.flush()
            outcome, result = pickle.load(self._answers)
        except Exception:  # nothing, or whatever a process leaves that breaks down
            raise InputError(f"{self._title} {self._end()}") from None
        if outcome == "told":
            raise InputError(result)
        if outcome == "failed":
            raise InputError(
                f"{self._title} failed with {result}; the file is damaged or needs "
                f"more memory than allowed ({self._limit}, see --memory)."
            )
        return result

    def _end(self) -> str:
        """How the process ended, and what to do about it."""
        with contextlib.suppress(OSError):
            self._questions.close()  # it ends by itself when nothing more is asked
        code = self._process.wait()
        self._said.seek(0)
        if code == 1 and TIMED_OUT in self._said.read():
            return (
                f"took more than {self._seconds:g} s for a step and was stopped; "
                "unless the file is damaged, give smaller batches, fewer runs or a "
                "larger --timeout."
            )
        how = system.how_it_ended(code)
        return (
            f"made the interpreter crash ({how}); the file is damaged, cannot be run "
            "by this interpreter (try --batch-size=1) or needs more memory than "
            f"allowed ({self._limit}, see --memory)."
        )

    @property
    def _limit(self) -> str:
        return f"{self._memory >> 20} MB" if self._memory else "all of the machine's"


def serve() -> None:
    """The other end: creates the object and calls its methods until the pipe closes."""
    questions = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # whatever libraries print there
    system.leave_no_core_file()
    subject = None
    while True:
        try:
            what, arguments, seconds, memory = pickle.load(questions)
        except EOFError:
            return
        answer: tuple[str, Any] = ("done", None)
        try:
            # A thread that needs no Python, which native code may keep from running.
            faulthandler.dump_traceback_later(seconds, exit=True)
            if subject is None:
                if memory:
                    system.limit_memory(memory)
                subject = what(*arguments)
            else:
                answer = "done", getattr(subject, what)(*arguments)
        except InputError as error:
            answer = "told", error.with_flags
        except Exception as error:
            answer = "failed", f"{type(error).__name__} {error}".strip()
        pickle.dump(answer, answers, protocol=pickle.HIGHEST_PROTOCOL)
        answers.flush()
        faulthandler.cancel_dump_traceback_later()
