"""Figures of functional similarity: distances, function preserved, lost answers.

Made for the width of a column or a page, without pyplot, in the families' colours of
the landscapes. They take tables as the analysis makes them.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter, StrMethodFormatter
from numpy.typing import NDArray

from kdfunc.report.labels import place_labels
from kdfunc.report.style import TEXT_SIZE, shade, style
from kdfunc.similarity.evidence import CONTROLS

COLUMN, PAGE = 3.5, 7.2  # widths in inches
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
_REFERENCES = {100: "base\nmodel", 0: "independent\nmodels"}
_DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
_FLOOR = -100  # of the function preserved; a broken model can be at -7000 %
_GREY = "0.45"
_COLORS = sns.color_palette("colorblind")
# Colours and markers of what a pipeline does to the weights.
_METHODS = {
    "Stored as trained": (_COLORS[4], "D"),
    "Quantization-aware": (_COLORS[1], "P"),
    "Pruned": (_COLORS[3], "v"),
    "Clustered": (_COLORS[2], "o"),
    "Pruned and clustered": (_COLORS[0], "s"),
    "With a step of one's own": (_COLORS[7], "X"),
}


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
    figure, axes = _figure(side, side, title)
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
    _shrink_text(axes.collections[0].colorbar.ax)
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
    _legend(figure, models["family"].unique())
    return figure


def preserved_by_size(models: pd.DataFrame, title: str) -> Figure:
    """Function preserved against the size of the model file.

    Models of one size stand side by side.

    Args:
      models: A row a model: `label`, `family`, `bytes`, function `preserved` in percent
        and its interval, `low` and `high`.
      title: The heading.
    """
    figure, axes = _figure(1.25 * COLUMN, COLUMN, title)
    unit, name = (2**20, "MiB") if models["bytes"].max() >= 2**20 else (2**10, "KiB")
    alike = models.groupby("bytes")["bytes"]
    beside = alike.cumcount() - (alike.transform("size") - 1) / 2
    sizes = models["bytes"] + 0.02 * beside * models["bytes"].max()
    points = _points(models, sizes / unit)
    points["label"] += points["note"]
    for family, rows in points.groupby("family", sort=False):
        _intervals(axes, rows, family)
    note = ", equal ones side by side" if beside.any() else ""
    axes.set_xlabel(f"Size ({name}){note}")
    _preserved_axis(axes)
    axes.margins(0.12)
    axes.set_xlim(left=0)
    _legend(figure, models["family"].unique())
    figure.canvas.draw()
    figure.set_layout_engine("none")
    bars = [
        np.array([[row.x, row.low], [row.x, row.high]]) for row in points.itertuples()
    ]
    place_labels(axes, points.iloc[:0], points, bars)
    return figure


def compression(models: pd.DataFrame, title: str) -> Figure:
    """Function preserved against the size of the file, for all ways of compressing.

    A line joins the models that no other beats in both, the Pareto front. Colours and
    markers tell what was done to the weights; those that were trained afterwards are
    filled.

    Args:
      models: A row a model: `model`, a pipeline's steps joined by `+`; `bytes`;
        function `preserved` in percent and its interval, `low` and `high`.
      title: The heading.
    """
    figure, axes = _figure(PAGE, 0.75 * PAGE, title)
    axes.set_xscale("log")
    points = _points(models, models["bytes"].astype(float) / 2**10)
    points["label"] = points["model"] + points["note"]
    front = points[pareto_front(points["bytes"], points["preserved"])].sort_values("x")
    axes.step(front["x"], front["y"], where="post", color="black", lw=1.5, zorder=1)
    methods = points["model"].map(_method)
    for method, (color, marker) in _METHODS.items():
        for tuned in (False, True):
            trained = points["model"].str.contains("finetune|qat") == tuned
            rows = points[(methods == method) & trained]
            axes.errorbar(
                rows["x"],
                rows["y"],
                yerr=[rows["y"] - rows["low"], rows["high"] - rows["y"]],
                color=color,
                marker=marker,
                markersize=6,
                markerfacecolor=color if tuned else "white",
                linestyle="none",
                elinewidth=1,
            )
    axes.set_xlabel("Size of the .tflite file (KiB)")
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    _preserved_axis(axes)
    axes.margins(0.1)
    shown = [method for method in _METHODS if (methods == method).any()]
    handles = [
        Line2D([], [], color=_METHODS[m][0], marker=_METHODS[m][1], ls="none", label=m)
        for m in shown
    ]
    handles.append(Line2D([], [], color="black", lw=1.5, label="Pareto front"))
    figure.legend(
        handles=handles,
        title="Filled: trained afterwards. Open: not.",
        title_fontsize=TEXT_SIZE,
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=TEXT_SIZE,
    )
    figure.canvas.draw()
    figure.set_layout_engine("none")
    bars = [
        np.array([[row.x, row.low], [row.x, row.high]]) for row in points.itertuples()
    ]
    place_labels(axes, points.iloc[:0], points, bars)
    return figure


def pareto_front(sizes: pd.Series, preserved: pd.Series) -> NDArray[np.bool_]:
    """Whether no other model is as good in both and better in one, `[models]`."""
    sizes, preserved = np.asarray(sizes, float), np.asarray(preserved, float)
    fits = (sizes[None] <= sizes[:, None]) & (preserved[None] >= preserved[:, None])
    better = (sizes[None] < sizes[:, None]) | (preserved[None] > preserved[:, None])
    return ~(fits & better).any(axis=1)


def _method(pipeline: str) -> str:
    """What a pipeline does to the weights, a key of `_METHODS`."""
    if "." in pipeline:  # the record of my_module:function is my_module.function
        return "With a step of one's own"
    if "qat" in pipeline:
        return "Quantization-aware"
    if "prune" in pipeline:
        return "Pruned and clustered" if "cluster" in pipeline else "Pruned"
    return "Clustered" if "cluster" in pipeline else "Stored as trained"


def preserved_by_sparsity(models: pd.DataFrame, title: str) -> Figure:
    """Function preserved by pruned models against the share of weights that are zero.

    Args:
      models: A row a model: `sparsity` in [0, 1], function `preserved` in percent and
        its interval, `low` and `high`.
      title: The heading.
    """
    figure, axes = _figure(COLUMN, 0.75 * COLUMN, title)
    points = _points(models, 100 * models["sparsity"]).sort_values("x")
    axes.plot(points["x"], points["y"], color=shade("pruned"), linewidth=1)
    _intervals(axes, points, "pruned")
    for point in points.itertuples():
        axes.text(
            point.x - 3, point.y, point.note, ha="right", va="center", size=TEXT_SIZE
        )
    axes.set(xlabel="Weights that are zero (%)", xlim=(0, 100))
    _preserved_axis(axes)
    return figure


def ladder(rungs: pd.DataFrame, title: str) -> Figure:
    """What each ingredient of distillation adds to the function preserved.

    Args:
      rungs: As `kdfunc.similarity.evidence.ladder` returns them.
      title: The heading.
    """
    figure, axes = _figure(1.5 * COLUMN, 1.2 + 0.28 * len(rungs), title)
    axes.use_sticky_edges = False
    outside = {
        "xycoords": axes.get_yaxis_transform(),
        "textcoords": "offset points",
        "fontsize": TEXT_SIZE,
        "va": "center",
    }
    for place, rung in enumerate(rungs.itertuples()):
        if rung.step == rung.step:  # not NaN
            untaught = rung.group in CONTROLS and rung.group != "other-targets"
            color = shade("control" if untaught else "student")
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
            axes.annotate(interval, edge, xytext=(39, 0), color=_GREY, **outside)
        ends = [rung.preserved_low, rung.preserved_high]
        axes.plot(ends, [place, place], color="black", linewidth=1)
        axes.plot(rung.preserved, place, "o", color="black", markersize=3)
    beside = len(rungs) - rungs["side"].sum() - 0.5
    axes.axhline(beside, color=_GREY, linewidth=0.6)
    axes.annotate("Adds (points)", (1, -0.5), xytext=(12, 10), **outside)
    axes.set(
        xlabel="Function preserved (%)",
        ylim=(len(rungs) - 0.5, -0.5),
        yticks=range(len(rungs)),
        yticklabels=rungs["rung"],
    )
    axes.grid(axis="x", color="0.9", linewidth=0.6)
    axes.set_axisbelow(True)
    unit = rungs["distance"].iloc[0]
    top = axes.secondary_xaxis(
        "top",
        functions=(lambda x: unit * (1 - x / 100), lambda d: 100 * (1 - d / unit)),
    )
    top.set_xlabel("Jensen-Shannon divergence from the base model (bits)")
    top.xaxis.set_major_locator(MaxNLocator(5))
    _shrink_text(top)
    return figure


def variants(table: pd.DataFrame, title: str) -> Figure:
    """Function preserved and accuracy of students with one setting changed.

    Models without a teacher stand under the students that they are a control of.

    Args:
      table: As `kdfunc.report.variants.table` returns it.
      title: The heading.
    """
    rows = {variant: i for i, variant in enumerate(table["variant"].unique())}
    figure = Figure(figsize=(PAGE, 1.5 + 0.36 * len(rows)), layout="constrained")
    FigureCanvasAgg(figure)
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
                value, places, xerr=ends, **_marker(family), elinewidth=1, capsize=2
            )
        reference = table[column].iloc[0]
        axes.axvline(reference, color=_GREY, lw=0.8, linestyle=(0, (4, 3)), zorder=0)
        axes.grid(axis="x", color="0.9", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.set_xlabel(name)
        _shrink_text(axes)
    labels = table.drop_duplicates("variant")["label"]
    both[0].set(
        yticks=range(len(rows)), yticklabels=labels, ylim=(len(rows) - 0.5, -0.5)
    )
    figure.legend(
        handles=[
            Line2D([], [], **_marker("student"), label="With a teacher"),
            Line2D([], [], **_marker("control"), label="The same without"),
        ],
        loc="outside lower center",
        ncols=2,
        frameon=False,
        fontsize=TEXT_SIZE,
    )
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
    figure, axes = _figure(1.5 * COLUMN, COLUMN, title)
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
    last = records.loc[records["epoch"] == records["epoch"].max(), "distance"]
    axes.set_ylim(0, 2 * last.max())  # untrained models would flatten the rest
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
    figure, axes = _figure(width, 1.1 + 0.24 * rows, title)
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
    _shrink_text(axes.collections[0].colorbar.ax)
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
    figure = Figure(figsize=(PAGE, 0.55 + 1.13 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=TEXT_SIZE + 1)
    figure.supxlabel(
        "The base model's answer, and how many compressed models give another.",
        fontsize=TEXT_SIZE,
        color=_GREY,
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


def _figure(width: float, height: float, title: str) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=TEXT_SIZE + 1)
    _shrink_text(axes)
    return figure, axes


def _shrink_text(axes: Axes) -> None:
    axes.tick_params(labelsize=TEXT_SIZE)
    axes.xaxis.label.set_size(TEXT_SIZE)
    axes.yaxis.label.set_size(TEXT_SIZE)


def _marker(family: str) -> dict:
    return {
        "color": shade(family),
        "marker": style(family).marker,
        "markersize": style(family).size - 2,
        "linestyle": "none",
    }


def _points(models: pd.DataFrame, x: pd.Series) -> pd.DataFrame:
    """Where models stand; one far below 0 % stands at the floor, its value noted."""
    numbers = models[["preserved", "low", "high"]].clip(lower=_FLOOR)
    below = models["preserved"] < _FLOOR
    notes = models["preserved"].map(" ({:.0f} %)".format).where(below, "")
    return models.assign(**numbers, x=x, y=numbers["preserved"], note=notes)


def _intervals(axes: Axes, points: pd.DataFrame, family: str) -> None:
    axes.errorbar(
        points["x"],
        points["y"],
        yerr=[points["y"] - points["low"], points["high"] - points["y"]],
        **_marker(family),
        elinewidth=1,
        capsize=2,
    )


def _preserved_axis(axes: Axes) -> None:
    """Labels the axis and draws what its 0 and 100 % mean."""
    axes.set_ylabel("Function preserved (%)")
    for value, meaning in _REFERENCES.items():
        axes.axhline(value, color=_GREY, linewidth=0.8, linestyle=(0, (4, 3)), zorder=0)
        axes.text(
            1.02,
            value,
            meaning,
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=TEXT_SIZE - 1,
            color=_GREY,
        )


def _legend(figure: Figure, families: Sequence[str]) -> None:
    figure.legend(
        handles=[
            Line2D([], [], **_marker(family), label=style(family).name)
            for family in families
        ],
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=TEXT_SIZE,
    )
