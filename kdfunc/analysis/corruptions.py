"""Do models that keep the function on clean images keep it on corrupted ones?"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from kdfunc.analysis import figures, tables
from kdfunc.analysis import names as naming
from kdfunc.analysis.fidelity import same_order
from kdfunc.analysis.jobs import Jobs
from kdfunc.catalog import FAMILIES
from kdfunc.corruptions import CORRUPTIONS, SETS
from kdfunc.runs import corrupted
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.task import Task
from kdfunc.similarity.fidelity import FEWEST_MODELS
from kdfunc.similarity.outcomes import OUTCOMES, TOLD, judged
from kdfunc.similarity.shifts import Distant, Shift, distant
from kdfunc.text import count

#: What the corrupted images of all kinds and strengths are called, together.
ALL = "all"


def write(run: RunDirectory, tasks: Sequence[Task], jobs: Jobs) -> None:
    """Writes `corruptions.csv`, `corruption_ranking.csv` and their figure.

    Writes nothing if the models have not predicted corrupted images or if there are no
    independent models among them.

    Args:
      run: the run directory.
      tasks: those that have records.
      jobs: draws the figure.
    """
    softmax = corrupted.outputs(run, tasks)
    tasks = [task for task in tasks if task.name in softmax]
    families = {task.family for task in tasks}
    if not {"base", "independent"} <= families:
        return
    table, ranking = compared(tasks, softmax, run.labels)
    tables.write(run, "corruptions", table)
    tables.write(run, "corruption_ranking", ranking)
    shown = table[compressed(table) & (table["corruption"] != ALL)]
    if len(shown):
        says = "Function preserved on corrupted and on clean images"
        jobs.draw(run, "corruptions", says, figures.corruptions.corruptions, shown)


def compressed(table: pd.DataFrame) -> pd.Series:
    """Which rows are of compressed versions of the base model.

    Args:
      table: one row per model, with its `family`.
    """
    return table["family"].map(lambda family: bool(FAMILIES[family].by))


def compared(
    tasks: Sequence[Task], softmax: dict[str, np.ndarray], labels: np.ndarray
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """What each model preserves on each set, and how the sets rank the models.

    Args:
      tasks: those of the models, with the base model and independent ones.
      softmax: by model `[1 + sets, n, classes]`, clean images first.
      labels: of the images, perhaps followed by those of more images.

    Returns:
      One row per group of models (trainings that differ by chance alone) and set of
      images: `corruption` and `strength` (`all` and NaN for all sets together); mean
      `accuracy`, and `clean_accuracy` on the same images uncorrupted; function
      `preserved` with its interval, the same on `clean` images; their `difference` in
      points with its interval; and the `outcome`, one of `OUTCOMES`: for compressed
      models by the margin of the claims, after Holm's correction over the models.

      And one row per set: `images`; the base model's `base_accuracy`; of the compressed
      `models` the rank `correlation` between what they preserve on clean and on these
      images, with its interval over images; how many have each outcome.
    """
    independents = [task for task in tasks if task.family == "independent"]
    models = [task for task in tasks if task.family not in ("base", "independent")]
    groups: dict[str, list[int]] = {}
    for place, task in enumerate([*models, *independents]):
        groups.setdefault(task.group, []).append(place)
    family = {task.group: task.family for task in tasks}
    ranked = [group for group in groups if FAMILIES[family[group]].by]
    sets = [
        distant(
            softmax["base"][number],
            [softmax[task.name][number] for task in models],
            [softmax[task.name][number] for task in independents],
        )
        for number in range(len(SETS) + 1)
    ]
    answers = {name: each.argmax(axis=2) for name, each in softmax.items()}
    images = len(answers["base"][0])
    right = {name: (each == labels[:images]).mean(1) for name, each in answers.items()}
    base = pd.Series(right["base"])
    right = pd.DataFrame(
        {
            group: np.mean([right[t.name] for t in tasks if t.group == group], axis=0)
            for group in groups
        }
    )
    each = [(*kind, [number]) for number, kind in enumerate(SETS, 1)]
    rows, ranking = [], []
    for kind, strength, numbers in (*each, (ALL, np.nan, range(1, len(SETS) + 1))):
        changed = Distant.mean([sets[number] for number in numbers])
        shift = Shift(sets[0], changed, groups)
        differences = {group: shift.difference(group) for group in groups}
        known = [g for g in ranked if _is_known(family[g], groups[g], independents)]
        outcomes = dict.fromkeys(ranked, "undecided")
        outcomes |= dict(
            zip(known, judged([differences[group] for group in known]), strict=True)
        )
        about = {"corruption": kind, "strength": strength}
        for group in groups:
            kept, before = shift.changed(group), shift.clean(group)
            difference = differences[group]
            rows.append(
                {"group": group, "family": family[group], "models": len(groups[group])}
                | about
                | {
                    "accuracy": right[group].iloc[numbers].mean(),
                    "clean_accuracy": right[group].iloc[0],
                    "preserved": kept.value,
                    "low": kept.low,
                    "high": kept.high,
                    "clean": before.value,
                    "clean_low": before.low,
                    "clean_high": before.high,
                    "difference": difference.value,
                    "difference_low": difference.low,
                    "difference_high": difference.high,
                    "outcome": outcomes.get(group, ""),
                    "rests_on": kept.rests_on,
                }
            )
        correlation = [np.nan] * 3
        if len(ranked) >= FEWEST_MODELS:
            correlation = shift.correlation(ranked)
        told = list(outcomes.values())
        ranking.append(
            about
            | {"images": images, "base_accuracy": base.iloc[numbers].mean()}
            | {"clean_base_accuracy": base.iloc[0], "models": len(ranked)}
            | dict(zip(("correlation", "low", "high"), correlation, strict=True))
            | {outcome: told.count(outcome) for outcome in OUTCOMES}
        )
    return pd.DataFrame(rows), pd.DataFrame(ranking)


def _is_known(family: str, members: Sequence[int], independents: Sequence) -> bool:
    """Whether chance in training is covered; one training decides nothing."""
    return len(independents) > 1 and (family != "student" or len(members) > 1)


def sentences(table: pd.DataFrame, ranking: pd.DataFrame) -> str:
    """The answer, in a few sentences.

    Args:
      table: The first table of `compared`, with the `name` of each group.
      ranking: The second.
    """
    row = ranking[ranking["corruption"] == ALL].iloc[0]
    rows = table[(table["corruption"] == ALL) & compressed(table)]
    told = (
        f"On {row.images:,} test images corrupted in {len(ranking) - 1} ways, "
        "the base model's accuracy changes from "
        f"{100 * row.clean_base_accuracy:.1f} % to {100 * row.base_accuracy:.1f} % on "
        "average."
    )
    if rows.empty:
        return told
    if not np.isnan(row.correlation):
        told += (
            f" Ranked by the function preserved there, {row.models} compressed models "
            f"are {same_order(row.low)} as on the clean images: rank correlation "
            f"{row.correlation:.2f} [{row.low:.2f}, {row.high:.2f}]."
        )
    for outcome in ("less", "more", "as much"):
        found = rows[rows["outcome"] == outcome]
        if len(found):
            listed = f" ({'; '.join(found['name'])})" if outcome != "as much" else ""
            told += f" {_preserve(len(found), TOLD[outcome])}{listed}."
    if count_open := int((rows["outcome"] == "undecided").sum()):
        told += f" For {count(count_open, 'model')}, the data leave this open."
    return told


def named(corruption: str, strength: float) -> str:
    """The name of a set of corrupted images.

    Args:
      corruption: its name.
      strength: of the corruption.
    """
    if corruption == ALL:
        return "All together"
    return f"{CORRUPTIONS[corruption].label}, strength {strength:g}"


def _preserve(number: int, what: str) -> str:
    return f"{count(number, 'model')} preserve{'s' if number == 1 else ''} {what}"


def told(run: RunDirectory, tasks: Sequence[Task]) -> str:
    """The answer from the tables of a run; empty if there are none.

    Args:
      run: the run directory, with its tables.
      tasks: those that have records.
    """
    table = tables.read(run, "corruptions")
    ranking = tables.read(run, "corruption_ranking")
    if table is None or ranking is None:
        return ""
    called = {task.group: naming.name(task) for task in tasks}
    return sentences(table.assign(name=table["group"].map(called)), ranking)
