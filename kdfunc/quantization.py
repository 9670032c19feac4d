"""Post-training quantization through the TFLite converter, a mode at a time."""

from kdfunc.runtime import keras, quiet_stderr, tf


def convert(model: keras.Model, mode: str) -> bytes:
    """The content of a `.tflite` file.

    Args:
      model: Keras 2 model.
      mode: `float16` ("16-bit" in the paper: weights as float16) or `int8` ("8-bit":
        dynamic range, weights as int8, no representative data).

    Raises:
      KeyError: no such mode.
    """
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.target_spec.supported_types = {"float16": [tf.float16], "int8": []}[mode]
    with quiet_stderr():
        return converter.convert()
