"""Figures of the functional landscape, in the paper's letters: B, I, D, Q, P.

Figures are made and drawn without pyplot, so that they look the same and need no
display in a script, a worker or a notebook.
"""

import textwrap
from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import NDArray

from kdfunc.analysis.figures.labels import place_labels
from kdfunc.analysis.figures.style import (
    PAGE,
    TEXT_SIZE,
    divided,
    shade,
    style,
)

_START = {"color": "black", "marker": "o", "markersize": 6, "linestyle": "none"}
_KNOT = 0.45  # of the whole map: last points within less are looked at from near
_CORNER = 0.32  # of the plot: the side of the map of the whole
_POOR = 0.2  # stress above which distances mislead (Kruskal 1964)
_PATH = {"linewidth": 0.7, "marker": "o", "markersize": 2, "markeredgewidth": 0}


def landscape(
    points: pd.DataFrame,
    panel: str,
    title: str,
    perplexity: float,
    stress: float,
    disparities: tuple[float, float],
    ax: Axes | None = None,
) -> Figure:
    """Draws one panel of the functional landscape: t-SNE and, beside it, metric map.

    If initializations lie so far away that the trained models would form one knot, a
    map shows the trained models, and a small map in its corner shows everything.

    Args:
        points: One row per point: ``x`` and ``y`` of the t-SNE, ``mds_x`` and ``mds_y``
            of the metric map, ``model`` (its name), ``family`` (base, independent,
            student, quantized, pruned, control or another word), ``label`` (the text
            beside its last point; models of a family that share a label share a shade)
            and ``epoch`` (0 is the initialization). A post hoc model has a single row.
        panel: "distillation" draws every trajectory, "quantization" and "pruning" draw
            them faintly, "all" draws the last points and the initializations only.
        title: The heading.
        perplexity: Of the t-SNE.
        stress: Of the metric map.
        disparities: The least and the largest Procrustes disparity between the t-SNE
            and others whose start was changed by 1e-7.
        ax: Where to draw, without the legend; None makes a figure.

    Returns:
        The figure, with its labels placed for the size it has.
    """
    styles = _styles(points)
    figure, ((embedded, mapped),) = divided(PAGE, 4.7, title, (1, 2), ax)
    least, most = disparities
    embedded.set_title(f"t-SNE, perplexity {perplexity:.3g}", size=9)
    embedded.set_xlabel(
        "neighbourhoods are meaningful, distances are not;\n"
        f"start changed by 1e-7: Procrustes disparity {least:.2f} to {most:.2f}"
    )
    poor = " (poor: distances mislead)" if stress > _POOR else ""
    mapped.set_title(f"Metric MDS, stress {stress:.2f}{poor}", size=9)
    mapped.set_xlabel(
        "bar: distance between softmax outputs,\nroot mean square over test images"
    )
    by_axes = {
        embedded: points,
        mapped: points.assign(x=points["mds_x"], y=points["mds_y"]),
    }
    drawn = {
        axes: _draw(axes, placed, panel, styles) for axes, placed in by_axes.items()
    }
    # Trainings that share a name are identified by their shade in the legend.
    models = points.groupby("label")["model"].nunique()
    shared = set(models.index[models > 1]) if ax is None else set()
    if ax is None:
        _add_legend(figure, points, styles, shared, with_paths=panel != "all")
    for axes, (starts, ends, _) in drawn.items():
        if _is_knot(by_axes[axes], starts, ends):
            told = f"{axes.get_xlabel()}\ncorner: the whole map, this part framed"
            axes.set_xlabel(told)
    figure.canvas.draw()
    if ax is None:
        figure.set_layout_engine("none")
    for axes, marks in drawn.items():
        axes.set(xlim=axes.get_xlim(), ylim=axes.get_ylim(), adjustable="box")
        taken = [_zoom(axes, by_axes[axes], *marks, panel, styles)]
        if axes is mapped:
            taken.append(_scale_bar(axes, taken[0]))
        starts, ends, paths = marks
        told = ends["label"].isin(shared)
        unnamed = pd.concat([starts, ends[told]])
        place_labels(axes, unnamed, ends[~told], paths, np.vstack(taken))
    return figure


def _draw(
    axes: Axes, points: pd.DataFrame, panel: str, styles: dict[str, dict]
) -> tuple[pd.DataFrame, pd.DataFrame, list[NDArray]]:
    """Draws the marks of a panel; returns first points, last points and paths."""
    axes.set(aspect="equal", adjustable="datalim", xticks=[], yticks=[])
    axes.margins(0.07)
    axes.spines[:].set_color("0.75")
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


def _is_knot(points: pd.DataFrame, starts: pd.DataFrame, ends: pd.DataFrame) -> bool:
    """Whether the last points lie so close together that a close-up is needed."""
    whole, reach = (
        np.ptp(part[["x", "y"]].to_numpy(), axis=0).max() for part in (points, ends)
    )
    return len(starts) > 0 and len(ends) > 1 and 0 < reach < _KNOT * whole


