"""Students with one setting changed, compared with those of the paper."""

from collections.abc import Hashable

import numpy as np
import pandas as pd

from kdfunc.catalog import NO_TEACHER
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.task import Task
from kdfunc.runs.trainings import OWN_CONTROL
from kdfunc.similarity.bootstrap import bootstrap_measures
from kdfunc.similarity.distances import Distances
from kdfunc.similarity.evaluate import pairwise
from kdfunc.similarity.gains import Gain, matched
from kdfunc.similarity.groups import MEASURE
from kdfunc.similarity.intervals import mean_of
from kdfunc.similarity.outcomes import TOLD, judged
from kdfunc.text import listed

#: What the columns `variant` and `teacher` have where there is none.
NONE = "none"


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
      ("none" for a control), `models` (how many); distance `ratio`, `preserved` in %,
      `accuracy_difference` from the base model in points, each with the ends `_low` and
      `_high` of its interval; mean `accuracy`; and the trainings that the intervals of
      `ratio` and `preserved` `rests_on`.

      Of variants with a teacher, `change`, the points preserved more than by the
      unchanged students, and of all models with a teacher `taught`, the points more
      than by their control, each with the ends of its interval. `outcome` is that of
      the change by the margin of the claims (see `similarity.outcomes`), after Holm's
      correction over the variants; without several trainings of both and several
      independent models it is undecided.
      Empty without variants.
    """
    groups: dict[tuple[str, str], dict[Hashable, int]] = {}
    for place, task in enumerate(tasks):
        if _belongs(run, task):
            variant = task.settings.get("variant", NONE)
            teacher = task.settings.get("teacher", NONE)
            seeds = groups.setdefault((variant, teacher), {})
            seeds[task.settings["order"]] = place
    if all(variant == NONE for variant, _ in groups):
        return pd.DataFrame()
    groups = dict(sorted(groups.items(), key=lambda group: group[0][0] != NONE))
    independents = [p for p, t in enumerate(tasks) if t.family == "independent"]
    models = [final[task.name] for task in tasks]
    estimates = bootstrap_measures(
        final["base"], models, run.labels, names=[MEASURE, "accuracy_difference"]
    )
    among = [final["base"], *(models[place] for place in independents)]
    distances = Distances.of(
        MEASURE,
        estimates[MEASURE],
        independents,
        pairwise(among, names=[MEASURE])[MEASURE],
    )
    accuracy = estimates["accuracy_difference"]
    base = np.mean(final["base"].argmax(axis=1) == run.labels)
    rows = []
    changes: dict[int, Gain] = {}
    for (variant, teacher), seeds in groups.items():
        places = [*seeds.values()]
        kept = distances.preserved(places)
        difference = mean_of(
            100 * accuracy.value[places], 100 * accuracy.replicates[:, places]
        )
        row = {
            "variant": variant,
            "teacher": teacher,
            "models": len(places),
            **kept.columns,
            "accuracy_difference": difference.value,
            "accuracy_difference_low": difference.low,
            "accuracy_difference_high": difference.high,
            "accuracy": base + difference.value / 100,
            "rests_on": kept.rests_on,
        }
        for name, other in _compared_with(groups, variant, teacher).items():
            columns = (name, f"{name}_low", f"{name}_high")
            row |= dict.fromkeys(columns, np.nan)
            if other:
                gain = distances.gain(*matched(seeds, other))
                row |= zip(columns, (gain.value, gain.low, gain.high), strict=True)
                if name == "change":
                    changes[len(rows)] = gain
        rows.append(row)
    found = pd.DataFrame(rows).assign(outcome="")
    found.loc[[*changes], "outcome"] = "undecided"
    # One training decides nothing, of students as of independent models.
    known = {
        place: gain
        for place, gain in changes.items()
        if min(len(gain.members), len(gain.others), len(independents)) > 1
    }
    found.loc[[*known], "outcome"] = judged([*known.values()])
    return found


def sentence(table: pd.DataFrame) -> str:
    """What the settings change, in a few sentences; empty if nothing is compared.

    Args:
      table: from the function of that name, or read from its file.
    """
    told = [
        f"{listed(names)} {'preserves' if len(names) == 1 else 'preserve'} {TOLD[of]}."
        for of in ("more", "less", "as much")
        if (names := [*table.loc[table["outcome"] == of, "variant"]])
    ]
    if told:
        told[0] = f"Compared with unchanged students, {told[0]}"
    if names := [*table.loc[table["outcome"] == "undecided", "variant"]]:
        verb = "preserves" if len(names) == 1 else "preserve"
        told.append(
            f"Whether {listed(names)} {verb} more or less than unchanged students is "
            "open."
        )
    own = {*table.loc[table["teacher"] == NONE, "variant"]} - {NONE}
    for row in table[table["taught"].notna() & table["variant"].isin(own)].itertuples():
        told.append(
            f"The teacher adds {row.taught:.1f} points [{row.taught_low:.1f}, "
            f"{row.taught_high:.1f}] to {row.variant}."
        )
    return " ".join(told)


def _compared_with(groups: dict, variant: str, teacher: str) -> dict[str, dict]:
    """What a group's models are compared with: seeds by column, empty for nothing."""
    taught, changed = teacher != NONE, teacher != NONE and variant != NONE
    own = (variant if variant.startswith(OWN_CONTROL) else NONE, NONE)
    return {
        "taught": groups.get(own, {}) if taught else {},
        "change": groups.get((NONE, "base"), {}) if changed else {},
    }


def _belongs(run: RunDirectory, task: Task) -> bool:
    match task.family:
        case "variant":
            return True
        case "student":
            return task.settings["alpha"] == run.config.leaning_alpha
        case "control":
            return task.settings["control"] == NO_TEACHER
    return False
