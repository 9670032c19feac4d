"""The contents of a `.tflite` file as text in 80 columns."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kdfunc.text import number, percent, short_names, table, wrapped

MOST_LABELS = 5  # that are shown
Found = Mapping[str, Any]


def as_text(found: Found) -> str:
    """The description from `inspect`, as text.

    Args:
      found: from `inspect`.
    """
    share = percent(found["gzip_bytes"] / found["bytes"])
    head = (
        f"{found['file']}: {found['bytes']:,} bytes, {found['gzip_bytes']:,} with gzip "
        f"({share})"
    )
    parts = [
        _listed("problems", [f"{told}." for told in found["problems"]]),
        _quantization(found["quantization"]),
        _listed("state", _state(found["state"])),
        "inputs and outputs\n" + _ports(found),
        _signatures(found["signatures"]),
        _metadata(found),
        _operators(found["subgraphs"]),
        _custom(found["custom"]),
        _tensors(found["tensors"]),
        _layers(found["layers"]),
    ]
    return "\n\n".join([head, *filter(None, parts)])


def _listed(title: str, sentences: Iterable[str]) -> str:
    lines = [wrapped(sentence, "  ", "    ") for sentence in sentences]
    return "\n".join([title, *lines]) if lines else ""


def _state(state: Found | None) -> Iterable[str]:
    if not state:
        return
    if state["variables"]:
        yield (
            "Variable tensors that keep their values between runs: "
            f"{len(state['variables'])}; kdfunc-edge resets them before each example."
        )
    if state["resources"]:
        yield (
            "The model assigns resource variables, which a reset does not affect; "
            "kdfunc-edge reloads it for each example."
        )
    if state["random"]:
        yield (
            "The model draws random numbers; kdfunc-edge reloads it for each example, "
            "so that numbers with a seed repeat."
        )


def _quantization(quantization: Found) -> str:
    rows = [
        [entry["weights"], entry["activations"], entry["layers"]]
        for entry in quantization["types"]
    ]
    header = ["weights", "activations", "layers"]
    return f"quantization: {quantization['name']}\n{table(header, rows, left=2)}"


def _ports(sides: Found) -> str:
    rows = [
        [
            port["name"],
            side,
            port["type"],
            _shape(port["shape"]),
            "-" if port["scale"] is None else f"{port['scale']:.6g}",
            number(port["zero_point"]),
        ]
        for side in ("in", "out")
        for port in sides[side + "puts"]
    ]
    return table(["name", "side", "type", "shape", "scale", "zero point"], rows, left=4)


def _signatures(signatures: Sequence[Found]) -> str:
    return "\n".join(
        f"signature {found['key']} (subgraph {found['subgraph']})\n{_ports(found)}"
        for found in signatures
    )


def _metadata(found: Found) -> str:
    metadata = found["metadata"]
    texts = {"converter": found["description"], **metadata["texts"]}
    lines = [f"{name}: {text}" for name, text in texts.items() if text]
    if found["runtime"]:
        lines.append(f"least version of the runtime: {found['runtime']}")
    for side in ("inputs", "outputs"):
        for place, said in enumerate(metadata[side]):
            lines += (f"{side[:-1]} {place}: {told}" for told in _described(said))
    if metadata["files"]:
        lines.append(f"files: {', '.join(metadata['files'])}")
    return _listed("metadata", lines)


def _described(said: Found) -> Iterable[str]:
    texts = [said["name"], said["description"]]
    if any(texts):
        yield ", ".join(filter(None, texts))
    if said["mean"]:
        mean, std = _numbers(said["mean"]), _numbers(said["std"])
        yield f"pixels minus {mean}, divided by {std}"
    if said["low"] and said["high"]:
        yield f"from {_numbers(said['low'])} to {_numbers(said['high'])}"
    if said["labels"]:
        labels = said["labels"]
        more = ", ..." if len(labels) > MOST_LABELS else ""
        yield f"{len(labels)} labels: {', '.join(labels[:MOST_LABELS])}{more}"


def _numbers(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.6g}" for value in values)


def _operators(subgraphs: Sequence[Found]) -> str:
    if len(subgraphs) == 1:
        rows = list(subgraphs[0]["operators"].items())
        return "operators\n" + table(["name", "count"], rows)
    rows = [
        [name, place, count]
        for place, subgraph in enumerate(subgraphs)
        for name, count in subgraph["operators"].items()
    ]
    return f"operators of {len(subgraphs)} subgraphs\n" + table(
        ["name", "subgraph", "count"], rows
    )


def _custom(custom: Sequence[Found]) -> str:
    if not custom:
        return ""
    rows = [[entry["name"], entry["count"], number(entry["bytes"])] for entry in custom]
    title = "custom operators, which not every interpreter supports"
    return title + "\n" + table(["name", "count", "bytes of options"], rows)


def _tensors(tensors: Found) -> str:
    entries = sorted(tensors.items(), key=lambda item: -item[1]["constant_bytes"])
    rows = [[key, *map(number, entry.values())] for key, entry in entries]
    header = ["type", "constant", "bytes", "computed", "bytes"]
    return "tensors\n" + table(header, rows)


def _layers(layers: Sequence[Found]) -> str:
    if not layers:
        return ""
    names = short_names([layer["name"] for layer in layers])
    rows = [
        [
            name,
            layer["operator"],
            layer["type"],
            (layer["scales"] or "-").removeprefix("per "),
            _shape(layer["shape"]),
            number(layer["bytes"]),
            "-" if layer["zero_share"] is None else percent(layer["zero_share"]),
        ]
        for name, layer in zip(names, layers, strict=True)
    ]
    header = ["weights", "used by", "type", "scale", "shape", "bytes", "zeros"]
    return "layers\n" + table(header, rows, left=5)


def _shape(sizes: Sequence[int]) -> str:
    return "x".join("?" if size < 0 else str(size) for size in sizes) or "scalar"
