"""Functional similarity from a run's records: tables, verdicts, figures."""

import pathlib
import zlib
from collections.abc import Iterable

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from kdfunc import similarity
from kdfunc.analysis import fidelity, figures, tables, tails, variants
from kdfunc.analysis import names as naming
from kdfunc.analysis.jobs import Jobs
from kdfunc.catalog import ANOTHER_TEACHER
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.task import Task
from kdfunc.runs.trainings import BASE_OPTIMIZER
from kdfunc.similarity.claims import MARGIN, verdicts
from kdfunc.similarity.groups import MEASURE, Evidence, pruned_group, student_group
from kdfunc.similarity.ladder import ladder, yardstick
from kdfunc.text import no_formula

#: Measures that are computed at every epoch.
FOLLOWED = ("jensen_shannon", "disagreement")
JENSEN_SHANNON = "Jensen-Shannon divergence (bits)"
#: The paper's own ways of compression, which its claims are about.
COMPRESSED = ("student", "quantized", "pruned")


def write(run: RunDirectory, tasks: list[Task], jobs: Jobs) -> None:
    """Writes everything on functional similarity.

    Args:
      run: the run directory.
      tasks: those that have records.
      jobs: draws the figures.
    """
    final = {task.name: np.array(run.record(task.name).softmax[-1]) for task in tasks}
    others = [task for task in tasks if task.name != "base"]
    if not others:
        return
    _write_measures(run, tasks, final, jobs)
    fidelity.write(run, tasks, final, jobs)
    _write_trajectories(run, tasks, final["base"], jobs)
    _write_initialization(run, tasks, final)
    _write_classes(run, others, final, jobs)
    evidence = evidence_of(run, tasks, final)
    _draw_preserved(run, tasks, evidence, jobs)
    tables.write(run, "ladder", rungs := ladder(evidence))
    if len(rungs) > 1:
        says = "What each ingredient adds"
        jobs.draw(run, "ladder", says, figures.preserved.ladder, rungs)
    tables.write(run, "yardstick", yardstick(evidence, MARGIN))
    judged = verdicts(evidence)
    columns = ["claim", "outcome", "sentence", "statistic", "effect", "low", "high"]
    columns += ["rests_on", "p", "adjusted_p", "estimate", "error", "scale"]
    rows = [[getattr(verdict, column) for column in columns] for verdict in judged]
    table = pd.DataFrame(rows, columns=columns)
    table["against"] = [", ".join(verdict.against) for verdict in judged]
    tables.write(run, "verdicts", table)
    for number, verdict in enumerate(judged, 1):
        if len(verdict.details):
            tables.write(run, f"verdict-{number}", verdict.details)


def evidence_of(
    run: RunDirectory, tasks: Iterable[Task], final: dict[str, np.ndarray]
) -> Evidence:
    """The final outputs of a run's models, sorted as evidence for the claims.

    Where the students of the controls' alpha are not there, controls with soft targets
    are left out: beside other students, alpha would differ, too.

    Args:
      run: the run directory.
      tasks: those that have records.
      final: softmax `[n_test, classes]` of the last snapshot by the name of the model.
    """
    groups: dict[str, dict] = {family: {} for family in (*COMPRESSED, "control")}
    teachers = {}
    tasks = list(tasks)
    alphas = {t.settings["alpha"] for t in tasks if t.family == "student"}
    for task in tasks:
        alpha = task.settings.get("alpha")
        if task.family == "control" and alphas and alpha not in {None, *alphas}:
            continue
        match task.family:
            case "student":
                seeds = groups["student"].setdefault(task.settings["alpha"], {})
                seeds[task.settings["order"]] = final[task.name]
            case "control":
                seeds = groups["control"].setdefault(task.settings["control"], {})
                seed = task.settings.get("start", task.settings["order"])
                seeds[seed] = final[task.name]
                if task.settings["control"] == ANOTHER_TEACHER:
                    teachers[seed] = task.settings["teacher"]
            case "quantized":
                groups["quantized"][task.settings["mode"]] = final[task.name]
            case "pruned":
                groups["pruned"][task.settings["level"]] = final[task.name]
    return Evidence(
        base=final["base"],
        labels=run.labels,
        leans_on_teacher=run.config.alpha_convention == "teacher",
        soft_targets=run.config.soft_targets,
        independents=[final[t.name] for t in tasks if t.family == "independent"],
        controls=groups["control"],
        teachers=teachers,
        students=groups["student"],
        quantized=groups["quantized"],
        pruned=groups["pruned"],
        same_optimizer=run.config.student_optimizer == BASE_OPTIMIZER,
        shared_order=run.config.data_order == "fixed"
        and {*run.config.distillation_seeds} != {run.config.seed},
    )


