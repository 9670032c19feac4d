import _thread
import math
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import dask
import pytest

from kdfunc.errors import InputError
from kdfunc.runs import engine
from kdfunc.runs.task import Task

TASKS = [
    Task("a", "k"),
    Task("b", "k", needs=("a",)),
    Task("c", "k", needs=("a",)),
    Task("d", "k", needs=("b", "elsewhere")),
    Task("e", "k", needs=("d",)),
]


class Work:
    """Leaves one file per task; can be told to fail or to kill its process once."""

    def __init__(self, folder, fail=(), die=()):
        self.folder, self.fail, self.die = folder, fail, die

    def __call__(self, task, report):
        for need in task.needs:
            assert need == "elsewhere" or (self.folder / need).exists()
        report(accuracy=0.5)
        if task.name in self.fail:
            raise ValueError(f"{task.name} broke\nwith details")
        if task.name in self.die and not (self.folder / "died").exists():
            (self.folder / "died").touch()
            os._exit(9)
        (self.folder / task.name).write_text(str(os.getpid()), "utf-8")
        return {"accuracy": 1.0}


@pytest.fixture(scope="module", params=[0, 2], ids=["in-process", "dask"])
def crew(request):
    with engine.open(workers=request.param) as crew:
        yield crew


@pytest.fixture
def events():
    return []


def listener(events):
    return lambda event, name, facts: events.append((event, name, facts))


def test_tasks_wait_for_what_they_need(crew, tmp_path, events):
    assert crew.run(TASKS, Work(tmp_path), listener(events)) == {}
    assert sorted(os.listdir(tmp_path)) == list("abcde")
    done = [name for event, name, _ in events if event == "done"]
    assert sorted(done) == list("abcde")
    assert done.index("a") < done.index("b") < done.index("d") < done.index("e")
    facts = [facts for event, _, facts in events if event == "done"]
    assert all(f["accuracy"] == 1.0 and f["seconds"] >= 0 for f in facts)


def test_progress_is_heard(crew, tmp_path, events):
    crew.run(TASKS[:1], Work(tmp_path), listener(events))
    time.sleep(0.2)  # what workers report may come after the result
    assert ("progress", "a", {"accuracy": 0.5}) in events


def test_a_failure_takes_down_what_needs_it_and_nothing_else(crew, tmp_path, events):
    failures = crew.run(TASKS, Work(tmp_path, fail=("b",)), listener(events))
    assert failures == {"b": "b broke", "d": "needs b", "e": "needs d"}
    assert sorted(os.listdir(tmp_path)) == ["a", "c"]
    (failed,) = [facts for event, _, facts in events if event == "failed"]
    assert "ValueError: b broke\nwith details" in failed["trace"]
    assert {name for event, name, _ in events if event == "skipped"} == {"d", "e"}


def refuse():
    raise InputError("--flag: not like this.")


def test_a_call_raises_what_the_function_raises(crew):
    with pytest.raises(InputError, match="flag: not like this."):
        crew.call(refuse)


def test_the_task_of_a_worker_that_dies_is_done_by_another(tmp_path, events):
    with engine.open(workers=2) as crew:
        failures = crew.run(TASKS, Work(tmp_path, die=("b",)), listener(events))
    assert failures == {}
    assert (tmp_path / "died").exists() and (tmp_path / "e").exists()
    pids = {pathlib.Path(tmp_path / name).read_text("utf-8") for name in "abcde"}
    assert str(os.getpid()) not in pids


def test_a_result_that_is_made_again_is_no_failure(tmp_path, events, monkeypatch):
    """A worker that dies takes its results along; that had been `FAILED: None`."""
    import distributed

    monkeypatch.setattr(distributed, "as_completed", iter)  # before they are completed
    with engine.open(workers=1) as crew:
        assert crew.run(TASKS, Work(tmp_path), listener(events)) == {}
    done = [name for event, name, _ in events if event == "done"]
    assert done == [task.name for task in TASKS]


class Slow:
    """Works until it is stopped, or for some seconds; leaves a file at its end."""

    def __init__(self, folder, seconds=math.inf):
        self.folder, self.seconds = folder, seconds

    def __call__(self, task, report):
        (self.folder / "started").touch()
        end = time.monotonic() + self.seconds
        try:
            while time.monotonic() < end:
                time.sleep(0.05)
                report()
        finally:
            (self.folder / "stopped").touch()
        return {}