def _zoom(
    axes: Axes,
    points: pd.DataFrame,
    starts: pd.DataFrame,
    ends: pd.DataFrame,
    paths: list[NDArray],
    panel: str,
    styles: dict[str, dict],
) -> NDArray:
    """Zooms in on the last points if they form a knot, with the whole in a corner.

    Returns:
        The corner's box [1, 4] in 1/72 inch, or none [0, 4].
    """
    if not _is_knot(points, starts, ends):
        return np.empty((0, 4))
    at = ends[["x", "y"]].to_numpy()
    middle = (at.min(axis=0) + at.max(axis=0)) / 2
    box = axes.get_window_extent()
    half = 0.5 * np.ptp(at, axis=0)
    # As much room as the last points need, and the corner beside them.
    scale = max(half[0] / (0.36 * box.width), half[1] / (0.42 * box.height))
    view = scale * np.array([box.width, box.height]) / 2
    low, high = middle - view, middle + view
    corners = {
        (right, top): np.sum(
            np.all(
                np.abs((at - low) / (high - low) - (right, top)) < _CORNER + 0.05,
                axis=1,
            )
        )
        for top in (0, 1)
        for right in (0, 1)
    }
    right, top = min(corners, key=corners.get)
    if corners[right, top]:  # nothing is free: move away from it
        shift = (_CORNER + 0.08) * (high - low) * (np.array([right, top]) - 0.5) * 0.9
        low, high = low + shift * 0.8, high + shift * 0.8
        low, high = low - 0.12 * (high - low), high + 0.12 * (high - low)
    axes.set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    whole_map = axes.inset_axes(
        [
            0.01 if not right else 0.99 - _CORNER,
            0.01 if not top else 0.99 - _CORNER,
            _CORNER,
            _CORNER,
        ]
    )
    small = {
        label: look | {"markersize": 4, "markeredgewidth": 0.6}
        for label, look in styles.items()
    }
    _draw(whole_map, points, panel, small)
    whole_map.lines[len(paths)].set_markersize(3)
    whole_map.add_patch(
        Rectangle(low, *(high - low), fill=False, color="black", lw=0.8, zorder=9)
    )
    axes.figure.canvas.draw()
    scale = 72 / axes.figure.dpi
    return whole_map.get_window_extent().extents[None] * scale


def _scale_bar(axes: Axes, taken: NDArray) -> NDArray:
    """Draws a scale bar in a free corner; returns its box."""
    width = np.diff(axes.get_xlim())[0]
    length = width / 5
    power = 10 ** np.floor(np.log10(length))
    length = max(step * power for step in (1, 2, 5) if step * power <= length)
    box = axes.get_window_extent().extents * 72 / axes.figure.dpi
    bar = length / width * (box[2] - box[0])
    middle = (box[:2] + box[2:]) / 2
    # On the other side of the corner that is taken, at the bottom.
    left = len(taken) and taken[0, 0] < middle[0] and taken[0, 1] < middle[1]
    x = box[2] - bar - 10 if left else box[0] + 10
    share = (np.array([x, box[1] + 10]) - box[:2]) / (box[2:] - box[:2])
    end = share[0] + bar / (box[2] - box[0])
    axes.plot(
        [share[0], end],
        [share[1]] * 2,
        transform=axes.transAxes,
        color="black",
        linewidth=2,
        solid_capstyle="butt",
        zorder=7,
    )
    axes.text(
        (share[0] + end) / 2,
        share[1] + 0.012,
        f"{length:g}",
        transform=axes.transAxes,
        ha="center",
        va="bottom",
        fontsize=TEXT_SIZE,
        path_effects=[withStroke(linewidth=2, foreground="white")],
        zorder=7,
    )
    return np.array([[x - 4, box[1] + 4, x + bar + 4, box[1] + 26]])


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
    figure: Figure,
    points: pd.DataFrame,
    styles: dict[str, dict],
    shared: set[str],
    with_paths: bool,
) -> None:
    """Explains marks below the maps: families, and what their models are called.

    Labels that several models share have a mark of their own in the legend.
    """
    handles = []
    if (points["epoch"] > 0).any():
        handles.append(Line2D([], [], label="Initialization", **_START))
    if with_paths and handles:
        handles.append(Line2D([], [], label="Epochs", color="0.4", **_PATH))
    for family, labels in _labels_by_family(points):
        groups = [[label] for label in labels if label in shared]
        groups += [list(labels)] if not groups else []
        for group in groups:
            look = styles[group[len(group) // 2]]
            text = textwrap.fill(f"{style(family).label}: {', '.join(group)}", 34)
            handles.append(Line2D([], [], linestyle="none", label=text, **look))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=3,
        frameon=False,
        fontsize=TEXT_SIZE,
        handletextpad=0.4,
    )
