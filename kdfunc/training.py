"""Training: deterministic epochs, with a softmax record and a checkpoint after each."""

import pathlib
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pandas as pd

from kdfunc import depthwise, models, snapshots, writing
from kdfunc.errors import TrainingError
from kdfunc.runtime import derive_seed, keras, tf

#: Steps of one call into TensorFlow: few enough to be interrupted within seconds.
CALL_STEPS = 16
PREDICT_BATCH = 500

Report = Callable[..., None]


def train(
    model: keras.Model,
    network: keras.Model,
    images: np.ndarray,
    targets: Mapping[str, np.ndarray],
    test_images: np.ndarray,
    test_labels: np.ndarray,
    folder: pathlib.Path,
    *,
    epochs: int,
    batch_size: int,
    order_seed: int,
    reshuffle: bool = True,
    report: Report,
    log: Callable[[Mapping[str, float]], None] = lambda row: None,
) -> list[str]:
    """Trains a model and writes its record; resumes where it was stopped.

    The data order of an epoch follows only from `order_seed` and the epoch; without
    `reshuffle`, all epochs have that of the first. After each epoch, the test softmax
    is appended to the record and everything that the next epoch depends on is
    checkpointed, so a training that was killed at any moment gives the same bytes as an
    undisturbed one.

    Args:
      model: compiled; its `train_step` is run.
      network: the functional model that `model` trains and that is recorded; it is not
        compiled itself, since its files would otherwise contain the optimizer's state.
      images: `[n, height, width, channels]` uint8; trained on as float32 / 255. Read a
        few batches at a time, so it may be memory-mapped and shared by processes.
      targets: `labels` `[n]`, which become one-hot; if they are the only entry, they
        are the model's targets, otherwise the whole dict is.
      test_images: `[n_test, height, width, channels]` uint8.
      test_labels: `[n_test]`.
      folder: of the record.
      epochs: how many.
      batch_size: images per step; the last step of an epoch takes the rest.
      order_seed: of the data order.
      reshuffle: whether each epoch has its own order.
      report: called with `epochs_done`, a fraction, `epochs` and the last snapshot's
        `accuracy`, many times an epoch.
      log: called with each row of `metrics.csv` as soon as it is known.

    Returns:
      The names of the record's files.

    Raises:
      TrainingError: the loss or an output is no longer a finite number.
    """
    softmax = snapshots.SoftmaxFile(
        folder / "softmax.npy", (epochs + 1, len(test_labels), network.output_shape[1])
    )
    checkpoint = snapshots.Checkpoint(folder, network, model.optimizer)
    history = checkpoint.restore(softmax)
    for row in history:
        log(row)
    predict = predictor(network)

    def snapshot(**losses: float) -> None:
        probabilities = predict(test_images)
        if not np.isfinite(probabilities).all():
            when = f"after epoch {len(history)}" if history else "before training"
            raise TrainingError(f"outputs are not finite numbers {when}")
        softmax.append(probabilities)
        history.append({"epoch": len(history), **scores(probabilities, test_labels)})
        history[-1].update(losses)
        log(history[-1])

    if not history:
        models.save(network, folder / "initial.keras")
        snapshot()
        checkpoint.save(history, softmax)
    for losses in run_epochs(
        model,
        network,
        images,
        targets,
        first=len(history),
        last=epochs,
        batch_size=batch_size,
        order_seed=order_seed,
        reshuffle=reshuffle,
        report=lambda **facts: report(**facts, accuracy=history[-1]["accuracy"]),
    ):
        snapshot(**losses)
        checkpoint.save(history, softmax)
    models.save(network, folder / "final.keras")
    write_metrics(folder, history)
    return ["softmax.npy", "metrics.csv", "initial.keras", "final.keras"]


