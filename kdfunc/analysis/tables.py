"""The tables of a run directory: writing and reading."""

import pandas as pd

from kdfunc.runs.directory import RunDirectory
from kdfunc.similarity.groups import MEASURE
from kdfunc.writing import as_csv, write_atomic


def write(run: RunDirectory, name: str, table: pd.DataFrame) -> None:
    """Writes a table as `tables/NAME.csv`, atomically and without its index.

    Args:
      run: the run directory.
      name: of the table, without a suffix.
      table: the table.
    """
    write_atomic(run.path / "tables" / f"{name}.csv", as_csv(table))


def read(run: RunDirectory, name: str) -> pd.DataFrame | None:
    """Reads a table that `write` wrote.

    Args:
      run: the run directory.
      name: of the table, without a suffix.

    Returns:
      The table, or None if there is none.

    Raises:
      OSError: it cannot be read.
      ValueError: it is not a table.
    """
    path = run.path / "tables" / f"{name}.csv"
    return pd.read_csv(path) if path.exists() else None


def preserved(run: RunDirectory) -> pd.DataFrame | None:
    """The rows of `function_preserved` for the measure that figures and page show.

    Args:
      run: the run directory.

    Returns:
      One row per model except the base model; None without independent models, which
      set the scale.
    """
    table = read(run, "function_preserved")
    return None if table is None else table[table["measure"] == MEASURE]
