import io
import os
import re

import pytest

from kdfunc.runs import progress
from kdfunc.runs.progress import Progress
from kdfunc.runs.task import Task

TASKS = [
    Task("base", "train", cost=25),
    Task("dynamic-range", "quantize", needs=("base",)),
]


class Terminal(io.StringIO):
    def __init__(self, live):
        super().__init__()
        self._live = live

    def isatty(self):
        return self._live


@pytest.fixture
def clock(monkeypatch):
    """Time that passes when a test says so."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return lambda seconds: now.__setitem__(0, now[0] + seconds)


@pytest.fixture
def shown(monkeypatch, clock):
    """Begins a run; returns its progress and what it has written."""

    def begin(live=False, columns=80, tasks=TASKS, **settings):
        stream = Terminal(live)
        monkeypatch.setattr("sys.stdout", stream)
        size = os.terminal_size((columns, 24))
        monkeypatch.setattr(progress.shutil, "get_terminal_size", lambda: size)
        return Progress(tasks, **settings), stream

    return begin


def trained(run, clock, until, seconds_an_epoch, step=0.5, accuracy=0.114):
    """Reports a training up to an epoch."""
    done = 0.0
    run("start", "base", {})
    while done < until:
        clock(step * seconds_an_epoch)
        done += step
        facts = {"epochs_done": done, "epochs": 25, "accuracy": accuracy}
        run("progress", "base", facts)


def test_before_the_first_epoch_ends_no_accuracy_is_told(shown, clock):
    run, stream = shown()
    trained(run, clock, until=1, seconds_an_epoch=100)
    assert "base epoch 1 of 25" in stream.getvalue()
    assert "11.4 %" not in stream.getvalue()
    trained(run, clock, until=3.5, seconds_an_epoch=100)
    assert "base epoch 4 of 25 (11.4 %)" in stream.getvalue()


def test_what_was_done_before_counts(shown, clock):
    run, stream = shown(done=12)
    trained(run, clock, until=1, seconds_an_epoch=100)
    assert "  12 of 14 done, " in stream.getvalue()
    run("done", "base", {"seconds": 100, "accuracy": 0.9})
    run("failed", "dynamic-range", {"reason": "why"})
    lines = stream.getvalue().splitlines()
    assert lines[-2].startswith("[13/14] base ")
    assert lines[-1].startswith("[14/14] dynamic-range ") and lines[-1].endswith(
        "FAILED: why"
    )


@pytest.mark.parametrize("columns", [30, 80, 200])
def test_a_status_line_fits_the_terminal(shown, clock, columns):
    many = [Task(f"student-alpha0.1-seed{k}", "train", cost=25) for k in range(9)]
    run, stream = shown(live=True, columns=columns, tasks=many)
    for task in many:
        clock(1)
        run("progress", task.name, {"epochs_done": 2.5, "epochs": 25, "accuracy": 0.5})
    widths = [len(line) for line in re.split(r"[\r\n]", stream.getvalue())]
    assert max(widths) == columns - 1


def test_a_log_of_a_day_has_some_dozens_of_lines(shown, clock):
    run, stream = shown()
    for _ in range(86400):
        clock(1)
        run("progress", "base", {"epochs_done": 2.5, "epochs": 25})
    lines = stream.getvalue().splitlines()
    assert 20 < len(lines) < 100
    assert max(map(len, lines)) < 80


def test_a_log_tells_of_every_training_at_work(shown, clock):
    many = [Task(f"student-alpha0.1-seed{k}", "train", cost=25) for k in range(9)]
    run, stream = shown(tasks=many)
    for task in many:
        clock(4)
        run("progress", task.name, {"epochs_done": 2.5, "epochs": 25, "accuracy": 0.5})
    lines = stream.getvalue().splitlines()
    assert max(map(len, lines)) < 80
    told = " ".join(line.strip() for line in lines)
    for task in many[:8]:  # status lines come every half a minute
        assert f"{task.name} epoch 3 of 25 (50.0 %)" in told


def test_the_time_left_follows_from_what_was_measured(shown, clock):
    run, stream = shown()
    trained(run, clock, until=5, seconds_an_epoch=100)
    # 20 epochs and the 0.2 of the other task, which waits for them
    assert stream.getvalue().splitlines()[-1].startswith("  0 of 2 done, 34 min left")


@pytest.mark.parametrize(("seconds_an_epoch", "told"), [(1800, True), (10, False)])
def test_a_long_run_is_told_once_by_its_first_steps(
    shown, clock, seconds_an_epoch, told
):
    run, stream = shown()
    trained(run, clock, 1, seconds_an_epoch, step=0.01)
    lines = stream.getvalue().splitlines()
    announced = [
        line for line in lines if line.startswith("Judging by its first steps, this")
    ]
    assert len(announced) == told
    if told:
        assert lines.index(announced[0]) < 3
        assert "will take about 12.6 h, plus the" in announced[0]