@pytest.mark.usefixtures("heard_interrupts")
def test_an_interrupt_stops_tasks_on_workers_of_a_cluster(tmp_path):
    """On a cluster of somebody else's, the workers live on and must be free again."""
    from distributed import LocalCluster

    def interrupt(event, *_):
        if event == "progress":
            _thread.interrupt_main()

    with LocalCluster(1, threads_per_worker=1, dashboard_address=":0") as cluster:
        with pytest.raises(KeyboardInterrupt):
            with engine.open(scheduler=cluster.scheduler_address) as crew:
                crew.run(TASKS[:1], Slow(tmp_path), interrupt)
        for _ in range(100):
            time.sleep(0.1)
            if (tmp_path / "stopped").exists():
                break
        assert (tmp_path / "stopped").exists()


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(engine, "CONNECT_TIMEOUT", "0.5s")
    with pytest.raises(
        InputError, match="scheduler: no scheduler answers at tcp://127"
    ):
        with engine.open(scheduler="tcp://127.0.0.1:9"):
            pass


@pytest.mark.parametrize(
    ("arguments", "method", "told"),
    [
        (
            {"scheduler": "tcp://127.0.0.1:9"},
            "start",
            "scheduler: no scheduler answers at",
        ),
        ({"workers": 1}, "wait_for_workers", "workers: no worker could be started"),
    ],
)
def test_what_dask_raises_is_told_in_a_sentence(arguments, method, told, monkeypatch):
    """On a busy machine an assert of its own may come first."""
    from distributed import Client

    def fail(*_, **__):
        raise AssertionError

    monkeypatch.setattr(Client, method, fail)
    with pytest.raises(InputError, match=f"{told}.*AssertionError"):
        with engine.open(**arguments):
            pass


def test_a_scheduler_without_workers_is_named():
    from distributed import LocalCluster

    with LocalCluster(n_workers=0, dashboard_address=None) as cluster:
        with pytest.raises(InputError, match="has no workers; start some with `dask w"):
            with engine.open(scheduler=cluster.scheduler_address):
                pass


