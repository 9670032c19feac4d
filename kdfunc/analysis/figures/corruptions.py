"""Function preserved on corrupted images against that on clean ones."""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from kdfunc.analysis.figures.style import (
    GREY,
    PAGE,
    PRESERVED_TICKS,
    TEXT_SIZE,
    add_legend,
    divided,
    marker,
    shade,
    style,
)
from kdfunc.corruptions import CORRUPTIONS

#: How dark the marks of strengths 1, 2 and 3 are, as a number and in words.
_SHADES = {1: (0.25, "lightest"), 2: (0.5, "darker"), 3: (0.75, "darkest")}


def corruptions(table: pd.DataFrame, title: str, ax: Axes | None = None) -> Figure:
    """One plot per corruption; on the diagonal, a model preserves the same on both.

    Args:
      table: Rows of `kdfunc.analysis.corruptions.compared` for some models and single
        sets.
      title: The heading.
      ax: Where to draw; None makes a figure.
    """
    kinds = [name for name in CORRUPTIONS if name in set(table["corruption"])]
    figure, plots = divided(PAGE, 3.2, title, (1, len(kinds)), ax)
    both = table[["clean", "preserved"]]
    low = max(-106, min(both.min().min(), 0) - 8)
    # The last would run into the one before.
    ticks = {at: t for at, t in PRESERVED_TICKS.items() if at > max(low, -95)}
    for place, (kind, axes) in enumerate(zip(kinds, plots.flat, strict=True)):
        rows = table[table["corruption"] == kind]
        for (family, strength), points in rows.groupby(["family", "strength"]):
            look = marker(family) | {"markersize": 4.5, "markeredgewidth": 0.4}
            look |= {"color": shade(family, _SHADES[strength][0])}
            axes.plot(points["clean"], points["preserved"], **look)
        axes.plot([low, 108], [low, 108], color=GREY, lw=0.8, ls=(0, (4, 3)), zorder=0)
        axes.set(xlim=(low, 108), ylim=(low, 108))
        axes.set_xticks(list(ticks), list(ticks.values()), rotation=90)
        axes.set_yticks(list(ticks), list(ticks.values()) if not place else [])
        axes.grid(color="0.93", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_title(CORRUPTIONS[kind].label, fontsize=TEXT_SIZE)
        axes.set_xlabel("On clean images", fontsize=TEXT_SIZE)
        if not place:
            axes.set_ylabel("On corrupted images", fontsize=TEXT_SIZE)
    families = table["family"].unique()
    handles = [
        Line2D([], [], **marker(family), label=style(family).label)
        for family in families
    ]
    handles += [
        Patch(color=str(1 - step), label=f"Strength {strength}, {words}")
        for strength, (step, words) in _SHADES.items()
    ]
    handles.append(
        Line2D([], [], color=GREY, lw=0.8, ls=(0, (4, 3)), label="No change")
    )
    add_legend(figure, ax, handles, columns=4)
    return figure
