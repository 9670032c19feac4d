"""Does a task: from the records that it needs to its own, which is sealed."""

import contextlib
import json
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import filelock
import numpy as np

from kdfunc import (
    checksums,
    compression,
    datasets,
    machine,
    models,
    runtime,
    snapshots,
    training,
    writing,
)
from kdfunc.config import ExperimentConfig, parse_variant
from kdfunc.runs import (
    compressing,
    corrupting,
    forecast,
    provenance,
    records,
    sources,
    teaching,
)
from kdfunc.runs.task import Task
from kdfunc.runs.trainings import BASE_OPTIMIZER
from kdfunc.runs.workplace import Work, Workplace
from kdfunc.runtime import keras
from kdfunc.training import Report

#: Training steps that are timed at once, and how often.
MEASURED_STEPS, MEASUREMENTS = 4, 20


def check(place: Workplace) -> dict[str, Any]:
    """Builds each model and imports each step, so that errors come before the work.

    Args:
      place: config, run directory and this process's data.

    Returns:
      The properties of this machine on which results depend, for the provenance.

    Raises:
      InputError: an architecture cannot be built for the data set's images or cannot be
        stored, or the user's own step cannot be imported.
    """
    runtime.set_up(place.threads)
    about = datasets.describe(place.config.dataset, place.data_dir)
    for architecture in _architectures(place.config).values():
        classes = len(about.class_names)
        if ":" in architecture:
            models.check_own(architecture, about.image_shape, classes)
        else:
            models.build(architecture, about.image_shape, classes, seed=0)
    for pipeline in place.config.compressions:
        for step in pipeline.split("+"):
            if ":" in step:
                compression.own_step(step)
    return runtime.describe_machine()


def measure(place: Workplace) -> dict[str, forecast.Speed]:
    """Measures the speed of an experiment's networks in this process by a few steps.

    Images and labels are random, since speed does not depend on them.

    Args:
      place: config, run directory and this process's data.

    Returns:
      The speeds, by the names that `forecast.network` returns.
    """
    runtime.set_up(place.threads)
    about = datasets.describe(place.config.dataset, place.data_dir)
    classes, size = len(about.class_names), place.config.batch_size
    count = min(about.train_images, MEASURED_STEPS * size)
    rng = np.random.default_rng(0)
    images = rng.integers(256, size=(count, *about.image_shape), dtype=np.uint8)
    labels = {"labels": rng.integers(classes, size=count)}
    speeds = {}
    for name, architecture in _architectures(place.config).items():
        begin = time.monotonic()
        network = models.build(architecture, about.image_shape, classes, seed=0)
        model = keras.Model(network.inputs, network.outputs)
        model.compile(teaching.OPTIMIZERS[BASE_OPTIMIZER](), "categorical_crossentropy")
        epochs = training.run_epochs(
            model,
            network,
            images,
            labels,
            last=1 + MEASUREMENTS,
            batch_size=size,
            order_seed=0,
            report=lambda **_: None,
        )
        predict = training.predictor(network)
        next(epochs)
        predict(images)
        start = time.monotonic() - begin
        trained = _typical_seconds(partial(next, epochs))
        predicted = _typical_seconds(partial(predict, images))
        epoch = trained * about.train_images + predicted * about.test_images
        weights = 4 * network.count_params()
        speeds[name] = forecast.Speed(start, epoch / count, weights)
    return speeds


def _architectures(config: ExperimentConfig) -> dict[str, str]:
    """An experiment's architectures, by the names that `forecast.network` returns."""
    variants = map(parse_variant, config.variants)
    students = [value for setting, value in variants if setting == "student"]
    return {"": config.architecture} | {name: name for name in students}


def _typical_seconds(call: Callable[[], Any]) -> float:
    """The median time of a few calls, about a second in total."""
    times: list[float] = []
    while sum(times) < 1 and len(times) < MEASUREMENTS:
        begin = time.monotonic()
        call()
        times.append(time.monotonic() - begin)
    return statistics.median(times)


def perform(place: Workplace, task: Task, report: Report) -> dict[str, Any]:
    """Does a task and seals its record, unless that is already done from its sources.

    Only one process at a time works on a record, so a worker that was presumed dead and
    its replacement cannot interfere.

    Args:
      place: config, run directory and this process's data.
      task: what to do.
      report: called with progress.

    Returns:
      The last snapshot's scores, if the record has any, or why it is `not_possible`;
      and whether it was there and is `unchanged`.
    """
    runtime.set_up(place.threads)
    for architecture in _architectures(place.config).values():
        if ":" in architecture:  # may bring layers, which this process may not know
            models.own(architecture)
    report = _throttled(report)
    record = place.run.record(task.name)
    (place.directory / "records").mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(place.directory / "records" / f".{task.name}.lock"):
        if record.exists and _may_differ(place, task, record):
            place.run.discard(task.name)
        unchanged = {"unchanged": True} if record.exists else {}
        if not unchanged:
            if not record.path.is_dir():
                writing.remove(record.path)
            record.path.mkdir(exist_ok=True)
            begin = time.monotonic() - record.seconds_spent
            with runtime.graphs_freed():
                files = KINDS[task.kind](Work(task, place, record.path, report))
            made = {
                "seconds": round(time.monotonic() - begin, 2),
                "threads": place.threads,
                "machine": platform.node(),
                "instruction_set": machine.instruction_set(),
                "onednn": runtime.ONEDNN,
                "versions": provenance.versions(),
            }
            origin = sources.of(place.run, place.config, task)
            checksums.seal(record.path, files, made=made, sources=origin)
        with contextlib.suppress(OSError):  # a later run removes it
            writing.remove(record.path / snapshots.CHECKPOINT)
    if record.not_possible:
        return {"not_possible": record.not_possible, **unchanged}
    scores = record.metrics.iloc[-1].to_dict() if task.family else {}
    return scores | unchanged


def _may_differ(place: Workplace, task: Task, record: records.Record) -> bool:
    """Whether a record was made from something else, or failed with other versions."""
    versions = record.made.get("versions")
    retry = record.not_possible and versions != provenance.versions()
    return bool(retry or sources.changed(place.run, task))


def _throttled(report: Report) -> Report:
    """Passes on at most two reports a second."""
    last = 0.0

    def occasionally(**facts):
        nonlocal last
        if time.monotonic() - last > 0.5:
            last = time.monotonic()
            report(**facts)

    return occasionally


def _data(work: Work) -> list[str]:
    """The parts of the data that the analysis needs."""
    data = work.data
    np.save(work.folder / "labels.npy", data.test_labels)
    np.save(work.folder / "images.npy", data.test_images)
    names = json.dumps(data.class_names)
    (work.folder / "class_names.json").write_bytes(names.encode())
    return ["labels.npy", "images.npy", "class_names.json"]


#: For each kind of task the function that does it: it writes files into the task's
#: folder and returns their names.
KINDS: dict[str, Callable[[Work], list[str]]] = {
    "data": _data,
    "train": teaching.train,
    "teacher": teaching.teacher,
    "quantize": compressing.quantize,
    "prune": compressing.prune,
    "tune": compressing.tune,
    "compress": compressing.compress,
    "corrupt": corrupting.corrupt,
    "predict": corrupting.predict,
}