def size(run: RunDirectory, task: Task) -> int:
    """Bytes of a model's file after zlib, which shrinks the files of pruned models.

    If the file was not kept, the size comes from the table made when it existed.

    Args:
      run: the run directory.
      task: that made the model.
    """
    if file := run.record(task.name).model:
        return len(zlib.compress(file.read_bytes(), 1))
    sizes = tables.read(run, "preserved_by_size").set_index("group")["bytes"]
    return int(sizes[group_of(task)])


def _write_measures(run, tasks, final, jobs) -> None:
    """All measures against the base model, function preserved, all pairs."""
    base, labels = final["base"], run.labels
    others = [task for task in tasks if task.name != "base"]
    rows = {
        task.name: {"family": task.family}
        | similarity.all_measures(base, final[task.name], labels)
        | tails.per_model(base, final[task.name])
        for task in others
    }
    measures = pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")
    tables.write(run, "similarity", measures := measures.reset_index())
    changed = tails.changes(final, others)
    tables.write(run, "tails", tails.table(measures, changed, others))
    again = tails.changed_images(changed, others, base, labels, run.class_names)
    tables.write(run, "changed_images", again)
    independents = [final[t.name] for t in others if t.family == "independent"]
    if independents:
        candidates = [final[task.name] for task in others]
        preserved = similarity.function_preserved(
            base, candidates, independents, labels
        )
        table = pd.DataFrame(
            {
                "model": task.name,
                "family": task.family,
                "measure": measure,
                "ratio": kept.ratio,
                "ratio_low": kept.ratio_low,
                "ratio_high": kept.ratio_high,
                "preserved": kept.value,
                "low": kept.low,
                "high": kept.high,
                "rests_on": kept.rests_on,
            }
            for measure, found in preserved.items()
            for task, kept in zip(others, found.groups, strict=True)
        )
        tables.write(run, "function_preserved", table)
        named = table.assign(
            name=table["model"].map({t.name: naming.name(t) for t in others})
        )
        shown = (table["measure"] == MEASURE) & (table["family"] != "compressed")
        says = "Function preserved, by method"
        draw = figures.preserved.preserved_by_method
        jobs.draw(run, "preserved_by_method", says, draw, named[shown])
        compared = variants.table(run, others, final)
        if len(compared):
            tables.write(run, "variants", compared)
            says = "Students with one setting changed"
            jobs.draw(run, "variants", says, figures.preserved.variants, compared)
    apart = similarity.pairwise(list(final.values()), names=[MEASURE])[MEASURE]
    names = list(final)
    places = {name: place for place, name in enumerate(names)}
    pairs = pd.DataFrame(apart, columns=names, index=pd.Index(names, name="model"))
    tables.write(run, "distances", pairs.reset_index())
    shown = [task for task in tasks if task.family != "compressed"]  # would crowd it
    rows = [places[task.name] for task in shown]
    jobs.draw(
        run,
        "distances",
        "How far apart any two models are",
        figures.similarity.distance_heatmap,
        apart[np.ix_(rows, rows)],
        pd.DataFrame(
            {
                "name": [naming.in_figures(task) for task in shown],
                "label": [naming.training(task) for task in shown],
                "family": [task.family for task in shown],
            }
        ),
        JENSEN_SHANNON,
    )


def _draw_preserved(run, tasks, evidence, jobs) -> None:
    """Function preserved against size and sparsity; seeds of an alpha are one point."""
    if not evidence.has_scale:
        return
    groups: dict[str, list[Task]] = {}
    for task in tasks:
        if task.family in COMPRESSED:
            groups.setdefault(group_of(task), []).append(task)
    if not groups:
        return
    first = [members[0] for members in groups.values()]
    kept = [evidence.preserved(group) for group in groups]
    single = tables.preserved(run).set_index("model")["preserved"]
    points = pd.DataFrame(
        {
            "group": list(groups),
            "label": [task.label for task in first],
            "family": [task.family for task in first],
            "bytes": [size(run, task) for task in first],
            "sparsity": [task.settings.get("level") for task in first],
            "preserved": [found.value for found in kept],
            "low": [found.low for found in kept],
            "high": [found.high for found in kept],
            "each": [[single[t.name] for t in members] for members in groups.values()],
        }
    )
    tables.write(run, "preserved_by_size", points.drop(columns="each"))
    draw = figures.preserved.preserved_by_size
    says = "Function preserved, by size of the zipped file"
    jobs.draw(run, "preserved_by_size", says, draw, points)
    pruned = points[points["family"] == "pruned"].reset_index(drop=True)
    if len(pruned):
        pruned["sparsity"] = pruned["sparsity"].astype(float)
        draw = figures.preserved.preserved_by_sparsity
        says = "Function preserved, by weights pruned"
        jobs.draw(run, "preserved_by_sparsity", says, draw, pruned)


