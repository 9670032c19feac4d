"""How each kind of task is done: reads the records it needs and writes its own."""

import dataclasses
import functools
import platform
import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any

import filelock
import numpy as np

from kdfunc import (
    catalog,
    checksums,
    compression,
    datasets,
    distillation,
    edge,
    machine,
    models,
    pruning,
    quantization,
    runtime,
    training,
    writing,
)
from kdfunc.config import ExperimentConfig, parse_variant
from kdfunc.errors import NotPossible
from kdfunc.runs import corrupting, forecast, records, tensorboard
from kdfunc.runs.task import Task
from kdfunc.runs.trainings import BASE_OPTIMIZER, teacher_task
from kdfunc.runs.workplace import Workplace
from kdfunc.runtime import derive_seed, keras
from kdfunc.training import Report

#: The optimizers with fused kernels; learning rate 0.001, as everywhere in the paper.
OPTIMIZERS = {
    "adam": keras.optimizers.legacy.Adam,
    "adamax": keras.optimizers.legacy.Adamax,
}


#: Training steps that are timed at once, and how often.
MEASURED_STEPS, MEASUREMENTS = 4, 20

#: Training images from which integer models learn the ranges of their activations.
REPRESENTATIVES = 200


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
        model.compile(OPTIMIZERS[BASE_OPTIMIZER](), "categorical_crossentropy")
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
    """Does a task and seals its record, unless that is already done.

    Only one process at a time works on a record, so a worker that was presumed dead and
    its replacement cannot interfere.

    Args:
      place: config, run directory and this process's data.
      task: what to do.
      report: called with progress.

    Returns:
      The last snapshot's scores, if the record has any, or why it is `not_possible`.
    """
    runtime.set_up(place.threads)
    for architecture in _architectures(place.config).values():
        if ":" in architecture:  # may bring layers, which this process may not know
            models.own(architecture)
    report = _throttled(report)
    record = place.run.record(task.name)
    (place.directory / "records").mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(place.directory / "records" / f".{task.name}.lock"):
        if not record.exists:
            if not record.path.is_dir():
                writing.remove(record.path)
            record.path.mkdir(exist_ok=True)
            begin = time.monotonic()
            with runtime.graphs_freed():
                files = KINDS[task.kind](task, place, record.path, report)
            made = {
                "seconds": round(time.monotonic() - begin, 2),
                "threads": place.threads,
                "machine": platform.node(),
                "instruction_set": machine.instruction_set(),
                "onednn": runtime.ONEDNN,
            }
            checksums.seal(record.path, files, made=made)
        writing.remove(record.path / records.CHECKPOINT)
    if record.not_possible:
        return {"not_possible": record.not_possible}
    return record.metrics.iloc[-1].to_dict() if task.family else {}


def _throttled(report: Report, seconds: float = 0.5) -> Report:
    """Passes on at most one report in the given number of seconds."""
    last = 0.0

    def occasionally(**facts):
        nonlocal last
        if time.monotonic() - last > seconds:
            last = time.monotonic()
            report(**facts)

    return occasionally


def _load_data(place: Workplace) -> datasets.Dataset:
    return datasets.load(place.config.dataset, place.data_dir)


def _trained(place: Workplace, name: str) -> keras.Model:
    """A model after its last epoch."""
    return models.load(place.run.record(name).path / "final.keras")


def _data(task, place, folder, report) -> list[str]:
    return datasets.write_test_split(_load_data(place), folder)


def _teacher(task, place, folder, report) -> list[str]:
    """A teacher's logits for the training images, for all students and epochs.

    Settings: `members`, the names of the models that make up the teacher.
    """
    images = _load_data(place).train_images
    logits = []
    for member in task.settings["members"]:
        model = _trained(place, member)
        network = keras.Model(model.inputs, models.logits_of(model))
        logits.append(training.predictor(network)(images))
    np.save(folder / "logits.npy", distillation.ensemble_logits(logits))
    return ["logits.npy"]


def _train(task, place, folder, report) -> list[str]:
    """Trains from new initial weights or the base model's, with or without a teacher.

    Settings: `optimizer`; `order`, what the seed of the data order is derived from;
    `start`, the same for the initial weights, which are the base model's without it;
    `teacher`, `base`, `independent-N`, `ensemble` or `module:function`
    (`catalog.Control`), with `alpha` and `soft_targets`; `changes`, settings that
    differ from the config.
    """
    settings, data = task.settings, _load_data(place)
    config = dataclasses.replace(place.config, **settings.get("changes", {}))
    if "start" not in settings:
        network = models.load(place.run.record("base").path / "initial.keras")
    else:
        network = models.build(
            config.architecture,
            data.train_images.shape[1:],
            len(data.class_names),
            derive_seed(config.seed, settings["start"], "weights"),
        )
    optimizer = OPTIMIZERS[settings["optimizer"]]()
    targets = {"labels": data.train_labels}
    if "teacher" in settings:
        targets["teacher_logits"] = _teacher_logits(settings, place, data)
        model = distillation.Distiller(network)
        model.compile(
            optimizer,
            metrics=["accuracy"],
            alpha=settings["alpha"],
            temperature=config.temperature,
            alpha_convention=config.alpha_convention,
            soft_targets=settings["soft_targets"],
        )
    else:
        # A model of its own, so that files of the network hold no optimizer.
        model = keras.Model(network.inputs, network.outputs)
        model.compile(optimizer, "categorical_crossentropy", ["accuracy"])
    return training.train(
        model,
        network,
        data.train_images,
        targets,
        data.test_images,
        data.test_labels,
        folder,
        epochs=config.epochs,
        batch_size=config.batch_size,
        order_seed=derive_seed(config.seed, settings["order"], "order"),
        reshuffle=config.data_order == "reshuffled",
        report=report,
        log=_log(task, place),
    )


