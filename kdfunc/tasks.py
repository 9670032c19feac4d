"""How each kind of task is done: reads the records it needs, leaves its own."""

import platform
import time

import filelock
import numpy as np

from kdfunc import (
    datasets,
    distillation,
    edge,
    models,
    pruning,
    quantization,
    records,
    runtime,
    training,
)
from kdfunc.plan import Task, Workplace
from kdfunc.runtime import derive_seed, keras
from kdfunc.training import Report

#: The optimizers with fused kernels; learning rate 0.001, as everywhere in the paper.
OPTIMIZERS = {
    "adam": keras.optimizers.legacy.Adam,
    "adamax": keras.optimizers.legacy.Adamax,
}


def check(place: Workplace) -> None:
    """Builds the model once, so that what cannot work is told before anything runs.

    Raises:
      InputError: the architecture cannot be built for the data set's images.
    """
    runtime.set_up(place.threads)
    about = datasets.describe(place.config.dataset, place.data_dir)
    models.build(
        place.config.architecture, about.image_shape, len(about.class_names), seed=0
    )


def perform(task: Task, place: Workplace, report: Report) -> dict[str, float]:
    """Does a task and seals its record, unless that is done already.

    One process at a time works on a record, so a worker that was given up for dead and
    its replacement cannot disturb each other.

    Returns:
      The last snapshot's scores, for a task whose record has any.
    """
    runtime.set_up(place.threads)
    report = _throttled(report)
    record = place.run.record(task.name)
    record.path.mkdir(parents=True, exist_ok=True)
    with filelock.FileLock(place.directory / "records" / f".{task.name}.lock"):
        if not record.exists:
            begin = time.monotonic()
            files = KINDS[task.kind](task, place, record.path, report)
            made = {
                "seconds": round(time.monotonic() - begin, 2),
                "threads": place.threads,
                "machine": platform.node(),
            }
            records.seal(record.path, files, made=made)
            training.clear_checkpoint(record.path)
    return record.metrics.iloc[-1].to_dict() if task.family else {}


def _throttled(report: Report, seconds: float = 0.5) -> Report:
    """Lets through no more than one report in so many seconds."""
    last = 0.0

    def occasionally(**facts):
        nonlocal last
        if time.monotonic() - last > seconds:
            last = time.monotonic()
            report(**facts)

    return occasionally


def _load_data(place: Workplace) -> datasets.Dataset:
    return datasets.load(place.config.dataset, place.data_dir)


def _base(place: Workplace) -> keras.Model:
    """The base model after its last epoch."""
    return models.load(place.run.record("base").path / "final.keras")


def _data(task, place, folder, report) -> list[str]:
    return datasets.write_test_split(_load_data(place), folder)


def _teacher(task, place, folder, report) -> list[str]:
    """The base model's logits of the training images, for all students and epochs."""
    base = _base(place)
    logits = keras.Model(base.inputs, models.logits_of(base))
    np.save(
        folder / "logits.npy",
        training.predictor(logits)(_load_data(place).train_images),
    )
    return ["logits.npy"]


def _train(task, place, folder, report) -> list[str]:
    """Trains from new or the base model's initial weights, with or without a teacher.

    Settings: `optimizer`; `order`, what the data order's seed is made of; `same_start`
    for the base model's initial weights; `teacher`, `base` or `random`, with `alpha`
    and `soft_targets`.
    """
    config, settings, data = place.config, task.settings, _load_data(place)
    if settings.get("same_start"):
        network = models.load(place.run.record("base").path / "initial.keras")
    else:
        network = models.build(
            config.architecture,
            data.train_images.shape[1:],
            len(data.class_names),
            derive_seed(config.seed, task.name, "weights"),
        )
    optimizer = OPTIMIZERS[settings["optimizer"]]()
    targets = {"labels": data.train_labels}
    if "teacher" in settings:
        targets["teacher_logits"] = _teacher_logits(settings["teacher"], place, data)
        model = distillation.Distiller(network)
        model.compile(
            optimizer,
            ["accuracy"],
            alpha=settings["alpha"],
            temperature=config.temperature,
            alpha_convention=config.alpha_convention,
            soft_targets=settings["soft_targets"],
        )
    else:
        model = network
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
        report=report,
    )


def _teacher_logits(teacher, place, data) -> np.ndarray:
    """Logits `[n_train, classes]` of the base model, or of a teacher of no knowledge.

    The latter gives each image probabilities drawn at random, the same in every epoch:
    uniform numbers, divided by their sum.
    """
    if teacher == "base":
        return np.load(place.run.record("teacher").path / "logits.npy")
    rng = np.random.default_rng(derive_seed(place.config.seed, "no-knowledge"))
    drawn = 1 - rng.random((len(data.train_labels), len(data.class_names)))
    return np.log(drawn / drawn.sum(axis=1, keepdims=True)).astype(np.float32)


def _quantize(task, place, folder, report) -> list[str]:
    content = quantization.convert(_base(place), task.settings["mode"])
    (folder / "model.tflite").write_bytes(content)
    images = _load_data(place).test_images.astype(np.float32) / 255
    with runtime.quiet_stderr():
        softmax = edge.predict(content, images, threads=place.threads)
    return ["model.tflite", *_snapshot(place, folder, softmax)]


def _prune(task, place, folder, report) -> list[str]:
    model = pruning.prune(
        _base(place), task.settings["level"], place.config.pruning_scope
    )
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
}