def group_of(task: Task) -> str:
    """The name of a compressed model's group in the evidence.

    Args:
      task: a student, or a quantized or pruned model.
    """
    match task.family:
        case "student":
            return student_group(task.settings["alpha"])
        case "pruned":
            return pruned_group(task.settings["level"])
    return task.settings["mode"]


def _write_trajectories(run, tasks, base, jobs) -> None:
    """Distance to the trained base model over the epochs."""
    trajectories = []
    for task in tasks:
        record = run.record(task.name)
        if len(record.softmax) > 1:
            followed = similarity.trajectory(
                base, record.softmax, run.labels, names=FOLLOWED
            )
            trajectories.append(
                record.metrics[["epoch"]].assign(
                    model=task.name,
                    family=task.family,
                    label=naming.in_figures(task),
                    **followed,
                )
            )
    if not trajectories:  # of a run of which the final outputs were kept
        return
    table = pd.concat(trajectories, ignore_index=True)
    columns = ["model", "family", "epoch", *FOLLOWED]
    tables.write(run, "trajectories", table[columns])
    shown = table[table["family"] != "variant"]
    jobs.draw(
        run,
        "distance_over_epochs",
        "How far models are from the trained base model",
        figures.similarity.distance_over_epochs,
        shown.rename(columns={"jensen_shannon": "distance"}),
        JENSEN_SHANNON,
    )


def _write_initialization(run, tasks, final) -> None:
    """How far the base model and what was made of it are from its untrained network.

    The last row is another untrained network, the first independent model's.
    """
    start = run.record("base").softmax
    if len(start) < 2:  # of a run of which the final outputs were kept
        return
    shown = [task for task in tasks if task.family in ("base", "quantized", "pruned")]
    table = pd.DataFrame(
        [(task.name, task.family) for task in shown], columns=["model", "family"]
    )
    outputs = [final[task.name] for task in shown]
    for task in [task for task in tasks if task.family == "independent"][:1]:
        table.loc[len(table)] = [f"{task.name}, untrained", "independent"]
        outputs.append(run.record(task.name).softmax[0])
    for column, reference in (("initialization", start[0]), ("base", final["base"])):
        found = similarity.trajectory(reference, outputs, names=[MEASURE])
        table[f"to_{column}"] = found[MEASURE]
    tables.write(run, "initialization", table)


def _write_classes(run, others, final, jobs) -> None:
    """Agreement with the base model by class, and the images changed most often."""
    base, labels = final["base"], run.labels
    left_out = ("control", "variant", "compressed")
    shown = [task for task in others if task.family not in left_out]
    if not shown:
        return
    agreement = pd.DataFrame(
        [
            1
            - similarity.by_class(base, final[t.name], labels, names=["disagreement"])[
                "disagreement"
            ]
            for t in shown
        ],
        columns=run.class_names,
        index=[naming.in_figures(task) for task in shown],
    )
    table = agreement.set_axis([t.name for t in shown]).rename(columns=no_formula)
    table.insert(0, "model", table.index, allow_duplicates=True)
    tables.write(run, "agreement_by_class", table)
    families = pd.Series([task.family for task in shown], agreement.index)
    seen = agreement.dropna(axis="columns", how="all")  # classes of test images
    by_label = seen.groupby(level=0, sort=False).mean()  # seeds together
    jobs.draw(
        run,
        "agreement_by_class",
        "Agreement with the base model, class by class",
        figures.similarity.agreement_by_class,
        by_label,
        [families[[label]].iloc[0] for label in by_label.index],
    )
    answers = base.argmax(axis=1)
    compressed = [task for task in shown if task.family in COMPRESSED]
    if not compressed:
        return
    after = np.array([final[t.name].argmax(axis=1) for t in compressed])
    methods = [task.label for task in compressed]
    images = (run.record("data").path / "images.npy").absolute()
    lost = figures.similarity.loses(answers, after, methods).any(axis=None)
    if lost and images.exists():
        says = "The test images whose predicted class most methods change"
        told = (run.class_names, labels, answers, after, methods)
        jobs.draw(run, "lost_images", says, _lost_images, images, *told)


def _lost_images(images: pathlib.Path, *told, title: str) -> Figure:
    """The figure; the images are read here, in the worker, since they are large."""
    shown = np.load(images, mmap_mode="r")
    return figures.similarity.lost_images(shown, *told, title=title)
