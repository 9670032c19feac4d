"""What each step of a pipeline promises, on a small LeNet and digits."""

import types

import numpy as np
import pytest

from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError, NotPossible

pytestmark = pytest.mark.usefixtures("tensorflow")

TRAINED = 160  # images


def train(model, digits):
    from kdfunc import training
    from kdfunc.runtime import keras

    optimizer = keras.optimizers.legacy.Adam()
    model.compile(optimizer, "categorical_crossentropy", ["accuracy"])
    for _ in training.run_epochs(
        model,
        model,
        digits.train_images[:TRAINED],
        {"labels": digits.train_labels[:TRAINED]},
        last=1,
        batch_size=32,
        order_seed=1,
        report=lambda **facts: None,
    ):
        pass


@pytest.fixture(scope="module")
def images(digits):
    return digits.test_images.astype(np.float32) / 255


@pytest.fixture(scope="module")
def lenet(digits):
    from kdfunc import models

    return models.build("lenet", digits.train_images.shape[1:], 10, seed=0)


@pytest.fixture(scope="module")
def small(digits):
    """Every kind of layer with weights that the architectures have."""
    from kdfunc.runtime import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input(digits.train_images.shape[1:])
    x = layers.Conv2D(8, 3, strides=3)(image)
    x = layers.BatchNormalization()(x)
    x = layers.DepthwiseConv2D(3)(x)
    x = layers.ReLU(6.0)(x)
    x = layers.Dense(10)(layers.Flatten()(x))
    return keras.Model(image, layers.Softmax()(x))


@pytest.fixture(scope="module")
def compress(digits, images):
    from kdfunc import compression

    def compress(model, pipeline):
        return compression.compress(
            model, pipeline, lambda m, steps: train(m, digits), images[:50]
        )

    return compress


def kernels(model):
    from kdfunc import pruning

    return [kernel.numpy() for kernel in pruning.kernels(model)]


@pytest.mark.parametrize("scope", ["kernels", "2 of 4"])
def test_fine_tuning_keeps_the_zeros_and_trains_the_rest(small, scope, digits):
    from kdfunc import compression, pruning

    if scope == "2 of 4":
        pruned = pruning.prune_2_of_4(small)
    else:
        pruned = pruning.prune(small, 0.5, scope)
    tuned = compression.fine_tune(pruned, lambda m: train(m, digits))
    assert [type(a) for a in tuned.layers] == [type(a) for a in small.layers]
    assert tuned.count_params() == small.count_params()
    for old, new in zip(kernels(pruned), kernels(tuned), strict=True):
        np.testing.assert_array_equal(new == 0, old == 0)
        assert not np.array_equal(new, old)


def test_fine_tuning_keeps_the_zeros_of_layers_with_several_kernels(digits):
    from kdfunc import compression, pruning
    from kdfunc.runtime import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    image = keras.Input(digits.train_images.shape[1:])
    x = layers.SeparableConv2D(4, 3)(image)
    x = layers.Conv2DTranspose(4, 3)(x)
    x = layers.LSTM(5)(layers.Reshape((-1, 4))(x))
    x = layers.Dense(10, activation="softmax")(x)
    pruned = pruning.prune(keras.Model(image, x), 0.6, "kernels")
    recurrent = pruning.kernels(pruned)[4]
    recurrent.assign(0 * recurrent)  # a kernel of only zeros stays one
    tuned = compression.fine_tune(pruned, lambda m: train(m, digits))
    before, after = kernels(pruned), kernels(tuned)
    assert len(before) == 6
    assert len({np.mean(kernel == 0) for kernel in before}) == 6
    for old, new in zip(before, after, strict=True):
        np.testing.assert_array_equal(new == 0, old == 0)
        assert np.array_equal(new, old) == (not old.any())


def test_a_layer_whose_zeros_cannot_be_kept_is_told(digits):
    from kdfunc import compression, pruning
    from kdfunc.runtime import keras

    layers = keras.layers
    image = keras.Input(digits.train_images.shape[1:])
    x = layers.Reshape((28, 28))(image)
    x = layers.MultiHeadAttention(1, 2, name="heads")(x, x)
    x = layers.Dense(10, activation="softmax")(layers.Flatten()(x))
    pruned = pruning.prune(keras.Model(image, x), 0.5, "kernels")
    with pytest.raises(NotPossible, match="layer heads makes its kernels at its first"):
        compression.fine_tune(pruned, lambda m: train(m, digits))


