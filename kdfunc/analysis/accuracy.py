"""The paper's tables from records."""

import dataclasses
import re

import numpy as np
import pandas as pd

from kdfunc.analysis import tables
from kdfunc.analysis.names import DATASET_NAMES, setting
from kdfunc.catalog import FAMILIES
from kdfunc.config import ARCHITECTURE_NAMES
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.task import Task
from kdfunc.similarity.learnt import learnt
from kdfunc.writing import write_atomic

METHODS = {name: row.method for name, row in FAMILIES.items() if row.method}


def write(run: RunDirectory, done: list[Task]) -> str:
    """Writes the accuracies of a run's models in the paper's layout.

    Args:
      run: a run directory.
      done: the tasks that have records; replicates go into `metrics.csv` alone.

    Returns:
      The same numbers for the terminal.
    """
    config, folder = run.config, run.path / "tables"
    tasks = [task for task in done if not task.replicate]
    deviations = accuracy_deviations(run, tasks)
    layout = paper_layout(deviations, config.architecture)
    caption = (
        "Relative deviation of accuracy from the base model, in %, on "
        f"{DATASET_NAMES.get(config.dataset, config.dataset)} "
        f"(preset {config.rules})"
    )
    tables.write(run, "accuracy", deviations)
    write_atomic(folder / "accuracy.md", markdown(layout))
    write_atomic(folder / "accuracy.tex", latex(layout, caption))
    if not run.kept:  # else they come from this very table
        metrics = pd.concat(
            {task.name: run.record(task.name).metrics for task in done}, names=["model"]
        )
        tables.write(run, "metrics", metrics.reset_index("model"))
    base = learnt(run.record("base").softmax[-1], run.labels)
    told = pd.DataFrame([dataclasses.asdict(base) | {"warning": base.warning}])
    tables.write(run, "base", told)
    return terminal(deviations, base.accuracy)


def deviation(accuracy: np.ndarray | float, base: float) -> np.ndarray | float:
    """Relative deviation of accuracy from the base model's, in percent.

    Args:
      accuracy: of one or several models, in [0, 1].
      base: of the base model, in (0, 1].
    """
    return 100 * (np.asarray(accuracy) - base) / base


def final_accuracies(run: RunDirectory, tasks: list[Task]) -> dict[str, float]:
    """The accuracy of each model after its last epoch, by name.

    Args:
      run: a run directory.
      tasks: those that have records.
    """
    return {t.name: run.record(t.name).metrics["accuracy"].iloc[-1] for t in tasks}


def accuracy_deviations(run: RunDirectory, tasks: list[Task]) -> pd.DataFrame:
    """The numbers of the paper's Tables 3 to 5.

    Args:
      run: a run directory.
      tasks: those that have records, the base model among them.

    Returns:
      One row per method and setting, with columns `method`, `setting`, `models` (how
      many), `accuracy` (their mean), `deviation` (mean relative deviation from the base
      model in %) and `std` (population standard deviation of it, ddof 0; NaN for one
      model).
    """
    final = final_accuracies(run, tasks)
    groups: dict[tuple[str, str], list[float]] = {}
    for task in tasks:
        if task.family in METHODS:
            key = (METHODS[task.family], setting(task))
            groups.setdefault(key, []).append(final[task.name])
    rows = []
    for (method, name), accuracies in groups.items():
        deviations = deviation(accuracies, final["base"])
        rows.append(
            {
                "method": method,
                "setting": name,
                "models": len(accuracies),
                "accuracy": np.mean(accuracies),
                "deviation": deviations.mean(),
                "std": deviations.std() if len(accuracies) > 1 else np.nan,
            }
        )
    columns = ["method", "setting", "models", "accuracy", "deviation", "std"]
    return pd.DataFrame(rows, columns=columns)


def paper_layout(deviations: pd.DataFrame, architecture: str) -> pd.DataFrame:
    """One row for the architecture, one column per method and setting, as in the paper.

    Args:
      deviations: from `accuracy_deviations`.
      architecture: its name in the config.
    """
    cells = [
        f"{row.deviation:.2f}" + ("" if np.isnan(row.std) else f" (±{row.std:.2f})")
        for row in deviations.itertuples()
    ]
    columns = pd.MultiIndex.from_arrays([deviations["method"], deviations["setting"]])
    columns.names = [None, None]
    name = ARCHITECTURE_NAMES.get(architecture, architecture)
    index = pd.Index([name], name="Architecture")
    return pd.DataFrame([cells], columns=columns, index=index)


def markdown(table: pd.DataFrame) -> str:
    """A table of `paper_layout` in Markdown, its two heading rows joined.

    Args:
      table: from `paper_layout`.
    """
    flat = table.set_axis([" ".join(column) for column in table.columns], axis=1)
    return flat.to_markdown(disable_numparse=True) + "\n"


def latex(table: pd.DataFrame, caption: str) -> str:
    """A table of `paper_layout` in LaTeX (packages booktabs and multirow).

    Args:
      table: from `paper_layout`.
      caption: plain text.
    """
    text = table.to_latex(
        multicolumn_format="c",
        column_format="l" + "r" * table.shape[1],
        caption=re.sub(r"[&%$#_{}]", r"\\\g<0>", caption),
        escape=True,
    )
    return text.replace("±", r"$\pm$").replace("alpha ", r"$\alpha$ ")


def terminal(deviations: pd.DataFrame, base_accuracy: float) -> str:
    """The same numbers for the terminal, within 80 columns.

    Args:
      deviations: from `accuracy_deviations`.
      base_accuracy: in [0, 1].
    """
    several = deviations["std"].notna().any()
    spread = " (± standard deviation over seeds)" if several else ""
    lines = [
        f"Base model: accuracy {100 * base_accuracy:.2f} %.",
        f"Relative deviation from it, in %{spread}:",
        "",
    ]
    method = None
    for row in deviations.itertuples():
        first, method = row.method if row.method != method else "", row.method
        spread = "" if np.isnan(row.std) else f" (±{row.std:.2f})"
        lines.append(f"  {first:<18} {row.setting:<10} {row.deviation:8.2f}{spread}")
    return "\n".join(lines)
