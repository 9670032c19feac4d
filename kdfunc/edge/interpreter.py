"""A `.tflite` file run by the interpreter at hand.

Predictions do not depend on how many images are predicted at once. With XNNPACK, which
the interpreters of ai-edge-litert and TensorFlow use by themselves, batches and any
number of threads give the bits that single images give. The built-in kernels add up the
products of one row in another order than those of several, and the last digits of
floating-point results differ (by up to 3e-8 on LeNet); they run what XNNPACK does not
take, such as weights that are dequantized from int4. So the first batch is held against
single images, and where the bits differ, images go in one at a time.
"""

import contextlib
import os
import sys

import numpy as np

from kdfunc.edge.reading import read
from kdfunc.errors import InputError
from kdfunc.quiet import quiet_stderr

CHECKED = 16  # images of the first batch that are run one at a time as well


def interpreter_class() -> type:
    """The first interpreter that is installed.

    Raises:
      InputError: none is.
    """
    with contextlib.suppress(ImportError):
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter
    with contextlib.suppress(ImportError):
        from tflite_runtime.interpreter import Interpreter

        return Interpreter
    with contextlib.suppress(ImportError):
        import tensorflow as tf

        return tf.lite.Interpreter
    raise InputError(
        "there is nothing here that runs TFLite models; install one with pip install "
        "ai-edge-litert."
    )


def as_floats(images: np.ndarray) -> np.ndarray:
    """Images as float32: uint8 is divided by 255, floats are taken as they are.

    Raises:
      InputError: another type.
    """
    if images.dtype == np.uint8:
        return images.astype(np.float32) / 255
    if images.dtype.kind == "f":
        return images.astype(np.float32, copy=False)
    raise InputError(
        f"images are of type {images.dtype}; give uint8, which is divided by 255, or "
        "floating point, which is taken as it is."
    )


def check_images(images: np.ndarray, shape: tuple[int, ...], name: str) -> None:
    """Checks that images are what a model takes.

    Args:
      images: any array.
      shape: of one image; -1 where any size will do.
      name: the model's, for the error.

    Raises:
      InputError: other shapes, or no images.
    """
    if len(images) == 0:
        raise InputError("there are no images; give at least one.")
    given = images.shape[1:]
    if len(given) != len(shape) or any(
        there not in (-1, here) for here, there in zip(given, shape, strict=True)
    ):
        wanted = ", ".join("any" if size < 0 else str(size) for size in shape)
        raise InputError(
            f"images have shape {list(images.shape)} and {name} takes [n, {wanted}]; "
            "give images of that shape."
        )