def test_more_clusters_than_weights_are_told(digits):
    from kdfunc import compression, pruning
    from kdfunc.runtime import keras

    layers = keras.layers
    image = keras.Input(digits.train_images.shape[1:])
    x = layers.Conv2D(2, 2)(image)  # 8 weights, of which 2 are left
    x = layers.Dense(10, activation="softmax")(layers.Flatten()(x))
    pruned = pruning.prune(keras.Model(image, x), 0.8, "layerwise")
    with pytest.raises(NotPossible, match="tensorflow-model-optimization"):
        compression.cluster(pruned, 4)


@pytest.mark.parametrize("tuned", [False, True])
def test_clusters_are_few_values_with_the_zeros_among_them(small, tuned, digits):
    from kdfunc import compression, pruning

    pruned = pruning.prune(small, 0.5, "kernels")
    before = [kernel.copy() for kernel in kernels(pruned)]
    clustered = compression.cluster(
        pruned, 16, (lambda m: train(m, digits)) if tuned else None
    )
    for old, new in zip(before, kernels(clustered), strict=True):
        assert (new[old == 0] == 0).all()
        if old.ndim == 4 and old.shape[-1] == 1:  # tfmot clusters no depthwise kernels
            continue
        assert len(np.unique(new)) <= 16
    for old, new in zip(before, kernels(pruned), strict=True):
        np.testing.assert_array_equal(old, new)  # the model itself is left as it is


def test_quantization_aware_training_ends_in_integers_that_keep_the_zeros(
    small, compress
):
    from kdfunc import edge

    content = compress(small, "prune50+qat+full-int8")
    found = edge.inspect(content)
    assert found["quantization"]["name"] == "full integer"
    assert found["inputs"][0]["type"] == found["outputs"][0]["type"] == "int8"
    sizes = [np.prod(layer["shape"]) for layer in found["layers"]]
    zeros = [layer["zero_share"] for layer in found["layers"]]
    assert np.average(zeros, weights=sizes) >= 0.5 - 1e-6


def test_a_sparse_file_is_smaller_and_computes_the_same(lenet, compress, images):
    from kdfunc import edge

    dense, sparse = (compress(lenet, f"prune90{end}") for end in ("", "+sparse"))
    assert len(sparse) < 0.25 * len(dense)
    assert "DENSIFY" in edge.inspect(sparse)["operators"]
    np.testing.assert_array_equal(
        edge.predict(sparse, images[:50]), edge.predict(dense, images[:50])
    )


@pytest.mark.parametrize(
    ("pipeline", "weights", "of_float32"),
    [
        ("full-int8", "full integer", 0.3),
        ("int16x8", "int16x8", 0.3),
        ("int4", "int4", 0.17),
        ("prune90+dynamic-range+sparse", "dynamic range", 0.12),
    ],
)
def test_formats_have_their_operators_and_sizes(
    lenet, compress, images, pipeline, weights, of_float32
):
    from kdfunc import edge

    content = compress(lenet, pipeline)
    found = edge.inspect(content)
    assert found["quantization"]["name"] == weights
    assert len(content) < of_float32 * 4 * lenet.count_params()
    assert set(found["operators"]) - {"DENSIFY"} == {
        "CONV_2D",
        "MAX_POOL_2D",
        "FULLY_CONNECTED",
        "RESHAPE",
        "SOFTMAX",
    }
    single = edge.predict(content, images[:20], edge.Settings(batch_size=1))
    for batch_size, threads in [(7, 1), (20, 1), (20, 2)]:
        settings = edge.Settings(batch_size=batch_size, threads=threads)
        np.testing.assert_array_equal(
            edge.predict(content, images[:20], settings), single
        )


