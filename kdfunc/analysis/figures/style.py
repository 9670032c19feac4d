"""What all figures share: how families look (`catalog.FAMILIES`), sizes, a start.

Figures are made without pyplot, so that they look the same, and cost no display, in a
script, a worker or a notebook.
"""

import dataclasses
import io
import os
import pathlib
from collections.abc import Iterable

import matplotlib as mpl
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from PIL import Image

from kdfunc.catalog import FAMILIES, Family
from kdfunc.writing import write_atomic

TEXT_SIZE = 8  # points
COLUMN, PAGE = 3.5, 7.2  # widths in inches
GREY = "0.45"


def style(family: str) -> Family:
    """A family's row of the catalog; one that has none goes by its own name."""
    row = FAMILIES["compressed"]
    return FAMILIES.get(family, dataclasses.replace(row, label=family.capitalize()))


def shade(family: str, step: float = 0.5) -> tuple[float, ...]:
    """The family's colour, lighter below a step of 0.5 and darker above."""
    color = style(family).color
    return sns.blend_palette(["white", color, "black"], as_cmap=True)(step)


def blank_figure(width: float, height: float) -> Figure:
    """A figure of so many inches that needs no display."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def new_figure(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    """A figure of so many inches with one plot in it."""
    figure = blank_figure(width, height)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=TEXT_SIZE + 1)
    shrink_text(axes)
    return figure, axes


def shrink_text(axes: Axes) -> None:
    """Makes the numbers and names of the axes as small as the rest."""
    axes.tick_params(labelsize=TEXT_SIZE)
    axes.xaxis.label.set_size(TEXT_SIZE)
    axes.yaxis.label.set_size(TEXT_SIZE)


def marker(family: str) -> dict[str, object]:
    """How to draw single points of a family, for `Axes.plot` and its like."""
    return {
        "color": shade(family),
        "marker": style(family).marker,
        "markersize": style(family).size - 2,
        "linestyle": "none",
    }


def family_legend(figure: Figure, families: Iterable[str]) -> None:
    """Names the families below the plots."""
    figure.legend(
        handles=[
            Line2D([], [], **marker(family), label=style(family).label)
            for family in families
        ],
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=TEXT_SIZE,
    )


def save(figure: Figure, path: str | os.PathLike[str]) -> list[pathlib.Path]:
    """Writes a figure as PNG and PDF: whole or not at all, the same bytes every time.

    Args:
        figure: The figure.
        path: Where to, without a suffix.

    Returns:
        The two files.
    """
    # Type 42 keeps letters as letters; dates and versions would change the bytes.
    drawn, png, pdf = io.BytesIO(), io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=160)
    # Without the alpha channel, which is 1 throughout, a tenth smaller.
    Image.open(drawn).convert("RGB").save(png, "png", optimize=True)
    with mpl.rc_context({"pdf.fonttype": 42}):
        metadata = {"CreationDate": None, "Producer": None}
        figure.savefig(pdf, format="pdf", metadata=metadata)
    files = []
    for suffix, content in (("png", png), ("pdf", pdf)):
        files.append(pathlib.Path(f"{os.fspath(path)}.{suffix}"))
        write_atomic(files[-1], content.getvalue())
    return files
