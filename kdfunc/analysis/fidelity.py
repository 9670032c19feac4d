"""Which cheap measure ranks compressed models as the function preserved does."""

import numpy as np
import pandas as pd

from kdfunc.analysis import figures, tables
from kdfunc.analysis.jobs import Jobs
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.task import Task
from kdfunc.similarity.fidelity import FEWEST_MODELS, ranking

#: Families made from a trained model; students are trainings of their own.
FAMILIES = ("quantized", "pruned", "compressed")


def write(
    run: RunDirectory, tasks: list[Task], final: dict[str, np.ndarray], jobs: Jobs
) -> None:
    """Writes `fidelity.csv` and its figure if there are enough models.

    To be called once the table `function_preserved` is written.

    Args:
      run: a run directory.
      tasks: those that have records.
      final: softmax of the last snapshot by the name of the model.
      jobs: draws the figure.
    """
    models = [task.name for task in tasks if task.family in FAMILIES]
    preserved = tables.preserved(run)
    if len(models) < FEWEST_MODELS or preserved is None:
        return
    ratios = preserved.set_index("model")["ratio"]
    found = ranking(final["base"], [final[n] for n in models], ratios[models])
    tables.write(run, "fidelity", found)
    says = "Which cheap measures rank models as the function preserved does"
    jobs.draw(run, "fidelity", says, figures.fidelity.fidelity, found)


def sentence(table: pd.DataFrame) -> str:
    """How well agreement on few images ranks the models.

    Args:
      table: `fidelity.csv`.
    """
    few = table["examples"] == table["examples"].min()
    rows = table[few & (table["measure"] == "agreement")].set_index("group")
    told = [
        f"{what} are {same_order(row.low)} as by the function preserved "
        f"({row.correlation:.2f} [{row.low:.2f}, {row.high:.2f}])"
        for group, what in (
            ("all", f"the {rows['models'].get('all', 0)} models"),
            ("near", "those near the base model"),
            ("far", "those far from it"),
        )
        if group in rows.index
        for row in [rows.loc[group]]
    ]
    images = table["examples"].min()
    return f"Ranked by agreement on {images:,} images, {'; '.join(told)}."


def same_order(low: float) -> str:
    """How alike two rankings are, by the lower end of their rank correlation.

    Args:
      low: That end.
    """
    sure = "in much" if low > 0.9 else "in roughly" if low > 0.5 else "not clearly in"
    return f"{sure} the same order"
