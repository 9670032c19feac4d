"""The landscapes of a run: which models a panel shows, and where they lie."""

import functools
import io
import itertools
import os
import pathlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kdfunc.analysis import figures, tables
from kdfunc.analysis.jobs import Jobs
from kdfunc.comparison import forms
from kdfunc.config import PANELS
from kdfunc.errors import InputError, refuse_string
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.task import Task
from kdfunc.similarity import embedding

#: Maps of t-SNE from other starts, next to the one of the map that is drawn.
NEARBY = 3


def panels(run: RunDirectory, tasks: list[Task]) -> dict[str, list[Task]]:
    """The models in each panel of the landscape.

    A panel without any of its compressed models is left out. The panel of all methods
    shows one student per alpha: the one whose distillation KL is lowest on average over
    the epochs.

    Args:
      run: The run directory.
      tasks: Those that have records.

    Returns:
      The tasks of each panel, the base model first.
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


def begin(run: RunDirectory, tasks: list[Task], jobs: Jobs) -> Callable[[], None]:
    """Starts to map the panels of a run; returns a function that writes the results.

    Besides t-SNE, each panel has a metric map, whose unit is the root mean square over
    the test images of the Euclidean distance between two softmax outputs, from 0 to
    the square root of 2. The tables also show how far to trust the maps: the stress of
    the metric map, and how much a tiny change of its start changes the t-SNE.

    Args:
      run: The run directory.
      tasks: Those that have records.
      jobs: Makes the maps and draws the figures.
    """
    config = run.config
    chosen = panels(run, tasks)
    shown = {task.name for members in chosen.values() for task in members}
    tasks = [task for task in tasks if task.name in shown]
    if not tasks:
        return lambda: None
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
    asked = [perplexities[panel] for panel in rows]
    drawn = maps(softmax, squared, list(rows.values()), asked, jobs)

    def finish() -> None:
        quality = []
        for (panel, places), made in zip(rows.items(), drawn, strict=True):
            placed = made.place(points.iloc[places])
            columns = ["model", "family", "epoch", "x", "y", "mds_x", "mds_y"]
            tables.write(run, f"landscape-{panel}", placed[columns])
            says = panel.capitalize()
            if panel == "all":
                says = "All methods, one student for each alpha"
            draw = functools.partial(
                figures.landscape.landscape,
                perplexity=made.perplexity,
                stress=made.stress,
                disparities=made.disparity,
            )
            jobs.draw(run, panel, says, draw, placed, panel)
            quality.append((panel, made.stress, *made.disparity))
        columns = ["panel", "stress", "disparity_least", "disparity_most"]
        tables.write(run, "landscape-stress", pd.DataFrame(quality, columns=columns))

    return finish


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
        """The points with their places: `x` and `y` by t-SNE, `mds_x` and `mds_y`.

        Args:
          points: One row per point of the maps, in their order.
        """
        (x, y), (mds_x, mds_y) = self.tsne.T, self.metric.T
        return points.assign(x=x, y=y, mds_x=mds_x, mds_y=mds_y)


def maps(
    records: Sequence[np.ndarray],
    squared: np.ndarray,
    panels: Sequence[np.ndarray],
    perplexities: Sequence[float],
    jobs: Jobs | None = None,
) -> Iterator[Maps]:
    """Starts the maps of several panels whose points come from the same records.

    Args:
      records: softmax `[snapshots, n_test, classes]` of each model.
      squared: `[points, points]`, their `embedding.squared_distances`.
      panels: for each, the indices `[m]` of its points among those of all records.
      perplexities: one per panel; lowered if there are too few points for it.
      jobs: makes the maps concurrently; by default in threads.

    Returns:
      The maps of each panel; with `jobs`, each is waited for when it is asked for.
    """
    if jobs is None:
        with Jobs() as threads:
            made = maps(records, squared, panels, perplexities, threads)
            return iter(list(made))
    starts = embedding.pca_starts(records, squared, panels)
    begun = []
    for rows, start, perplexity in zip(panels, starts, perplexities, strict=True):
        apart = squared[np.ix_(rows, rows)]
        metric = jobs.call(embedding.metric_map, apart / records[0].shape[1])
        near = (start, *embedding.nearby_starts(start, NEARBY))
        tsne = [jobs.call(embedding.embed, apart, each, perplexity) for each in near]
        used = embedding.usable_perplexity(perplexity, len(rows))
        begun.append((metric, tsne, used))
    return itertools.starmap(_made, begun)


def _made(metric: Future, tsne: list[Future], perplexity: float) -> Maps:
    """The maps of a panel, once they are finished."""
    drawn, *others = [future.result() for future in tsne]
    apart = [embedding.disparity(drawn, other) for other in others]
    return Maps(drawn, perplexity, (min(apart), max(apart)), *metric.result())


@dataclass(frozen=True, eq=False)
class Landscape:
    """A map of models; in a notebook it shows its figure.

    Attributes:
      points: One row per point: `model`, `family`, `label`, `epoch`, `x` and `y` of
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
    """Maps models by their outputs for the same examples.

    Args:
      outputs: The softmax of each model, or logits if another model gives softmax:
        `[examples, classes]`, or `[snapshots, examples, classes]` for a trajectory.
      names: Of the models.
      families: Of the models, which share a colour: `base`, `independent`, `student`,
        `quantized`, `pruned`, or your own words; by default all are one family.
      perplexity: Of the t-SNE; lowered if there are too few models for it.
      title: Of the figure.

    Returns:
      The map and its figure.

    Raises:
      InputError: The numbers of names and models differ, outputs are not those of
        classifiers, or there are fewer than two different models.
    """
    refuse_string("names", names)
    refuse_string("families", families)
    records = _records(outputs, names)
    families = ["model"] * len(names) if families is None else families
    if len(families) != len(names):
        raise InputError(
            f"there are {len(families)} families and {len(names)} names; give each "
            "model its family."
        )
    if not perplexity > 0:
        raise InputError(f"perplexity: got {perplexity}; allowed: above 0.")
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
            "all models gave the same outputs, so the map would be a single point; "
            "give at least two models that differ."
        )
    with Jobs() as jobs:
        rows = [np.arange(len(points))]
        (made,) = maps(records, squared, rows, [perplexity], jobs)
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
            "give each model its own name."
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
            f"the outputs look like {settled.kind}; give the softmax of classifiers, "
            "[examples, classes] or [snapshots, examples, classes]."
        )
    softmax = iter(settled.arrays.values())
    return [np.stack([next(softmax) for _ in array]) for array in arrays]
