"""What a run would do, how long it would take and how much disk space it would need."""

import shutil
import sys
from collections.abc import Mapping, Sequence

from kdfunc import lazy
from kdfunc.runs import engine, forecast, plan
from kdfunc.runs.forecast import Speed
from kdfunc.runs.preparation import Prepared
from kdfunc.text import count, duration, size


def show(prepared: Prepared, scheduler: str | None = None) -> None:
    """Prints the plan and, after the same checks as in a run, the forecast.

    Speeds come from the records of the run directory, if it has any; otherwise they are
    measured, which takes TensorFlow and some seconds.

    Args:
      prepared: what the run would do.
      scheduler: address of a Dask scheduler whose workers would do it.

    Raises:
      InputError: the run would be refused.
    """
    run, config = prepared.directory, prepared.place.config
    left = [task for task in prepared.tasks if not run.record(task.name).exists]
    done = len(prepared.tasks) - len(left)
    told = f", {done} of them done" if done else ""
    print(f"{config.name}: {len(prepared.tasks)} tasks{told}")
    for task in prepared.tasks:
        print(_line(prepared, task))
    if prepared.analyses:
        print("  then tables, figures and report")
    sys.stdout.flush()  # what follows may take some seconds
    speeds = forecast.recorded(run, prepared.tasks)
    workers = prepared.workers or 1
    known = scheduler is None and all(forecast.network(t) in speeds for t in left)
    if not known or _has_own(prepared):
        with engine.open(prepared.workers, scheduler) as crew:
            workers = crew.workers
            crew.call(lazy.call, "kdfunc.runs.worker:check", prepared.place)
            if not known and prepared.about.train_images:
                measured = crew.call(
                    lazy.call, "kdfunc.runs.worker:measure", prepared.place
                )
                speeds = {
                    name: Speed.mean([each[name] for each in measured])
                    for name in measured[0]
                }
    print()
    if prepared.about.train_images is None:
        print(
            f"The run first downloads {config.dataset}; after that, --dry_run can "
            "estimate time and disk space."
        )
    elif left:
        _tell_of_time_and_disk(prepared, left, speeds, workers)
    else:
        print("All tasks are done.")


def _has_own(prepared: Prepared) -> bool:
    """Whether some of the user's own code has to be tried."""
    config = prepared.place.config
    names = (config.architecture, *config.variants, *config.compressions)
    return any(":" in name for name in names)


def _line(prepared: Prepared, task: plan.Task) -> str:
    record = prepared.directory.record(task.name)
    if record.exists:
        state = "done"
    elif epochs := record.epochs_done:
        state = f"{epochs} epochs done"
    else:
        state = f"needs {', '.join(task.needs)}" if task.needs else ""
    epochs = f"{task.cost:.0f} epochs" if task.cost >= 1 else ""
    return f"  {task.name:<41} {epochs:<10} {state}".rstrip()


def _tell_of_time_and_disk(
    prepared: Prepared,
    left: Sequence[plan.Task],
    speeds: Mapping[str, Speed],
    workers: int,
) -> None:
    rest = [forecast.remaining(prepared.directory, task) for task in left]
    seconds = forecast.makespan(rest, forecast.seconds(rest, speeds), workers)
    needed = forecast.disk(left, speeds, prepared.place.config, prepared.about)
    free = shutil.disk_usage(prepared.directory.nearest).free
    crew = count(workers, "worker")
    analysis = ", then some minutes of analysis" if prepared.analyses else ""
    print(f"To do: {len(left)} tasks, about {duration(seconds)} on {crew}{analysis}.")
    print(f"Disk space: about {size(needed)} needed, {size(free)} free.")
