"""Figures of the function preserved: against size and sparsity, the ladder, variants.

They take tables as the analysis makes them.
"""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator, StrMethodFormatter
from numpy.typing import NDArray

from kdfunc.analysis.figures.labels import place_labels
from kdfunc.analysis.figures.style import (
    COLUMN,
    GREY,
    PAGE,
    TEXT_SIZE,
    blank_figure,
    family_legend,
    marker,
    new_figure,
    shade,
    shrink_text,
)
from kdfunc.catalog import CONTROLS, METHODS
from kdfunc.similarity.scale import ratio_at

_REFERENCES = {100: "base\nmodel", 0: "independent\nmodels"}
_KEY_LINE = 0.155  # inches


def preserved_by_size(models: pd.DataFrame, title: str) -> Figure:
    """Function preserved against the size of the model file.

    Models of one size stand side by side.

    Args:
      models: A row a model: `label`, `family`, `bytes`, function `preserved` in percent
        and its interval, `low` and `high`.
      title: The heading.
    """
    figure, axes = new_figure(1.25 * COLUMN, COLUMN, title)
    unit, name = (2**20, "MiB") if models["bytes"].max() >= 2**20 else (2**10, "KiB")
    alike = models.groupby("bytes")["bytes"]
    beside = alike.cumcount() - (alike.transform("size") - 1) / 2
    sizes = models["bytes"] + 0.02 * beside * models["bytes"].max()
    points = _points(models, sizes / unit)
    for family, rows in points.groupby("family", sort=False):
        _intervals(axes, rows, **marker(family))
    note = ", equal ones side by side" if beside.any() else ""
    axes.set_xlabel(f"Size ({name}){note}")
    _preserved_axis(axes)
    axes.margins(0.12)
    axes.set_xlim(left=0)
    family_legend(figure, models["family"].unique())
    _label(figure, axes, points)
    return figure


def compression(models: pd.DataFrame, title: str) -> Figure:
    """Function preserved against the size of the file, for all ways of compressing.

    A line joins the models that no other beats in both, the Pareto front. Colours and
    markers tell what was done to the weights; those that were trained afterwards are
    filled. Points are numbered from the smallest file up; the key below names
    them, since names of so many pipelines would cover each other.

    Args:
      models: A row a model: `model`, its name; `method`, a key of `catalog.METHODS`;
        whether it was `tuned`, trained afterwards; `bytes`; function `preserved` in
        percent and its interval, `low` and `high`.
      title: The heading.
    """
    height = 0.75 * PAGE + _KEY_LINE * len(models) / 2
    figure, axes = new_figure(PAGE, height, title)
    axes.set_xscale("log")
    points = _points(models, models["bytes"].astype(float) / 2**10)
    points = points.sort_values(["x", "y"], ignore_index=True)
    points["label"] = (points.index + 1).astype(str)
    front = points[pareto_front(points["bytes"], points["preserved"])].sort_values("x")
    axes.step(front["x"], front["y"], where="post", color="black", lw=1.5, zorder=1)
    key = []
    for point in points.itertuples():
        method = METHODS[point.method]
        look = {
            "color": method.color,
            "marker": method.marker,
            "markersize": 6,
            "markerfacecolor": method.color if point.tuned else "white",
            "linestyle": "none",
        }
        _intervals(axes, points.loc[[point.Index]], **look)
        name = f"{point.label}  {point.model}"
        key.append(Line2D([], [], **look, label=name))
    figure.legend(
        handles=key,
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=TEXT_SIZE,
        labelspacing=0.3,
        handletextpad=0.3,
    )
    axes.set_xlabel("Size of the .tflite file (KiB)")
    axes.xaxis.set_major_locator(LogLocator(base=2))  # often within one power of ten
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_locator(NullLocator())
    _preserved_axis(axes)
    axes.margins(0.1)
    handles = [
        Line2D([], [], color=row.color, marker=row.marker, ls="none", label=name)
        for name, row in METHODS.items()
        if (points["method"] == name).any()
    ]
    handles.append(Line2D([], [], color="black", lw=1.5, label="Pareto front"))
    figure.legend(
        handles=handles,
        title="Filled: trained afterwards. Open: not.",
        title_fontsize=TEXT_SIZE,
        loc="outside upper center",
        ncols=3,
        frameon=False,
        fontsize=TEXT_SIZE,
    )
    _label(figure, axes, points)
    return figure


def pareto_front(sizes: pd.Series, preserved: pd.Series) -> NDArray[np.bool_]:
    """Whether no other model is as good in both and better in one, `[models]`."""
    sizes, preserved = np.asarray(sizes, float), np.asarray(preserved, float)
    fits = (sizes[None] <= sizes[:, None]) & (preserved[None] >= preserved[:, None])
    better = (sizes[None] < sizes[:, None]) | (preserved[None] > preserved[:, None])
    return ~(fits & better).any(axis=1)


