"""Reads a `.tflite` file and checks that its parts fit together.

References outside the file count as damage and are refused. Parts that can be read but
do not fit, or are not known, are shown and listed as problems, since interpreters
differ in what they accept.
"""

import os
import pathlib
from typing import Any

import numpy as np

from kdfunc.edge.flatbuffer import DamagedError, Source, Table
from kdfunc.edge.names import CUSTOM, operator_name, type_name
from kdfunc.edge.schema import ModelFile, Operator, Signature, Subgraph, Tensor
from kdfunc.errors import InputError

#: Bytes of an index of a sparse tensor, by the number of the kind of its vector.
INDEX_TYPES = {1: "<i4", 2: "<u2", 3: "u1"}
MOST_PROBLEMS = 20  # that are told


def read(model: bytes | str | os.PathLike) -> ModelFile:
    """Reads a model and checks it.

    Args:
      model: content of a `.tflite` file, or its path.

    Raises:
      InputError: there is no such file, it is not a TFLite model, or it is damaged.
    """
    if isinstance(model, bytes):
        name, content = "the model", model
    else:
        name = os.fspath(model)
        content = _load(pathlib.Path(model))
    if content[4:8] != b"TFL3":
        raise InputError(
            f"{name} is not a TFLite model (bytes 5 to 8 are {content[4:8]!r}, not "
            "b'TFL3'); give a .tflite file."
        )
    try:
        return _Reader(name, content).read()
    except DamagedError as error:
        raise InputError(
            f"{name} is damaged or cut short: {error}; give an intact .tflite file."
        ) from error


def _load(path: pathlib.Path) -> bytes:
    try:
        if path.is_fifo() or path.is_char_device():  # whose end may never come
            raise OSError(None, "it is not a regular file")
        with open(path, "rb") as file:
            begin = file.read(8)
            return begin + file.read() if begin[4:] == b"TFL3" else begin
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); give a .tflite file."
        ) from error


class _Reader:
    """Reads one file and collects its problems."""

    def __init__(self, name: str, content: bytes):
        self._name, self._content = name, content
        self._root = Table.root(Source(content))
        self._problems: list[str] = []

    def read(self) -> ModelFile:
        root = self._root
        self._codes = root.tables(1)
        self._buffers = [self._buffer(table) for table in root.tables(4)]
        subgraphs = tuple(self._subgraph(table) for table in root.tables(2))
        if not subgraphs:
            raise DamagedError("it has no subgraph")
        signatures = tuple(
            self._signature(table, subgraphs) for table in root.tables(7)
        )
        metadata = {
            table.text(0): self._data(table.number(1, "I")) for table in root.tables(6)
        }
        problems = list(dict.fromkeys(self._problems))
        if len(problems) > MOST_PROBLEMS:
            more = len(problems) - MOST_PROBLEMS
            problems[MOST_PROBLEMS:] = [f"and {more:,} more like these"]
        return ModelFile(
            self._name,
            self._content,
            root.text(3),
            subgraphs,
            signatures,
            metadata,
            tuple(problems),
        )

    def _buffer(self, table: Table) -> np.ndarray:
        offset, size = table.number(1, "Q"), table.number(2, "Q")
        if offset <= 1:  # 0 and 1 both stand for nothing
            return table.data(0)
        return Source(self._content).array(offset, size, "u1")  # after the FlatBuffer

    def _data(self, number: int) -> np.ndarray:
        """The bytes of a buffer; buffer 0 is empty, and some files have no other."""
        if number == 0 and not self._buffers:
            return np.empty(0, np.uint8)
        return _item(self._buffers, number, "buffer")

    def _subgraph(self, table: Table) -> Subgraph:
        tensors = tuple(self._tensor(tensor) for tensor in table.tables(0))
        return Subgraph(
            table.text(4),
            tensors,
            tuple(self._operator(operator, tensors) for operator in table.tables(3)),
            _indices(table, 1, tensors),
            _indices(table, 2, tensors),
        )

    def _operator(self, table: Table, tensors: tuple[Tensor, ...]) -> Operator:
        code = _item(self._codes, table.number(0, "I"), "operator")
        # Older files have the number in the first field, a byte, which then overflowed.
        number = max(code.number(0, "b"), code.number(3, "i"))
        custom = number == CUSTOM
        name = custom and code.text(1) or operator_name(number)
        if name.startswith("unknown "):
            self._problems.append(
                f"it has the {name}, which is newer than the installed schema"
            )
        once = table.table(4) if name == "CALL_ONCE" else None
        return Operator(
            name,
            _indices(table, 1, tensors, optional=True),
            _indices(table, 2, tensors),
            custom,
            table.data(5).size or int(table.number(10, "Q")) if custom else 0,
            once.number(0, "i") if once else None,
        )

    def _tensor(self, table: Table) -> Tensor:
        quantization = table.table(4)
        scales, zero_points, axis = np.empty(0, "<f4"), np.empty(0, "<i8"), 0
        if quantization:
            scales = quantization.array(2, "<f4")
            zero_points = quantization.array(3, "<i8")
            axis = quantization.number(6, "i")
        sparsity = table.table(6)
        shape = table.numbers(0)
        signature = table.numbers(7) or shape
        parts: dict[str, Any] = {
            "name": table.text(3),
            "shape": shape,
            "signature": signature if len(signature) == len(shape) else shape,
            "type": type_name(table.number(1, "b")),
            "data": self._data(table.number(2, "I")),
            "scales": scales,
            "zero_points": zero_points,
            "axis": axis,
            "index_bytes": _index_bytes(sparsity) if sparsity else 0,
            "variable": bool(table.number(5, "B")),
        }
        problems = list(_problems(Tensor(**parts), sparsity is not None))
        if len(signature) != len(shape):
            problems.append("has two shapes of different rank")
        self._problems += (f"tensor {parts['name']!r} {told}" for told in problems)
        return Tensor(**parts, sound=not problems)

    def _signature(self, table: Table, subgraphs: tuple[Subgraph, ...]) -> Signature:
        index = table.number(4, "I")
        tensors = _item(subgraphs, index, "subgraph").tensors

        def named(field: int) -> dict[str, int]:
            pairs = [
                (pair.text(0), pair.number(1, "I")) for pair in table.tables(field)
            ]
            for _, tensor in pairs:
                _item(tensors, tensor, "tensor")
            return dict(pairs)

        return Signature(table.text(2), index, named(0), named(1))


