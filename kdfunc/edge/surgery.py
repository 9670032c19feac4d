"""Rewrites a `.tflite` file with some layers taken from another file.

A layer is an operator with weights. A restored layer computes in floating point, as if
it had been left out of the quantization: its weights and biases are those of the
reference, and its integer inputs and outputs are dequantized and quantized. Everything
else stays as it is in the candidate.
"""

from collections.abc import Collection
from typing import Any

import numpy as np

from kdfunc.edge.graphs import Graph, Layer, as_list, as_text
from kdfunc.edge.metadata import with_files_of
from kdfunc.edge.schema import NO_WEIGHTS, UNPACKING


def restored(candidate: Graph, reference: Graph, layers: Collection[Layer]) -> bytes:
    """The content of the candidate's file with these layers from the reference.

    Args:
      candidate: The file to rewrite.
      reference: The source of the weights.
      layers: Layers that both have; none may keep its state in integers.

    Raises:
      InputError: The reference's weights are not floating-point numbers.
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


NONE = -1  # in the place of a tensor that an operator does without


class _Copy(Graph):
    """A graph being changed; tensors are identified by their indices."""

    def restore(self, operator: Any, reference: Graph, theirs: Any) -> list[Any]:
        """The floating-point operators that replace one operator."""
        before, after = [], []
        inputs, outputs = as_list(operator.inputs), as_list(operator.outputs)
        given = as_list(theirs.inputs)
        inputs += [NONE] * (len(given) - len(inputs))  # such as a bias
        given += [NONE] * (len(inputs) - len(given))
        for place, (mine, other) in enumerate(zip(inputs, given, strict=True)):
            if other == NONE:
                if mine != NONE and self.data(self.origin(mine)) is not None:
                    inputs[place] = NONE
                continue
            constant = reference.origin(other)
            if reference.data(constant) is not None:
                if reference.type_of(constant) not in NO_WEIGHTS:
                    name = as_text(constant.name)
                    inputs[place] = self._constant(reference.floats(constant), name)
            elif mine != NONE and self.is_quantized(mine):
                inputs[place] = self._float_copy(mine)
                before.append(self._converted("DEQUANTIZE", mine, inputs[place]))
        for place, index in enumerate(outputs):
            if self.is_quantized(index):
                outputs[place] = self._float_copy(index)
                after.append(self._converted("QUANTIZE", outputs[place], index))
        operator.inputs, operator.outputs = inputs, outputs
        return [*before, operator, *after]

    def _float_copy(self, index: int) -> int:
        """A new float32 tensor like a computed one."""
        like = self.graph.tensors[index]
        tensor = self.schema.TensorT()
        tensor.name = as_text(like.name) + "/float"
        tensor.shape, tensor.shapeSignature = like.shape, like.shapeSignature
        tensor.hasRank, tensor.buffer = like.hasRank, 0
        tensor.type = self.schema.TensorType.FLOAT32
        return self._added(tensor)

    def _constant(self, values: np.ndarray, name: str) -> int:
        """A new float32 constant, named after the reference's."""
        buffer, tensor = self.schema.BufferT(), self.schema.TensorT()
        buffer.data = np.ascontiguousarray(values, "<f4").ravel().view(np.uint8)
        self.model.buffers.append(buffer)
        tensor.name = f"{name}/restored"
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
        """Removes operators that unpacked replaced weights, with tensors and bytes."""
        graph, model = self.graph, self.model
        while True:
            read = {i for operator in graph.operators for i in as_list(operator.inputs)}
            read |= set(as_list(graph.outputs))
            kept = [
                operator
                for operator in graph.operators
                if self.operator_name(operator) not in UNPACKING
                or read & set(as_list(operator.outputs))
            ]
            if len(kept) == len(graph.operators):
                break
            graph.operators = kept
        signatures = [
            s for s in model.signatureDefs or [] if (s.subgraphIndex or 0) == 0
        ]
        maps = [m for s in signatures for m in [*(s.inputs or []), *(s.outputs or [])]]
        used = {*as_list(graph.inputs), *as_list(graph.outputs)}
        used |= {m.tensorIndex for m in maps}
        for operator in graph.operators:
            for indices in (operator.inputs, operator.outputs, operator.intermediates):
                used |= set(as_list(indices))
        places = {old: new for new, old in enumerate(sorted(used - {-1}))}
        places[-1] = -1

        def moved(indices):
            return None if indices is None else [places[i] for i in as_list(indices)]

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
        used |= set(as_list(model.metadataBuffer))
        places = {old: new for new, old in enumerate(sorted(used))}
        for owner in owners:
            owner.buffer = places[owner.buffer]
        if model.metadataBuffer is not None:
            model.metadataBuffer = [places[i] for i in as_list(model.metadataBuffer)]
        model.buffers = [model.buffers[i] for i in sorted(used)]

    def packed(self) -> bytes:
        """The content of the file."""
        import flatbuffers

        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(self.model.Pack(builder), b"TFL3")
        return with_files_of(self.content, bytes(builder.Output()))
