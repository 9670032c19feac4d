"""Runs architectures of one's own, good and bad ones.

    python tests/own_architectures.py --number=10

The good ones have to be trained, quantized, pruned and taught, the bad ones refused
before anything is trained: exit code 2, one sentence, nothing written.
"""

import argparse
import contextlib
import io
import os
import pathlib
import sys
import tempfile

import numpy as np

from kdfunc.runtime import keras, tf

layers = keras.layers


def _model(shape, classes, *between, last=None):
    """Images, flat; whatever is between; a softmax."""
    image = x = layers.Input(shape)
    for layer in between:
        x = layer(x)
    x = layers.Flatten()(x)
    for layer in last or [layers.Dense(classes), layers.Softmax()]:
        x = layer(x)
    return keras.Model(image, x)


@keras.saving.register_keras_serializable("own")
class Doubled(layers.Layer):
    """A layer that others can load."""

    def call(self, x):
        return 2 * x


class Unknown(layers.Layer):
    """A layer that nobody can load."""

    def call(self, x):
        return 2 * x


class Subclassed(keras.Model):
    """A model whose layers are known to itself alone."""

    def __init__(self, classes):
        super().__init__()
        self.last = layers.Dense(classes, activation="softmax")

    def call(self, x):
        return self.last(tf.reshape(x, [len(x), -1]))


def good_sequential(shape, classes):
    return keras.Sequential(
        [
            layers.Input(shape),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax"),
        ]
    )


def good_loaded(shape, classes):
    model = good_sequential(shape, classes)
    model.set_weights([np.full_like(array, 0.123) for array in model.get_weights()])
    return model


def good_built_sequential(shape, classes):
    model = keras.Sequential(
        [layers.Flatten(), layers.Dense(classes), layers.Activation("softmax")]
    )
    model.build((None, *shape))
    return model


def good_registered_layer(shape, classes):
    return _model(shape, classes, Doubled())


def good_batch_norm_and_dropout(shape, classes):
    return _model(
        shape,
        classes,
        *(layers.Conv2D(2, 3), layers.BatchNormalization(), layers.ReLU()),
        layers.Dropout(0.5),
    )


def good_depthwise(shape, classes):
    return _model(
        shape, classes, layers.DepthwiseConv2D(3), layers.GlobalAveragePooling2D()
    )


def good_rescaled(shape, classes):
    return _model(shape, classes, layers.Rescaling(2.0, offset=-1.0))


def good_frozen(shape, classes):
    return _model(shape, classes, layers.Conv2D(2, 3, trainable=False))


def good_regularized(shape, classes):
    return _model(shape, classes, layers.Conv2D(2, 3, kernel_regularizer="l2"))


def good_residual(shape, classes):
    image = layers.Input(shape)
    x = layers.Conv2D(shape[-1], 3, padding="same")(image)
    x = layers.Flatten()(layers.Add()([x, image]))
    return keras.Model(image, layers.Dense(classes, activation="softmax")(x))


def good_tensorflow_operations(shape, classes):
    image = layers.Input(shape)
    x = layers.Flatten()(tf.nn.relu(image * 2 - 1))
    return keras.Model(image, layers.Softmax()(layers.Dense(classes)(x)))


def good_shared_layer(shape, classes):
    image, shared = layers.Input(shape), layers.Conv2D(shape[-1], 3, padding="same")
    x = layers.Flatten()(shared(shared(image)))
    return keras.Model(image, layers.Dense(classes, activation="softmax")(x))


def good_nested_model(shape, classes):
    inner = keras.Sequential([layers.Input(shape), layers.Conv2D(2, 3)])
    return _model(shape, classes, inner)


def good_rows_in_time(shape, classes):
    rows = layers.Reshape((shape[0], shape[1] * shape[2]))
    return _model(shape, classes, rows, layers.SimpleRNN(4, unroll=True))


def bad_type_error(shape, classes):
    raise TypeError("unexpected thing")


def bad_key_error(shape, classes):
    raise KeyError("lost")


def bad_memory_error(shape, classes):
    raise MemoryError


def bad_value_error(shape, classes):
    raise ValueError


def bad_runtime_error(shape, classes):
    raise RuntimeError("boom\nwith details")


def bad_assertion(shape, classes):
    raise AssertionError


def bad_exit(shape, classes):
    sys.exit(0)


def bad_arguments():
    return None


bad_number = 5


def bad_none(shape, classes):
    return None


def bad_text(shape, classes):
    return "model"


def bad_class(shape, classes):
    return keras.Model


def bad_keras_3(shape, classes):
    import keras as keras_3

    return keras_3.Sequential([keras_3.layers.Dense(classes, activation="softmax")])


def bad_subclassed(shape, classes):
    return Subclassed(classes)


def bad_unbuilt(shape, classes):
    return keras.Sequential([layers.Flatten(), layers.Dense(classes)])


