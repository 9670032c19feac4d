import os
import sys
import types

import nets
import numpy as np
import pytest

from kdfunc.edge import Model, Settings, predict
from kdfunc.edge import interpreter as interpreter_module
from kdfunc.errors import InputError

MODES = ["float32", "float16", "dynamic", "full", "full_float", "int16x8"]
MODES += ["int4", "sparse"]


@pytest.fixture(scope="module")
def mobilenet(tensorflow, convert):
    """A network of MobileNet's blocks by mode, and images for it."""
    from kdfunc.runtime import keras

    layers = keras.layers
    image = x = keras.Input((32, 32, 3))
    for block in (
        layers.Conv2D(16, 3, strides=2, padding="same", use_bias=False),
        layers.DepthwiseConv2D(3, padding="same", use_bias=False),
        layers.Conv2D(64, 1, use_bias=False),
        layers.DepthwiseConv2D(3, strides=2, padding="same", use_bias=False),
        layers.Conv2D(128, 1, use_bias=False),
    ):
        x = layers.ReLU(6.0)(layers.BatchNormalization()(block(x)))
    x = layers.GlobalAveragePooling2D()(x)
    model = keras.Model(image, layers.Dense(10, activation="softmax")(x))
    images = np.random.default_rng(0).random((23, 32, 32, 3), np.float32)
    modes = ("float32", "float16", "dynamic")
    return {mode: convert(model, mode) for mode in modes}, images


