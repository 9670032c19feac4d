"""One row of the catalog and the function that it names are all that an addition takes.

A made-up mode, control and step go through plan, run, tables, figures and page. They
are those of docs/extending.md, whose text is followed in a copy of kdfunc.
"""

import json
import os
import pathlib
import re
import shutil
import subprocess
import sys

import pandas as pd
import pytest

from kdfunc import catalog
from kdfunc.lazy import named

ROOT = pathlib.Path(__file__).parents[1]

PAGE = (ROOT / "docs" / "extending.md").read_text("utf-8")

SCRIPT = """
import json
from matplotlib.text import Text

from kdfunc.analysis.jobs import Jobs
from kdfunc.config import ExperimentConfig
from kdfunc.runs import experiment

texts = {}
draw = Jobs.draw


def told(jobs, run, name, says, function, *arguments):
    figure = function(*arguments, title=says)
    texts[name] = [text.get_text() for text in figure.findobj(Text)]
    draw(jobs, run, name, says, function, *arguments)


Jobs.draw = told
config = ExperimentConfig(
    epochs=1,
    independents=1,
    alphas=(0.9,),
    distillation_seeds=(2,),
    quantization=("ternary",),
    pruning_levels=(0.5, 0.9),
    controls=("independent-optimizer", "same-start", "smoothed"),
    compressions=("noise20+full-int8",),
)
experiment.run(config, workers=0)
print(json.dumps(texts))
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The run directory, what the figures say, and what was printed."""
    folder = tmp_path_factory.mktemp("catalog")
    shutil.copytree(
        ROOT / "kdfunc", folder / "kdfunc", ignore=shutil.ignore_patterns("__pycache__")
    )
    section = PAGE[PAGE.index("## What the catalog has") :]
    for file, code in re.findall(
        r"^```python\n# (\S+)\n(.*?)^```", section, re.M | re.S
    ):
        with open(folder / file, "a", encoding="utf-8") as module:
            module.write(code)
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=300,
        env={**os.environ, "PYTHONPATH": str(folder)},
    )
    assert done.returncode == 0, done.stderr
    *printed, texts = done.stdout.splitlines()
    return folder / "runs" / "digits-lenet-published", json.loads(texts), printed


def table(folder, name, index):
    return pd.read_csv(folder / "tables" / f"{name}.csv", index_col=index)


def test_a_made_up_mode_control_and_step_are_run(run):
    folder, _, _ = run
    assert (folder / "records" / "ternary" / "model.tflite").exists()
    assert (folder / "records" / "smoothed-seed2" / "final.keras").exists()
    assert (folder / "records" / "noise20+full-int8" / "model.tflite").exists()


def test_they_are_in_the_tables(run):
    folder, _, printed = run
    for name in ("similarity", "function_preserved"):
        models = table(folder, name, "model")["family"]
        assert {*models[["ternary"]]} == {"quantized"}, name
        assert {*models[["smoothed-seed2"]]} == {"control"}, name
    assert "ternary" in (folder / "tables" / "accuracy.md").read_text("utf-8")
    files = table(folder, "compression", "model")
    assert (files.loc[["ternary", "noise20+full-int8"], "bytes"] > 0).all()
    ladder = table(folder, "ladder", "group").loc["smoothed"]
    assert (ladder["rung"], ladder["over"]) == ("Smoothed labels", "same-start")
    assert ladder["step"] == ladder["step"]  # is a number
    assert "smoothed" in table(folder, "verdict-2", "control").index
    rivals = table(folder, "verdict-3", "other")["rival"]
    assert rivals["pruning by 90 %"] and not rivals["pruning by 50 %"]  # it saves 90 %
    assert any("ternary" in line for line in printed)


def test_they_are_in_the_figures(run):
    _, texts, _ = run
    assert "Smoothed labels" in texts["ladder"]
    assert {"Quantized, ternary", "Label smoothing"} <= {*texts["distances"]}
    assert "T3" in texts["preserved_by_size"]
    assert "T3" in texts["quantization"]
    assert "With a step of one's own" in texts["compression"]


def test_they_are_on_the_page(run):
    folder, _, _ = run
    page = (folder / "report.html").read_text("utf-8")
    words = ("Quantized, ternary", "Smoothed labels", "label smoothing", "T3")
    for word in (*words, "noise20+full-int8"):
        assert word in page, word


def test_rows_name_functions_that_there_are():
    for row in catalog.FORMATS.values():
        assert callable(named(row.makes))
    for row in catalog.CONTROLS.values():
        if row.teacher and ":" in row.teacher:
            assert callable(named(row.teacher))
    for row in catalog.STEPS.values():
        assert callable(named(row.makes))
        assert row.format in ("", *catalog.FORMATS)
    for row in catalog.METHODS.values():
        assert row.steps <= catalog.STEPS.keys()


def test_the_ladder_has_each_control_once():
    """The one without a rung of its own has the other soft targets, which name it."""
    unnamed = [n for n, row in catalog.CONTROLS.items() if not row.rung]
    assert unnamed == ["other-targets"]
    rungs = [row.rung for row in catalog.CONTROLS.values() if row.rung]
    assert len({*rungs}) == len(rungs)
    groups = {"independent", *catalog.CONTROLS}
    assert {row.over for row in catalog.CONTROLS.values() if row.over} <= groups
