"""Runs a plan's tasks: in this process, on local workers, or on a Dask cluster.

The engine knows nothing about networks. A task has a name, the names of the tasks that
it needs, a label and a cost; `work(task, report)` performs it.
"""

import contextlib
import gc
import logging
import secrets
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from kdfunc import system
from kdfunc.errors import InputError, RunError, first_line
from kdfunc.runs.task import Task

#: Called with (task, report); report takes keyword facts about how far it is. Returns
#: facts about the outcome.
Work = Callable[[Task, Callable[..., None]], dict[str, Any]]
#: Called with (event, task name, facts); the events are start, progress, done, failed
#: and skipped.
Listener = Callable[[str, str, dict[str, Any]], None]

#: Bytes that a training may need: ResNet-50 with its data set, optimizer and framework.
WORKER_MEMORY = 3 * 2**30

#: For a scheduler to answer, and for the first local worker to be there.
CONNECT_TIMEOUT, START_TIMEOUT = "10s", "120s"

#: Why a worker is killed, as far as one can tell.
_WHY = "most likely because memory ran out; give fewer --workers"


class InProcess:
    """Does everything in this process, one task after another."""

    workers = 1
    submit = None  # calls are made here or not at all

    def call(self, function: Callable, *arguments: Any) -> list[Any]:
        """Calls a function where tasks are done; returns a list of its one result.

        Args:
          function: the function.
          *arguments: of the function.
        """
        return [function(*arguments)]

    def run(
        self, tasks: Sequence[Task], work: Work, listener: Listener
    ) -> dict[str, str]:
        """Does the tasks; see `OnDask.run`.

        Args:
          tasks: as in `OnDask.run`.
          work: as in `OnDask.run`.
          listener: as in `OnDask.run`.
        """
        failures: dict[str, str] = {}
        for task in tasks:
            lost = [need for need in task.needs if need in failures]
            if lost:
                _skip(task.name, lost[0], failures, listener)
                continue
            listener("start", task.name, {})
            begin = time.monotonic()

            def report(name=task.name, **facts):
                listener("progress", name, facts)

            try:
                facts = work(task, report)
            except Exception as error:
                _fail(task.name, error, failures, listener)
            else:
                seconds = time.monotonic() - begin
                listener("done", task.name, {**facts, "seconds": seconds})
        return failures


class OnDask:
    """Does tasks on the workers of a Dask cluster."""

    def __init__(self, client):
        self._client = client

    @property
    def workers(self) -> int:
        """How many workers there are now."""
        return len(self._info)

    @property
    def shared(self) -> bool:
        """Whether a worker does several tasks at once, in threads."""
        return any(each["nthreads"] > 1 for each in self._info.values())

    @property
    def _info(self) -> dict[str, Any]:
        return self._client.scheduler_info(n_workers=-1)["workers"]

    def call(self, function: Callable, *arguments: Any) -> list[Any]:
        """Calls a function on every worker; returns its results, or raises its error.

        Args:
          function: the function, which must be picklable.
          *arguments: of the function.

        Returns:
          one value per worker.
        """
        from distributed.comm import CommClosedError

        try:
            return list(self._client.run(function, *arguments).values())
        except CommClosedError as error:
            raise RunError(f"a worker was killed, {_WHY}") from error

    def submit(self, function: Callable, *arguments: Any) -> Any:
        """Starts a function call on some worker; returns a future.

        Args:
          function: the function, which must be picklable.
          *arguments: of the function.
        """
        return self._client.submit(function, *arguments, pure=False)

    def run(
        self, tasks: Sequence[Task], work: Work, listener: Listener
    ) -> dict[str, str]:
        """Does each task as soon as the tasks it needs are done.

        If a task fails, only the tasks that need it are skipped. The death of a worker
        is not a failure: another worker repeats its task.

        Args:
          tasks: each after the ones that it needs; needs that are not among the tasks
            count as done.
          work: performs a task; it and the tasks must be picklable.
          listener: called with each event.

        Returns:
          The failed and skipped tasks, each with its reason.
        """
        from distributed import KilledWorker, as_completed

        alone = threading.Lock()  # the client hears workers in a thread of its own

        def hear(*event):
            with alone:
                listener(*event)

        topic = f"kdfunc-{secrets.token_hex(8)}"  # others may use the same scheduler
        self._client.subscribe_topic(topic, lambda event: hear(*event[1]))
        futures: dict[str, Any] = {}
        for place, task in enumerate(tasks):
            needs = [futures[need] for need in task.needs if need in futures]
            futures[task.name] = self._client.submit(
                _work_on_worker, topic, work, task, needs, pure=False, priority=-place
            )
        names = {future.key: name for name, future in futures.items()}
        needs_of = {task.name: task.needs for task in tasks}
        failures: dict[str, str] = {}
        for future in as_completed(futures.values()):
            name = names[future.key]
            lost = [need for need in needs_of[name] if _failed(futures.get(need))]
            if lost:
                _skip(name, lost[0], failures, hear)
            elif future.status == "cancelled":
                future.result()  # raises what `open` tells in plain words
            # Waits: a result that was lost with its worker is being made again.
            elif (error := future.exception()) is None:
                hear("done", name, future.result())
            else:
                if isinstance(error, KilledWorker):
                    times = error.allowed_failures + 1
                    error = RuntimeError(f"its worker was killed {times} times, {_WHY}")
                _fail(name, error, failures, hear)
        self._client.unsubscribe_topic(topic)
        return failures


