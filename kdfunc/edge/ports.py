"""Inputs and outputs of a model, by the names that users see."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

from kdfunc.edge.schema import ModelFile, Tensor
from kdfunc.errors import InputError

ANY = -1  # for a size of a shape


@dataclass(frozen=True, eq=False)
class Port:
    """An input or an output.

    Attributes:
      name: Name in the signature, or of the tensor if there is no signature.
      shape: Sizes, -1 for any size.
      dtype: Name of the numpy type, or of a type that numpy does not have.
      scales: `[1]` or `[channels]` float32; empty if nothing is quantized.
      zero_points: The same, int64.
      axis: Dimension of the channels.
      index: Index of the tensor in its subgraph; -1 outside `.tflite` files.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scales: np.ndarray = field(default_factory=lambda: np.empty(0, np.float32))
    zero_points: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    axis: int = 0
    index: int = -1

    @property
    def kind(self) -> str:
        """Numpy's letter for the kind of its type; `O` for an unknown type."""
        try:
            return np.dtype(self.dtype).kind
        except TypeError:
            return "O"

    @property
    def has_batch(self) -> bool:
        """Whether the first dimension may be a batch of any size."""
        return self.shape[:1] in ((ANY,), (1,))

    def wanted(self, whole: bool = False) -> str:
        """The shape of examples for it, such as `[n, 28, 28, 1]`.

        Args:
          whole: whether an example fills all dimensions, including the first.
        """
        sizes = self.shape if whole else self.shape[1:]
        return f"[{', '.join(['n', *('any' if s < 0 else str(s) for s in sizes)])}]"

    def dequantized(self, values: np.ndarray) -> np.ndarray:
        """Numbers as float32; integers that are not quantized stay unchanged.

        Args:
          values: In the model's type.
        """
        if values.dtype.kind in "iu" and self.scales.any():
            zero_points = self.zero_points if self.zero_points.size else [0]
            scales, zeros = self.scales, np.asarray(zero_points, np.float32)
            if scales.size > 1:
                shape = [1] * values.ndim
                shape[self.axis] = -1
                scales, zeros = scales.reshape(shape), zeros.reshape(shape)
            return (values.astype(np.float32) - zeros) * scales
        if values.dtype.kind == "f" or "float" in values.dtype.name:  # as bfloat16
            return values.astype(np.float32, copy=False)
        return values.astype("S") if values.dtype.kind == "O" else values


@dataclass(frozen=True)
class Entry:
    """The part of a `.tflite` file that is run.

    Attributes:
      signature: Key of the signature that names inputs and outputs, or None.
      subgraph: Index of the subgraph.
      inputs: In the order of the signature, or of the subgraph.
      outputs: The same.
    """

    signature: str | None
    subgraph: int
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]


def entry_of(file: ModelFile, signature: str | None = None) -> Entry:
    """The part of a file to run.

    Args:
      file: the model.
      signature: key of a signature; None for the first subgraph.

    Raises:
      InputError: there is no such signature.
    """
    known = {found.key: found for found in file.signatures}
    if signature is not None:
        if signature not in known:
            keys = ", ".join(known)
            raise InputError(
                f"{file.name} has no signature {signature!r}; "
                + (f"choose from {keys}." if keys else "it has none: omit --signature.")
            )
        chosen = known[signature]
        tensors = file.subgraphs[chosen.subgraph].tensors
        inputs, outputs = (
            tuple(_port(tensors[i], i, name) for name, i in side.items())
            for side in (chosen.inputs, chosen.outputs)
        )
        return Entry(signature, chosen.subgraph, inputs, outputs)
    main = file.subgraphs[0]
    first = next((found for found in file.signatures if found.subgraph == 0), None)
    names = (first.inputs, first.outputs) if first else ({}, {})
    sides = []
    for indices, named in zip((main.inputs, main.outputs), names, strict=True):
        by_index = {index: name for name, index in named.items()}
        wanted = [by_index.get(i) or main.tensors[i].name for i in indices]
        sides.append(
            tuple(
                _port(main.tensors[i], i, name)
                for i, name in zip(indices, different(wanted), strict=True)
            )
        )
    return Entry(first.key if first else None, 0, *sides)


def _port(tensor: Tensor, index: int, name: str) -> Port:
    return Port(
        name,
        tensor.signature,
        tensor.type,
        tensor.scales,
        tensor.zero_points,
        tensor.axis,
        index,
    )


def different(names: Iterable[str]) -> list[str]:
    """Names, made non-empty and unique.

    Args:
      names: in order; some may be empty or the same.
    """
    found: list[str] = []
    for i, name in enumerate(names):
        name = name or f"tensor_{i}"
        found.append(f"{name}_{i}" if name in found else name)
    return found
