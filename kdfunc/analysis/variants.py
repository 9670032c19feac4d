"""Students with one setting changed, beside those that the paper trains."""

import numpy as np
import pandas as pd

from kdfunc import similarity
from kdfunc.runs.plan import Task, leaning_alpha
from kdfunc.runs.records import RunDirectory
from kdfunc.similarity import Estimate


def table(
    run: RunDirectory,
    tasks: list[Task],
    final: dict[str, np.ndarray],
    preserved: Estimate,
) -> pd.DataFrame:
    """What a variant changes in the function preserved and in accuracy.

    First come the students of the same alpha and the control that starts as they do,
    without a teacher; a variant that changes start or length has its own.

    Args:
      run: a run directory.
      tasks: those whose records are there, without the base model.
      final: softmax `[n_test, classes]` after the last epoch by the task's name.
      preserved: function preserved, in %, `[tasks]`.

    Returns:
      A row a variant and teacher: `variant` ("none" for the students), `teacher`
      ("none" for a control), `label`, `models` (how many); `preserved` in %,
      `accuracy_difference` from the base model in points, both with the ends `_low`
      and `_high` of intervals over test examples and seeds; and mean `accuracy`. Empty
      without variants.
    """
    groups: dict[tuple[str, str], list[int]] = {}
    for place, task in enumerate(tasks):
        if _belongs(run, task):
            variant = task.settings.get("variant", "none")
            teacher = task.settings.get("teacher", "none")
            groups.setdefault((variant, teacher), []).append(place)
    if all(variant == "none" for variant, _ in groups):
        return pd.DataFrame()
    groups = dict(sorted(groups.items(), key=lambda group: group[0][0] != "none"))
    accuracy = similarity.bootstrap_measures(
        ["accuracy_difference"],
        final["base"],
        [final[task.name] for task in tasks],
        run.labels,
    )["accuracy_difference"].derive(lambda difference: 100 * difference)
    means = {
        "preserved": similarity.bootstrap_seeds(preserved, list(groups.values())),
        "accuracy_difference": similarity.bootstrap_seeds(
            accuracy, list(groups.values())
        ),
    }
    base = np.mean(final["base"].argmax(axis=1) == run.labels)
    rows = []
    for row, ((variant, teacher), places) in enumerate(groups.items()):
        numbers = {
            name + end: getattr(mean, attribute)[row]
            for name, mean in means.items()
            for end, attribute in (("", "value"), ("_low", "low"), ("_high", "high"))
        }
        rows.append(
            {
                "variant": variant,
                "teacher": teacher,
                "label": "Students" if variant == "none" else tasks[places[0]].label,
                "models": len(places),
                **numbers,
                "accuracy": base + numbers["accuracy_difference"] / 100,
            }
        )
    return pd.DataFrame(rows)


def _belongs(run: RunDirectory, task: Task) -> bool:
    match task.family:
        case "variant":
            return True
        case "student":
            return task.settings["alpha"] == leaning_alpha(run.config)
        case "control":
            return task.settings["control"] == "same-start"
    return False
