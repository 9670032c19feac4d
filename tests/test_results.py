"""The results in the repository: complete, consistent, and close to the paper's."""

import json
import pathlib

import numpy as np
import pandas as pd
import pytest

from kdfunc.analysis import accuracy as accuracy_tables
from kdfunc.analysis import everything, spread
from kdfunc.config import PANELS, ExperimentConfig
from kdfunc.runs import kept
from kdfunc.runs.directory import RunDirectory

RESULTS = pathlib.Path(__file__).parents[1] / "results"
RUNS = sorted(path.parent for path in RESULTS.glob("*/config.json"))


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_a_result_tells_how_it_was_made(run):
    config = ExperimentConfig(**json.loads((run / "config.json").read_text("utf-8")))
    assert config.name == run.name
    session = json.loads((run / "provenance.json").read_text("utf-8"))[0]
    assert {"command", "seconds", "machine", "versions"} <= session.keys()
    methods = set(pd.read_csv(run / "tables" / "accuracy.csv")["method"])
    students = "Self-distillation" in methods
    for panel in PANELS if students else PANELS[1:]:  # the first is of students
        assert (run / "figures" / f"{panel}.png").stat().st_size > 10_000


@pytest.mark.parametrize("run", RUNS, ids=lambda run: run.name)
def test_the_table_follows_from_the_metrics(run):
    config = ExperimentConfig(**json.loads((run / "config.json").read_text("utf-8")))
    metrics = pd.read_csv(run / "tables" / "metrics.csv")
    accuracy = metrics.groupby("model")["accuracy"].last()
    table = pd.read_csv(run / "tables" / "accuracy.csv").set_index("setting")
    there = [alpha for alpha in config.alphas if f"alpha {alpha}" in table.index]
    for alpha in there:
        wanted = (f"student-alpha{alpha}-seed{s}" for s in config.distillation_seeds)
        names = [name for name in wanted if name in accuracy.index]
        deviations = accuracy_tables.deviation(accuracy[names], accuracy["base"])
        row = table.loc[f"alpha {alpha}"]
        assert row["models"] == len(names) > 0
        assert row["deviation"] == pytest.approx(deviations.mean())
        spread = deviations.std() if len(names) > 1 else np.nan
        assert row["std"] == pytest.approx(spread, nan_ok=True)
    assert table.loc["90 %", "accuracy"] == accuracy["pruned-90"]


def test_lenet_on_mnist_reaches_the_papers_accuracy():
    run = RESULTS / "mnist-lenet-published"
    metrics = pd.read_csv(run / "tables" / "metrics.csv")
    base = metrics[metrics["model"] == "base"]
    assert list(base["epoch"]) == list(range(26))
    assert base["accuracy"].iloc[-1] == pytest.approx(0.9915, abs=0.005)


KEPT = [run for run in RUNS if (run / kept.FILE).exists()]


@pytest.mark.parametrize("run", KEPT, ids=lambda run: run.name)
def test_the_tables_are_those_of_the_outputs_that_were_kept(run):
    assert (run / kept.FILE).stat().st_size <= kept.LIMIT
    outputs = kept.load(run / kept.FILE)
    table = pd.read_csv(run / "tables" / "similarity.csv").set_index("model")
    shown = [name for name in table.index if name in outputs]
    assert {"float16", "dynamic-range", "pruned-90"} <= {*shown}
    answers = {name: outputs[name].argmax(axis=1) for name in ("base", *shown)}
    differ = [np.mean(answers[name] != answers["base"]) for name in shown]
    np.testing.assert_allclose(table.loc[shown, "disagreement"], differ)
    accuracy = pd.read_csv(run / "tables" / "metrics.csv").groupby("model").last()
    for name in ("base", *shown):
        right = np.mean(answers[name] == outputs["labels"])
        assert accuracy.loc[name, "accuracy"] == pytest.approx(right)


@pytest.mark.parametrize("run", KEPT, ids=lambda run: run.name)
def test_the_spread_is_that_of_the_outputs_that_were_kept(run):
    directory = RunDirectory(run)
    found = spread.base_models(directory, everything.finished(directory))
    keys = ["base_model", "method", "setting"]
    table = pd.read_csv(run / "tables" / "base_models.csv").set_index(keys)
    found = found.set_index(keys)
    assert len(found) > 8
    table = table.loc[found.index]
    np.testing.assert_allclose(found["value"], table["value"], atol=1e-9)
    if not everything.left_out(directory):  # all base models are the yardstick
        np.testing.assert_allclose(found["preserved"], table["preserved"], atol=0.02)
