"""The page of a run in `results/`: how it was made and what came out."""

from collections.abc import Iterator

import pandas as pd

from kdfunc.analysis import corruptions, everything, published, summary, variants
from kdfunc.analysis import names as naming
from kdfunc.analysis.similarity import group_of
from kdfunc.runs import kept, plan
from kdfunc.similarity.scale import score
from kdfunc.text import listed
from rebuilding.findings import (
    CORRUPTIONS,
    SPREAD,
    VARIANTS,
    corruptions_of,
    interval,
    judged,
    spread_of,
    variants_of,
)
from rebuilding.published_tables import (
    in_notebooks,
    notebooks_name,
    ours,
    theirs,
)
from rebuilding.runs import Result, markdown

#: Pictures of the page: the file's name and what it shows.
PICTURES = {
    "preserved_by_method": "Function preserved by each method",
    "ladder": "What each ingredient of distillation adds",
    "variants": "Students with one setting changed",
    "spread": "Spread over base models",
    "compression": "Function preserved against bytes",
    "corruptions": "Function preserved on corrupted and on clean images",
    "all": "The landscape of all methods, by t-SNE and as a metric map",
    "distillation": "The landscape of distillation",
}


def page(result: Result) -> str:
    """The page in Markdown.

    Args:
      result: the run.
    """
    return "\n".join(_parts(result))


def _parts(result: Result) -> Iterator[str]:
    config = result.config
    yield f"# {naming.title(config)}, preset `{config.preset}`{result.deviations}\n"
    yield "\n\n".join(result.opening) + "\n"
    yield "## How it was made\n"
    yield f"```sh\n{config.command}\n```\n"
    yield _made(result) + "\n"
    tables = (result.table(name) for name in ("yardstick", "metrics", "trajectories"))
    doubts = summary.doubts(config, result.models, result.warning, *tables)
    if doubts:
        yield "## What this run cannot tell\n"
        yield "".join(f"- {sentence}\n" for sentence in doubts)
    if len(published.load(config.dataset, config.architecture)):
        yield "## The paper's numbers and ours\n"
        yield (
            "Deviation of accuracy from the base model, in %; students: mean and "
            "population standard deviation over their seeds. "
            f"Bold marks {published.RULE}"
            + (
                " Another base model gives other numbers: see [the spread]"
                "(#the-spread-over-base-models).\n"
                if result.table("spread") is not None
                else "\n"
            )
        )
        yield _accuracy(result)
    table = result.table("spread")
    if table is not None:
        yield "## The spread over base models\n"
        yield markdown(SPREAD, spread_of(table))
    if result.verdicts is not None:
        yield "## The claims\n"
        yield _claims(result)
    if result.ladder is not None:
        yield "## The ladder\n"
        yield (
            "What each ingredient of distillation adds to the function preserved, in "
            "points. Each row with a `+` adds one to the row above it (logits take the "
            "place of probabilities); the others are checks, compared with the row "
            "that is named. Brackets hold 95 % intervals.\n"
        )
        yield _ladder(result)
    table = result.table("variants")
    if table is not None:
        yield "## Other students, other teachers\n"
        yield (
            f"{variants.sentence(table)} Students have the alpha that leans most on "
            "the teacher. Brackets hold 95 % intervals.\n"
        )
        yield markdown(VARIANTS, variants_of(table))
    if result.preserved is not None:
        yield "## Function preserved\n"
        yield (
            "100 % is the base model's own function; 0 % is as far from it as "
            "independent models are. Brackets hold 95 % intervals, over test images "
            "and trainings, for this base model; another can give a value outside.\n"
        )
        yield _preserved(result)
    told = corruptions.told(result.directory, result.models)
    if told:
        yield "## On corrupted images\n"
        yield (
            f"{told}\n\nRank correlations have 95 % intervals over images in brackets; "
            "the last four columns count the compressed models that preserve less, as "
            "much or more there than on clean images.\n"
        )
        yield markdown(CORRUPTIONS, corruptions_of(result.table("corruption_ranking")))
    yield "## Pictures\n"
    for name, text in PICTURES.items():
        if (result.path / "figures" / f"{name}.png").exists():
            yield f"![{text}](figures/{name}.png)\n"


def _made(result: Result) -> str:
    """Time, machine and versions, in words."""
    tasks, session = len(result.times), result.sessions[-1]
    machine = session["machine"]
    processors = ", ".join(dict.fromkeys(result.times["instruction_set"].dropna()))
    onednn = "on" if result.times["onednn"].all() else "off"
    versions = ", ".join(f"{name} {v}" for name, v in session["versions"].items())
    return (
        f"{tasks} tasks took {result.time} ({processors}; oneDNN {onednn}; "
        f"{machine['system'].split('-')[0]}); [times.csv](times.csv) has the time of "
        "each, [provenance.json](provenance.json) the commands, machines and versions. "
        f"Versions: {versions}. Models and records are not kept in the repository. "
        + _outputs(result)
        + _left_out(result)
    )


