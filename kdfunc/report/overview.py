"""All runs of a page in one table: what is preserved for the bytes."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from kdfunc.config import ExperimentConfig
from kdfunc.report.results import Results

#: Of the function: what is enough for most uses.
ENOUGH = 90.0
#: Of the base model's bytes: what 8-bit weights take.
QUARTER = 0.28

#: Columns, and whether a first click sorts from the largest.
COLUMNS = {
    "Run": False,
    "Base accuracy (%)": True,
    "Epochs": True,
    "Claims decided": True,
    "Most preserved in a quarter of the bytes (%)": True,
    "by": False,
    "Smallest file that preserves 90 % (KiB)": False,
    "times smaller": True,
    "by ": False,
}


def found(path: str | os.PathLike[str]) -> list[pathlib.Path]:
    """A run directory itself, or the run directories in a folder of such.

    Args:
      path: as the user gave it.
    """
    path = pathlib.Path(path)
    if (path / "config.json").exists():
        return [path]
    return sorted(child.parent for child in path.glob("*/config.json")) or [path]


def rows(
    runs: Sequence[Results], links: Mapping[str, str]
) -> list[tuple[str, str | None, list[tuple[str, Any]]]]:
    """A row for each run.

    Args:
      runs: the runs.
      links: by the name of a run, where its own page lies.

    Returns:
      For each run its name, its page, and the other cells: the text and what it is
      sorted by, None where there is no value.
    """
    return [(run.name, links.get(run.name), _cells(run)) for run in runs]


def _cells(run: Results) -> list[tuple[str, Any]]:
    accuracy = None if run.base_accuracy is None else 100 * run.base_accuracy
    decided = None
    if run.verdicts is not None:
        decided = int((run.verdicts["outcome"] != "undecided").sum())
    best, smallest = _best(run)
    whole = _base_bytes(run)
    return [
        _number(accuracy, "{:.1f}"),
        _number(run.config.epochs, "{:d}, short" if _is_short(run) else "{:d}"),
        _number(decided, "{:d}"),
        _number(None if best is None else best["preserved"], "{:.1f}"),
        _word(best),
        _number(None if smallest is None else smallest["bytes"] / 1024, "{:,.0f}"),
        _number(
            whole / smallest["bytes"] if smallest is not None and whole else None,
            "{:.1f}",
        ),
        _word(smallest),
    ]


def _is_short(run: Results) -> bool:
    """Whether training was shorter than the paper's."""
    return run.config.epochs < ExperimentConfig(dataset=run.config.dataset).epochs


def _files(run: Results) -> pd.DataFrame | None:
    table = run.table("compression", "model", "family", "bytes", "preserved")
    if table is None:
        return None
    return table[table["family"] != "base"].dropna(subset=["bytes", "preserved"])


def _base_bytes(run: Results) -> float | None:
    table = run.table("compression", "model", "bytes")
    base = [] if table is None else table.loc[table["model"] == "base", "bytes"]
    return float(base.iloc[0]) if len(base) else None


def _best(run: Results) -> tuple[pd.Series | None, pd.Series | None]:
    """What preserves most in a quarter, and the smallest that preserves enough."""
    files, whole = _files(run), _base_bytes(run)
    best = smallest = None
    if files is not None:
        light = files[files["bytes"] <= QUARTER * whole] if whole else files[:0]
        if len(light):
            best = light.loc[light["preserved"].idxmax()]
        enough = files[files["preserved"] >= ENOUGH]
        if len(enough):
            smallest = enough.loc[enough["bytes"].idxmin()]
    return best, smallest


def _number(value: float | None, form: str) -> tuple[str, Any]:
    if value is None or value != value:
        return "–", None
    return form.format(value).replace("-", "\u2212"), float(value)


def _word(row: pd.Series | None) -> tuple[str, Any]:
    return ("–", None) if row is None else (row["name"], row["name"])
