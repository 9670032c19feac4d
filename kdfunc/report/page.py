"""The report page: one HTML file that needs nothing else, from a run's tables.

It reads what the analysis wrote (`config.json`, `provenance.json`, `tables/`,
`figures/`) and no records, so it can be made again from results that were published
without them. What is not there is left out, with a sentence on what it needs.
"""

import base64
import dataclasses
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import jinja2
import numpy as np
import pandas as pd
import plotly.graph_objects as go
from plotly.io import to_html
from plotly.offline import get_plotlyjs

from kdfunc import plan
from kdfunc.config import PANELS, ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.progress import duration
from kdfunc.records import RunDirectory, write_atomic
from kdfunc.report import charts, published, tables
from kdfunc.report.results import Results
from kdfunc.similarity.evidence import MEASURE

ICONS = {"supported": "✓", "contradicted": "✗", "undecided": "?"}

#: Sections that show one table as it is: table, heading, caption.
_PLAIN_TABLES = (
    ("compression", "Sizes", "Size of each model's file and what it keeps"),
    ("latency", "Latencies", "Latency of each model's file"),
)
#: Words and formats for the columns of the tables that are shown.
_COLUMNS = {
    "name": ("Models", None),
    "accuracy": ("Accuracy", "{:.2%}"),
    "log_loss": ("Log-loss", "{:.4f}"),
    "disagreement": ("Answers that differ", "{:.2%}"),
    "negative_flips": ("Right before, wrong now", "{:.2%}"),
    "positive_flips": ("Wrong before, right now", "{:.2%}"),
    "preserved": ("Function preserved (%)", "{:.1f}"),
    "distance": ("Distance (bits)", "{:.4f}"),
    "step": ("Adds (points)", "{:+.1f}"),
    "bytes": ("Bytes", "{:,.0f}"),
    "gzip": ("Bytes, gzipped", "{:,.0f}"),
}


@dataclasses.dataclass(frozen=True)
class Table:
    """A table as text, the first cell of a row being its heading.

    Attributes:
      id: of the element.
      caption: what it shows.
      header: of the columns.
      rows: cells as text.
      download: the whole numbers as a `data:` URI of a CSV file, and its name.
    """

    id: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    download: tuple[str, str]


def write(
    directories: Sequence[RunDirectory], path: str | os.PathLike[str]
) -> pathlib.Path:
    """Writes the page of one run, or of several side by side; whole or not at all.

    Args:
      directories: the runs.
      path: the file to write.

    Returns:
      The file.

    Raises:
      InputError: a directory holds no run, or a table of it is damaged.
    """
    write_atomic(pathlib.Path(path), render(directories))
    return pathlib.Path(path)


def render(directories: Sequence[RunDirectory]) -> str:
    """The page as HTML; arguments and errors as for `write`."""
    paths = [directory.path.resolve() for directory in directories]
    names = [path.name for path in paths]
    runs = [
        Results(directory, f"run{number}", str(path) if names.count(name) > 1 else name)
        for number, (directory, path, name) in enumerate(
            zip(directories, paths, names, strict=True), 1
        )
    ]
    for run in runs:
        if run.accuracy is None and run.metrics is None:
            raise InputError(
                f"{run.directory.path} has no tables and no records to make them from; "
                "give a run directory, such as runs/digits-lenet-published."
            )
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kdfunc.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["duration"] = duration
    return environment.get_template("page.html.jinja").render(
        runs=[_sections(run) for run in runs],
        comparison=_comparison(runs) if len(runs) > 1 else None,
        plotly=get_plotlyjs(),
        icons=ICONS,
        rule=published.RULE,
        floor=charts.FLOOR,
    )


