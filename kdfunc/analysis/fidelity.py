"""Which cheap measure ranks compressed models as the function preserved does."""

import numpy as np
import pandas as pd

from kdfunc.analysis import accuracy, figures
from kdfunc.analysis.jobs import Jobs
from kdfunc.runs.plan import Task
from kdfunc.runs.records import RunDirectory
from kdfunc.similarity.fidelity import FEWEST_MODELS, ranking
from kdfunc.similarity.groups import MEASURE
from kdfunc.writing import write_atomic

#: What is made of a trained model; students are trainings of their own.
FAMILIES = ("quantized", "pruned", "compressed")


def write(
    run: RunDirectory, tasks: list[Task], final: dict[str, np.ndarray], jobs: Jobs
) -> None:
    """Writes `fidelity.csv` and its figure, where there are enough models.

    To be called once the table `function_preserved` is written.

    Args:
      run: a run directory.
      tasks: those whose records are there.
      final: softmax of the last snapshot by the name of the model.
      jobs: draws the figure.
    """
    path = run.path / "tables" / "function_preserved.csv"
    names = [task.name for task in tasks if task.family in FAMILIES]
    if len(names) < FEWEST_MODELS or not path.exists():
        return
    table = pd.read_csv(path)
    ratios = table[table["measure"] == MEASURE].set_index("model")["ratio"]
    found = ranking(final["base"], [final[n] for n in names], ratios[names])
    write_atomic(run.path / "tables" / "fidelity.csv", found.to_csv(index=False))
    title = f"{accuracy.title(run.config)}, {run.config.rules}"
    title = f"Which cheap measure ranks models as their function does\n{title}"
    draw = figures.fidelity.fidelity
    jobs.draw(run.path / "figures" / "fidelity", draw, found, title)
