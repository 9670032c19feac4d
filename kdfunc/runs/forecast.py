"""Estimates how long tasks will take and how much disk space they need."""

import dataclasses
import heapq
import math
from collections.abc import Iterable, Mapping, Sequence

from kdfunc.config import ExperimentConfig
from kdfunc.datasets import Description
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.task import Task


@dataclasses.dataclass(frozen=True)
class Speed:
    """How fast a network is on one worker while the others are busy.

    Attributes:
      start: seconds from the beginning of a task to its first step.
      epoch: seconds per epoch, including the snapshot after it.
      weights: bytes of the network's weights.
    """

    start: float
    epoch: float
    weights: int

    @classmethod
    def mean(cls, speeds: Sequence["Speed"]) -> "Speed":
        """The mean speed of several workers.

        Args:
          speeds: one per worker.
        """
        columns = zip(*map(dataclasses.astuple, speeds), strict=True)
        return cls(*(sum(column) / len(speeds) for column in columns))


def network(task: Task) -> str:
    """The architecture of a task if it differs from the experiment's; else empty.

    Args:
      task: the task.
    """
    return task.settings.get("changes", {}).get("architecture", "")


def recorded(run: RunDirectory, tasks: Iterable[Task]) -> dict[str, Speed]:
    """The speeds of the networks, by name, that a run directory has trained.

    Of several trainings the slowest counts, since the time of a resumed one covers only
    its last part.

    Args:
      run: the run directory.
      tasks: the tasks of its plan.
    """
    speeds: dict[str, Speed] = {}
    for task in tasks:
        record = run.record(task.name)
        seconds = record.made.get("seconds") if task.kind == "train" else None
        if seconds:
            name = network(task)
            weights = (record.path / "final.keras").stat().st_size
            epoch = max(
                seconds / task.cost, speeds[name].epoch if name in speeds else 0
            )
            speeds[name] = Speed(0, epoch, weights)
    return speeds


def remaining(run: RunDirectory, task: Task) -> Task:
    """A task with its remaining cost.

    Args:
      run: the run directory.
      task: the task.
    """
    record = run.record(task.name)
    left = 0 if record.exists else max(task.cost - record.epochs_done, 0)
    return dataclasses.replace(task, cost=left)


def seconds(tasks: Iterable[Task], speeds: Mapping[str, Speed]) -> dict[str, float]:
    """Seconds that each task will take, from its remaining cost.

    Args:
      tasks: the tasks.
      speeds: by the names that `network` returns.
    """
    return {
        task.name: speeds[network(task)].start + task.cost * speeds[network(task)].epoch
        for task in tasks
    }


def disk(
    tasks: Iterable[Task],
    speeds: Mapping[str, Speed],
    config: ExperimentConfig,
    about: Description,
) -> int:
    """Bytes that the records of tasks will take; for compressed models an upper bound.

    Args:
      tasks: the tasks.
      speeds: by the names that `network` returns.
      config: the experiment.
      about: number and shape of the data set's images.
    """
    total = 0
    classes = len(about.class_names)
    snapshot = 4 * classes * about.test_images
    for task in tasks:
        weights = speeds[network(task)].weights
        match task.kind:
            case "data":
                total += about.test_images * (math.prod(about.image_shape) + 8)
            case "teacher":
                total += 4 * classes * about.train_images
            case "train":
                epochs = task.settings.get("changes", {}).get("epochs", config.epochs)
                total += (epochs + 1) * snapshot + 2 * weights
            case _:
                total += snapshot + weights
    return round(total)


def makespan(
    tasks: Sequence[Task], seconds: Mapping[str, float], workers: int
) -> float:
    """Total time if each worker starts the first task that is ready.

    Args:
      tasks: each after the ones that it needs; needs that are not among the tasks
        count as done.
      seconds: for each task, by its name.
      workers: how many.
    """
    ends = {task.name: math.inf for task in tasks}
    free = [0.0] * max(workers, 1)
    waiting = list(tasks)
    while waiting:
        now = heapq.heappop(free)
        ready = (t for t in waiting if all(ends.get(n, 0) <= now for n in t.needs))
        task = next(ready, None)
        if task is None:  # this worker waits for another
            heapq.heappush(free, min(end for end in ends.values() if end > now))
            continue
        waiting.remove(task)
        ends[task.name] = now + seconds[task.name]
        heapq.heappush(free, ends[task.name])
    return max(ends.values(), default=0.0)