def _sections(run: Results) -> dict[str, Any]:
    """What the page shows of a run; None for what its tables do not hold."""
    return {
        "run": run,
        "paper_accuracy": _paper_accuracy(run),
        "accuracy": None if run.accuracy is None else _accuracy([run], run.id),
        "preserved": _preserved(run),
        "ladder": _ladder(run),
        "landscapes": _landscapes(run),
        "curves": _curves(run),
        "flips": _flips(run),
        "plain": [
            (name, heading, _table(run, name, caption, table))
            for name, heading, caption in _PLAIN_TABLES
            if (table := run.table(name)) is not None
        ],
        "figures": {
            name: _picture(run, name)
            for name in ("lost_images", "agreement_by_class", "preserved_by_size")
        },
        "command": _command(run.config),
        "settings": _settings(run.config),
        "downloads": [
            (path.name, _uri("text/csv", path.read_bytes()))
            for path in sorted((run.directory.path / "tables").glob("*.csv"))
        ],
    }


def _paper_accuracy(run: Results) -> str | None:
    """The base model's accuracy as the paper gives it."""
    cells = published.load(run.config.dataset, run.config.architecture)
    return None if cells.empty else f"{cells['base_accuracy'].iloc[0]:g} %"


def _accuracy(runs: Sequence[Results], id: str) -> dict[str, Any]:
    """Deviations of accuracy in the paper's layout, a row a run and one of the paper.

    Each run's row follows the paper's for its data set and architecture.
    """
    runs = [run for run in runs if run.accuracy is not None]
    settings = list(
        dict.fromkeys(
            pair
            for run in runs
            for pair in zip(
                run.accuracy["method"], run.accuracy["setting"], strict=True
            )
        )
    )
    order = list(tables.METHODS.values())
    settings.sort(key=lambda p: order.index(p[0]) if p[0] in order else len(order))
    rows, numbers = [], []
    told = None
    for run in sorted(runs, key=lambda r: (r.config.dataset, r.config.architecture)):
        cells = run.accuracy.set_index(["method", "setting"])
        if "published" in cells and told != run.title:
            told = run.title
            paper = cells[["published", "published_std"]].reindex(settings)
            rows.append(
                (
                    f"The paper, {run.title}",
                    [(_spread(*cell), False) for cell in paper.itertuples(index=False)],
                )
            )
        marked = cells["marked"] if "marked" in cells else cells["deviation"] * 0 != 0
        own = cells[["deviation", "std"]].assign(marked=marked).reindex(settings)
        name = f"Here, {run.config.preset}" if len(runs) == 1 else run.name
        rows.append(
            (
                name,
                [
                    (_spread(cell.deviation, cell.std), cell.marked is True)
                    for cell in own.astype({"marked": object}).itertuples(index=False)
                ],
            )
        )
        numbers.append(run.accuracy.assign(run=run.name))
    return {
        "methods": [
            (method, sum(other == method for other, _ in settings))
            for method in dict.fromkeys(method for method, _ in settings)
        ],
        "settings": [setting for _, setting in settings],
        "rows": rows,
        "compared": any("published" in run.accuracy for run in runs),
        "id": f"{id}-accuracy-table",
        "download": _download("accuracy", pd.concat(numbers)),
    }


def _spread(value: float, std: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.2f}" + ("" if np.isnan(std) else f" (±{std:.2f})")


def _preserved(run: Results) -> dict[str, Any] | None:
    if run.preserved is None or run.preserved.empty:
        return None
    shown = run.preserved[["name", "model", "preserved", "low", "high"]]
    return {
        "chart": _chart(charts.preserved(run.preserved), f"{run.id}-preserved-chart"),
        "table": _table(
            run,
            "function_preserved",
            "Function preserved by every model, with its 95 % interval over the test "
            "images",
            shown,
        ),
    }


def _ladder(run: Results) -> dict[str, Any] | None:
    if run.ladder is None:
        return None
    columns = ["rung", "models", "distance", "preserved", "step"]
    columns += ["step_low", "step_high"]
    return {
        "chart": _chart(charts.ladder(run.ladder), f"{run.id}-ladder-chart"),
        "table": _table(run, "ladder", "The rungs of the ladder", run.ladder[columns]),
    }


