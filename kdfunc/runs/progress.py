"""What a run tells a person who watches the terminal or reads the log."""

import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from kdfunc.runs.plan import Task


class Progress:
    """Prints a line for each task that ends and, between them, how things stand.

    On a terminal the last line is rewritten in place; in a file it is added every half
    minute. Lines fit 80 columns.
    """

    def __init__(self, tasks: Sequence[Task]):
        self._tasks = {task.name: task for task in tasks}
        self._stream = sys.stdout
        self._running: dict[str, dict[str, Any]] = {}
        self._ended = 0
        self._cost_ended = 0.0
        self._begin = time.monotonic()
        self._shown = self._begin
        self._status_width = 0

    def __call__(self, event: str, name: str, facts: dict[str, Any]) -> None:
        """Takes an event of the engine."""
        if event in ("start", "progress"):
            if name in self._tasks:
                self._running.setdefault(name, {}).update(facts)
            self._show_status()
            return
        self._running.pop(name, None)
        task = self._tasks.pop(name)
        self._ended += 1
        self._cost_ended += task.cost
        outcome = {
            "done": lambda: _took(facts),
            "failed": lambda: f"FAILED: {facts['reason']}",
            "skipped": lambda: f"skipped: {facts['reason']}",
        }[event]()
        total = self._ended + len(self._tasks)
        self._line(f"[{self._ended:>{len(str(total))}}/{total}] {name:<33} {outcome}")

    def _show_status(self) -> None:
        live = self._stream.isatty()
        if time.monotonic() - self._shown < (0.5 if live else 30):
            return
        self._shown = time.monotonic()
        running = [
            " ".join([name, *_stands(facts)]) for name, facts in self._running.items()
        ]
        waiting = len(self._tasks) - len(self._running)
        head = f"  {self._ended} done, {len(running)} running, {waiting} waiting"
        status = f"{head}, {self._time_left()}: {'; '.join(running)}"
        if len(status) > 79:
            status = status[:76] + "..."
        if live:
            self._stream.write("\r" + status.ljust(self._status_width))
            self._status_width = len(status)
            self._stream.flush()
        else:
            self._line(status)

    def _time_left(self) -> str:
        done = self._cost_ended + sum(
            facts.get("epochs_done", 0) for facts in self._running.values()
        )
        total = self._cost_ended + sum(task.cost for task in self._tasks.values())
        elapsed = time.monotonic() - self._begin
        if done < 0.05 * total and elapsed < 20:
            return "time left not known yet"
        return f"{duration(elapsed * (total - done) / max(done, 1e-9))} left"

    def _line(self, text: str) -> None:
        if self._status_width:
            self._stream.write("\r" + " " * self._status_width + "\r")
            self._status_width = 0
        print(text, file=self._stream, flush=True)


def duration(seconds: float) -> str:
    """A time span as a person would say it."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h"


def _stands(facts: dict[str, Any]) -> Iterator[str]:
    """How far a training is, and how good at its last snapshot."""
    if "epochs" in facts:
        yield f"{facts['epochs_done']:.0f}/{facts['epochs']}"
    if "accuracy" in facts:
        yield f"{100 * facts['accuracy']:.1f} %"


def _took(facts: dict[str, Any]) -> str:
    seconds = f"{facts['seconds']:8.1f} s"
    if "accuracy" in facts:
        return f"accuracy {100 * facts['accuracy']:6.2f} %{seconds}"
    if "not_possible" in facts:
        return f"{'not possible':17}{seconds}"
    return f"{'':17}{seconds}"
