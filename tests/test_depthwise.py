import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures("tensorflow")

SHAPES = [(1, 1), (2, 2), (2, 1), (1, 4), (4, 4)]


def pads(function, shape):
    """The operations of depthwise layers that pad images."""
    from kdfunc.runtime import tf

    traced = tf.function(function).get_concrete_function(tf.TensorSpec(shape))
    operations = traced.graph.get_operations()
    return [op.name for op in operations if op.type == "Pad" and "conv_dw" in op.name]


@pytest.mark.parametrize("kernel", [3, (5, 2)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("shape", SHAPES)
def test_outputs_and_gradients_are_those_of_implicit_padding(
    rng, shape, stride, kernel
):
    from kdfunc import depthwise
    from kdfunc.runtime import keras, tf

    layer = keras.layers.DepthwiseConv2D(
        kernel, stride, padding="same", activation="relu", bias_initializer="ones"
    )
    model = keras.Sequential([keras.Input((*shape, 6)), layer])
    images = tf.constant(rng.normal(size=(8, *shape, 6)), tf.float32)

    def results():
        with tf.GradientTape() as tape:
            tape.watch(images)
            outputs = model(images)
            loss = outputs**2
        return [outputs, *tape.gradient(loss, [images, *model.trainable_weights])]

    implicit = results()
    with depthwise.padded_first(model):
        explicit = results()
    np.testing.assert_array_equal(explicit[0], implicit[0])
    for ours, keras_own in zip(explicit, implicit, strict=True):
        np.testing.assert_allclose(ours, keras_own, rtol=1e-5, atol=1e-5)


def test_six_layers_of_mobilenet_pad_while_they_are_trained_and_no_longer(tmp_path):
    from kdfunc import depthwise, models

    model = models.build("mobilenet", (32, 32, 3), 10, 0)
    images = model.input_shape
    models.save(model, tmp_path / "before.keras")
    before = pads(model, images)
    with depthwise.padded_first(model):
        assert len(pads(model, images)) == len(before) + 6
    assert pads(model, images) == before
    models.save(model, tmp_path / "after.keras")
    files = [tmp_path / "before.keras", tmp_path / "after.keras"]
    assert len({file.read_bytes() for file in files}) == 1


def test_a_training_step_pads(rng):
    from kdfunc import training
    from kdfunc.runtime import keras

    x = keras.Input((2, 2, 3))
    h = keras.layers.DepthwiseConv2D(3, padding="same")(x)
    model = keras.Model(x, keras.layers.Softmax()(keras.layers.Flatten()(h)))
    model.compile("sgd", "categorical_crossentropy")
    images = rng.integers(0, 256, (4, 2, 2, 3), dtype=np.uint8)
    targets = {"labels": np.arange(4)}
    steps = training._steps(model, images, targets, 12, batch_size=2)
    graph = steps.get_concrete_function().graph
    body = graph.as_graph_def().library.function
    assert any(node.op == "Pad" for f in body for node in f.node_def)
