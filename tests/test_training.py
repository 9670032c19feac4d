import io
import itertools
from types import SimpleNamespace

import numpy as np
import pytest

from kdfunc.errors import TrainingError

pytestmark = pytest.mark.usefixtures("tensorflow")

EPOCHS = 3


class Killed(Exception):
    """Stands for a process that ends in the middle of an epoch."""


def network(dropout=0.0):
    from kdfunc import models
    from kdfunc.runtime import keras, tf

    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    x = keras.Input((28, 28, 1), name="image")
    h = keras.layers.Flatten()(x)
    h = keras.layers.BatchNormalization()(h)
    h = keras.layers.Dropout(dropout)(h)
    logits = keras.layers.Dense(10, name="logits")(h)
    model = models._with_softmax(x, logits, "small")
    assert tf.config.experimental.get_synchronous_execution()
    return model


def train(digits, folder, kill_at=None, dropout=0.0, learning_rate=0.001, **order):
    from kdfunc import training
    from kdfunc.runtime import keras

    def report(epochs_done, **_):
        if kill_at is not None and epochs_done >= kill_at:
            raise Killed

    folder.mkdir(exist_ok=True)
    recorded = network(dropout)
    model = keras.Model(recorded.inputs, recorded.outputs)
    optimizer = keras.optimizers.legacy.Adam(learning_rate)
    model.compile(optimizer, "categorical_crossentropy", ["accuracy"])
    return training.train(
        model,
        recorded,
        digits.train_images,
        {"labels": digits.train_labels},
        digits.test_images,
        digits.test_labels,
        folder,
        epochs=EPOCHS,
        **{"order_seed": 1, "batch_size": 16, **order},
        report=report,
    )