class Model:
    """A model of one input, images, and one output, which is ready to run.

    Args:
      model: content of a `.tflite` file, or its path.
      threads: of the interpreter.

    Raises:
      InputError: here and in `predict`: no TFLite model, damaged, with several inputs
        or outputs or types that are no images, or the interpreter cannot run it.
    """

    def __init__(self, model: bytes | str | os.PathLike, threads: int = 1):
        self._name = read(model).name
        kind = "model_content" if isinstance(model, bytes) else "model_path"
        self._given = {kind: model, "num_threads": threads}
        self._load()
        if len(self._sources) != 1 or len(self._sinks) != 1:
            raise InputError(
                f"{self._name} has {len(self._sources)} inputs and {len(self._sinks)} "
                "outputs; give a model with one of each."
            )
        self._has_xnnpack = True
        self._batches_are_exact = None  # not known yet

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The outputs for a batch of images.

        Args:
          images: `[n, ...]` uint8, which is divided by 255, or floating point. They are
            quantized with the input's scale and zero point; a uint8 input that has
            none takes uint8 images as they are.

        Returns:
          `[n, ...]` float32; integer outputs are dequantized.
        """
        source = self._sources[0]
        signature = source.get("shape_signature", source["shape"])
        check_images(images, tuple(signature[1:].tolist()), self._name)
        batch = self._quantized(images)
        if len(batch) > 1 and self._batches_are_exact is not False:
            with contextlib.suppress(RuntimeError, ValueError):  # if it fixes the batch
                outputs = self._run(batch)
                if self._batches_are_exact is None:
                    singles = self._run_singly(batch[:CHECKED])
                    same = np.array_equal(outputs[:CHECKED], singles, equal_nan=True)
                    self._batches_are_exact = same
                if self._batches_are_exact:
                    return outputs
            self._batches_are_exact = False
        return self._run_singly(batch)

    def random_images(self, count: int) -> np.ndarray:
        """Images for timing, `[count, ...]` uniform float32, or uint8 where needed."""
        rng = np.random.default_rng(0)
        shape = (count, *np.maximum(self._sources[0]["shape"][1:], 1))
        if self._takes_bytes:
            return rng.integers(256, size=shape, dtype=np.uint8)
        return rng.random(shape, np.float32)

    def _load(self, **options) -> None:
        """Makes the interpreter, which then has no tensors yet."""
        try:
            self._interpreter = interpreter_class()(**self._given, **options)
            self._sources = self._interpreter.get_input_details()
            self._sinks = self._interpreter.get_output_details()
        except (RuntimeError, ValueError) as error:
            raise self._refusal(error) from error
        self._allocated = 0

    @property
    def _takes_bytes(self) -> bool:
        source = self._sources[0]
        return source["dtype"] == np.uint8 and not source["quantization"][0]

    def _quantized(self, images: np.ndarray) -> np.ndarray:
        if self._takes_bytes and images.dtype == np.uint8:
            return images
        dtype = self._sources[0]["dtype"]
        scale, zero_point = self._sources[0]["quantization"]
        images = as_floats(images)
        if np.dtype(dtype).kind == "f":
            return images.astype(dtype, copy=False)
        if not scale:
            raise InputError(
                f"{self._name} takes {np.dtype(dtype).name} without a scale, which "
                "is no image; give a model that takes floats, quantized integers or "
                "uint8 (and uint8 images to the last)."
            )
        limits = np.iinfo(dtype)
        codes = np.rint(images / scale) + zero_point
        return codes.clip(limits.min, limits.max).astype(dtype)

    def _run_singly(self, batch: np.ndarray) -> np.ndarray:
        try:
            return np.concatenate([self._run(image[None]) for image in batch])
        except (RuntimeError, ValueError) as error:
            if not self._has_xnnpack:
                raise self._refusal(error) from error
        # XNNPACK refuses some models that the built-in kernels run, such as dynamic
        # range with sparse weights.
        self._has_xnnpack = False
        module = sys.modules[type(self._interpreter).__module__]
        kernels = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self._load(experimental_op_resolver_type=kernels)
        return self._run_singly(batch)

    def _run(self, batch: np.ndarray) -> np.ndarray:
        index = self._sources[0]["index"]
        if len(batch) != self._allocated:
            self._allocated = 0
            self._interpreter.resize_tensor_input(index, batch.shape)
            with quiet_stderr():  # XNNPACK announces itself
                self._interpreter.allocate_tensors()
            self._allocated = len(batch)
        self._interpreter.set_tensor(index, batch)
        self._interpreter.invoke()
        output = self._interpreter.get_tensor(self._sinks[0]["index"])
        if output.shape[:1] != batch.shape[:1]:
            raise ValueError(f"{len(batch)} images gave outputs {output.shape}")
        scale, zero_point = self._sinks[0]["quantization"]
        if scale and output.dtype.kind in "iu":
            return (output.astype(np.float32) - zero_point) * np.float32(scale)
        return output.astype(np.float32, copy=False)

    def _refusal(self, error: Exception) -> InputError:
        reason = " ".join(str(error).split()).rstrip(".") or "no reason given"
        return InputError(
            f"{self._name} cannot be run by the interpreter here ({reason}); it may be "
            "damaged or need another version, custom operators or more memory."
        )


def predict(
    model: bytes | str | os.PathLike,
    images: np.ndarray,
    batch_size: int = 100,
    threads: int = 1,
) -> np.ndarray:
    """The model's outputs for many images, a batch at a time, in this process.

    Args:
      model: content of a `.tflite` file, or its path.
      images: `[n, ...]`, as `Model.predict` takes them; may be memory-mapped.
      batch_size: images an invocation.
      threads: threads of the interpreter.

    Returns:
      `[n, classes]` float32, equal to predicting the images one at a time.

    Raises:
      InputError: no such file, no TFLite model, or one that cannot be run on them.
    """
    loaded = Model(model, threads)
    outputs = [
        loaded.predict(images[start : start + batch_size])
        for start in range(0, max(len(images), 1), batch_size)
    ]
    return np.concatenate(outputs)
