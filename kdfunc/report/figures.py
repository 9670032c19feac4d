"""Figures of the functional landscape, in the paper's letters: B, I, D, Q, P.

Figures are made and drawn without pyplot, so that they look the same, and cost no
display, in a script, a worker or a notebook.
"""

import io
import itertools
import os
import pathlib
from collections.abc import Iterable

import matplotlib as mpl
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from kdfunc.config import PANELS
from kdfunc.records import write_atomic

_COLORS = sns.color_palette("colorblind")
# Heading in the legend, colour and marker of a family; others take the spare ones.
_FAMILIES = {
    "base": ("Base", _COLORS[0], "*"),
    "independent": ("Independent", _COLORS[7], "s"),
    "student": ("Distilled", _COLORS[2], "^"),
    "quantized": ("Quantized", _COLORS[4], "D"),
    "pruned": ("Pruned", _COLORS[3], "v"),
}
_SPARE_COLORS = (_COLORS[1], _COLORS[9], _COLORS[5], _COLORS[8])
_SPARE_MARKERS = ("P", "X", "p", "h")
_SIZES = {"*": 11, "D": 6.5}
_START = {"color": "black", "marker": "o", "markersize": 6, "linestyle": "none"}
_PATH = {"linewidth": 0.7, "marker": "o", "markersize": 2, "markeredgewidth": 0}

_LEADER = {"arrowstyle": "-", "lw": 0.6, "color": "0.3", "shrinkB": 3, "zorder": 6}
_TEXT_SIZE = 8
# Where a label may stand: its distance from the marker, in points, and direction.
_DISTANCES = (7, 14, 22, 31, 41, 52)
_ANGLES = np.deg2rad(np.arange(45, 405, 15))
_ALONG = np.linspace(0.1, 0.9, 9)  # where lines and leaders are looked at


