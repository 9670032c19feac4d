"""Figures of how functions differ: distances, agreement, lost answers.

They take tables as the analysis makes them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from kdfunc.analysis.figures.style import (
    COLUMN,
    GREY,
    PAGE,
    TEXT_SIZE,
    blank_figure,
    family_legend,
    new_figure,
    shade,
    shrink_text,
)

MOST_CLASSES = 20  # side by side in a heat map
_ORDER = (
    "base",
    "independent",
    "control",
    "student",
    "variant",
    "quantized",
    "pruned",
)
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))


def distance_heatmap(
    distances: NDArray, models: pd.DataFrame, measure: str, title: str
) -> Figure:
    """Distances between all models, family by family.

    The colours reach twice as far as the independent models lie apart, and beyond is
    grey: a model that lost its function must not hide all other differences.

    Args:
      distances: `[models, models]`, symmetric.
      models: A row a model: `label` and `family` (base, independent, control, student,
        quantized, pruned or another word).
      measure: Name and unit of the distance.
      title: The heading.
    """
    rank = {family: i for i, family in enumerate(_ORDER)}
    order = np.argsort(
        models["family"].map(lambda family: rank.get(family, len(rank))), kind="stable"
    )
    models = models.iloc[order]
    distances = distances[np.ix_(order, order)]
    independent = models["family"].isin(["base", "independent"]).to_numpy()
    apart = distances[np.ix_(independent, independent)]
    reach = 2 * apart[apart > 0].mean() if apart.any() else distances.max()
    side = min(PAGE, 2.2 + 0.17 * len(models))
    figure, axes = new_figure(side, side, title)
    sns.heatmap(
        distances,
        ax=axes,
        cmap=sns.color_palette("viridis", as_cmap=True).with_extremes(over="0.8"),
        vmin=0,
        vmax=min(reach, distances.max()),
        square=True,
        xticklabels=models["label"],
        yticklabels=models["label"],
        cbar_kws={
            "label": measure,
            "shrink": 0.7,
            "pad": 0.02,
            "extend": "max" if distances.max() > reach else "neither",
        },
    )
    shrink_text(axes.collections[0].colorbar.ax)
    size = np.clip(260 / len(models), 4.5, TEXT_SIZE)
    for ticks in (axes.get_xticklabels(), axes.get_yticklabels()):
        for tick, family in zip(ticks, models["family"], strict=True):
            tick.set(color=shade(family, 0.62), fontsize=size)
    axes.tick_params(axis="x", rotation=90, length=0)
    axes.tick_params(axis="y", rotation=0, length=0)
    families = models["family"].to_numpy()
    borders = np.flatnonzero(families[1:] != families[:-1]) + 1
    axes.hlines(borders, 0, len(models), color="white", linewidth=1.2)
    axes.vlines(borders, 0, len(models), color="white", linewidth=1.2)
    family_legend(figure, models["family"].unique())
    return figure


def distance_over_epochs(records: pd.DataFrame, measure: str, title: str) -> Figure:
    """Distance to the trained base model while models are trained.

    Args:
      records: A row a model and epoch: `family`, `label` (models of a family that share
        it share a line, their mean, and a band from the nearest to the farthest),
        `epoch` and `distance`.
      measure: Name and unit of the distance.
      title: The heading.
    """
    figure, axes = new_figure(1.5 * COLUMN, COLUMN, title)
    for family, members in records.groupby("family", sort=False):
        labels = members["label"].unique()
        shades = np.linspace(0.35, 0.7, len(labels)) if len(labels) > 1 else [0.5]
        for i, label in enumerate(labels):
            rows = members[members["label"] == label].groupby("epoch")["distance"]
            mean, low, high = rows.mean(), rows.min(), rows.max()
            color = shade(family, shades[i])
            dashes = _DASHES[i % len(_DASHES)]
            axes.plot(mean, color=color, linestyle=dashes, label=label, lw=1.4)
            axes.fill_between(mean.index, low, high, color=color, alpha=0.2, lw=0)
    axes.set(xlabel="Epoch", ylabel=f"{measure}\nfrom the trained base model")
    distance = records["distance"]
    last = distance[records["epoch"] == records["epoch"].max()]
    # Untrained models would flatten the rest.
    axes.set_ylim(0, min(2 * last.max(), 1.05 * distance.max()))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.01)
    axes.grid(axis="y", color="0.9", linewidth=0.6)
    figure.legend(loc="outside right center", frameon=False, fontsize=TEXT_SIZE)
    return figure


def agreement_by_class(
    agreement: pd.DataFrame, families: Sequence[str], title: str
) -> Figure:
    """Agreement with the base model on the examples of each class.

    Args:
      agreement: Share of examples in [0, 1]; a row a method, labelled, and a column a
        class; beyond 20 classes those of least agreement are shown.
      families: Of the rows.
      title: The heading.
    """
    classes = agreement.shape[1]
    if classes > MOST_CLASSES:
        agreement = agreement[agreement.mean().nsmallest(MOST_CLASSES).index]
        title += f": the {MOST_CLASSES} of {classes} classes that agree least"
    rows, columns = agreement.shape
    width = min(PAGE, 1.7 + 0.36 * columns)
    figure, axes = new_figure(width, 1.1 + 0.24 * rows, title)
    sns.heatmap(
        100 * agreement,
        ax=axes,
        cmap="viridis",
        vmax=100,
        annot=True,
        fmt=".1f" if columns <= MOST_CLASSES / 2 else ".0f",
        annot_kws={"fontsize": TEXT_SIZE - 1.5},
        linewidths=0.5,
        cbar_kws={"label": "Agreement (%)", "pad": 0.02},
    )
    shrink_text(axes.collections[0].colorbar.ax)
    for tick, family in zip(axes.get_yticklabels(), families, strict=True):
        tick.set_color(shade(family, 0.62))
    axes.set(xlabel="", ylabel="")
    axes.tick_params(axis="y", rotation=0, length=0, labelsize=TEXT_SIZE)
    axes.tick_params(axis="x", rotation=90, length=0, labelsize=TEXT_SIZE)
    return figure


def lost_images(
    images: NDArray,
    class_names: Sequence[str],
    predictions: NDArray,
    changed: NDArray,
    title: str,
    most: int = 24,
) -> Figure:
    """The test images whose answer is most often lost under compression.

    Args:
      images: `[n, height, width, channels]` uint8, one channel or three.
      class_names: Names of the classes.
      predictions: `[n]` the base model's answers.
      changed: `[models, n]` whether a compressed model answers otherwise.
      title: The heading.
      most: Number of images.

    Raises:
      ValueError: No answer is lost.

    Source: compression identified exemplars, Hooker et al. 2019, arXiv 1911.05248.
    """
    losses = np.asarray(changed).sum(axis=0)
    shown = [i for i in np.argsort(-losses, kind="stable")[:most] if losses[i]]
    if not shown:
        raise ValueError("no compressed model changes an answer")
    columns = 8
    rows = -(-len(shown) // columns)
    figure = blank_figure(PAGE, 0.55 + 1.13 * rows)
    figure.suptitle(title, fontsize=TEXT_SIZE + 1)
    figure.supxlabel(
        "The base model's answer, and how many compressed models give another.",
        fontsize=TEXT_SIZE,
        color=GREY,
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, i in zip(grid.flat, shown, strict=False):
        axes.imshow(images[i].squeeze(), cmap="gray", vmin=0, vmax=255)
        axes.set_title(
            f"{class_names[predictions[i]]}\n{losses[i]} of {len(changed)}",
            fontsize=TEXT_SIZE - 1,
        )
    return figure