def run_epochs(
    model: keras.Model,
    network: keras.Model,
    images: np.ndarray,
    targets: Mapping[str, np.ndarray],
    *,
    first: int = 1,
    last: int,
    batch_size: int,
    order_seed: int,
    reshuffle: bool = True,
    report: Report,
) -> Iterator[dict[str, float]]:
    """Trains for the epochs from `first` to `last`.

    Args:
      model: Compiled; its `train_step` is run.
      network: The functional model that `model` trains.
      images: `[n, height, width, channels]` uint8; trained on as float32 / 255.
      targets: `labels` `[n]` and anything else that the model's loss takes, as in
        `train`.
      first: The first epoch, counted from 1.
      last: The last one.
      batch_size: Images per step.
      order_seed: Seed of the data order.
      reshuffle: Whether each epoch has its own order.
      report: Called with `epochs_done`, a fraction, and `epochs`.

    Yields:
      After each epoch, its mean losses and metrics, as `train_<name>`.

    Raises:
      TrainingError: the loss is no longer a finite number.
    """
    steps = _steps(model, images, targets, network.output_shape[1], batch_size)
    for epoch in range(first, last + 1):
        model.reset_metrics()
        _seed_random_layers(network, order_seed, epoch)
        shuffle = np.random.default_rng([order_seed, epoch if reshuffle else 1])
        order = shuffle.permutation(len(images))
        for start in range(0, len(order), batch_size * CALL_STEPS):
            part = order[start : start + batch_size * CALL_STEPS]
            steps(images[part], {name: array[part] for name, array in targets.items()})
            report(
                epochs_done=epoch - 1 + (start + len(part)) / len(order), epochs=last
            )
        losses = {f"train_{m.name}": float(m.result()) for m in model.metrics}
        if not np.isfinite(list(losses.values())).all():
            raise TrainingError(f"the loss is not a finite number in epoch {epoch}")
        yield losses


def predictor(network: keras.Model) -> Callable[[np.ndarray], np.ndarray]:
    """A function from uint8 images to a network's outputs in inference mode.

    It works in batches and is compiled once, so keep it for repeated use.

    Args:
      network: Takes float32 images in [0, 1].

    Returns:
      Called with `[n, height, width, channels]` uint8 images, it returns the outputs.
    """

    @tf.function(reduce_retracing=True)
    def infer(batch):
        return network(_scaled(batch), training=False)

    def predict(images: np.ndarray) -> np.ndarray:
        batches = range(0, len(images), PREDICT_BATCH)
        return np.concatenate([infer(images[i : i + PREDICT_BATCH]) for i in batches])

    return predict


def scores(probabilities: np.ndarray, labels: np.ndarray) -> dict[str, float]:
    """Accuracy and mean log-loss of a model.

    Args:
      probabilities: `[n, classes]` softmax.
      labels: `[n]` true classes.

    Returns:
      `accuracy`, a share, and `log_loss` in nats, of probabilities clipped at 1e-7.
    """
    of_label = probabilities[np.arange(len(labels)), labels]
    return {
        "accuracy": float(np.mean(probabilities.argmax(axis=1) == labels)),
        "log_loss": float(-np.log(np.clip(of_label, 1e-7, 1), dtype=float).mean()),
    }


def write_metrics(folder: pathlib.Path, history: list[dict[str, float]]) -> None:
    """Writes `metrics.csv`, one row per snapshot.

    Args:
      folder: Of the record.
      history: The rows, values by column.
    """
    content = writing.as_csv(pd.DataFrame(history))
    (folder / "metrics.csv").write_bytes(content.encode())


def _scaled(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32) / 255.0


def _steps(model, images, targets, classes: int, batch_size: int) -> Callable:
    """A function that trains on images and targets of several batches, in order."""

    def spec(array):
        return tf.TensorSpec([None, *array.shape[1:]], array.dtype)

    @tf.function(input_signature=[spec(images), tf.nest.map_structure(spec, targets)])
    def steps(images, targets):
        for start in tf.range(0, tf.shape(images)[0], batch_size):
            rows = slice(start, start + batch_size)
            batch = {name: array[rows] for name, array in targets.items()}
            batch["labels"] = tf.one_hot(batch["labels"], classes)
            wanted = batch if len(batch) > 1 else batch["labels"]
            with depthwise.padded_first(model):
                model.train_step((_scaled(images[rows]), wanted))

    return steps


def _seed_random_layers(network: keras.Model, order_seed: int, epoch: int) -> None:
    """Seeds dropout and similar layers for an epoch, from the epoch alone.

    Keras 2 does not include their generators in checkpoints.
    """
    for number, layer in enumerate(network.submodules):
        generator = getattr(layer, "_random_generator", None)
        if generator is not None and generator._generator is not None:
            seed = derive_seed(order_seed, epoch, number)
            generator._generator.reset_from_seed(seed)
