"""An experiment, from its config to its tables and figures."""

import contextlib
import functools
import os
import pathlib
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from kdfunc import datasets, lazy
from kdfunc.analysis import corruptions, everything
from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError, RunError
from kdfunc.report import page
from kdfunc.runs import (
    corrupted,
    engine,
    forecast,
    plan,
    preparation,
    provenance,
    sources,
    tensorboard,
)
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.extension import EXTENDABLE, REDUCIBLE
from kdfunc.runs.progress import Progress
from kdfunc.runs.workplace import Workplace
from kdfunc.snapshots import CHECKPOINT
from kdfunc.text import count, duration, wrapped
from kdfunc.writing import remove, write_atomic


def run(
    config: ExperimentConfig,
    output_dir: str | os.PathLike[str] = "runs",
    *,
    data_dir: str | os.PathLike[str] | None = None,
    stages: Sequence[str] = plan.STAGES,
    workers: int | None = None,
    scheduler: str | None = None,
    threads: int = 1,
    log_tensorboard: bool = False,
) -> RunDirectory:
    """Does what is still missing from an experiment and analyses the results.

    Args:
      config: the experiment.
      output_dir: folder that contains the run directory, `config.name`.
      data_dir: where TFDS keeps its data sets; None for its default.
      stages: the parts to do, of `plan.STAGES`; whatever they need is done, too.
      workers: local worker processes; 0 does everything in this process, None starts
        one per core.
      scheduler: address of a Dask scheduler to use instead.
      threads: threads per operation. Another number changes the last digits.
      log_tensorboard: whether to write the learning curves for TensorBoard, too.

    Returns:
      The run directory.

    Raises:
      InputError: the experiment cannot work as requested; nothing was written.
      RunError: a task failed; the results of the others are kept.
    """
    prepared = preparation.prepare(
        config,
        output_dir,
        data_dir=data_dir,
        stages=stages,
        workers=workers,
        threads=threads,
        log_tensorboard=log_tensorboard,
    )
    directory, place = prepared.directory, prepared.place
    if not all(directory.record(task.name).exists for task in prepared.tasks):
        datasets.prepare(config.dataset, place.data_dir)
    begin = time.monotonic()
    result = f"{directory.path}/"
    with engine.open(prepared.workers, scheduler) as crew:
        machines = crew.call(lazy.call, "kdfunc.runs.worker:check", place)
        with _remedy_told(directory), directory.claimed(place.config):
            _tell_of_more(config, place.config)
            with provenance.noted(directory.path, place.threads, machines, begin):
                _discard(directory, prepared.tasks)
                failures = _do(directory, place, prepared.tasks, crew)
            if prepared.analyses and not failures:
                checked = [task.name for task in prepared.tasks]
                everything.write(directory, checked, crew.submit)
                result = page.write([directory], directory.path / "report.html")
    if failures:
        raise RunError(_failed(failures, prepared.tasks, directory))
    print(f"Done in {duration(time.monotonic() - begin)}. Results: {result}")
    return directory


def corrupt(path: str | os.PathLike[str], workers: int | None = None) -> str:
    """Lets the models of a run predict corrupted test images, and returns the result.

    Finished work is skipped, as in `run`. Tables, figures and the page are updated.

    Args:
      path: the run directory.
      workers: local worker processes, as for `run`.

    Returns:
      The answer, in a few sentences.

    Raises:
      InputError: there is no run, it has no base model and independent ones, or a
        record is damaged.
      RunError: a task failed; the results of the others are kept.
    """
    directory = RunDirectory(path)
    found = [] if directory.kept else everything.finished(directory)
    models = [task for task in found if not task.replicate]
    if not {"base", "independent"} <= {task.family for task in models}:
        raise InputError(
            f"{path} holds no records of a base model and independent models to "
            "compare on corrupted images; give a directory that has them."
        )
    names = [task.name for task in models]
    for name, problems in directory.damaged(["data", *names]).items():
        raise InputError(
            f"{directory.record(name).path}: {'; '.join(problems)}; repeat the command "
            "of the run to make it again."
        )
    place = Workplace(directory.path.absolute(), directory.config)
    workers = preparation.number_of_workers(workers, place.threads)
    tasks = corrupted.tasks(models)
    begin = time.monotonic()
    with engine.open(workers) as crew, directory.claimed(place.config):
        with _remedy_told(directory):
            images = corrupted.CORRUPTED.name
            if corrupted.images_outdated(directory):
                directory.discard(images)
            _discard(directory, tasks)
            machines = crew.call(lazy.call, "kdfunc.runtime:describe_machine")
            with provenance.noted(directory.path, place.threads, machines, begin):
                failures = _do(directory, place, tasks, crew)
            if failures:
                raise RunError(_failed(failures, tasks, directory))
            if everything.outdated(directory):
                everything.write(directory, names, crew.submit)
            else:
                everything.write_corruptions(directory)
            page.write([directory], directory.path / "report.html")
    return corruptions.told(directory, models)