def bad_lambda(shape, classes):
    return _model(shape, classes, layers.Lambda(lambda x: 2 * x))


def bad_unregistered_layer(shape, classes):
    return _model(shape, classes, Unknown())


def bad_no_softmax(shape, classes):
    return _model(shape, classes, last=[layers.Dense(classes)])


def bad_sigmoid(shape, classes):
    return _model(shape, classes, last=[layers.Dense(classes, "sigmoid")])


def bad_softmax_over_images(shape, classes):
    return _model(shape, classes, last=[layers.Dense(classes), layers.Softmax(axis=0)])


def bad_softmax_too_early(shape, classes):
    last = [layers.Dense(classes, "softmax"), layers.ReLU()]
    return _model(shape, classes, last=last)


def bad_classes(shape, classes):
    return _model(shape, classes + 1)


def bad_one_class(shape, classes):
    return _model(shape, classes, last=[layers.Dense(1, "softmax")])


def bad_shape(shape, classes):
    return _model((9, 9, 1), classes)


def bad_any_shape(shape, classes):
    pooled = layers.GlobalAveragePooling2D()
    return _model((None, None, shape[2]), classes, layers.Conv2D(2, 3), pooled)


def bad_rank(shape, classes):
    last = [layers.Dense(classes), layers.Reshape((1, classes)), layers.Softmax()]
    return _model(shape, classes, last=last)


def bad_outputs(shape, classes):
    model = _model(shape, classes)
    return keras.Model(model.input, [model.output, model.layers[-2].output])


def bad_inputs(shape, classes):
    first, second = layers.Input(shape), layers.Input(shape)
    x = layers.Flatten()(layers.Add()([first, second]))
    softmax = layers.Dense(classes, activation="softmax")(x)
    return keras.Model([first, second], softmax)


def bad_not_a_number(shape, classes):
    model = _model(shape, classes)
    model.set_weights([weights * float("nan") for weights in model.get_weights()])
    return model


def bad_nothing_to_train(shape, classes):
    model = _model(shape, classes)
    model.trainable = False
    return model


def bad_width_by_chance(shape, classes):
    units = 5 + int.from_bytes(os.urandom(1), "big")
    return _model(shape, classes, layers.Flatten(), layers.Dense(units))


def bad_weights_by_chance(shape, classes):
    model = _model(shape, classes)
    drawn = int.from_bytes(os.urandom(4), "big") / 2**32
    model.set_weights([weights + drawn for weights in model.get_weights()])
    return model


def bad_dropout_at_work(shape, classes):
    image = layers.Input(shape)
    x = layers.Dropout(0.5)(layers.Flatten()(image), training=True)
    return keras.Model(image, layers.Dense(classes, activation="softmax")(x))


def bad_neighbours_matter(shape, classes):
    image = layers.Input(shape)
    x = layers.BatchNormalization()(layers.Flatten()(image), training=True)
    return keras.Model(image, layers.Dense(classes, activation="softmax")(x))


BUILDERS = [name for name in list(globals()) if name.startswith(("good_", "bad_"))]
ARGUMENTS = (
    "--epochs=1",
    "--independents=0",
    "--alphas=0.9",
    "--distillation_seeds=2",
    "--quantization=dynamic-range",
    "--pruning_levels=0.9",
    "--controls=",
    "--stages=train,distill,quantize,prune",
    "--workers=0",
)


def problem(builder: str, folder: pathlib.Path) -> str:
    """What is wrong with how a builder is taken; empty if nothing is."""
    from kdfunc import cli

    name = f"{pathlib.Path(__file__).stem}:{builder}"
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        arguments = [*ARGUMENTS, f"--architecture={name}", f"--output_dir={folder}"]
        try:
            code = cli.run(arguments)
        except SystemExit as stop:
            return f"ended with SystemExit {stop.code}"
    told = err.getvalue().strip()
    if builder.startswith("good_"):
        return "" if code == 0 else f"exit code {code}: {told}"
    if code != 2 or told.count("\n") or name not in told:
        return f"exit code {code}: {told[-500:]} {out.getvalue()[-500:]}"
    left = [path.name for path in folder.rglob("*")]
    return f"it wrote {left}" if left else ""


def main() -> None:
    """Tries the builders from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--number", type=int, help="how many of them (all)")
    options = parser.parse_args()
    tried = BUILDERS[:: max(1, len(BUILDERS) // (options.number or len(BUILDERS)))]
    wrong = 0
    for builder in tried:
        with tempfile.TemporaryDirectory() as folder:
            if found := problem(builder, pathlib.Path(folder)):
                wrong += 1
                print(f"{builder}: {found}", flush=True)
    good = sum(builder.startswith("good_") for builder in tried)
    print(
        f"{good} good and {len(tried) - good} bad architectures, {wrong} not taken as "
        "they should be."
    )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
