"""The tables of a run directory: one way to write one, and one to read it."""

import pandas as pd

from kdfunc.runs.directory import RunDirectory
from kdfunc.similarity.groups import MEASURE
from kdfunc.writing import write_atomic


def write(run: RunDirectory, name: str, table: pd.DataFrame) -> None:
    """Writes a table as `tables/NAME.csv`, without its index; whole or not at all.

    Args:
      run: the run directory.
      name: of the table, without a suffix.
      table: the table.
    """
    write_atomic(run.path / "tables" / f"{name}.csv", table.to_csv(index=False))


def read(run: RunDirectory, name: str) -> pd.DataFrame | None:
    """Reads a table that `write` wrote.

    Args:
      run: the run directory.
      name: of the table, without a suffix.

    Returns:
      The table, or None where there is none.

    Raises:
      OSError: it cannot be read.
      ValueError: it is no table.
    """
    path = run.path / "tables" / f"{name}.csv"
    return pd.read_csv(path) if path.exists() else None


def preserved(run: RunDirectory) -> pd.DataFrame | None:
    """The table `function_preserved` in the measure that figures and page show.

    Args:
      run: the run directory.

    Returns:
      One row per model but the base; None where the run has no independent models to
      set the scale.
    """
    table = read(run, "function_preserved")
    return None if table is None else table[table["measure"] == MEASURE]
