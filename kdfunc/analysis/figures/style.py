"""What all figures share: the look of families (`catalog.FAMILIES`), sizes, layout.

Figures are made without pyplot, so that they look the same and need no display in a
script, a worker or a notebook.
"""

import dataclasses
import io
import os
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray
from PIL import Image

from kdfunc.catalog import FAMILIES, Family
from kdfunc.writing import write_atomic

TEXT_SIZE = 8  # points
COLUMN, PAGE = 3.5, 7.2  # widths in inches
GREY = "0.45"

#: Ticks of an axis of function preserved, with their labels: percent down to the
#: independent models, and beyond them how many times as far a model is.
PRESERVED_TICKS = {
    100: "100 %",
    50: "50 %",
    0: "0 %",
    -50: "2\u00d7",
    -80: "5\u00d7",
    -95: "20\u00d7",
}
PRESERVED = "Function preserved (below 0 %:\ntimes as far as independent models)"


_SHORT = {
    "student": ("D", "by alpha"),
    "quantized": ("Q", "by bits"),
    "pruned": ("P", "by % of the weights"),
}


def letters(labels: Iterable[str]) -> dict[str, str]:
    """The meaning of short names such as P30, for each family that has some.

    Args:
      labels: Of models.
    """
    labels = list(labels)
    return {
        family: f"{letter}, {meaning}"
        for family, (letter, meaning) in _SHORT.items()
        if any(re.fullmatch(rf"{letter} ?[\d.]+", label) for label in labels)
    }


def decimal(value: float, _: object = None) -> str:
    """A number without an exponent, as a formatter of ticks.

    Args:
      value: The tick's.
    """
    return f"{value:.12f}".rstrip("0").rstrip(".")


def style(family: str) -> Family:
    """A family's row of the catalog; other families are labelled by their names.

    Args:
      family: Its name.
    """
    row = FAMILIES["compressed"]
    return FAMILIES.get(family, dataclasses.replace(row, label=family.capitalize()))


def shade(family: str, step: float = 0.5) -> tuple[float, ...]:
    """The family's colour, lighter below a step of 0.5 and darker above.

    Args:
      family: Its name.
      step: From 0, the lightest, to 1, the darkest.
    """
    color = style(family).color
    return sns.blend_palette(["white", color, "black"], as_cmap=True)(step)


def blank_figure(width: float, height: float) -> Figure:
    """A figure of this size that needs no display.

    Args:
      width: In inches.
      height: In inches.
    """
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def new_figure(
    width: float, height: float, title: str, ax: Axes | None = None
) -> tuple[Figure, Axes]:
    """A figure of this size with one plot, or the caller's plot.

    Args:
      width: In inches.
      height: In inches.
      title: The heading.
      ax: The caller's plot; its figure keeps its size.
    """
    if ax is None:
        ax = blank_figure(width, height).add_subplot()
    ax.set_title(title, fontsize=TEXT_SIZE + 1)
    shrink_text(ax)
    return ax.figure.figure, ax  # the whole figure, of whichever part the plot is


def divided(
    width: float, height: float, title: str, shape: tuple[int, int], ax: Axes | None
) -> tuple[Figure, NDArray]:
    """A figure of several plots, `[rows, columns]`, or the caller's plot divided.

    Args:
      width: Of a new figure, in inches.
      height: Of a new figure, in inches.
      title: The heading.
      shape: Rows and columns.
      ax: The caller's plot, or None for a new figure.
    """
    rows, columns = shape
    if ax is None:
        figure = blank_figure(width, height)
        figure.suptitle(title, fontsize=TEXT_SIZE + 1)
        plots = figure.subplots(rows, columns, squeeze=False)
    else:
        figure = ax.figure.figure
        ax.set_title(title, fontsize=TEXT_SIZE + 1)
        ax.axis("off")
        high, wide = 1 / rows, 1 / columns
        plots = np.array(
            [
                [
                    ax.inset_axes(
                        [
                            (x + 0.06) * wide,
                            1 - (y + 0.9) * high,
                            0.88 * wide,
                            0.8 * high,
                        ]
                    )
                    for x in range(columns)
                ]
                for y in range(rows)
            ]
        )
    for each in plots.flat:
        shrink_text(each)
    return figure, plots


