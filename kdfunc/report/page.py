"""The report page: one HTML file that needs nothing else, from a run's tables.

It reads what the analysis wrote (`config.json`, `provenance.json`, `tables/`,
`figures/`) and no records, so it can be made again from results that were published
without them. What is not there is left out, with a sentence on what it needs.
"""

import hashlib
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import jinja2
import pandas as pd

from kdfunc.analysis import corruptions, pruned_arrays, published, summary
from kdfunc.analysis.figures import fidelity
from kdfunc.analysis.figures.style import style
from kdfunc.analysis.tails import COLUMNS as TAIL_COLUMNS
from kdfunc.catalog import FORMATS
from kdfunc.config import PANELS, ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.report import (
    assets,
    charts,
    landscape_chart,
    overview,
    side_by_side,
    tables,
)
from kdfunc.report.results import Results
from kdfunc.runs import plan
from kdfunc.runs.records import RunDirectory
from kdfunc.similarity.groups import MEASURE
from kdfunc.text import duration
from kdfunc.writing import output_path, write_atomic

#: Tables of the model files: table, heading, caption.
_FILES = (
    (
        "compression",
        "Sizes",
        "Every .tflite file: its size, and what the model in it keeps; brackets hold "
        "95 % intervals",
    ),
    (
        "latency",
        "Latencies",
        "Time for one image, on one thread of the machine that made these tables",
    ),
)


def write(
    directories: Sequence[RunDirectory], path: str | os.PathLike[str]
) -> pathlib.Path:
    """Writes the page of one run, or of several side by side; whole or not at all.

    Args:
      directories: the runs.
      path: the file to write.

    Returns:
      The file.

    Raises:
      InputError: a directory holds no run, a table of it is damaged, or the page would
        replace what is no page.
    """
    read = ("config.json", "provenance.json", "records", "tables")
    inputs = [each.path / name for each in directories for name in read]
    written = output_path(path, inputs)
    pages = {}
    if len(directories) > 1:
        for each in directories:
            own = each.path / "report.html"
            if not own.exists():
                write_atomic(own, render([each]))
            near = os.path.relpath(
                own.resolve(), pathlib.Path(written).resolve().parent
            )
            pages[each.path] = quote(near.replace(os.sep, "/"))
    write_atomic(written, render(directories, pages))
    return pathlib.Path(path)


def damage(path: pathlib.Path) -> str | None:
    """What is wrong with a page that `write` wrote; None if it is whole."""
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, ValueError) as error:
        return f"{path.name} cannot be read ({error})"
    if text != _sealed(text.rpartition("<!-- sha256 ")[0]):
        return f"{path.name} is not what was written (checksum)"
    return None


def _sealed(html: str) -> str:
    """A page with its checksum in a comment at its end."""
    html = html.rstrip() + "\n"
    digest = hashlib.sha256(html.encode()).hexdigest()
    return f"{html}<!-- sha256 {digest} -->\n"