def _left_out(result: Result) -> str:
    """Which tasks of the command have not been run, if any."""
    planned = pd.Series([task.name for task in plan.make(result.config)])
    missing = ~planned.isin(result.times["task"])
    if not missing.any():
        return ""
    seeds = planned.str.extract(r"-seed(\d+)$", expand=False)
    absent = missing.groupby(seeds).transform("all").eq(True)
    named = [f"`{name}`" for name in planned[missing & ~absent]]
    if absent.any():
        those = listed(seeds[absent].unique().tolist())
        named.append(f"all {absent.sum()} tasks of the distillation seeds {those}")
    return (
        f"\n\nOf the {len(planned)} tasks that the command makes, {missing.sum()} have "
        f"not been run: {listed(named)}."
    )


def _outputs(result: Result) -> str:
    if not (result.path / kept.FILE).exists():
        return "Nor are final softmax outputs, which would be too large."
    missing = everything.left_out(result.directory)
    return (
        f"`{kept.FILE}` has the final softmax outputs of "
        + (
            f"all models but {len(missing)}, which would not fit into "
            f"{kept.LIMIT / 1e6:g} MB"
            if missing
            else "the models"
        )
        + f", so `kdfunc report --recompute results/{result.path.name}` makes tables "
        f"and verdicts {'of the others ' if missing else ''}again."
    )


def _accuracy(result: Result) -> str:
    config = result.config
    cells = published.load(config.dataset, config.architecture)
    settings = list(cells["setting"])
    rows = [
        ["the paper", *theirs(cells, settings)],
        [
            notebooks_name(config.dataset, config.architecture),
            *in_notebooks(cells, settings),
        ],
        *ours(result, settings, "../../"),
    ]
    rows[2][0] = "here"
    return markdown(["", "accuracy of B", *settings], rows)


def _claims(result: Result) -> str:
    notes = summary.notes(result.table("pruned_arrays"))
    rows = []
    for row in result.verdicts.itertuples():
        plain, _ = summary.first_sentence(row.sentence)
        told = " ".join(filter(None, [plain, notes.get(row.claim, "")]))
        rows.append([row.claim, judged(row), told])
    header = ["claim", "verdict, effect and 95 % interval", "in words"]
    return markdown(header, rows)


def _ladder(result: Result) -> str:
    names = result.ladder.set_index("group")["rung"]
    rows = [
        [
            row.rung,
            names.get(row.over, "") if row.side else "",
            row.models,
            interval(row.preserved, row.preserved_low, row.preserved_high),
            ""
            if pd.isna(row.step)
            else interval(row.step, row.step_low, row.step_high),
        ]
        for row in result.ladder.itertuples()
    ]
    header = ["", "compared with", "trainings", "function preserved, %", "adds"]
    return markdown(header, rows)


def _preserved(result: Result) -> str:
    """A row for each kind of model; trainings that differ by chance are averaged."""
    tasks, ends = {task.name: task for task in result.models}, _intervals(result)
    rows = []
    for name, kind in result.preserved.groupby("name", sort=False):
        ratio, first = kind["ratio"].mean(), kind.iloc[0]
        task = tasks[first["model"]]
        low, high = ends.get(name, (float("nan"), float("nan")))
        if len(kind) == 1:
            low, high = first["low"], first["high"]
        kept = interval(score(ratio), low, high)
        rows.append([_called(name, task.group), len(kind), kept, f"{ratio:.3g}"])
    header = ["models", "trainings", "function preserved, %", "distance ratio"]
    return markdown(header, rows)


def _intervals(result: Result) -> dict[str, tuple[float, float]]:
    """Ends of the intervals of models that were trained several times, by name."""
    found = {}
    if result.ladder is not None:
        ends = ["group", "preserved_low", "preserved_high"]
        found = {group: pair for group, *pair in result.ladder[ends].to_numpy()}
    sizes = result.table("preserved_by_size")
    if sizes is not None:
        ends = ["group", "low", "high"]
        found |= {group: pair for group, *pair in sizes[ends].to_numpy()}
    groups = {
        naming.name(task): task.settings.get("control") or group_of(task)
        for task in result.models
        if task.family in ("student", "control")
    }
    return {name: found[group] for name, group in groups.items() if group in found}


def _called(name: str, task: str) -> str:
    """The name for people to read, and the one in tables where it is another."""
    return f"`{task}`" if name == task else f"{name} (`{task}`)"
