"""Describes the contents of a `.tflite` file."""

import gzip
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np

from kdfunc.edge.metadata import metadata_of
from kdfunc.edge.names import BITS
from kdfunc.edge.reading import read
from kdfunc.edge.schema import ModelFile, Operator, Signature, Subgraph, Tensor

EIGHT_BITS = {"int8", "uint8"}
FLOATS = {"float32", "float16", "bfloat16", "float64"}


def inspect(model: bytes | str | os.PathLike) -> dict[str, Any]:
    """Describes a model in numbers and strings that JSON can represent.

    Args:
      model: content of a `.tflite` file, or its path.

    Returns:
      `file`, `bytes`, `gzip_bytes`, `description`; `quantization`, see `scheme`;
      `inputs` and `outputs` with name, shape (-1 for any size), type, scale and zero
      point; `signatures`, each with key, subgraph, inputs and outputs; `subgraphs`,
      each with name, inputs, outputs and the count of its operators; `operators`, the
      same for all subgraphs; `custom`, the operators that are not in the schema, with
      the bytes of their options; `state`, what is kept between runs, or None;
      `metadata`, see `kdfunc.edge.metadata`; `runtime`, its minimum version; `tensors`,
      by type the count and bytes of constants (as stored) and of computed tensors
      (batch of one); `layers`, the weights in the order of use: an entry for each
      operator and each constant of two or more dimensions that it uses, with one scale
      for all or one per channel, and the share of zeros; `problems`, what does not fit
      together or is not known.

    Raises:
      InputError: it is not a TFLite model, or it is damaged.
    """
    file = read(model)
    metadata = metadata_of(file)
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
        "signatures": [_signature(file, signature) for signature in file.signatures],
        "subgraphs": [_subgraph(subgraph) for subgraph in file.subgraphs],
        "operators": _counts(file.subgraphs),
        "custom": _custom(file),
        "state": asdict(file.state) if file.state else None,
        "metadata": asdict(metadata),
        "runtime": _runtime(file),
        "tensors": _tensors(file),
        "layers": layers,
        "problems": [*file.problems, *filter(None, [metadata.problem])],
    }


def scheme(layers: list[dict[str, Any]]) -> dict[str, Any]:
    """How the model was quantized, from the types of its layers.

    Args:
      layers: those of `inspect`.

    Returns:
      `name`: the first that applies of `int2`, `int4`, `uint4` (weights, with any
      activations), `int16x8`, `full integer`, `dynamic range`, `weight only`
      (dequantized before use), `float16`, `float32`; or `no weights`. `types`: how many
      layers have which types of weights and of activations.
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
    if BITS.get(weights, 8) < 8:
        return weights
    if weights in FLOATS:
        return "float32" if weights in ("float32", "float64") else "float16"
    if activations == "int16":
        return "int16x8"
    if activations in EIGHT_BITS:
        return "full integer"
    return "weight only" if layer["dequantized"] else "dynamic range"


def _layers(subgraph: Subgraph) -> list[dict[str, Any]]:
    return [
        {
            "operator": operator.name,
            "name": weights.name,
            "type": weights.type,
            "shape": list(weights.shape),
            "activations": _activations(subgraph, operator),
            "dequantized": dequantized,
            "scales": scales(weights),
            "bytes": weights.stored_bytes,
            "zero_share": weights.zero_share,
        }
        for operator in subgraph.operators
        for weights, dequantized in subgraph.weights(operator)
    ]


def _activations(subgraph: Subgraph, operator: Operator) -> str:
    """Type of the first computed input, else of the first output."""
    for index in operator.inputs:
        if index >= 0 and not subgraph.tensors[subgraph.origin(index)[0]].constant:
            return subgraph.tensors[index].type
    return subgraph.tensors[operator.outputs[0]].type if operator.outputs else "none"


def scales(tensor: Tensor) -> str | None:
    """`per tensor`, `per channel`, or None if nothing is quantized.

    Args:
      tensor: of a model file.
    """
    if not tensor.scales.size:
        return None
    return "per tensor" if tensor.scales.size == 1 else "per channel"


def _signature(file: ModelFile, signature: Signature) -> dict[str, Any]:
    tensors = file.subgraphs[signature.subgraph].tensors
    sides = {"inputs": signature.inputs, "outputs": signature.outputs}
    return {
        "key": signature.key,
        "subgraph": signature.subgraph,
        **{
            side: [_interface(tensors[i], name) for name, i in named.items()]
            for side, named in sides.items()
        },
    }


def _subgraph(subgraph: Subgraph) -> dict[str, Any]:
    return {
        "name": subgraph.name,
        "inputs": [_interface(subgraph.tensors[i]) for i in subgraph.inputs],
        "outputs": [_interface(subgraph.tensors[i]) for i in subgraph.outputs],
        "operators": _counts([subgraph]),
    }


def _counts(subgraphs: Iterable[Subgraph]) -> dict[str, int]:
    names = (op.name for subgraph in subgraphs for op in subgraph.operators)
    return dict(Counter(names).most_common())


def _custom(file: ModelFile) -> list[dict[str, Any]]:
    found: dict[str, list[int]] = {}
    for subgraph in file.subgraphs:
        for operator in subgraph.operators:
            if operator.custom:
                found.setdefault(operator.name, []).append(operator.custom_bytes)
    return [
        {"name": name, "count": len(sizes), "bytes": sum(sizes)}
        for name, sizes in found.items()
    ]


def _runtime(file: ModelFile) -> str | None:
    """The minimum version of the runtime, as the converter wrote it."""
    said = file.metadata.get("min_runtime_version", np.empty(0, np.uint8))
    text = said.tobytes().partition(b"\0")[0].decode("ascii", "replace")
    return text if text.isprintable() and text else None


def _interface(tensor: Tensor, name: str | None = None) -> dict[str, Any]:
    quantized = tensor.scales.size == 1
    return {
        "name": tensor.name if name is None else name,
        "shape": list(tensor.signature),
        "type": tensor.type,
        "scales": scales(tensor),
        "scale": _finite(tensor.scales[0]) if quantized else None,
        "zero_point": int(tensor.zero_points.sum()) if quantized else None,
    }


def _finite(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _tensors(file: ModelFile) -> dict[str, dict[str, int]]:
    """Counts and bytes by type; a shared buffer is counted once."""
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
