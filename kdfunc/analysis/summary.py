"""What a run came to in plain words: what page and terminal open with."""

import textwrap
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from kdfunc.analysis import names, pruned_arrays, tables
from kdfunc.catalog import FAIR_ZERO, FAMILIES
from kdfunc.config import ExperimentConfig
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.plan import Task
from kdfunc.similarity.claims import CLAIMS, MARGIN
from kdfunc.similarity.scale import count, score

_FEW = 3  # trainings of a kind, below which little can be told from chance
_OUTCOMES = ("supported", "contradicted", "undecided")

#: The words that a reader meets first, explained.
GLOSSARY = {
    "Base model": "the network that is compressed.",
    "Independent model": "the same network, trained again from other initial weights: "
    "it learnt the same task, but its function is its own.",
    "Student": "a network that was trained to answer as the base model, its teacher, "
    "does (distillation); alpha weighs teacher and true labels.",
    "Control": "a model that is trained like a student with one thing changed or taken "
    "away, such as the teacher, to tell which ingredient has which effect.",
    "Rung": "a step of the ladder from independent models to students, each with one "
    "ingredient more than the one before.",
    "Distance": "how much the probabilities of two models differ on the test images, "
    "as Jensen-Shannon divergence in bits: 0 is the same, 1 nothing in common.",
    "Function preserved": "100 % is the base model's own function, 0 % is as far from "
    "it as independent models are, by that distance; models that are farther are told "
    "by how many times as far they are.",
    "Interval": "where the true value lies in 95 of 100 cases, given these test images "
    "and so few trainings.",
}


def opening(
    config: ExperimentConfig,
    base_accuracy: float | None,
    learnt: bool,
    preserved: pd.DataFrame | None,
    verdicts: pd.DataFrame | None,
) -> str:
    """One paragraph: what was compared, what came out, how sure that is.

    Args:
      config: The experiment.
      base_accuracy: A share of the test images; None where it is not known.
      learnt: Whether the base model has learnt anything.
      preserved: A row per model with `model`, `family`, `name` (models that share it
        count as one, by their mean) and distance `ratio`; None without a yardstick.
      verdicts: A row per claim with its `outcome`; None where there are none.
    """
    right = ""
    if base_accuracy is not None:
        right = f", which answers {100 * base_accuracy:.1f} % of the test images right"
    sentences = [f"The base model is {names.title(config)}{right}."]
    if preserved is not None:
        there = set(preserved["family"])
        methods = [FAMILIES[f].by for f in FAMILIES if FAMILIES[f].by and f in there]
        independents = int((preserved["family"] == "independent").sum())
        ways = f" compressed by {_listed(methods)}" if methods else " trained again"
        sentences.append(
            f"It was{ways}, and each result is compared with it on all test images; "
            f"the yardstick is {count(independents, 'independent model')}, the "
            "same network trained again from other initial weights."
        )
    if preserved is not None and learnt:
        for family, row in FAMILIES.items():
            models = preserved[preserved["family"] == family]
            if row.by and len(models):
                kept = models.groupby("name", sort=False)["ratio"].mean()
                sentences.append(_range(row.plural, kept))
        fair = preserved[preserved["model"].str.startswith(f"{FAIR_ZERO}-")]
        if len(fair):
            sentences.append(
                "For comparison: independent models with the students' optimizer "
                f"{_kept(fair['ratio'].mean())}."
            )
    if verdicts is not None:
        sentences.append(_how_sure(verdicts["outcome"]))
    return " ".join(sentences)


def doubts(
    config: ExperimentConfig,
    models: Sequence[Task],
    warning: str,
    yardstick: pd.DataFrame | None,
) -> list[str]:
    """What a run cannot tell, each as a sentence or two.

    Args:
      config: The experiment.
      models: Those that are there, which may be fewer than the experiment has.
      warning: What is wrong with the base model, as `learnt` tells it; may be empty.
      yardstick: The table of that name; None where there is none.
    """
    told = [warning] if warning else []
    families = Counter(task.family for task in models)
    independents = families["independent"]
    if not independents:
        told.append(
            "There are no independent models, so there is no yardstick, and nothing "
            "can be said of how much of the function is preserved; add some with "
            + ("--stages=train,analyse." if config.independents else "--independents.")
        )
    elif independents < _FEW:
        told.append(
            f"The yardstick is {count(independents, 'independent model')} only, "
            + (
                "so chance in training is not covered and no claim is decided; "
                if independents == 1
                else "so all that is measured by it is uncertain; "
            )
            + "5 make a good one."
        )
    elif yardstick is not None and "spread" in yardstick:
        spread = yardstick["spread"].iloc[0] if len(yardstick) else 0
        if spread > MARGIN:
            told.append(
                f"Distances among the base model and the {independents} "
                f"independent models differ by {spread:.0f} % (standard deviation), so "
                "small differences near 0 % are left open."
            )
    students = Counter(task.group for task in models if task.family == "student")
    most = max(students.values(), default=0)
    if 0 < most < _FEW:
        told.append(
            "Each kind of student was trained once only, so no claim on students is "
            "decided."
            if most == 1
            else "No kind of student was trained more than twice, so chance in "
            "training can hardly be told from an effect."
        )
    usual = ExperimentConfig(dataset=config.dataset).epochs
    if config.epochs < usual:
        told.append(
            f"Training was short: {count(config.epochs, 'epoch')} instead of the "
            f"paper's {usual}. Networks that have not settled differ more."
        )
    if students and not families["control"]:
        told.append(
            "There are no controls, so what students have from their teacher cannot "
            "be told from what they have from its initial weights."
        )
    return told


