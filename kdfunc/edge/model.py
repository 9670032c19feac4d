"""A `.tflite` file run by the interpreter at hand.

Outputs do not depend on how many examples are run at once, nor on their order. With
XNNPACK, which the interpreters of ai-edge-litert and TensorFlow use by themselves,
batches and any number of threads give the bits that single examples give. The built-in
kernels add up the products of one row in another order than those of several, and the
last digits of floating-point results differ (by up to 3e-8 on LeNet); they run what
XNNPACK does not take, such as weights that are dequantized from int4. So the first
batch is held against single examples, and where the bits differ, examples go in one at
a time. A file that fixes its batch at another size gets batches of that size, the last
filled up. A model that keeps a state gets one example at a time, from a fresh state.
"""

import contextlib
import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from kdfunc.edge.examples import bind, fits, joined, only, random_values
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
      inputs: what it takes, in order.
      outputs: what it gives, in order.

    Raises:
      InputError: here and in the methods: no TFLite model, damaged, or the interpreter
        cannot run it.
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
        self._interpreter = Interpreter(model, file, self._entry, settings)
        self._batches_are_exact: bool | None = None  # not known yet
        self._block = 1  # examples that go in together where batches are not exact

    def run(self, examples: np.ndarray | Mapping[str, np.ndarray]) -> dict[str, Any]:
        """All outputs for a batch of examples.

        Args:
          examples: `[n, ...]` for the one input of the model, or for each input by its
            name. Without the batch dimension that the input may have: an input
            `[1, 28, 28, 1]` takes `[n, 28, 28, 1]`, an input `[100]` takes `[n, 100]`.

        Returns:
          `[n, ...]` by the output's name: float32, quantized numbers dequantized;
          integers that are not quantized as they are.

        Raises:
          InputError: other inputs, shapes or types.
        """
        arrays = bind(examples, self.inputs, self._name)
        whole = [
            fits(values.shape, port, self._name)
            for values, port in zip(arrays, self.inputs, strict=True)
        ]
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
        """The output `[n, ...]` of a model that has but one; see `run`.

        Args:
          examples: `[n, ...]`, or one such array per input by its name.
        """
        return only(self.run(examples), self._name)

    def told(self) -> dict[str, Any]:
        """How it is run, so far, in what JSON can hold.

        Returns:
          `signature`, `inputs` (what was done with the data, by name), `how` (which
          kernels and delegates, in words), `threads`, `kernels`, `delegates` (name and
          number of operators of each; None where the interpreter does not tell),
          `operators` (their number), `state` (whether one is kept from run to run) and
          `notes`, a sentence each of what may be wrong.
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
            "notes": self._notes(),
        }

    def random_run(self, batch_size: int) -> Callable[[], Any]:
        """What is to be timed: a run with random inputs, whole numbers being 1.

        Args:
          batch_size: examples per run.

        Raises:
          InputError: the model takes no batch of that size.
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
                f"{problem.with_flags.rstrip('.')}; it may take no batches: give "
                "--batch-sizes=1."
            )
        raise problem

    def _random_batch(self, batch_size: int) -> Callable[[], Any]:
        if self._state or not self.inputs:
            raise InputError(f"{self._name} keeps a state, so it is run as it is.")
        rng = np.random.default_rng(0)
        examples = {}
        for port in self.inputs:
            whole = not port.has_batch and len(self.inputs) > 1
            shape = (batch_size, *np.maximum(port.shape[0 if whole else 1 :], 1))
            examples[port.name] = random_values(rng, port, shape)
        return partial(self.run, examples)

    def _random_inputs(self, fill: int) -> Callable[[], Any]:
        rng = np.random.default_rng(0)
        arrays = [
            random_values(rng, port, [*np.maximum(port.shape, 1)], fill).astype(
                port.dtype
            )
            for port in self.inputs
        ]
        return partial(
            self._with_any_kernels, lambda: self._interpreter.invoke(arrays, False)
        )

    def _outputs(self, arrays, whole) -> list[np.ndarray]:
        """The outputs as the interpreter gives them, for inputs that are prepared."""
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
        """Runs examples one at a time, or as many together as the file insists on."""
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
        """One run of so many examples; fewer are repeated."""
        count = len(arrays[0])
        if count < size:
            arrays = [np.resize(x, (size, *x.shape[1:])) for x in arrays]
        found = self._interpreter.invoke(arrays)
        for port, output in zip(self.outputs, found, strict=True):
            if output.shape[:1] != (size,):
                whole = ", ".join(port.wanted(whole=True) for port in self.inputs)
                raise InputError(
                    f"{self._name} gave {port.name} of shape {list(output.shape)} for "
                    f"{size} examples, so the first dimension of its input is no "
                    f"batch; give examples {whole}."
                )
        return [output[:count] for output in found]

    def _with_any_kernels(self, run: Callable[[], Any]) -> Any:
        """Runs with XNNPACK, or without it from now on where it refuses the model.

        The built-in kernels run some that it does not, such as dynamic range with
        sparse weights.
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
                f"{self._name} draws random numbers; its outputs may differ from run "
                "to run."
            )
        if len(self._signatures) > 1 and self._settings.signature is None:
            notes.append(
                f"{self._name} has the signatures {', '.join(self._signatures)} and "
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
    """Whether the type has NaN, which `array_equal` asks about."""
    return values.dtype.kind in "fc"


def predict(
    model: bytes | str | os.PathLike,
    examples: np.ndarray,
    settings: Settings | None = None,
) -> np.ndarray:
    """The model's output for many examples, a batch at a time, in this process.

    Args:
      model: content of a `.tflite` file, or its path; of one input and one output.
      examples: `[n, ...]`, as `Model.run` takes them; may be memory-mapped.
      settings: how it is run.

    Returns:
      `[n, ...]`, equal to running the examples one at a time.

    Raises:
      InputError: no such file, no TFLite model, or one that cannot be run on them.
    """
    settings = settings or Settings()
    loaded = Model(model, settings)
    size = settings.batch_size
    outputs = [
        loaded.predict(examples[start : start + size])
        for start in range(0, max(len(examples), 1), size)
    ]
    return joined(outputs, "its output", loaded._name)