def _index_bytes(sparsity: Table) -> int:
    count = 0
    for dimension in sparsity.tables(2):
        for field in (2, 4):  # segments and indices, each after the number of its kind
            vector, kind = dimension.table(field + 1), dimension.number(field, "B")
            if vector:
                dtype = INDEX_TYPES.get(kind)
                if dtype is None:
                    raise DamagedError(f"it has sparse indices of unknown kind {kind}")
                count += vector.array(0, dtype).nbytes
    return count


def _problems(tensor: Tensor, sparse: bool):
    """What does not fit, in clauses to follow the tensor's name."""
    if tensor.type.startswith("unknown "):
        yield f"has the {tensor.type}, which is newer than the installed schema"
    if any(size < -1 for size in tensor.shape):
        yield f"has shape {list(tensor.shape)}"
    stored, whole, bits = tensor.data.size, tensor.dense_bytes, tensor.bits
    if tensor.constant and bits:
        fits = stored <= whole and 8 * stored % bits == 0 if sparse else stored == whole
        if not fits:
            yield f"takes {whole} bytes but has {stored}"
    if sparse and tensor.zero_points.any():
        yield "omits zeros that are not stored as 0"
    channels = tensor.scales.size
    if not (np.isfinite(tensor.scales) & (tensor.scales >= 0)).all():
        yield "has a scale that is not a positive number"
    if tensor.zero_points.size not in (0, channels):
        yield "has different numbers of scales and zero points"
    if 0 < bits <= 16:
        lowest = 0 if tensor.type.startswith("u") else -(1 << (bits - 1))
        steps = tensor.zero_points - lowest
        if not ((steps >= 0) & (steps < 1 << bits)).all():
            yield f"has a zero point outside {tensor.type}"
    if channels > 1:
        along = tensor.shape[tensor.axis : tensor.axis + 1]
        if tensor.axis < 0 or along != (channels,):
            yield (
                f"has {channels} scales for dimension {tensor.axis} of "
                f"{list(tensor.shape)}"
            )


def _indices(table, field, tensors, optional: bool = False) -> tuple[int, ...]:
    indices = table.numbers(field)
    for index in indices:
        if not (-1 if optional else 0) <= index < len(tensors):
            raise DamagedError(f"it refers to tensor {index} of {len(tensors)}")
    return indices


def _item(items, number: int, what: str):
    if not 0 <= number < len(items):
        raise DamagedError(f"it refers to {what} {number} of {len(items)}")
    return items[number]
