"""The spread of the paper's columns over several base models."""

import numpy as np
import pandas as pd
from scipy import stats

from kdfunc.analysis import accuracy, figures, published, tables
from kdfunc.analysis import names as naming
from kdfunc.analysis.jobs import Jobs
from kdfunc.config import ExperimentConfig
from kdfunc.runs import trainings
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.task import Task
from kdfunc.similarity.evaluate import measure, pairwise
from kdfunc.similarity.groups import MEASURE
from kdfunc.similarity.scale import score

#: Method and setting in the rows of the base models themselves.
BASE = ("Base model", "accuracy")
#: Share of further base models that the prediction interval should contain.
CONFIDENCE = 0.95
#: Fewest base models for it: of two or three, it is wider than anything possible.
FEWEST = 4
#: What two decimals, which the paper prints, leave open.
ROUNDING = 0.005


def write(run: RunDirectory, tasks: list[Task], jobs: Jobs) -> None:
    """Writes `base_models.csv`, `spread.csv` and the figure of a run's base models.

    Args:
      run: a run directory.
      tasks: those that have records, replicates among them.
      jobs: draws the figure.
    """
    each = base_models(run, tasks)
    if each["base_model"].nunique() < 2:
        return
    table = spread(each, run.config)
    for name, written in (("base_models", each), ("spread", table)):
        tables.write(run, name, written)
    says = "The spread over base models"
    jobs.draw(run, "spread", says, figures.spread.spread, each, table)


def base_models(run: RunDirectory, tasks: list[Task]) -> pd.DataFrame:
    """The post hoc columns of the paper's Tables 3 to 5 for each base model.

    Args:
      run: the run directory.
      tasks: those that have records, replicates among them.

    Returns:
      One row per base model and setting: `base_model`, its task, the run's own first;
      `method` and `setting` as `accuracy.accuracy_deviations` has them, or `BASE`;
      `accuracy` in [0, 1]; the table's `value` in %: the accuracy of a base model, of
      others the relative deviation from the accuracy of their own base model; and of
      others the function `preserved` in %, measured from their own base model with all
      the other base models as the yardstick (NaN without any).
    """
    final = accuracy.final_accuracies(run, tasks)
    bases = [name for name in trainings.base_models(run.config) if name in final]
    rows = [(name, *BASE, final[name], 100 * final[name], np.nan) for name in bases]
    softmax = {name: run.record(name).softmax[-1] for name in bases}
    apart = pairwise([*softmax.values()], names=[MEASURE])[MEASURE]
    with np.errstate(invalid="ignore"):
        units = dict(zip(bases, apart.sum(axis=1) / (len(bases) - 1), strict=True))
    for task in tasks:
        base = task.settings.get("base")
        if task.family in ("quantized", "pruned") and base in final:
            value = accuracy.deviation(final[task.name], final[base])
            what = accuracy.METHODS[task.family], naming.setting(task)
            model = run.record(task.name).softmax[-1]
            distance = measure(MEASURE, softmax[base], model)
            kept = score(distance / units[base])
            rows.append((base, *what, final[task.name], float(value), kept))
    columns = ["base_model", "method", "setting", "accuracy", "value", "preserved"]
    return pd.DataFrame(rows, columns=columns)


def spread(each: pd.DataFrame, config: ExperimentConfig) -> pd.DataFrame:
    """Mean and range over base models, and where the paper's number lies.

    Args:
      each: as `base_models` returns it.
      config: of the run.

    Returns:
      One row per setting: `method`; `setting`; how many `base_models`; the value of the
      run's `own` base model; their `mean`, `least` and `most`; the ends of the interval
      in which one more base model is expected (95 %, Student's t; NaN for fewer than
      `FEWEST` or if all give the same), `predicted_low` and `predicted_high`; the
      number that the paper `published` and by how much it lies `outside` the range (NaN
      if there is none); `where` it lies, in words; the number in its `notebook` and
      where that lies, `notebook_where`; and mean and ends of the range of the function
      `preserved`, with `_low` and `_high`.
    """
    cells = published.load(config.dataset, config.architecture)
    cells = cells.set_index(["method", "setting"])
    printed, notebook = (cells[name].to_dict() for name in ("deviation", "notebook"))
    if len(cells):
        printed[BASE] = cells["base_accuracy"].iloc[0]
        notebook[BASE] = cells["notebook_base"].iloc[0]
    rows = []
    for what, group in each.groupby(["method", "setting"], sort=False):
        values = group["value"].to_numpy()
        theirs, in_notebook = (found.get(what, np.nan) for found in (printed, notebook))
        own = values[(group["base_model"] == "base").to_numpy()]
        low, high = prediction_interval(values)
        rows.append(
            dict(zip(["method", "setting"], what, strict=True))
            | {
                "base_models": len(values),
                "own": own[0] if len(own) else np.nan,
                "mean": values.mean(),
                "least": values.min(),
                "most": values.max(),
                "predicted_low": low,
                "predicted_high": high,
                "published": theirs,
                "outside": _outside(values, theirs),
                "where": _where(values, theirs),
                "notebook": in_notebook,
                "notebook_where": _where(values, in_notebook),
                "preserved": group["preserved"].mean(),
                "preserved_low": group["preserved"].min(),
                "preserved_high": group["preserved"].max(),
            }
        )
    return pd.DataFrame(rows)


def prediction_interval(values: np.ndarray) -> tuple[float, float]:
    """Where one more draw of the same normal distribution lies, with `CONFIDENCE`.

    Args:
      values: draws `[n]`.

    Returns:
      The two ends; NaN for fewer than `FEWEST` draws, or if all are the same: such as
      five accuracies that do not change by a single image, which no normal distribution
      has.
    """
    count = len(values)
    if count < FEWEST or np.ptp(values) == 0:
        return np.nan, np.nan
    width = stats.t.ppf((1 + CONFIDENCE) / 2, count - 1) * np.sqrt(1 + 1 / count)
    width *= values.std(ddof=1)
    return values.mean() - width, values.mean() + width


def _outside(values: np.ndarray, theirs: float) -> float:
    """By how much a number lies outside the range of some; NaN if there is none."""
    found = float(np.max([values.min() - theirs, theirs - values.max(), 0.0]))
    return 0.0 if found < ROUNDING else found


def _where(values: np.ndarray, theirs: float) -> str:
    if np.isnan(theirs):
        return ""
    outside, count = _outside(values, theirs), len(values)
    if not outside:
        return f"inside the range of {count}"
    beyond = f"outside by {outside:.2g} points"
    if count < FEWEST:
        return beyond
    low, high = prediction_interval(values)
    if np.isnan(low):
        return f"{beyond}; all {count} are the same"
    within = "inside" if low <= theirs <= high else "outside"
    return f"{beyond}, {within} the prediction interval"
