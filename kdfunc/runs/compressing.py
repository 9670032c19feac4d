"""How models are compressed once they are trained: task kinds, see `runs.worker`."""

import functools
from collections.abc import Callable

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
from kdfunc.runs.workplace import Work
from kdfunc.runtime import derive_seed, keras

#: Training images from which integer models learn the ranges of their activations.
REPRESENTATIVES = 200


def _or_why_not(kind: Callable[[Work], list[str]]) -> Callable[[Work], list[str]]:
    """A kind of task that writes why if the model cannot be made."""

    @functools.wraps(kind)
    def attempt(work: Work) -> list[str]:
        reason = work.folder / "not_possible.txt"
        reason.unlink(missing_ok=True)  # of a killed attempt
        try:
            return kind(work)
        except NotPossible as error:
            reason.write_bytes(f"{error}\n".encode())
            return [reason.name]

    return attempt


@_or_why_not
def quantize(work: Work) -> list[str]:
    """Stores a trained model as `.tflite`. Settings: `base`, its task; `mode`.

    Args:
      work: the task, and what it takes to do it.
    """
    model = trained(work.run, work.settings["base"])
    return _stored(work, quantization.convert(model, work.settings["mode"]))


@_or_why_not
def tune(work: Work) -> list[str]:
    """Runs the first steps of a pipeline, for all pipelines that share them.

    Settings: `pipeline`, those steps; `start`, the task whose model they start from;
    `done`, how many of them that one has done.

    Args:
      work: the task, and what it takes to do it.
    """
    pipeline, done = work.settings["pipeline"], work.settings["done"]
    tuned = compression.change(_start(work), pipeline, _trainer(work), done)
    models.save(tuned, work.folder / "model.keras")
    return ["model.keras"]


@_or_why_not
def compress(work: Work) -> list[str]:
    """Runs the rest of a pipeline and stores the model. Settings: as in `tune`.

    Args:
      work: the task, and what it takes to do it.
    """
    images = work.data.train_images
    rng = np.random.default_rng(derive_seed(work.config.seed, "representative"))
    count = min(REPRESENTATIVES, len(images))
    chosen = rng.choice(len(images), count, replace=False)
    content = compression.compress(
        _start(work),
        work.settings["pipeline"],
        _trainer(work),
        images[chosen].astype(np.float32) / 255,
        work.settings["done"],
    )
    return _stored(work, content)


def _start(work: Work) -> keras.Model:
    """The model from which a pipeline continues."""
    start = work.run.record(work.settings["start"])
    if start.not_possible:
        raise NotPossible(start.not_possible)
    return models.load(start.model)


def _trainer(work: Work) -> Callable[[keras.Model, str], None]:
    """A function that trains a model in a pipeline."""
    config, data = work.config, work.data

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
            report=work.report,
        ):
            pass

    return train


def _stored(work: Work, content: bytes) -> list[str]:
    """Writes a `.tflite` file and the interpreter's outputs for the test split."""
    with quantization.limits_of("ai-edge-litert"):
        settings = edge.Settings(threads=work.place.threads)
        softmax = edge.predict(content, work.data.test_images, settings)
        if not np.isfinite(softmax).all():
            raise ValueError("some outputs are not numbers")
        if not softmax.any(axis=1).all():  # 8 bits for very many classes
            raise ValueError("some outputs are 0 for every class")
    (work.folder / "model.tflite").write_bytes(content)
    return ["model.tflite", *_snapshot(work, softmax)]


@_or_why_not
def prune(work: Work) -> list[str]:
    """Prunes a trained model. Settings: `base`, its task; `level`, the share.

    Args:
      work: the task, and what it takes to do it.
    """
    model = trained(work.run, work.settings["base"])
    model = pruning.prune(model, work.settings["level"], work.config.pruning_scope)
    softmax = training.predictor(model)(work.data.test_images)
    if not np.isfinite(softmax).all():
        raise NotPossible("pruned to this level, some of its outputs are not numbers")
    models.save(model, work.folder / "model.keras")
    return ["model.keras", *_snapshot(work, softmax)]


def _snapshot(work: Work, softmax: np.ndarray) -> list[str]:
    """Writes the one snapshot of a model that was compressed after training."""
    file = snapshots.SoftmaxFile(work.folder / "softmax.npy", (1, *softmax.shape))
    file.start()
    file.append(softmax)
    scores = training.scores(softmax, work.run.labels)
    training.write_metrics(work.folder, [{"epoch": work.config.epochs, **scores}])
    return ["softmax.npy", "metrics.csv"]
