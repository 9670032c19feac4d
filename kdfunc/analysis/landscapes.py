"""The landscapes of a run: which models a panel shows, and where they lie."""

import io
import os
import pathlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from matplotlib.figure import Figure
from threadpoolctl import threadpool_limits

from kdfunc.analysis import accuracy, figures
from kdfunc.comparison import forms
from kdfunc.config import PANELS
from kdfunc.errors import InputError, refuse_string
from kdfunc.runs.plan import Task
from kdfunc.runs.records import RunDirectory
from kdfunc.similarity import embedding
from kdfunc.writing import write_atomic

#: Maps of t-SNE from other starts, next to the one of the map that is drawn.
NEARBY = 3


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
    the square root of 2. How far either can be trusted is told with it: the metric
    map's stress, and by how much t-SNE's shape changes with next to nothing.
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
    drawn = maps(
        softmax, squared, list(rows.values()), [perplexities[panel] for panel in rows]
    )
    for (panel, places), made in zip(rows.items(), drawn, strict=True):
        placed = made.place(points.iloc[places])
        columns = ["model", "family", "epoch", "x", "y", "mds_x", "mds_y"]
        csv = placed[columns].to_csv(index=False)
        write_atomic(run.path / "tables" / f"landscape-{panel}.csv", csv)
        title = f"{accuracy.title(config)}, {config.rules}: {panel}"
        figure = figures.landscape.landscape(
            placed, panel, title, made.perplexity, made.stress, made.disparity
        )
        figures.style.save(figure, run.path / "figures" / panel)
    quality = [
        (panel, m.stress, *m.disparity) for panel, m in zip(rows, drawn, strict=True)
    ]
    columns = ["panel", "stress", "disparity_least", "disparity_most"]
    write_atomic(
        run.path / "tables" / "landscape-stress.csv",
        pd.DataFrame(quality, columns=columns).to_csv(index=False),
    )


@dataclass(frozen=True, eq=False)
class Maps:
    """The two maps of a panel, and how far they can be trusted.

    Attributes:
      tsne: positions `[m, 2]` by t-SNE.
      perplexity: of the t-SNE.
      disparity: the least and the largest Procrustes disparity between the t-SNE and
        `NEARBY` others whose start was changed by 1e-7.
      metric: positions `[m, 2]` of the metric map; the unit is the root mean square
        over examples of the distance between two softmax outputs.
      stress: of the metric map: 0 perfect, 0.1 fair, above 0.2 poor.
    """

    tsne: np.ndarray
    perplexity: float
    disparity: tuple[float, float]
    metric: np.ndarray
    stress: float

    def place(self, points: pd.DataFrame) -> pd.DataFrame:
        """The points with their places: `x` and `y` by t-SNE, `mds_x` and `mds_y`."""
        (x, y), (mds_x, mds_y) = self.tsne.T, self.metric.T
        return points.assign(x=x, y=y, mds_x=mds_x, mds_y=mds_y)


def maps(
    records: Sequence[np.ndarray],
    squared: np.ndarray,
    panels: Sequence[np.ndarray],
    perplexities: Sequence[float],
) -> list[Maps]:
    """The maps of several panels whose points come from the same records.

    Args:
      records: softmax `[snapshots, n_test, classes]` of each model.
      squared: `[points, points]`, their `embedding.squared_distances`.
      panels: for each, the indices `[m]` of its points among those of all records.
      perplexities: one a panel; lower where there are too few points for it.

    Returns:
      The maps of each panel.
    """
    starts = embedding.pca_starts(records, squared, panels)
    jobs = []
    for rows, start, perplexity in zip(panels, starts, perplexities, strict=True):
        apart = squared[np.ix_(rows, rows)]
        jobs.append(delayed(embedding.metric_map)(apart / records[0].shape[1]))
        for near in (start, *embedding.nearby_starts(start, NEARBY)):
            jobs.append(delayed(embedding.embed)(apart, near, perplexity))
    with threadpool_limits(limits=1):  # one thread a map, the maps side by side
        done = iter(Parallel(n_jobs=-1, prefer="threads")(jobs))
    made = []
    for rows, perplexity in zip(panels, perplexities, strict=True):
        metric, stress = next(done)
        tsne, *others = islice(done, 1 + NEARBY)
        apart = [embedding.disparity(tsne, other) for other in others]
        used = embedding.usable_perplexity(perplexity, len(rows))
        made.append(Maps(tsne, used, (min(apart), max(apart)), metric, stress))
    return made


