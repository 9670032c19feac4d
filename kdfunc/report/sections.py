"""The sections of the report page on one run."""

from typing import Any

from kdfunc.analysis import pruned_arrays, published, summary
from kdfunc.analysis.figures.style import style
from kdfunc.config import PANELS, ExperimentConfig
from kdfunc.report import (
    assets,
    charts,
    landscape_chart,
    section_tables,
    tables,
)
from kdfunc.report.results import Results
from kdfunc.runs import plan
from kdfunc.similarity.groups import MEASURE

#: Columns of the table `pruned_arrays`.
_PRUNED = ("model", "scope", "level", "deviation", "ratio", "moving_variances", "zero")


def of_run(run: Results) -> dict[str, Any]:
    """What the page shows for one run.

    Args:
      run: the run.

    Returns:
      The content of each section by its name in `page.html.jinja`; None or empty if
      the run's tables do not have it.
    """
    return {
        "run": run,
        "opening": run.opening,
        # The warning stands alone, before the rest.
        "doubts": summary.doubts(
            run.config,
            run.models,
            "",
            run.table("yardstick", "zero", "distance"),
            run.metrics,
            run.table("trajectories", "model", "epoch", MEASURE),
        ),
        "paper_accuracy": _paper_accuracy(run),
        "accuracy": None if run.accuracy is None else tables.accuracy([run], run.id),
        "spread": section_tables.spread(run),
        "base_models": section_tables.base_models(run),
        "yardstick": _yardstick(run),
        "preserved": _preserved(run),
        "notes": summary.notes(run.table("pruned_arrays", *_PRUNED)),
        "pruned_arrays": _pruned_arrays(run),
        "ladder": _ladder(run),
        "variants": section_tables.variants(run),
        "landscapes": _landscapes(run),
        "curves": _curves(run),
        "flips": section_tables.flips(run),
        "tails": section_tables.tails(run),
        "files": section_tables.files(run),
        "not_possible": section_tables.not_possible(run),
        "fidelity": section_tables.fidelity(run),
        "corruptions": section_tables.corruptions(run),
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


def _yardstick(run: Results) -> list[str]:
    """Sentences on the zeros, to be read before anything measured from them."""
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
            "Function preserved by every model, with 95 % intervals over test images "
            "and trainings in brackets",
            shown,
        ),
    }


def _pruned_arrays(run: Results) -> dict[str, Any] | None:
    """What pruning does to batch normalization; None for a network without it."""
    found = run.table("pruned_arrays", *_PRUNED)
    if found is None:
        return None
    names = [f"{100 * row.level:g} % of {row.scope}" for row in found.itertuples()]
    columns = ["deviation", "ratio", "moving_variances", "zero"]
    return {
        "sentence": pruned_arrays.sentence(found),
        "table": tables.of_run(
            run,
            "pruned_arrays",
            "Pruning all arrays, and pruning kernels alone",
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
        "other_order": run.ladder["rung"].str.contains("other order").any(),
    }


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
                    "Position of each model after its last epoch (the download has all "
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


def _settings(config: ExperimentConfig) -> list[tuple[str, str]]:
    return [
        (name.replace("_", " ").capitalize(), text.replace(",", ", ") or "none")
        for name, text in config.settings.items()
    ]
