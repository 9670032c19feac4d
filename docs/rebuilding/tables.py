"""The tables of the documentation, each a function of the way to the repository."""

from collections.abc import Callable, Iterator
from functools import cache, partial

import pandas as pd

from kdfunc import presets
from kdfunc.analysis import published, setups
from kdfunc.analysis.figures import fidelity as fidelity_figure
from kdfunc.analysis.names import DATASET_NAMES, title
from kdfunc.config import ARCHITECTURE_NAMES, ExperimentConfig
from kdfunc.similarity import MEASURES
from kdfunc.similarity.groups import MEASURE
from kdfunc.similarity.scale import score
from rebuilding.runs import Result, markdown, paper, results, results_of

NOT_RUN = "not run yet"

#: Models of the paper, and what they are held against.
FAMILIES = ("independent", "control", "student", "quantized", "pruned")

#: The paper's Table 1, and the data set whose image size and classes its counts fit.
PUBLISHED_MODELS = {
    "lenet": ("mnist", "225,034", "0.879 MB"),
    "mobilenet": ("cifar10", "3,736,906", "14.34 MB"),
    "resnet50": ("cifar100", "24,634,980", "94.18 MB"),
}
#: The paper's Table 2 without its numbers of instances.
PUBLISHED_DATA = {
    "mnist": ("1 x 28 x 28", 10),
    "cifar10": ("3 x 32 x 32", 10),
    "cifar100": ("3 x 32 x 32", 100),
}
#: The paper's landscapes: panel and data set, architectures.
PUBLISHED_FIGURES = {
    2: ("all", "mnist", ["lenet"]),
    3: ("all", "cifar10", ["lenet", "resnet50", "mobilenet"]),
    4: ("all", "cifar100", ["lenet", "resnet50", "mobilenet"]),
    5: ("distillation", "mnist", ["lenet"]),
    6: ("distillation", "cifar10", ["lenet"]),
    7: ("distillation", "cifar100", ["lenet"]),
    8: ("distillation", "cifar10", ["mobilenet"]),
    9: ("distillation", "cifar100", ["mobilenet"]),
    10: ("distillation", "cifar10", ["resnet50"]),
}


def measures(root: str) -> str:
    """What the registry knows of every measure."""

    def bound(value: float) -> str:
        named = {2**0.5: "√2", float("inf"): "∞", -float("inf"): "-∞"}
        return named.get(value, f"{value:.3g}")

    return markdown(
        [
            "measure",
            "key",
            "range",
            "same function",
            "wanted",
            "symmetric",
            "labels",
            "source",
        ],
        (
            [
                f"[{m.label}](#{m.name})",
                f"`{m.name}`",
                f"{bound(m.low)} to {m.high_formula or bound(m.high)}",
                "" if m.identity is None else f"{m.identity:g}",
                m.better,
                "yes" if m.symmetric else "",
                "needed" if m.needs_labels else "",
                m.source,
            ]
            for m in MEASURES.values()
        ),
    )


def finished(root: str) -> str:
    """The finished runs."""
    rows = []
    for result in results():
        cells = paper().query(
            "dataset == @result.config.dataset "
            "and architecture == @result.config.architecture"
        )
        theirs = "" if cells.empty else f"{cells['base_accuracy'].iloc[0]:.2f} %"
        ours = f"{100 * result.base_accuracy:.2f} %"
        name = result.cited(root)
        rows.append([name, ours, theirs, result.time])
    return markdown(["run", "accuracy of the base model", "the paper's", "time"], rows)


def runs(root: str) -> str:
    """The paper's runs: how each is made and what is there."""
    rows = []
    pairs = paper()[["dataset", "architecture"]].drop_duplicates()
    for dataset, architecture in pairs.itertuples(index=False):
        command = f"python run_experiments.py --dataset={dataset}"
        if architecture != ExperimentConfig.architecture:
            command += f" --architecture={architecture}"
        there = [r.cited(root) for r in results_of(dataset, architecture)]
        rows.append(
            [
                DATASET_NAMES[dataset],
                ARCHITECTURE_NAMES[architecture],
                f"`{command}`",
                "<br>".join(there) or NOT_RUN,
            ]
        )
    return markdown(["data set", "architecture", "command", "in results/"], rows)


