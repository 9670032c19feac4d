"""Tables of the report page as text, each with its numbers to download."""

import base64
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from kdfunc import presets
from kdfunc.analysis import accuracy as accuracy_tables
from kdfunc.analysis import published
from kdfunc.report.results import Results
from kdfunc.similarity import TAILS
from kdfunc.similarity.scale import score
from kdfunc.writing import as_csv

#: Headings and formats of the columns that are shown.
_COLUMNS = {
    "name": ("Models", None),
    "setting": ("Setting", None),
    "mds_x": ("MDS x", None),
    "mds_y": ("MDS y", None),
    "predicted": ("One more is expected at", None),
    "accuracy": ("Accuracy", "{:.2%}"),
    "log_loss": ("Log-loss", "{:.4f}"),
    "disagreement": ("Other predicted class", "{:.2%}"),
    "models": ("Trainings", None),
    **{tail: (f"{tail[1:]} % (bits)", "{:.3f}") for tail in TAILS},
    "confident_flips": ("Confident flips", "{:.2%}"),
    "changed_in_most": ("Differ in most trainings", "{:.2%}"),
    "changed_in_all": ("Differ in all", "{:.2%}"),
    "negative_flips": ("Right before, wrong now", "{:.2%}"),
    "positive_flips": ("Wrong before, right now", "{:.2%}"),
    "own": ("This run's base model", "{:.2f}"),
    "mean": ("Mean of the base models", "{:.2f}"),
    "published": ("The paper's", "{:.2f}"),
    "where": ("Where the paper's number lies", None),
    "notebook": ("Its notebook's number", "{:.2f}"),
    "notebook_where": ("Where its notebook's number lies", None),
    "deviation": ("Deviation of accuracy (%)", "{:.2f}"),
    "zero": ("Of these set to zero", "{:,.0f}"),
    "ratio": ("Distance ratio", "{:.3g}"),
    "preserved": ("Function preserved (%)", "{:.1f}"),
    "rests_on": ("Rests on", None),
    "distance": ("Distance (bits)", "{:.4f}"),
    "step": ("Adds (points)", "{:+.1f}"),
    "change": ("More than unchanged students (points)", "{:+.1f}"),
    "taught": ("More than without a teacher (points)", "{:+.1f}"),
    "outcome": ("So they preserve", None),
    "bytes": ("Bytes", "{:,.0f}"),
    "gzip_bytes": ("Bytes, gzipped", "{:,.0f}"),
    "weights": ("Weights stored as", None),
    "sparsity": ("Weights that are zero", "{:.1%}"),
    "times_smaller": ("Times smaller than the base", "{:.1f}"),
    "times_faster": ("Times as fast as in float32", "{:.3g}"),
    "median_ms": ("Median (ms)", "{:.3f}"),
    "p90_ms": ("90th percentile (ms)", "{:.3f}"),
    "p99_ms": ("99th percentile (ms)", "{:.3f}"),
    "base_accuracy": ("Accuracy of the base model", "{:.1%}"),
    "correlation": ("Rank correlation", "{:.2f}"),
    "less": ("Preserve less", None),
    "undecided": ("Undecided", None),
    "accuracy_difference": ("Accuracy minus the base model's (points)", "{:+.1f}"),
}


#: Settings that give the same heading another meaning: for which family of models, and
#: what each value means.
_MEANINGS = {
    "alpha_convention": (
        "student",
        "Alpha is",
        {
            "labels": "the weight of the labels (0.1 leans on the teacher)",
            "teacher": "the weight of the teacher (0.9 leans on it)",
        },
    ),
    "soft_targets": (
        "student",
        "Students learn from the teacher's softened",
        {"probabilities": "probabilities", "logits": "logits"},
    ),
    "pruning_scope": (
        "pruned",
        "Pruning takes the smallest numbers of",
        {"all": "all arrays", "kernels": "kernels alone"},
    ),
}

#: Columns that name the rows.
_NAMES = ("name", "setting", "students")


@dataclasses.dataclass(frozen=True)
class Table:
    """A table as text, the first cell of a row being its heading.

    Attributes:
      id: of the element.
      caption: what it shows.
      header: of the columns.
      rows: cells as text.
      download: name of a CSV file with the unrounded numbers, and where it is: a
        `data:` URI or an anchor on the page.
    """

    id: str
    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    download: tuple[str, str]


