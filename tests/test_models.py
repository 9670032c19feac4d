import importlib
import re
import sys

import numpy as np
import pytest

from kdfunc.config import ARCHITECTURES
from kdfunc.errors import InputError

pytestmark = pytest.mark.usefixtures("tensorflow")


def build(*arguments, seed=0):
    from kdfunc import models

    return models.build(*arguments, seed)


def test_config_and_models_name_the_same_architectures():
    from kdfunc import models

    assert tuple(models.ARCHITECTURES) == ARCHITECTURES


@pytest.mark.parametrize(
    ("architecture", "shape", "classes", "trainable", "all_", "mebibytes"),
    [
        ("lenet", (28, 28, 1), 10, 225_034, 225_034, 0.86),
        ("mobilenet", (32, 32, 3), 10, 3_736_906, 3_758_794, 14.34),
        ("resnet50", (32, 32, 3), 100, 24_634_980, 24_688_100, 94.18),
    ],
)
def test_parameters_and_sizes_of_table_1(
    architecture, shape, classes, trainable, all_, mebibytes
):
    model = build(architecture, shape, classes)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == trainable
    assert model.count_params() == all_
    assert round(4 * all_ / 2**20, 2) == mebibytes
    # One flat model, as tfmot and the converters want it.
    assert not any(hasattr(layer, "layers") for layer in model.layers)


def test_the_papers_lenet_size_is_in_kibibytes():
    assert round(4 * build("lenet", (28, 28, 1), 10).count_params() / 1024) == 879


def test_the_seed_alone_decides_the_weights(tmp_path):
    from kdfunc import models

    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        models.save(build("lenet", (28, 28, 1), 10, seed=seed), tmp_path / name)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_a_saved_model_computes_the_same(tmp_path, rng):
    from kdfunc import models

    model = build("mobilenet", (32, 32, 3), 10)
    models.save(model, tmp_path / "model.keras")
    images = rng.random((4, 32, 32, 3), np.float32)
    loaded = models.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images), model(images))


def test_logits_are_what_goes_into_the_softmax(tensorflow, rng):
    from kdfunc import models
    from kdfunc.runtime import keras

    model = build("lenet", (28, 28, 1), 10)
    both = keras.Model(model.inputs, [models.logits_of(model), model.output])
    logits, probabilities = both(rng.random((4, 28, 28, 1), np.float32))
    assert both.count_params() == 225_034
    np.testing.assert_array_equal(tensorflow.nn.softmax(logits), probabilities)


@pytest.mark.parametrize("architecture", ["mobilenet", "resnet50"])
def test_images_that_are_too_small_are_refused(architecture):
    with pytest.raises(InputError, match=f"{architecture} cannot be .* 28x28x1 .*32"):
        build(architecture, (28, 28, 1), 10)


def test_images_too_small_for_lenet_are_refused():
    with pytest.raises(InputError, match="lenet cannot be built for images of 8x8x1"):
        build("lenet", (8, 8, 1), 10)


BUILDERS = """
import tf_keras
from tf_keras import layers

def sequential(input_shape, classes):
    return tf_keras.Sequential([
        layers.Input(input_shape),
        layers.Flatten(),
        layers.Dense(classes, activation="softmax"),
    ])

def softmax_layer(input_shape, classes):
    image = layers.Input(input_shape)
    return tf_keras.Model(image, layers.Softmax()(layers.Dense(classes)(
        layers.Flatten()(image))))

def no_softmax(input_shape, classes):
    return tf_keras.Sequential([
        layers.Input(input_shape), layers.Flatten(), layers.Dense(classes)])

def wrong_classes(input_shape, classes):
    return sequential(input_shape, classes + 1)

def wrong_input(input_shape, classes):
    return sequential((9, 9, 1), classes)

def no_model(input_shape, classes):
    return "model"

def over_images(input_shape, classes):
    image = layers.Input(input_shape)
    return tf_keras.Model(image, layers.Softmax(axis=0)(layers.Dense(classes)(
        layers.Flatten()(image))))

def type_error(input_shape, classes):
    raise TypeError("unexpected thing")

def key_error(input_shape, classes):
    raise KeyError("lost")

def memory(input_shape, classes):
    raise MemoryError

def silent(input_shape, classes):
    raise ValueError

def boom(input_shape, classes):
    raise RuntimeError("boom")

def leave(input_shape, classes):
    raise SystemExit(3)

def no_arguments():
    return None

X = 5

def with_lambda(input_shape, classes):
    image = layers.Input(input_shape)
    x = layers.Flatten()(layers.Lambda(lambda x: x * 2)(image))
    return tf_keras.Model(image, layers.Dense(classes, activation="softmax")(x))

class Mine(layers.Layer):
    def call(self, x):
        return x * 2

def unregistered(input_shape, classes):
    image = layers.Input(input_shape)
    x = layers.Flatten()(Mine()(image))
    return tf_keras.Model(image, layers.Dense(classes, activation="softmax")(x))

def keras_3(input_shape, classes):
    import keras
    return keras.Sequential([
        keras.layers.Input(input_shape), keras.layers.Flatten(),
        keras.layers.Dense(classes, activation="softmax")])
"""


