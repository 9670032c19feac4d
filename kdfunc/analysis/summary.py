"""A run's results in plain words: the opening of the page and of the terminal."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import get_args

import numpy as np
import pandas as pd

from kdfunc.analysis import names, pruned_arrays, tables
from kdfunc.analysis.setups import EPOCHS
from kdfunc.catalog import FAIR_ZERO, FAMILIES, NO_TEACHER
from kdfunc.config import ExperimentConfig
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.task import Task
from kdfunc.similarity.claims import CLAIMS, MARGIN, Outcome
from kdfunc.similarity.groups import MEASURE
from kdfunc.similarity.scale import score
from kdfunc.text import count, listed, percent, wrapped

_WORSE = 0.8  # of its best accuracy, below which a network ends on a bad epoch
_FARTHER = 1.2  # times as far as independent models are, than an untrained network
_FEW = 3  # trainings of a kind below which chance can hardly be ruled out

#: The terms that a reader meets first, explained.
GLOSSARY = {
    "Base model": "the network that is compressed.",
    "Independent model": "the same network trained again from other initial weights: "
    "it learnt the same task but computes a function of its own.",
    "Student": "a network trained to imitate the base model, its teacher "
    "(distillation); alpha sets the weights of the teacher and of the true labels: "
    "which of the two it multiplies depends on the preset.",
    "Control": "a model trained like a student but with one thing changed or removed, "
    "such as the teacher, to show the effect of each ingredient.",
    "Rung": "a step of the ladder from independent models to students; each rung adds "
    "one ingredient, or several where its name says so.",
    "Pipeline": "steps of compression, such as prune90+finetune+sparse: pruneN sets "
    "the N % smallest kernel weights to zero, finetune trains on, clusterN leaves N "
    "values for each kernel, qat trains for 8-bit numbers, sparse stores only what is "
    "not zero; float16, dynamic-range, full-int8, int16x8 and int4 say how numbers are "
    "stored.",
    "Distance": "how much the probabilities of two models differ on the test images: "
    "their Jensen-Shannon divergence in bits, where 0 is no difference and 1 is "
    "nothing in common.",
    "Function preserved": "100 % is the base model's own function; 0 % is as far from "
    "it, by that distance, as independent models are. For models farther away, charts "
    "and sentences say how many times as far they are.",
    "Interval": "a 95 % confidence interval for this base model: with other test "
    "images and other trainings of the models compared with it, such an interval "
    "contains the true value in 95 of 100 cases. Another base model can give a value "
    "outside it.",
}


def opening(
    config: ExperimentConfig,
    base_accuracy: float | None,
    learnt: bool,
    preserved: pd.DataFrame | None,
    verdicts: pd.DataFrame | None,
) -> list[str]:
    """Up to three paragraphs: what was compared, what came out, how certain it is.

    Args:
      config: The experiment.
      base_accuracy: Of the test images, in [0, 1]; None if unknown.
      learnt: Whether the base model has learnt anything.
      preserved: A row per model with `model`, `family`, `name` (models that share it
        count as one, by their mean) and distance `ratio`; None without a yardstick.
      verdicts: A row per claim with its `outcome`; None if there are none.
    """
    right = ""
    if base_accuracy is not None:
        share = f"{100 * base_accuracy:.1f} %"
        right = f"; it classifies {share} of the test images correctly"
    compared = [f"The base model is {names.title(config)}{right}."]
    came_out = []
    if preserved is not None:
        there = set(preserved["family"])
        methods = [FAMILIES[f].by for f in FAMILIES if FAMILIES[f].by and f in there]
        independents = int((preserved["family"] == "independent").sum())
        ways = f" compressed by {listed(methods)}" if methods else " trained again"
        compared.append(
            f"It was{ways}. Each result is compared with it on all test images; "
            f"the yardstick is {count(independents, 'independent model')}, the "
            "same network trained again from other initial weights."
        )
        if "student" in there:
            compared.append(_direction(config))
    if preserved is not None and learnt:
        for family, row in FAMILIES.items():
            models = preserved[preserved["family"] == family]
            models = models[models["model"] != "float32"]  # which is not compressed
            if row.by and len(models):
                kept = models.groupby("name", sort=False)["ratio"].mean()
                came_out.append(_range(row.plural, kept))
        fair = preserved[preserved["model"].str.startswith(f"{FAIR_ZERO}-")]
        if len(fair):
            came_out.append(
                f"For comparison: {count(len(fair), 'independent model')} with the "
                f"students' optimizer {_kept(fair['ratio'])}."
            )
    sure = [] if verdicts is None else [_how_sure(verdicts["outcome"])]
    return [" ".join(part) for part in (compared, came_out, sure) if part]


def doubts(
    config: ExperimentConfig,
    models: Sequence[Task],
    warning: str,
    yardstick: pd.DataFrame | None,
    metrics: pd.DataFrame | None = None,
    trajectories: pd.DataFrame | None = None,
) -> list[str]:
    """What a run cannot tell, one string of a sentence or two for each point.

    Args:
      config: The experiment.
      models: Those that were made, perhaps fewer than the experiment has.
      warning: What is wrong with the base model, from `learnt`; may be empty.
      yardstick: The table of that name; None if there is none.
      metrics: The same.
      trajectories: The same.
    """
    told = [warning] if warning else []
    if yardstick is not None and trajectories is not None:
        told += _collapsed(yardstick, trajectories)
    if metrics is not None:
        told += _unlucky(metrics[metrics["model"] == "base"])
    families = Counter(task.family for task in models)
    independents = families["independent"]
    if not independents:
        told.append(
            "There are no independent models, so there is no yardstick to tell how "
            "much of the function is preserved; "
            + (
                "add some with --stages=train,analyse."
                if config.independents
                else "repeat the run in another --output_dir with --independents=5."
            )
        )
    elif independents < _FEW:
        told.append(
            f"The yardstick is only {count(independents, 'independent model')}, "
            + (
                "so chance in training is not covered and no claim is decided; "
                if independents == 1
                else f"so everything measured with it is uncertain{_known(yardstick)}; "
            )
            + "5 are better."
        )
    elif known := _known(yardstick):
        told.append(
            f"The {independents} independent models differ so much in their distance "
            f"to the base model that small differences cannot be decided{known}."
        )
    students = Counter(task.group for task in models if task.family == "student")
    most = max(students.values(), default=0)
    if 0 < most < _FEW:
        told.append(
            "Each kind of student was trained only once, so no claim about students "
            "is decided."
            if most == 1
            else "No kind of student was trained more than twice, so an effect can "
            "hardly be told from chance in training."
        )
    if config.alphas and not students:
        told.append(
            "No students were trained, so nothing can be said about distillation, and "
            "verdicts that compare all methods rest on the remaining ones."
        )
    if config.epochs < EPOCHS:
        told.append(
            f"Training was short: {count(config.epochs, 'epoch')} instead of the "
            f"paper's {EPOCHS}. Networks that have not converged differ more."
        )
    if students and not any(t.settings.get("control") == NO_TEACHER for t in models):
        asked = NO_TEACHER in config.controls
        flag = "--stages=control,analyse" if asked else f"--controls={NO_TEACHER}"
        told.append(
            "There are no models with the base model's initial weights and no teacher "
            f"({flag}), so the effect of the teacher cannot be separated from that of "
            "its initial weights."
        )
    return told


def _unlucky(base: pd.DataFrame) -> list[str]:
    """A sentence if the base model was much better before its last epoch."""
    by_epoch = base.set_index("epoch")["accuracy"]
    if by_epoch.empty or by_epoch.iloc[-1] >= _WORSE * by_epoch.max():
        return []
    return [
        f"The base model is right on {percent(by_epoch.iloc[-1])} of the test images, "
        f"but was right on {percent(by_epoch.max())} after epoch {by_epoch.idxmax()}: "
        "the network that is compressed here comes from a bad last epoch."
    ]


def _collapsed(yardstick: pd.DataFrame, trajectories: pd.DataFrame) -> list[str]:
    """A sentence if independent models are nearly as far as an untrained network."""
    start = trajectories.query("model == 'base' and epoch == 0")
    if yardstick.empty or start.empty:
        return []
    untrained = start[MEASURE].iloc[0] / yardstick["distance"].iloc[0]
    if untrained >= _FARTHER:
        return []
    return [
        "Independent models are hardly nearer to the base model than an untrained "
        f"network is (which is {untrained:.2f} times as far), so 0 % of the function "
        "preserved means that almost nothing is left, and a few percent mean little."
    ]


def _known(yardstick: pd.DataFrame | None) -> str:
    """How uncertain the zero of the scale is; empty if not known or within the margin.

    Args:
      yardstick: The table of that name, whose first row is of independent models.
    """
    if yardstick is None or "high" not in yardstick or yardstick.empty:
        return ""
    high = yardstick["high"].iloc[0]
    told = f": the zero of the scale is known only to within {high:.1f} points"
    return told if high > MARGIN else ""


def first_sentence(sentence: str) -> tuple[str, str]:
    """The plain first sentence of a verdict, and the numbers that follow it.

    Args:
      sentence: The verdict's.
    """
    plain, _, rest = sentence.partition(". ")
    return plain.removesuffix(".") + ".", rest


def of_run(run: RunDirectory, tasks: Sequence[Task]) -> str:
    """The whole summary for the terminal, from the tables that were just written.

    Args:
      run: The run directory, with its tables.
      tasks: Those that have records.
    """
    base = tables.read(run, "base").iloc[0]
    preserved = tables.preserved(run)
    if preserved is not None:
        called = {task.name: names.name(task) for task in tasks}
        preserved = preserved.assign(name=preserved["model"].map(called))
    warning = "" if pd.isna(base["warning"]) else base["warning"]
    verdicts = tables.read(run, "verdicts")
    return terminal(
        opening(run.config, base["accuracy"], not warning, preserved, verdicts),
        doubts(
            run.config,
            tasks,
            warning,
            tables.read(run, "yardstick"),
            tables.read(run, "metrics"),
            tables.read(run, "trajectories"),
        ),
        verdicts,
        notes(tables.read(run, "pruned_arrays")),
    )


def notes(pruned: pd.DataFrame | None) -> dict[str, str]:
    """Notes to be read with a verdict, by the claim.

    Args:
      pruned: The table `pruned_arrays`; None for a network without batch
        normalization.
    """
    told = "" if pruned is None else pruned_arrays.sentence(pruned)
    return {CLAIMS[4].text: told} if told else {}


def terminal(
    paragraphs: Sequence[str],
    told: Sequence[str],
    verdicts: pd.DataFrame | None,
    notes: Mapping[str, str],
) -> str:
    """The summary for the terminal, within 80 columns.

    Args:
      paragraphs: From `opening`.
      told: From `doubts`.
      verdicts: The table of them, or None.
      notes: From the function of that name.
    """
    lines = []
    for paragraph in paragraphs:
        lines += [wrapped(paragraph), ""]
    if told:
        lines.append("What this run cannot tell:")
        for sentence in told:
            lines.append(wrapped(sentence, "- ", "  "))
        lines.append("")
    if verdicts is not None:
        lines += ["The claims, judged on this run:", ""]
        for verdict in verdicts.itertuples():
            judged = f"{verdict.outcome.upper()}: {verdict.claim}"
            plain, _ = first_sentence(verdict.sentence)
            lines.append(wrapped(judged, "  ", "    "))
            note = notes.get(verdict.claim)
            lines += [wrapped(text, "    ", "    ") for text in (plain, note) if text]
        lines += ["", "For the numbers, see tables/verdicts.csv and report.html."]
    return "\n".join(lines)


def _direction(config: ExperimentConfig) -> str:
    """Which way alpha points, of which there are two conventions."""
    if config.alpha_convention == "labels":
        return (
            "Alpha weights the true labels: the larger it is, the less students learn "
            "from their teacher."
        )
    return (
        "Alpha weights the teacher: the larger it is, the more students learn from it."
    )


def _how_sure(outcomes: pd.Series) -> str:
    told = outcomes.value_counts()
    if set(told.index) == {"undecided"}:
        return f"Verdicts: this run decides none of the {len(outcomes)} claims."
    counts = [f"{told[name]} {name}" for name in get_args(Outcome) if name in told]
    counts[0] = counts[0].replace(" ", " is " if counts[0][:2] == "1 " else " are ")
    return (
        f"Verdicts: of {count(len(outcomes), 'claim')}, {listed(counts)}. The "
        "verdicts allow for chance in the test images and in the trainings, but not "
        "for a different base model: in at most 1 of 20 such runs does chance alone "
        "decide one or more claims wrongly. Undecided means that these trainings and "
        "images leave the claim open."
    )


def _range(what: str, kept: pd.Series) -> str:
    """From the least to the largest distance ratio of a family's kinds."""
    near, far = kept.idxmin(), kept.idxmax()
    if score(kept[far]) >= 99:
        least = np.floor(10 * score(kept[far])) / 10
        return f"{what} preserve at least {least:.1f} % of the base model's function."
    if kept[far] <= 1:
        low, high = (_percent(kept[name]) for name in (far, near))
        if high.startswith("more"):  # "99.9 % to more than 99.9 %" would be odd
            kept_of = f"{low} or more"
        else:
            kept_of = high if low == high else f"{low} to {high}"
        return f"{what} preserve {kept_of} of the base model's function."
    if kept[near] > 1:
        return f"{what} are {_times(kept[near], kept[far])} as independent models are."
    return (
        f"{what} range from preserving {_percent(kept[near])} of the base model's "
        f"function ({_inside(near)}) to being {_times(kept[far])} as independent "
        f"models are ({_inside(far)})."
    )


def _kept(ratios: pd.Series) -> str:
    """The mean distance ratio of one or several models as a predicate."""
    ratio, one = ratios.mean(), len(ratios) == 1
    if ratio <= 1:
        verb = "preserves" if one else "preserve"
        return f"{verb} {_percent(ratio)} of the base model's function"
    return f"{'is' if one else 'are'} {_times(ratio)} as independent models are"


def _times(*ratios: float) -> str:
    """How far from the base model, by one distance ratio or a range of them."""
    told = list(dict.fromkeys(map(_ratio, ratios)))
    if told == ["1.0"]:
        return "about as far from the base model"
    return f"{' to '.join(told)} times as far from the base model"


def _inside(name: str) -> str:
    """A name within a sentence."""
    return name[:1].lower() + name[1:]


def _percent(ratio: float) -> str:
    kept = score(ratio)
    return "more than 99.9 %" if 99.9 < kept < 100 else f"{kept:.1f} %"


def _ratio(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"
