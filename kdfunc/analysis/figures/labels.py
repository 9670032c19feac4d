"""Labels beside points, placed clear of marks, lines and one another."""

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patheffects import withStroke
from matplotlib.textpath import TextPath
from matplotlib.transforms import Affine2D
from numpy.typing import NDArray

from kdfunc.analysis.figures.style import TEXT_SIZE

_LEADER = {"arrowstyle": "-", "lw": 0.6, "color": "0.3", "shrinkB": 3, "zorder": 6}
# Where a label may be: its distance from the marker, in points, and direction.
_DISTANCES = (7, 14, 22, 31, 41, 52)
_ANGLES = np.deg2rad(np.arange(45, 405, 15))
_ALONG = np.linspace(0.1, 0.9, 9)  # where lines and leaders are looked at
_CLEAR = 3  # points that a label is nearer to its own mark than to any other
_ONE = 4  # marks that are closer, in points, share a label


def place_labels(
    axes: Axes,
    starts: pd.DataFrame,
    ends: pd.DataFrame,
    paths: list[NDArray],
    kept_free: NDArray | None = None,
) -> None:
    """Writes the labels beside the last points, clear of marks and of each other.

    Overlapping marks share a label. A label closer to another mark than to its own has
    a line to its own.

    Args:
        axes: Their layout must not change afterwards.
        starts: ``x`` and ``y`` of marks without a label.
        ends: ``x``, ``y`` and ``label`` of marks with one.
        paths: Lines [points, 2] better not covered.
        kept_free: Boxes [k, 4] in 1/72 inch that no label may cover.
    """
    to_points = axes.transData + Affine2D().scale(72 / axes.figure.dpi)
    frame = axes.bbox.extents * 72 / axes.figure.dpi
    every = to_points.transform(ends[["x", "y"]].astype(float))
    inside = np.all((every >= frame[:2]) & (every <= frame[2:]), axis=1)
    marks = np.vstack([to_points.transform(starts[["x", "y"]].astype(float)), every])
    ends, every = ends[inside], every[inside]
    if ends.empty:
        return
    leaders = _leaders(every)
    ends = ends.assign(leader=leaders)
    ends = ends.groupby("leader", sort=False).agg(
        x=("x", "first"), y=("y", "first"), label=("label", _joined)
    )
    tips = every[ends.index]
    lines = [
        path[:-1] + step * np.diff(path, axis=0) for path in paths for step in _ALONG
    ]
    extents = [TextPath((0, 0), text, TEXT_SIZE).get_extents() for text in ends.label]
    sizes = np.array([extent.size for extent in extents]) + 3
    offsets = _place(
        tips,
        sizes,
        np.vstack([marks, *map(to_points.transform, lines)]),
        np.hstack([marks - 4, marks + 4]),
        frame,
        np.empty((0, 4)) if kept_free is None else kept_free,
    )
    gaps = np.max(np.abs(offsets) - sizes / 2, axis=1)
    for row, tip, size, offset, gap in zip(
        ends.itertuples(), tips, sizes, offsets, gaps, strict=True
    ):
        others = marks[np.abs(marks - tip).max(axis=1) > _ONE]
        unclear = _gaps(others, tip + offset, size).min(initial=np.inf) < gap + _CLEAR
        axes.annotate(
            row.label,
            (row.x, row.y),
            xytext=offset,
            textcoords="offset points",
            ha="center",
            va="center",
            fontsize=TEXT_SIZE,
            path_effects=[withStroke(linewidth=1.5, foreground="white")],
            zorder=7,
            arrowprops=_LEADER if gap > _DISTANCES[0] or unclear else None,
        )


def _leaders(tips: NDArray) -> list[int]:
    """For each of the tips [n, 2] the first one that lies where it does."""
    leaders: list[int] = []
    for place, tip in enumerate(tips):
        near = (at for at in leaders if np.abs(tips[at] - tip).max() < _ONE)
        leaders.append(next(near, place))
    return leaders


def _joined(labels: pd.Series) -> str:
    """One label of several."""
    return ", ".join(dict.fromkeys(labels))


def _gaps(points: NDArray, centre: NDArray, size: NDArray) -> NDArray:
    """How far points [n, 2] lie from a box, in each direction at least."""
    return np.max(np.abs(points - centre) - size / 2, axis=1)


def _place(
    tips: NDArray,
    sizes: NDArray,
    marks: NDArray,
    taken: NDArray,
    frame: NDArray,
    kept_free: NDArray,
) -> NDArray:
    """Places one label after the other where it costs least.

    A place costs its distance from the tip, another mark that is nearer, the marks and
    other labels that it or its leader covers, and most of all what lies outside the
    frame.

    Args:
        tips: What the labels belong to [n, 2].
        sizes: Width and height of the labels [n, 2].
        marks: Points better not covered [m, 2].
        taken: Boxes that must not be covered [k, 4]: left, bottom, right, top.
        frame: The box of the axes [4].
        kept_free: Boxes that are out of bounds, as is what lies outside the frame
            [b, 4].

    Returns:
        Offsets [n, 2] of the labels' centres from their tips. All in 1/72 inch.
    """
    distances, angles = map(np.ravel, np.meshgrid(_DISTANCES, _ANGLES, indexing="ij"))
    directions = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    offsets = np.empty((0, 2))
    real = (taken[:, :2] + taken[:, 2:]) / 2  # the marks, without lines
    labels = len(taken)  # where their boxes begin among the taken
    for tip, size in zip(tips, sizes, strict=True):
        shifts = directions * (distances[:, None] + size / 2)
        boxes = np.hstack([tip + shifts - size / 2, tip + shifts + size / 2])
        others = real[np.abs(real - tip).max(axis=1) > _ONE]
        nearest = np.array(
            [_gaps(others, tip + shift, size).min(initial=np.inf) for shift in shifts]
        )
        own = np.max(np.abs(shifts) - size / 2, axis=1)
        leaders = tip + shifts[:, None] * _ALONG[:, None]
        outside = (boxes[:, :2] < frame[:2]) | (boxes[:, 2:] > frame[2:])
        overlaps = np.all(
            (boxes[:, None, :2] < taken[:, 2:]) & (boxes[:, None, 2:] > taken[:, :2]),
            axis=2,
        )
        barred = np.all(
            (boxes[:, None, :2] < kept_free[:, 2:])
            & (boxes[:, None, 2:] > kept_free[:, :2]),
            axis=2,
        )
        cost = (
            distances
            + 12 * (nearest < own + _CLEAR)
            + 5 * _covered(marks, boxes).sum(axis=0)
            + 100 * overlaps.sum(axis=1)
            + 30 * _covered(leaders, taken[labels:]).any(axis=1).sum(axis=1)
            + 1000 * (outside.any(axis=1) | barred.any(axis=1))
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