@dataclass(frozen=True, eq=False)
class Landscape:
    """A map of models; in a notebook it shows its figure.

    Attributes:
      points: A row for each point: `model`, `family`, `label`, `epoch`, `x` and `y` of
        the t-SNE, `mds_x` and `mds_y` of the metric map, whose unit is the root mean
        square over examples of the distance between two softmax outputs.
      perplexity: Of the t-SNE.
      disparity: How much the t-SNE's shape changes with its start, see `Maps`.
      stress: Of the metric map: 0 perfect, 0.1 fair, above 0.2 poor.
      figure: Both maps, side by side.
    """

    points: pd.DataFrame
    perplexity: float
    disparity: tuple[float, float]
    stress: float
    figure: Figure

    def save(self, path: str | os.PathLike[str]) -> list[pathlib.Path]:
        """Writes the figure as PNG and PDF.

        Args:
          path: Where to, without a suffix.

        Returns:
          The two files.
        """
        return figures.style.save(self.figure, path)

    def _repr_png_(self) -> bytes:
        content = io.BytesIO()
        self.figure.savefig(content, format="png", dpi=110)
        return content.getvalue()


def landscape(
    outputs: Sequence[np.ndarray],
    *,
    names: Sequence[str],
    families: Sequence[str] | None = None,
    perplexity: float = 30,
    title: str = "Functional landscape",
) -> Landscape:
    """Maps models by what they gave for the same examples.

    Args:
      outputs: Of each model the softmax, or logits where another model gives softmax:
        `[examples, classes]`, or `[snapshots, examples, classes]` for a trajectory.
      names: Of the models.
      families: Of the models, which share a colour: `base`, `independent`, `student`,
        `quantized`, `pruned`, or words of your own; by default all are one family.
      perplexity: Of the t-SNE; lower where there are too few models for it.
      title: Of the figure.

    Returns:
      The map and its figure.

    Raises:
      InputError: Other numbers of names than of models, outputs that are not those of
        classifiers, or fewer than two different models.
    """
    refuse_string("names", names)
    refuse_string("families", families)
    records = _records(outputs, names)
    families = ["model"] * len(names) if families is None else families
    points = pd.DataFrame(
        [
            {"model": name, "family": family, "label": name, "epoch": epoch}
            for name, family, record in zip(names, families, records, strict=True)
            for epoch in range(len(record))
        ]
    )
    squared = embedding.squared_distances(records)
    if not squared.any():
        raise InputError(
            "all models gave the same outputs, which makes one point and no map; give "
            "at least two that differ."
        )
    (made,) = maps(records, squared, [np.arange(len(points))], [perplexity])
    points = made.place(points)
    panel = "distillation" if len(points) > len(names) else "all"
    figure = figures.landscape.landscape(
        points, panel, title, made.perplexity, made.stress, made.disparity
    )
    return Landscape(points, made.perplexity, made.disparity, made.stress, figure)


def _records(outputs: Sequence[np.ndarray], names: Sequence[str]) -> list[np.ndarray]:
    """Softmax `[snapshots, examples, classes]` of each model."""
    if len(outputs) != len(names) or len(set(names)) != len(names):
        raise InputError(
            f"there are {len(outputs)} outputs and {len(set(names))} different names; "
            "give a name of its own for each model."
        )
    arrays = [np.asarray(array) for array in outputs]
    arrays = [array[None] if array.ndim == 2 else array for array in arrays]
    snapshots = {
        f"{name} at snapshot {i}": snapshot
        for name, array in zip(names, arrays, strict=True)
        for i, snapshot in enumerate(array)
    }
    settled = forms.settle("", snapshots, dict.fromkeys(snapshots, forms.AUTO))
    if settled.kind != forms.CLASSES:
        raise InputError(
            f"the outputs are taken for {settled.kind}; give the softmax of "
            "classifiers [examples, classes], or one of several snapshots."
        )
    softmax = iter(settled.arrays.values())
    return [np.stack([next(softmax) for _ in array]) for array in arrays]