def _landscapes(run: Results) -> list[dict[str, Any]]:
    stress = run.table("landscape-stress", "panel", "stress")
    stress = {} if stress is None else stress.set_index("panel")["stress"].to_dict()
    found = []
    for panel in PANELS:
        points = run.table(
            f"landscape-{panel}", "model", "family", "epoch", *charts.MAPS["t-SNE"]
        )
        if points is None or points.empty:
            continue
        id = f"{run.id}-{panel}"
        points["label"] = points["model"].map(
            {task.name: task.label for task in plan.make(run.config)}
        )
        drawn = charts.landscape(points)
        last = points.sort_values("epoch").groupby("model", sort=False).tail(1)
        found.append(
            {
                "id": id,
                "panel": panel,
                "chart": _chart(drawn.figure, f"{id}-chart"),
                "landscape": drawn,
                "families": {name: charts.family(name) for name in drawn.traces},
                "stress": stress.get(panel),
                "static": _picture(run, panel),
                "table": _table(
                    run,
                    f"landscape-{panel}",
                    "Where each model lies after its last epoch (the download has all "
                    "epochs)",
                    last.drop(columns=["family", "name", "label"]),
                ),
            }
        )
    return found


def _curves(run: Results) -> dict[str, Any] | None:
    if run.metrics is None:
        return None
    trained = run.metrics[run.metrics.groupby("model")["epoch"].transform("size") > 1]
    if trained.empty:
        return None
    drawn = [
        ("accuracy", "Accuracy on the test set", trained, True),
        ("log_loss", "Log-loss on the test set", trained, False),
    ]
    followed = run.table("trajectories", "model", "family", "epoch", MEASURE)
    if followed is not None:
        title = "Distance from the trained base model (bits)"
        drawn.append((MEASURE, title, followed, False))
    last = run.metrics.groupby("model", sort=False).tail(1)
    return {
        "charts": [
            (
                title,
                _chart(
                    charts.over_epochs(table, column, percent),
                    f"{run.id}-{column}-chart",
                ),
            )
            for column, title, table, percent in drawn
        ],
        "lines": [
            (name, charts.family(family).color, dash)
            for family, name, dash in charts.lines(trained)
        ],
        "table": _table(
            run,
            "metrics",
            "Every model after its last epoch (the download has all epochs)",
            last[["model", "epoch", "accuracy", "log_loss"]],
        ),
    }


def _flips(run: Results) -> Table | None:
    columns = ["disagreement", "negative_flips", "positive_flips"]
    table = run.table("similarity", "model", *columns)
    if table is None:
        return None
    means = table.groupby("name", sort=False)[columns].mean().reset_index()
    return _table(
        run, "similarity", "Share of test images, mean over the models of a row", means
    )


def _comparison(runs: Sequence[Results]) -> dict[str, Any]:
    """What several runs say side by side."""
    judged = [run for run in runs if run.verdicts is not None]
    claims = list(dict.fromkeys(c for run in judged for c in run.verdicts["claim"]))
    by_run = {run.name: run.verdicts.set_index("claim") for run in judged}
    grid = [
        (
            claim,
            [
                by_run[run.name].loc[claim]
                if run.name in by_run and claim in by_run[run.name].index
                else None
                for run in runs
            ],
        )
        for claim in claims
    ]
    measured = [run for run in runs if run.preserved is not None]
    methods = list(dict.fromkeys(n for run in measured for n in run.preserved["name"]))
    means = pd.DataFrame(
        {
            run.name: run.preserved.groupby("name")["preserved"].mean()
            for run in measured
        }
    ).reindex(methods)
    climbed = [run for run in runs if run.ladder is not None]
    return {
        "grid": grid,
        "answers": [_answer(claim, cells, runs) for claim, cells in grid],
        "accuracy": _accuracy(runs, "all"),
        "preserved": _side_by_side(
            "all-preserved", "Function preserved (%)", pd.DataFrame(means)
        ),
        "ladders": [
            (run, _chart(charts.ladder(run.ladder), f"all-{run.id}-ladder"))
            for run in climbed
        ],
    }


