"""All compression methods: function preserved against the size of the file."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
from numpy.typing import NDArray

from kdfunc.analysis.figures.preserved import intervals, label_points, preserved_axis
from kdfunc.analysis.figures.style import PAGE, TEXT_SIZE, new_figure
from kdfunc.catalog import METHODS

_KEY_LINE = 0.165  # inches


def compression(models: pd.DataFrame, title: str, ax: Axes | None = None) -> Figure:
    """Function preserved against the size of the file, for all ways of compressing.

    A line joins the models that no other beats in both, the Pareto front: the best
    choices for a given size. They are numbered, and the key names them; the marks show
    what was done to the weights.

    Args:
      models: One row per model: `model`, its name; `method`, a key of
        `catalog.METHODS`; whether it was `tuned`, trained afterwards; `bytes`; function
        `preserved` in percent and its interval, `low` and `high`.
      title: The heading.
      ax: Where to draw, without the key; None makes a figure.
    """
    points = models.assign(x=models["bytes"].astype(float) / 2**10, y=models.preserved)
    points = points.sort_values(["x", "y"], ignore_index=True)
    best = pareto_front(points["bytes"], points["preserved"])
    number = pd.Series(np.cumsum(best), points.index)
    points["label"] = number.where(best, 0).map(lambda n: str(n) if n else "")
    front = points[best]
    height = 0.62 * PAGE + _KEY_LINE * len(front)
    figure, axes = new_figure(PAGE, height, title, ax)
    axes.set_xscale("log")
    axes.step(front["x"], front["y"], where="post", color="black", lw=1.5, zorder=1)
    key, shown = [], {}
    for point, chosen in zip(points.itertuples(), best, strict=True):
        method = METHODS[point.method]
        look = {
            "color": method.color,
            "marker": method.marker,
            "markersize": 6,
            "markerfacecolor": method.color if point.tuned else "white",
            "linestyle": "none",
        }
        intervals(axes, points.loc[[point.Index]], **look)
        filled = look | {"markerfacecolor": method.color, "label": point.method}
        shown.setdefault(point.method, Line2D([], [], **filled))
        if chosen:
            text = f"{point.label}   {point.x:,.0f} KiB: {point.model}"
            key.append(Line2D([], [], **look, label=text))
    axes.set_xlabel("Size of the .tflite file (KiB, each tick twice the one before)")
    axes.xaxis.set_major_locator(LogLocator(base=2))  # often within one power of ten
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    preserved_axis(axes, models["low"].min())
    axes.margins(x=0.1)
    handles = [
        *shown.values(),
        Line2D([], [], color="black", lw=1.5, label="Pareto front"),
    ]
    look = {"frameon": False, "fontsize": TEXT_SIZE, "title_fontsize": TEXT_SIZE}
    if ax is None:
        figure.legend(
            handles=key,
            title="The Pareto front: most function preserved for the size",
            loc="outside lower left",
            labelspacing=0.3,
            handletextpad=0.3,
            **look,
        )
        place = {"loc": "outside upper center", "ncols": 3}
        figure.legend(handles=handles, title=_FILLED, **place, **look)
    else:
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.15), "ncols": 2}
        axes.legend(handles=handles, title=_FILLED, **below, **look)
    others = points.loc[~best, ["x", "y"]].to_numpy()
    label_points(figure, axes, front, others)
    return figure


_FILLED = "Filled: trained after compression; open: not"


def pareto_front(sizes: pd.Series, preserved: pd.Series) -> NDArray[np.bool_]:
    """Whether no other model is as good in both and better in one, `[models]`.

    Args:
      sizes: Bytes of each model.
      preserved: Function preserved by each, in percent.
    """
    sizes, preserved = np.asarray(sizes, float), np.asarray(preserved, float)
    fits = (sizes[None] <= sizes[:, None]) & (preserved[None] >= preserved[:, None])
    better = (sizes[None] < sizes[:, None]) | (preserved[None] > preserved[:, None])
    return ~(fits & better).any(axis=1)
