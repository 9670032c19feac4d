"""What all figures share: the families' names, colours and markers, the text size."""

from collections.abc import Mapping
from typing import NamedTuple

import seaborn as sns

TEXT_SIZE = 8  # points
_COLORS = sns.color_palette("colorblind")


class Style(NamedTuple):
    """How a family of models is shown.

    Attributes:
      name: For legends.
      color: Red, green and blue in [0, 1].
      marker: As matplotlib has it.
      size: Of the marker, in points.
    """

    name: str
    color: tuple[float, float, float]
    marker: str
    size: float = 8


FAMILIES: Mapping[str, Style] = {
    "base": Style("Base", _COLORS[0], "*", 11),
    "independent": Style("Independent", _COLORS[7], "s"),
    "control": Style("Control", _COLORS[1], "P"),
    "student": Style("Distilled", _COLORS[2], "^"),
    "variant": Style("Variant", _COLORS[9], "X"),
    "quantized": Style("Quantized", _COLORS[4], "D", 6.5),
    "pruned": Style("Pruned", _COLORS[3], "v"),
    "compressed": Style("Compressed", _COLORS[5], "p"),
}


def style(family: str) -> Style:
    """A family's style; one that is not in `FAMILIES` goes by its own name."""
    return FAMILIES.get(family, Style(family.capitalize(), _COLORS[5], "p"))


def shade(family: str, step: float = 0.5) -> tuple[float, ...]:
    """The family's colour, lighter below a step of 0.5 and darker above."""
    color = style(family).color
    return sns.blend_palette(["white", color, "black"], as_cmap=True)(step)
