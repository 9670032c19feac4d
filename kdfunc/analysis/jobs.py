"""What of the analysis is done beside the rest: maps and figures."""

import os
import pathlib
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from joblib import cpu_count
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from kdfunc.analysis.figures import style

#: Called with a function and its arguments; returns a future of what it returns.
Submit = Callable[..., Future]

_DRAWING = threading.Lock()  # matplotlib is not made for threads


class Jobs:
    """Calls that are made side by side, in worker processes or in threads.

    To be used in a `with` statement, within which BLAS is held to one thread: the
    calls use as many cores, and give the same bits whatever their number. At its end
    the figures are on the disk.
    """

    def __init__(self, submit: Submit | None = None):
        """Takes what submits a call to other processes; None calls it in a thread."""
        self._submit = submit
        self._figures: list[tuple[pathlib.Path, Future]] = []

    def __enter__(self) -> "Jobs":
        self._limits = threadpool_limits(limits=1)
        self._threads = ThreadPoolExecutor(cpu_count())
        if self._submit is None:
            self._submit = self._threads.submit
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            for path, contents in self._figures if error is None else ():
                style.write(contents.result(), path)
        finally:
            self._threads.shutdown(cancel_futures=True)
            self._limits.restore_original_limits()

    def call(self, function: Callable, *arguments: Any) -> Future:
        """Begins to call a function; it and its arguments must be picklable."""
        return self._submit(function, *arguments)

    def draw(
        self,
        path: str | os.PathLike[str],
        function: Callable[..., Figure],
        *arguments: Any,
    ) -> None:
        """Begins to draw a figure, which is written as PNG and PDF in the end.

        Args:
          path: where to, without a suffix.
          function: makes the figure.
          *arguments: of the function.
        """
        drawn = self.call(_contents, function, arguments)
        self._figures.append((pathlib.Path(path), drawn))


def _contents(function: Callable[..., Figure], arguments: tuple) -> dict[str, bytes]:
    with _DRAWING:
        return style.contents(function(*arguments))
