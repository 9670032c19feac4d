"""The interactive landscape of the report page: trainings as animated maps."""

import dataclasses
import math

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from numpy.typing import NDArray

from kdfunc.analysis.figures.style import decimal, style
from kdfunc.report.charts import NEUTRAL, plain

#: The maps of a landscape: columns of the table with a point's position.
MAPS = {"t-SNE": ("x", "y"), "MDS": ("mds_x", "mds_y")}
# Where labels go: a family's side, or the others in turn.
_SIDE = {"base": "top center", "quantized": "middle left", "pruned": "bottom right"}
_SIDES = ("middle right", "top center", "bottom center", "middle left")
_CLOSE = 0.05  # marks that do not move and are closer share a label
_MARGIN = 0.4  # of -1 to 1: marks farther right have shared labels on their left
_NEAR = 0.45  # of the whole map: last points within less get a close-up
_APART = 10  # between the maps of a landscape, of which the axes show one


@dataclasses.dataclass(frozen=True)
class Landscape:
    """An interactive landscape.

    Attributes:
      figure: shows the last epoch; has one frame per epoch.
      epochs: names of the frames, in order.
      views: for each map and close-up, the changes to the layout that show it: ranges
        and, on the MDS map, a scale bar.
      traces: for each family, the indices of its traces.
    """

    figure: go.Figure
    epochs: list[int]
    views: dict[str, dict[str, object]]
    traces: dict[str, list[int]]


def landscape(points: pd.DataFrame) -> Landscape:
    """Draws a panel: faint paths, and marks that move along them epoch by epoch.

    All maps are side by side in one figure, so that the epoch and the hidden families
    stay the same when the reader switches maps.

    Args:
      points: one row per point: `model`, `family`, a short `label`, `epoch`, and the
        columns of one or more of `MAPS`. A model with one row does not move.
    """
    placed, views = _side_by_side(points)
    epochs = sorted(int(epoch) for epoch in placed["epoch"].unique())
    traces = [
        _marks(placed[placed["epoch"] == 0]).update(
            marker={"color": NEUTRAL, "size": 8}
        )
    ]
    heads, indices = {}, {}
    for name, members in placed.groupby("family", sort=False):
        look, first = style(name), len(traces)
        moving = members[members["snapshots"] > 1]
        if len(moving):
            traces.append(
                _path(moving).update(
                    line={"color": look.color, "width": 1},
                    marker={"color": look.color, "size": 4},
                    opacity=0.55,
                )
            )
        # Post hoc models mostly lie on the base: rings that leave it visible.
        ring = moving.empty
        heads[len(traces)] = members
        traces.append(
            _heads(members, epochs[-1]).update(
                textfont={"size": 11},
                marker={
                    "symbol": look.symbol + ("-open" if ring else ""),
                    "color": look.color,
                    "size": 15 if ring or name == "base" else 11,
                    "line": {"width": 2 if ring else 0},
                },
            )
        )
        indices[name] = list(range(first, len(traces)))
    frames = [
        go.Frame(
            name=str(epoch),
            traces=list(heads),
            data=[_heads(members, epoch) for members in heads.values()],
        )
        for epoch in epochs
    ]
    figure = go.Figure(traces, frames=frames)
    plain(figure)
    view = next(iter(views.values()))
    hidden = {"visible": False, "constrain": "domain"}
    figure.update_xaxes(**hidden, range=view["xaxis.range"])
    figure.update_yaxes(**hidden, range=view["yaxis.range"], scaleanchor="x")
    figure.update_layout(
        hovermode="closest", showlegend=False, margin=dict.fromkeys("lrtb", 4)
    )
    return Landscape(figure, epochs, views, indices)


