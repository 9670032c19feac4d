"""The range of values that an input was probably made for, judging by the file."""

from dataclasses import dataclass

import numpy as np

from kdfunc.edge.metadata import Described
from kdfunc.edge.ports import Port
from kdfunc.edge.schema import ModelFile, Operator, Tensor

PIXELS = 255
SLACK = 0.1  # part of a range by which two may differ


@dataclass(frozen=True)
class Range:
    """Values from `low` to `high`.

    Attributes:
      low: Smallest value.
      high: Largest value.
      why: The evidence for it.
      symmetric: Whether `low` only mirrors `high`.
    """

    low: float
    high: float
    why: str
    symmetric: bool = False

    def covers(self, low: float, high: float) -> bool:
        """Whether other ends lie within the range, or only slightly outside.

        Args:
          low: Lower of the other ends.
          high: Upper of them.
        """
        more = SLACK * (self.high - self.low)
        return self.low - more <= low and high <= self.high + more

    def is_like(self, low: float, high: float) -> bool:
        """Whether the ends are approximately these.

        Args:
          low: Lower of the other ends.
          high: Upper of them.
        """
        more = SLACK * (self.high - self.low)
        lows = self.symmetric or abs(self.low - low) <= more
        return lows and abs(self.high - high) <= more

    def __str__(self) -> str:
        return f"{self.low:.4g} to {self.high:.4g}"


def likely_range(
    file: ModelFile, subgraph: int, port: Port, said: Described
) -> Range | None:
    """The range for which an input was likely made, or None if nothing shows it.

    The evidence, in this order: the range of its quantization, the normalization and
    the limits in the metadata, the quantization by the first operator, and a first
    operator that rescales pixels.

    Args:
      file: The model.
      subgraph: Index of the subgraph that is run.
      port: Its input.
      said: The input's metadata.
    """
    if port.scales.size == 1 and port.kind in "iu":
        return _held(port.dtype, port.scales, port.zero_points, "its quantization")
    if port.kind != "f":
        return None
    if said.mean:
        ends = [
            (x - m) / s
            for m, s in zip(said.mean, said.std, strict=True)
            for x in (0, PIXELS)
        ]
        return Range(min(ends), max(ends), "the metadata of the file")
    if said.low and said.high:
        return Range(min(said.low), max(said.high), "the metadata of the file")
    graph = file.subgraphs[subgraph]
    for operator in graph.operators:
        if port.index in operator.inputs and operator.outputs:
            return _first(operator, port.index, graph.tensors)
    return None


def _held(dtype: str, scales, zero_points, why: str) -> Range | None:
    scale = float(scales[0])
    zero = int(zero_points[0]) if zero_points.size else 0
    if not scale or dtype not in ("int8", "uint8", "int16", "uint16"):
        return None
    limits = np.iinfo(dtype)
    low, high = (limits.min - zero) * scale, (limits.max - zero) * scale
    return Range(low, high, why, symmetric=zero == 0 and limits.min < 0)


def _first(operator: Operator, index: int, tensors: tuple[Tensor, ...]) -> Range | None:
    """The range that the input's first operator shows."""
    if operator.name == "QUANTIZE":
        into = tensors[operator.outputs[0]]
        if into.scales.size == 1:
            why = "its first quantization"
            return _held(into.type, into.scales, into.zero_points, why)
    others = [tensors[i] for i in operator.inputs if i not in (index, -1)]
    if len(others) != 1 or not others[0].constant or not others[0].sound:
        return None
    if others[0].type != "float32":
        return None
    value = abs(float(others[0].values.mean()))
    shrinks = {
        "MUL": 0.9 <= value * PIXELS <= 2.3,  # by 1/255 to 0..1, by 1/127.5 to -1..1
        "DIV": 0.9 <= PIXELS / value <= 2.3 if value else False,
        "SUB": value >= 16,  # less the mean of pixels
        "ADD": value >= 16,
    }
    if shrinks.get(operator.name):
        return Range(0, PIXELS, f"its first operator, {operator.name}")
    return None
