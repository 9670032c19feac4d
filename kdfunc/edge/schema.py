"""The contents of a `.tflite` file."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from kdfunc.edge.names import BITS

#: Types that numpy has not: seen as whole numbers, of which 0 is still zero.
STAND_INS = {"bfloat16": "uint16", "float8_e4m3fn": "uint8", "float8_e5m2": "uint8"}
#: Operators that only bring weights into the form in which they are computed with.
UNPACKING = {"DEQUANTIZE", "DENSIFY"}
#: Types of constants that are no weights: shapes, indices, biases of integer layers.
NO_WEIGHTS = {"int32", "int64", "uint32", "uint64", "bool", "string", "resource"}
NO_WEIGHTS |= {"variant"}
RANDOM = {"RANDOM_STANDARD_NORMAL", "RANDOM_UNIFORM", "MULTINOMIAL"}


@dataclass(frozen=True, eq=False)
class Tensor:
    """A tensor of a subgraph.

    Attributes:
      name: As in the file.
      shape: Sizes, 1 for any size.
      signature: Sizes, -1 for any size.
      type: Key of `BITS`, or the name of a newer type.
      data: `[stored]` bytes of a constant, empty for a computed tensor.
      scales: `[1]` or `[channels]` float32, empty if nothing is quantized.
      zero_points: The same, int64.
      axis: Dimension of the channels.
      index_bytes: Bytes of the indices of a constant that is stored sparse, else 0.
      variable: Whether it keeps its values between runs.
      sound: Whether data, shape, type and quantization fit together.
    """

    name: str
    shape: tuple[int, ...]
    signature: tuple[int, ...]
    type: str
    data: np.ndarray
    scales: np.ndarray
    zero_points: np.ndarray
    axis: int
    index_bytes: int
    variable: bool
    sound: bool = True

    @property
    def constant(self) -> bool:
        """Whether the file contains its values."""
        return self.data.size > 0

    @property
    def bits(self) -> int:
        """Bits per element; 0 if not fixed or not known."""
        return BITS.get(self.type, 0)

    @property
    def elements(self) -> int:
        """Number of elements; a size of -1 counts as 1."""
        return math.prod(map(abs, self.shape))

    @property
    def dense_bytes(self) -> int:
        """Bytes of all elements, in memory."""
        return -(-self.elements * self.bits // 8)

    @property
    def stored_bytes(self) -> int:
        """Bytes in the file."""
        return self.data.size + self.index_bytes

    @property
    def values(self) -> np.ndarray:
        """`[stored]` values of a constant as they are stored, before dequantization."""
        if self.bits >= 8:
            return self.data.view(STAND_INS.get(self.type, self.type))
        shifts = np.arange(0, 8, self.bits, dtype=np.uint8)  # the first in the low bits
        codes = (self.data[:, None] >> shifts) & ((1 << self.bits) - 1)
        values = codes.astype(np.int8).ravel()[: self.elements]
        if self.type.startswith("int"):
            values[values >= 1 << (self.bits - 1)] -= 1 << self.bits
        return values

    @cached_property
    def zero_share(self) -> float | None:
        """Share of a constant's elements that are zero; None if not known."""
        if not (self.sound and self.bits):
            return None
        values = self.values
        zero: np.ndarray | int = 0
        if self.zero_points.any():
            zero = self.zero_points
            if self.zero_points.size > 1:
                values = values.reshape(self.shape)
                zero = np.expand_dims(
                    self.zero_points,
                    [i for i in range(values.ndim) if i != self.axis],
                )
        return 1 - np.count_nonzero(values != zero) / self.elements


@dataclass(frozen=True)
class Operator:
    """An operator of a subgraph.

    Attributes:
      name: As in the schema, or the name of a custom operator.
      inputs: Indices of tensors, -1 for an omitted one.
      outputs: Indices of tensors.
      custom: Whether it is not in the schema.
      custom_bytes: Bytes of its options, if it is custom.
      initializer: For CALL_ONCE, the subgraph that is run once, else None.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    custom: bool = False
    custom_bytes: int = 0
    initializer: int | None = None


@dataclass(frozen=True)
class Subgraph:
    """A graph of operators; the first of a file is the model.

    Attributes:
      name: As in the file, often empty.
      tensors: All tensors.
      operators: In the order in which they run.
      inputs: Indices of tensors.
      outputs: Indices of tensors.
    """

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @cached_property
    def producers(self) -> dict[int, Operator]:
        """The operator that computes a tensor, by the tensor's index."""
        return {i: operator for operator in self.operators for i in operator.outputs}

    def origin(self, index: int) -> tuple[int, bool]:
        """The tensor before it was unpacked, and whether unpacking dequantized it.

        Args:
          index: Of a tensor.
        """
        dequantized = False
        for _ in self.operators:  # no chain is longer, not even a damaged one
            operator = self.producers.get(index)
            if operator is None or operator.name not in UNPACKING:
                break
            if not operator.inputs or operator.inputs[0] < 0:  # in a damaged file
                break
            dequantized |= operator.name == "DEQUANTIZE"
            index = operator.inputs[0]
        return index, dequantized

    def weights(self, operator: Operator) -> list[tuple[Tensor, bool]]:
        """The constants of two or more dimensions that an operator uses.

        Args:
          operator: Of this graph.

        Returns:
          Each with whether it is dequantized first.
        """
        if operator.name in UNPACKING:
            return []
        return [
            (tensor, dequantized)
            for index, dequantized in (
                self.origin(i) for i in operator.inputs if i >= 0
            )
            if (tensor := self.tensors[index]).constant
            and len(tensor.shape) >= 2
            and tensor.type not in NO_WEIGHTS
        ]


@dataclass(frozen=True)
class Signature:
    """A callable subgraph, with names for its inputs and outputs.

    Attributes:
      key: Its name.
      subgraph: Index of the subgraph.
      inputs: Index of the tensor by name.
      outputs: The same.
    """

    key: str
    subgraph: int
    inputs: Mapping[str, int]
    outputs: Mapping[str, int]


@dataclass(frozen=True)
class State:
    """What a model keeps between runs.

    Attributes:
      variables: Names of variable tensors, which a reset sets to zero.
      resources: Whether it assigns resource variables, which a reset does not affect.
      random: Whether it draws random numbers, from a stream that continues.
    """

    variables: tuple[str, ...]
    resources: bool
    random: bool

    def __bool__(self) -> bool:
        return bool(self.variables or self.resources or self.random)


@dataclass(frozen=True)
class ModelFile:
    """A `.tflite` file that has been read.

    Attributes:
      name: Its name in errors and tables.
      content: All bytes.
      description: As in the file, usually the converter's name.
      subgraphs: At least one.
      signatures: In the order of the file.
      metadata: Bytes by name.
      problems: Parts that can be read but do not fit together, one clause each.
    """

    name: str
    content: bytes
    description: str
    subgraphs: tuple[Subgraph, ...]
    signatures: tuple[Signature, ...]
    metadata: Mapping[str, np.ndarray]
    problems: tuple[str, ...]

    @cached_property
    def state(self) -> State:
        """What it keeps between runs."""
        once = {op.initializer for graph in self.subgraphs for op in graph.operators}
        running = {
            operator.name
            for i, graph in enumerate(self.subgraphs)
            if i not in once
            for operator in graph.operators
        }
        variables = (
            tensor.name
            for graph in self.subgraphs
            for tensor in graph.tensors
            if tensor.variable
        )
        return State(
            tuple(variables), "ASSIGN_VARIABLE" in running, bool(running & RANDOM)
        )
