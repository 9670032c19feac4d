"""Figures of how functions differ: distances, agreement, changed predictions.

They take the tables that the analysis makes.
"""

import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator
from numpy.typing import NDArray
from seaborn.utils import relative_luminance

from kdfunc.analysis.figures.style import (
    COLUMN,
    GREY,
    PAGE,
    TEXT_SIZE,
    decimal,
    divided,
    letters,
    new_figure,
    shade,
    shrink_text,
    style,
)
from kdfunc.catalog import FAMILIES

MOST_CLASSES = 20  # side by side in a heat map
_DECADES = 1e4  # of distances that have colours of their own
_DASHES = ("-", "--", "-.", (0, (10, 3)), (0, (5, 1, 1, 1, 1, 1)))
# Without red or green, grey is told from green by its dots.
_DOTS = ":"


def distance_heatmap(
    distances: NDArray,
    models: pd.DataFrame,
    measure: str,
    title: str,
    ax: Axes | None = None,
) -> Figure:
    """Distances between all models, family by family.

    The colours are logarithmic, so that a model that lost its function does not hide
    all other differences; a line in their key marks how far independent models are
    from the base model.

    Args:
      distances: `[models, models]`, symmetric.
      models: One row per model: `name`, shared by trainings of one kind; `label`, which
        distinguishes them, such as the seed; and `family` (base, independent,
        student, quantized, pruned, control or another word).
      measure: Name and unit of the distance.
      title: The heading.
      ax: Where to draw; None makes a figure.
    """
    rank = {family: i for i, family in enumerate(FAMILIES)}
    order = np.argsort(
        models["family"].map(lambda family: rank.get(family, len(rank))), kind="stable"
    )
    models = models.iloc[order]
    distances = distances[np.ix_(order, order)]
    apart = distances[distances > 0]
    most = apart.max() if len(apart) else 1.0
    least = max(apart.min() if len(apart) else 0.1, most / _DECADES)
    least = min(least, most / 2)
    side = min(PAGE, 3.1 + 0.14 * len(models))
    figure, axes = new_figure(side, 0.9 * side, title, ax)
    sns.heatmap(
        np.maximum(distances, least),
        ax=axes,
        cmap="viridis",
        norm=LogNorm(least, most),
        square=True,
        cbar_kws={"label": f"{measure}, logarithmic", "shrink": 0.7, "pad": 0.05},
    )
    axes.set_title(title, fontsize=TEXT_SIZE + 1)
    bar = axes.collections[0].colorbar
    bar.ax.yaxis.set_major_formatter(FuncFormatter(decimal))
    shrink_text(bar.ax)
    known = models["family"].to_numpy()
    between = distances[np.ix_(known == "base", known == "independent")]
    if between.any():
        height = LogNorm(least, most)(between.mean())
        bar.ax.axhline(between.mean(), color="white", linewidth=1.5)
        bar.ax.annotate(
            "independent models\nfrom the base model",
            (0, between.mean()),
            xycoords=("axes fraction", "data"),
            xytext=(-3, 0),
            textcoords="offset points",
            rotation=90,
            ha="right",
            va="top" if height > 0.8 else "bottom" if height < 0.2 else "center",
            fontsize=TEXT_SIZE - 2,
            color=GREY,
        )
    _name_groups(axes, models)
    return figure