def landscape(points: pd.DataFrame, panel: str, title: str) -> Figure:
    """Draws one panel of the functional landscape.

    Args:
        points: One row a point: ``x`` and ``y`` (of a t-SNE or a metric map),
            ``model`` (its name), ``family`` (base, independent, student, quantized,
            pruned, control or another word), ``label`` (the text beside its last
            point; models of a family that share a label share a shade) and ``epoch``
            (0 is the initialisation). A post hoc model has a single row.
        panel: "distillation" draws every trajectory, "quantization" and "pruning" draw
            them faintly, "all" draws the last points and the initialisations only.
        title: The heading.

    Returns:
        The figure, with its labels placed for the size it has.

    Raises:
        ValueError: There is no such panel, or nothing to draw in it.
    """
    if panel not in PANELS:
        raise ValueError(f"panel must be one of {', '.join(PANELS)}, got {panel!r}")
    if points.empty:
        raise ValueError("there are no points to draw")
    last_epoch = points.groupby("model")["epoch"].transform("max")
    trained = points.groupby("model")["epoch"].transform("nunique") > 1
    starts = points[trained & (points["epoch"] == 0)]
    ends = points[points["epoch"] == last_epoch]
    styles = _styles(points)

    figure = Figure(figsize=(7.2, 4.8), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_subplot(
        title=title, xticks=[], yticks=[], aspect="equal", adjustable="datalim"
    )
    axes.title.set_size(10)
    axes.margins(0.07)
    axes.spines[:].set_color("0.75")
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
    _add_legend(figure, points, styles, with_paths=bool(paths))
    canvas.draw()
    figure.set_layout_engine("none")
    _label(axes, starts, ends, paths)
    return figure


def save(figure: Figure, path: str | os.PathLike[str]) -> list[pathlib.Path]:
    """Writes a figure as PNG and PDF: whole or not at all, the same bytes every time.

    Args:
        figure: The figure.
        path: Where to, without a suffix.

    Returns:
        The two files.
    """
    # Type 42 keeps letters as letters; dates and versions would change the bytes.
    formats = {
        "png": {
            "dpi": 160,
            "metadata": {"Software": None},
            "pil_kwargs": {"optimize": True},
        },
        "pdf": {"metadata": {"CreationDate": None, "Producer": None}},
    }
    files = []
    for suffix, options in formats.items():
        content = io.BytesIO()
        with mpl.rc_context({"pdf.fonttype": 42}):
            figure.savefig(content, format=suffix, **options)
        files.append(pathlib.Path(f"{os.fspath(path)}.{suffix}"))
        write_atomic(files[-1], content.getvalue())
    return files


def _labels_by_family(points: pd.DataFrame) -> Iterable[tuple[str, NDArray]]:
    """The families, each with its labels, in order of appearance."""
    return points.groupby("family", sort=False)["label"].unique().items()


def _styles(points: pd.DataFrame) -> dict[str, dict]:
    """Line properties of each label: a family's colour and marker, a label's shade."""
    styles = {}
    spare = itertools.cycle(zip(_SPARE_COLORS, _SPARE_MARKERS, strict=True))
    snapshots = points.groupby("label")["epoch"].nunique()
    for family, labels in _labels_by_family(points):
        color, marker = _FAMILIES[family][1:] if family in _FAMILIES else next(spare)
        shades = sns.blend_palette(["white", color, "black"], as_cmap=True)
        steps = np.linspace(0.3, 0.72, len(labels)) if len(labels) > 1 else [0.5]
        rings = np.linspace(1.5, 1, len(labels))
        for label, step, ring in zip(labels, steps, rings, strict=True):
            shade = shades(step)
            size = _SIZES.get(marker, 8)
            # Post hoc models mostly lie on the base: rings that leave it visible.
            hollow = snapshots[label] == 1
            styles[label] = {
                "color": shade,
                "marker": marker,
                "markersize": size * ring if hollow else size,
                "markerfacecolor": "none" if hollow else shade,
                "markeredgecolor": shade if hollow else "white",
                "markeredgewidth": 1.5 if hollow else 0.6,
                "zorder": 4 if hollow else 5,
            }
    return styles


def _add_legend(
    figure: Figure, points: pd.DataFrame, styles: dict[str, dict], with_paths: bool
) -> None:
    """Explains the marks beside the axes, family by family."""
    handles = [Line2D([], [], label="Initialisation", **_START)]
    if with_paths:
        handles.append(Line2D([], [], label="Epochs", color="0.4", **_PATH))
    for family, labels in _labels_by_family(points):
        name = _FAMILIES[family][0] if family in _FAMILIES else family.capitalize()
        handles.append(Line2D([], [], linestyle="none", label=name))
        for label in labels:
            handles.append(
                Line2D([], [], linestyle="none", label=label, **styles[label])
            )
    legend = figure.legend(
        handles=handles,
        loc="outside right center",
        frameon=False,
        fontsize=_TEXT_SIZE,
        handletextpad=0.4,
    )
    for text in legend.get_texts():
        if text.get_text() not in styles:
            text.set_fontweight("bold")


def _label(
    axes: Axes, starts: pd.DataFrame, ends: pd.DataFrame, paths: list[NDArray]
) -> None:
    """Writes the labels beside the last points, clear of marks and of each other."""
    to_points = axes.transData + Affine2D().scale(72 / axes.figure.dpi)
    tips = to_points.transform(ends[["x", "y"]])
    marks = np.vstack([to_points.transform(starts[["x", "y"]]), tips])
    lines = [
        path[:-1] + step * np.diff(path, axis=0) for path in paths for step in _ALONG
    ]
    extents = [TextPath((0, 0), text, _TEXT_SIZE).get_extents() for text in ends.label]
    sizes = np.array([extent.size for extent in extents]) + 3
    offsets = _place(
        tips,
        sizes,
        np.vstack([marks, *map(to_points.transform, lines)]),
        np.hstack([marks - 4, marks + 4]),
        axes.bbox.extents * 72 / axes.figure.dpi,
    )
    gaps = np.max(np.abs(offsets) - sizes / 2, axis=1)
    for row, offset, gap in zip(ends.itertuples(), offsets, gaps, strict=True):
        axes.annotate(
            row.label,
            (row.x, row.y),
            xytext=offset,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=_TEXT_SIZE,
            path_effects=[withStroke(linewidth=1.5, foreground="white")],
            zorder=7,
            arrowprops=_LEADER if gap > _DISTANCES[0] else None,
        )


def _place(
    tips: NDArray, sizes: NDArray, marks: NDArray, taken: NDArray, frame: NDArray
) -> NDArray:
    """Places one label after the other where it costs least.

    A place costs its distance from the tip, the marks and other labels that it or its
    leader covers, and most of all what lies outside the frame.

    Args:
        tips: What the labels belong to [n, 2].
        sizes: Width and height of the labels [n, 2].
        marks: Points better not covered [m, 2].
        taken: Boxes that must not be covered [k, 4]: left, bottom, right, top.
        frame: The box of the axes [4].

    Returns:
        Offsets [n, 2] of the labels' centres from their tips. All in 1/72 inch.
    """
    distances, angles = map(np.ravel, np.meshgrid(_DISTANCES, _ANGLES, indexing="ij"))
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    offsets = np.empty((0, 2))
    labels = len(taken)  # where their boxes begin among the taken
    for tip, size in zip(tips, sizes, strict=True):
        shifts = directions * (distances[:, None] + size / 2)
        boxes = np.hstack([tip + shifts - size / 2, tip + shifts + size / 2])
        leaders = tip + shifts[:, None] * _ALONG[:, None]
        outside = (boxes[:, :2] < frame[:2]) | (boxes[:, 2:] > frame[2:])
        overlaps = np.all(
            (boxes[:, None, :2] < taken[:, 2:]) & (boxes[:, None, 2:] > taken[:, :2]),
            axis=2,
        )
        cost = (
            distances
            + 5 * _covered(marks, boxes).sum(axis=0)
            + 100 * overlaps.sum(axis=1)
            + 30 * _covered(leaders, taken[labels:]).any(axis=1).sum(axis=1)
            + 1000 * outside.any(axis=1)
        )
        best = np.argmin(cost)
        taken = np.vstack([taken, boxes[best]])
        marks = np.vstack([marks, leaders[best]])
        offsets = np.vstack([offsets, shifts[best]])
    return offsets


def _covered(points: NDArray, boxes: NDArray) -> NDArray[np.bool_]:
    """Whether each of the points [..., 2] lies in each of the boxes [n, 4]."""
    points = points[..., None, :]
    return np.all((points > boxes[:, :2]) & (points < boxes[:, 2:]), axis=-1)
