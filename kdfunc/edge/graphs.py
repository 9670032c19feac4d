"""The layers of `.tflite` files, in the object API that can rewrite them."""

import os
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from kdfunc.edge.names import operator_name, type_name
from kdfunc.edge.reading import read
from kdfunc.edge.schema import Tensor
from kdfunc.errors import InputError

#: Types from which weights can be restored.
RESTORABLE = {"float32", "float16"}
LARGEST = 2**31  # bytes of a FlatBuffer
INTEGERS = {"int8", "uint8", "int16"}


@dataclass(frozen=True)
class Layer:
    """A layer that a candidate shares with its reference.

    Attributes:
      name: Name of its first weights, without the parts of fused layers.
      operator: Name of the operator.
      output: Name of its first output, which identifies it in Model Explorer.
      shape: Shape of its first weights.
      here: Index of the operator in the candidate.
      there: Index in the reference.
    """

    name: str
    operator: str
    output: str
    shape: tuple[int, ...]
    here: int
    there: int


class Graph:
    """The first subgraph of a file, in FlatBuffers' object API.

    Args:
      path: Of a `.tflite` file.

    Attributes:
      name: The path.
      content: Of the file.
      main: The subgraph as `reading` has it; its indices are the same.
      graph: The subgraph in the object API.

    Raises:
      InputError: There is no such file, it is damaged, or no installed package can
        write it.
    """

    def __init__(self, path: str | os.PathLike):
        self.name = os.fspath(path)
        file = read(path)
        self.content, self.main = file.content, file.subgraphs[0]
        self.schema = _schema()
        self.model = self.schema.ModelT.InitFromPackedBuf(bytearray(self.content))
        if len(self.content) >= LARGEST:
            raise InputError(
                f"{path} has {len(self.content):,} bytes, but only files below 2 GB "
                "can be rewritten; give a smaller model."
            )
        self._draw_in()
        self.graph = self.model.subgraphs[0]

    def _draw_in(self) -> None:
        """Moves data that a file stores after the FlatBuffer into it."""
        content = np.frombuffer(self.content, np.uint8)
        for buffer in self.model.buffers:
            if buffer.offset > 1:
                buffer.data = content[buffer.offset : buffer.offset + buffer.size]
                buffer.offset = buffer.size = 0
        for graph in self.model.subgraphs:
            for operator in graph.operators:
                start = operator.largeCustomOptionsOffset
                if start > 1:
                    end = start + operator.largeCustomOptionsSize
                    operator.customOptions = content[start:end]
                    operator.largeCustomOptionsOffset = 0
                    operator.largeCustomOptionsSize = 0

    def operator_name(self, operator: Any) -> str:
        """Name of an operator, such as `CONV_2D`.

        Args:
          operator: An element of the graph.
        """
        code = self.model.operatorCodes[operator.opcodeIndex]
        return operator_name(max(code.builtinCode, code.deprecatedBuiltinCode))

    def type_of(self, tensor: Any) -> str:
        """Type of a tensor, such as `float32`.

        Args:
          tensor: An element of the graph.
        """
        return type_name(tensor.type)

    def origin(self, index: int) -> Any:
        """The tensor before it was unpacked.

        Args:
          index: Index of the tensor in the graph.
        """
        return self.graph.tensors[self.main.origin(index)[0]]

    def data(self, tensor: Any) -> np.ndarray | None:
        """Bytes of a constant; None for a computed tensor.

        Args:
          tensor: An element of the graph.
        """
        content = self.model.buffers[tensor.buffer].data
        return None if content is None or len(content) == 0 else np.asarray(content)

    def is_quantized(self, index: int) -> bool:
        """Whether a tensor has integers that represent real numbers.

        Args:
          index: Index of the tensor in the graph.
        """
        tensor = self.graph.tensors[index]
        if self.type_of(tensor) not in INTEGERS or tensor.quantization is None:
            return False
        return len(as_list(tensor.quantization.scale)) > 0

    def keeps_integers(self, operator: Any) -> bool:
        """Whether an operator keeps its state between runs in quantized integers.

        Args:
          operator: An element of the graph.
        """
        return any(
            i >= 0 and self.graph.tensors[i].isVariable and self.is_quantized(i)
            for i in as_list(operator.inputs)
        )

    def floats(self, tensor: Any) -> np.ndarray:
        """Values of a floating-point constant as float32.

        Args:
          tensor: An element of the graph.

        Raises:
          InputError: It is not a floating-point constant, or it is stored sparse.
        """
        kind = self.type_of(tensor)
        if kind not in RESTORABLE or tensor.sparsity is not None:
            how = "sparse" if tensor.sparsity is not None else kind
            raise InputError(
                f"{self.name} stores {as_text(tensor.name)} as {how}; to restore "
                "layers, give the reference in float32 or float16."
            )
        content = self.data(tensor)
        assert content is not None  # of a constant
        values = content.view("<f4" if kind == "float32" else "<f2")
        return values.astype(np.float32).reshape(as_list(tensor.shape))


def common_layers(candidate: Graph, reference: Graph) -> list[Layer]:
    """The layers whose weights differ, in the order of execution.

    Args:
      candidate: A compressed file.
      reference: The file that it was made from, perhaps by another converter.

    Raises:
      InputError: None differ, or the two files do not have the same layers.
    """
    sides = []
    for graph in (candidate, reference):
        found = (
            (number, operator, [tensor for tensor, _ in graph.main.weights(operator)])
            for number, operator in enumerate(graph.main.operators)
        )
        sides.append([entry for entry in found if entry[2]])
    kinds = [
        [(operator.name, [w.shape for w in weights]) for _, operator, weights in side]
        for side in sides
    ]
    if not kinds[0]:
        raise InputError(
            f"{candidate.name} has no layers with weights, so there is nothing to "
            "restore; give a compressed model that has some."
        )
    if kinds[0] != kinds[1]:
        raise InputError(
            f"{candidate.name} has {len(kinds[0])} layers with weights and "
            f"{reference.name} has {len(kinds[1])}, but they are not the same "
            "operators of the same shapes in the same order; give files that were "
            "converted from the same model."
        )
    layers = []
    for (here, operator, weights), (there, _, originals) in zip(*sides, strict=True):
        if all(map(_same, weights, originals)):
            continue
        first = operator.outputs[:1]  # a damaged file may have none
        layers.append(
            Layer(
                weights[0].name.split(";")[0],
                operator.name,
                "".join(candidate.main.tensors[i].name for i in first),
                weights[0].shape,
                here,
                there,
            )
        )
    if not layers:
        raise InputError(
            f"{candidate.name} has the weights of {reference.name} in every layer, so "
            "there is nothing to restore; give another candidate."
        )
    return layers


def _same(one: Tensor, other: Tensor) -> bool:
    return one.type == other.type and np.array_equal(one.data, other.data)


def _schema() -> ModuleType:
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise InputError(
            "writing .tflite files needs ai-edge-litert, which is not installed; run "
            "pip install ai-edge-litert."
        ) from error
    return schema_py_generated


def as_list(values: Any) -> list[int]:
    """A vector of numbers as a list; empty for None.

    Args:
      values: From the schema's code, or None.
    """
    return [] if values is None else [int(value) for value in values]


def as_text(name: Any) -> str:
    """A name as text; the schema gives bytes.

    Args:
      name: From the schema's code: bytes, text or None.
    """
    return name.decode(errors="replace") if isinstance(name, bytes) else name or ""
