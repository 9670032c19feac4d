"""The documentation: its examples run, links lead somewhere, tables are true."""

import importlib
import json
import os
import pathlib
import re
import subprocess
import sys

import pandas as pd
import pytest

import kdfunc
from kdfunc.config import ExperimentConfig
from kdfunc.runs import flags
from kdfunc.similarity import MEASURES

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted(
    path
    for folder in (ROOT, ROOT / "docs", ROOT / "benchmarks", *ROOT.glob("results/*"))
    for path in folder.glob("*.md")
)
#: What tests/test_catalog.py follows, since it changes files of kdfunc.
ELSEWHERE = "## What the catalog has\n"
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: pathlib.Path, language: str) -> list[str]:
    found = FENCED.findall(page.read_text("utf-8").partition(ELSEWHERE)[0])
    return [code for marked, code in found if marked == language]


@pytest.mark.parametrize("path", sorted(ROOT.rglob("docs/*.md")), ids=lambda p: p.name)
def test_tables_are_tables(path):
    for line in path.read_text("utf-8").splitlines():
        assert "| --- |" not in line or set(line) <= set("| :-"), line


def name_of(path: pathlib.Path) -> str:
    return str(path.relative_to(ROOT))


def run(script: str | pathlib.Path, folder: pathlib.Path) -> str:
    """What a script prints that runs in a folder."""
    done = subprocess.run(
        [sys.executable, script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@pytest.mark.parametrize(
    "page", [page for page in PAGES if blocks(page, "python")], ids=name_of
)
def test_the_examples_of_a_page_run_from_top_to_bottom(page, tmp_path):
    """A block whose first line is the name of a file is that file."""
    program = []
    for code in blocks(page, "python"):
        file = re.match(r"# (\w+\.py)\b", code)
        if file:
            (tmp_path / file[1]).write_text(code, "utf-8")
        else:
            program.append(code)
    (tmp_path / "examples.py").write_text("\n".join(program), "utf-8")
    run("examples.py", tmp_path)


def anchors(page: pathlib.Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(
        r"^#+ (.*)$", FENCED.sub("", page.read_text("utf-8")), re.MULTILINE
    )
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    text = FENCED.sub("", page.read_text("utf-8"))
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or anchor and anchor not in anchors(target):
            lost.append(link)
    assert not lost


@pytest.fixture
def rebuild(monkeypatch):
    """`docs/rebuild.py` as a module, imported anew: it remembers what it has read."""
    monkeypatch.syspath_prepend(ROOT / "docs")
    for name in [name for name in sys.modules if name.startswith("rebuild")]:
        monkeypatch.delitem(sys.modules, name)
    return importlib.import_module("rebuild")


def test_pages_agree_with_results_and_code(rebuild):
    for file, text in rebuild.pages().items():
        assert text == (ROOT / file).read_text("utf-8"), (
            f"{file} is out of date: python docs/rebuild.py"
        )


def test_the_readmes_picture_shows_what_its_run_says(rebuild):
    assert f"]({rebuild.PICTURE})" in (ROOT / "README.md").read_text("utf-8")
    assert (ROOT / rebuild.PICTURE).stat().st_size > 10_000
    (axes,) = rebuild.picture().axes
    drawn = [x for bars in axes.containers for x in bars.lines[0].get_xdata()]
    folder = ROOT / "results" / rebuild.PICTURED / "tables"
    table = pd.read_csv(folder / "function_preserved.csv")
    table = table[table["family"] != "compressed"]  # pipelines have their own picture
    told = table.loc[table["measure"] == "jensen_shannon", "preserved"]
    assert sorted(drawn) == sorted(told)


def test_a_run_of_some_parts_with_compressions_is_taken_up(
    rebuild, tmp_path, monkeypatch
):
    name = "cifar10-mobilenet-published"
    folder = tmp_path / "results" / name
    config = ExperimentConfig(
        dataset="cifar10", architecture="mobilenet", epochs=3, compressions=("int4",)
    )
    (folder / "tables").mkdir(parents=True)
    (folder / "figures").mkdir()
    (folder / "figures" / "compression.png").touch()
    (folder / "config.json").write_text(json.dumps(config.to_dict()), "utf-8")
    made = {
        "metrics": "model,epoch,accuracy,log_loss\nbase,3,0.5,1.5\n",
        "accuracy": "method,setting,models,accuracy,deviation,std\n"
        "Quantization,16-bit,1,0.5,0.5,\nL1 pruning,90 %,1,0.1,-80.0,\n",
        "compression": "model,family,bytes,ratio,preserved,not_possible\n"
        "float16,quantized,2000000,0.0004,99.96,\n"
        "int4,compressed,1234567,1.25,-20.0,\n"
        "cluster16,compressed,,,,the library cannot\n",
    }
    for table, text in made.items():
        (folder / "tables" / f"{table}.csv").write_text(text, "utf-8")
    from rebuilding import findings, grid, published_tables, runs

    monkeypatch.setattr(runs, "ROOT", tmp_path)
    link = f"[{name}](../results/{name}/)"
    assert findings.compression("../") == (
        f"| pipeline | {link} `--epochs=3` |\n| --- | --- |\n"
        "| `float16` | 2,000,000; 100.0 % (0.0004) |\n"
        "| `int4` | 1,234,567; -20.0 % (1.25) |\n"
        "| `cluster16` | not possible |\n"
        "\nAs a picture: "
        f"[{name}](../results/{name}/figures/compression.png).\n"
    )
    table = published_tables.deviations(4, "../")
    mobilenet = table[table.index("**MobileNet**") :]
    assert f"| {link} `--epochs=3` (no students) | 50.00 |  |  |  | 0.50 |" in mobilenet
    assert "| difference |  |  |  |  | +0.48 |" in mobilenet
    assert "nan" not in table
    assert "all.png" not in published_tables.figures("../")
    tables = (grid.grid, findings.claims, findings.preserved, findings.verdicts)
    for made_anew in tables:
        assert "nan" not in made_anew("../")


def test_every_measure_has_a_formula():
    text = (ROOT / "docs" / "measures.md").read_text("utf-8")
    with_formula = set(re.findall(r"^### (\w+)\n\n```math\n", text, re.MULTILINE))
    assert with_formula == MEASURES.keys()


def test_the_guide_knows_every_flag_and_there_is_every_flag_it_names():
    ours = {*flags.FIELDS, *flags.OTHERS}
    text = (ROOT / "docs" / "guide.md").read_text("utf-8")
    command = blocks(ROOT / "docs" / "guide.md", "sh")
    table = re.sub(r"`kdfunc-edge.*?`", "", FENCED.sub("", text))
    named = set(re.findall(r"--([a-z][a-z_]*)", table))
    used = {
        name
        for code in command
        for line in code.splitlines()
        if "run_experiments.py" in line or "kdfunc run" in line
        for name in re.findall(r"--([a-z][a-z_]*)", line)
    }
    assert ours - named == set()
    assert used - ours == set()


def test_questions_of_contributing_are_answered_by_files():
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    answers = re.findall(r"^\| [^|]+\? \| (.+) \|$", text, re.MULTILINE)
    named = [path for answer in answers for path in re.findall("`(.+?)`", answer)]
    assert len(answers) >= 20
    assert [path for path in named if not (ROOT / "kdfunc" / path).exists()] == []


def test_versions_agree():
    released = re.search(
        r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text("utf-8"), re.M
    )
    assert released[1] == kdfunc.__version__
    assert f"## [{kdfunc.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_the_api_reference_covers_every_module(tmp_path):
    printed = run(ROOT / "docs" / "api.py", tmp_path)
    assert "UserWarning" not in printed
    pages = {path.stem for path in (tmp_path / "build" / "api").rglob("*.html")}
    modules = {path.stem for path in (ROOT / "kdfunc").rglob("[!_]*.py")}
    assert modules <= pages
