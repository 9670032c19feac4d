"""The paper's tables and figures beside ours: functions of the way to the root."""

from collections.abc import Callable, Iterator
from functools import cache

import pandas as pd

from kdfunc.analysis import published
from kdfunc.analysis.names import DATASET_NAMES
from kdfunc.config import ARCHITECTURE_NAMES
from rebuilding.runs import NOT_RUN, Result, markdown, pairs, paper, results_of

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


def table_1(root: str) -> str:
    """Parameters and sizes, from models that are built for it."""
    from kdfunc import models  # TensorFlow, for this table alone

    rows = []
    for dataset, architecture in pairs():
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
        rows.append(
            [notebooks_name(dataset, architecture), *in_notebooks(cells, settings)]
        )
        for result in results_of(dataset, architecture):
            rows += ours(result, settings, root)
        if not results_of(dataset, architecture):
            rows.append([f"{name}, here", NOT_RUN, *[""] * len(settings)])
    return markdown(["", "accuracy of B", *settings], rows)


def _less(result: Result) -> str:
    """What tells a run from its preset, and how few of its students it has."""
    few = result.few("student")
    return result.deviations + (f" ({few})" if few else "")


def theirs(cells: pd.DataFrame, settings: list[str]) -> Iterator[str]:
    """The paper's row of an architecture, as it is printed."""
    yield f"{cells['base_accuracy'].iloc[0]:g}"
    for row in cells.set_index("setting").loc[settings].itertuples():
        yield _cell(row, _as_printed)


def notebooks_name(dataset: str, architecture: str) -> str:
    """What the row of the notebooks is called: whose students they are is not sure."""
    each = published.notebooks().query(
        "dataset == @dataset and architecture == @architecture"
    )
    other = each.loc[each["setting"] == "other base", "accuracy"]
    return "its notebooks" + "".join(f" (students of {x:g} %)" for x in other)


def in_notebooks(cells: pd.DataFrame, settings: list[str]) -> Iterator[str]:
    """The same by the accuracies that the author's notebooks print."""
    yield f"{cells['notebook_base'].iloc[0]:g}"
    names = {"notebook": "deviation", "notebook_std": "std"}
    printed = cells.set_index("setting")[[*names]].rename(columns=names)
    for row in printed.loc[settings].itertuples():
        yield _cell(row, "{:.2f}".format)


def ours(result: Result, settings: list[str], root: str) -> Iterator[list[str]]:
    """A run's row, and under `published`, which is the paper's, the differences."""
    config = result.config
    table = published.beside(
        result.table("accuracy"), config.dataset, config.architecture
    )
    table = table.set_index("setting").reindex(settings)
    accuracy = f"{100 * result.base_accuracy:.2f}"
    numbers = (_cell(row, "{:.2f}".format) for row in table.itertuples())
    yield [result.link(root) + _less(result), accuracy, *numbers]
    if config.preset == "published":
        yield [
            "difference",
            "",
            *(_difference(row) for row in table.itertuples()),
        ]


def independents(root: str) -> str:
    """Accuracies of base and independent models, and those that the notebooks print."""
    each = published.notebooks()
    each = each[each["method"] == "Base model"].set_index(["dataset", "architecture"])
    rows = []
    for pair in pairs():
        theirs = each.loc[[tuple(pair)]].set_index("setting")["accuracy"]
        for result in results_of(*pair):
            metrics = result.table("metrics")
            last = 100 * metrics.groupby("model", sort=False)["accuracy"].last()
            ours = last.filter(regex=r"^(base|independent-\d+)$")
            cells = (
                ", ".join(f"{value:.2f}" for value in models.filter(like=name))
                for models in (ours, theirs)
                for name in ("base", "independent")
            )
            rows.append([result.cited(root), *cells])
    header = ["base", "independent models", "the notebook's base", "its independent"]
    return markdown(["run", *header], rows)


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
                + _less(result)
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
