"""Keras models and SavedModels, where TensorFlow is installed."""

import json
import os
import pathlib
import zipfile
from collections.abc import Callable
from functools import partial

import numpy as np

from kdfunc import machine
from kdfunc.edge.interpreter import as_floats, check_images
from kdfunc.errors import InputError


class Network:
    """A model of one input, images, and one output, run by TensorFlow.

    Has the methods of `kdfunc.edge.interpreter.Model`.

    Args:
      path: of a `.keras` file or of a folder with a SavedModel.
      threads: of TensorFlow.

    Raises:
      InputError: there is no TensorFlow, the model cannot be loaded, or it is not
        one of images.
    """

    def __init__(self, path: str | os.PathLike, threads: int = 1):
        self._name = os.fspath(path)
        try:
            load = _saved_model if pathlib.Path(path).is_dir() else _keras
            self._call, shape = load(self._name, threads)
        except ImportError as error:
            missing = error.name or "TensorFlow"
            raise InputError(
                f"{path} needs {missing}, which is not installed here; pip install "
                "tensorflow tf_keras, or give a .tflite file."
            ) from error
        except InputError:
            raise
        except Exception as error:  # loaders raise many kinds
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise InputError(
                f"{path} cannot be loaded ({lines[0][:200]}); give a .keras file, the "
                "folder of a SavedModel or a .tflite file."
            ) from error
        self._shape = tuple(-1 if size is None else size for size in shape[1:])

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The outputs for a batch of images.

        Args:
          images: `[n, ...]` uint8, which is divided by 255, or floating point.

        Returns:
          `[n, ...]` float32.
        """
        check_images(images, self._shape, self._name)
        return np.asarray(self._call(as_floats(images)), np.float32)

    def random_run(self, batch_size: int) -> Callable[[], np.ndarray]:
        """What is to be timed: the prediction of random images."""
        shape = (batch_size, *np.maximum(self._shape, 1))
        images = np.random.default_rng(0).random(shape, np.float32)
        return partial(self.predict, images)


def _tensorflow(threads: int):
    machine.prefer_onednn()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    return tf


def _keras(path: str, threads: int):
    with zipfile.ZipFile(path) as archive:
        version = json.loads(archive.read("metadata.json"))["keras_version"]
    tf = _tensorflow(threads)
    if version.startswith("2."):
        import tf_keras as keras
    else:
        import keras
    model = keras.models.load_model(path, compile=False)
    if len(model.inputs) != 1 or len(model.outputs) != 1:
        raise InputError(
            f"{path} has {len(model.inputs)} inputs and {len(model.outputs)} outputs; "
            "give a model with one of each."
        )
    return tf.function(lambda x: model(x, training=False)), model.inputs[0].shape


def _saved_model(path: str, threads: int):
    tf = _tensorflow(threads)
    loaded = tf.saved_model.load(path)
    signature = loaded.signatures["serving_default"]
    inputs = signature.structured_input_signature[1]
    outputs = signature.structured_outputs
    if len(inputs) != 1 or len(outputs) != 1:
        raise InputError(
            f"{path} has {len(inputs)} inputs and {len(outputs)} outputs; give a model "
            "with one of each."
        )
    ((source, spec),), (sink,) = inputs.items(), outputs

    def call(images):
        return signature(**{source: tf.constant(images, spec.dtype)})[sink]

    call.model = loaded  # whose variables live as long as this
    return call, spec.shape
