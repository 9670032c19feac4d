"""Writes a `.tflite` file anew with some of its layers as they are in another one.

A layer is an operator with weights. One that is restored computes in floating point,
as it would had it been left out of the quantization: its weights and biases are those
of the reference, and what comes to it, or goes from it, as integers is dequantized and
quantized there. Everything else stays as it is in the candidate.
"""

import os
from collections.abc import Collection
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from kdfunc.edge.inspection import NO_WEIGHTS, UNPACKING
from kdfunc.edge.reading import read
from kdfunc.errors import InputError

FLOATS = {"float32", "float16"}
LARGEST = 2**31  # bytes of a FlatBuffer
INTEGERS = {"int8", "uint8", "int16"}


@dataclass(frozen=True)
class Layer:
    """A layer that a candidate and its reference have in common.

    Attributes:
      name: Of its first weights, without what fused layers add.
      operator: Name of the operator.
      output: Name of its first output, by which Model Explorer knows it.
      shape: Of its first weights.
      here: Number of the operator in the candidate.
      there: The same in the reference.
    """

    name: str
    operator: str
    output: str
    shape: tuple[int, ...]
    here: int
    there: int


class Graph:
    """The first subgraph of a file, as FlatBuffers' object API has it.

    Args:
      path: Of a `.tflite` file.

    Raises:
      InputError: There is no such file, it is damaged, or nothing here can write it.
    """

    def __init__(self, path: str | os.PathLike):
        self.name = os.fspath(path)
        self.content = read(path).content  # whose parts have been checked
        self.schema = _schema()
        self._names = _names(self.schema.BuiltinOperator)
        self._types = _names(self.schema.TensorType)
        self.model = self.schema.ModelT.InitFromPackedBuf(bytearray(self.content))
        if len(self.content) >= LARGEST:
            raise InputError(
                f"{path} has {len(self.content):,} bytes, and files of 2 GB and more "
                "cannot be written anew; give a smaller model."
            )
        self._draw_in()
        self.graph = self.model.subgraphs[0]
        self.producers = {
            int(i): operator
            for operator in self.graph.operators
            for i in _list(operator.outputs)
        }

    def _draw_in(self) -> None:
        """Takes into the FlatBuffer what a file keeps behind it."""
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
        """Such as `CONV_2D`."""
        code = self.model.operatorCodes[operator.opcodeIndex]
        number = max(code.builtinCode, code.deprecatedBuiltinCode)
        return self._names.get(number, str(number))

    def type_of(self, tensor: Any) -> str:
        """Such as `float32`."""
        return self._types[tensor.type].lower()

    def origin(self, index: int) -> Any:
        """The tensor before it was unpacked."""
        while (producer := self.producers.get(index)) is not None:
            if self.operator_name(producer) not in UNPACKING:
                break
            index = int(producer.inputs[0])
        return self.graph.tensors[index]

    def data(self, tensor: Any) -> np.ndarray | None:
        """Bytes of a constant; None for what is computed."""
        content = self.model.buffers[tensor.buffer].data
        return None if content is None or len(content) == 0 else np.asarray(content)

    def weights(self, operator: Any) -> list[Any]:
        """The constants of two or more dimensions that an operator computes with."""
        if self.operator_name(operator) in UNPACKING:
            return []
        found = [self.origin(int(i)) for i in _list(operator.inputs) if i >= 0]
        return [
            tensor
            for tensor in found
            if self.data(tensor) is not None
            and len(_list(tensor.shape)) >= 2
            and self.type_of(tensor) not in NO_WEIGHTS
        ]

    def floats(self, tensor: Any) -> np.ndarray:
        """Values of a constant of floating-point numbers as float32.

        Raises:
          InputError: It is none, or it is stored sparse.
        """
        kind = self.type_of(tensor)
        if kind not in FLOATS or tensor.sparsity is not None:
            how = "sparse" if tensor.sparsity is not None else kind
            raise InputError(
                f"{self.name} has {_text(tensor.name)} as {how}; give the reference in "
                "float32 or float16, from which layers can be restored."
            )
        values = self.data(tensor).view("<f4" if kind == "float32" else "<f2")
        return values.astype(np.float32).reshape(_list(tensor.shape))


