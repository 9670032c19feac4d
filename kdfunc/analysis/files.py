"""Bytes, accuracy, function preserved and latency of `.tflite` files."""

import gzip
import json

import numpy as np
import pandas as pd

from kdfunc import edge, pipelines, text, writing
from kdfunc.analysis import figures, tables
from kdfunc.analysis.jobs import Jobs
from kdfunc.runs import plan
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.task import Task


def write(run: RunDirectory, tasks: list[Task], jobs: Jobs) -> None:
    """Writes `compression.csv`, `latency.csv` and the figure of a run's stored models.

    To be called once `similarity.write` has written the measures.

    Args:
      run: the run directory.
      tasks: those that have records.
      jobs: draws the figure.
    """
    stored = [t for t in tasks if (run.record(t.name).path / "model.tflite").exists()]
    refused = _refused(run)
    if not stored:
        writing.remove(run.path / "tables" / "latency.csv")  # of models that were here
    if not stored and not refused:
        return
    table = compression(run, stored, any(t.family == "independent" for t in tasks))
    tables.write(run, "compression", table)
    if stored:
        _write_latency(run, stored)
    if "compressed" in set(table["family"]) or refused:
        print(terminal(table), end="\n\n")
    shown = table[table["family"] != "base"].dropna(subset="preserved")
    if len(shown) and "compressed" in set(shown["family"]):
        draw = figures.compression.compression
        says = "Function preserved, by size of the .tflite file"
        jobs.draw(run, "compression", says, draw, shown)


def compression(run: RunDirectory, stored: list[Task], has_scale: bool) -> pd.DataFrame:
    """The models stored as `.tflite`, and those that cannot be.

    Args:
      run: a run directory with the tables `similarity` and `function_preserved`.
      stored: tasks whose records have a `model.tflite`.
      has_scale: whether there are independent models, without which the function
        preserved has no scale.

    Returns:
      One row per model, the base model's `.keras` file first, with columns `model`;
      `family`; what was done to the weights
      (`method`, a key of `catalog.METHODS`) and whether they were trained afterwards
      (`tuned`); `bytes` of the file and `gzip_bytes`; `weights`, how they are stored;
      `sparsity`, the share of them that is zero; `accuracy`; distance `ratio` and
      function `preserved` in percent with the ends of its interval, `low` and `high`,
      and what that `rests_on` (NaN without independent models); `disagreement` with the
      base model; `operators` as JSON; `not_possible`, why it cannot be made.
    """
    rows = [_base(run)]
    for task in stored:
        record = run.record(task.name)
        found = edge.inspect(record.path / "model.tflite")
        sizes = [np.prod(layer["shape"]) for layer in found["layers"]]
        zeros = [layer["zero_share"] for layer in found["layers"]]
        rows.append(
            {
                "model": task.name,
                "family": task.family,
                "method": pipelines.method(pipeline := _pipeline(task)),
                "tuned": pipelines.trainings(pipeline) > 0,
                "bytes": found["bytes"],
                "gzip_bytes": found["gzip_bytes"],
                "weights": found["quantization"]["name"],
                "sparsity": np.average(zeros, weights=sizes) if sizes else np.nan,
                "accuracy": record.metrics["accuracy"].iloc[-1],
                "operators": json.dumps(found["operators"]),
            }
        )
    rows += _refused(run)
    columns = ["model", "family", "method", "tuned", "bytes", "gzip_bytes", "weights"]
    columns += ["sparsity", "accuracy", "ratio", "preserved", "low", "high", "rests_on"]
    columns += ["disagreement", "operators"]
    table = pd.DataFrame(rows).astype({"bytes": "Int64", "gzip_bytes": "Int64"})
    table = table.merge(_measures(run, has_scale), on="model", how="left")
    itself = table["family"] == "base"
    if "preserved" in table:
        table.loc[itself, ["ratio", "preserved"]] = 0.0, 100.0
    table.loc[itself, "disagreement"] = 0.0
    return table.reindex(columns=[*columns, "not_possible"])


def _refused(run: RunDirectory) -> list[dict[str, object]]:
    """The rows of models that cannot be made."""
    return [
        {"model": task.name, "family": task.family, "not_possible": reason}
        for task in plan.make(run.config)
        if task.family and not task.replicate
        if (reason := run.record(task.name).not_possible)
    ]


def _base(run: RunDirectory) -> dict[str, object]:
    """The row of the base model, as Keras stores it."""
    content = (run.record("base").path / "final.keras").read_bytes()
    return {
        "model": "base",
        "family": "base",
        "bytes": len(content),
        "gzip_bytes": len(gzip.compress(content, mtime=0)),
        "weights": "float32 (.keras)",
        "accuracy": run.record("base").metrics["accuracy"].iloc[-1],
    }


def _pipeline(task: Task) -> str:
    """The pipeline that made a model; a mode is a pipeline of one step."""
    return task.settings.get("pipeline") or task.settings["mode"]


def terminal(table: pd.DataFrame) -> str:
    """The table of `compression` for the terminal, within 80 columns.

    Args:
      table: from `compression`.
    """
    made = table[table["not_possible"].isna()]
    rows = [
        (
            row.model,
            text.size(row.bytes),
            text.percent(row.accuracy),
            "-" if np.isnan(row.preserved) else f"{row.preserved:.1f} %",
            text.percent(row.disagreement),
        )
        for row in made.itertuples()
    ]
    header = ("Files", "size", "accuracy", "preserved", "other class")
    lines = [
        "Model files (.tflite) compared with the base model's .keras file; the last",
        "column is the share of test images whose predicted class differs:",
        "",
        text.table(header, rows),
    ]
    for row in table[table["not_possible"].notna()].itertuples():
        told = f"{row.model}: not possible ({row.not_possible})"
        lines.append(text.wrapped(told, "  ", "    "))
    return "\n".join(lines)


def _measures(run: RunDirectory, has_scale: bool) -> pd.DataFrame:
    """Function preserved and disagreement of each model, from the tables."""
    measures = tables.read(run, "similarity")
    if measures is None:  # there are no other models
        measures = pd.DataFrame({"model": []})
    measures = measures.reindex(columns=["model", "disagreement"])
    if has_scale:
        columns = ["model", "ratio", "preserved", "low", "high", "rests_on"]
        measures = measures.merge(tables.preserved(run)[columns], on="model")
    return measures


def _write_latency(run: RunDirectory, stored: list[Task]) -> None:
    """Times one image on one thread; a model that was timed before keeps its times.

    Times depend on the machine, not the experiment: this is the one table that differs
    between two runs of one config.
    """
    columns = ["model", "median_ms", "p90_ms", "p99_ms"]
    try:
        found = tables.read(run, "latency")
        known = [] if found is None else found[columns].to_dict("records")
    except (OSError, ValueError, KeyError):  # it is damaged
        known = []
    rows = {row["model"]: row for row in known}
    for task in stored:
        if task.name not in rows:
            (found,) = edge.benchmark(run.record(task.name).path / "model.tflite")
            rows[task.name] = {"model": task.name, **found}
    table = pd.DataFrame([rows[task.name] for task in stored], columns=columns)
    tables.write(run, "latency", table)