def _log(task, place):
    if not place.tensorboard:
        return lambda row: None
    folder = place.directory / tensorboard.FOLDER / task.name
    return tensorboard.Curves(folder).add


def _teacher_logits(settings, place, data) -> np.ndarray:
    """Logits `[n_train, classes]` of a teacher, or of its replacement."""
    teacher = settings["teacher"]
    if ":" not in teacher:
        path = place.run.record(teacher_task(teacher)).path / "logits.npy"
        return np.load(path, mmap_mode="r")
    seed = derive_seed(place.config.seed, settings["control"])
    return catalog.named(teacher)(data.train_labels, len(data.class_names), seed)


def _or_why_not(kind):
    """A kind of task that writes a library's message if it cannot make the model."""

    @functools.wraps(kind)
    def attempt(task, place, folder, report) -> list[str]:
        try:
            return kind(task, place, folder, report)
        except NotPossible as error:
            (folder / "not_possible.txt").write_text(f"{error}\n", "utf-8")
            return ["not_possible.txt"]

    return attempt


@_or_why_not
def _quantize(task, place, folder, report) -> list[str]:
    model = _trained(place, task.settings["base"])
    content = quantization.convert(model, task.settings["mode"])
    return _stored(content, place, folder, _load_data(place).test_images)


@_or_why_not
def _tune(task, place, folder, report) -> list[str]:
    """Runs the first steps of a pipeline, for all pipelines that share them."""
    model, settings = _start(task, place), task.settings
    train = _trainer(place, report)
    tuned = compression.change(model, settings["pipeline"], train, settings["done"])
    models.save(tuned, folder / "model.keras")
    return ["model.keras"]


@_or_why_not
def _compress(task, place, folder, report) -> list[str]:
    """Runs the rest of a pipeline and stores the model."""
    data = _load_data(place)
    rng = np.random.default_rng(derive_seed(place.config.seed, "representative"))
    count = min(REPRESENTATIVES, len(data.train_images))
    chosen = rng.choice(len(data.train_images), count, replace=False)
    content = compression.compress(
        _start(task, place),
        task.settings["pipeline"],
        _trainer(place, report),
        data.train_images[chosen].astype(np.float32) / 255,
        task.settings["done"],
    )
    return _stored(content, place, folder, data.test_images)


def _start(task, place) -> keras.Model:
    """The model from which a pipeline continues."""
    start = place.run.record(task.settings["start"])
    if start.not_possible:
        raise NotPossible(start.not_possible)
    tuned = start.path / "model.keras"
    return models.load(tuned) if tuned.exists() else _trained(place, "base")


def _trainer(place, report):
    """A function that trains a model in a pipeline."""
    config, data = place.config, _load_data(place)

    def train(model, steps):
        model.compile(
            OPTIMIZERS[BASE_OPTIMIZER](), "categorical_crossentropy", ["accuracy"]
        )
        for _ in training.run_epochs(
            model,
            model,
            data.train_images,
            {"labels": data.train_labels},
            last=config.finetune_epochs,
            batch_size=config.batch_size,
            order_seed=derive_seed(config.seed, steps, "order"),
            reshuffle=config.data_order == "reshuffled",
            report=report,
        ):
            pass

    return train


def _stored(content, place, folder, test_images) -> list[str]:
    """Writes a `.tflite` file and the interpreter's outputs for the test split."""
    with quantization.limits_of("ai-edge-litert"):
        images = test_images.astype(np.float32) / 255
        softmax = edge.predict(content, images, edge.Settings(threads=place.threads))
        if not np.isfinite(softmax).all():
            raise ValueError("some outputs are no numbers")
    (folder / "model.tflite").write_bytes(content)
    return ["model.tflite", *_snapshot(place, folder, softmax)]


def _prune(task, place, folder, report) -> list[str]:
    model = _trained(place, task.settings["base"])
    model = pruning.prune(model, task.settings["level"], place.config.pruning_scope)
    models.save(model, folder / "model.keras")
    softmax = training.predictor(model)(_load_data(place).test_images)
    return ["model.keras", *_snapshot(place, folder, softmax)]


def _snapshot(place, folder, softmax) -> list[str]:
    """Writes the one snapshot of a model that was compressed after training."""
    file = records.SoftmaxFile(folder / "softmax.npy", (1, *softmax.shape))
    file.start()
    file.append(softmax)
    scores = training.scores(softmax, place.run.labels)
    training.write_metrics(folder, [{"epoch": place.config.epochs, **scores}])
    return ["softmax.npy", "metrics.csv"]


KINDS = {
    "data": _data,
    "train": _train,
    "teacher": _teacher,
    "quantize": _quantize,
    "prune": _prune,
    "tune": _tune,
    "compress": _compress,
    "corrupt": corrupting.corrupt,
    "predict": corrupting.predict,
}
