"""Reads a `.tflite` file and checks that its parts fit together."""

import os
import pathlib

import numpy as np

from kdfunc.edge.flatbuffer import DamagedError, Source, Table
from kdfunc.edge.schema import (
    BITS,
    CUSTOM,
    OPERATORS,
    TYPES,
    ModelFile,
    Operator,
    Subgraph,
    Tensor,
)
from kdfunc.errors import InputError

#: Bytes of an index of a sparse tensor, by the number of the kind of its vector.
INDEX_TYPES = {1: "<i4", 2: "<u2", 3: "u1"}


def read(model: bytes | str | os.PathLike) -> ModelFile:
    """Reads a model and checks it.

    Args:
      model: content of a `.tflite` file, or its path.

    Raises:
      InputError: there is no such file, it is no TFLite model, or it is damaged.
    """
    if isinstance(model, bytes):
        name, content = "the model", model
    else:
        name = os.fspath(model)
        content = _load(pathlib.Path(model))
    if content[4:8] != b"TFL3":
        raise InputError(
            f"{name} is no TFLite model (bytes 5 to 8 are {content[4:8]!r}, not "
            "b'TFL3'); give a .tflite file."
        )
    try:
        root = Table.root(Source(content))
        return ModelFile(name, content, root.text(3), _subgraphs(root, content))
    except DamagedError as error:
        raise InputError(
            f"{name} is damaged or cut short: {error}; give an intact .tflite file."
        ) from error


def _load(path: pathlib.Path) -> bytes:
    try:
        with open(path, "rb") as file:
            begin = file.read(8)
            return begin + file.read() if begin[4:] == b"TFL3" else begin
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); give a .tflite file."
        ) from error


def _subgraphs(root: Table, content: bytes) -> tuple[Subgraph, ...]:
    names = [_operator_name(code) for code in root.tables(1)]
    buffers = [_buffer(table, content) for table in root.tables(4)]
    subgraphs = tuple(_subgraph(table, names, buffers) for table in root.tables(2))
    if not subgraphs:
        raise DamagedError("it has no subgraph")
    return subgraphs


def _operator_name(code: Table) -> str:
    # Older files have the number in the first field, a byte, which then overflowed.
    number = max(code.number(0, "b"), code.number(3, "i"))
    if number == CUSTOM:
        return code.text(1) or "CUSTOM"
    return _item(OPERATORS, number, "operator code")


def _buffer(table: Table, content: bytes) -> np.ndarray:
    offset, size = table.number(1, "Q"), table.number(2, "Q")
    if offset <= 1:  # 0 and 1 both stand for nothing
        return table.data(0)
    return Source(content).array(offset, size, "u1")  # after the FlatBuffer


def _subgraph(table: Table, names: list[str], buffers: list[np.ndarray]) -> Subgraph:
    tensors = tuple(_tensor(tensor, buffers) for tensor in table.tables(0))
    operators = tuple(
        Operator(
            _item(names, operator.number(0, "I"), "operator"),
            _indices(operator, 1, tensors, optional=True),
            _indices(operator, 2, tensors),
        )
        for operator in table.tables(3)
    )
    inputs, outputs = _indices(table, 1, tensors), _indices(table, 2, tensors)
    return Subgraph(tensors, operators, inputs, outputs)


def _tensor(table: Table, buffers: list[np.ndarray]) -> Tensor:
    quantization = table.table(4)
    scales, zero_points, axis = np.empty(0, "<f4"), np.empty(0, "<i8"), 0
    if quantization:
        scales, zero_points = quantization.array(2, "<f4"), quantization.array(3, "<i8")
        axis = quantization.number(6, "i")
    sparsity = table.table(6)
    shape = table.numbers(0)
    tensor = Tensor(
        name=table.text(3),
        shape=shape,
        signature=table.numbers(7) or shape,
        type=_item(TYPES, table.number(1, "b"), "tensor type"),
        data=_item(buffers, table.number(2, "I"), "buffer"),
        scales=scales,
        zero_points=zero_points,
        axis=axis,
        index_bytes=_index_bytes(sparsity) if sparsity else 0,
    )
    _check(tensor, sparse=sparsity is not None)
    return tensor


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


def _check(tensor: Tensor, sparse: bool) -> None:
    title = f"tensor {tensor.name!r}"
    if any(size < -1 for size in tensor.shape):
        raise DamagedError(f"{title} has shape {list(tensor.shape)}")
    if len(tensor.signature) != len(tensor.shape):
        raise DamagedError(f"{title} has two shapes of different rank")
    stored, whole = tensor.data.size, tensor.dense_bytes
    bits = BITS[tensor.type]
    if tensor.constant and bits:
        fits = stored <= whole and 8 * stored % bits == 0 if sparse else stored == whole
        if not fits:
            raise DamagedError(f"{title} takes {whole} bytes and has {stored}")
    if sparse and tensor.zero_points.any():
        raise DamagedError(f"{title} leaves out zeros that are not stored as 0")
    channels = tensor.scales.size
    if not (np.isfinite(tensor.scales) & (tensor.scales >= 0)).all():
        raise DamagedError(f"{title} has a scale that is no positive number")
    if tensor.zero_points.size not in (0, channels):
        raise DamagedError(f"{title} has other numbers of scales and of zero points")
    if 0 < bits <= 16:
        lowest = 0 if tensor.type.startswith("u") else -(1 << (bits - 1))
        steps = tensor.zero_points - lowest
        if not ((steps >= 0) & (steps < 1 << bits)).all():
            raise DamagedError(f"{title} has a zero point outside of {tensor.type}")
    if channels > 1:
        along = tensor.shape[tensor.axis : tensor.axis + 1]
        if tensor.axis < 0 or along != (channels,):
            raise DamagedError(f"{title} has scales that do not fit its shape")


def _indices(table, field, tensors, optional: bool = False) -> tuple[int, ...]:
    indices = table.numbers(field)
    for index in indices:
        if not (-1 if optional else 0) <= index < len(tensors):
            raise DamagedError(f"it refers to tensor {index} of {len(tensors)}")
    return indices


def _item(items, number: int, what: str):
    if not 0 <= number < len(items):
        raise DamagedError(
            f"it has {what} {number}, the last known is {len(items) - 1}"
        )
    return items[number]
