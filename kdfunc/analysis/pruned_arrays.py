"""Whether pruning breaks a network by its batch-norm statistics.

Pruning that ranks all arrays together may set moving variances to zero, and batch
normalization divides by their square roots; pruning kernels leaves them unchanged.
"""

import importlib.util
import io
import pathlib
import re
import zipfile

import numpy as np
import pandas as pd

from kdfunc.analysis import tables
from kdfunc.analysis.accuracy import deviation, final_accuracies
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.task import Task

#: Pipelines that prune kernels and change nothing else.
_KERNELS = re.compile(r"prune(\d+)(\+float32)?(\+sparse)?")
_NORMALIZATION = re.compile(r"layers/batch_normalization(_\d+)?/vars")
SCOPES = {"all": "all arrays", "kernels": "kernels alone"}


def write(run: RunDirectory, tasks: list[Task]) -> None:
    """Writes `pruned_arrays.csv` of a run whose network has batch normalization.

    To be called once the table `function_preserved` is written.

    Args:
      run: the run directory.
      tasks: those that have records.
    """
    if importlib.util.find_spec("h5py") is None:  # kdfunc without its part `train`
        return
    whole = moving_variances(run.record("base").path / "final.keras")
    found = table(run, tasks, whole) if len(whole) else ()
    if len(found):
        tables.write(run, "pruned_arrays", found)


def moving_variances(path: pathlib.Path) -> np.ndarray:
    """The moving variances of all batch normalizations of a `.keras` file, `[n]`.

    Args:
      path: the file.
    """
    import h5py

    variances = [np.empty(0, np.float32)]

    def visit(name, group):
        if _NORMALIZATION.fullmatch(name) and len(group):
            last = max(group, key=int)  # gamma and beta may be left out
            variances.append(np.asarray(group[last]).ravel())

    with zipfile.ZipFile(path) as archive:
        content = io.BytesIO(archive.read("model.weights.h5"))
    with h5py.File(content) as file:
        file.visititems(visit)
    return np.concatenate(variances)


def table(run: RunDirectory, tasks: list[Task], whole: np.ndarray) -> pd.DataFrame:
    """The pruned models of a run by level and by what was ranked.

    Args:
      run: a run directory with the table `function_preserved`, if it can have one.
      tasks: those that have records.
      whole: the base model's moving variances.

    Returns:
      One row per model: share set to zero, `level`; `scope`; `model`; relative
      `deviation` of accuracy from the base model in %; distance `ratio` (NaN without
      independent models); how many `moving_variances` there are and how many of them
      the pruning set to `zero`.
    """
    final = final_accuracies(run, tasks)
    ratios, preserved = pd.Series(dtype=float), tables.preserved(run)
    if preserved is not None:
        ratios = preserved.set_index("model")["ratio"]
    rows = []
    for task in tasks:
        variances = whole
        if task.family == "pruned":
            level, scope = task.settings["level"], run.config.pruning_scope
            variances = moving_variances(run.record(task.name).path / "model.keras")
        elif match := _KERNELS.fullmatch(task.settings.get("pipeline", "")):
            level, scope = int(match[1]) / 100, "kernels"
        else:
            continue
        rows.append(
            {
                "level": level,
                "scope": SCOPES[scope],
                "model": task.name,
                "deviation": float(deviation(final[task.name], final["base"])),
                "ratio": ratios.get(task.name, np.nan),
                "moving_variances": len(variances),
                "zero": int(np.sum(variances == 0) - np.sum(whole == 0)),
            }
        )
    columns = ["level", "scope", "model", "deviation", "ratio", "moving_variances"]
    found = pd.DataFrame(rows, columns=[*columns, "zero"])
    return found.sort_values(["level", "scope"], kind="stable", ignore_index=True)


def sentence(found: pd.DataFrame) -> str:
    """Whether pruning of all arrays breaks batch normalization.

    Describes the lightest level that sets moving variances to zero, beside pruning of
    kernels alone; empty if the run did not prune all arrays together.

    Args:
      found: from `table`.
    """
    whole = found[found["scope"] == SCOPES["all"]]
    if whole.empty:
        return ""
    broken = whole[whole["zero"] > 0]
    if broken.empty:
        return (
            f"Pruning up to {100 * whole['level'].max():g} % of all arrays sets none "
            f"of the {whole['moving_variances'].max():,} moving variances to zero; "
            "batch normalization divides by their square roots."
        )
    row = broken.iloc[0]
    level = f"{100 * row.level:g}"
    told = (
        f"Pruning {level} % of all arrays changes the accuracy by "
        f"{row.deviation:+.1f} % (relative) and sets {row.zero:,} of "
        f"{row.moving_variances:,} moving variances to zero; batch "
        "normalization divides by their square roots."
    )
    kernels = found[(found["scope"] != row.scope) & (found["level"] == row.level)]
    if kernels.empty:
        return (
            f"{told} The pipeline prune{level}, which this run lacks, would show the "
            "effect of pruning kernels alone."
        )
    return (
        f"{told} Pruning the same share of kernels alone changes the accuracy by "
        f"{kernels.iloc[0].deviation:+.1f} %."
    )
