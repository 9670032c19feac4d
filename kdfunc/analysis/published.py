"""The paper's printed numbers, and how those of a run differ.

Source: `published.csv`, Tables 3 to 5 of *Neural Network Compression: The Functional
Perspective* (Mason-Williams, 2024) as printed; accuracies of the base models from its
Sections 4.1 to 4.3.
"""

from importlib import resources

import numpy as np
import pandas as pd

from kdfunc.similarity.claims.compression import ALIKE_ACCURACY

#: What `compare` marks, for readers of the table, after the mark and "marks".
RULE = (
    "a number that differs from the paper's by more than the sum of the two spreads "
    "(±) or, for a single model, which has no spread, by more than "
    f"{ALIKE_ACCURACY:g} point."
)


def load(dataset: str | None = None, architecture: str | None = None) -> pd.DataFrame:
    """The paper's Tables 3 to 5, or their cells for a data set and architecture.

    Args:
      dataset: its name in the config; None for all.
      architecture: its name in the config; None for all.

    Returns:
      One row per cell: number of the `table`; `dataset` and `architecture` as in
      `ExperimentConfig`; `base_accuracy` of the base model in %; `method` and `setting`
      as in `accuracy.accuracy_deviations`; `deviation` of accuracy from the base model
      in %, and its `std` over three seeds (NaN for a single model).
    """
    with (
        resources.files(__package__)
        .joinpath("published.csv")
        .open(encoding="utf-8") as file
    ):
        cells = pd.read_csv(file)
    if dataset is not None:
        cells = cells[cells["dataset"] == dataset]
    if architecture is not None:
        cells = cells[cells["architecture"] == architecture]
    return cells.reset_index(drop=True)


def compare(
    deviations: pd.DataFrame, dataset: str, architecture: str
) -> pd.DataFrame | None:
    """A run's deviations of accuracy beside the paper's.

    Args:
      deviations: as `accuracy.accuracy_deviations` returns them.
      dataset: of the run.
      architecture: of the run.

    Returns:
      `deviations` with the columns `published`, `published_std`, `difference` from the
      paper in points, and whether the cell is `marked` (see `RULE`); NaN and False
      if the paper has no such setting. None if it has no such table.
    """
    cells = load(dataset, architecture)
    if cells.empty:
        return None
    printed = cells[["method", "setting", "deviation", "std"]].rename(
        columns={"deviation": "published", "std": "published_std"}
    )
    table = deviations.merge(printed, how="left", on=["method", "setting"])
    spread = (table["std"] + table["published_std"]).fillna(ALIKE_ACCURACY)
    difference = table["deviation"] - table["published"]
    return table.assign(difference=difference, marked=np.abs(difference) > spread)
