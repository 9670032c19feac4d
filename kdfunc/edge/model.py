"""Runs a `.tflite` file with the installed interpreter.

Outputs depend neither on how many examples are run at once nor on their order. With
XNNPACK, which the interpreters of ai-edge-litert and TensorFlow use by default, batches
and any number of threads give the same bits as single examples. The built-in kernels
run what XNNPACK does not support, such as weights that are dequantized from int4. They
sum the products of a single row in a different order from those of several, so the last
digits of floating-point results differ (by up to 3e-8 on LeNet). So the first batch is
compared with single examples, and if the bits differ, examples are run one at a time. A
file with a fixed batch size gets batches of that size, the last one padded. A model
that keeps a state gets one example at a time, from a fresh state.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from kdfunc.edge.examples import (
    bind,
    fits,
    joined,
    only,
    random_values,
    shapes_of,
)
from kdfunc.edge.interpreter import REFUSED, Interpreter
from kdfunc.edge.metadata import Described, metadata_of
from kdfunc.edge.ports import entry_of
from kdfunc.edge.preparing import Preparation
from kdfunc.edge.ranges import likely_range
from kdfunc.edge.reading import read
from kdfunc.edge.settings import Settings
from kdfunc.errors import InputError

CHECKED = 16  # examples of the first batch that are run one at a time as well


class Model:
    """A model that is ready to run.

    Args:
      model: content of a `.tflite` file, or its path.
      settings: how it is run.

    Attributes:
      inputs: its inputs, in order.
      outputs: its outputs, in order.

    Raises:
      InputError: here and in the methods: it is not a TFLite model, it is damaged, or
        the interpreter cannot run it.
    """

    def __init__(
        self, model: bytes | str | os.PathLike, settings: Settings | None = None
    ):
        settings = settings or Settings()
        file = read(model)
        self._name, self._state = file.name, file.state
        self._signatures = [found.key for found in file.signatures]
        self._entry = entry_of(file, settings.signature)
        self.inputs, self.outputs = self._entry.inputs, self._entry.outputs
        self._settings = settings
        self._preparations = _preparations(file, self._entry, settings)
        self._interpreter = Interpreter(file, self._entry, settings)
        self._batches_are_exact: bool | None = None  # not known yet
        self._block = 1  # examples that go in together where batches are not exact
        # Of an example, by the input's name, once there was one.
        self._shapes: dict[str, tuple[int, ...]] = {}

    def run(self, examples: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, Any]:
        """All outputs for a batch of examples.

        Args:
          examples: `[n, ...]` for the one input of the model, or for each input by its
            name. Without the input's batch dimension, if it has one: an input `[1, 28,
            28, 1]` takes `[n, 28, 28, 1]`, an input `[100]` takes `[n, 100]`.

        Returns:
          `[n, ...]` by the output's name: float32, with quantized numbers dequantized;
          integers that are not quantized stay unchanged.

        Raises:
          InputError: inputs, shapes or types do not fit.
        """
        if not self.outputs:
            raise InputError(
                f"{self._name} has no outputs; give another model or --signature."
            )
        arrays = bind(examples, self.inputs, self._name)
        whole = [
            fits(values.shape, port, self._name)
            for values, port in zip(arrays, self.inputs, strict=True)
        ]
        self._shapes = shapes_of(arrays, self.inputs)
        arrays = [
            prepare(values)
            for prepare, values in zip(self._preparations, arrays, strict=True)
        ]
        found = self._outputs(arrays, whole)
        return {
            port.name: port.dequantized(values)
            for port, values in zip(self.outputs, found, strict=True)
        }

    def predict(self, examples: np.ndarray | Mapping[str, np.ndarray]) -> np.ndarray:
        """The output `[n, ...]` of a model with a single output; see `run`.

        Args:
          examples: `[n, ...]`, or one such array per input by its name.
        """
        return only(self.run(examples), self._name)

    def told(self) -> dict[str, Any]:
        """How it has been run so far, in a form that JSON can represent.

        Returns:
          `signature`, `inputs` (how the data were converted, by name), `how` (which
          kernels and delegates, as text), `threads`, `kernels`, `delegates` (name and
          number of operators of each; None if the interpreter does not tell),
          `operators` (their number), `state` (whether one is kept between runs),
          `alone` (whether examples were run one at a time) and `notes`, one sentence
          for each possible problem.
        """
        return {
            "signature": self._entry.signature,
            "inputs": {
                port.name: prepared.told
                for port, prepared in zip(self.inputs, self._preparations, strict=True)
            },
            "how": self._interpreter.how(),
            "threads": self._settings.threads,
            "kernels": self._interpreter.kernels,
            "delegates": self._interpreter.delegates,
            "operators": self._interpreter.operators,
            "state": bool(self._state),
            "alone": self._block == 1 and self._batches_are_exact is False,
            "notes": self._notes(),
        }

    def random_run(self, batch_size: int) -> Callable[[], Any]:
        """A run to be timed, with random inputs; whole numbers are 1.

        Sizes that the file leaves open are those of the last examples, else 1.

        Args:
          batch_size: examples per run.

        Raises:
          InputError: the model does not take batches of that size.
        """
        attempts = [partial(self._random_batch, batch_size)]
        if batch_size == 1:
            attempts += [partial(self._random_inputs, fill) for fill in (1, 0)]
        problem: InputError | None = None
        for attempt in attempts:
            try:
                run = attempt()
                run()
                return run
            except InputError as error:
                problem = problem or error
        assert problem is not None  # of the first attempt
        if batch_size > 1:
            raise InputError(
                f"{problem.with_flags.rstrip('.')}; it may not take batches: give "
                "--batch-sizes=1."
            )
        raise problem

    def _random_batch(self, batch_size: int) -> Callable[[], Any]:
        if self._state or not self.inputs:
            raise InputError(f"{self._name} keeps a state or has no inputs.")
        rng = np.random.default_rng(0)
        examples = {}
        for port in self.inputs:
            whole = not port.has_batch and len(self.inputs) > 1
            shape = np.maximum(port.shape[0 if whole else 1 :], 1)
            shape = self._shapes.get(port.name, shape)
            examples[port.name] = random_values(rng, port, (batch_size, *shape))
        return partial(self.run, examples)

    def _random_inputs(self, fill: int) -> Callable[[], Any]:
        rng = np.random.default_rng(0)
        arrays = []
        for port in self.inputs:
            seen = self._shapes.get(port.name, ())
            before = port.shape[: len(port.shape) - len(seen)]
            shape = (*np.maximum(before, 1), *seen)
            values = random_values(rng, port, shape, fill)
            arrays.append(values.astype(port.dtype))
        return partial(
            self._with_any_kernels, lambda: self._interpreter.invoke(arrays, False)
        )

    def _outputs(self, arrays, whole) -> list[np.ndarray]:
        """The interpreter's raw outputs for prepared inputs."""
        count = len(arrays[0])
        alone = self._state or any(whole)
        if count > 1 and not alone and self._batches_are_exact is not False:
            with contextlib.suppress(*REFUSED):  # if it fixes the batch
                found = self._run_block(arrays, count)
                if self._batches_are_exact is None:
                    few = [values[:CHECKED] for values in arrays]
                    self._batches_are_exact = all(
                        np.array_equal(
                            several[:CHECKED], single, equal_nan=_has_nan(single)
                        )
                        for several, single in zip(
                            found, self._in_blocks(few, whole), strict=True
                        )
                    )
                if self._batches_are_exact:
                    return found
            self._batches_are_exact = False
        return self._in_blocks(arrays, whole)

    def _in_blocks(self, arrays, whole) -> list[np.ndarray]:
        """Runs examples one at a time, or in the batch size that the file requires."""
        fixed = max((port.shape[0] for port in self.inputs if port.shape), default=1)
        if fixed > self._block and not any(whole):
            with contextlib.suppress(*REFUSED):
                return self._one_by_one(arrays, whole)
            self._block = fixed
        return self._with_any_kernels(lambda: self._one_by_one(arrays, whole))

    def _one_by_one(self, arrays, whole) -> list[np.ndarray]:
        found = []
        for start in range(0, len(arrays[0]), self._block):
            if self._block > 1:
                parts = [values[start : start + self._block] for values in arrays]
                found.append(self._run_block(parts, self._block))
                continue
            inputs = [
                values[start] if is_whole else values[start : start + 1]
                for values, is_whole in zip(arrays, whole, strict=True)
            ]
            # An output whose first size is 1 has its batch there, others have none.
            found.append(
                [
                    output if output.shape[:1] == (1,) else output[None]
                    for output in self._interpreter.invoke(inputs)
                ]
            )
        return [
            joined(parts, port.name, self._name)
            for parts, port in zip(zip(*found, strict=True), self.outputs, strict=True)
        ]

    def _run_block(self, arrays, size: int) -> list[np.ndarray]:
        """One run of a fixed number of examples; fewer are padded by repetition."""
        count = len(arrays[0])
        if count < size:
            arrays = [np.resize(x, (size, *x.shape[1:])) for x in arrays]
        found = self._interpreter.invoke(arrays)
        for port, output in zip(self.outputs, found, strict=True):
            if output.shape[:1] != (size,):
                whole = ", ".join(port.wanted(whole=True) for port in self.inputs)
                raise InputError(
                    f"{self._name} gave {port.name} of shape {list(output.shape)} for "
                    f"{size} examples, so the first dimension of its input is not a "
                    f"batch; give examples {whole}."
                )
        return [output[:count] for output in found]

    def _with_any_kernels(self, run: Callable[[], Any]) -> Any:
        """Runs with XNNPACK, or without it from now on if it rejects the model.

        The built-in kernels run some models that it does not, such as dynamic range
        with sparse weights.
        """
        try:
            return run()
        except InputError:
            raise
        except REFUSED as error:
            if not self._interpreter.without_xnnpack():
                raise self._interpreter.refusal(error) from error
        return self._with_any_kernels(run)

    def _notes(self) -> list[str]:
        notes = [note for prepared in self._preparations for note in prepared.notes()]
        if self._state.random:
            notes.append(
                f"{self._name} draws random numbers, so its outputs may differ between "
                "runs."
            )
        if len(self._signatures) > 1 and self._settings.signature is None:
            notes.append(
                f"{self._name} has the signatures {', '.join(self._signatures)}, but "
                "its first subgraph was run; choose with --signature."
            )
        return notes


def _preparations(file, entry, settings: Settings) -> list[Preparation]:
    said = metadata_of(file).inputs if entry.subgraph == 0 else ()
    order = file.subgraphs[entry.subgraph].inputs
    found = []
    for port in entry.inputs:
        place = order.index(port.index) if port.index in order else len(said)
        described = said[place] if place < len(said) else Described()
        likely = likely_range(file, entry.subgraph, port, described)
        found.append(Preparation(port, settings, described, likely, file.name))
    return found


def _has_nan(values: np.ndarray) -> bool:
    """Whether the type has NaN, which `array_equal` needs to know."""
    return values.dtype.kind in "fc"


def predict(
    model: bytes | str | os.PathLike,
    examples: np.ndarray,
    settings: Settings | None = None,
) -> np.ndarray:
    """The model's output for many examples, computed in batches in this process.

    Args:
      model: content of a `.tflite` file, or its path; with one input and one output.
      examples: `[n, ...]`, as `Model.run` takes them; may be memory-mapped.
      settings: how it is run.

    Returns:
      `[n, ...]`, the same as for one example at a time.

    Raises:
      InputError: there is no such file, or it is not a TFLite model that can be run on
        them.
    """
    settings = settings or Settings()
    loaded = Model(model, settings)
    size = settings.batch_size
    outputs = [
        loaded.predict(examples[start : start + size])
        for start in range(0, max(len(examples), 1), size)
    ]
    return joined(outputs, "its output", loaded._name)