def _tell_of_more(wanted: ExperimentConfig, whole: ExperimentConfig) -> None:
    """Reports what an earlier command asked for and this one does not."""
    told = []
    for field in (*REDUCIBLE, *EXTENDABLE):
        there = getattr(whole, field)
        values = there if isinstance(there, tuple) else (there,)
        more = [str(value) for value in values if not wanted.asks_for(field, value)]
        if more:
            few = ", ".join(more) if len(more) < 6 else f"{len(more)} more"
            told.append(f"{field} {few}")
    if told:
        text = (
            f"Requested earlier but not now: {'; '.join(told)}. Existing results for "
            "these stay and are analysed, too."
        )
        print(wrapped(text))


def _discard(directory: RunDirectory, tasks: Sequence[plan.Task]) -> None:
    """Removes what is damaged or was made from something else."""
    damaged = directory.damaged(task.name for task in tasks)
    for task in tasks:
        record = directory.record(task.name)
        problems = damaged.get(task.name, [])
        if record.exists and not problems:
            changed = sources.changed(directory, task)
            problems = [f"made from another {name}" for name in changed]
        if problems:
            print(f"{record.path}: {'; '.join(problems)}; making it again.")
            directory.discard(task.name)


def _do(directory, place, tasks, crew) -> dict[str, str]:
    config = place.config
    if not tasks:
        return {}
    missing: list[plan.Task] = []
    names: set[str] = set()
    for task in tasks:
        record = directory.record(task.name)
        whole = record.exists and not record.not_possible
        if whole and names.isdisjoint(task.needs):
            # A kill may have come between the seal and this.
            remove(record.path / CHECKPOINT)
        else:  # or to check: whether what it needs, or a library, is another one now
            missing.append(task)
            names.add(task.name)
    done = sum(directory.record(task.name).exists for task in tasks)
    print(
        f"{config.architecture} on {config.dataset}, preset {config.preset}: "
        f"{done} of {len(tasks)} tasks are already "
        f"done,\n{len(tasks) - done} to do on {count(crew.workers, 'worker')}. Run "
        f"directory:\n{directory.path}/",
        flush=True,
    )
    if place.tensorboard:
        _log_curves(directory, [t for t in tasks if t.kind == "train"])
    progress = Progress(
        [forecast.remaining(directory, task) for task in missing],
        crew.workers,
        done=len(tasks) - len(missing),
    )

    def listen(event, name, facts):
        progress(event, name, facts)
        if event == "failed":
            _write_log(directory.path / "logs" / f"{name}.log", facts["trace"])

    work = functools.partial(lazy.call, "kdfunc.runs.worker:perform", place)
    return crew.run(missing, work, listen)


def _write_log(path: pathlib.Path, trace: str) -> None:
    """If it cannot be written, this reports why, and the other tasks continue."""
    try:
        write_atomic(path, trace)
    except (OSError, InputError) as error:
        print(f"{path} cannot be written ({error}).", file=sys.stderr)


@contextlib.contextmanager
def _remedy_told(directory: RunDirectory) -> Iterator[None]:
    """Turns an error of the disk into a message that says what to do."""
    try:
        yield
    except BrokenPipeError:  # of who reads the output; no disk
        raise
    except OSError as error:
        raise RunError(
            f"{directory.path} could not be completely read or written ({error}); "
            "finished work is kept. Free some space, grant the permission or close "
            "the programs that use its files, then repeat the command."
        ) from error


def _failed(
    failures: Mapping[str, str], tasks: Sequence[plan.Task], directory: RunDirectory
) -> str:
    """Reports what was not done; the progress lines have said why."""
    needs = {task.name: task.needs for task in tasks}
    failed = [name for name in failures if failures.keys().isdisjoint(needs[name])]
    lost = failures.keys() - {*failed}
    named = ", ".join(failed[:3]) + (" and others" if len(failed) > 3 else "")
    rest = f", so {len(lost)} that need it were skipped" if lost else ""
    return (
        f"{named} failed{rest}. Finished work is kept: the same command tries again, "
        f"and kdfunc report {directory.path} makes tables and the page from what is "
        f"there. Logs: {directory.path / 'logs'}"
    )


def _log_curves(directory: RunDirectory, trainings: Sequence[plan.Task]) -> None:
    """Writes earlier trainings for TensorBoard."""
    for task in trainings:
        record = directory.record(task.name)
        folder = directory.path / tensorboard.FOLDER / task.name
        if record.exists and not folder.exists():
            curves = tensorboard.Curves(folder)
            for row in record.metrics.to_dict("records"):
                curves.add(row)