def default_workers() -> int:
    """One worker per core available to this process, as far as memory allows."""
    import psutil
    from dask.system import CPU_COUNT
    from distributed.system import MEMORY_LIMIT

    # The limit is that of a container; what others use of the machine is not in it.
    memory = min(MEMORY_LIMIT, psutil.virtual_memory().available)
    return max(1, min(CPU_COUNT, memory // WORKER_MEMORY))


@contextlib.contextmanager
def open(
    workers: int = 0, scheduler: str | None = None
) -> Iterator[InProcess | OnDask]:
    """A context manager for the workers that do the tasks.

    Args:
      workers: local worker processes; 0 does everything in this process.
      scheduler: address of a Dask scheduler, such as `tcp://host:8786`, whose workers
        are used instead.

    Raises:
      InputError: no scheduler answers there, or it has no workers, or workers that do
        several tasks at once, or no local worker could be started.
    """
    if not (scheduler or workers):
        yield InProcess()
        return
    from distributed import CancelledError, Client, KilledWorker

    with contextlib.ExitStack() as stack:
        for logger in ("distributed", "distributed.client"):  # has a level of its own
            logging.getLogger(logger).setLevel(logging.CRITICAL)
        reason = None
        try:
            address = scheduler or _local_cluster(workers, stack)
            client = stack.enter_context(Client(address, timeout=CONNECT_TIMEOUT))
            if not scheduler:
                client.wait_for_workers(1, timeout=START_TIMEOUT)
        except Exception as error:  # asserts of distributed are among them
            reason = first_line(error)
        if reason is not None:
            # A client that found no scheduler ends when it is collected; in the thread
            # that serves it, it would wait for itself.
            gc.collect()
            if not scheduler:
                raise InputError(
                    f"--workers: no worker could be started ({reason}); the machine "
                    "may be busy or short of memory, or a script calls kdfunc.run "
                    'outside of `if __name__ == "__main__":`; try again with fewer '
                    "--workers or with --workers=0."
                )
            raise InputError(
                f"--scheduler: no scheduler answers at {scheduler} ({reason}); give "
                "the address that `dask scheduler` printed, such as tcp://host:8786."
            )
        crew = OnDask(client)
        if not crew.workers:
            raise InputError(
                f"--scheduler: {scheduler} has no workers; start some with "
                f"`dask worker {scheduler} --nthreads 1` and try again."
            )
        if crew.shared:
            raise InputError(
                f"--scheduler: the workers at {scheduler} have more than one thread "
                "each, whose tasks would disturb each other; start them with "
                f"`dask worker {scheduler} --nthreads 1`."
            )
        try:
            yield crew
        except KilledWorker as error:
            raise RunError(f"a worker was killed, {_WHY}") from error
        except CancelledError as error:
            raise RunError(
                "the connection to the scheduler was lost; finished work is kept: "
                "start the scheduler and its workers again, then repeat the command"
            ) from error


def _local_cluster(workers: int, stack: contextlib.ExitStack):
    """Starts worker processes, which the stack stops."""
    import dask
    from distributed import LocalCluster

    environment = dict(dask.config.get("distributed.nanny.pre-spawn-environ"))
    # Whoever sets it makes glibc fetch and clear the pages of each large array anew: a
    # quarter of ResNet-50's training, most of a metric map's time.
    environment.pop("MALLOC_TRIM_THRESHOLD_", None)
    environment["VECLIB_MAXIMUM_THREADS"] = "1"  # macOS's BLAS hears nothing else
    # What a task raises is reported by the listener, not by the workers' logs.
    environment["DASK_LOGGING__DISTRIBUTED"] = "critical"
    settings = {
        "distributed.nanny.pre-spawn-environ": environment,
        # After a laptop has slept, all workers would be taken for dead and killed.
        # Their nannies notice those that are.
        "distributed.scheduler.worker-ttl": None,
    }
    with (
        dask.config.set(settings),
        system.interrupts_put_off(),
    ):
        cluster = LocalCluster(
            n_workers=workers,
            threads_per_worker=1,
            memory_limit=None,
            # Its pages would be served to the network, and two runs at once would
            # quarrel over their port.
            dashboard_address="127.0.0.1:0",
            scheduler_kwargs={"dashboard": False},
        )
        stack.callback(_close, cluster)
    return cluster


def _close(cluster) -> None:
    """Stops the workers; a slow shutdown does not fail a finished run."""
    from distributed import TimeoutError  # not Python's own before 3.11

    loop = logging.getLogger("tornado.application")  # would print a traceback
    level = loop.level
    loop.setLevel(logging.CRITICAL)
    try:
        with contextlib.suppress(TimeoutError):
            cluster.close()
    finally:
        loop.setLevel(level)


def _failed(future) -> bool:
    return future is not None and future.status == "error"


def _work_on_worker(topic: str, work: Work, task: Task, needs: list) -> dict[str, Any]:
    """Runs in a worker; `needs` is there only for the order."""
    from distributed import get_worker

    worker = get_worker()
    key = worker.get_current_task()
    begin = time.monotonic()
    worker.log_event(topic, ("start", task.name, {}))

    def report(**facts):
        if worker.state.tasks[key].state == "cancelled":
            raise RuntimeError(f"{task.name} was stopped")
        worker.log_event(topic, ("progress", task.name, facts))

    return {**work(task, report), "seconds": time.monotonic() - begin}


def _skip(name, need, failures, listener) -> None:
    failures[name] = f"needs {need}"
    listener("skipped", name, {"reason": failures[name]})


def _fail(name, error, failures, listener) -> None:
    failures[name] = first_line(error)
    trace = "".join(traceback.format_exception(error))
    listener("failed", name, {"reason": failures[name], "trace": trace})
