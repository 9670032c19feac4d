import numpy as np
import pytest

from kdfunc.errors import InputError

pytestmark = pytest.mark.usefixtures("tensorflow")


@pytest.fixture(scope="module", params=["lenet", "mobilenet"])
def model(request):
    from kdfunc import models

    shape = {"lenet": (28, 28, 1), "mobilenet": (32, 32, 3)}[request.param]
    return models.build(request.param, shape, 10, seed=0)


@pytest.fixture(scope="module")
def images(model):
    rng = np.random.default_rng(0)
    return rng.random((7, *model.input_shape[1:]), np.float32)


@pytest.fixture(scope="module")
def content(model):
    """The files of the model, by mode."""
    from kdfunc import quantization

    modes = ("float16", "dynamic-range")
    return {mode: quantization.convert(model, mode) for mode in modes}


def test_float16_halves_the_file_and_int8_quarters_it(model, content):
    float32 = 4 * model.count_params()
    assert len(content["float16"]) / float32 < 0.54
    assert len(content["dynamic-range"]) / float32 < 0.32


@pytest.mark.parametrize(
    ("mode", "tolerance"), [("float16", 1e-3), ("dynamic-range", 2e-2)]
)
def test_quantized_models_stay_close(model, content, images, mode, tolerance):
    from kdfunc import edge

    predicted = edge.predict(content[mode], images)
    np.testing.assert_allclose(predicted, model(images), atol=tolerance)


@pytest.mark.parametrize("mode", ["float16", "dynamic-range"])
def test_batched_predictions_equal_those_one_at_a_time(content, images, mode):
    from kdfunc import edge

    file = content[mode]
    one_at_a_time = edge.predict(file, images, edge.Settings(batch_size=1))
    for batch_size in (2, 3, 7, 100):
        batched = edge.predict(file, images, edge.Settings(batch_size=batch_size))
        np.testing.assert_array_equal(batched, one_at_a_time)


def test_the_same_model_gives_the_same_file(model, content):
    from kdfunc import quantization

    assert quantization.convert(model, "dynamic-range") == content["dynamic-range"]


def test_an_unknown_mode_is_refused(model):
    from kdfunc import quantization

    with pytest.raises(InputError, match="got 'int3'; allowed: float32, float16"):
        quantization.convert(model, "int3")


@pytest.mark.parametrize("mode", ["full-int8", "int16x8"])
def test_images_to_calibrate_with_are_needed(tensorflow, mode):
    from kdfunc import quantization
    from kdfunc.runtime import keras

    model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Flatten()])
    for images in (None, np.zeros((0, 8, 8, 1))):
        with pytest.raises(InputError, match="needs images; give float32 images"):
            quantization.convert(model, mode, images)
    with pytest.raises(InputError, match=r"got shape \[3, 8, 8\]; .* \[n, 8, 8, 1\]"):
        quantization.convert(model, mode, np.zeros((3, 8, 8)))
    with pytest.raises(InputError, match="model: got str; give a model"):
        quantization.convert("model", mode)


def test_models_of_keras_3_are_converted_quietly(tensorflow, capfd):
    import keras

    from kdfunc import edge, quantization

    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    x = np.eye(3, dtype=np.float32)
    found = edge.predict(quantization.convert(model, "float32"), x)
    np.testing.assert_allclose(found, np.asarray(model(x)), atol=1e-6)
    assert capfd.readouterr().out == ""
