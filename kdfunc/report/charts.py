"""Interactive charts of the report page, as plotly figures.

They take the analysis's tables and use the colours and marks of the figures. The page's
style sheet sets the colours of text, grid and background, for light and dark themes.
"""

import math
from collections.abc import Iterable

import numpy as np
import pandas as pd
import plotly.graph_objects as go
from matplotlib.colors import to_hex
from plotly.io import to_html

from kdfunc.analysis.figures.preserved import rung_family
from kdfunc.analysis.figures.style import (
    PRESERVED,
    PRESERVED_TICKS,
    decimal,
    shade,
    style,
)
from kdfunc.similarity.scale import in_words, ratio_at

NEUTRAL = "#808080"  # reads on white and on black
_DASHES = ("0", "7px,4px", "8px,3px,2px,3px", "14px,4px", "8px,3px,2px,3px,2px,3px")
# Without red or green, grey is told from green by its dots.
_DOTS = "2px,3px"


def preserved(models: pd.DataFrame) -> go.Figure:
    """Function preserved by each model, one line per method.

    Args:
      models: one row per model: `model`, `family`, `name` (models of one name share a
        line), function `preserved` in percent and its interval, `low` and `high`.
    """
    figure = go.Figure()
    for name in models["family"].unique():
        rows = models["family"] == name
        at, look = models[rows], style(name)
        figure.add_trace(
            go.Scatter(
                x=at["preserved"],
                y=models.loc[rows, "name"],
                error_x={
                    "array": at["high"] - at["preserved"],
                    "arrayminus": at["preserved"] - at["low"],
                    "thickness": 1.5,
                    "width": 3,
                },
                mode="markers",
                name=look.label,
                marker={"symbol": look.symbol, "color": look.color, "size": 10},
                hovertext=_hover(models[rows], "preserved"),
                hoverinfo="text",
            )
        )
    plain(figure)
    _percent_axis(figure, models["low"].min())
    _rows(figure, models["name"])
    return figure


def ladder(rungs: pd.DataFrame, low: float | None = None) -> go.Figure:
    """What each ingredient of distillation adds: bars from rung to rung.

    Args:
      rungs: as `kdfunc.similarity.ladder.ladder` returns them.
      low: where the axis begins, for charts side by side; None to fit these rungs.
    """
    steps = rungs[rungs["step"].notna()]
    figure = go.Figure(
        [
            go.Bar(
                x=steps["step"],
                base=steps["preserved"] - steps["step"],
                y=steps["rung"],
                orientation="h",
                width=0.36,
                marker={
                    "color": [style(rung_family(g)).color for g in steps["group"]],
                    "opacity": 0.7,
                    "line": {"width": 0},
                    "pattern": {
                        "shape": ["/" if side else "" for side in steps["side"]]
                    },
                },
                hovertext=_hover(steps, "step", "points"),
                hoverinfo="text",
            ),
            go.Scatter(
                x=rungs["preserved"],
                y=rungs["rung"],
                mode="markers",
                marker={"color": NEUTRAL, "size": 8},
                error_x={
                    "array": rungs["preserved_high"] - rungs["preserved"],
                    "arrayminus": rungs["preserved"] - rungs["preserved_low"],
                    "thickness": 1.5,
                    "width": 3,
                },
                hovertext=_hover(rungs, "preserved"),
                hoverinfo="text",
            ),
        ]
    )
    plain(figure)
    _percent_axis(figure, rungs["preserved_low"].min() if low is None else low)
    _rows(figure, rungs["rung"])
    return figure


