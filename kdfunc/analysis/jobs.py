"""The parts of the analysis that run concurrently: maps and figures."""

import functools
import pathlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from joblib import cpu_count
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from kdfunc.analysis import names
from kdfunc.analysis.figures import style
from kdfunc.runs.directory import RunDirectory

#: Called with a function and its arguments; returns a future of what it returns.
Submit = Callable[..., Future]


class Jobs:
    """Concurrent calls, in worker processes or in threads.

    Use it in a `with` statement. Within it, BLAS is limited to one thread: the calls
    use all cores instead and give the same bits whatever their number. At its end, the
    figures are on disk.
    """

    def __init__(self, submit: Submit | None = None):
        """Takes what submits a call to other processes; None calls it in a thread."""
        self._submit = submit
        self._figures: list[tuple[pathlib.Path, Callable[[], dict[str, bytes]]]] = []

    def __enter__(self) -> "Jobs":
        self._limits = threadpool_limits(limits=1)
        self._threads = ThreadPoolExecutor(cpu_count())
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            for path, contents in self._figures if error is None else ():
                style.write(contents(), path)
        finally:
            self._threads.shutdown(cancel_futures=True)
            self._limits.restore_original_limits()

    def call(self, function: Callable, *arguments: Any) -> Future:
        """Starts a call of a function; it and its arguments must be picklable.

        Args:
          function: the function.
          *arguments: of the function.
        """
        return (self._submit or self._threads.submit)(function, *arguments)

    def draw(
        self,
        run: RunDirectory,
        name: str,
        says: str,
        function: Callable[..., Figure],
        *arguments: Any,
    ) -> None:
        """Starts to draw a figure, which is written as PNG and PDF at the end.

        Args:
          run: the run directory.
          name: of the figure's files, without a suffix.
          says: what the figure shows; its heading also names the run.
          function: makes the figure, also with a `title`.
          *arguments: of the function.
        """
        function = functools.partial(function, title=names.heading(says, run.config))
        if self._submit:
            drawn = self._submit(_contents, function, arguments).result
        else:  # in the end, since matplotlib is not made for threads
            drawn = functools.partial(_contents, function, arguments)
        self._figures.append((run.path / "figures" / name, drawn))


def _contents(function: Callable[..., Figure], arguments: tuple) -> dict[str, bytes]:
    return style.contents(function(*arguments))
