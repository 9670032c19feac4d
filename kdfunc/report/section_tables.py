"""Sections of the report page that consist of a table."""

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from kdfunc.analysis import corruptions as corrupted
from kdfunc.analysis import fidelity as measured
from kdfunc.analysis import variants as varied
from kdfunc.analysis.figures.fidelity import GROUPS, NAMES
from kdfunc.analysis.tails import COLUMNS as TAIL_COLUMNS
from kdfunc.catalog import FORMATS
from kdfunc.report import tables
from kdfunc.report.results import Results
from kdfunc.similarity.outcomes import OUTCOMES

#: Tables of the model files: table, heading, caption.
_FILES = (
    (
        "compression",
        "Sizes",
        "Size of every .tflite file and what its model preserves, with 95 % intervals "
        "in brackets",
    ),
    (
        "latency",
        "Latencies",
        "Time for one image on one thread of the machine that made these tables; each "
        "model was timed once, so differences within a format are probably noise",
    ),
)


def spread(run: Results) -> tables.Table | None:
    """The post hoc columns over several base models.

    Args:
      run: the run.
    """
    columns = ["own", "mean", "least", "most", "published", "predicted_low"]
    columns += ["predicted_high", "base_models"]
    table = run.table("spread", "method", "setting", *columns, "where")
    if table is None:
        return None
    more = ("notebook", "preserved")  # not in earlier tables
    kept = [column for column in table if column.startswith(more)]
    predicted = [
        "–" if np.isnan(low) else f"{low:.2f} to {high:.2f}"
        for low, high in table[["predicted_low", "predicted_high"]].to_numpy(float)
    ]
    shown = table[["own", "mean"]].assign(
        predicted=predicted,
        **table[["published", "where", *kept]],
        setting=table["method"] + ", " + table["setting"],
        mean_low=table["least"],
        mean_high=table["most"],
    )
    if shown["published"].isna().all():
        theirs = ["published", "where", "notebook", "notebook_where"]
        shown = shown.drop(columns=theirs, errors="ignore")
    return tables.of_run(
        run,
        "spread",
        "Accuracy, its relative deviation after compression, in %, and the function "
        f"preserved, over {table['base_models'].max()} base models, with the range in "
        "brackets",
        shown,
    )


def base_models(run: Results) -> int:
    """Over how many base models the spread is; 0 if there is none.

    Args:
      run: the run.
    """
    table = run.table("spread", "base_models")
    return 0 if table is None else int(table["base_models"].max())


def variants(run: Results) -> dict[str, Any] | None:
    """Students with one setting changed.

    Args:
      run: the run.
    """
    columns = ["ratio", "preserved", "accuracy_difference"]
    table = run.table("variants", "variant", "teacher", "models", *columns)
    if table is None:
        return None
    students = table["variant"].replace("none", "unchanged")
    alone = table["teacher"].eq("none").map({True: ", no teacher", False: ""})
    columns[2:2] = ["change", "taught"]
    ends = [f"{column}{end}" for column in columns for end in ("", "_low", "_high")]
    shown = table[[end for end in ("models", *ends, "rests_on") if end in table]]
    if "change" in table:
        place = shown.columns.get_loc("change")
        shown.insert(place, "outcome", table["outcome"])
    return {
        "sentence": varied.sentence(table) if "outcome" in table else "",
        "table": tables.of_run(
            run,
            "variants",
            "Students with one setting changed, with 95 % intervals over test images "
            "and seeds in brackets",
            shown.assign(students=students + alone),
        ),
    }


def flips(run: Results) -> list[tables.Table]:
    """How often the predicted class changes: by method, and separately by pipeline.

    Args:
      run: the run.
    """
    columns = ["disagreement", "negative_flips", "positive_flips"]
    table = run.table("similarity", "model", "family", *columns)
    if table is None:
        return []
    caption = "Share of test images, mean over the models of each row"
    found = []
    for of, rows in table.groupby(table["family"] == "compressed"):
        means = rows.groupby("name", sort=False)[columns].mean().reset_index()
        shown = tables.of_run(
            run, "similarity", caption + (": pipelines of several steps" * of), means
        )
        id = shown.id.replace("-table", "-pipelines-table" if of else "-table")
        found.append(dataclasses.replace(shown, id=id))
    return found


