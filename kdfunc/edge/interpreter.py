"""A `.tflite` file run by the interpreter at hand.

Predictions do not depend on how many images are predicted at once. With XNNPACK, which
the interpreters of ai-edge-litert and TensorFlow use by themselves, batches and any
number of threads give the bits that single images give. The built-in kernels add up the
products of one row in another order than those of several, and the last digits of
floating-point results differ (by up to 3e-8 on LeNet); they run what XNNPACK does not
take, such as weights that are dequantized from int4. So the first batch is held against
single images, and where the bits differ, images go in one at a time. A file that fixes
its batch at another size gets batches of that size, the last filled up.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

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
    """A model that is ready to run.

    Args:
      model: content of a `.tflite` file, or its path.
      threads: of the interpreter.

    Raises:
      InputError: here and in the methods: no TFLite model, damaged, or the interpreter
        cannot run it.
    """

    def __init__(self, model: bytes | str | os.PathLike, threads: int = 1):
        self._name = read(model).name
        kind = "model_content" if isinstance(model, bytes) else "model_path"
        self._given = {kind: model, "num_threads": threads}
        self._load()
        self._has_xnnpack = True
        self._batches_are_exact = None  # not known yet
        self._block = 1  # images that go in together where batches are not exact

    def predict(self, images: np.ndarray) -> np.ndarray:
        """The outputs for a batch of images, of a model of one input and one output.

        Args:
          images: `[n, ...]` uint8, which is divided by 255, or floating point. They are
            quantized with the input's scale and zero point; a uint8 input that has
            none takes uint8 images as they are.

        Returns:
          `[n, ...]` float32; integer outputs are dequantized.

        Raises:
          InputError: the model is not of that kind, or takes other images.
        """
        if not self._has_one_each:
            raise InputError(
                f"{self._name} {self._sides}; give a model with one of each."
            )
        check_images(images, self._signature[1:], self._name)
        batch = self._quantized(images)
        if len(batch) > 1 and self._batches_are_exact is not False:
            with contextlib.suppress(RuntimeError, ValueError):  # if it fixes the batch
                outputs = self._run(batch)
                if self._batches_are_exact is None:
                    singles = self._run_in_blocks(batch[:CHECKED])
                    same = np.array_equal(outputs[:CHECKED], singles, equal_nan=True)
                    self._batches_are_exact = same
                if self._batches_are_exact:
                    return outputs
            self._batches_are_exact = False
        return self._run_in_blocks(batch)

    def random_run(self, batch_size: int) -> Callable[[], Any]:
        """What is to be timed: the prediction of random images.

        A model that `predict` does not take gets inputs of the sizes in its file:
        random numbers, zeros where they are no floats.

        Raises:
          InputError: a batch of several images for such a model.
        """
        rng = np.random.default_rng(0)
        if self._has_one_each and self._takes_images:
            shape = (batch_size, *np.maximum(self._sources[0]["shape"][1:], 1))
            if self._takes_bytes:
                images = rng.integers(256, size=shape, dtype=np.uint8)
            else:
                images = rng.random(shape, np.float32)
            return partial(self.predict, images)
        if batch_size > 1:
            raise InputError(
                f"{self._name} {self._sides} and is run as it is, without a batch of "
                f"{batch_size}; give --batch-sizes=1."
            )
        inputs = []
        for source in self._sources:
            shape, dtype = np.maximum(source["shape"], 1), np.dtype(source["dtype"])
            values = rng.random(shape) if dtype.kind == "f" else np.zeros(shape)
            inputs.append(np.asarray(values, dtype))
        return partial(self._with_any_kernels, partial(self._invoke, inputs))

    def _load(self, **options) -> None:
        """Makes the interpreter, which then has no tensors yet."""
        try:
            self._interpreter = interpreter_class()(**self._given, **options)
            self._sources = self._interpreter.get_input_details()
            self._sinks = self._interpreter.get_output_details()
        except (RuntimeError, ValueError) as error:
            raise self._refusal(error) from error
        self._allocated = None

    @property
    def _has_one_each(self) -> bool:
        return len(self._sources) == len(self._sinks) == 1

    @property
    def _sides(self) -> str:
        return f"has {len(self._sources)} inputs and {len(self._sinks)} outputs"

    @property
    def _signature(self) -> tuple[int, ...]:
        source = self._sources[0]
        return tuple(source.get("shape_signature", source["shape"]).tolist())

    @property
    def _takes_bytes(self) -> bool:
        source = self._sources[0]
        return source["dtype"] == np.uint8 and not source["quantization"][0]

    @property
    def _takes_images(self) -> bool:
        source = self._sources[0]
        is_float = np.dtype(source["dtype"]).kind == "f"
        return is_float or self._takes_bytes or bool(source["quantization"][0])

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

    def _run_in_blocks(self, batch: np.ndarray) -> np.ndarray:
        """Runs images one at a time, or as many together as the file insists on."""

        def run() -> np.ndarray:
            return np.concatenate(
                [
                    self._run_block(batch[start : start + self._block])
                    for start in range(0, len(batch), self._block)
                ]
            )

        if self._signature[:1] > (self._block,):
            with contextlib.suppress(RuntimeError, ValueError):
                return run()
            self._block = self._signature[0]
        return self._with_any_kernels(run)

    def _run_block(self, block: np.ndarray) -> np.ndarray:
        if len(block) == self._block:
            return self._run(block)
        full = np.resize(block, (self._block, *block.shape[1:]))  # repeats the images
        return self._run(full)[: len(block)]

    def _with_any_kernels(self, run: Callable[[], Any]) -> Any:
        """Runs with XNNPACK, or without it from now on where it refuses the model.

        The built-in kernels run some that it does not, such as dynamic range with
        sparse weights.
        """
        try:
            return run()
        except (RuntimeError, ValueError) as error:
            if not self._has_xnnpack:
                raise self._refusal(error) from error
        self._has_xnnpack = False
        module = sys.modules[type(self._interpreter).__module__]
        kernels = module.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        self._load(experimental_op_resolver_type=kernels)
        return self._with_any_kernels(run)

    def _run(self, batch: np.ndarray) -> np.ndarray:
        (output,) = self._invoke([batch])
        if output.shape[:1] != batch.shape[:1]:
            raise ValueError(f"{len(batch)} images gave outputs {output.shape}")
        scale, zero_point = self._sinks[0]["quantization"]
        if scale and output.dtype.kind in "iu":
            return (output.astype(np.float32) - zero_point) * np.float32(scale)
        return output.astype(np.float32, copy=False)

    def _invoke(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        shapes = [values.shape for values in inputs]
        if shapes != self._allocated:
            self._allocated = None
            for source, shape in zip(self._sources, shapes, strict=True):
                self._interpreter.resize_tensor_input(source["index"], shape)
            with quiet_stderr():  # XNNPACK announces itself
                self._interpreter.allocate_tensors()
            self._allocated = shapes
        for source, values in zip(self._sources, inputs, strict=True):
            self._interpreter.set_tensor(source["index"], values)
        self._interpreter.invoke()
        return [self._interpreter.get_tensor(sink["index"]) for sink in self._sinks]

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
