"""Rank correlations of cheap measures with the distance from the base model."""

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
)

#: Common names of the measures.
NAMES = {
    "agreement": "Agreement",
    "mse": "MSE",
    "snr": "SNR",
    "kl": "KL divergence",
}
GROUPS = {
    "all": "All models",
    "near": "Near: more than half preserved",
    "far": "Far: less than half preserved",
}
_FILL = {True: GREY, False: "white"}


def fidelity(table: pd.DataFrame, title: str, ax: Axes | None = None) -> Figure:
    """One plot per group of models, one line per measure; 1 is the same ranking.

    Args:
      table: As `kdfunc.similarity.fidelity.ranking` returns it.
      title: The heading.
      ax: Where to draw; None makes a figure.
    """
    groups = [name for name in GROUPS if name in set(table["group"])]
    figure, plots = divided(PAGE, 2.4, title, (1, len(groups)), ax)
    few, many = table["examples"].min(), table["examples"].max()
    for place, (group, axes) in enumerate(zip(groups, plots.flat, strict=True)):
        rows = table[table["group"] == group]
        for row in rows.itertuples():
            height = list(NAMES).index(row.measure) + 0.15 * (row.examples == many)
            axes.plot([row.low, row.high], [height] * 2, color=GREY, lw=1)
            axes.plot([row.correlation], [height], **_mark(row.examples == many))
        axes.set_xlim(table["low"].min() - 0.03, 1.03)
        axes.axvline(1, color="0.8", lw=1, zorder=0)
        axes.set(yticks=range(len(NAMES)), ylim=(len(NAMES) - 0.5, -0.5))
        axes.set_yticklabels(NAMES.values() if not place else [])
        axes.set_title(
            f"{GROUPS[group]}\n({rows['models'].iloc[0]} models)", fontsize=TEXT_SIZE
        )
        axes.set_xlabel("Rank correlation", fontsize=TEXT_SIZE)
    handles = [
        Line2D([], [], **_mark(every), label=f"on {count:,} images")
        for every, count in {False: few, True: many}.items()
    ]
    bars = "95 % of the draws of these images, with replacement"
    handles.append(Line2D([], [], color=GREY, lw=1, label=bars))
    add_legend(figure, ax, handles)
    return figure


def _mark(every: bool) -> dict[str, object]:
    return {
        "color": GREY,
        "marker": "o",
        "markersize": 5,
        "markerfacecolor": _FILL[every],
        "linestyle": "none",
    }
