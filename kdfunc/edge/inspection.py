"""What is in a `.tflite` file."""

import gzip
import os
from collections import Counter
from typing import Any

from kdfunc.edge.reading import read
from kdfunc.edge.schema import BITS, ModelFile, Operator, Subgraph, Tensor
from kdfunc.text import number, percent, table

#: Operators that only bring weights into the form in which they are computed with.
UNPACKING = {"DEQUANTIZE", "DENSIFY"}
#: Types of constants that are no weights: shapes, indices, biases of integer layers.
NO_WEIGHTS = {"int32", "int64", "uint32", "uint64", "bool", "string", "resource"}
NO_WEIGHTS |= {"variant"}
EIGHT_BITS = {"int8", "uint8"}
FLOATS = {"float32", "float16", "bfloat16", "float64"}


def inspect(model: bytes | str | os.PathLike) -> dict[str, Any]:
    """Describes a model in numbers and strings that JSON can hold.

    Args:
      model: content of a `.tflite` file, or its path.

    Returns:
      `file`, `bytes`, `gzip_bytes`, `description`; `quantization`, see `scheme`;
      `inputs` and `outputs` with name, shape (-1 for any size), type, scale and zero
      point; `operators`, the count of each; `tensors`, by type the count and bytes of
      constants (as stored) and of computed tensors (batch of one); `layers`, the
      weights in the order in which they are used: an entry for each operator and
      constant of two or more dimensions that it computes with, with the share of zeros.

    Raises:
      InputError: it is no TFLite model, or it is damaged.
    """
    file = read(model)
    main = file.subgraphs[0]
    layers = [layer for subgraph in file.subgraphs for layer in _layers(subgraph)]
    return {
        "file": file.name,
        "bytes": len(file.content),
        "gzip_bytes": len(gzip.compress(file.content)),
        "description": file.description,
        "quantization": scheme(layers),
        "inputs": [_interface(main.tensors[i]) for i in main.inputs],
        "outputs": [_interface(main.tensors[i]) for i in main.outputs],
        "operators": dict(
            Counter(
                operator.name
                for subgraph in file.subgraphs
                for operator in subgraph.operators
            ).most_common()
        ),
        "tensors": _tensors(file),
        "layers": layers,
    }


def scheme(layers: list[dict[str, Any]]) -> dict[str, Any]:
    """What was quantized and how, from the layers' types.

    Returns:
      `name`: the first way that occurs of `int2`, `int4`, `uint4` (weights, whatever
      the activations), `int16x8`, `full integer`, `dynamic range`, `weight only`
      (dequantized before use), `float16`, `float32`; or `no weights`.
      `types`: how many layers have which types of weights and of activations.
    """
    names = {_layer_scheme(layer) for layer in layers}
    order = ["int2", "int4", "uint4", "int16x8", "full integer", "dynamic range"]
    order += ["weight only", "float16", "float32"]
    types = Counter((layer["type"], layer["activations"]) for layer in layers)
    return {
        "name": min(names, key=order.index, default="no weights"),
        "types": [
            {"weights": weights, "activations": activations, "layers": count}
            for (weights, activations), count in types.most_common()
        ],
    }


def _layer_scheme(layer: dict[str, Any]) -> str:
    weights, activations = layer["type"], layer["activations"]
    if BITS[weights] < 8:
        return weights
    if weights in FLOATS:
        return "float32" if weights in ("float32", "float64") else "float16"
    if activations == "int16":
        return "int16x8"
    if activations in EIGHT_BITS:
        return "full integer"
    return "weight only" if layer["dequantized"] else "dynamic range"


def _layers(subgraph: Subgraph) -> list[dict[str, Any]]:
    producers = {i: op for op in subgraph.operators for i in op.outputs}
    return [
        {
            "operator": operator.name,
            "name": weights.name,
            "type": weights.type,
            "shape": list(weights.shape),
            "activations": _activations(subgraph, operator, producers),
            "dequantized": dequantized,
            "bytes": weights.stored_bytes,
            "zero_share": weights.zero_share,
        }
        for operator in subgraph.operators
        if operator.name not in UNPACKING
        for weights, dequantized in (
            _origin(subgraph, i, producers) for i in operator.inputs if i >= 0
        )
        if _is_weights(weights)
    ]


def _is_weights(tensor: Tensor) -> bool:
    return tensor.constant and len(tensor.shape) >= 2 and tensor.type not in NO_WEIGHTS