def _name_groups(axes: Axes, models: pd.DataFrame) -> None:
    """Names beside the groups of rows and columns, and lines between them."""
    groups = models["name"].ne(models["name"].shift()).cumsum()
    size = np.clip(300 / len(models), 4.5, TEXT_SIZE - 1)
    places, texts = [], []
    for _, rows in groups.groupby(groups):
        first, count = models.index.get_loc(rows.index[0]), len(rows)
        row = models.iloc[first]
        places.append(first + count / 2)
        texts.append((row["name"], shade(row["family"], 0.62)))
        if first:
            border = _border(models, first)
            axes.axhline(first, color="white", linewidth=border)
            axes.axvline(first, color="white", linewidth=border)
    single = groups.map(groups.value_counts()) == 1
    axes.set_xticks(places, [text for text, _ in texts], rotation=90)
    axes.set_yticks(
        np.arange(len(models)) + 0.5, models["label"].mask(single, ""), rotation=0
    )
    axes.tick_params(axis="both", length=0)
    if not single.all():
        axes.set_xlabel("Numbers beside the rows: seed or number of the training")
        shrink_text(axes)
    axes.tick_params(axis="y", labelsize=4.5, labelcolor=GREY, pad=1)
    for tick, (_, color) in zip(axes.get_xticklabels(), texts, strict=True):
        tick.set(color=color, fontsize=size)
    for place, (text, color) in zip(places, texts, strict=True):
        axes.annotate(
            text,
            (0, place),
            xycoords=axes.get_yaxis_transform(),
            xytext=(-12, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=size,
            color=color,
        )


def _border(models: pd.DataFrame, place: int) -> float:
    """Width of the line before a row: wider where a family begins."""
    families = models["family"]
    return 1.6 if families.iloc[place] != families.iloc[place - 1] else 0.4


def distance_over_epochs(
    records: pd.DataFrame, measure: str, title: str, ax: Axes | None = None
) -> Figure:
    """Distance to the trained base model while models are trained.

    The axis is logarithmic, so that the first epochs do not flatten the rest, and ends
    below the nearest other model; the base model itself goes down to 0. Controls have a
    plot of their own.

    Args:
      records: One row per model and epoch: `family`, `label` (models of a family that
        share it share a line, their mean, and a band from the nearest to the farthest),
        `epoch` and `distance`.
      measure: Name and unit of the distance.
      title: The heading.
      ax: Where to draw; None makes a figure.
    """
    controls = records["family"] == "control"
    both = controls.any() and not controls.all()
    shape = (1, 2) if both else (1, 1)
    figure, plots = divided(PAGE if both else 1.5 * COLUMN, 4.4, title, shape, ax)
    shown = [records[~controls], records[controls]] if both else [records]
    context = records[records["family"] == "independent"]
    positive = records[records["distance"] > 0]
    others = positive[positive["family"] != "base"]
    least = (positive if others.empty else others)["distance"].min()
    for axes, members in zip(plots[0], shown, strict=True):
        members = pd.concat([context, members]) if members is not shown[0] else members
        handles = _draw_over_epochs(axes, members)
        axes.set(xlabel="Epoch", yscale="log")
        axes.set_ylim(0.6 * least, 1.2 * positive["distance"].max())
        axes.yaxis.set_major_formatter(FuncFormatter(decimal))
        axes.yaxis.set_minor_locator(LogLocator(subs=(1.5, 2, 3, 5, 7)))
        axes.yaxis.set_minor_formatter(FuncFormatter(decimal))
        axes.tick_params(which="minor", labelsize=TEXT_SIZE)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.01)
        axes.grid(axis="y", color="0.9", linewidth=0.6)
        shrink_text(axes)
        axes.legend(
            handles=handles,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.16),
            ncols=1 if both else 2,
            frameon=False,
            fontsize=TEXT_SIZE,
        )
    plots[0, 0].set_ylabel(f"{measure}\nfrom the trained base model")
    if ax is None:
        figure.supxlabel(
            "Bands: from the nearest to the farthest training.\n"
            "The base model's own line ends at 0 and leaves the plot.",
            fontsize=TEXT_SIZE,
            color=GREY,
        )
    return figure


def _draw_over_epochs(axes: Axes, records: pd.DataFrame) -> list[Line2D]:
    """A line for each label, in a family's shades and dashes; returns the lines."""
    lines = []
    for family, members in records.groupby("family", sort=False):
        labels = members["label"].unique()
        shades = np.linspace(0.35, 0.7, len(labels)) if len(labels) > 1 else [0.5]
        for i, label in enumerate(labels):
            rows = members[members["label"] == label].groupby("epoch")["distance"]
            mean, low, high = rows.mean(), rows.min(), rows.max()
            mean = mean[mean > 0]  # the trained base model is at 0 from itself
            color = shade(family, shades[i])
            dotted = family == "independent"
            dashes = _DOTS if dotted else _DASHES[i % len(_DASHES)]
            lines += axes.plot(mean, color=color, linestyle=dashes, label=label, lw=1.4)
            if (high > low).any():
                axes.fill_between(low.index, low, high, color=color, alpha=0.12, lw=0)
    return lines