def table_1(root: str) -> str:
    """Parameters and sizes, from models that are built for it."""
    from kdfunc import models  # TensorFlow, for this table alone

    rows = []
    pairs = paper()[["dataset", "architecture"]].drop_duplicates()
    for dataset, architecture in pairs.itertuples(index=False):
        shape, classes = described(dataset)
        model = models.build(architecture, shape, classes, seed=0)
        trainable = sum(
            weight.shape.num_elements() for weight in model.trainable_weights
        )
        theirs = ("", "")
        fits, *numbers = PUBLISHED_MODELS[architecture]
        if fits == dataset:
            theirs = numbers
        rows.append(
            [
                ARCHITECTURE_NAMES[architecture],
                DATASET_NAMES[dataset],
                f"{trainable:,}",
                theirs[0],
                f"{model.count_params():,}",
                f"{4 * model.count_params() / 2**20:.3f} MiB",
                theirs[1],
            ]
        )
    return markdown(
        [
            "model",
            "data set",
            "trainable parameters",
            "the paper's",
            "all parameters",
            "float32 size",
            "the paper's",
        ],
        rows,
    )


def table_2(root: str) -> str:
    """Images and classes, from the definitions of the data sets in TFDS."""
    rows = []
    for dataset, (dimensions, classes) in PUBLISHED_DATA.items():
        (height, width, channels), ours = described(dataset)
        rows.append(
            [
                DATASET_NAMES[dataset],
                f"{channels} x {height} x {width}",
                dimensions,
                ours,
                classes,
            ]
        )
    return markdown(
        ["data set", "images", "the paper's", "classes", "the paper's"], rows
    )


@cache
def described(dataset: str) -> tuple[tuple[int, int, int], int]:
    """Shape of the images and number of classes of a data set, prepared or not."""
    import tensorflow_datasets as tfds

    features = tfds.builder(dataset, try_gcs=False).info.features
    return features["image"].shape, features["label"].num_classes


def deviations(number: int, root: str) -> str:
    """One of the paper's Tables 3 to 5, and ours."""
    printed = paper().query("table == @number")
    settings = list(printed["setting"].unique())
    rows: list[list[str]] = []
    for (dataset, architecture), cells in printed.groupby(
        ["dataset", "architecture"], sort=False
    ):
        name = ARCHITECTURE_NAMES[architecture]
        rows.append([f"**{name}**, the paper", *theirs(cells, settings)])
        for result in results_of(dataset, architecture):
            rows += ours(result, settings, root)
        if not results_of(dataset, architecture):
            rows.append([f"{name}, here", NOT_RUN, *[""] * len(settings)])
    return markdown(["", "accuracy of B", *settings], rows)


def theirs(cells: pd.DataFrame, settings: list[str]) -> Iterator[str]:
    """The paper's row of an architecture, as it is printed."""
    yield f"{cells['base_accuracy'].iloc[0]:g}"
    for row in cells.set_index("setting").loc[settings].itertuples():
        yield _cell(row, _as_printed)


def ours(result: Result, settings: list[str], root: str) -> Iterator[list[str]]:
    """A run's row, and under `published`, which is the paper's, the differences."""
    config = result.config
    table = published.compare(
        result.table("accuracy"), config.dataset, config.architecture
    )
    table = table.set_index("setting").reindex(settings)
    accuracy = f"{100 * result.base_accuracy:.2f}"
    numbers = (_cell(row, "{:.2f}".format) for row in table.itertuples())
    yield [result.cited(root), accuracy, *numbers]
    if config.preset == "published":
        yield [
            "difference",
            "",
            *(_difference(row) for row in table.itertuples()),
        ]


def _difference(row) -> str:
    """From the paper; bold where it is marked, empty where the run has no number."""
    if pd.isna(row.difference):
        return ""
    return f"**{row.difference:+.2f}**" if row.marked else f"{row.difference:+.2f}"


def _as_printed(value: float) -> str:
    """With the third decimal where the paper has one."""
    return f"{value:.3f}".removesuffix("0")


def _cell(row, text: Callable[[float], str]) -> str:
    """A mean and, where there are several models, its spread."""
    if pd.isna(row.deviation):
        return ""
    return text(row.deviation) + ("" if pd.isna(row.std) else f" (±{text(row.std)})")


def figures(root: str) -> str:
    """The paper's landscapes and ours."""
    rows = []
    for number, (panel, dataset, architectures) in PUBLISHED_FIGURES.items():
        for architecture in architectures:
            ours = [
                result.link(root, f"figures/{panel}.png", result.config.preset)
                + result.deviations
                for result in results_of(dataset, architecture)
                if (result.path / "figures" / f"{panel}.png").exists()
            ]
            rows.append(
                [
                    number,
                    ARCHITECTURE_NAMES[architecture],
                    DATASET_NAMES[dataset],
                    panel,
                    ", ".join(ours) or NOT_RUN,
                ]
            )
    return markdown(["figure", "architecture", "data set", "panel", "ours"], rows)