def quoted(sentence: str) -> tuple[str, str]:
    """The sentence of a verdict that may be quoted, and the numbers that follow it.

    Args:
      sentence: Of a verdict.
    """
    plain, _, rest = sentence.partition(". ")
    return plain.removesuffix(".") + ".", rest


def of_run(run: RunDirectory, tasks: Sequence[Task]) -> str:
    """All of it for people at a terminal, from the tables that were just written.

    Args:
      run: The run directory, with its tables.
      tasks: Those whose records are there.
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
        doubts(run.config, tasks, warning, tables.read(run, "yardstick")),
        verdicts,
        notes(tables.read(run, "pruned_arrays")),
    )


def notes(pruned: pd.DataFrame | None) -> dict[str, str]:
    """What is to be read with the verdict on a claim, by the claim.

    Args:
      pruned: The table `pruned_arrays`; None of a network without batch normalization.
    """
    told = "" if pruned is None else pruned_arrays.sentence(pruned)
    return {CLAIMS[4].text: told} if told else {}


def terminal(
    paragraph: str,
    told: Sequence[str],
    verdicts: pd.DataFrame | None,
    notes: Mapping[str, str],
) -> str:
    """The same for people at a terminal, within 80 columns.

    Args:
      paragraph: From `opening`.
      told: From `doubts`.
      verdicts: The table of them, or None.
      notes: From the function of that name.
    """
    lines = [*textwrap.wrap(paragraph, 79), ""]
    if told:
        lines.append("What this run cannot tell:")
        for sentence in told:
            lines += textwrap.wrap(
                sentence, 79, initial_indent="- ", subsequent_indent="  "
            )
        lines.append("")
    if verdicts is not None:
        lines += ["The claims on these records:", ""]
        for verdict in verdicts.itertuples():
            indent = {"initial_indent": "  ", "subsequent_indent": "    "}
            lines += textwrap.wrap(
                f"{verdict.outcome.upper()}: {verdict.claim}", 79, **indent
            )
            plain, _ = quoted(verdict.sentence)
            indent["initial_indent"] = "    "
            lines += textwrap.wrap(plain, 79, **indent)
            lines += textwrap.wrap(notes.get(verdict.claim, ""), 79, **indent)
        lines += ["", "The numbers behind them: tables/verdicts.csv and report.html."]
    return "\n".join(lines)


def _how_sure(outcomes: pd.Series) -> str:
    told = outcomes.value_counts()
    if set(told.index) == {"undecided"}:
        return f"How sure: this run decides none of the {len(outcomes)} claims."
    counts = [f"{told[name]} {name}" for name in _OUTCOMES if name in told]
    counts[0] = counts[0].replace(" ", " is " if counts[0][:2] == "1 " else " are ")
    return (
        f"How sure: of {count(len(outcomes), 'claim')}, {_listed(counts)}. Chance "
        "alone would decide any of them wrongly in at most 1 of 20 such runs; "
        "undecided means that these trainings and images leave it open."
    )


def _range(what: str, kept: pd.Series) -> str:
    """From the least to the largest distance ratio of a family's kinds."""
    near, far = kept.idxmin(), kept.idxmax()
    ends = [_ratio(kept[near]), _ratio(kept[far])]
    if score(kept[far]) >= 99.85:  # which is 99.9 in one decimal
        return f"{what} preserve 99.9 % of its function or more."
    if kept[far] <= 1:
        low, high = (_percent(kept[name]) for name in (far, near))
        if high.startswith("more"):  # "99.9 % to more than 99.9 %" would be odd
            kept_of = f"{low} or more"
        else:
            kept_of = high if low == high else f"{low} to {high}"
        return f"{what} preserve {kept_of} of its function."
    if kept[near] > 1:
        times = ends[0] if ends[0] == ends[1] else f"{ends[0]} to {ends[1]}"
        return f"{what} are {times} times as far from it as independent models are."
    return (
        f"{what} range from {_percent(kept[near])} of its function ({_inside(near)}) "
        f"to {ends[1]} times as far from it as independent models are ({_inside(far)})."
    )


def _kept(ratio: float) -> str:
    """A distance ratio as a predicate."""
    if ratio <= 1:
        return f"preserve {_percent(ratio)} of its function"
    return f"are {_ratio(ratio)} times as far from it as independent models are"


def _inside(name: str) -> str:
    """A name within a sentence."""
    return name[:1].lower() + name[1:]


def _percent(ratio: float) -> str:
    kept = score(ratio)
    return "more than 99.9 %" if 99.9 < kept < 100 else f"{kept:.1f} %"


def _ratio(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.1f}"


def _listed(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last