def agreement_by_class(
    agreement: pd.DataFrame,
    families: Sequence[str],
    title: str,
    ax: Axes | None = None,
) -> Figure:
    """Agreement with the base model on the examples of each class.

    Args:
      agreement: Share of examples in [0, 1]; one labelled row per method and one
        column per class; if there are more than 20, those that agree least are shown.
      families: Of the rows.
      title: The heading.
      ax: Where to draw; None makes a figure.
    """
    classes = agreement.shape[1]
    if classes > MOST_CLASSES:
        agreement = agreement[agreement.mean().nsmallest(MOST_CLASSES).index]
        title += f": the {MOST_CLASSES} of {classes} classes that agree least"
    rows, columns = agreement.shape
    width = min(PAGE, 2.6 + 0.4 * columns)
    figure, axes = new_figure(width, 1.3 + 0.24 * rows, title, ax)
    sns.heatmap(
        100 * agreement,
        ax=axes,
        cmap="viridis",
        vmin=0,
        vmax=100,
        annot=True,
        fmt=".1f" if columns <= MOST_CLASSES / 2 else ".0f",
        annot_kws={"fontsize": TEXT_SIZE},
        linewidths=0.5,
        cbar_kws={"label": "Agreement (%)", "pad": 0.02},
    )
    mesh = axes.collections[0]
    for text, color in zip(
        axes.texts, mesh.to_rgba(mesh.get_array().compressed()), strict=True
    ):
        light = relative_luminance(color) > 0.18  # where black has the higher contrast
        text.set_color("black" if light else "white")
    axes.set_title(title, fontsize=TEXT_SIZE + 1)
    shrink_text(axes.collections[0].colorbar.ax)
    for tick, family in zip(axes.get_yticklabels(), families, strict=True):
        tick.set_color(shade(family, 0.62))
    axes.set(xlabel="Class", ylabel="Model")
    shrink_text(axes)
    axes.tick_params(axis="y", rotation=0, length=0, labelsize=TEXT_SIZE)
    longest = max(len(str(name)) for name in agreement.columns)
    turned = 90 if longest > 4 else 0
    axes.tick_params(axis="x", rotation=turned, length=0, labelsize=TEXT_SIZE)
    return figure


def lost_images(
    images: NDArray,
    class_names: Sequence[str],
    labels: NDArray,
    answers: NDArray,
    compressed: NDArray,
    methods: Sequence[str],
    title: str,
    most: int = 12,
    ax: Axes | None = None,
) -> Figure:
    """The test images whose predicted class most methods change, with these methods.

    Models that share a method, such as the seeds of a student, count as one: it changes
    an image if more than half of them predict another class than the base model.

    Args:
      images: `[n, height, width, channels]` uint8, one channel or three.
      class_names: Names of the classes.
      labels: `[n]` the true classes.
      answers: `[n]` classes that the base model predicts.
      compressed: `[models, n]` classes that the compressed models predict.
      methods: Of the models; short names.
      title: The heading.
      most: Number of images.
      ax: Where to draw; None makes a figure.

    Raises:
      ValueError: No predicted class changes.

    Source: compression identified exemplars, Hooker et al. 2019, arXiv 1911.05248.
    """
    compressed = np.asarray(compressed)
    lost = loses(answers, compressed, methods)
    losses = lost.sum().to_numpy()
    shown = [i for i in np.argsort(-losses, kind="stable")[:most] if losses[i]]
    if not shown:
        raise ValueError("no compressed model changes a predicted class")
    columns = min(6, len(shown))
    rows = -(-len(shown) // columns)
    named = {i: _wrapped(lost.index[lost[i]], len(lost)) for i in shown}
    lines = max(text.count("\n") + 1 for text in named.values())
    height = 0.8 + (1.4 + 0.15 * lines) * rows
    figure, grid = divided(PAGE, height, title, (rows, columns), ax)
    for axes in grid.flat[len(shown) :]:
        axes.axis("off")
    for axes, i in zip(grid.flat, shown, strict=False):
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
        axes.imshow(images[i].squeeze(), cmap="gray", vmin=0, vmax=255)
        others = compressed[compressed[:, i] != answers[i], i]
        after = class_names[np.bincount(others).argmax()]
        axes.set_title(
            f"{class_names[answers[i]]} \u2192 {after}\ntrue: {class_names[labels[i]]}",
            fontsize=TEXT_SIZE,
        )
        axes.set_xlabel(named[i], fontsize=TEXT_SIZE, color=GREY, labelpad=2)
    if ax is None:
        figure.get_layout_engine().set(h_pad=0.16)
        short = letters(methods).items()
        explained = "; ".join(f"{style(f).label.lower()}: {name}" for f, name in short)
        figure.supxlabel(
            "The base model's class \u2192 the most frequent other class; below: which "
            f"of {len(lost)} methods change it" + (f"\n({explained})" if short else ""),
            fontsize=TEXT_SIZE,
            color=GREY,
        )
    return figure


def loses(answers: NDArray, after: NDArray, methods: Sequence[str]) -> pd.DataFrame:
    """Which methods change which predicted classes, `[methods, n]`.

    Args:
      answers: `[n]` classes that the base model predicts.
      after: `[models, n]` classes that compressed models predict.
      methods: Of each of these models.
    """
    changed = pd.DataFrame(np.asarray(after) != np.asarray(answers))
    return changed.groupby(list(methods), sort=False).mean() > 0.5


def _wrapped(names: Sequence[str], total: int) -> str:
    """Names in lines that are as wide as a picture; "all" for all."""
    if len(names) == total:
        return "all"
    return textwrap.fill(", ".join(n.replace(" ", "\u00a0") for n in names), 20)
