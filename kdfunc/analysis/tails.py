"""What means hide: the worst images, and those that change in most trainings."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from kdfunc import similarity
from kdfunc.runs.task import Task
from kdfunc.similarity.tails import TAILED
from kdfunc.text import no_formula

#: Numbers of each model that are averaged over a group.
COLUMNS = (*similarity.TAILS, "disagreement", "confident_flips")


def per_model(p: np.ndarray, q: np.ndarray) -> dict[str, float | None]:
    """The tails of one model's divergence from the base model, by the limit's name.

    Args:
      p: softmax `[n_test, classes]` of the base model.
      q: the same of the model.

    Returns:
      `jensen_shannon.p95`, `.p99` and `.p99.9` in bits; None if there are too few
      images for one to lie beyond.
    """
    found = similarity.quantiles(similarity.divergences(p, q))
    return {f"{TAILED}.{name}": value for name, value in found.items()}


def groups(tasks: Sequence[Task]) -> dict[str, list[Task]]:
    """The tasks by `Task.group`, in order of appearance.

    Args:
      tasks: the tasks.
    """
    found: dict[str, list[Task]] = {}
    for task in tasks:
        found.setdefault(task.group, []).append(task)
    return found


def table(
    measures: pd.DataFrame, changed: pd.DataFrame, tasks: Sequence[Task]
) -> pd.DataFrame:
    """The tails of each group of trainings.

    Args:
      measures: of each model, as in `tables/similarity.csv`.
      changed: as `changes` returns it.
      tasks: all but the base model.

    Returns:
      One row per group: `group`, `family`, `models` (how many); means over the models
      of `p95`, `p99` and `p99.9` in bits and of the shares `disagreement` and
      `confident_flips`; and, for groups of two models or more, the shares of images
      whose predicted class is not the base model's in more than half of them
      (`changed_in_most`) and in all of them (`changed_in_all`).
    """
    measures = measures.set_index("model").rename(
        columns={f"{TAILED}.{name}": name for name in similarity.TAILS}
    )
    rows = []
    for group, members in groups(tasks).items():
        names = [task.name for task in members]
        row = {"group": group, "family": members[0].family, "models": len(names)}
        row |= measures.loc[names, list(COLUMNS)].astype(float).mean(skipna=False)
        if len(names) > 1:
            row["changed_in_most"] = np.mean(changed[group] > len(names) / 2)
            row["changed_in_all"] = np.mean(changed[group] == len(names))
        rows.append(row)
    ends = ["changed_in_most", "changed_in_all"]
    return pd.DataFrame(rows, columns=["group", "family", "models", *COLUMNS, *ends])


def changes(final: Mapping[str, np.ndarray], tasks: Sequence[Task]) -> pd.DataFrame:
    """For each test image, how many models of each group predict another class.

    Args:
      final: softmax `[n_test, classes]` by the task's name, with the base model's.
      tasks: all but the base model.

    Returns:
      One row per image, a column for each group of two models or more.
    """
    return pd.DataFrame(
        {
            group: similarity.changes(final["base"], [final[t.name] for t in members])
            for group, members in groups(tasks).items()
            if len(members) > 1
        }
    )


def changed_images(
    changed: pd.DataFrame,
    tasks: Sequence[Task],
    base: np.ndarray,
    labels: np.ndarray,
    class_names: Sequence[str],
) -> pd.DataFrame:
    """The images whose predicted class changes in most trainings of a group.

    Args:
      changed: as `changes` returns it.
      tasks: all but the base model.
      base: softmax `[n_test, classes]` of the base model.
      labels: `[n_test]` true classes.
      class_names: names of the classes.

    Returns:
      One row per image that changes in more than half of the models of at least one
      group, most frequent changes first: `image` (its number in the test split),
      `label` and the base model's `answer` (names of classes), and for each group the
      number of models that predict another class.
    """
    sizes = pd.Series({group: len(members) for group, members in groups(tasks).items()})
    most = (changed > sizes.reindex(changed.columns) / 2).any(axis=1)
    images = changed[most].sum(axis=1).sort_values(ascending=False, kind="stable").index
    names = np.asarray([no_formula(name) for name in class_names])
    found = changed.loc[images].reset_index(names="image")
    found.insert(1, "label", names[labels[images]])
    found.insert(2, "answer", names[base.argmax(axis=1)[images]])
    return found
