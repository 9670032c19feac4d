"""Figures of the functional landscape, in the paper's letters: B, I, D, Q, P.

Figures are made and drawn without pyplot, so that they look the same, and cost no
display, in a script, a worker or a notebook.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from kdfunc.analysis.figures.labels import place_labels
from kdfunc.analysis.figures.style import TEXT_SIZE, blank_figure, shade, style
from kdfunc.config import PANELS

_START = {"color": "black", "marker": "o", "markersize": 6, "linestyle": "none"}
_PATH = {"linewidth": 0.7, "marker": "o", "markersize": 2, "markeredgewidth": 0}


def landscape(
    points: pd.DataFrame,
    panel: str,
    title: str,
    perplexity: float,
    stress: float,
    disparities: tuple[float, float],
) -> Figure:
    """Draws one panel of the functional landscape: t-SNE and, beside it, metric map.

    Args:
        points: One row a point: ``x`` and ``y`` of the t-SNE, ``mds_x`` and ``mds_y``
            of the metric map, ``model`` (its name), ``family`` (base, independent,
            student, quantized, pruned, control or another word), ``label`` (the text
            beside its last point; models of a family that share a label share a shade)
            and ``epoch`` (0 is the initialisation). A post hoc model has a single row.
        panel: "distillation" draws every trajectory, "quantization" and "pruning" draw
            them faintly, "all" draws the last points and the initialisations only.
        title: The heading.
        perplexity: Of the t-SNE.
        stress: Of the metric map.
        disparities: The least and the largest Procrustes disparity between the t-SNE
            and others whose start was changed by 1e-7.

    Returns:
        The figure, with its labels placed for the size it has.

    Raises:
        ValueError: There is no such panel, or nothing to draw in it.
    """
    if panel not in PANELS:
        raise ValueError(f"panel must be one of {', '.join(PANELS)}, got {panel!r}")
    if points.empty:
        raise ValueError("there are no points to draw")
    styles = _styles(points)
    figure = blank_figure(10.8, 4.8)
    figure.suptitle(title, fontsize=10)
    embedded, mapped = figure.subplots(1, 2)
    embedded.set_title(f"t-SNE, perplexity {perplexity:.3g}", size=9)
    embedded.set(xticks=[], yticks=[])
    least, most = disparities
    embedded.set_xlabel(
        "neighbourhoods mean something, distances do not\n"
        f"start changed by 1e-7: Procrustes disparity {least:.2f} to {most:.2f}"
    )
    mapped.set_title(f"Metric MDS, stress {stress:.2f}", size=9)
    mapped.set_xlabel("distance of softmax outputs, root mean square over test images")
    by_axes = {
        embedded: points,
        mapped: points.assign(x=points["mds_x"], y=points["mds_y"]),
    }
    drawn = {
        axes: _draw(axes, placed, panel, styles) for axes, placed in by_axes.items()
    }
    _add_legend(figure, points, styles, with_paths=panel != "all")
    figure.canvas.draw()
    figure.set_layout_engine("none")
    for axes, marks in drawn.items():
        place_labels(axes, *marks)
    return figure


def _draw(
    axes: Axes, points: pd.DataFrame, panel: str, styles: dict[str, dict]
) -> tuple[pd.DataFrame, pd.DataFrame, list[NDArray]]:
    """Draws the marks of a panel; returns first points, last points and paths."""
    axes.set(aspect="equal", adjustable="datalim")
    axes.margins(0.07)
    axes.spines[:].set_color("0.75")
    axes.tick_params(labelsize=TEXT_SIZE, color="0.75")
    axes.xaxis.label.set_size(TEXT_SIZE)
    last_epoch = points.groupby("model")["epoch"].transform("max")
    trained = points.groupby("model")["epoch"].transform("nunique") > 1
    starts = points[trained & (points["epoch"] == 0)]
    ends = points[points["epoch"] == last_epoch]
    paths = []
    if panel != "all":
        models = points[trained].groupby(["model", "label"], sort=False)
        for (_, label), model in models:
            path = model.sort_values("epoch")[["x", "y"]].to_numpy()
            paths.append(path)
            axes.plot(
                *path.T,
                **_PATH,
                color=styles[label]["color"],
                alpha=0.8 if panel == "distillation" else 0.55,
            )
    axes.plot(starts["x"], starts["y"], **_START)
    for row in ends.itertuples():
        axes.plot(row.x, row.y, **styles[row.label], linestyle="none")
    return starts, ends, paths


def _labels_by_family(points: pd.DataFrame) -> Iterable[tuple[str, NDArray]]:
    """The families, each with its labels, in order of appearance."""
    return points.groupby("family", sort=False)["label"].unique().items()


def _styles(points: pd.DataFrame) -> dict[str, dict]:
    """Line properties of each label: a family's colour and marker, a label's shade."""
    styles = {}
    snapshots = points.groupby("label")["epoch"].nunique()
    for family, labels in _labels_by_family(points):
        marker, size = style(family).marker, style(family).size
        steps = np.linspace(0.3, 0.72, len(labels)) if len(labels) > 1 else [0.5]
        rings = np.linspace(1.5, 1, len(labels))
        for label, step, ring in zip(labels, steps, rings, strict=True):
            color = shade(family, step)
            # Post hoc models mostly lie on the base: rings that leave it visible.
            hollow = snapshots[label] == 1
            styles[label] = {
                "color": color,
                "marker": marker,
                "markersize": size * ring if hollow else size,
                "markerfacecolor": "none" if hollow else color,
                "markeredgecolor": color if hollow else "white",
                "markeredgewidth": 1.5 if hollow else 0.6,
                "zorder": 4 if hollow else 5,
            }
    return styles


def _add_legend(
    figure: Figure, points: pd.DataFrame, styles: dict[str, dict], with_paths: bool
) -> None:
    """Explains the marks beside the axes, family by family."""
    handles = []
    if (points["epoch"] > 0).any():
        handles.append(Line2D([], [], label="Initialisation", **_START))
    if with_paths and handles:
        handles.append(Line2D([], [], label="Epochs", color="0.4", **_PATH))
    for family, labels in _labels_by_family(points):
        handles.append(Line2D([], [], linestyle="none", label=style(family).label))
        for label in labels:
            handles.append(
                Line2D([], [], linestyle="none", label=label, **styles[label])
            )
    legend = figure.legend(
        handles=handles,
        loc="outside right center",
        frameon=False,
        fontsize=TEXT_SIZE,
        handletextpad=0.4,
    )
    for text in legend.get_texts():
        if text.get_text() not in styles:
            text.set_fontweight("bold")