def common_layers(candidate: Graph, reference: Graph) -> list[Layer]:
    """The layers whose weights differ, in the order in which they run.

    Raises:
      InputError: None differ, or those of one file are not those of the other.
    """
    sides = []
    for graph in (candidate, reference):
        found = [
            (number, graph.operator_name(operator), graph.weights(operator))
            for number, operator in enumerate(graph.graph.operators)
        ]
        sides.append([entry for entry in found if entry[2]])
    kinds = [
        [(name, [tuple(_list(w.shape)) for w in weights]) for _, name, weights in side]
        for side in sides
    ]
    if kinds[0] != kinds[1] or not kinds[0]:
        raise InputError(
            f"{candidate.name} has {len(kinds[0])} layers with weights and "
            f"{reference.name} has {len(kinds[1])}, and they are not the same "
            "operators of the same shapes in the same order; give files that were "
            "converted from one model."
        )
    layers = []
    for (here, name, weights), (there, _, originals) in zip(*sides, strict=True):
        pairs = zip(weights, originals, strict=True)
        if all(_same(candidate, mine, reference, other) for mine, other in pairs):
            continue
        operator = candidate.graph.operators[here]
        output = candidate.graph.tensors[int(operator.outputs[0])]
        layers.append(
            Layer(
                _text(weights[0].name).split(";")[0],
                name,
                _text(output.name),
                tuple(_list(weights[0].shape)),
                here,
                there,
            )
        )
    if not layers:
        raise InputError(
            f"{candidate.name} has the weights of {reference.name} in every layer; "
            "there is nothing to restore."
        )
    return layers


def _same(candidate: Graph, mine: Any, reference: Graph, other: Any) -> bool:
    return mine.type == other.type and np.array_equal(
        candidate.data(mine), reference.data(other)
    )


def restored(candidate: Graph, reference: Graph, layers: Collection[Layer]) -> bytes:
    """The content of the candidate's file with these layers as in the reference.

    Raises:
      InputError: The reference's weights are no floating-point numbers, or a layer
        keeps a state as integers.
    """
    copy = _Copy(candidate.name)
    operators = []
    chosen = {layer.here: layer for layer in layers}
    for number, operator in enumerate(copy.graph.operators):
        if number in chosen:
            theirs = reference.graph.operators[chosen[number].there]
            operators += copy.restore(operator, reference, theirs)
        else:
            operators.append(operator)
    copy.graph.operators = operators
    copy.drop_unused()
    return copy.packed()