def over_epochs(models: pd.DataFrame, column: str, percent: bool = False) -> go.Figure:
    """A number over the epochs: mean and range of the models of each name.

    Epoch 0 is left out, because untrained models would flatten the rest.

    Args:
      models: one row per model and epoch: `family`, `name`, `epoch` and the column.
      column: the column to draw.
      percent: whether it is a share.
    """
    models = models[models["epoch"] > 0]
    figure = go.Figure()
    for name, label, color, dash in lines(models):
        rows = models[(models["family"] == name) & (models["name"] == label)]
        by_epoch = rows.groupby("epoch")[column].agg(["mean", "min", "max"])
        texts = by_epoch["mean"].map(("{:.2%}" if percent else "{:.4g}").format)
        if (by_epoch["max"] > by_epoch["min"]).any():
            figure.add_trace(
                go.Scatter(
                    x=[*by_epoch.index, *by_epoch.index[::-1]],
                    y=[*by_epoch["max"], *by_epoch["min"][::-1]],
                    mode="lines",
                    fill="toself",
                    fillcolor=color,
                    opacity=0.15,
                    line={"width": 0},
                    hoverinfo="skip",
                )
            )
        figure.add_trace(
            go.Scatter(
                x=by_epoch.index,
                y=by_epoch["mean"],
                mode="lines",
                name=label,
                line={"color": color, "width": 2, "dash": dash},
                hovertext=[
                    f"{label}<br>epoch {e}: {text}" for e, text in texts.items()
                ],
                hoverinfo="text",
            )
        )
    plain(figure)
    epochs = models["epoch"].max()
    figure.update_xaxes(title="Epoch", dtick=1 if epochs <= 12 else 5, tick0=0)
    if percent:  # the first epochs would squeeze the rest
        late = models.loc[models["epoch"] > epochs // 8, column]
        reach = [late.min(), late.max()]
        edge = 0.05 * (reach[1] - reach[0]) or 0.01
        figure.update_yaxes(
            tickformat=".1~%",
            range=[reach[0] - edge, min(1.0, reach[1]) + edge],
            automargin=True,
        )
    else:
        # The base model's way to 0 from itself would squeeze the others.
        others = models.loc[models["family"] != "base", column]
        shown = models[column] if others.empty else others
        shown = shown[shown > 0]
        if len(shown):
            reach = np.log10([0.6 * shown.min(), 1.2 * models[column].max()])
            at = _log_ticks(*10**reach)
            figure.update_yaxes(
                type="log",
                range=reach.tolist(),
                tickvals=at,
                ticktext=[decimal(value) for value in at],
            )
        figure.update_yaxes(automargin=True)
    figure.update_layout(hovermode="closest", showlegend=False)
    return figure


def _log_ticks(low: float, high: float) -> list[float]:
    """Where a logarithmic axis has numbers: at least three if possible."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in ((1,), (1, 2, 5), range(1, 10)):
        places = [float(f"{digit}e{power}") for power in powers for digit in digits]
        found = [place for place in places if low <= place <= high]
        if len(found) >= 3:
            break
    return found


def lines(models: pd.DataFrame) -> list[tuple[str, str, str, str]]:
    """Family, name, colour and dashes (as in SVG) of each line of `over_epochs`.

    Args:
      models: one row per model and epoch, with the columns `family` and `name`.
    """
    names = models.drop_duplicates(["family", "name"])[["family", "name"]]
    places = names.groupby("family").cumcount()
    counts = names.groupby("family")["name"].transform("size")
    return [
        (
            family,
            name,
            _shade(family, place, count),
            _DOTS if family == "independent" else _DASHES[place % len(_DASHES)],
        )
        for family, name, place, count in zip(
            names["family"], names["name"], places, counts, strict=True
        )
    ]


def _shade(family: str, place: int, count: int) -> str:
    """A family's colour; of several lines, lighter to darker, as in the figures."""
    step = 0.5 if count == 1 else 0.38 + 0.26 * place / (count - 1)
    return to_hex(shade(family, step))


def _hover(rows: pd.DataFrame, column: str, unit: str = "") -> list[str]:
    """Value and interval, shown when the reader points at a mark."""
    low, high = ("low", "high")
    if f"{column}_low" in rows:
        low, high = f"{column}_low", f"{column}_high"
    names = rows["model"] if "model" in rows else rows["rung"]
    if column == "preserved":
        return [
            f"{name}<br>{in_words(ratio_at(value), ratio_at(most), ratio_at(least))}"
            for name, value, least, most in zip(
                names, rows[column], rows[low], rows[high], strict=True
            )
        ]
    return [
        f"{name}<br>{value:+.1f} {unit} [{least:.1f}, {most:.1f}]"
        for name, value, least, most in zip(
            names, rows[column], rows[low], rows[high], strict=True
        )
    ]


def _percent_axis(figure: go.Figure, low: float) -> None:
    """An axis of function preserved that says what 0 and 100 % mean."""
    low = min(-8.0, low)
    ticks = {at: t for at, t in PRESERVED_TICKS.items() if at > max(low - 5, -90)}
    figure.update_xaxes(
        title=PRESERVED.replace("\n", "<br>"),
        range=[low - 5, 106],
        tickvals=list(ticks),
        ticktext=list(ticks.values()),
        tickangle=0,
    )
    for value, meaning in ((0, "independent<br>models"), (100, "base<br>model")):
        figure.add_vline(x=value, line={"color": NEUTRAL, "width": 1, "dash": "dash"})
        figure.add_annotation(
            x=value,
            y=1,
            yref="paper",
            yanchor="bottom",
            text=meaning,
            showarrow=False,
        )


def _rows(figure: go.Figure, names: Iterable[str]) -> None:
    """One row per name, top down, each below its name, as phones are narrow."""
    names = list(dict.fromkeys(names))
    figure.update_yaxes(
        range=[len(names) - 0.5, -0.8],
        categoryorder="array",
        categoryarray=names,
        showticklabels=False,
    )
    for name in names:
        figure.add_annotation(
            x=0,
            y=name,
            text=name,
            xref="paper",
            xanchor="left",
            yshift=13,
            showarrow=False,
        )
    figure.update_layout(
        height=140 + 36 * len(names),
        showlegend=False,
        margin={"l": 8, "r": 32, "t": 48, "b": 64},
    )


def plain(figure: go.Figure) -> None:
    """Removes all colours but the data's; the page's style sheet sets the others.

    Args:
      figure: is changed in place.
    """
    figure.update_layout(
        template="none",
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"family": "system-ui, sans-serif", "size": 13},
        dragmode=False,
        margin={"l": 60, "r": 16, "t": 28, "b": 48},
    )
    figure.update_xaxes(zeroline=False, fixedrange=True)
    figure.update_yaxes(zeroline=False, fixedrange=True)


def to_page(figure: go.Figure, id: str) -> str:
    """A chart as HTML without plotly.js, which the page contains once.

    Args:
      figure: the chart.
      id: of its element.
    """
    return to_html(
        figure,
        config={"displayModeBar": False, "responsive": True, "doubleClick": False},
        include_plotlyjs=False,
        auto_play=False,
        full_html=False,
        div_id=id,
    )