def render(
    directories: Sequence[RunDirectory],
    pages: Mapping[pathlib.Path, str] | None = None,
) -> str:
    """The page as HTML; arguments and errors as for `write`.

    Args:
      directories: the runs.
      pages: of several, where the page of each lies, by the path of its directory.
    """
    paths = [directory.path.resolve() for directory in directories]
    names = [path.name for path in paths]
    runs = [
        Results(directory, f"run{number}", str(path) if names.count(name) > 1 else name)
        for number, (directory, path, name) in enumerate(
            zip(directories, paths, names, strict=True), 1
        )
    ]
    for directory in directories:
        check(directory)
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("kdfunc.report", "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"duration": duration, "quoted": summary.quoted}
    html = environment.get_template("page.html.jinja").render(
        runs=[_sections(run) for run in runs] if len(runs) == 1 else [],
        comparison=side_by_side.compare(runs) if len(runs) > 1 else None,
        compared_runs=runs,
        overview=overview.rows(
            runs, {run.name: (pages or {}).get(run.directory.path) for run in runs}
        )
        if len(runs) > 1
        else [],
        columns=overview.COLUMNS,
        plotly=assets.plotly(),
        icons=side_by_side.ICONS,
        rule=published.RULE,
        glossary=summary.GLOSSARY,
    )
    return _sealed(html)


def check(directory: RunDirectory) -> None:
    """Refuses what is no run, or one without any table.

    Raises:
      InputError: it says what is missing.
    """
    _ = directory.config
    if not any(
        (directory.path / "tables" / f"{name}.csv").exists()
        for name in ("accuracy", "metrics")
    ):
        raise InputError(
            f"{directory.path} has no tables and no records to make them from; "
            "give a run directory, such as runs/digits-lenet-published."
        )


def _sections(run: Results) -> dict[str, Any]:
    """What the page shows of a run; None for what its tables do not hold."""
    return {
        "run": run,
        "opening": summary.opening(
            run.config,
            run.base_accuracy,
            not run.warning,
            run.preserved,
            run.verdicts,
        ),
        # The warning stands alone, before the rest.
        "doubts": summary.doubts(run.config, "", run.table("yardstick", "zero")),
        "paper_accuracy": _paper_accuracy(run),
        "accuracy": None if run.accuracy is None else tables.accuracy([run], run.id),
        "spread": _spread(run),
        "yardstick": _yardstick(run),
        "preserved": _preserved(run),
        "pruned_arrays": _pruned_arrays(run),
        "ladder": _ladder(run),
        "variants": _variants(run),
        "landscapes": _landscapes(run),
        "curves": _curves(run),
        "flips": _flips(run),
        "tails": _tails(run),
        "files": [
            (name, heading, table)
            for name, heading, caption in _FILES
            if (table := _files(run, name, caption)) is not None
        ],
        "not_possible": _not_possible(run),
        "fidelity": _fidelity(run),
        "corruptions": _corruptions(run),
        "figures": {
            name: assets.picture(run.figure(name))
            for name in (
                *("lost_images", "agreement_by_class", "spread", "fidelity"),
                "corruptions",
                *("variants", "preserved_by_size", "compression"),
            )
        },
        "command": run.config.command,
        "settings": _settings(run.config),
        "downloads": [
            (path.name, tables.uri("text/csv", path.read_bytes()))
            for path in sorted((run.directory.path / "tables").glob("*.csv"))
        ],
    }


def _paper_accuracy(run: Results) -> str | None:
    """The base model's accuracy as the paper gives it."""
    cells = published.load(run.config.dataset, run.config.architecture)
    return None if cells.empty else f"{cells['base_accuracy'].iloc[0]:g} %"


def _spread(run: Results) -> tables.Table | None:
    """The post hoc columns over several base models."""
    columns = ["own", "mean", "least", "most", "published"]
    table = run.table("spread", "method", "setting", *columns, "where")
    if table is None:
        return None
    shown = table[["own", "mean", "published", "where"]].assign(
        name=table["method"] + ", " + table["setting"],
        mean_low=table["least"],
        mean_high=table["most"],
    )
    if shown["published"].isna().all():
        shown = shown.drop(columns=["published", "where"])
    return tables.of_run(
        run,
        "spread",
        f"In %, over {table['base_models'].max()} base models: accuracy, and its "
        "relative deviation after compression; brackets hold the range",
        shown,
    )


def _yardstick(run: Results) -> list[str]:
    """What is to be said of the zeros before anything that is measured from them."""
    table = run.table("yardstick", "zero", "sentence")
    return [] if table is None else list(table["sentence"])


def _preserved(run: Results) -> dict[str, Any] | None:
    if run.preserved is None or run.preserved.empty:
        return None
    columns = ["name", "model", "ratio", "preserved", "low", "high", "rests_on"]
    shown = run.preserved[columns]
    of_pipelines = run.preserved["family"] == "compressed"
    return {
        "pipelines": bool(of_pipelines.any()),
        "chart": charts.to_page(
            charts.preserved(run.preserved[~of_pipelines]), f"{run.id}-preserved-chart"
        ),
        "table": tables.of_run(
            run,
            "function_preserved",
            "Function preserved by every model; brackets hold 95 % intervals over test "
            "images and the trainings that they rest on",
            shown,
        ),
    }


def _pruned_arrays(run: Results) -> dict[str, Any] | None:
    """What pruning does to batch normalization, of a network that has any."""
    numbers = ("level", "deviation", "ratio", "moving_variances", "zero")
    found = run.table("pruned_arrays", "model", "scope", *numbers)
    if found is None:
        return None
    names = [f"{100 * row.level:g} % of {row.scope}" for row in found.itertuples()]
    columns = ["deviation", "ratio", "moving_variances", "zero"]
    return {
        "sentence": pruned_arrays.sentence(found),
        "table": tables.of_run(
            run,
            "pruned_arrays",
            "Pruning of all arrays and of kernels alone",
            found[columns].assign(name=names),
        ),
    }


def _ladder(run: Results) -> dict[str, Any] | None:
    if run.ladder is None:
        return None
    columns = ["rung", "distance", "ratio", "preserved", "preserved_low"]
    columns += ["preserved_high", "rests_on", "step", "step_low", "step_high"]
    return {
        "chart": charts.to_page(charts.ladder(run.ladder), f"{run.id}-ladder-chart"),
        "table": tables.of_run(
            run, "ladder", "The rungs of the ladder", run.ladder[columns]
        ),
    }


def _variants(run: Results) -> tables.Table | None:
    columns = ["ratio", "preserved", "accuracy_difference"]
    table = run.table("variants", "variant", "teacher", "models", *columns)
    if table is None:
        return None
    students = table["variant"].replace("none", "as they were")
    alone = table["teacher"].eq("none").map({True: ", no teacher", False: ""})
    ends = [f"{column}{end}" for column in columns for end in ("", "_low", "_high")]
    ends += ["rests_on"]
    return tables.of_run(
        run,
        "variants",
        "Students with one setting changed; brackets hold 95 % intervals over test "
        "images and seeds",
        table[["models", *ends]].assign(students=students + alone),
    )


def _landscapes(run: Results) -> list[dict[str, Any]]:
    maps = run.table("landscape-stress", "panel", "stress")
    maps = {} if maps is None else maps.set_index("panel").to_dict("index")
    found = []
    for panel in PANELS:
        points = run.table(
            f"landscape-{panel}",
            "model",
            "family",
            "epoch",
            *landscape_chart.MAPS["t-SNE"],
        )
        if points is None or points.empty:
            continue
        id = f"{run.id}-{panel}"
        labels = {task.name: task.label for task in plan.make(run.config)}
        points["label"] = [labels.get(name, name) for name in points["model"]]
        drawn = landscape_chart.landscape(points)
        last = points.sort_values("epoch").groupby("model", sort=False).tail(1)
        found.append(
            {
                "id": id,
                "panel": panel,
                "chart": charts.to_page(drawn.figure, f"{id}-chart"),
                "landscape": drawn,
                "families": {name: style(name) for name in drawn.traces},
                "maps": maps.get(panel, {}),
                "static": assets.picture(run.figure(panel)),
                "table": tables.of_run(
                    run,
                    f"landscape-{panel}",
                    "Where each model lies after its last epoch (the download has all "
                    "epochs)",
                    last.drop(columns=["family", "name", "label"]),
                ),
            }
        )
    return found


def _curves(run: Results) -> dict[str, Any] | None:
    if run.metrics is None:
        return None
    trained = run.metrics[run.metrics.groupby("model")["epoch"].transform("size") > 1]
    if trained.empty:
        return None
    drawn = [
        ("accuracy", "Accuracy on the test set", trained, True),
        ("log_loss", "Log-loss on the test set", trained, False),
    ]
    followed = run.table("trajectories", "model", "family", "epoch", MEASURE)
    if followed is not None:
        title = "Distance from the trained base model (bits)"
        drawn.append((MEASURE, title, followed, False))
    last = run.metrics.groupby("model", sort=False).tail(1)
    # Ten lines in one chart are too many: controls have charts of their own.
    controls = ("control", "variant")
    ways = {
        "": lambda table: table[~table["family"].isin(controls)],
        "controls": lambda table: table[
            table["family"].isin((*controls, "base", "independent"))
        ],
    }
    if not trained["family"].isin(controls).any():
        del ways["controls"]
    return {
        "parts": [
            {
                "of": part,
                "charts": [
                    (
                        title,
                        charts.to_page(
                            charts.over_epochs(some(table), column, percent),
                            "-".join(filter(None, (run.id, column, part, "chart"))),
                        ),
                    )
                    for column, title, table, percent in drawn
                ],
                "lines": [line[1:] for line in charts.lines(some(trained))],
            }
            for part, some in ways.items()
        ],
        "table": tables.of_run(
            run,
            "metrics",
            "Every model after its last epoch (the download has all epochs)",
            last[["model", "epoch", "accuracy", "log_loss"]],
        ),
    }


def _flips(run: Results) -> tables.Table | None:
    columns = ["disagreement", "negative_flips", "positive_flips"]
    table = run.table("similarity", "model", *columns)
    if table is None:
        return None
    means = table.groupby("name", sort=False)[columns].mean().reset_index()
    return tables.of_run(
        run, "similarity", "Share of test images, mean over the models of a row", means
    )


def _tails(run: Results) -> tables.Table | None:
    again = ("changed_in_most", "changed_in_all")
    table = run.table("tails", "group", "models", *TAIL_COLUMNS, *again)
    if table is None:
        return None
    shown = ["name", "models", *TAIL_COLUMNS, *again]
    return tables.of_run(
        run,
        "tails",
        "The Jensen-Shannon divergence from the base model that 95, 99 and 99.9 % of "
        "the test images do not exceed, in bits, and shares of the images; means over "
        "the trainings of a row",
        table[shown],
    )


def _fidelity(run: Results) -> tables.Table | None:
    """Rank correlations of cheap measures, a column a measure."""
    numbers = ("models", "examples", "correlation", "low", "high")
    table = run.table("fidelity", "group", "measure", *numbers)
    if table is None:
        return None
    shown = pd.DataFrame(
        {"name": f"{fidelity.GROUPS[group]} ({models}), {examples:,} images"}
        | {
            name: f"{row.correlation:.2f} [{row.low:.2f}, {row.high:.2f}]"
            for key, name in fidelity.NAMES.items()
            for row in rows[rows["measure"] == key].itertuples()
        }
        for (group, models, examples), rows in table.groupby(
            ["group", "models", "examples"], sort=False
        )
    )
    return tables.of_run(
        run,
        "fidelity",
        "Rank correlation with the distance from the base model; 1 is the same "
        "ranking, brackets hold 95 % of draws of the images",
        shown,
    )


def _corruptions(run: Results) -> dict[str, Any] | None:
    """What models preserve on corrupted images, a row a set of these."""
    table = run.table("corruptions", "group", "family", "corruption", "outcome")
    numbers = ("strength", "images", "clean_base_accuracy", "base_accuracy", "models")
    numbers += ("correlation", "low", "high", *corruptions.OUTCOMES)
    ranking = run.table("corruption_ranking", "corruption", *numbers)
    if table is None or ranking is None:
        return None
    shown = ranking[["base_accuracy", "correlation", *corruptions.OUTCOMES]].assign(
        name=[
            corruptions.named(*row)
            for row in zip(ranking["corruption"], ranking["strength"], strict=True)
        ],
        correlation_low=ranking["low"],
        correlation_high=ranking["high"],
    )
    return {
        "sentence": corruptions.sentences(table, ranking),
        "table": tables.of_run(
            run,
            "corruption_ranking",
            "Compressed models on corrupted images: rank correlation with the clean "
            "images, brackets hold 95 % intervals over images; and how many preserve "
            "less, as much, or more there by the margin",
            shown,
        ),
    }


def _files(run: Results, name: str, caption: str) -> tables.Table | None:
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
        floats = [name for name, row in FORMATS.items() if row.floats]
        slow = table.loc[table["model"].isin(floats), "median_ms"]
        if len(slow):
            table = table.assign(times_faster=slow.iloc[0] / table["median_ms"])
    hidden = ["model", "family", "method", "tuned", "operators", "not_possible"]
    hidden.append("rests_on")  # the table of the function preserved has it
    shown = table.drop(columns=hidden, errors="ignore").dropna(axis=1, how="all")
    return tables.of_run(run, name, caption, shown)


def _not_possible(run: Results) -> list[tuple[str, str]]:
    """Models that a library cannot make, and why."""
    table = run.table("compression", "model")
    if table is None or "not_possible" not in table:
        return []
    rows = table.dropna(subset="not_possible")
    return list(zip(rows["name"], rows["not_possible"], strict=True))


def _settings(config: ExperimentConfig) -> list[tuple[str, str]]:
    return [
        (name.replace("_", " ").capitalize(), text.replace(",", ", ") or "none")
        for name, text in config.settings.items()
    ]