@pytest.fixture(scope="module")
def whole(digits, tmp_path_factory):
    """The record of a training with dropout that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    files = train(digits, folder, dropout=0.2)
    return {name: (folder / name).read_bytes() for name in files}


@pytest.mark.parametrize("kill_at", [0.5, 1.0, 1.7, 2.99])
def test_a_training_that_was_killed_ends_with_the_same_bytes(
    digits, tmp_path, whole, kill_at
):
    with pytest.raises(Killed):
        train(digits, tmp_path, kill_at, dropout=0.2)
    files = train(digits, tmp_path, dropout=0.2)
    for name in files:
        assert (tmp_path / name).read_bytes() == whole[name], name


def test_the_time_before_a_stop_counts(digits, tmp_path, monkeypatch):
    from kdfunc import snapshots
    from kdfunc.runs.records import Record

    clock = itertools.count(0, 100)  # begins, then is read after each snapshot
    monkeypatch.setattr(snapshots, "time", SimpleNamespace(monotonic=clock.__next__))
    for kill_at, seconds in ((1.5, 200), (2.5, 300)):
        with pytest.raises(Killed):
            train(digits, tmp_path, kill_at)
        assert Record(tmp_path).seconds_spent == seconds


def test_a_kill_after_the_last_epoch_leaves_the_same_model(digits, tmp_path, whole):
    train(digits, tmp_path, dropout=0.2)
    (tmp_path / "final.keras").unlink()
    for name in train(digits, tmp_path, dropout=0.2):
        assert (tmp_path / name).read_bytes() == whole[name], name


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: flip(record / "checkpoint.npz"),
        lambda record: (record / "checkpoint.npz").write_bytes(b""),
        lambda record: flip(record / "initial.keras"),
        lambda record: (record / "initial.keras").write_bytes(b""),
        lambda record: (record / "initial.keras").unlink(),
        lambda record: flip(record / "softmax.npy"),
    ],
    ids=["checkpoint", "empty", "initial", "empty initial", "no initial", "softmax"],
)
def test_what_is_damaged_is_not_gone_on_from(digits, tmp_path, whole, damage):
    with pytest.raises(Killed):
        train(digits, tmp_path, 2.5, dropout=0.2)
    damage(tmp_path)
    for name in train(digits, tmp_path, dropout=0.2):
        assert (tmp_path / name).read_bytes() == whole[name], name


def test_a_record_has_a_snapshot_at_initialization_and_after_each_epoch(
    digits, tmp_path
):
    import pandas as pd

    from kdfunc import models, training

    train(digits, tmp_path)
    softmax = np.load(tmp_path / "softmax.npy")
    metrics = pd.read_csv(tmp_path / "metrics.csv")
    assert softmax.shape == (EPOCHS + 1, 899, 10)
    assert list(metrics["epoch"]) == [0, 1, 2, 3]
    for name, snapshot in [("initial", 0), ("final", -1)]:
        model = models.load(tmp_path / f"{name}.keras")
        predicted = training.predictor(model)(digits.test_images)
        np.testing.assert_array_equal(predicted, softmax[snapshot])
        accuracy = np.mean(predicted.argmax(axis=1) == digits.test_labels)
        assert metrics["accuracy"].iloc[snapshot] == accuracy
    assert metrics["accuracy"].iloc[-1] > 0.8


def test_the_order_seed_changes_the_training(digits, tmp_path):
    train(digits, tmp_path / "a", order_seed=1)
    train(digits, tmp_path / "b", order_seed=2)
    a, b = (np.load(tmp_path / name / "softmax.npy") for name in "ab")
    np.testing.assert_array_equal(a[0], b[0])
    assert not np.array_equal(a[1], b[1])


def test_a_fixed_order_is_that_of_the_first_epoch(digits, tmp_path, whole):
    train(digits, tmp_path / "fixed", reshuffle=False, dropout=0.2)
    fixed = np.load(tmp_path / "fixed" / "softmax.npy")
    reshuffled = np.load(io.BytesIO(whole["softmax.npy"]))
    np.testing.assert_array_equal(fixed[:2], reshuffled[:2])
    assert not np.array_equal(fixed[2], reshuffled[2])


def test_an_epoch_is_what_keras_fit_would_do(digits, tmp_path):
    """One epoch against `fit` on the same images in the same order."""
    from kdfunc import training
    from kdfunc.runtime import keras

    train(digits, tmp_path)
    model = network()
    optimizer = keras.optimizers.legacy.Adam(0.001)
    model.compile(optimizer, "categorical_crossentropy", ["accuracy"])
    order = np.random.default_rng([1, 1]).permutation(len(digits.train_labels))
    images = (digits.train_images[order] / 255).astype(np.float32)
    labels = keras.utils.to_categorical(digits.train_labels[order], 10)
    model.fit(images, labels, batch_size=16, epochs=1, shuffle=False, verbose=0)
    expected = training.predictor(model)(digits.test_images)
    softmax = np.load(tmp_path / "softmax.npy")
    np.testing.assert_allclose(softmax[1], expected, atol=1e-5)


def test_a_loss_that_is_no_number_stops_the_training_with_its_epoch(digits, tmp_path):
    with pytest.raises(TrainingError, match="not a finite number in epoch 1"):
        train(digits, tmp_path, learning_rate=float("nan"))


def test_outputs_that_are_no_numbers_stop_it_too(digits, tmp_path):
    """Losses are measured before an update, so the last one is in none."""
    with pytest.raises(TrainingError, match="not finite numbers after epoch 1"):
        train(digits, tmp_path, learning_rate=float("nan"), batch_size=10**4)


def test_scores_by_hand():
    from kdfunc.training import scores

    softmax = np.array([[0.5, 0.5, 0], [0, 0.25, 0.75], [1, 0, 0]], np.float32)
    found = scores(softmax, np.array([0, 1, 2]))
    assert found["accuracy"] == pytest.approx(1 / 3)
    expected = (np.log(2) + np.log(4) - np.log(1e-7)) / 3
    assert found["log_loss"] == pytest.approx(expected)


def test_why_the_published_order_is_fixed(tensorflow):
    """`fit` called an epoch at a time after `set_seed`, as in the paper's notebooks."""
    from kdfunc.runtime import keras

    first_images = []

    class Recorder(keras.Model):
        def train_step(self, data):
            tensorflow.py_function(lambda x: first_images.append(int(x[0])), [data], [])
            return {}

    def orders(fits, epochs):
        tensorflow.random.set_seed(42)
        model = Recorder()
        model.compile()
        for _ in range(fits):
            model.fit(np.arange(64), batch_size=4, epochs=epochs, verbose=0)
        seen = np.reshape(first_images, (fits * epochs, -1)).tolist()
        first_images.clear()
        return seen

    one, other = orders(fits=2, epochs=1)
    assert one == other != sorted(one)
    one, other = orders(fits=1, epochs=2)
    assert one != other


def test_images_are_read_a_few_batches_at_a_time_so_that_processes_share_them(digits):
    from kdfunc import training

    reads = []

    class Shared(np.ndarray):
        def __getitem__(self, places):
            reads.extend([places] if self.ndim == 4 else [])
            return super().__getitem__(places)

    model = network()
    model.compile("sgd", "categorical_crossentropy")
    images, count = digits.train_images, len(digits.train_images)
    epochs = training.run_epochs(
        model,
        model,
        images.view(Shared),
        {"labels": digits.train_labels},
        last=1,
        batch_size=16,
        order_seed=1,
        report=lambda **_: None,
    )
    assert len(list(epochs)) == 1
    assert max(map(len, reads)) == 16 * training.CALL_STEPS < count
    assert sorted(np.concatenate(reads)) == list(range(count))
