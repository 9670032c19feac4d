"""How models are compressed once they are trained: task kinds, see `runs.worker`."""

import functools

import numpy as np

from kdfunc import (
    compression,
    edge,
    models,
    pruning,
    quantization,
    snapshots,
    training,
)
from kdfunc.errors import NotPossible
from kdfunc.runs.teaching import OPTIMIZERS, trained
from kdfunc.runs.trainings import BASE_OPTIMIZER
from kdfunc.runtime import derive_seed, keras

#: Training images from which integer models learn the ranges of their activations.
REPRESENTATIVES = 200


def _or_why_not(kind):
    """A kind of task that writes why if the model cannot be made."""

    @functools.wraps(kind)
    def attempt(task, place, folder, report) -> list[str]:
        (folder / "not_possible.txt").unlink(missing_ok=True)  # of a killed attempt
        try:
            return kind(task, place, folder, report)
        except NotPossible as error:
            (folder / "not_possible.txt").write_bytes(f"{error}\n".encode())
            return ["not_possible.txt"]

    return attempt


@_or_why_not
def quantize(task, place, folder, report) -> list[str]:
    """Stores a trained model as `.tflite`. Settings: `base`, its task; `mode`.

    Args:
      task: the task.
      place: config, run directory and this process's data.
      folder: where to write its files.
      report: called with progress.
    """
    model = trained(place, task.settings["base"])
    content = quantization.convert(model, task.settings["mode"])
    return _stored(content, place, folder, place.data.test_images)


@_or_why_not
def tune(task, place, folder, report) -> list[str]:
    """Runs the first steps of a pipeline, for all pipelines that share them.

    Settings: `pipeline`, those steps; `start`, the task whose model they start from;
    `done`, how many of them that one has done.

    Args:
      task: the task.
      place: config, run directory and this process's data.
      folder: where to write its files.
      report: called with progress.
    """
    model, settings = _start(task, place), task.settings
    train = _trainer(place.config, place.data, report)
    tuned = compression.change(model, settings["pipeline"], train, settings["done"])
    models.save(tuned, folder / "model.keras")
    return ["model.keras"]


@_or_why_not
def compress(task, place, folder, report) -> list[str]:
    """Runs the rest of a pipeline and stores the model. Settings: as in `tune`.

    Args:
      task: the task.
      place: config, run directory and this process's data.
      folder: where to write its files.
      report: called with progress.
    """
    data = place.data
    rng = np.random.default_rng(derive_seed(place.config.seed, "representative"))
    count = min(REPRESENTATIVES, len(data.train_images))
    chosen = rng.choice(len(data.train_images), count, replace=False)
    content = compression.compress(
        _start(task, place),
        task.settings["pipeline"],
        _trainer(place.config, data, report),
        data.train_images[chosen].astype(np.float32) / 255,
        task.settings["done"],
    )
    return _stored(content, place, folder, data.test_images)


def _start(task, place) -> keras.Model:
    """The model from which a pipeline continues."""
    start = place.run.record(task.settings["start"])
    if start.not_possible:
        raise NotPossible(start.not_possible)
    return models.load(start.model)


def _trainer(config, data, report):
    """A function that trains a model in a pipeline."""

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
        settings = edge.Settings(threads=place.threads)
        softmax = edge.predict(content, test_images, settings)
        if not np.isfinite(softmax).all():
            raise ValueError("some outputs are not numbers")
    (folder / "model.tflite").write_bytes(content)
    return ["model.tflite", *_snapshot(place, folder, softmax)]


@_or_why_not
def prune(task, place, folder, report) -> list[str]:
    """Prunes a trained model. Settings: `base`, its task; `level`, the share.

    Args:
      task: the task.
      place: config, run directory and this process's data.
      folder: where to write its files.
      report: called with progress.
    """
    model = trained(place, task.settings["base"])
    model = pruning.prune(model, task.settings["level"], place.config.pruning_scope)
    softmax = training.predictor(model)(place.data.test_images)
    if not np.isfinite(softmax).all():
        raise NotPossible("pruned to this level, some of its outputs are not numbers")
    models.save(model, folder / "model.keras")
    return ["model.keras", *_snapshot(place, folder, softmax)]


def _snapshot(place, folder, softmax) -> list[str]:
    """Writes the one snapshot of a model that was compressed after training."""
    file = snapshots.SoftmaxFile(folder / "softmax.npy", (1, *softmax.shape))
    file.start()
    file.append(softmax)
    scores = training.scores(softmax, place.run.labels)
    training.write_metrics(folder, [{"epoch": place.config.epochs, **scores}])
    return ["softmax.npy", "metrics.csv"]