def accuracy(runs: Sequence[Results], id: str) -> dict[str, Any]:
    """Deviations of accuracy in the paper's layout: one row per run, and the paper's.

    The runs of a data set and architecture follow the paper's row for it.

    Args:
      runs: each with a table `accuracy`.
      id: begins the id of the element.

    Returns:
      methods with their numbers of columns, settings, rows of cells and whether each
      cell is marked, whether the paper has such numbers, `meanings`, id and download.
    """
    settings = list(
        dict.fromkeys(
            pair
            for run in runs
            for pair in zip(
                run.accuracy["method"], run.accuracy["setting"], strict=True
            )
        )
    )
    order = list(accuracy_tables.METHODS.values())
    settings.sort(key=lambda p: order.index(p[0]) if p[0] in order else len(order))
    rows, numbers = [], []
    told = None
    for run in sorted(runs, key=lambda r: (r.config.dataset, r.config.architecture)):
        cells = run.accuracy.set_index(["method", "setting"])
        if "published" in cells and told != run.title:
            told = run.title
            printed = published.load(run.config.dataset, run.config.architecture)
            paper = printed.set_index(["method", "setting"])[["deviation", "std"]]
            paper = paper.reindex(settings)
            rows.append(
                (
                    f"The paper, {run.title}",
                    [(_spread(*cell), False) for cell in paper.itertuples(index=False)],
                )
            )
        marked = cells.get("marked", False)
        own = cells[["deviation", "std"]].assign(marked=marked).reindex(settings)
        name = f"Here, {run.config.rules}" if len(runs) == 1 else run.name
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
    compared = any("published" in run.accuracy for run in runs)
    return {
        "methods": [
            (method, sum(other == method for other, _ in settings))
            for method in dict.fromkeys(method for method, _ in settings)
        ],
        "settings": [setting for _, setting in settings],
        "rows": rows,
        "compared": compared,
        "meanings": meanings(runs, compared),
        "id": f"{id}-accuracy-table",
        "download": download("accuracy", pd.concat(numbers)),
    }


def meanings(runs: Sequence[Results], paper: bool = False) -> list[str]:
    """What differs between runs although the heading is the same, in sentences.

    Args:
      runs: one or more.
      paper: whether the paper's numbers, made by its notebooks, stand beside them.
    """
    told = []
    for setting, (family, says, values) in _MEANINGS.items():
        has: dict[str, list[str]] = {value: [] for value in values}
        if paper:
            has[presets.RULES["published"][setting]].append("the paper")
        by_preset: dict[str, list[Results]] = {}
        for run in runs:
            if any(model.family == family for model in run.models):
                by_preset.setdefault(run.config.preset, []).append(run)
        for preset, alike in by_preset.items():
            followed = {getattr(run.config, setting) for run in alike}
            if len(alike) > 1 and len(followed) == 1:
                has[followed.pop()].append(f"the {len(alike)} {preset} runs")
            else:
                for run in alike:
                    name = "this run" if len(runs) == 1 else run.name
                    has[getattr(run.config, setting)].append(name)
        if all(has.values()):
            parts = (f"{values[v]} in {', '.join(n)}" for v, n in has.items())
            told.append(f"{says} {'; '.join(parts)}.")
    return told


def of_run(run: Results, name: str, caption: str, shown: pd.DataFrame) -> Table:
    """A table as text, with a link to its file.

    The column that names the rows comes first. The ends of intervals, from columns
    `_low` and `_high` (for `preserved`: `low` and `high`), follow a value in brackets.

    Args:
      run: the run.
      name: of the file's table.
      caption: what it shows.
      shown: the rows and columns to show.
    """
    path = run.directory.path / "tables" / f"{name}.csv"
    shown = shown.rename(columns={"low": "preserved_low", "high": "preserved_high"})
    cells = {}
    for column in sorted(shown, key=lambda column: column not in _NAMES):
        if column.endswith(("_low", "_high")):
            continue
        title, form = _COLUMNS.get(column, (None, None))
        texts = [_text(value, form) for value in shown[column]]
        if f"{column}_low" in shown:
            lows, highs = shown[f"{column}_low"], shown[f"{column}_high"]
            texts = [
                f"{text} [{_text(low, form)}, {_text(high, form)}]"
                if low == low
                else text
                for text, low, high in zip(texts, lows, highs, strict=True)
            ]
        words = column.replace("_", " ")
        cells[title or words[:1].upper() + words[1:]] = texts
    return Table(
        id=f"{run.id}-{name}-table",
        caption=caption,
        header=list(cells),
        rows=list(zip(*cells.values(), strict=True)),
        # The page has it once, among all tables.
        download=(path.name, f"#{run.id}-file-{path.name}"),
    )


def preserved_by_run(id: str, caption: str, ratios: pd.DataFrame) -> Table | None:
    """Function preserved, one row per method and one column per run; None if empty.

    Args:
      id: of the element, and the name of the file to download.
      caption: what it shows.
      ratios: mean distance ratios; the index names the methods, the columns the runs.
    """
    if ratios.empty:
        return None
    return Table(
        id=id,
        caption=caption,
        header=["Method", *ratios.columns],
        rows=[
            [name, *(_text(r, f"{score(r):.1f} ({{:.3g}})") for r in row)]
            for name, row in zip(ratios.index, ratios.to_numpy(), strict=True)
        ],
        download=download(id, ratios.rename_axis("method").reset_index()),
    )


def _spread(value: float, std: float) -> str:
    if np.isnan(value):
        return "–"
    return f"{value:.2f}" + ("" if np.isnan(std) else f" (±{std:.2f})")


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


def download(name: str, table: pd.DataFrame) -> tuple[str, str]:
    """A file name, and a table as a `data:` URI of that file.

    Args:
      name: of the file, without a suffix.
      table: its content.
    """
    return f"{name}.csv", uri("text/csv", as_csv(table).encode())


def uri(kind: str, content: bytes) -> str:
    """Content as a `data:` URI, so that the page needs no other file.

    Args:
      kind: the media type, such as `text/csv`.
      content: of the file.
    """
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