def _origin(
    subgraph: Subgraph, index: int, producers: dict[int, Operator]
) -> tuple[Tensor, bool]:
    """The tensor before it was unpacked, and whether it was dequantized there."""
    dequantized = False
    for _ in subgraph.operators:  # no chain is longer, not even a damaged one
        operator = producers.get(index)
        if operator is None or operator.name not in UNPACKING or not operator.inputs:
            break
        dequantized |= operator.name == "DEQUANTIZE"
        index = operator.inputs[0]
    return subgraph.tensors[index], dequantized


def _activations(
    subgraph: Subgraph, operator: Operator, producers: dict[int, Operator]
) -> str:
    """Type of the first input that is computed, else of the first output."""
    for index in operator.inputs:
        if index >= 0 and not _origin(subgraph, index, producers)[0].constant:
            return subgraph.tensors[index].type
    return subgraph.tensors[operator.outputs[0]].type if operator.outputs else "none"


def _interface(tensor: Tensor) -> dict[str, Any]:
    quantized = tensor.scales.size == 1
    return {
        "name": tensor.name,
        "shape": list(tensor.signature),
        "type": tensor.type,
        "scale": float(tensor.scales[0]) if quantized else None,
        "zero_point": int(tensor.zero_points.sum()) if quantized else None,
    }


def _tensors(file: ModelFile) -> dict[str, dict[str, int]]:
    """Counts and bytes by type; a buffer that tensors share is counted once."""
    found: dict[str, dict[str, int]] = {}
    counted = set()
    for tensor in (tensor for graph in file.subgraphs for tensor in graph.tensors):
        kind = "constant" if tensor.constant else "computed"
        entry = found.setdefault(
            tensor.type,
            dict.fromkeys(
                ["constant", "constant_bytes", "computed", "computed_bytes"], 0
            ),
        )
        entry[kind] += 1
        if not tensor.constant:
            entry["computed_bytes"] += tensor.dense_bytes
        elif id(tensor.data) not in counted:
            counted.add(id(tensor.data))
            entry["constant_bytes"] += tensor.stored_bytes
    return found


def as_text(found: dict[str, Any]) -> str:
    """The description for people, in 80 columns."""
    share = percent(found["gzip_bytes"] / found["bytes"])
    name, types = found["quantization"]["name"], found["quantization"]["types"]
    layers = found["layers"]
    sections = [
        f"{found['file']}: {found['bytes']:,} bytes, {found['gzip_bytes']:,} with gzip "
        f"({share})",
        f"quantization: {name}\n"
        + table(
            ["weights", "activations", "layers"],
            [[t["weights"], t["activations"], t["layers"]] for t in types],
            left=2,
        ),
        "inputs and outputs\n"
        + table(
            ["name", "side", "type", "shape", "scale", "zero point"],
            [
                [
                    tensor["name"],
                    side,
                    tensor["type"],
                    _shape(tensor["shape"]),
                    "-" if tensor["scale"] is None else f"{tensor['scale']:.6g}",
                    number(tensor["zero_point"]),
                ]
                for side in ("in", "out")
                for tensor in found[side + "puts"]
            ],
            left=4,
        ),
        "operators\n" + table(["name", "count"], list(found["operators"].items())),
        "tensors\n"
        + table(
            ["type", "constant", "bytes", "computed", "bytes"],
            [[key, *map(number, entry.values())] for key, entry in _by_size(found)],
        ),
    ]
    if layers:
        rows = [
            [
                name,
                layer["operator"],
                layer["type"],
                _shape(layer["shape"]),
                number(layer["bytes"]),
                percent(layer["zero_share"]),
            ]
            for name, layer in zip(_short_names(layers), layers, strict=True)
        ]
        header = ["weights", "used by", "type", "shape", "bytes", "zeros"]
        sections.append("layers\n" + table(header, rows, left=4))
    return "\n\n".join(sections)


def _shape(sizes: list[int]) -> str:
    return "x".join("?" if size < 0 else str(size) for size in sizes) or "scalar"


def _short_names(layers: list[dict[str, Any]]) -> list[str]:
    """Names without the scopes that all share; fused operators list several."""
    names = [layer["name"].split(";")[0] for layer in layers]
    shared = os.path.commonprefix(names).rpartition("/")[0]
    return [name[len(shared) :].lstrip("/") for name in names]


def _by_size(found: dict[str, Any]):
    entries = found["tensors"].items()
    return sorted(entries, key=lambda item: -item[1]["constant_bytes"])
