"""Which cheap measure ranks compressed models as the function preserved does."""

import numpy as np

from kdfunc.analysis import figures, names, tables
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
    heading = names.heading(says, run.config)
    draw = figures.fidelity.fidelity
    jobs.draw(run.path / "figures" / "fidelity", draw, found, heading)