def tails(run: Results) -> tables.Table | None:
    """The images whose outputs change most.

    Args:
      run: the run.
    """
    again = ("changed_in_most", "changed_in_all")
    table = run.table("tails", "group", "models", *TAIL_COLUMNS, *again)
    if table is None:
        return None
    shown = ["name", "models", *TAIL_COLUMNS, *again]
    return tables.of_run(
        run,
        "tails",
        "Jensen-Shannon divergence from the base model that 95, 99 and 99.9 % of the "
        "test images do not exceed, in bits, and shares of the images; means over the "
        "trainings of each row",
        table[shown],
    )


def fidelity(run: Results) -> dict[str, Any] | None:
    """Rank correlations of cheap measures, one column per measure, and the answer.

    Args:
      run: the run.
    """
    numbers = ("models", "examples", "correlation", "low", "high")
    table = run.table("fidelity", "group", "measure", *numbers)
    if table is None:
        return None
    shown = pd.DataFrame(
        {"setting": f"{GROUPS[group]} ({models}), {examples:,} images"}
        | {
            name: f"{row.correlation:.2f} [{row.low:.2f}, {row.high:.2f}]"
            for key, name in NAMES.items()
            for row in rows[rows["measure"] == key].itertuples()
        }
        for (group, models, examples), rows in table.groupby(
            ["group", "models", "examples"], sort=False
        )
    )
    return {
        "sentence": measured.sentence(table),
        "table": tables.of_run(
            run,
            "fidelity",
            "Rank correlation with the distance from the base model (1 is the same "
            "ranking); brackets contain 95 % of the draws of the images",
            shown,
        ),
    }


def corruptions(run: Results) -> dict[str, Any] | None:
    """What models preserve on corrupted images, one row per set of images.

    Args:
      run: the run.
    """
    table = run.table("corruptions", "group", "family", "corruption", "outcome")
    numbers = ("strength", "images", "clean_base_accuracy", "base_accuracy", "models")
    numbers += ("correlation", "low", "high", *OUTCOMES)
    ranking = run.table("corruption_ranking", "corruption", *numbers)
    if table is None or ranking is None:
        return None
    shown = ranking[["base_accuracy", "correlation", *OUTCOMES]].assign(
        setting=[
            corrupted.named(*row)
            for row in zip(ranking["corruption"], ranking["strength"], strict=True)
        ],
        correlation_low=ranking["low"],
        correlation_high=ranking["high"],
    )
    return {
        "sentence": corrupted.sentences(table, ranking),
        "table": tables.of_run(
            run,
            "corruption_ranking",
            "Compressed models on corrupted images: rank correlation with clean "
            "images, with 95 % intervals over images in brackets; and how many models "
            "preserve less, as much or more there than on clean images",
            shown,
        ),
    }


def files(run: Results) -> list[tuple[str, str, tables.Table]]:
    """Tables of the model files: name, heading, table.

    Args:
      run: the run.
    """
    return [
        (name, heading, table)
        for name, heading, caption in _FILES
        if (table := _of_files(run, name, caption)) is not None
    ]


def _of_files(run: Results, name: str, caption: str) -> tables.Table | None:
    table = run.table(name, "model")
    if table is None:
        return None
    if "not_possible" in table:
        table = table[table["not_possible"].isna()]
    if name == "compression" and "base" in set(table["model"]):
        whole = table.loc[table["model"] == "base", "bytes"].iloc[0]
        at = table.columns.get_loc("bytes") + 1
        table.insert(at, "times_smaller", whole / table["bytes"])
    if name == "latency":
        times = table.set_index("model")["median_ms"]
        floats = [name for name, row in FORMATS.items() if row.floats and name in times]
        if floats:
            table = table.assign(times_faster=times[floats[0]] / table["median_ms"])
    hidden = ["model", "family", "method", "tuned", "operators", "not_possible"]
    hidden += ["rests_on", "disagreement"]  # other tables have them
    shown = table.drop(columns=hidden, errors="ignore").dropna(axis=1, how="all")
    first = [
        c for c in ("bytes", "times_smaller", "accuracy", "preserved") if c in shown
    ]
    shown = shown[[*first, *(c for c in shown if c not in first)]]
    return tables.of_run(run, name, caption, shown)


def not_possible(run: Results) -> list[tuple[str, str]]:
    """Models that cannot be made, and why.

    Args:
      run: the run.

    Returns:
      name and reason of each.
    """
    table = run.table("compression", "model")
    if table is None or "not_possible" not in table:
        return []
    rows = table.dropna(subset="not_possible")
    return list(zip(rows["name"], rows["not_possible"], strict=True))