def test_a_script_without_a_guard_is_told_what_it_lacks(tmp_path):
    """Workers import it, and would start workers of their own."""
    script = tmp_path / "script.py"
    script.write_text(
        "from kdfunc.runs import engine\n"
        "try:\n"
        "    with engine.open(workers=1):\n"
        "        pass\n"
        "except engine.InputError as error:\n"
        "    print(error)\n",
        "utf-8",
    )
    done = subprocess.run(
        [sys.executable, script],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert "calls kdfunc.run outside of `if __name__ ==" in done.stdout
    assert "Traceback" not in done.stderr


def test_two_runs_on_one_scheduler_hear_only_their_own_tasks(tmp_path):
    from distributed import LocalCluster

    heard = [], []
    several = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(processes=False, **several) as cluster:
        address = cluster.scheduler_address
        with engine.open(scheduler=address) as one, engine.open(0, address) as other:
            thread = threading.Thread(
                target=one.run,
                args=(TASKS[:1], Slow(tmp_path, seconds=0.5), listener(heard[0])),
            )
            thread.start()
            other.run([Task("z", "k")], Slow(tmp_path, seconds=0.5), listener(heard[1]))
            thread.join()
            time.sleep(0.2)  # what workers report may come after the result
    for events, name in zip(heard, "az", strict=True):
        assert {heard for _, heard, _ in events} == {name}


def test_a_scheduler_that_ends_is_told_in_plain_words(tmp_path, events):
    from distributed import LocalCluster

    one = {"n_workers": 1, "threads_per_worker": 1, "dashboard_address": ":0"}
    with LocalCluster(processes=False, **one) as cluster:
        with pytest.raises(RuntimeError, match="connection to the scheduler was lost"):
            with engine.open(scheduler=cluster.scheduler_address) as crew:
                threading.Timer(0.5, cluster.close).start()
                crew.run(TASKS[:2], Slow(tmp_path, seconds=1.5), listener(events))
    assert {event for event, *_ in events} <= {"start", "progress"}


def test_workers_with_several_threads_are_refused():
    from distributed import LocalCluster

    with LocalCluster(1, threads_per_worker=2, dashboard_address=":0") as cluster:
        with pytest.raises(InputError, match="dask worker tcp://.* --nthreads 1"):
            with engine.open(scheduler=cluster.scheduler_address):
                pass


def test_events_are_told_one_at_a_time(crew, tmp_path):
    inside, together = [], []

    def listen(event, *_):
        inside.append(event)
        time.sleep(0.002)
        together.append(len(inside))
        inside.pop()

    tasks = [Task(f"task-{k}", "k") for k in range(30)]
    assert crew.run(tasks, Work(tmp_path), listen) == {}
    assert max(together) == 1


def test_local_workers_listen_to_this_machine_alone():
    import psutil

    me = psutil.Process()
    with engine.open(1):
        listening = [
            connection.laddr.ip
            for process in (me, *me.children(recursive=True))
            for connection in process.net_connections("inet")
            if connection.status == psutil.CONN_LISTEN
        ]
    assert listening and {*listening} == {"127.0.0.1"}


def test_two_runs_at_once_do_not_quarrel_over_a_port(recwarn):
    with engine.open(1), engine.open(1):
        pass
    assert not [warning for warning in recwarn if "already in use" in str(warning)]


def test_local_workers_keep_the_memory_that_they_will_need_again(monkeypatch):
    # Dask would set it, which slows down all that works on large arrays.
    monkeypatch.delenv("MALLOC_TRIM_THRESHOLD_", raising=False)
    with engine.open(1) as crew:
        assert crew.call(os.environ.get, "MALLOC_TRIM_THRESHOLD_") == [None]
        assert crew.call(os.environ.get, "OMP_NUM_THREADS") == ["1"]
        assert crew.call(os.environ.get, "VECLIB_MAXIMUM_THREADS") == ["1"]


def test_workers_that_die_slowly_spoil_nothing(tmp_path, monkeypatch):
    import distributed

    close = distributed.LocalCluster.close

    def slow(self, timeout=None):
        close(self, timeout)
        raise distributed.TimeoutError

    monkeypatch.setattr(distributed.LocalCluster, "close", slow)
    with engine.open(workers=1) as crew:
        assert crew.run(TASKS[:1], Work(tmp_path), listener([])) == {}


def die(*_):
    os._exit(9)


def test_a_worker_that_is_killed_is_told_in_plain_words_and_once(events):
    import distributed  # noqa: F401  (brings its configuration)

    with dask.config.set({"distributed.scheduler.allowed-failures": 1}):
        with engine.open(workers=1) as crew:
            with pytest.raises(
                RuntimeError, match="a worker was killed, most likely be"
            ):
                crew.call(die)
            failures = crew.run(TASKS[:2], die, listener(events))
    reason = (
        "its worker was killed 2 times, most likely because memory ran out; give fewer "
        "--workers"
    )
    assert failures == {"a": reason, "b": "needs a"}
    facts = [facts for event, _, facts in events if event == "failed"]
    assert facts == [{"reason": reason, "trace": f"RuntimeError: {reason}\n"}]


@pytest.mark.usefixtures("heard_interrupts")
def test_an_interrupt_while_workers_start_is_put_off_not_lost(monkeypatch):
    from distributed import LocalCluster

    started, closed = [], []

    def start(self, *args, _start=LocalCluster.__init__, **kwargs):
        signal.raise_signal(signal.SIGINT)
        _start(self, *args, **kwargs)
        started.append(self)

    def close(self, *args, _close=LocalCluster.close):
        closed.append(self)
        return _close(self, *args)

    monkeypatch.setattr(LocalCluster, "__init__", start)
    monkeypatch.setattr(LocalCluster, "close", close)
    with pytest.raises(KeyboardInterrupt):
        with engine.open(workers=1):
            pytest.fail("the interrupt was lost")
    assert len(started) == 1 and started[0] in closed


def interrupt_myself():
    """In a worker; a terminal or `timeout` sends these to the whole process group."""
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(os.getpid(), number)


def test_workers_are_deaf_to_interrupts_and_so_are_those_that_replace_them():
    with engine.open(workers=1) as crew:
        (first,) = pids = crew._client.run(os.getpid).values()
        crew.call(interrupt_myself)
        with pytest.raises(RuntimeError):
            crew.call(die)
        while first in pids or not pids:
            time.sleep(0.2)
            pids = crew._client.run(os.getpid, on_error="ignore").values()
        crew.call(interrupt_myself)
        (second,) = crew._client.run(os.getpid).values()
        assert [second] == list(pids)