def preserved(root: str) -> str:
    """Function preserved and distance ratio in each run, seeds together."""
    columns, rows = [], []
    for result in results():
        table = result.table("function_preserved")
        if table is None:
            rows.append((result.cited(root), {"independent": "not measured"}))
            continue
        shown = (table["measure"] == MEASURE) & table["family"].isin(FAMILIES)
        table = table[shown]
        group = table["model"].str.replace(r"(-(seed\d+|\d+))+$", "", regex=True)
        group = group.where(table["family"] != "pruned", table["model"])
        ratios = table.groupby(group, sort=False)["ratio"].mean()
        columns += [name for name in ratios.index if name not in columns]
        texts = ratios.map(lambda ratio: f"{score(ratio):.1f} ({ratio:.3g})")
        rows.append((result.cited(root), texts.to_dict()))
    columns = columns or ["independent"]
    return markdown(
        ["run", *columns],
        ([link, *(cells.get(name, "") for name in columns)] for link, cells in rows),
    )


def verdicts(root: str) -> str:
    """Each claim in each run with its effect, and one answer over all of them."""
    told = {r: t for r in results() if (t := r.table("verdicts")) is not None}
    if not told:
        return "No run in `results/` has been judged yet.\n"
    asked = [setups.Setup(r.link(root), r.config, t) for r, t in told.items()]
    together = setups.answers(asked)
    texts = {
        f"{setup.name}{_marked(setup, result)}": {
            row.claim: judged(row, _judged_today(result))
            for row in setup.verdicts.itertuples()
        }
        for result, setup in zip(told, asked, strict=True)
    }
    rows = (
        [claim, *(cells.get(claim, "") for cells in texts.values()), answer.outcome]
        for claim, answer in together.items()
    )
    said = "".join(
        f"- {each.claim} {each.outcome.capitalize()}. {each.sentence}\n"
        for each in together.values()
    )
    return markdown(["claim", *texts, "all set-ups"], rows) + f"\n{said}"


def _marked(setup: setups.Setup, result: Result) -> str:
    """What a reader must know of a run, in brackets."""
    marks = [setup.marks] if setup.marks else []
    if result.config.alphas and "student" not in _families(result):
        marks += ["no students yet"]
    marks += [] if _judged_today(result) else ["rules of an earlier version"]
    return f" ({'; '.join(marks)})" if marks else ""


def _families(result: Result) -> set[str]:
    """Which kinds of models there are."""
    return {task.family for task in result.models}


def missing(root: str) -> str:
    """What of the paper's grid is not there, for each pair and preset."""
    rows = []
    pairs = paper()[["dataset", "architecture"]].drop_duplicates()
    for dataset, architecture in pairs.itertuples(index=False):
        there = {r.config.preset: r for r in results_of(dataset, architecture)}
        name = title(ExperimentConfig(dataset=dataset, architecture=architecture))
        cells = (_lacks(there.get(preset), root) for preset in presets.RULES)
        rows.append([name, *cells])
    return markdown(["", *(f"`{preset}`" for preset in presets.RULES)], rows)


def _lacks(result: Result | None, root: str) -> str:
    """What a run has not; a run that is not there has nothing."""
    if result is None:
        return NOT_RUN
    config = result.config
    families = _families(result)
    lacks = {
        f"{config.epochs} epochs instead of {setups.EPOCHS}": config.epochs
        < setups.EPOCHS,
        "no students": "student" not in families,
        "no controls": "control" not in families,
        "one base model, no spread": result.table("spread") is None,
        "tables of an earlier version": not _judged_today(result),
    }
    told = "; ".join(text for text, lacking in lacks.items() if lacking)
    return f"{result.cited(root)}: {told or 'all there'}"


def _judged_today(result: Result) -> bool:
    """Whether the claims were judged by the rules of this version."""
    table = result.table("verdicts")
    return table is not None and "scale" in table


def spread(root: str) -> str:
    """Mean and range over base models, and where the paper's numbers lie."""
    told = {r: t for r in results() if (t := r.table("spread")) is not None}
    if not told:
        return (
            "No run in `results/` has more than one base model yet; "
            "`--base_models=5` adds them to a run.\n"
        )
    rows = [
        [result.cited(root), *cells]
        for result, table in told.items()
        for cells in spread_of(table)
    ]
    return markdown(["run", *SPREAD], rows)


#: What `spread_of` gives.
SPREAD = (
    *("%", "own base model", "mean", "range", "the paper's", "it lies"),
    "function preserved",
)