def preserved_by_sparsity(models: pd.DataFrame, title: str) -> Figure:
    """Function preserved by pruned models against the share of weights that are zero.

    Args:
      models: A row a model: `sparsity` in [0, 1], function `preserved` in percent and
        its interval, `low` and `high`.
      title: The heading.
    """
    figure, axes = new_figure(COLUMN, 0.75 * COLUMN, title)
    points = _points(models, 100 * models["sparsity"]).sort_values("x")
    axes.plot(points["x"], points["y"], color=shade("pruned"), linewidth=1)
    _intervals(axes, points, **marker("pruned"))
    axes.set(xlabel="Weights that are zero (%)", xlim=(0, 100))
    _preserved_axis(axes)
    return figure


def ladder(rungs: pd.DataFrame, title: str) -> Figure:
    """What each ingredient of distillation adds to the function preserved.

    Args:
      rungs: As `kdfunc.similarity.groups.ladder` returns them.
      title: The heading.
    """
    figure, axes = new_figure(1.5 * COLUMN, 1.2 + 0.28 * len(rungs), title)
    axes.use_sticky_edges = False
    outside = {
        "xycoords": axes.get_yaxis_transform(),
        "textcoords": "offset points",
        "fontsize": TEXT_SIZE,
        "va": "center",
    }
    for place, rung in enumerate(rungs.itertuples()):
        if rung.step == rung.step:  # not NaN
            color = shade("control" if _untaught(rung.group) else "student")
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
    axes.annotate("Adds (points)", (1, -0.5), xytext=(12, 10), **outside)
    axes.set(
        xlabel="Function preserved (%)",
        ylim=(len(rungs) - 0.5, -0.5),
        yticks=range(len(rungs)),
        yticklabels=rungs["rung"],
    )
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    top = axes.secondary_xaxis("top")
    top.set_xticks(axes.get_xticks(), [_times(score) for score in axes.get_xticks()])
    top.set_xlabel("Times as far from the base model as independent models")
    shrink_text(top)
    return figure


def variants(table: pd.DataFrame, title: str) -> Figure:
    """Function preserved and accuracy of students with one setting changed.

    Models without a teacher stand under the students that they are a control of.

    Args:
      table: As `kdfunc.analysis.variants.table` returns it.
      title: The heading.
    """
    rows = {variant: i for i, variant in enumerate(table["variant"].unique())}
    figure = blank_figure(PAGE, 1.5 + 0.36 * len(rows))
    figure.suptitle(title, fontsize=TEXT_SIZE + 1)
    columns = {
        "preserved": "Function preserved (%)",
        "accuracy_difference": "Accuracy, less the base model's (points)",
    }
    families = table["teacher"].map(
        lambda teacher: "control" if teacher == "none" else "student"
    )
    both = figure.subplots(1, 2, sharey=True)
    for axes, (column, name) in zip(both, columns.items(), strict=True):
        for family, group in table.groupby(families, sort=False):
            places = group["variant"].map(rows) + (0.2 if family == "control" else 0)
            value = group[column]
            ends = [value - group[f"{column}_low"], group[f"{column}_high"] - value]
            axes.errorbar(
                value, places, xerr=ends, **marker(family), elinewidth=1, capsize=2
            )
        reference = table[column].iloc[0]
        axes.axvline(reference, color=GREY, lw=0.8, linestyle=(0, (4, 3)), zorder=0)
        axes.grid(axis="x", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel(name)
        shrink_text(axes)
    labels = table.drop_duplicates("variant")["label"]
    both[0].set(
        yticks=range(len(rows)), yticklabels=labels, ylim=(len(rows) - 0.5, -0.5)
    )
    figure.legend(
        handles=[
            Line2D([], [], **marker("student"), label="With a teacher"),
            Line2D([], [], **marker("control"), label="The same without"),
        ],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=TEXT_SIZE,
    )
    return figure


def _points(models: pd.DataFrame, x: pd.Series) -> pd.DataFrame:
    """Where models stand."""
    return models.assign(x=x, y=models["preserved"])


def _intervals(axes: Axes, points: pd.DataFrame, **look) -> None:
    ends = [points["y"] - points["low"], points["high"] - points["y"]]
    axes.errorbar(points["x"], points["y"], yerr=ends, **look, elinewidth=1, capsize=2)


def _untaught(group: str) -> bool:
    """Whether a rung's models had no part of the base model's answers."""
    return group in CONTROLS and CONTROLS[group].teacher != "base"


def _times(score: float) -> str:
    """The distance ratio at a score, for an axis."""
    ratio = ratio_at(score)
    return f"{ratio:.2g}" if ratio < 100 else ""


def _preserved_axis(axes: Axes) -> None:
    """Labels the axis and draws what its 0 and 100 % mean."""
    axes.set_ylabel("Function preserved (%)")
    for value, meaning in _REFERENCES.items():
        axes.axhline(value, color=GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        axes.text(
            1.02,
            value,
            meaning,
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=TEXT_SIZE - 1,
            color=GREY,
        )


def _label(figure: Figure, axes: Axes, points: pd.DataFrame) -> None:
    """Puts the labels where they hide no point and no interval."""
    figure.canvas.draw()
    figure.set_layout_engine("none")
    bars = [
        np.array([[row.x, row.low], [row.x, row.high]]) for row in points.itertuples()
    ]
    place_labels(axes, points.iloc[:0], points, bars)
