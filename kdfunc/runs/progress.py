"""The progress that a run shows on a terminal or in a log."""

import collections
import dataclasses
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from typing import Any

from kdfunc.runs import forecast
from kdfunc.runs.task import Task
from kdfunc.text import duration, wrapped

#: Seconds between two status lines: on a terminal, at least in a log, and there also
#: as a share of the time so far, so that a day makes some dozens of lines.
LIVE, LOGGED, SHARE = 0.5, 30, 0.1
#: Seconds of work after which the time left is a good guess, and how much is worth a
#: line of its own.
MEASURED, LONG = 10, 3600


class Progress:
    """Prints a line for each task that ends and, between them, the current state.

    On a terminal, the last line is rewritten in place and cut to its width; in a log,
    the state is told now and then, in lines of 80 columns.

    Args:
      tasks: the tasks to do, with their remaining cost.
      workers: how many work on them.
      done: number of tasks that were done before.
    """

    def __init__(self, tasks: Sequence[Task], workers: int = 1, done: int = 0):
        self._tasks = {task.name: task for task in tasks}
        self._workers = workers
        self._done = done
        self._total = done + len(tasks)
        self._stream = sys.stdout
        self._running: dict[str, dict[str, Any]] = {}
        self._rates = _Rates()
        self._announced = False
        self._begin = self._shown = time.monotonic()
        self._status_width = 0

    def __call__(self, event: str, name: str, facts: dict[str, Any]) -> None:
        """Receives an event from the engine."""
        if event in ("start", "progress"):
            if name in self._tasks:
                self._running.setdefault(name, {}).update(facts)
                self._rates.hear(self._tasks[name], facts)
            self._announce()
            self._show_status()
            return
        self._running.pop(name, None)
        task = self._tasks.pop(name)
        self._done += 1
        if event == "done":
            self._rates.end(task, facts["seconds"])
        outcome = {
            "done": lambda: _took(facts),
            "failed": lambda: f"FAILED: {facts['reason']}",
            "skipped": lambda: f"skipped: {facts['reason']}",
        }[event]()
        place = f"[{self._done:>{len(str(self._total))}}/{self._total}]"
        self._line(f"{place} {name:<33} {outcome}")

    def _announce(self) -> None:
        """Says once, judging by the first steps, that a run will be long."""
        if self._announced or self._rates.seconds < MEASURED:
            return
        self._announced = True
        left = self._seconds_left()
        if left is not None and left > LONG:
            self._line(
                "Judging by its first steps, this run will take about "
                f"{duration(left)}, plus the\nanalysis. Ctrl-C stops it; the same "
                "command resumes it."
            )

    def _show_status(self) -> None:
        live = self._stream.isatty()
        now = time.monotonic()
        pause = LIVE if live else max(LOGGED, SHARE * (now - self._begin))
        if now - self._shown < pause:
            return
        self._shown = now
        left = self._seconds_left()
        time_left = "time left unknown" if left is None else f"{duration(left)} left"
        running = [
            " ".join([name, *_stands(facts)]) for name, facts in self._running.items()
        ]
        status = f"  {self._done} of {self._total} done, {time_left}"
        status += f"; now {'; '.join(running)}" if running else ""
        if not live:
            self._line(wrapped(status, rest="    "))
            return
        width = shutil.get_terminal_size().columns - 1
        if len(status) > width:
            status = status[: max(width - 3, 0)] + "..."
        self._stream.write("\r" + status.ljust(min(self._status_width, width)))
        self._status_width = len(status)
        self._stream.flush()

    def _seconds_left(self) -> float | None:
        """An estimate from the speed so far; None before the first steps."""
        seconds = {name: self._rates.left(task) for name, task in self._tasks.items()}
        if None in seconds.values():
            return None
        running_first = sorted(
            self._tasks.values(), key=lambda task: task.name not in self._running
        )
        return forecast.makespan(running_first, seconds, self._workers)

    def _line(self, text: str) -> None:
        if self._status_width:
            self._stream.write("\r" + " " * self._status_width + "\r")
            self._status_width = 0
        print(text, file=self._stream, flush=True)


def _stands(facts: dict[str, Any]) -> Iterator[str]:
    """The progress of a training, and its accuracy after the last complete epoch."""
    if "epochs" in facts:
        done, epochs = facts["epochs_done"], facts["epochs"]
        yield f"epoch {min(int(done) + 1, epochs)} of {epochs}"
        if "accuracy" in facts and done > 1:  # before, it has not learnt anything
            yield f"({100 * facts['accuracy']:.1f} %)"


def _took(facts: dict[str, Any]) -> str:
    seconds = f"{facts['seconds']:8.1f} s"
    if "unchanged" in facts:
        return f"{'unchanged':17}{seconds}"
    if "accuracy" in facts:
        return f"accuracy {100 * facts['accuracy']:6.2f} %{seconds}"
    if "not_possible" in facts:
        return f"{'not possible':17}{seconds}"
    return f"{'':17}{seconds}"


@dataclasses.dataclass
class _Work:
    """Work so far: seconds, and its share of the tasks' cost."""

    seconds: float = 0.0
    cost: float = 0.0

    def add(self, seconds: float, cost: float) -> None:
        self.seconds += seconds
        self.cost += cost


class _Rates:
    """Seconds per unit of cost, by network and kind of task."""

    def __init__(self):
        self._last: dict[str, tuple[float, float]] = {}  # when, and epochs done
        self._by_task: dict[str, _Work] = collections.defaultdict(_Work)
        self._by_kind: dict[tuple[str, str], _Work] = collections.defaultdict(_Work)

    @property
    def seconds(self) -> float:
        """Seconds of all work so far."""
        return sum(work.seconds for work in self._by_kind.values())

    def hear(self, task: Task, facts: dict[str, Any]) -> None:
        """Receives the progress of a task; the first report only starts the clock."""
        if "epochs_done" not in facts:
            return
        now, done = time.monotonic(), facts["epochs_done"]
        begin, before = self._last.get(task.name, (now, done))
        self._last[task.name] = now, done
        if done > before:
            self._add(task, now - begin, done - before)

    def end(self, task: Task, seconds: float) -> None:
        """Receives the total time of a finished task."""
        heard = self._by_task[task.name]
        self._add(task, seconds - heard.seconds, task.cost - heard.cost)

    def left(self, task: Task) -> float | None:
        """Seconds that a task will still take; None before anything is known."""
        network = forecast.network(task)
        for key in ((network, task.kind), (network, "train"), ("", "train")):
            work = self._by_kind[key]
            if work.cost > 0:
                heard = self._by_task[task.name].cost
                return max(task.cost - heard, 0) * work.seconds / work.cost
        return None

    def _add(self, task: Task, seconds: float, cost: float) -> None:
        self._by_task[task.name].add(seconds, cost)
        self._by_kind[forecast.network(task), task.kind].add(seconds, cost)