def spread_of(table: pd.DataFrame) -> Iterator[list[str]]:
    """The rows of a run."""
    for row in table.itertuples():
        yield [
            f"{row.method}, {row.setting}",
            *(f"{_no_minus_zero(value):.2f}" for value in (row.own, row.mean)),
            f"{row.least:.2f} to {row.most:.2f}",
            "" if pd.isna(row.published) else f"{row.published:g}",
            "" if pd.isna(row.where) else row.where,
            _kept_over(row),
        ]


def _kept_over(row) -> str:
    """Mean and range of the function preserved over base models."""
    if pd.isna(getattr(row, "preserved", float("nan"))):
        return ""
    low, high = row.preserved_low, row.preserved_high
    return f"{row.preserved:.1f} ({low:.1f} to {high:.1f})"


def _no_minus_zero(value: float) -> float:
    return round(value, 2) + 0.0


def fidelity(root: str) -> str:
    """How cheap measures on few images rank the compressed models of each run."""
    rows = []
    for result in results():
        table = result.table("fidelity")
        if table is None:
            continue
        few = table[table["examples"] == table["examples"].min()]
        for (group, count), each in few.groupby(["group", "models"], sort=False):
            by = each.set_index("measure")
            cells = [
                f"{row.correlation:.2f} [{row.low:.2f}, {row.high:.2f}]"
                for row in by.loc[list(fidelity_figure.NAMES)].itertuples()
            ]
            name = result.cited(root)
            rows.append([name, f"{fidelity_figure.GROUPS[group]} ({count})", *cells])
    if not rows:
        return "No run in `results/` has the table yet.\n"
    return markdown(["run", "models", *fidelity_figure.NAMES.values()], rows)


def judged(row, today: bool = True) -> str:
    """A verdict with its effect, if it has one, and whether by today's rules."""
    outcome = row.outcome if today else f"({row.outcome} by earlier rules)"
    if pd.isna(row.effect):
        return outcome
    return f"{outcome}, {interval(row.effect, row.low, row.high)}"


def interval(value: float, low: float, high: float) -> str:
    """A value and its interval, if that is known."""
    return f"{value:.1f}" + ("" if pd.isna(low) else f" [{low:.1f}, {high:.1f}]")


def ladder(root: str) -> str:
    """What each ingredient of distillation adds in each run."""
    columns, rows = {}, []
    for result in results():
        if result.ladder is None:
            continue
        steps = result.ladder[result.ladder["step"].notna()]
        cells = {
            row.rung.removesuffix(", other order"): interval(
                row.step, row.step_low, row.step_high
            )
            for row in steps.itertuples()
        }
        columns |= dict.fromkeys(cells)
        mark = "" if _judged_today(result) else " (rules of an earlier version)"
        rows.append((result.cited(root) + mark, cells))
    return markdown(
        ["run", *columns],
        ([link, *(cells.get(name, "") for name in columns)] for link, cells in rows),
    )


def compression(root: str) -> str:
    """What every pipeline leaves: bytes, function preserved, distance ratio."""
    columns, pictures = {}, []
    for result in results():
        table = result.table("compression")
        if table is None or "compressed" not in set(table["family"]):
            continue
        figure = "figures/compression.png"
        columns[result.cited(root)] = {
            row.model: _kept(row) for row in table.itertuples() if row.family != "base"
        }
        if (result.path / figure).exists():
            pictures.append(result.link(root, figure))
    if not columns:
        return "No run in `results/` has `--compressions` yet.\n"
    modes = dict.fromkeys(mode for cells in columns.values() for mode in cells)
    shown = markdown(
        ["pipeline", *columns],
        (
            [f"`{mode}`", *(cells.get(mode, "") for cells in columns.values())]
            for mode in modes
        ),
    )
    drawn = f"\nAs a picture: {', '.join(pictures)}.\n" if pictures else ""
    return shown + drawn


def _kept(row) -> str:
    """Bytes and function, or that a library cannot make the model."""
    if not pd.isna(row.not_possible):
        return "not possible"
    size = f"{row.bytes:,.0f}"
    if pd.isna(row.preserved):
        return size
    return f"{size}; {row.preserved:.1f} % ({row.ratio:.3g})"


TABLES: dict[str, Callable[[str], str]] = {
    "measures": measures,
    "finished": finished,
    "runs": runs,
    "table-1": table_1,
    "table-2": table_2,
    "table-3": partial(deviations, 3),
    "table-4": partial(deviations, 4),
    "table-5": partial(deviations, 5),
    "figures": figures,
    "preserved": preserved,
    "ladder": ladder,
    "verdicts": verdicts,
    "compression": compression,
    "missing": missing,
    "spread": spread,
    "fidelity": fidelity,
}