@pytest.fixture
def builders(tmp_path, monkeypatch):
    (tmp_path / "my_builders.py").write_text(BUILDERS)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("my_builders", None)


@pytest.mark.usefixtures("builders")
@pytest.mark.parametrize("builder", ["sequential", "softmax_layer"])
def test_a_builder_of_ones_own_is_found_in_the_working_folder(builder, rng):
    from kdfunc import models
    from kdfunc.runtime import keras, tf

    model = build(f"my_builders:{builder}", (5, 5, 1), 3)
    both = keras.Model(model.inputs, [models.logits_of(model), model.output])
    logits, probabilities = both(rng.random((2, 5, 5, 1), np.float32))
    assert model.count_params() == 25 * 3 + 3
    np.testing.assert_allclose(tf.nn.softmax(logits), probabilities, rtol=1e-6)


@pytest.mark.usefixtures("builders")
@pytest.mark.parametrize(
    ("builder", "told"),
    [
        ("no_softmax", "ends in dense, no softmax over the classes"),
        ("over_images", "no softmax over the classes"),
        ("type_error", r"cannot be built .*TypeError: unexpected thing"),
        ("key_error", "cannot be built .*KeyError: 'lost'"),
        ("memory", r"cannot be built .*\(MemoryError\)"),
        ("silent", r"cannot be built .*\(ValueError\)"),
        ("boom", r"cannot be built .*RuntimeError: boom"),
        ("leave", "cannot be built .*SystemExit: 3"),
        ("no_arguments", "cannot be built .*TypeError"),
        ("X", "X is a int, not a function"),
        ("wrong_classes", r"output \(None, 4\)"),
        ("wrong_input", r"input \(None, 9, 9, 1\)"),
        ("no_model", "a builtins.str"),
        ("keras_3", "a keras"),
        ("not_there", "could not be imported"),
    ],
)
def test_a_builder_that_does_not_do_is_refused(builder, told):
    with pytest.raises(InputError, match=told) as error:
        build(f"my_builders:{builder}", (5, 5, 1), 3)
    assert str(error.value).startswith("--architecture: ")


@pytest.mark.usefixtures("builders")
@pytest.mark.parametrize("builder", ["with_lambda", "unregistered"])
def test_what_cannot_be_loaded_again_is_refused_before_training(builder):
    from kdfunc import models

    model = build(f"my_builders:{builder}", (5, 5, 1), 3)
    with pytest.raises(InputError, match=f"{builder} cannot be saved and loaded again"):
        models.check_storable(f"my_builders:{builder}", model)


def test_what_keras_knows_can_be_stored():
    from kdfunc import models

    models.check_storable("lenet", build("lenet", (28, 28, 1), 10))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("not_there:build", "No module named 'not_there'"),
        (":build", "'' is not the name of a module"),
        (".x:build", "'.x' is not the name of a module"),
        ("../x:build", "'../x' is not the name of a module"),
    ],
)
def test_a_module_that_is_not_there_is_refused(name, told):
    with pytest.raises(InputError, match=re.escape(told)):
        build(name, (5, 5, 1), 3)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("def build(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("raise SystemExit", "SystemExit"),
    ],
)
def test_a_module_that_fails_is_refused(tmp_path, monkeypatch, content, told):
    (tmp_path / "failing_builders.py").write_text(content)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    with pytest.raises(InputError, match=f"could not be imported .{told}"):
        build("failing_builders:build", (5, 5, 1), 3)


def test_models_can_be_saved_again_and_again_from_any_thread(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    from kdfunc import models

    model = build("lenet", (28, 28, 1), 10)
    paths = [tmp_path / f"{number}.keras" for number in range(3)]
    with ThreadPoolExecutor(1) as thread:
        list(thread.map(lambda path: models.save(model, path), paths))
    assert len({path.read_bytes() for path in paths}) == 1
    assert models.load(paths[2]).count_params() == 225_034
