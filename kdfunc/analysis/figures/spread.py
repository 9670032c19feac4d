"""The spread over base models, beside the paper's number."""

import math

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from kdfunc.analysis.figures.style import (
    GREY,
    PAGE,
    TEXT_SIZE,
    add_legend,
    divided,
    marker,
)

_COLUMNS = 4
_RANGE = {"color": "0.8", "linewidth": 7, "solid_capstyle": "butt"}
_EXPECTED = {"color": "0.75", "linewidth": 1, "zorder": 0}
_OTHER = {"color": GREY, "marker": "o", "markersize": 3.5, "linestyle": "none"}
_PAPER = {"color": "black", "marker": "_", "markersize": 22, "linestyle": "none"}
_NOTEBOOK = {"color": "black", "marker": "x", "markersize": 5, "linestyle": "none"}


def spread(
    each: pd.DataFrame, table: pd.DataFrame, title: str, ax: Axes | None = None
) -> Figure:
    """Range, own base model and the paper's number, one plot per setting.

    Each plot has its own scale, since pruning by 90 % costs a thousand times as much as
    16 bits.

    Args:
      each: As `kdfunc.analysis.spread.base_models` returns it.
      table: As `kdfunc.analysis.spread.spread` returns it.
      title: The heading.
      ax: Where to draw; None makes a figure.
    """
    columns = min(_COLUMNS, len(table))
    shape = (math.ceil(len(table) / columns), columns)
    figure, plots = divided(PAGE, 1.7 * shape[0] + 0.6, title, shape, ax)
    for axes in plots.flat[len(table) :]:
        axes.axis("off")
    own = marker("base") | {"markersize": 9}
    for row, axes in zip(table.itertuples(), plots.flat, strict=False):
        axes.plot([0, 0], [row.predicted_low, row.predicted_high], **_EXPECTED)
        chosen = (each["method"] == row.method) & (each["setting"] == row.setting)
        others = each.loc[chosen & (each["base_model"] != "base"), "value"]
        axes.plot([0, 0], [row.least, row.most], **_RANGE, zorder=1)
        axes.plot([0] * len(others), others, **_OTHER, zorder=3)
        axes.plot([0], [row.own], **own, zorder=4)
        axes.plot([0], [row.published], **_PAPER, zorder=2)
        axes.plot([0], [row.notebook], **_NOTEBOOK, zorder=5)
        axes.set(xlim=(-1, 1), xticks=[])
        axes.set_title(f"{row.method}, {row.setting}", fontsize=TEXT_SIZE)
        axes.margins(y=0.2)
        axes.ticklabel_format(useOffset=False)
        if axes.get_subplotspec() and axes.get_subplotspec().is_first_col():
            axes.set_ylabel(
                "Accuracy and its\nrelative deviation (%)", fontsize=TEXT_SIZE
            )
    handles = [
        Line2D([], [], **own, label="The run's base model"),
        Line2D([], [], **_OTHER, label="Other base models"),
        Line2D([], [], **_RANGE, label="Range of all"),
        Line2D([], [], **_PAPER | {"markersize": 12}, label="The paper's number"),
        Line2D([], [], **_NOTEBOOK, label="The number in its notebook"),
    ]
    if table["predicted_low"].notna().any():
        says = "95 % prediction interval for one more"
        handles.insert(3, Line2D([], [], **_EXPECTED, label=says))
    add_legend(figure, ax, handles, 3)
    return figure
