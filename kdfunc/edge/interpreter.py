"""The interpreter of a `.tflite` file: its kernels, its delegates, its state."""

import contextlib
import sys
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from kdfunc.edge.ports import Entry
from kdfunc.edge.schema import ModelFile
from kdfunc.edge.settings import Settings
from kdfunc.errors import InputError, first_line
from kdfunc.quiet import quiet_stderr
from kdfunc.text import count

KERNELS = {
    "xnnpack": "optimized kernels",
    "builtin": "optimized kernels without XNNPACK",
    "reference": "reference kernels",
}
REASON = 300  # characters of the interpreter's own words that are told
REFUSED = (RuntimeError, ValueError)  # what interpreters raise


def interpreter_class() -> type:
    """The first interpreter that is installed.

    Raises:
      InputError: none is installed, or one cannot be loaded.
    """
    try:
        with contextlib.suppress(ModuleNotFoundError):
            from ai_edge_litert.interpreter import Interpreter

            return Interpreter
        with contextlib.suppress(ModuleNotFoundError):
            from tflite_runtime.interpreter import Interpreter

            return Interpreter
        with contextlib.suppress(ModuleNotFoundError):
            import tensorflow as tf

            return tf.lite.Interpreter
    except ImportError as error:
        raise InputError(
            "a TFLite interpreter is installed but cannot be loaded "
            f"({first_line(error)}); install it again, and on Windows the Microsoft "
            "Visual C++ Redistributable."
        ) from error
    raise InputError(
        "no TFLite interpreter is installed; install one with pip install "
        "ai-edge-litert."
    )


