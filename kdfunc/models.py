"""The networks: LeNet, MobileNet, ResNet-50, or the user's own builder.

Every model is one functional Keras 2 model that ends in a layer of logits and a softmax
layer named `probabilities`. The paper's parameter counts are kept, and the logits are
available without a second model.
"""

import io
import json
import pathlib
import re
import tempfile
import zipfile
from collections.abc import Callable

import numpy as np

from kdfunc import keras_files
from kdfunc.errors import InputError
from kdfunc.runtime import import_function, keras, tf, told
from kdfunc.writing import write_atomic

Builder = Callable[[tuple[int, int, int], int], keras.Model]
layers = keras.layers


def lenet(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """The paper's LeNet: two convolutions, two dense layers (225,034 on MNIST).

    Args:
      input_shape: height, width and channels.
      classes: number of classes.
    """
    return _lenet(input_shape, classes, (32, 64), 128, "lenet")


def lenet_half(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """LeNet of half the width, a smaller student: a quarter of the weights.

    Args:
      input_shape: height, width and channels.
      classes: number of classes.
    """
    return _lenet(input_shape, classes, (16, 32), 64, "lenet_half")


def mobilenet(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """MobileNet V1 with the paper's head (3,736,906 trainable on CIFAR-10).

    Args:
      input_shape: height, width and channels.
      classes: number of classes.
    """
    return _with_head(keras.applications.MobileNet, input_shape, classes, "mobilenet")


def resnet50(input_shape: tuple[int, int, int], classes: int) -> keras.Model:
    """ResNet-50 with the paper's head (24,634,980 trainable on CIFAR-100).

    Args:
      input_shape: height, width and channels.
      classes: number of classes.
    """
    return _with_head(keras.applications.ResNet50, input_shape, classes, "resnet50")


ARCHITECTURES: dict[str, Builder] = {
    "lenet": lenet,
    "lenet-half": lenet_half,
    "mobilenet": mobilenet,
    "resnet50": resnet50,
}


def own(architecture: str) -> Builder:
    """The user's own builder; importing it registers the layers that it defines.

    Args:
      architecture: `MODULE:FUNCTION`.

    Returns:
      a function that makes the network from the shape of the images and the number of
      classes.

    Raises:
      InputError: it cannot be imported.
    """
    return import_function(
        "--architecture", architecture, "build(input_shape, classes)"
    )


def build(
    architecture: str, input_shape: tuple[int, int, int], classes: int, seed: int
) -> keras.Model:
    """A new model whose initial weights follow only from the seed.

    Args:
      architecture: a key of `ARCHITECTURES` or `module:function`.
      input_shape: height, width and channels.
      classes: width of the softmax.
      seed: of the initial weights.

    Returns:
      An uncompiled functional model `[batch, *input_shape] -> [batch, classes]`.

    Raises:
      InputError: there is no such architecture, the builder's model is not allowed, or
        the images are too small for it.
    """
    builder = ARCHITECTURES.get(architecture) or own(architecture)
    keras.backend.clear_session()  # layer names start anew: same model, same bytes
    keras.utils.set_random_seed(seed)
    try:
        model = builder(tuple(input_shape), classes)
    except (Exception, SystemExit) as error:  # a builder of theirs can raise anything
        size = "x".join(map(str, input_shape))
        raise InputError(
            f"--architecture: {architecture} cannot be built for images of {size} and "
            f"{classes} classes ({told(error)}); the images may be too small or the "
            "builder wrong; fix the builder or choose another architecture or data "
            "set."
        ) from error
    _check(architecture, model, tuple(input_shape), classes)
    return _with_logits(model)


def check(model: keras.Model, argument: str = "model", flat: bool = False) -> None:
    """Checks that a model can be taken apart and cloned.

    Args:
      model: what was given.
      argument: its name in the error.
      flat: whether to refuse nested models.

    Raises:
      InputError: it is not a functional or Sequential model of tf_keras.
    """
    kind = f"{type(model).__module__}.{type(model).__name__}"
    wanted = "give a functional or Sequential tf_keras model"
    if not isinstance(model, keras.Model):
        older = ", which is Keras 3" if kind.startswith("keras.") else ""
        raise InputError(
            f"{argument}: got a {kind}{older}; {wanted} (import tf_keras as keras)."
        )
    if not (model.built and getattr(model, "_is_graph_network", False)):
        raise InputError(f"{argument}: got a subclassed or unbuilt {kind}; {wanted}.")
    nested = [layer.name for layer in model.layers if isinstance(layer, keras.Model)]
    if flat and nested:
        raise InputError(
            f"{argument}: contains the model {nested[0]}; {wanted} without nested "
            "models, with its layers called one by one on the input."
        )


def logits_of(model: keras.Model, argument: str = "model") -> tf.Tensor:
    """The symbolic tensor `[batch, classes]` that enters the model's softmax.

    The softmax may be a separate layer or the activation of the last layer, whose
    weights are then shared.

    Args:
      model: functional or Sequential, with one output.
      argument: its name in errors.

    Raises:
      InputError: it does not end in a softmax over the classes.
    """
    check(model, argument)
    if len(model.outputs) != 1 or len(model.output_shape) != 2:
        raise InputError(
            f"{argument}: outputs are {model.output_shape}; give a model whose only "
            "output is a softmax [batch, classes]."
        )
    layer, place, _ = model.output._keras_history
    if not _ends_in_softmax(layer):
        raise InputError(
            f"{argument}: ends in {layer.name} ({type(layer).__name__}), not in a "
            "softmax over the classes; end it with Dense(classes) and "
            "Activation('softmax')."
        )
    (features,) = tf.nest.flatten(layer.inbound_nodes[place].input_tensors)
    if isinstance(layer, layers.Activation | layers.Softmax):
        return features
    return _WithoutActivation(layer)(features)


class _WithoutActivation(layers.Layer):
    """A layer up to its activation, with the layer's own weights."""

    def __init__(self, layer: layers.Layer):
        super().__init__(name=f"{layer.name}_logits")
        self.layer = layer

    def call(self, x):
        activation = self.layer.activation
        self.layer.activation = keras.activations.linear
        try:
            return self.layer.call(x)
        finally:
            self.layer.activation = activation


def save(model: keras.Model, path: str | pathlib.Path) -> None:
    """Saves to the `.keras` format; equal models give equal bytes.

    Keras stores the time of saving in the archive and in its metadata; both are set to
    a constant here. It identifies shared objects by memory addresses, which become 1,
    2, 3, ...

    Args:
      model: the model.
      path: the file to write.
    """
    with tempfile.TemporaryDirectory() as folder:
        dated = pathlib.Path(folder, "model.keras")
        # By suffix alone, Keras 2 falls back to HDF5 from a thread's second save on.
        model.save(dated, save_format="keras_v3")
        buffer = io.BytesIO()
        with zipfile.ZipFile(dated) as old, zipfile.ZipFile(buffer, "w") as new:
            for name in sorted(old.namelist()):
                content = old.read(name)
                if name == "metadata.json":
                    metadata = json.loads(content) | {"date_saved": ""}
                    content = json.dumps(metadata, sort_keys=True).encode()
                if name == "config.json":
                    content = _numbered(content)
                new.writestr(zipfile.ZipInfo(name), content)
    write_atomic(pathlib.Path(path), buffer.getvalue())


def _numbered(config: bytes) -> bytes:
    """A model's config with its shared objects numbered in order."""
    numbers: dict[bytes, int] = {}

    def number(match: re.Match) -> bytes:
        return b"%b%d" % (match[1], numbers.setdefault(match[2], len(numbers) + 1))

    return re.sub(rb'("shared_object_id": )(\d+)', number, config)


def load(path: str | pathlib.Path) -> keras.Model:
    """The uncompiled model of a `.keras` file.

    Args:
      path: the file.

    Raises:
      InputError: it names something that is neither Keras's own nor registered here.
    """
    keras_files.check(path, keras.saving.get_custom_objects())
    return keras.models.load_model(path, compile=False)


def check_own(
    architecture: str, input_shape: tuple[int, int, int], classes: int
) -> None:
    """Tries the user's own builder, so a broken one fails before hours of training.

    Args:
      architecture: `module:function`.
      input_shape: height, width and channels.
      classes: width of the softmax.

    Raises:
      InputError: it cannot be built, Keras cannot load it again (for example because of
        unknown layers), it is a different model each time, it has nothing to train, or
        its output is not a softmax of each image by itself.
    """
    contents = []
    for _ in range(2):
        model = build(architecture, input_shape, classes, seed=0)
        contents.append(_stored(architecture, model))

    def refuse(what: str, remedy: str) -> InputError:
        return InputError(f"--architecture: {architecture} {what}; {remedy}.")

    if contents[0] != contents[1]:
        raise refuse(
            "builds a different model each time",
            "draw only from the generators that tf_keras.utils.set_random_seed seeds, "
            "and choose no name or size at random",
        )
    if not model.trainable_weights:
        raise refuse("has no trainable weights", "make some layer trainable")
    images = np.random.default_rng(0).random((2, *input_shape), np.float32)
    together = np.asarray(model(images, training=False), np.float64)
    alone = [model(images[i : i + 1], training=False) for i in range(2)]
    sums = together.sum(axis=1)
    if not np.allclose(sums, 1, atol=0.01):  # also where some are not numbers
        raise refuse(
            f"gives outputs that add up to {sums[0]:g}",
            "start from finite weights and end in a softmax over the classes",
        )
    if not np.allclose(together, np.concatenate(alone), atol=0.01):
        raise refuse(
            "gives an image different outputs in each call or next to other images",
            "omit training=True and anything that mixes the images of a batch",
        )


def _stored(architecture: str, model: keras.Model) -> bytes:
    """The content of a model's file, from which it can be loaded."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder, "model.keras")
        try:
            save(model, path)
            load(path)
        except Exception as error:  # a layer of theirs can raise anything
            raise InputError(
                f"--architecture: {architecture} cannot be saved and loaded again "
                f"({told(error)}); use only Keras's own layers, without Lambda, or "
                "register yours with tf_keras.saving.register_keras_serializable."
            ) from error
        return path.read_bytes()


def _lenet(input_shape, classes, filters, units, name: str) -> keras.Model:
    """Two convolutions of as many filters, a dense layer of as many units, a head."""
    image = x = keras.Input(input_shape, name="image")
    for channels in filters:
        x = layers.Conv2D(channels, 3, activation="relu")(x)
        x = layers.MaxPooling2D(2)(x)
    x = layers.Dense(units, activation="relu")(layers.Flatten()(x))
    return _with_softmax(image, layers.Dense(classes, name="logits")(x), name)


def _with_softmax(image, logits, name: str) -> keras.Model:
    softmax = layers.Activation("softmax", name="probabilities")
    return keras.Model(image, softmax(logits), name=name)


def _with_head(backbone, input_shape, classes, name) -> keras.Model:
    """The paper's head on a keras.applications network, as one flat model."""
    image = keras.Input(input_shape, name="image")
    features = backbone(
        include_top=False,
        weights=None,
        pooling="avg",
        input_tensor=image,
        input_shape=input_shape,
    ).output
    x = layers.Flatten()(features)
    x = layers.Dense(512, activation="relu")(x)
    return _with_softmax(image, layers.Dense(classes, name="logits")(x), name)


def _check(architecture, model, input_shape, classes) -> None:
    def refuse(got: str) -> InputError:
        return InputError(
            f"--architecture: {architecture} returned {got}; it must return a "
            "functional or Sequential tf_keras model that takes images [batch, "
            f"{', '.join(map(str, input_shape))}] and gives softmax [batch, "
            f"{classes}]."
        )

    if not isinstance(model, keras.Model):
        kind = f"{type(model).__module__}.{type(model).__name__}"
        raise refuse(f"a {kind}")
    if not (model.built and getattr(model, "_is_graph_network", False)):
        raise refuse("a model that is subclassed or unbuilt")
    if model.input_shape != (None, *input_shape):
        raise refuse(f"a model with input {model.input_shape}")
    if model.output_shape != (None, classes):
        raise refuse(f"a model with output {model.output_shape}")
    if not _ends_in_softmax(model.layers[-1]):
        raise refuse(
            f"a model that ends in {model.layers[-1].name}, not in a softmax over the "
            "classes"
        )


def _ends_in_softmax(layer) -> bool:
    if isinstance(layer, layers.Softmax):
        return layer.axis in (1, -1)
    return getattr(layer, "activation", None) is keras.activations.softmax


def _with_logits(model: keras.Model) -> keras.Model:
    """Splits a last `Dense(classes, activation="softmax")` into logits and softmax."""
    last = model.layers[-1]
    if isinstance(last, layers.Activation | layers.Softmax):
        return model

    def linear(layer):
        if layer is not last:
            return layer.__class__.from_config(layer.get_config())
        return layer.__class__.from_config(layer.get_config() | {"activation": None})

    clone = keras.models.clone_model(model, clone_function=linear)
    clone.set_weights(model.get_weights())  # a builder may have loaded them
    return _with_softmax(clone.inputs, clone.output, model.name)
