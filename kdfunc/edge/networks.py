"""Keras models and SavedModels, if TensorFlow is installed."""

import contextlib
import os
import pathlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from kdfunc import keras_files, machine, system
from kdfunc.edge.examples import bind, fits, random_values, shapes_of
from kdfunc.edge.metadata import Described
from kdfunc.edge.ports import ANY, Port, different
from kdfunc.edge.preparing import Preparation
from kdfunc.edge.settings import Settings
from kdfunc.errors import InputError, first_line
from kdfunc.text import count


class Network:
    """A model run by TensorFlow.

    Has `run`, `told` and `random_run`, as `kdfunc.edge.Model` does.

    Args:
      path: of a `.keras` file or the folder of a SavedModel.
      settings: how it is run; batch size, kernels and delegates are TensorFlow's.

    Raises:
      InputError: TensorFlow is not installed, or the model cannot be loaded.
    """

    def __init__(self, path: str | os.PathLike, settings: Settings | None = None):
        self._settings = settings or Settings()
        self._name = os.fspath(path)
        try:
            load = _saved_model if pathlib.Path(path).is_dir() else _keras
            self._call, self.inputs, self.outputs = load(self._name, self._settings)
        except ImportError as error:
            missing = error.name or "TensorFlow"
            raise InputError(
                f"{path} needs {missing}, which is not installed; run pip install "
                "tensorflow tf_keras, or give a .tflite file."
            ) from error
        except InputError:
            raise
        except Exception as error:  # loaders raise many kinds
            raise InputError(
                f"{path} cannot be loaded ({first_line(error)[:200]}); give a .keras "
                "file, the folder of a SavedModel or a .tflite file."
            ) from error
        # Of an example, by the input's name, once there was one.
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._preparations = [
            Preparation(port, self._settings, Described(), None, self._name)
            for port in self.inputs
        ]

    def run(
        self, examples: np.ndarray | Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """All outputs for a batch of examples; see `kdfunc.edge.Model.run`.

        Args:
          examples: `[n, ...]`, or one such array per input by its name.
        """
        arrays = bind(examples, self.inputs, self._name)
        for values, port in zip(arrays, self.inputs, strict=True):
            fits(values.shape, port, self._name)
        self._shapes = shapes_of(arrays, self.inputs)
        prepared = [
            prepare(values)
            for prepare, values in zip(self._preparations, arrays, strict=True)
        ]
        found = self._outputs(prepared)
        return {
            port.name: port.dequantized(values)
            for port, values in zip(self.outputs, found, strict=True)
        }

    def told(self) -> dict[str, Any]:
        """How it is run; see `kdfunc.edge.Model.told`."""
        import tensorflow as tf

        threads = tf.config.threading.get_intra_op_parallelism_threads()
        threads = threads or system.processors()  # 0 is one per core
        return {
            "signature": self._settings.signature,
            "inputs": {
                port.name: prepared.told
                for port, prepared in zip(self.inputs, self._preparations, strict=True)
            },
            "how": f"TensorFlow, {count(threads, 'thread')}",
            "threads": threads,
            "kernels": "TensorFlow",
            "delegates": None,
            "operators": None,
            "state": False,
            "alone": False,
            "notes": [note for each in self._preparations for note in each.notes()],
        }

    def random_run(self, batch_size: int) -> Callable[[], Any]:
        """A run to be timed, with random examples; see `kdfunc.edge.Model.random_run`.

        Args:
          batch_size: examples per run.
        """
        rng = np.random.default_rng(0)
        examples = {}
        for port in self.inputs:
            shape = self._shapes.get(port.name, np.maximum(port.shape[1:], 1))
            examples[port.name] = random_values(rng, port, (batch_size, *shape))
        return partial(self.run, examples)

    def _outputs(self, prepared: Sequence[np.ndarray]) -> list[np.ndarray]:
        """All outputs; a fixed batch is filled, the last one by repetition."""
        size = max((port.shape[0] for port in self.inputs if port.shape), default=ANY)
        if size == ANY:
            return [np.asarray(output) for output in self._call(prepared)]
        count = len(prepared[0])
        parts = []
        for start in range(0, count, size):
            batch = [values[start : start + size] for values in prepared]
            batch = [np.resize(values, (size, *values.shape[1:])) for values in batch]
            parts.append(self._call(batch))
        return [np.concatenate(each)[:count] for each in zip(*parts, strict=True)]


def _tensorflow(settings: Settings):
    machine.prefer_onednn()
    import tensorflow as tf

    with contextlib.suppress(RuntimeError):  # raised where it is running already
        tf.config.threading.set_intra_op_parallelism_threads(settings.threads)
    return tf


def _keras(path: str, settings: Settings):
    if settings.signature:
        raise InputError(
            f"{path} is a Keras model, which has no signatures; omit --signature."
        )
    version = keras_files.check(path)
    tf = _tensorflow(settings)
    if version.startswith("2."):
        import tf_keras as keras
    else:
        import keras
    model = keras.models.load_model(path, compile=False)
    names = list(getattr(model, "output_names", ()))
    if len(names) != len(model.outputs):
        names = [f"output_{i}" for i in range(len(model.outputs))]
    outputs = _ports(getattr(model, "output", None), model.outputs, names)
    names = [tensor.name.partition(":")[0] for tensor in model.inputs]
    given = getattr(model, "input", None)
    inputs = _ports(given, model.inputs, names)

    @tf.function
    def call(arrays):
        if isinstance(given, Mapping):
            examples = {port.name: x for port, x in zip(inputs, arrays, strict=True)}
        else:
            examples = arrays[0] if len(arrays) == 1 else list(arrays)
        found = model(examples, training=False)
        if isinstance(found, Mapping):
            return [found[port.name] for port in outputs]
        return found if isinstance(found, list | tuple) else [found]

    return call, inputs, outputs


def _ports(structure: Any, tensors: Sequence[Any], names: Sequence[str]) -> list[Port]:
    """A Keras model's inputs or outputs, by a dictionary's keys or else these names.

    Args:
      structure: As the model was defined; None if unknown.
      tensors: All of them.
      names: Of each; several may be outputs of one layer.
    """
    if isinstance(structure, Mapping):
        return [_port(name, tensor) for name, tensor in structure.items()]
    return [_port(*each) for each in zip(different(names), tensors, strict=True)]


def _saved_model(path: str, settings: Settings):
    tf = _tensorflow(settings)
    loaded = tf.saved_model.load(path)
    wanted = settings.signature or "serving_default"
    if wanted not in loaded.signatures:
        raise InputError(
            f"{path} has no signature {wanted!r}; choose one with --signature from "
            f"{', '.join(loaded.signatures) or 'none'}."
        )
    signature = loaded.signatures[wanted]
    given = signature.structured_input_signature[1]
    inputs = [_port(name, spec) for name, spec in given.items()]
    outputs = [_port(name, x) for name, x in signature.structured_outputs.items()]

    # The variables of the model live as long as this function.
    def call(arrays: Sequence[np.ndarray], model: Any = loaded):
        tensors = {
            port.name: tf.constant(values)
            for port, values in zip(inputs, arrays, strict=True)
        }
        found = signature(**tensors)
        return [found[port.name] for port in outputs]

    return call, inputs, outputs


def _port(name: str, spec) -> Port:
    shape = tuple(-1 if size is None else int(size) for size in spec.shape)
    dtype = spec.dtype if isinstance(spec.dtype, str) else spec.dtype.name
    return Port(name, shape, dtype)