class Interpreter:
    """An interpreter that is ready to invoke one entry of a file.

    Args:
      file: what was read.
      entry: the part of it to run.
      settings: how.

    Attributes:
      kernels: one of `settings.KERNELS`, those in use.
      delegates: `name` and number of `operators` of each delegate, at the last
        allocation of tensors; None if the interpreter does not tell.
      operators: their number.

    Raises:
      InputError: here and in `without_xnnpack`: the interpreter rejects the file.
    """

    #: Shapes of the inputs that tensors are allocated for; None for nothing yet.
    _allocated: list[tuple[int, ...]] | None

    def __init__(
        self,
        file: ModelFile,
        entry: Entry,
        settings: Settings,
    ):
        self._given = {"model_content": file.content, "num_threads": settings.threads}
        self._name, self._state = file.name, file.state
        self._entry, self._settings = entry, settings
        self.operators = len(file.subgraphs[entry.subgraph].operators)
        self.kernels = settings.kernels
        self.delegates: list[dict[str, Any]] | None = None
        self._load()

    def without_xnnpack(self) -> bool:
        """Switches to the built-in kernels; returns whether that changes anything."""
        if self.kernels != "xnnpack" or self._settings.delegate:
            return False
        self.kernels = "builtin"
        self._load()
        return True

    def invoke(self, inputs: Sequence[np.ndarray], fresh: bool = True) -> list:
        """One run.

        Args:
          inputs: in the types and order of the inputs, which are resized.
          fresh: whether it starts from the state of a freshly loaded model.

        Raises:
          RuntimeError, ValueError: the interpreter rejects the run.
        """
        if fresh and (self._state.resources or self._state.random):
            self._load()  # a reset does not reach these
        if self._entry.subgraph:
            return self._call(inputs, fresh)
        shapes = [values.shape for values in inputs]
        interpreter, entry = self._interpreter, self._entry
        if shapes != self._allocated:
            self._allocated = None
            for port, shape in zip(entry.inputs, shapes, strict=True):
                interpreter.resize_tensor_input(port.index, shape)
            with quiet_stderr():  # XNNPACK announces itself
                interpreter.allocate_tensors()
            self._allocated = shapes
            self.delegates = self._find_delegates()
        if fresh and self._state.variables:
            interpreter.reset_all_variables()
        for port, values in zip(entry.inputs, inputs, strict=True):
            interpreter.set_tensor(port.index, values)
        interpreter.invoke()
        return [interpreter.get_tensor(port.index) for port in entry.outputs]

    def how(self) -> str:
        """Which kernels and delegates run how many operators, as text."""
        parts = [
            f"{found['name']} for {found['operators']} of {self.operators} operators"
            for found in self.delegates or []
        ]
        if not parts:
            parts = [KERNELS[self.kernels]]
            if self.delegates is None and self.kernels == "xnnpack":
                parts = [
                    "optimized kernels, perhaps XNNPACK's (this interpreter does "
                    "not tell)"
                ]
        if self.kernels != self._settings.kernels:
            parts.append("because XNNPACK rejected the model")
        return ", ".join([*parts, count(self._settings.threads, "thread")])

    def refusal(self, error: Exception) -> InputError:
        """The message for an error of the interpreter.

        Args:
          error: what was raised.
        """
        reason = " ".join(str(error).split()).rstrip(".") or "no reason given"
        reason = textwrap.shorten(reason, REASON, placeholder=" ...")
        return InputError(
            f"{self._name} cannot be run by the interpreter here ({reason}); it may "
            "need another version of it, custom operators or more memory."
        )

    def _load(self) -> None:
        """Creates the interpreter, without allocating tensors."""
        kind = interpreter_class()
        options: dict[str, Any] = {}
        if self.kernels != "xnnpack":
            types = sys.modules[kind.__module__].OpResolverType
            options["experimental_op_resolver_type"] = (
                types.BUILTIN_REF
                if self.kernels == "reference"
                else types.BUILTIN_WITHOUT_DEFAULT_DELEGATES
            )
        if self._settings.delegate:
            options["experimental_delegates"] = [_delegate(kind, self._settings)]
        try:
            self._interpreter = kind(**self._given, **options)
        except REFUSED as error:
            raise self.refusal(error) from error
        details: list[Any] = getattr(self._interpreter, "_get_ops_details", list)()
        self._nodes = len(details)  # those of the delegate given are there already
        self._allocated = None

    def _call(self, inputs: Sequence[np.ndarray], fresh: bool) -> list:
        """Runs a signature of a subgraph other than the first."""
        entry = self._entry
        if self._allocated is None:
            self._runner = self._interpreter.get_signature_runner(entry.signature)
        elif fresh and self._state.variables:
            self._interpreter.reset_all_variables()
        names = [port.name for port in entry.inputs]
        quiet = quiet_stderr() if self._allocated is None else contextlib.nullcontext()
        with quiet:  # it allocates tensors by itself
            found = self._runner(**dict(zip(names, inputs, strict=True)))
        self._allocated = []
        return [found[port.name] for port in entry.outputs]

    def _find_delegates(self) -> list[dict[str, Any]] | None:
        details = getattr(self._interpreter, "_get_ops_details", None)
        if details is None:
            return None
        nodes = details()
        own = nodes[: self.operators]
        named = self._settings.delegate
        found: dict[str, int] = {named: 0} if named else {}
        for number, node in enumerate(nodes[len(own) :], len(own)):
            name = named if named and number < self._nodes else "XNNPACK"
            found[name] = found.get(name, 0) + _covered(node, own)
        return [{"name": name, "operators": count} for name, count in found.items()]


def _delegate(kind: type, settings: Settings):
    try:
        load = sys.modules[kind.__module__].load_delegate
        with quiet_stderr():
            return load(settings.delegate, dict(settings.delegate_options))
    except (OSError, ValueError, AttributeError, RuntimeError) as error:
        reason = " ".join(str(error).split()).rstrip(".") or type(error).__name__
        raise InputError(
            f"delegate: {settings.delegate} cannot be loaded ({reason}); give the "
            "library of an external delegate of TFLite that works on this machine."
        ) from error


def _covered(delegate, nodes) -> int:
    """How many operators a delegate runs: those between its inputs and its outputs."""
    makers = {int(i): n for n, node in enumerate(nodes) for i in node["outputs"]}
    given = set(map(int, delegate["inputs"]))
    found, left = set(), [int(i) for i in delegate["outputs"]]
    while left:
        tensor = left.pop()
        maker = makers.get(tensor)
        if tensor in given or maker is None or maker in found:
            continue
        found.add(maker)
        left += map(int, nodes[maker]["inputs"])
    return len(found)
