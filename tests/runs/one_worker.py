"""Does many trainings one after the other in one process, and watches its memory.

    python tests/runs/one_worker.py --number=100

A worker of a long run does tasks for days; what it takes must not grow with them.
"""

import argparse
import contextlib
import io
import pathlib
import sys
import tempfile

import psutil

from kdfunc.config import ExperimentConfig
from kdfunc.runs import plan, worker
from kdfunc.runs.workplace import Workplace

WARM_UP = 10  # trainings after which all is loaded that ever will be
MEGABYTES = 2  # that a training may leave behind


def trainings(number: int, folder: pathlib.Path) -> list[int]:
    """Trains students on digits for an epoch each; bytes in use after each of them."""
    config = ExperimentConfig(
        epochs=1,
        independents=0,
        alphas=(0.9,),
        distillation_seeds=tuple(range(number)),
        quantization=(),
        pruning_levels=(),
        controls=(),
    )
    place = Workplace(folder / config.name, config, None, 1, False)
    taken = []
    for task in plan.make(config):
        with contextlib.redirect_stdout(io.StringIO()):
            worker.perform(place, task, lambda **_: None)
        if task.name.startswith("student"):
            taken.append(psutil.Process().memory_info().rss)
    return taken


def growth(taken: list[int]) -> float:
    """Bytes that a training leaves behind: the slope between medians of halves."""
    later = taken[WARM_UP:]
    half = len(later) // 2
    first, second = sorted(later[:half]), sorted(later[-half:])
    middle = half // 2
    return (second[middle] - first[middle]) / (len(later) - half)


def main() -> None:
    """Trains from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--number", type=int, default=40, help="of trainings (40)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        taken = trainings(options.number, pathlib.Path(folder))
    for number in range(0, len(taken), max(1, len(taken) // 10)):
        print(f"after {number + 1:4} trainings {taken[number] >> 20:6} MB")
    left = growth(taken) / 2**20
    print(f"{len(taken)} trainings, {left:.2f} MB left behind by each.")
    sys.exit(left > MEGABYTES)


if __name__ == "__main__":
    main()
