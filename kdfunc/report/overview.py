"""All runs of a page in one table: function preserved and file sizes."""

import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from kdfunc.analysis.setups import EPOCHS
from kdfunc.report.results import Results

#: Function preserved (%) that is enough for most uses.
ENOUGH = 90.0
#: Share of the base model's bytes that 8-bit weights take.
QUARTER = 0.28

#: Columns, and whether the first click sorts from the largest.
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
    """The run directory at a path, or the run directories in the folder there.

    Args:
      path: as the user gave it.
    """
    path = pathlib.Path(path)
    if (path / "config.json").exists():
        return [path]
    return sorted(child.parent for child in path.glob("[!.]*/config.json")) or [path]


def rows(
    runs: Sequence[Results], links: Mapping[pathlib.Path, str]
) -> list[tuple[str, str | None, list[tuple[str, Any]]]]:
    """One row per run.

    Args:
      runs: the runs.
      links: where the own page of a run is, by the run's directory.

    Returns:
      For each run its name, its page, and the other cells: each with its text and the
      value to sort by, None if there is none.
    """
    return [(run.name, links.get(run.directory.path), _cells(run)) for run in runs]


def _cells(run: Results) -> list[tuple[str, Any]]:
    accuracy = None if run.base_accuracy is None else 100 * run.base_accuracy
    decided = None
    if run.verdicts is not None:
        decided = int((run.verdicts["outcome"] != "undecided").sum())
    short = run.config.epochs < EPOCHS
    best, smallest = _best(run)
    whole = _base_bytes(run)
    return [
        _number(accuracy, "{:.1f}"),
        _number(run.config.epochs, "{:d}, short" if short else "{:d}"),
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
    """The best file in a quarter of the bytes, and the smallest good enough one."""
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
