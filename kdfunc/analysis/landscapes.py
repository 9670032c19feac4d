"""The landscapes of a run: which models a panel shows, and where they lie."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from threadpoolctl import threadpool_limits

from kdfunc.analysis import accuracy, figures
from kdfunc.config import PANELS
from kdfunc.runs.plan import Task
from kdfunc.runs.records import RunDirectory, write_atomic
from kdfunc.similarity import embedding


def panels(run: RunDirectory, tasks: list[Task]) -> dict[str, list[Task]]:
    """The models in each panel of the landscape (PROTOCOL, "Functional landscape").

    A panel without any of its compressed models is left out. Of the students, the
    panel of all methods shows one an alpha: the one whose distillation KL is lowest
    on average over the epochs.
    """

    def closeness(student: Task) -> float:
        return run.record(student.name).metrics["train_distillation_loss"].mean()

    by_alpha: dict[float, list[Task]] = {}
    for task in tasks:
        if task.family == "student":
            by_alpha.setdefault(task.settings["alpha"], []).append(task)
    shown = {min(students, key=closeness).name for students in by_alpha.values()}
    families = {
        "distillation": ("student",),
        "quantization": ("quantized",),
        "pruning": ("pruned",),
        "all": ("student", "quantized", "pruned"),
    }
    chosen = {}
    for panel in PANELS:
        compressed = [task for task in tasks if task.family in families[panel]]
        if panel == "all":
            compressed = [
                t for t in compressed if t.family != "student" or t.name in shown
            ]
        if compressed:
            originals = [t for t in tasks if t.family in ("base", "independent")]
            chosen[panel] = originals + compressed
    return chosen


def write(run: RunDirectory, tasks: list[Task]) -> None:
    """Writes the panels of a run as tables and figures.

    Beside t-SNE each panel has a metric map, whose unit is the root mean square over
    the test images of the Euclidean distance between two softmax outputs, from 0 to
    the square root of 2.
    """
    config = run.config
    chosen = panels(run, tasks)
    shown = {task.name for members in chosen.values() for task in members}
    tasks = [task for task in tasks if task.name in shown]
    if not tasks:
        return
    softmax = [run.record(task.name).softmax for task in tasks]
    points = pd.concat(
        [
            run.record(task.name)
            .metrics[["epoch"]]
            .assign(model=task.name, family=task.family, label=task.label)
            for task in tasks
        ],
        ignore_index=True,
    )
    rows = {
        panel: np.flatnonzero(points["model"].isin([task.name for task in members]))
        for panel, members in chosen.items()
    }
    perplexities = dict(zip(PANELS, config.perplexities, strict=True))
    squared = embedding.squared_distances(softmax)
    embedded = embeddings(
        softmax, squared, list(rows.values()), [perplexities[panel] for panel in rows]
    )
    stresses = {}
    for (panel, places), position in zip(rows.items(), embedded, strict=True):
        mapped, stress = embedding.metric_map(
            squared[np.ix_(places, places)] / softmax[0].shape[1]
        )
        stresses[panel] = stress
        placed = points.iloc[places].assign(
            x=position[:, 0], y=position[:, 1], mds_x=mapped[:, 0], mds_y=mapped[:, 1]
        )
        columns = ["model", "family", "epoch", "x", "y", "mds_x", "mds_y"]
        csv = placed[columns].to_csv(index=False)
        write_atomic(run.path / "tables" / f"landscape-{panel}.csv", csv)
        perplexity = embedding.usable_perplexity(perplexities[panel], len(placed))
        title = f"{accuracy.title(config)}, {config.preset}: {panel}"
        figure = figures.landscape.landscape(placed, panel, title, perplexity, stress)
        figures.style.save(figure, run.path / "figures" / panel)
    stress_table = pd.DataFrame(stresses.items(), columns=["panel", "stress"])
    write_atomic(
        run.path / "tables" / "landscape-stress.csv", stress_table.to_csv(index=False)
    )


def embeddings(
    records: Sequence[np.ndarray],
    squared: np.ndarray,
    panels: Sequence[np.ndarray],
    perplexities: Sequence[float],
) -> list[np.ndarray]:
    """t-SNE of several panels whose points come from the same records.

    Args:
      records: softmax `[snapshots, n_test, classes]` of each model.
      squared: `[points, points]`, their `landscape.squared_distances`.
      panels: for each, the indices `[m]` of its points among those of all records.
      perplexities: one a panel.

    Returns:
      For each panel, positions `[m, 2]`.
    """
    starts = embedding.pca_starts(records, squared, panels)
    with threadpool_limits(limits=1):  # one thread a panel, the panels side by side
        return Parallel(n_jobs=-1, prefer="threads")(
            delayed(embedding.embed)(squared[np.ix_(rows, rows)], start, perplexity)
            for rows, start, perplexity in zip(
                panels, starts, perplexities, strict=True
            )
        )