def _side_by_side(points: pd.DataFrame) -> tuple[pd.DataFrame, dict[str, dict]]:
    """One row per point and map, `x` and `y` at one scale; and the view of each map."""
    points = points.sort_values("epoch", kind="stable")
    points["snapshots"] = points.groupby("model")["epoch"].transform("size")
    points["text"] = [
        f"{row.model}<br>{style(row.family).label}, epoch {row.epoch}"
        for row in points.itertuples()
    ]
    order = {label: place for place, label in enumerate(points["label"].unique())}
    points["side"] = [
        _SIDE.get(row.family, _SIDES[order[row.label] % len(_SIDES)])
        for row in points.itertuples()
    ]
    maps, views = [], {}
    for name, columns in MAPS.items():
        if set(columns) <= set(points.columns):
            at = points[list(columns)].to_numpy(float)
            low, high = at.min(axis=0), at.max(axis=0)
            half = (high - low).max() / 2 or 1
            x, y = ((at - (low + high) / 2) / half).round(4).T
            middle = len(maps) * _APART
            placed = points.assign(map=name, x=x + middle, y=y)
            placed["label"] = _shared_labels(placed)
            # A long label does not run out of a narrow chart.
            outer = placed["label"].str.contains(",") & (x > _MARGIN)
            inner = placed["side"].str.replace("right", "left")
            maps.append(placed.assign(side=placed["side"].mask(outer, inner)))
            reach = 1.06 * (high - low) / 2 / half + 0.03
            whole = np.array([[middle, 0] - reach, [middle, 0] + reach])
            unit = half if name == "MDS" else None
            views[name] = _view(whole, unit)
            ends = placed.groupby("model")[["x", "y"]].last().to_numpy()
            near = np.array([ends.min(axis=0), ends.max(axis=0)])
            if 0 < np.ptp(near, axis=0).max() < _NEAR * np.ptp(whole, axis=0).max():
                edge = 0.15 * np.ptp(near, axis=0).max()
                views[f"{name}, near"] = _view(near + [[-edge], [edge]], unit)
    return pd.concat(maps, ignore_index=True), views


def _view(corners: NDArray, unit: float | None) -> dict[str, object]:
    """What to change to see the map between two corners.

    Args:
      corners: lower left and upper right, `[2, 2]`.
      unit: the distance of softmax outputs that a length of 1 means; None if distances
        are meaningless.
    """
    (left, low), (right, top) = corners.round(4).tolist()
    view: dict[str, object] = {
        "xaxis.range": [left, right],
        "yaxis.range": [low, top],
        "shapes": [],
        "annotations": [],
    }
    if unit:
        longest = (right - left) / 4 * unit
        power = 10 ** math.floor(math.log10(longest))
        length = max(step * power for step in (1, 2, 5) if step * power <= longest)
        x, y = left + 0.03 * (right - left), low + 0.04 * (top - low)
        ends = {"x0": x, "x1": x + length / unit, "y0": y, "y1": y}
        view["shapes"] = [
            {"type": "line", **ends, "line": {"color": NEUTRAL, "width": 4}}
        ]
        view["annotations"] = [
            {
                "x": x,
                "y": y,
                "text": f"{decimal(length)}: root mean square distance of outputs",
                "showarrow": False,
                "xanchor": "left",
                "yanchor": "bottom",
                "font": {"size": 11},
            }
        ]
    return view


def _shared_labels(points: pd.DataFrame) -> list[str]:
    """Labels of the points; overlapping marks of a family share one."""
    labels = points["label"].tolist()
    leaders: list[tuple[int, str, float, float]] = []
    for place, row in enumerate(points.itertuples()):
        if row.snapshots > 1:
            continue
        for leader, family, x, y in leaders:
            if family == row.family and math.hypot(row.x - x, row.y - y) < _CLOSE:
                labels[leader] += f", {row.label}"
                labels[place] = ""
                break
        else:
            leaders.append((place, row.family, row.x, row.y))
    return labels


def _heads(points: pd.DataFrame, epoch: int) -> go.Scatter:
    """Labelled marks of the models at an epoch, and of those with one epoch only."""
    now = points[(points["epoch"] == epoch) | (points["snapshots"] == 1)]
    return _marks(now).update(
        mode="markers+text",
        cliponaxis=False,
        text=now["label"].tolist(),
        textposition=now["side"].tolist(),
    )


def _marks(points: pd.DataFrame) -> go.Scatter:
    return go.Scatter(
        x=points["x"].tolist(),
        y=points["y"].tolist(),
        hovertext=points["text"].tolist(),
        hoverinfo="text",
        mode="markers",
    )


def _path(points: pd.DataFrame) -> go.Scatter:
    """The paths of all models on all maps, with gaps between them."""
    gap = pd.DataFrame({"x": [None], "y": [None], "text": [None]})
    paths = [
        part
        for _, path in points.groupby(["map", "model"], sort=False)
        for part in (path[["x", "y", "text"]].astype(object), gap)
    ]
    return _marks(pd.concat(paths)).update(mode="lines+markers")