def _answer(
    claim: str, cells: Sequence[pd.Series | None], runs: Sequence[Results]
) -> tuple[str, str]:
    """A claim, and a sentence on whether it holds across the runs."""
    told: dict[str, list[str]] = {outcome: [] for outcome in (*ICONS, "not judged")}
    for run, cell in zip(runs, cells, strict=True):
        told["not judged" if cell is None else cell.outcome].append(run.name)
    counts = "; ".join(
        f"{outcome} in {len(names)} of {len(runs)} ({', '.join(names)})"
        for outcome, names in told.items()
        if names
    )
    if told["supported"] and told["contradicted"]:
        reading = "Depends on the run"
    elif len(told["supported"]) == len(runs):
        reading = "Holds in all"
    elif len(told["contradicted"]) == len(runs):
        reading = "Fails in all"
    elif told["supported"]:
        reading = "Holds where it is decided"
    elif told["contradicted"]:
        reading = "Fails where it is decided"
    else:
        reading = "Open"
    return claim, f"{reading}: {counts}."


def _side_by_side(id: str, caption: str, means: pd.DataFrame) -> Table | None:
    if means.empty:
        return None
    return Table(
        id=id,
        caption=caption,
        header=["Method", *means.columns],
        rows=[
            [name, *(_text(value, "{:.1f}") for value in row)]
            for name, row in zip(means.index, means.to_numpy(), strict=True)
        ],
        download=_download(id, means.rename_axis("method").reset_index()),
    )


def _command(config: ExperimentConfig) -> str:
    """The command that runs the experiment again."""
    defaults = ExperimentConfig(preset=config.preset).to_dict()
    defaults["preset"] = ExperimentConfig().preset
    flags = [
        f"--{name}={','.join(map(_plain, value)) if isinstance(value, list) else value}"
        for name, value in config.to_dict().items()
        if value != defaults[name]
    ]
    return " ".join(["python run_experiments.py", *flags])


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _settings(config: ExperimentConfig) -> list[tuple[str, str]]:
    return [
        (
            name.replace("_", " ").capitalize(),
            ", ".join(map(_plain, value)) or "none"
            if isinstance(value, list)
            else _plain(value),
        )
        for name, value in config.to_dict().items()
    ]


def _table(run: Results, name: str, caption: str, shown: pd.DataFrame) -> Table:
    """A table as text, beside the file that it comes from."""
    path = run.directory.path / "tables" / f"{name}.csv"
    cells = {}
    for column in shown:
        stem, _, end = column.rpartition("_")
        bound = end in ("low", "high") and stem in _COLUMNS
        title, form = _COLUMNS.get(stem if bound else column, (None, None))
        title = title or column.replace("_", " ").capitalize()
        if bound:
            title += ", from" if end == "low" else ", to"
        if column in ("low", "high"):
            title, form = ("From", "{:.1f}") if column == "low" else ("To", "{:.1f}")
        cells[title] = [_text(value, form) for value in shown[column]]
    return Table(
        id=f"{run.id}-{name}-table",
        caption=caption,
        header=list(cells),
        rows=list(zip(*cells.values(), strict=True)),
        download=(path.name, _uri("text/csv", path.read_bytes())),
    )


def _text(value: Any, form: str | None) -> str:
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return "–"
    if form is None:
        form = "{:,d}" if isinstance(value, (int, np.integer)) else "{:.4g}"
    text = form.format(value)
    if not text.strip("-0.%"):  # no minus before a zero
        text = text.lstrip("-")
    return text.replace("%", " %")


def _chart(figure: go.Figure, id: str) -> str:
    """A chart as HTML; the page has plotly.js itself."""
    return to_html(
        figure,
        config={"displayModeBar": False, "responsive": True, "doubleClick": False},
        include_plotlyjs=False,
        auto_play=False,
        full_html=False,
        div_id=id,
    )


def _download(name: str, table: pd.DataFrame) -> tuple[str, str]:
    return f"{name}.csv", _uri("text/csv", table.to_csv(index=False).encode())


def _picture(run: Results, name: str) -> str | None:
    content = run.figure(name)
    return None if content is None else _uri("image/png", content)


def _uri(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
