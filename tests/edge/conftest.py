import types

import numpy as np
import pytest

from kdfunc.edge import inspect


@pytest.fixture(scope="session")
def convert(tensorflow):
    """A function: content of the `.tflite` file of a Keras model."""

    def to_tflite(model, mode, images=None):
        converter = tensorflow.lite.TFLiteConverter.from_keras_model(model)
        sets = tensorflow.lite.OpsSet
        if mode != "float32":
            converter.optimizations = [tensorflow.lite.Optimize.DEFAULT]
        if mode == "float16":
            converter.target_spec.supported_types = [tensorflow.float16]
        if mode in ("full", "full_float", "int16x8"):
            converter.representative_dataset = lambda: ([x[None]] for x in images[:50])
        if mode == "full":
            converter.inference_input_type = tensorflow.int8
            converter.inference_output_type = tensorflow.int8
        if mode == "int16x8":
            converter.target_spec.supported_ops = [
                sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8
            ]
        return converter.convert()

    return to_tflite


@pytest.fixture(scope="session")
def lenet(tensorflow, digits, convert, tmp_path_factory):
    """LeNet on digits in every form: paths by name, images as floats, and labels."""
    from kdfunc import models, pruning, quantization
    from kdfunc.runtime import keras

    folder = tmp_path_factory.mktemp("lenet")
    images = digits.test_images.astype(np.float32) / 255
    labels = np.asarray(digits.test_labels)
    labels = labels.argmax(axis=1) if labels.ndim == 2 else labels
    paths = {}

    def trained(seed, epochs):
        model = models.build("lenet", images.shape[1:], 10, seed)
        model.compile(keras.optimizers.legacy.Adam(), "sparse_categorical_crossentropy")
        model.fit(images, labels, epochs=epochs, verbose=0)
        return model

    def write(name, content):
        paths[name] = folder / f"{name}.tflite"
        paths[name].write_bytes(content)

    model = trained(0, epochs=3)
    for mode in ("float32", "float16", "dynamic", "full", "full_float", "int16x8"):
        write(mode, convert(model, mode, images))
    write("int4", quantization.convert(model, "int4"))
    pruned = pruning.prune(model, 0.9, "kernels")
    write("sparse", quantization.convert(pruned, "dynamic-range", sparse=True))
    paths["keras"], paths["saved"] = folder / "base.keras", folder / "saved"
    models.save(model, paths["keras"])
    model.save(paths["saved"], save_format="tf")
    logits = keras.Model(model.inputs, models.logits_of(model))
    write("logits", convert(logits, "float32"))
    write("other", convert(trained(1, epochs=1), "float32"))
    paths["data"] = folder / "images.npz"
    np.savez_compressed(
        paths["data"], images=digits.test_images, labels=labels.astype(np.int64)
    )
    paths["unlabelled"] = folder / "images.npy"
    np.save(paths["unlabelled"], digits.test_images)
    return types.SimpleNamespace(images=images, labels=labels, **paths)


@pytest.fixture(scope="session")
def described(lenet):
    """What `inspect` says of each form."""
    modes = ("float32", "float16", "dynamic", "full", "full_float", "int16x8")
    modes += ("int4", "sparse")
    return {mode: inspect(getattr(lenet, mode)) for mode in modes}
