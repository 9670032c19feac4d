"""Students with one setting changed, compared with those of the paper."""

import numpy as np
import pandas as pd

from kdfunc import similarity
from kdfunc.catalog import NO_TEACHER
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.task import Task
from kdfunc.runs.trainings import leaning_alpha
from kdfunc.similarity.groups import MEASURE
from kdfunc.similarity.intervals import mean_of


def table(
    run: RunDirectory,
    tasks: list[Task],
    final: dict[str, np.ndarray],
) -> pd.DataFrame:
    """How each variant changes the function preserved and the accuracy.

    The first rows are the unchanged students of the same alpha and their control
    without a teacher; a variant that changes the start or the length has its own.

    Args:
      run: a run directory.
      tasks: those that have records, without the base model.
      final: softmax `[n_test, classes]` after the last epoch by the task's name.

    Returns:
      One row per variant and teacher: `variant` ("none" for the students), `teacher`
      ("none" for a control), `label`, `models` (how many); distance `ratio`,
      `preserved` in %, `accuracy_difference` from the base model in points, each with
      the ends `_low` and `_high` of its interval; mean `accuracy`; and the trainings
      that the intervals of `ratio` and `preserved` `rests_on`. Empty without variants.
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
    models = [
        [final[tasks[place].name] for place in group] for group in groups.values()
    ]
    independents = [final[task.name] for task in tasks if task.family == "independent"]
    kept = similarity.function_preserved(
        final["base"], models, independents, names=[MEASURE]
    )[MEASURE]
    accuracy = similarity.bootstrap_measures(
        final["base"],
        [final[task.name] for task in tasks],
        run.labels,
        names=["accuracy_difference"],
    )["accuracy_difference"]
    base = np.mean(final["base"].argmax(axis=1) == run.labels)
    rows = []
    for ((variant, teacher), places), group in zip(
        groups.items(), kept.groups, strict=True
    ):
        difference = mean_of(
            100 * accuracy.value[places], 100 * accuracy.replicates[:, places]
        )
        rows.append(
            {
                "variant": variant,
                "teacher": teacher,
                "label": "Students" if variant == "none" else tasks[places[0]].label,
                "models": len(places),
                "ratio": group.ratio,
                "ratio_low": group.ratio_low,
                "ratio_high": group.ratio_high,
                "preserved": group.value,
                "preserved_low": group.low,
                "preserved_high": group.high,
                "accuracy_difference": difference.value,
                "accuracy_difference_low": difference.low,
                "accuracy_difference_high": difference.high,
                "accuracy": base + difference.value / 100,
                "rests_on": group.rests_on,
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
            return task.settings["control"] == NO_TEACHER
    return False