@pytest.mark.parametrize(("mode", "bits"), [("full-int8", 8), ("int16x8", 16)])
def test_integer_outputs_stay_within_what_their_scales_imply(
    digits, images, mode, bits
):
    """One dense layer, whose error can be bounded by hand.

    With scales s_x, s_w, s_z of inputs, weights and logits, a logit is off by no more
    than sum_i (|x_i| s_w / 2 + |w_i| s_x / 2 + s_w s_x / 4) + s_z, and a probability
    by half the largest difference between two logits' errors, plus its own scale. Zero
    has its own integer, so images whose black pixels are many are no worse off.
    """
    from kdfunc import edge, quantization
    from kdfunc.edge.reading import read
    from kdfunc.runtime import keras

    keras.utils.set_random_seed(0)
    shape = images.shape[1:]
    model = keras.Sequential(
        [
            keras.layers.Input(shape),
            keras.layers.Flatten(),
            keras.layers.Dense(10),
            keras.layers.Softmax(),
        ]
    )
    content = quantization.convert(model, mode, images)
    (graph,) = read(content).subgraphs
    (dense,) = [op for op in graph.operators if op.name == "FULLY_CONNECTED"]
    (softmax,) = [op for op in graph.operators if op.name == "SOFTMAX"]
    s_x, s_w = (graph.tensors[i].scales.max() for i in dense.inputs[:2])
    s_z = graph.tensors[dense.outputs[0]].scales.max()
    s_p = graph.tensors[softmax.outputs[0]].scales.max()
    assert s_p == 2.0 ** -(bits if bits == 8 else 15)
    x = images.reshape(len(images), -1)
    w = model.layers[1].get_weights()[0]
    logit = (
        s_w / 2 * np.abs(x).sum(axis=1).max()
        + s_x / 2 * np.abs(w).sum(axis=0).max()
        + x.shape[1] * s_w * s_x / 4
        + s_z
    )
    error = np.abs(edge.predict(content, images) - model(images)).max()
    assert 0 < error <= logit / 2 + s_p


def test_what_a_library_cannot_do_is_told_with_its_name(digits, compress):
    from kdfunc.runtime import keras

    class Doubled(keras.layers.Layer):
        def call(self, inputs):
            return 2 * inputs

    image = keras.Input(digits.train_images.shape[1:])
    x = Doubled()(keras.layers.Flatten()(image))
    x = keras.layers.Dense(10, activation="softmax")(x)
    with pytest.raises(NotPossible, match=r"^tensorflow-model-optimization 0\.8"):
        compress(keras.Model(image, x), "qat+full-int8")


def test_the_same_pipeline_gives_the_same_file(small, compress):
    first, again = (
        compress(small, "finetune+cluster16+finetune+dynamic-range") for _ in "ab"
    )
    assert first == again


def test_a_pipeline_gone_on_with_ends_as_one_that_was_not_stopped(
    small, compress, digits, tmp_path
):
    from kdfunc import compression, models

    def tune(model, steps):
        train(model, digits)

    pipeline, done = (
        "prune50+finetune+cluster16+finetune+dynamic-range",
        "prune50+finetune",
    )
    models.save(compression.change(small, done, tune), tmp_path / "model.keras")
    model = models.load(tmp_path / "model.keras")
    gone_on = compression.compress(model, pipeline, tune, None, done)
    assert gone_on == compress(small, pipeline)


def test_a_step_of_ones_own_that_is_not_there_is_told():
    from kdfunc import compression

    with pytest.raises(InputError, match="compressions: 'nowhere:to_be_found'"):
        compression.own_step("nowhere:to_be_found")


def test_calibration_images_are_as_in_training(tmp_path, monkeypatch):
    from kdfunc.runs import compressing

    images = (np.arange(300) % 256).astype(np.uint8)[:, None, None, None]
    seen = []
    work = types.SimpleNamespace(
        data=types.SimpleNamespace(train_images=images),
        config=ExperimentConfig(),
        settings={"pipeline": "full-int8", "done": ""},
        folder=tmp_path,
    )

    def compress(model, pipeline, train, representative, done):
        seen.append(representative)
        return b""

    monkeypatch.setattr(compressing, "_start", lambda work: None)
    monkeypatch.setattr(compressing, "_stored", lambda *_: [])
    monkeypatch.setattr(compressing.compression, "compress", compress)
    compressing.compress(work)
    (found,) = seen
    assert found.shape == (200, 1, 1, 1) and found.dtype == np.float32
    assert found.min() >= 0 and 0.9 < found.max() <= 1


@pytest.mark.parametrize("pipeline", ["cluster4", "cluster4+finetune"])
def test_clusters_are_kept(pipeline):
    from kdfunc import compression
    from kdfunc.runtime import keras

    keras.utils.set_random_seed(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((12,)),
            layers.Dense(8, "relu"),
            layers.Dense(4),
            layers.Activation("softmax"),
        ]
    )

    def tune(model, steps):
        model.compile(keras.optimizers.legacy.Adam(), "categorical_crossentropy")
        x = np.random.default_rng(0).normal(size=(32, 12)).astype("f4")
        model.fit(x, np.eye(4, dtype="f4")[np.arange(32) % 4], verbose=0)

    changed = compression.change(model, pipeline, tune)
    kernels = [layer.kernel.numpy() for layer in changed.layers if layer.weights]
    assert [len(np.unique(kernel)) for kernel in kernels] == [4, 4]
