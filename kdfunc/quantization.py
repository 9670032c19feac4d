"""TFLite files in every numeric format, and the reason if one cannot be made."""

import contextlib
import io
from collections.abc import Iterator
from importlib import metadata

import numpy as np

from kdfunc.catalog import FORMATS
from kdfunc.errors import InputError, NotPossible, refuse_unknown
from kdfunc.lazy import named
from kdfunc.quiet import quiet_stderr
from kdfunc.runtime import keras, tf

from tensorflow.lite.python.convert_phase import ConverterError

#: What libraries raise when they are given a model that they do not support.
_REFUSALS = (ValueError, RuntimeError, ConverterError, tf.errors.InvalidArgumentError)


@contextlib.contextmanager
def limits_of(package: str) -> Iterator[None]:
    """Turns a library's refusal into `NotPossible`, with its name and message.

    Put it around calls with a model that the library may not support. Other errors,
    such as wrong calls or lack of memory, pass through.

    Args:
      package: the library's name in pip.
    """
    try:
        yield
    except _REFUSALS as error:
        reason = str(error)
        if isinstance(error, ConverterError):  # which tells the whole call stack first
            reason = reason.partition("error: ")[2].partition("\n")[0] or reason
        reason = " ".join(reason.split()).rstrip(".") or type(error).__name__
        version = metadata.version(package)
        raise NotPossible(f"{package} {version}: {reason[:300]}") from error


def convert(
    model: keras.Model,
    mode: str,
    representative: np.ndarray | None = None,
    sparse: bool = False,
) -> bytes:
    """The content of a `.tflite` file.

    | mode | weights | activations | in and out |
    | --- | --- | --- | --- |
    | `float32` | float32 | float32 | float32 |
    | `float16` ("16-bit" in the paper) | float16 | float32 | float32 |
    | `dynamic-range` ("8-bit" there) | int8 | float32, int8 in operators | float32 |
    | `full-int8` | int8 | int8 | int8 |
    | `int16x8` | int8 | int16 | int16 |
    | `int4` (ai-edge-quantizer) | int4 | float32, int8 in operators | float32 |

    Args:
      model: of tf_keras or Keras 3.
      mode: one of `catalog.FORMATS`.
      representative: `[n, ...]` float32 images from which `full-int8` and `int16x8`
        learn the ranges of the activations.
      sparse: whether to store the zeros of kernels as indices of the others. The
        converter does so where it saves space in float32; other kernels stay dense.

    Raises:
      InputError: there is no such mode, no model, or there are no images to calibrate
        with.
      NotPossible: a library cannot do it with this model.
    """
    refuse_unknown("mode", mode, FORMATS)
    if not (hasattr(model, "inputs") and callable(model)):
        raise InputError(
            f"model: got {type(model).__name__}; give a model of tf_keras or Keras 3."
        )
    if FORMATS[mode].calibrated:
        _check_representative(model, mode, representative)
    return named(FORMATS[mode].makes)(model, representative, sparse)


def float32(model, representative, sparse) -> bytes:
    """Weights unchanged; see `convert`.

    Args:
      model: the model.
      representative: `[n, ...]` images; not needed here.
      sparse: whether zeros are omitted from the file where TFLite supports it.
    """
    return _converted(_converter(model, sparse, optimize=False))


def float16(model, representative, sparse) -> bytes:
    """Weights rounded to float16; see `convert`.

    Args:
      model: the model.
      representative: `[n, ...]` images; not needed here.
      sparse: whether zeros are omitted from the file where TFLite supports it.
    """
    converter = _converter(model, sparse)
    converter.target_spec.supported_types = [tf.float16]
    return _converted(converter)


def dynamic_range(model, representative, sparse) -> bytes:
    """Weights as int8, activations scaled at run time; see `convert`.

    Args:
      model: the model.
      representative: `[n, ...]` images; not needed here.
      sparse: whether zeros are omitted from the file where TFLite supports it.
    """
    return _converted(_converter(model, sparse))


def full_int8(model, representative, sparse) -> bytes:
    """Weights and activations as int8; see `convert`.

    Args:
      model: the model.
      representative: `[n, ...]` training images, which set the ranges of activations.
      sparse: whether zeros are omitted from the file where TFLite supports it.
    """
    ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    return _integer(_converter(model, sparse), representative, ops, tf.int8)


def int16x8(model, representative, sparse) -> bytes:
    """Weights as int8, activations as int16; see `convert`.

    Args:
      model: the model.
      representative: `[n, ...]` training images, which set the ranges of activations.
      sparse: whether zeros are omitted from the file where TFLite supports it.
    """
    if sparse:
        # Seen with LeNet, MobileNet and ResNet-50.
        raise NotPossible(
            f"tensorflow {tf.__version__}: the converter gives sparse int16x8 models "
            "biases of a type that the interpreter refuses, or of a wrong scale"
        )
    sets = tf.lite.OpsSet
    ops = [sets.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]
    return _integer(_converter(model, sparse), representative, ops, tf.int16)


def int4(model, representative, sparse) -> bytes:
    """Weights as int4, by ai-edge-quantizer; see `convert`.

    Args:
      model: the model.
      representative: `[n, ...]` images; not needed here.
      sparse: whether zeros are omitted from the file where TFLite supports it.
    """
    from ai_edge_quantizer import quantizer, recipe

    content = float32(model, representative, sparse)
    with (
        quiet_stderr(),
        limits_of("ai-edge-quantizer"),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        tool = quantizer.Quantizer(bytearray(content), recipe.dynamic_wi4_afp32())
        return bytes(tool.quantize().quantized_model)


def _check_representative(model, mode: str, images) -> None:
    wanted = tuple(getattr(model, "input_shape", None) or ())
    told = f"give float32 images [n, {', '.join(map(str, wanted[1:]))}] to calibrate"
    if images is None or np.size(images) == 0:
        raise InputError(f"representative: {mode} needs images; {told} with.")
    shape = np.shape(images)
    if wanted and not (
        len(shape) == len(wanted)
        and all(b in (None, a) for a, b in zip(shape[1:], wanted[1:], strict=True))
    ):
        raise InputError(f"representative: got shape {list(shape)}; {told} with.")


def _converter(model, sparse: bool, optimize: bool = True):
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    wanted = tf.lite.Optimize
    converter.optimizations = [wanted.DEFAULT] if optimize else []
    if sparse:
        converter.optimizations += [wanted.EXPERIMENTAL_SPARSITY]
    return converter


def _integer(converter, representative, ops, dtype) -> bytes:
    converter.target_spec.supported_ops = ops
    converter.inference_input_type = converter.inference_output_type = dtype
    converter.representative_dataset = lambda: ([i[None]] for i in representative)
    return _converted(converter)


def _converted(converter) -> bytes:
    with (
        quiet_stderr(),
        limits_of("tensorflow"),
        contextlib.redirect_stdout(io.StringIO()),  # where Keras 3 tells its exports
    ):
        return converter.convert()