@pytest.fixture
def without_xnnpack(monkeypatch):
    """The interpreter as it is where it was built without XNNPACK."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES

    def create(**options):
        return Interpreter(**{"experimental_op_resolver_type": plain, **options})

    monkeypatch.setattr(interpreter_module, "interpreter_class", lambda: create)


@pytest.fixture
def uninstalled(monkeypatch):
    """A function that makes modules impossible to import."""

    def without(*names):
        for name in names:
            monkeypatch.setitem(sys.modules, name, None)

    return without


LITERT, RUNTIME = "ai_edge_litert.interpreter", "tflite_runtime.interpreter"


def test_without_litert_tflite_runtime_runs_the_models(uninstalled, monkeypatch):
    uninstalled(LITERT)
    stand_in = types.SimpleNamespace(Interpreter=object())
    monkeypatch.setitem(sys.modules, "tflite_runtime", types.ModuleType("package"))
    monkeypatch.setitem(sys.modules, RUNTIME, stand_in)
    assert interpreter_module.interpreter_class() is stand_in.Interpreter


def test_an_interpreter_that_cannot_be_loaded_is_not_taken_for_missing(monkeypatch):
    """As without the Visual C++ runtime on Windows: `DLL load failed`."""
    monkeypatch.setitem(sys.modules, LITERT, types.SimpleNamespace())
    with pytest.raises(InputError, match="is installed but cannot be loaded .*; inst"):
        interpreter_module.interpreter_class()


@pytest.mark.parametrize("mode", ["full", "sparse"])
def test_without_both_tensorflow_gives_the_same(tensorflow, lenet, uninstalled, mode):
    expected = predict(getattr(lenet, mode), lenet.images[:20])
    uninstalled(LITERT, RUNTIME)
    kind = interpreter_module.interpreter_class()
    assert kind is tensorflow.lite.Interpreter
    found = predict(getattr(lenet, mode), lenet.images[:20])
    assert found == pytest.approx(expected, abs=1e-6)  # other builds, other digits


def test_without_any_that_is_told(lenet, uninstalled):
    uninstalled(LITERT, RUNTIME, "tensorflow")
    with pytest.raises(InputError, match="pip install ai-edge-litert"):
        Model(lenet.full)


def check_batches(content, images):
    """Bits are the same for any batch size and number of threads."""
    singly = predict(content, images, Settings(batch_size=1))
    for batch_size, threads in ((2, 1), (7, 1), (len(images), 1), (1, 4), (7, 4)):
        found = predict(content, images, Settings(batch_size, threads))
        np.testing.assert_array_equal(found, singly)


@pytest.mark.parametrize("mode", MODES)
def test_batches_and_threads_leave_the_bits_of_lenet(lenet, mode):
    check_batches(getattr(lenet, mode).read_bytes(), lenet.images[:50])


@pytest.mark.parametrize("mode", ["float32", "float16", "dynamic"])
def test_batches_and_threads_leave_the_bits_of_mobilenet(mobilenet, mode):
    check_batches(mobilenet[0][mode], mobilenet[1])


@pytest.mark.parametrize("mode", ["float32", "dynamic", "full"])
def test_batches_leave_the_bits_where_kernels_do_not(lenet, mode, without_xnnpack):
    check_batches(getattr(lenet, mode).read_bytes(), lenet.images[:20])
    model = Model(getattr(lenet, mode))
    model.predict(lenet.images[:20])
    assert model._batches_are_exact == (mode == "full")  # or the test shows nothing


def test_path_and_content_and_uint8_images_give_the_same(lenet, digits):
    expected = predict(lenet.float32, lenet.images)
    assert expected.shape == (len(lenet.images), 10) and expected.dtype == np.float32
    for model in (lenet.float32.read_bytes(), str(lenet.float32)):
        np.testing.assert_array_equal(predict(model, lenet.images), expected)
    np.testing.assert_array_equal(predict(lenet.float32, digits.test_images), expected)
    double = lenet.images.astype(np.float64)
    np.testing.assert_array_equal(predict(lenet.float32, double), expected)


@pytest.mark.skipif(sys.platform != "linux", reason="names of files of Linux")
def test_names_of_files_need_not_be_text(tmp_path, rng):
    """Such as those in Latin-1, and of every letter but ASCII under `LC_ALL=C`."""
    content = nets.softmax(tmp_path / "m.tflite", [1, 4]).read_bytes()
    path = tmp_path / os.fsdecode(b"latin\xe9.tflite")
    path.write_bytes(content)
    data = rng.normal(size=(3, 4)).astype(np.float32)
    np.testing.assert_array_equal(predict(path, data), predict(content, data))


def test_float32_is_keras(tensorflow, lenet):
    from kdfunc import models

    expected = models.load(lenet.keras).predict(lenet.images, verbose=0)
    assert predict(lenet.float32, lenet.images) == pytest.approx(expected, abs=1e-5)


def test_integer_inputs_and_outputs_are_scaled(lenet):
    found = predict(lenet.full, lenet.images)
    steps = found * 256
    np.testing.assert_array_equal(steps, np.rint(steps))
    assert (found >= 0).all() and (found < 1).all()
    assert abs(found.sum(axis=1) - 1).max() <= 11 / 512  # rounding of ten entries
    # The same network with floats in and out: rounding of the input and the output.
    assert abs(found - predict(lenet.full_float, lenet.images)).max() <= 1 / 256
    assert abs(found - predict(lenet.float32, lenet.images)).max() < 0.2


def test_int8_input_is_what_tflite_quantizes_to(lenet):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(
        str(lenet.full_float), experimental_preserve_all_tensors=1
    )
    interpreter.allocate_tensors()
    (source,) = interpreter.get_input_details()
    (quantize,) = (
        o for o in interpreter._get_ops_details() if o["op_name"] == "QUANTIZE"
    )
    ours = Model(lenet.full)._preparations[0](lenet.images[:5])
    for image, expected in zip(lenet.images[:5], ours, strict=True):
        interpreter.set_tensor(source["index"], image[None])
        interpreter.invoke()
        found = interpreter.get_tensor(quantize["outputs"][0])[0]
        np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("fixed", [1, 4])
def test_a_file_that_fixes_its_batch_is_run_with_that_batch(tensorflow, fixed):
    function = tensorflow.function(
        lambda x: tensorflow.nn.softmax(tensorflow.reshape(x, [fixed, 12])),
        [tensorflow.TensorSpec([fixed, 3, 4], tensorflow.float32)],
    )
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()]
    )
    content = converter.convert()
    images = np.random.default_rng(0).random((10, 3, 4), np.float32)
    expected = np.exp(images).reshape(10, 12)
    expected /= expected.sum(axis=1, keepdims=True)
    found = predict(content, images)
    assert found == pytest.approx(expected, abs=1e-6)
    for batch_size in (1, 4, 7):
        np.testing.assert_array_equal(
            predict(content, images, Settings(batch_size)), found
        )


def test_what_xnnpack_refuses_is_run_without_it(lenet):
    from kdfunc import models, pruning

    model = Model(lenet.sparse)
    found = model.predict(lenet.images[:50])
    assert model.told()["kernels"] == "builtin"  # or the test shows nothing
    pruned = pruning.prune(models.load(lenet.keras), 0.9, "kernels")
    expected = pruned.predict(lenet.images[:50], verbose=0)
    assert found == pytest.approx(expected, abs=0.05)


def test_uint8_input_without_a_scale_takes_bytes(tensorflow):
    function = tensorflow.function(
        lambda x: tensorflow.cast(x, tensorflow.float32) / 2,
        [tensorflow.TensorSpec([None, 3], tensorflow.uint8)],
    )
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()]
    )
    content = converter.convert()
    images = np.array([[1, 2, 3], [250, 4, 5]], np.uint8)
    np.testing.assert_array_equal(predict(content, images), images / 2)
    with pytest.raises(InputError, match="without a scale"):
        predict(content, images / 255)


def test_images_that_do_not_fit_are_told(lenet):
    with pytest.raises(InputError, match=r"takes \[n, 28, 28, 1\]"):
        predict(lenet.float32, lenet.images[:, :4])
    with pytest.raises(InputError, match="have type int64; give uint8"):
        predict(lenet.float32, lenet.images.astype(int))
    with pytest.raises(InputError, match="no examples"):
        predict(lenet.float32, lenet.images[:0])


def test_several_inputs_are_given_by_name(tensorflow):
    spec = tensorflow.TensorSpec([1, 2], tensorflow.float32)
    function = tensorflow.function(lambda x, y: x - y, [spec, spec])
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()]
    )
    model = Model(converter.convert())
    x, y = np.random.default_rng(0).random((2, 5, 2), np.float32)
    with pytest.raises(InputError, match="takes x, y but got .*; give an array for"):
        model.predict(x)
    with pytest.raises(InputError, match=r"numbers of examples \(4, 5\)"):
        model.predict({"x": x, "y": y[:4]})
    np.testing.assert_array_equal(model.predict({"y": y, "x": x}), x - y)
