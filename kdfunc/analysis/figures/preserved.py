"""Figures of the function preserved: against size and sparsity, the ladder, variants.

They take the tables that the analysis makes.
"""

import textwrap

import numpy as np
import pandas as pd
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from numpy.typing import NDArray

from kdfunc.analysis.figures.labels import place_labels
from kdfunc.analysis.figures.style import (
    COLUMN,
    GREY,
    PAGE,
    PRESERVED,
    PRESERVED_TICKS,
    TEXT_SIZE,
    add_legend,
    divided,
    family_legend,
    marker,
    new_figure,
    shade,
    shrink_text,
)
from kdfunc.catalog import CONTROLS

_REFERENCES = {100: "base\nmodel", 0: "independent\nmodels"}
_SINGLE = {"marker": "_", "markersize": 7, "linestyle": "none"}


def preserved_by_method(
    models: pd.DataFrame, title: str, ax: Axes | None = None
) -> Figure:
    """Function preserved by each model, one line per method.

    Args:
      models: One row per model: `name` (trainings that share it share a line),
        `family`, function `preserved` in percent and its interval, `low` and `high`.
      title: The heading.
      ax: Where to draw; None makes a figure.
    """
    rows = {name: place for place, name in enumerate(models["name"].unique())}
    figure, axes = new_figure(1.7 * COLUMN, 1.3 + 0.22 * len(rows), title, ax)
    alike = models.groupby("name")["preserved"]
    beside = alike.cumcount() - (alike.transform("size") - 1) / 2
    places = models["name"].map(rows) + beside * 0.6 / alike.transform("size")
    for family, members in models.groupby("family", sort=False):
        value = members["preserved"]
        ends = np.array([value - members["low"], members["high"] - value])
        look = marker(family) | {"markersize": 5}
        axes.errorbar(value, places[members.index], xerr=ends, **look, elinewidth=0.8)
    low = min(models["low"].min(), -8)
    ticks = {at: text for at, text in PRESERVED_TICKS.items() if at > low - 5}
    axes.set(
        xlabel=f"{PRESERVED};\nbars: 95 % intervals of single models",
        xlim=(low - 6, 106),
    )
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set(ylim=(len(rows) - 0.5, -0.5), yticks=range(len(rows)), yticklabels=rows)
    families = models.groupby("name", sort=False)["family"].first()
    for label, family in zip(axes.get_yticklabels(), families, strict=True):
        label.set_color(shade(family, 0.62))
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", color="0.93", linewidth=0.6)
    axes.set_axisbelow(True)
    for value, meaning in _REFERENCES.items():
        axes.axvline(value, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        axes.annotate(
            meaning.replace("\n", " "),
            (value, 1),
            xycoords=axes.get_xaxis_transform(),
            xytext=(0, 3),
            textcoords="offset points",
            ha="right" if value == 100 else "center",
            fontsize=TEXT_SIZE,
            color=GREY,
        )
    axes.set_title(title, fontsize=TEXT_SIZE + 1, pad=16)
    return figure


def preserved_by_size(
    models: pd.DataFrame, title: str, ax: Axes | None = None
) -> Figure:
    """Function preserved against the size of the model file.

    Models of equal size are side by side; small marks are single trainings.

    Args:
      models: One row per model: `label`, `family`, `bytes`, function `preserved` in
        percent and its interval, `low` and `high`; `each`, what its trainings preserve.
      title: The heading.
      ax: Where to draw; None makes a figure.
    """
    figure, axes = new_figure(1.3 * COLUMN, COLUMN, title, ax)
    unit, name = (2**20, "MiB") if models["bytes"].max() >= 2**20 else (2**10, "KiB")
    close = (models["bytes"] / (0.01 * models["bytes"].max())).round()
    alike = models["bytes"].groupby(close)
    beside = alike.cumcount() - (alike.transform("size") - 1) / 2
    sizes = models["bytes"] + 0.015 * beside * models["bytes"].max()
    points = _points(models, sizes / unit)
    for family, rows in points.groupby("family", sort=False):
        intervals(axes, rows, **marker(family))
    seeds = _seeds(axes, points)
    single = [Line2D([], [], **_SINGLE, color=GREY, label="Single trainings")]
    note = "; equal sizes side by side" if beside.any() else ""
    axes.set_xlabel(f"Size ({name}){note}")
    preserved_axis(axes, models["low"].min())
    axes.margins(x=0.12)
    axes.set_xlim(left=0)
    families, more = models["family"].unique(), single if len(seeds) else ()
    family_legend(figure, families, models["label"], ax, more)
    label_points(figure, axes, points, seeds)
    return figure


def preserved_by_sparsity(
    models: pd.DataFrame, title: str, ax: Axes | None = None
) -> Figure:
    """Function preserved by pruned models against the share of weights that are zero.

    Args:
      models: One row per model: `sparsity` in [0, 1], function `preserved` in percent
        and its interval, `low` and `high`.
      title: The heading.
      ax: Where to draw; None makes a figure.
    """
    figure, axes = new_figure(1.1 * COLUMN, 0.9 * COLUMN, title, ax)
    points = _points(models, 100 * models["sparsity"]).sort_values("x")
    axes.plot(points["x"], points["y"], color=shade("pruned"), linewidth=1)
    intervals(axes, points, **marker("pruned"))
    axes.set(xlabel="Weights that are zero (%)", xlim=(0, 100))
    preserved_axis(axes, models["low"].min())
    return figure


def rung_family(group: str) -> str:
    """The family that gives a rung of the ladder its colour.

    Args:
      group: The rung's group of models.
    """
    if group == "independent":
        return "independent"
    untaught = group in CONTROLS and CONTROLS[group].teacher != "base"
    return "control" if untaught else "student"


def ladder(rungs: pd.DataFrame, title: str, ax: Axes | None = None) -> Figure:
    """What each ingredient of distillation adds to the function preserved.

    Bars are green if the base model is the teacher and orange if it is not;
    hatched bars are checks beside the ladder.

    Args:
      rungs: As `kdfunc.similarity.ladder.ladder` returns them.
      title: The heading.
      ax: Where to draw; None makes a figure.
    """
    figure, axes = new_figure(1.7 * COLUMN, 2.1 + 0.28 * len(rungs), title, ax)
    axes.use_sticky_edges = False
    outside = {
        "xycoords": axes.get_yaxis_transform(),
        "textcoords": "offset points",
        "fontsize": TEXT_SIZE,
        "va": "center",
    }
    for place, rung in enumerate(rungs.itertuples()):
        color = shade(rung_family(rung.group))
        if rung.step == rung.step:  # not NaN
            axes.barh(
                place,
                rung.step,
                left=rung.preserved - rung.step,
                height=0.6,
                color="white" if rung.side else color,
                edgecolor=color,
                hatch="/////" if rung.side else None,
            )
            interval = f"[{rung.step_low:+.1f}, {rung.step_high:+.1f}]"
            step, edge = f"{rung.step:+.1f}", (1, place)
            axes.annotate(step, edge, xytext=(34, 0), ha="right", **outside)
            axes.annotate(interval, edge, xytext=(39, 0), color=GREY, **outside)
        ends = [rung.preserved_low, rung.preserved_high]
        axes.plot(ends, [place, place], color="black", linewidth=1)
        axes.plot(rung.preserved, place, "o", color="black", markersize=3)
    beside = len(rungs) - rungs["side"].sum() - 0.5
    axes.axhline(beside, color=GREY, linewidth=0.6)
    # In the row of the first rung, which has no step; above it is the heading.
    axes.annotate("Adds (points)", (1, 0), xytext=(12, 0), **outside)
    low = min(rungs["preserved_low"].min(), -8)
    ticks = {at: t for at, t in PRESERVED_TICKS.items() if at > max(low - 5, -90)}
    axes.set(
        xlabel=PRESERVED,
        xlim=(low - 6, 106),
        ylim=(len(rungs) - 0.5, -0.5),
        yticks=range(len(rungs)),
        yticklabels=[textwrap.fill(rung, 36) for rung in rungs["rung"]],
    )
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    add_legend(figure, ax, _ladder_key(rungs), columns=1 if ax is None else 2)
    return figure


def _ladder_key(rungs: pd.DataFrame) -> list[Artist]:
    """What the dots, the colours and the hatching of these rungs mean."""
    dot = {"color": "black", "marker": "o", "markersize": 3, "linewidth": 1}
    steps = rungs[rungs["step"].notna()]
    families = set(steps["group"].map(rung_family))
    named = {
        "control": "A step without the base model as the teacher",
        "student": "A step with the base model as the teacher",
    }
    key = [Line2D([], [], **dot, label="Function preserved, with 95 % interval")]
    key += [
        Patch(color=shade(family), label=name)
        for family, name in named.items()
        if family in families
    ]
    if steps["side"].any():
        look = {"facecolor": "white", "edgecolor": GREY, "hatch": "/////"}
        key.append(Patch(**look, label="A check beside the ladder"))
    return key


def variants(table: pd.DataFrame, title: str, ax: Axes | None = None) -> Figure:
    """Function preserved and accuracy of students with one setting changed.

    Models without a teacher are shown below the students that they are a control of.

    Args:
      table: As `kdfunc.analysis.variants.table` returns it.
      title: The heading.
      ax: Where to draw; None makes a figure.
    """
    rows = {variant: i for i, variant in enumerate(table["variant"].unique())}
    height = 1.5 + 0.36 * len(rows)
    figure, ((left, right),) = divided(PAGE, height, title, (1, 2), ax)
    both = (left, right)
    right.sharey(left)
    right.tick_params(labelleft=False)
    columns = {
        "preserved": PRESERVED,
        "accuracy_difference": "Accuracy minus the base model's (points)",
    }
    families = table["teacher"].map(
        lambda teacher: "control" if teacher == "none" else "student"
    )
    for axes, (column, name) in zip(both, columns.items(), strict=True):
        for family, group in table.groupby(families, sort=False):
            places = group["variant"].map(rows) + (0.2 if family == "control" else 0)
            value = group[column]
            low, high = group[f"{column}_low"], group[f"{column}_high"]
            ends = np.array([value - low, high - value])
            axes.errorbar(
                value, places, xerr=ends, **marker(family), elinewidth=1, capsize=2
            )
        reference = table[column].iloc[0]
        axes.axvline(reference, color=GREY, lw=0.8, linestyle=(0, (4, 3)), zorder=0)
        axes.grid(axis="x", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel(name)
        shrink_text(axes)
        if column == "preserved":
            low = max(min(0, value.min()), -90)  # closer ticks would run together
            high = max(0, table[f"{column}_high"].max())
            ticks = {a: t for a, t in PRESERVED_TICKS.items() if low <= a <= high}
            axes.set_xticks(list(ticks), list(ticks.values()))
    labels = ["unchanged" if name == "none" else name for name in rows]
    both[0].set(
        yticks=range(len(rows)), yticklabels=labels, ylim=(len(rows) - 0.5, -0.5)
    )
    handles = [
        Line2D([], [], **marker("student"), label="With a teacher"),
        Line2D([], [], **marker("control"), label="Without a teacher"),
    ]
    add_legend(figure, ax, handles, columns=2)
    return figure


def _points(models: pd.DataFrame, x: pd.Series) -> pd.DataFrame:
    """Positions of the models."""
    return models.assign(x=x, y=models["preserved"])


def intervals(axes: Axes, points: pd.DataFrame, **look) -> None:
    """Draws marks with their intervals.

    Args:
      axes: Where to draw.
      points: One row per mark, with the columns `x`, `y`, `low` and `high`.
      **look: Of `Axes.errorbar`.
    """
    ends = np.array([points["y"] - points["low"], points["high"] - points["y"]])
    axes.errorbar(points["x"], points["y"], yerr=ends, **look, elinewidth=1, capsize=2)


def _seeds(axes: Axes, points: pd.DataFrame) -> NDArray:
    """Draws the single trainings, small and faint; returns where they are."""
    found = [np.empty((0, 2))]
    for row in points.itertuples():
        each = np.atleast_1d(getattr(row, "each", []))
        if len(each) > 1:
            color = shade(row.family, 0.35)
            axes.plot([row.x] * len(each), each, **_SINGLE, color=color, zorder=1)
            found.append(np.column_stack([[row.x] * len(each), each]))
    return np.vstack(found)


def preserved_axis(axes: Axes, low: float) -> None:
    """Labels the axis and draws what its 0 and 100 % mean.

    Args:
      axes: Whose y axis it is.
      low: The lowest function preserved that is shown, in percent.
    """
    low = min(low, -8)
    ticks = {at: text for at, text in PRESERVED_TICKS.items() if at > low - 5}
    axes.set_ylabel(PRESERVED)
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set_ylim(low - 8, 112)
    for value, meaning in _REFERENCES.items():
        axes.axhline(value, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        axes.text(
            1.02,
            value,
            meaning,
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=TEXT_SIZE,
            color=GREY,
        )


def label_points(
    figure: Figure, axes: Axes, points: pd.DataFrame, seeds: NDArray
) -> None:
    """Puts the labels where they cover neither points nor intervals.

    Args:
      figure: The figure.
      axes: Where the points are.
      points: One row per point, with its `label`, place and interval.
      seeds: `[n, 2]` positions of single trainings, which labels must not cover.
    """
    figure.canvas.draw()
    if len(figure.axes) == 1:  # places hold as long as the layout does
        figure.set_layout_engine("none")
    bars = [
        np.array([[row.x, row.low], [row.x, row.high]]) for row in points.itertuples()
    ]
    across = axes.transData.inverted().transform(
        np.column_stack([np.linspace(*axes.bbox.intervalx, 80), np.zeros(80)])
    )[:, 0]
    lines = [np.column_stack([across, np.full(80, y)]) for y in _REFERENCES]
    marks = pd.DataFrame(np.vstack([seeds, *lines]), columns=["x", "y"])
    place_labels(axes, marks, points, bars)
