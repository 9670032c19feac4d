"""The paper's printed numbers, and how those of a run differ.

Source: `published.csv`, Tables 3 to 5 of *Neural Network Compression: The Functional
Perspective* (Mason-Williams, 2024) as printed; accuracies of the base models from its
Sections 4.1 to 4.3. And `notebooks.csv`, the accuracies that the author's notebooks
print (https://github.com/IFMW01/L46_ifm24, commit 801d579), which some cells of the
tables contradict.
"""

from importlib import resources

import numpy as np
import pandas as pd

from kdfunc.similarity.claims.compression import ALIKE_ACCURACY

SEEDS = 3  # of the paper's students
_NETWORK = ["dataset", "architecture"]

#: What `beside` marks, for readers of the table, after the mark and "marks".
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
      in %, and its `std` over three seeds (NaN for a single model); and by the author's
      notebooks `notebook_base`, `notebook` and `notebook_std`, the same three (NaN
      where they print none or not all students). `notebook_base` is the model that is
      pruned; for students, see `from_notebooks`.
    """
    each = notebooks()
    cells = _read("published.csv").join(_bases(each, "base"), on=_NETWORK)
    cells = cells.merge(from_notebooks(each), how="left")
    if dataset is not None:
        cells = cells[cells["dataset"] == dataset]
    if architecture is not None:
        cells = cells[cells["architecture"] == architecture]
    return cells.reset_index(drop=True)


def notebooks() -> pd.DataFrame:
    """The accuracies that the author's notebooks print.

    Returns:
      One row per model: `dataset`, `architecture`, `method` and `setting` as in `load`,
      or "Base model" and "base", "independent 1", "independent 2" or, for ResNet-50
      on CIFAR-100, of which there are two, "other base"; the `seed` of a student, as
      far as the notebook has one; `accuracy` in %; and the `notebook`.
    """
    return _read("notebooks.csv")


def from_notebooks(each: pd.DataFrame) -> pd.DataFrame:
    """Relative deviations of accuracy from the base model's, by the notebooks.

    Those of students are from the other base model's where there are two: no notebook
    says whose they are, but the table is closer to it.

    Args:
      each: as `notebooks` returns it.

    Returns:
      One row per data set, architecture, method and setting: `notebook`, the deviation
      in %, of students the mean; and `notebook_std`, the population standard deviation
      over the seeds. Students of which fewer than three are printed are left out.
    """
    rest = each[each["method"] != "Base model"]
    base, other = (
        rest.join(_bases(each, setting), on=_NETWORK)["notebook_base"]
        for setting in ("base", "other base")
    )
    taught = rest["method"] == "Self-distillation"
    over = base.mask(taught & other.notna(), other)
    rest = rest.assign(notebook=100 * (rest["accuracy"] / over - 1))
    groups = rest.groupby([*_NETWORK, "method", "setting"], sort=False)
    found = groups["notebook"].agg(
        ["mean", lambda x: x.std(ddof=0) if len(x) > 1 else np.nan, "size"]
    )
    found.columns = ["notebook", "notebook_std", "size"]
    found = found.reset_index()
    students = found["method"] == "Self-distillation"
    return found[~students | (found["size"] == SEEDS)].drop(columns="size")


def _bases(each: pd.DataFrame, setting: str) -> pd.Series:
    """Accuracy of one of the base models of each data set and architecture, in %."""
    bases = each[each["setting"] == setting].set_index(_NETWORK)["accuracy"]
    return bases.rename("notebook_base")


def _read(name: str) -> pd.DataFrame:
    with resources.files(__package__).joinpath(name).open(encoding="utf-8") as file:
        return pd.read_csv(file)


def beside(
    deviations: pd.DataFrame, dataset: str, architecture: str
) -> pd.DataFrame | None:
    """A run's deviations of accuracy beside the paper's.

    Args:
      deviations: as `accuracy.accuracy_deviations` returns them.
      dataset: of the run.
      architecture: of the run.

    Returns:
      `deviations` with the columns `published`, `published_std`, and `notebook` and
      `notebook_std` as in `load`; `difference` from the paper in points, and whether
      the cell is `marked` (see `RULE`); NaN and False if the paper has no such setting.
      None if it has no such table.
    """
    cells = load(dataset, architecture)
    if cells.empty:
        return None
    columns = ["method", "setting", "deviation", "std", "notebook", "notebook_std"]
    printed = cells[columns].rename(
        columns={"deviation": "published", "std": "published_std"}
    )
    table = deviations.merge(printed, how="left", on=["method", "setting"])
    spread = (table["std"] + table["published_std"]).fillna(ALIKE_ACCURACY)
    difference = table["deviation"] - table["published"]
    return table.assign(difference=difference, marked=np.abs(difference) > spread)