def add_legend(
    figure: Figure, ax: Axes | None, handles: Sequence[Artist], columns: int = 3
) -> None:
    """Explains marks and lines below the plots, or below the caller's plot.

    Args:
      figure: The figure.
      ax: The caller's plot, or None for the whole figure.
      handles: The marks and lines, each with its label.
      columns: Of the legend.
    """
    look = {"ncols": columns, "frameon": False, "fontsize": TEXT_SIZE}
    if ax is None:
        figure.legend(handles=handles, loc="outside lower center", **look)
    else:
        below = (0.5, -0.2)
        ax.legend(handles=handles, loc="upper center", bbox_to_anchor=below, **look)


def shrink_text(axes: Axes) -> None:
    """Makes the numbers and names of the axes as small as the rest.

    Args:
      axes: The plot.
    """
    axes.tick_params(labelsize=TEXT_SIZE)
    axes.xaxis.label.set_size(TEXT_SIZE)
    axes.yaxis.label.set_size(TEXT_SIZE)


def marker(family: str) -> dict[str, object]:
    """How to draw single points of a family, for `Axes.plot` and its like.

    Args:
      family: Its name.
    """
    return {
        "color": shade(family),
        "marker": style(family).marker,
        "markersize": style(family).size - 2,
        "linestyle": "none",
    }


def family_legend(
    figure: Figure,
    families: Iterable[str],
    labels: Iterable[str],
    ax: Axes | None = None,
    more: Sequence[Artist] = (),
) -> None:
    """Names families, and what short names among the labels mean, below the plots.

    Args:
      figure: The figure.
      families: Names of the families that are drawn.
      labels: Of models, in which short names may occur.
      ax: The caller's plot, or None for the whole figure.
      more: Further entries, each with its label.
    """
    short = letters(labels)
    handles = []
    for family in families:
        name = style(family).label + (f" ({short[family]})" if family in short else "")
        handles.append(Line2D([], [], **marker(family), label=name))
    add_legend(figure, ax, [*handles, *more], columns=2)


def save(figure: Figure, path: str | os.PathLike[str]) -> list[pathlib.Path]:
    """Writes a figure as PNG and PDF, atomically and always with the same bytes.

    Args:
        figure: The figure.
        path: Where to, without a suffix.

    Returns:
        The two files.
    """
    return write(contents(figure), path)


def contents(figure: Figure) -> dict[str, bytes]:
    """The contents of a figure's files, by suffix.

    Args:
      figure: The figure.
    """
    drawn, png, pdf = io.BytesIO(), io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=160, pil_kwargs={"compress_level": 0})
    layout = figure.get_layout_engine()
    figure.set_layout_engine("none")  # both have one layout, which is computed once
    # Without the alpha channel, which is 1 throughout, a tenth smaller.
    Image.open(drawn).convert("RGB").save(png, "png", optimize=True)
    # Type 42 keeps letters as letters; dates and versions would change the bytes.
    with mpl.rc_context({"pdf.fonttype": 42}):
        metadata = {"CreationDate": None, "Producer": None}
        figure.savefig(pdf, format="pdf", metadata=metadata)
    if layout is not None:
        figure.set_layout_engine(layout)
    return {"png": png.getvalue(), "pdf": pdf.getvalue()}


def write(
    drawn: Mapping[str, bytes], path: str | os.PathLike[str]
) -> list[pathlib.Path]:
    """Writes the `contents` of a figure; returns the files.

    Args:
      drawn: Contents by suffix, from `contents`.
      path: Where to, without a suffix.
    """
    files = []
    for suffix, content in drawn.items():
        files.append(pathlib.Path(f"{os.fspath(path)}.{suffix}"))
        write_atomic(files[-1], content)
    return files
