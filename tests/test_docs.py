"""The documentation: its examples run, links lead somewhere, tables are true."""

import os
import pathlib
import re
import runpy
import subprocess
import sys

import pytest
from absl import flags

import kdfunc
from kdfunc.similarity import MEASURES

ROOT = pathlib.Path(__file__).parents[1]
PAGES = sorted(
    path
    for folder in (ROOT, ROOT / "docs", ROOT / "benchmarks", *ROOT.glob("results/*"))
    for path in folder.glob("*.md")
)
FENCED = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(page: pathlib.Path, language: str) -> list[str]:
    found = FENCED.findall(page.read_text())
    return [code for marked, code in found if marked == language]


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
            (tmp_path / file[1]).write_text(code)
        else:
            program.append(code)
    (tmp_path / "examples.py").write_text("\n".join(program))
    run("examples.py", tmp_path)


def anchors(page: pathlib.Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page):
    text = FENCED.sub("", page.read_text())
    lost = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        if re.match(r"[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path) if path else page
        if not target.exists() or anchor and anchor not in anchors(target):
            lost.append(link)
    assert not lost


def test_tables_agree_with_results_and_code():
    rebuild = runpy.run_path(str(ROOT / "docs" / "rebuild.py"))
    for file in rebuild["FILES"]:
        assert rebuild["rebuilt"](file) == (ROOT / file).read_text(), (
            f"{file} is out of date: python docs/rebuild.py"
        )


def test_every_measure_has_a_formula():
    text = (ROOT / "docs" / "measures.md").read_text()
    with_formula = set(re.findall(r"^### (\w+)\n\n```math\n", text, re.MULTILINE))
    assert with_formula == MEASURES.keys()


def test_the_guide_knows_every_flag_and_there_is_every_flag_it_names():
    import run_experiments  # noqa: F401 defines the flags

    text = (ROOT / "docs" / "guide.md").read_text()
    command = blocks(ROOT / "docs" / "guide.md", "sh")
    ours = {flag.name for flag in flags.FLAGS.flags_by_module_dict()["run_experiments"]}
    table = re.sub(r"`kdfunc-edge.*?`", "", FENCED.sub("", text))
    named = set(re.findall(r"--([a-z][a-z_]*)", table))
    used = {
        name
        for code in command
        for line in code.splitlines()
        if "run_experiments.py" in line
        for name in re.findall(r"--([a-z][a-z_]*)", line)
    }
    assert ours - named == set()
    assert used - ours == set()


def test_versions_agree():
    released = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert released[1] == kdfunc.__version__
    assert f"## [{kdfunc.__version__}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_api_reference_covers_every_module(tmp_path):
    printed = run(ROOT / "docs" / "api.py", tmp_path)
    assert "UserWarning" not in printed
    pages = {path.stem for path in (tmp_path / "build" / "api").rglob("*.html")}
    modules = {path.stem for path in (ROOT / "kdfunc").rglob("[!_]*.py")}
    assert modules <= pages