class _Copy(Graph):
    """A graph that is changed; tensors are known by their indices."""

    def restore(self, operator: Any, reference: Graph, theirs: Any) -> list[Any]:
        """The operators that do in floating point what one does."""
        before, after = [], []
        inputs, outputs = _list(operator.inputs), _list(operator.outputs)
        for place, other in enumerate(_list(theirs.inputs)):
            mine = inputs[place]
            if mine < 0 or other < 0:
                continue
            constant = reference.origin(other)
            if reference.data(constant) is not None:
                if reference.type_of(constant) not in NO_WEIGHTS:
                    inputs[place] = self._constant(reference.floats(constant), mine)
            elif self._is_quantized(mine):
                inputs[place] = self._float_copy(mine)
                before.append(self._converted("DEQUANTIZE", mine, inputs[place]))
        for place, index in enumerate(outputs):
            if self._is_quantized(index):
                outputs[place] = self._float_copy(index)
                after.append(self._converted("QUANTIZE", outputs[place], index))
        operator.inputs, operator.outputs = inputs, outputs
        return [*before, operator, *after]

    def _is_quantized(self, index: int) -> bool:
        tensor = self.graph.tensors[index]
        quantization = tensor.quantization
        if self.type_of(tensor) not in INTEGERS or quantization is None:
            return False
        if tensor.isVariable:
            raise InputError(
                f"{self.name} keeps the state {_text(tensor.name)} as integers, and "
                "the layer that does so cannot be restored."
            )
        return len(_list(quantization.scale)) > 0

    def _float_copy(self, index: int) -> int:
        """A new tensor like one that is computed, in float32."""
        like = self.graph.tensors[index]
        tensor = self.schema.TensorT()
        tensor.name = _text(like.name) + "/float"
        tensor.shape, tensor.shapeSignature = like.shape, like.shapeSignature
        tensor.hasRank, tensor.buffer = like.hasRank, 0
        tensor.type = self.schema.TensorType.FLOAT32
        return self._added(tensor)

    def _constant(self, values: np.ndarray, like: int) -> int:
        """A new constant in float32 in the place of one of the candidate."""
        buffer, tensor = self.schema.BufferT(), self.schema.TensorT()
        buffer.data = np.ascontiguousarray(values, "<f4").ravel().view(np.uint8)
        self.model.buffers.append(buffer)
        tensor.name = _text(self.origin(like).name) + "/restored"
        tensor.shape = list(values.shape)
        tensor.buffer = len(self.model.buffers) - 1
        tensor.type = self.schema.TensorType.FLOAT32
        return self._added(tensor)

    def _added(self, tensor: Any) -> int:
        self.graph.tensors.append(tensor)
        return len(self.graph.tensors) - 1

    def _converted(self, name: str, source: int, sink: int) -> Any:
        """An operator to or from float32."""
        code, operator = self.schema.OperatorCodeT(), self.schema.OperatorT()
        number = getattr(self.schema.BuiltinOperator, name)
        code.builtinCode = code.deprecatedBuiltinCode = number
        code.version = 2  # with int8
        self.model.operatorCodes.append(code)
        operator.opcodeIndex = len(self.model.operatorCodes) - 1
        operator.inputs, operator.outputs = [source], [sink]
        return operator

    def drop_unused(self) -> None:
        """Leaves out what unpacked weights that are gone, their tensors and bytes."""
        graph, model = self.graph, self.model
        while True:
            read = {i for operator in graph.operators for i in _list(operator.inputs)}
            read |= set(_list(graph.outputs))
            kept = [
                operator
                for operator in graph.operators
                if self.operator_name(operator) not in UNPACKING
                or read & set(_list(operator.outputs))
            ]
            if len(kept) == len(graph.operators):
                break
            graph.operators = kept
        signatures = [
            s for s in model.signatureDefs or [] if (s.subgraphIndex or 0) == 0
        ]
        maps = [m for s in signatures for m in [*(s.inputs or []), *(s.outputs or [])]]
        used = {*_list(graph.inputs), *_list(graph.outputs)}
        used |= {m.tensorIndex for m in maps}
        for operator in graph.operators:
            for indices in (operator.inputs, operator.outputs, operator.intermediates):
                used |= set(_list(indices))
        places = {old: new for new, old in enumerate(sorted(used - {-1}))}
        places[-1] = -1

        def moved(indices):
            return None if indices is None else [places[i] for i in _list(indices)]

        for operator in graph.operators:
            operator.inputs, operator.outputs = (
                moved(operator.inputs),
                moved(operator.outputs),
            )
            operator.intermediates = moved(operator.intermediates)
        graph.inputs, graph.outputs = moved(graph.inputs), moved(graph.outputs)
        for entry in maps:
            entry.tensorIndex = places[entry.tensorIndex]
        graph.tensors = [graph.tensors[i] for i in sorted(used - {-1})]
        self._drop_buffers()

    def _drop_buffers(self) -> None:
        model = self.model
        owners = [tensor for graph in model.subgraphs for tensor in graph.tensors]
        owners += model.metadata or []
        used = {0} | {owner.buffer for owner in owners}
        used |= set(_list(model.metadataBuffer))
        places = {old: new for new, old in enumerate(sorted(used))}
        for owner in owners:
            owner.buffer = places[owner.buffer]
        if model.metadataBuffer is not None:
            model.metadataBuffer = [places[i] for i in _list(model.metadataBuffer)]
        model.buffers = [model.buffers[i] for i in sorted(used)]

    def packed(self) -> bytes:
        """The content of the file."""
        import flatbuffers

        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _names(numbers: type) -> dict[int, str]:
    """The names of an enumeration of the schema by their numbers."""
    return {v: name for name, v in vars(numbers).items() if isinstance(v, int)}


def _schema() -> ModuleType:
    try:
        from ai_edge_litert import schema_py_generated
    except ImportError as error:
        raise InputError(
            "files are written with ai-edge-litert, which is not installed here; pip "
            "install ai-edge-litert."
        ) from error
    return schema_py_generated


def _list(values: Any) -> list[int]:
    return [] if values is None else [int(value) for value in values]


def _text(name: Any) -> str:
    return name.decode(errors="replace") if isinstance(name, bytes) else name or ""
