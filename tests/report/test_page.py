"""The report page must say what the tables say, in one file, for every reader."""

import base64
import dataclasses
import io
import json
import os
import pathlib
import re
import shutil
from collections import Counter
from html.parser import HTMLParser
from urllib.parse import quote

import numpy as np
import pandas as pd
import pytest
from made_run import CLAIMS, CONFIG, write_run

from kdfunc import presets
from kdfunc.analysis import published
from kdfunc.cli import main
from kdfunc.config import PANELS
from kdfunc.report import assets, charts, overview, page, tables
from kdfunc.report.results import Results
from kdfunc.runs.directory import RunDirectory
from kdfunc.similarity import claims

MNIST = pathlib.Path(__file__).parents[2] / "results" / "mnist-lenet-published"


class Reader(HTMLParser):
    """Elements, and the text that a person reads, of a page."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.words, self.silent = [], [], 0
        self.feed(source)
        self.text = " ".join(" ".join(self.words).split())

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self.silent += tag in ("script", "style")

    def handle_endtag(self, tag):
        self.silent -= tag in ("script", "style")

    def handle_data(self, data):
        if not self.silent:
            self.words.append(data)

    def all(self, *tags):
        return [attributes for tag, attributes in self.elements if tag in tags]


def read(*runs):
    return Reader(page.render(runs))


@pytest.fixture
def mnist():
    return RunDirectory(MNIST)


@pytest.fixture
def bare(tmp_path):
    """A run of which little is left, as an earlier version may have left it."""
    tables = shutil.copytree(MNIST, tmp_path / "bare") / "tables"
    gone = ["verdicts", "function_preserved", "similarity", "compression"]
    for name in (*gone, "fidelity", "latency"):
        (tables / f"{name}.csv").unlink()
    (tables.parent / "figures" / "preserved_by_size.png").unlink()
    for panel in PANELS:
        path = tables / f"landscape-{panel}.csv"
        pd.read_csv(path).drop(columns=["mds_x", "mds_y"]).to_csv(path, index=False)
    return RunDirectory(tmp_path / "bare")


@pytest.fixture(params=["results", "full", "both"])
def any_page(request, mnist, full_run):
    runs = {"results": [mnist], "full": [full_run], "both": [mnist, full_run]}
    return read(*runs[request.param])


def test_it_needs_no_other_file(any_page):
    for tag, attributes in any_page.elements:
        for name in ("src", "href", "srcset", "action"):
            if name in attributes:
                assert attributes[name].startswith(("data:", "#")), (tag, attributes)
    policy = any_page.all("meta")[3]["content"]
    assert "default-src 'none'" in policy and "http" not in policy


HOSTILE = "</script><img src=x onerror=alert(1)>'\"<script>alert(2)</script>"


def test_names_in_a_runs_tables_are_text_and_no_elements(full_run):
    before = Counter(tag for tag, _ in read(full_run).elements)
    renamed = 0
    for path in (full_run.path / "tables").glob("*.csv"):
        table = pd.read_csv(path)
        for column in {*table} & {"rung", "setting", "model", "claim", "sentence"}:
            table[column] = table[column].astype(str) + HOSTILE
            renamed += 1
        table.to_csv(path, index=False)
    assert renamed > 5
    page_read = read(full_run)
    assert Counter(tag for tag, _ in page_read.elements)["script"] <= before["script"]
    assert "onerror=alert(1)" in page_read.text
    for tag, attributes in page_read.elements:
        assert not any(name.startswith("on") for name in attributes), tag
        assert attributes.get("src", "data:").startswith("data:")


def test_it_can_be_read_without_seeing_it(any_page):
    ids = [a["id"] for _, a in any_page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    levels = [
        int(tag[1]) for tag, _ in any_page.elements if re.fullmatch("h[1-6]", tag)
    ]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(b <= a + 1 for a, b in zip(levels, levels[1:], strict=False))
    assert all(image["alt"] for image in any_page.all("img"))
    assert all("scope" in heading for heading in any_page.all("th"))
    assert len(any_page.all("caption")) == len(any_page.all("table"))
    for landmark in ("header", "nav", "main", "footer"):
        assert len(any_page.all(landmark)) == 1
    for _, attributes in any_page.elements:
        for name in ("aria-labelledby", "data-chart"):
            if name in attributes:
                assert attributes[name] in ids
    links = [a["href"][1:] for a in any_page.all("a") if a["href"].startswith("#")]
    assert set(links) <= set(ids)


def test_the_spread_over_base_models_is_told_or_what_it_needs(mnist, full_run):
    text = read(full_run).text
    row = "L1 pruning, 90 % -20.50 -22.00 [-31.25, -12.50] -50.00 to 6.00 -33.00"
    assert f"{row} outside by 1.8 points 82.5 [77.2, 86.5]" in text
    assert "lies outside the range of 5 in 2 of 6 cases" in text
    assert "--base_models=5" in read(mnist).text


def test_cheap_measures_of_fidelity_are_told_where_they_were_made(bare, full_run):
    text = read(full_run).text
    assert "All models (6), 500 images 0.50 [0.25, 0.75]" in text
    assert "Would a cheap check have shown it?" not in read(bare).text


def test_broken_batch_normalization_is_told_with_the_claim_on_pruning(full_run):
    path = full_run.path / "tables" / "verdicts.csv"
    verdicts = pd.read_csv(path)
    verdicts.loc[0, "claim"] = claims.CLAIMS[4].text
    verdicts.to_csv(path, index=False)
    row = (0.1, "all arrays", "pruned-10", -82.0, 5.0, 10944, 4221)
    columns = ["level", "scope", "model", "deviation", "ratio", "moving_variances"]
    table = pd.DataFrame([row], columns=[*columns, "zero"])
    table.to_csv(path.with_name("pruned_arrays.csv"), index=False)
    after = read(full_run).text.partition(claims.CLAIMS[4].text)[2]
    before_the_next = after.partition(verdicts["claim"][1])[0]
    assert "4,221 of 10,944 moving variances" in before_the_next


def test_the_papers_numbers_stand_beside_the_runs(mnist):
    text = read(mnist).text
    assert "The paper, LeNet on MNIST -0.18 (±0.06) -0.12 (±0.04)" in text
    assert "Here, published 0.06 (±0.02) ≠ 0.04 (±0.07) ≠ 0.03 (±0.03) ≠ 0.00" in text
    assert "-0.38 -28.13 ≠" in text and text.count("≠") == 5  # the cells and the rule
    assert published.RULE in text
    assert (
        "classifies 99.00 % of the test images correctly (the paper's: 99.15 %)" in text
    )
    assert "kdfunc run --dataset=mnist --base_models=5 --compressions=all" in text
    assert "AMD EPYC (AVX-512 BF16), 2 cores" in text and "tensorflow 2.21.0" in text


def test_landscapes_tell_how_far_they_can_be_trusted(full_run):
    text = read(full_run).text
    assert "Stress of the MDS map: 0.12 (0 is perfect" in text
    assert "Procrustes disparity from this one is 0.06 to 0.20" in text


def test_tails_of_the_groups_are_told(full_run):
    reader = read(full_run)
    assert "Differ in most trainings" in reader.text and "confident flip" in reader.text
    table = pd.read_csv(full_run.path / "tables" / "tails.csv").set_index("group")
    students = table.loc["student-alpha0.1"]
    row = f"0.250 0.500 – {students.disagreement:.2%} {students.confident_flips:.2%} "
    row += f"{students.changed_in_most:.2%} {students.changed_in_all:.2%}"
    assert f"Distilled, alpha 0.1 2 {row.replace('%', ' %')}" in reader.text


def test_what_is_missing_is_named(bare):
    text = read(bare).text
    for table in ("verdicts", "function_preserved", "similarity", "compression"):
        assert f"tables/{table}.csv is not in this directory" in text
    assert "no columns mds_x and mds_y" in text


def test_verdicts_come_first_with_their_numbers(full_run):
    reader = read(full_run)
    at = [reader.text.index(claim) for claim in CLAIMS]
    assert at == sorted(at) and at[-1] < reader.text.index("Accuracy", at[-1])
    text = reader.text
    shown = zip(CLAIMS, ("? Undecided", "✗ Contradicted", "✓ Supported"), strict=True)
    for number, (claim, outcome) in enumerate(shown):
        assert f"{outcome} {claim} The sentence number {number}." in text
    told = "Numbers and tests -7.0 [-8.0, -6.0] function preserved (points); 2 pairs"
    assert told in text
    assert "left out" not in text.replace("Sizes and latencies are left out", "")


def test_tables_and_downloads_are_the_analysis(full_run):
    reader = read(full_run)
    folder = full_run.path / "tables"
    downloads = {a["download"]: a["href"] for a in reader.all("a") if "download" in a}
    for file in folder.glob("*.csv"):
        kind, _, content = downloads[file.name].partition(",")
        assert kind == "data:text/csv;base64"
        if file.stem != "accuracy":
            assert base64.b64decode(content) == file.read_bytes()
    shown = pd.read_csv(
        io.BytesIO(base64.b64decode(downloads["accuracy.csv"].partition(",")[2]))
    )
    own = pd.read_csv(folder / "accuracy.csv")
    pd.testing.assert_frame_equal(shown[own.columns], own)
    preserved = pd.read_csv(folder / "function_preserved.csv")
    for row in preserved.itertuples():
        interval = f"{row.preserved:.1f} [{row.low:.1f}, {row.high:.1f}]"
        told = f"{row.model} {row.ratio:.3g} {interval} {row.rests_on}"
        assert told in reader.text
    zero = reader.text.index("How sure the zero is.")
    assert zero < reader.text.index("Table: Function preserved by every model")
    flips = pd.read_csv(folder / "similarity.csv").set_index("model")["disagreement"]
    mean = flips[["student-alpha0.1-seed2", "student-alpha0.1-seed24"]].mean()
    assert f"Distilled, alpha 0.1 {mean:.2%}".replace("%", " %") in reader.text


def test_sizes_and_latencies_of_the_files_are_told(full_run):
    files = {
        "model": ["dynamic-range", "cluster16+finetune"],
        "family": ["quantized", "compressed"],
        "bytes": [230_400, None],
        "gzip_bytes": [190_000, None],
        "sparsity": [0.125, None],
        "ratio": [0.0004, None],
        "preserved": [99.96, None],
        "low": [99.94, None],
        "high": [99.98, None],
        "operators": ['{"CONV_2D": 2}', None],
        "not_possible": [None, "the library cannot"],
    }
    times = {"model": ["dynamic-range"], "median_ms": [0.0438512], "p90_ms": [0.05]}
    for name, table in (("compression", files), ("latency", times)):
        path = full_run.path / "tables" / f"{name}.csv"
        pd.DataFrame(table).to_csv(path, index=False)
    text = read(full_run).text
    assert (
        "Quantized, 8-bit 230,400 100.0 [99.9, 100.0] 190,000 12.5 % 0.0004 All" in text
    )
    assert "cluster16+finetune : the library cannot" in text
    assert "CONV_2D" not in text
    assert "Median (ms) 90th percentile (ms) Quantized, 8-bit 0.044 0.050" in text


def test_variants_stand_beside_the_students_as_they_were(full_run):
    assert "Other students" not in read(full_run).text
    rows = {
        "variant": ["none", "none", "epochs=50", "epochs=50"],
        "teacher": ["base", "none", "base", "none"],
        "models": 3,
        "ratio": [0.87, 0.97, 0.8, 0.95],
        "preserved": [13.0, 3.0, 20.0, 5.0],
        "accuracy_difference": [1.5, 0.5, 2.0, -1.5],
    }
    table = pd.DataFrame(rows)
    table["change"] = [np.nan, np.nan, 7.0, np.nan]
    table["taught"] = [10.0, np.nan, 15.0, np.nan]
    table["outcome"] = [np.nan, np.nan, "undecided", np.nan]
    for column in ("ratio", "preserved", "accuracy_difference", "change", "taught"):
        reach = 0.01 if column == "ratio" else 1
        table[f"{column}_low"] = table[column] - reach
        table[f"{column}_high"] = table[column] + reach
    table["rests_on"] = "3 models, 2 independent models"
    table.to_csv(full_run.path / "tables" / "variants.csv", index=False)
    text = read(full_run).text
    assert (
        "Whether epochs=50 preserves more or less than unchanged students is open. The "
        "teacher adds 15.0 points [14.0, 16.0] to epochs=50."
    ) in text
    assert (
        "unchanged 3 0.87 [0.86, 0.88] 13.0 [12.0, 14.0] – – +10.0 [+9.0, +11.0] +1.5"
        in text
    )
    assert (
        "epochs=50 3 0.8 [0.79, 0.81] 20.0 [19.0, 21.0] undecided +7.0 [+6.0, +8.0] "
        "+15.0 [+14.0, +16.0] +2.0 [+1.0, +3.0]" in text
    )
    assert (
        "epochs=50, no teacher 3 0.95 [0.94, 0.96] 5.0 [4.0, 6.0] – – – -1.5 [-2.5, "
        "-0.5]" in text
    )


def test_all_ways_of_compressing_are_asked_for_by_one_word(tmp_path):
    config = dataclasses.replace(CONFIG, compressions=("all",))
    text = read(write_run(tmp_path / "all", config)).text
    assert "--compressions=all --controls=same-start" in text
    assert "Compressions all" in text


def test_answers_by_pipeline_are_folded_away_from_those_by_method(tmp_path):
    config = dataclasses.replace(CONFIG, compressions=("int4", "prune50+finetune"))
    html = page.render([write_run(tmp_path / "run", config)])
    methods, pipelines = (
        html[html.index(f'id="run1-similarity-{name}"') :].partition("</table>")[0]
        for name in ("table", "pipelines-table")
    )
    assert "prune50+finetune" in pipelines and "Quantized" not in pipelines
    assert "prune50+finetune" not in methods and "Quantized" in methods
    before = html[: html.index('id="run1-similarity-pipelines-table"')]
    assert before.count("<details") == before.count("</details>") + 1


def test_a_session_names_machine_and_versions_where_they_are_new(full_run):
    machine = {"processor": "Abacus", "cores": 2, "system": "Linux"}
    session = {
        "command": "run_experiments.py --epochs=3",
        "ended": "2026-11-24 04:45:36 +0000",
        "seconds": 60.0,
        "machine": machine,
        "threads_a_task": 1,
        "versions": {"numpy": "2.4.6"},
    }
    later = session | {"versions": {"numpy": "2.4.7"}}
    (full_run.path / "provenance.json").write_text(
        json.dumps([session, session, later]), "utf-8"
    )
    text = read(full_run).text
    assert text.count("Abacus") == 1
    assert text.count("numpy 2.4.6") == text.count("numpy 2.4.7") == 1
    assert text.count("run_experiments.py --epochs=3") == 3
    assert "kdfunc run --epochs=3" in text  # how to reproduce it


def test_several_runs_answer_the_third_question(full_run, tmp_path):
    other = write_run(
        tmp_path / "other",
        dataclasses.replace(CONFIG, architecture="mobilenet"),
        ["supported", "supported", "supported"],
    )
    text = read(full_run, other).text
    names = "digits-lenet-published", "other"
    assert (
        f"Holds where it is decided: supported in 1 of 2 ({names[1]}); "
        "undecided in 1 of 2." in text
    )
    assert f"Depends on the run: supported in 1 of 2 ({names[1]}); contradicted" in text
    assert f"Holds in all: supported in 2 of 2 ({', '.join(names)})." in text
    assert "The sentence number 0." not in text  # the full reports are behind links
    heading = "Claim All set-ups digits-lenet-published"
    assert heading in " ".join(text.split())  # the answer, and then what it is from


def test_runs_on_another_drive_are_linked_by_their_whole_path(
    full_run, tmp_path, monkeypatch
):
    def relpath(*_):  # as between drives of Windows
        raise ValueError("path is on mount 'D:', start on mount 'C:'")

    monkeypatch.setattr(os.path, "relpath", relpath)
    page.write([full_run, write_run(tmp_path / "other")], tmp_path / "all.html")
    links = [
        a["href"] for a in Reader((tmp_path / "all.html").read_text("utf-8")).all("a")
    ]
    assert (full_run.path / "report.html").resolve().as_uri() in links


def test_several_runs_are_a_short_page_with_links_to_the_full_ones(full_run, tmp_path):
    folder = tmp_path / "a b"
    other = write_run(folder / "other")
    page.write([full_run, other], tmp_path / "all.html")
    reader = Reader((tmp_path / "all.html").read_text("utf-8"))
    for run in (full_run, other):
        near = quote(str((run.path / "report.html").relative_to(tmp_path)))
        assert near in [a["href"] for a in reader.all("a")]
        assert (run.path / "report.html").read_text("utf-8") == page.render([run])
    (table,) = [t for t in reader.all("table") if t.get("id") == "overview"]
    html = (tmp_path / "all.html").read_text("utf-8")
    before = html[: html.index('id="all-preserved"')]
    assert before.count("<details") == before.count("</details>") + 1  # it is folded
    assert "Smallest file that preserves 90 % (KiB)" in reader.text


def test_a_folder_stands_for_the_runs_in_it(full_run, capsys, monkeypatch, tmp_path):
    write_run(tmp_path / "runs" / "b")
    write_run(tmp_path / "runs" / "a")
    (tmp_path / "runs" / "notes").mkdir()
    monkeypatch.chdir(tmp_path)
    assert main(["report", "runs/", "--output=all.html"]) == 0
    links = [
        a["href"] for a in Reader((tmp_path / "all.html").read_text("utf-8")).all("a")
    ]
    assert [x for x in links if x.endswith("report.html")] == [
        "runs/a/report.html",
        "runs/b/report.html",
    ]


def test_a_run_that_is_named_twice_counts_once(capsys, monkeypatch, tmp_path):
    for name in "ab":
        write_run(tmp_path / "runs" / name)
    monkeypatch.chdir(tmp_path)
    assert main(["report", "runs/", "runs/a", str(tmp_path / "runs" / "b")]) == 0
    assert "2 runs side by side" in (tmp_path / "report.html").read_text("utf-8")


def test_runs_of_others_are_compared_without_their_pages(monkeypatch, tmp_path):
    runs = [write_run(tmp_path / "runs" / name) for name in "ab"]
    written = page.write_atomic

    def refuse(path, content):
        if path.parent == runs[0].path:
            raise PermissionError(13, "Permission denied")
        written(path, content)

    monkeypatch.setattr(page, "write_atomic", refuse)
    reader = Reader(page.write(runs, tmp_path / "all.html").read_text("utf-8"))
    links = [a["href"] for a in reader.all("a")]
    assert [x for x in links if x.endswith("report.html")] == ["runs/b/report.html"]


def test_what_is_no_run_is_passed_over_and_told(
    full_run, capsys, monkeypatch, tmp_path
):
    folder = full_run.path.parent
    (folder / "notes").mkdir()
    (folder / "empty.txt").touch()
    monkeypatch.chdir(tmp_path)
    given = [str(path) for path in sorted(folder.iterdir())]
    assert len(given) >= 3
    assert main(["report", *given]) == 0
    out, err = capsys.readouterr()
    assert out.split()[-1:] == [str(full_run.path / "report.html")]
    for name, why in (("notes", "has no config.json"), ("empty.txt", "is a file")):
        assert f"kdfunc: left out: {folder / name} {why}; give a run dir" in err
    assert err.count("\n") == len(given) - 1
    assert main(["report", str(folder / "notes"), str(folder / "empty.txt")]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "kdfunc: none of these is a run directory; "
        "give a run directory, or a folder of them."
    )


def test_two_runs_without_accuracies_are_a_page(capsys, monkeypatch, tmp_path):
    runs = [write_run(tmp_path / "runs" / name) for name in "ab"]
    for run in runs:
        (run.path / "tables" / "accuracy.csv").unlink()
    monkeypatch.chdir(tmp_path)
    assert main(["report", *(str(run.path) for run in runs)]) == 0
    assert capsys.readouterr().err == ""
    assert "2 runs side by side" in (tmp_path / "report.html").read_text("utf-8")
    for run in runs:
        (run.path / "tables" / "metrics.csv").unlink()
    assert main(["report", *(str(run.path) for run in runs)]) == 2
    err = capsys.readouterr().err
    assert err.count("has no tables and no records to make them from") == 2
    assert "Traceback" not in err


def test_runs_are_told_by_what_they_preserve_for_the_bytes(full_run):
    files = [
        ("base", "base", 920_000, 100.0),
        ("dynamic-range", "quantized", 230_000, 99.5),
        ("int4", "compressed", 118_000, 91.0),
        ("prune90", "compressed", 60_000, -80.0),
    ]
    table = pd.DataFrame(files, columns=["model", "family", "bytes", "preserved"])
    table.to_csv(full_run.path / "tables" / "compression.csv", index=False)
    ((name, link, cells),) = overview.rows([Results(full_run, "a", "run")], {})
    assert (name, link) == ("run", None)
    shown = dict(zip([*overview.COLUMNS][1:], cells, strict=True))
    column = "Most preserved in a quarter of the bytes (%)"
    assert shown[column] == ("99.5", 99.5)
    assert shown["by"][0] == "Quantized, 8-bit"
    assert shown["Epochs"] == ("3, short", 3)
    assert shown["Smallest file that preserves 90 % (KiB)"][0] == "115"
    assert shown["times smaller"][0] == "7.8" and shown["by "][0] == "int4"


def test_only_the_papers_protocol_deviates_from_the_paper(mnist, tmp_path):
    assert Results(mnist, "a", "run").accuracy["marked"].any()
    shutil.copytree(MNIST, tmp_path / "run")
    settings = json.loads((MNIST / "config.json").read_text("utf-8"))
    settings |= {"preset": "standard", "data_order": "reshuffled"}
    (tmp_path / "run" / "config.json").write_text(json.dumps(settings), "utf-8")
    other = Results(RunDirectory(tmp_path / "run"), "a", "run")
    assert "published" in other.accuracy and not other.accuracy["marked"].any()


def test_one_heading_with_two_meanings_is_told():
    """Alpha 0.1 leans on the teacher in the notebooks, and away from it elsewhere."""
    runs = [RunDirectory(MNIST.parent / f"cifar10-lenet-{p}") for p in presets.RULES]
    together, standard, papers = (
        read(*runs).text,
        read(runs[1]).text,
        read(runs[0]).text,
    )
    said = (
        "Alpha is the weight of the labels (0.1 leans on the teacher) in {}; "
        "the weight of the teacher (0.9 leans on it) in {}."
    )
    assert said.format("the paper, cifar10-lenet-published", runs[1].path.name) in (
        together
    )
    assert said.format("the paper", "this run") in standard
    assert "Pruning takes the smallest numbers of all arrays in the paper;" in standard
    more = read(*runs, RunDirectory(MNIST.parent / "mnist-lenet-published")).text
    assert said.format("the paper, the 2 published runs", runs[1].path.name) in more
    assert "Alpha is the weight" not in papers


def test_the_papers_row_has_what_any_run_has(tmp_path):
    """The first run has no students; the second has the paper's."""
    shutil.copytree(MNIST, tmp_path / "a")
    path = tmp_path / "a" / "tables" / "accuracy.csv"
    table = pd.read_csv(path)
    table[table["method"] != "Self-distillation"].to_csv(path, index=False)
    a, b = (Results(RunDirectory(p), p.name, p.name) for p in (tmp_path / "a", MNIST))
    alone, both = tables.accuracy([b], "b"), tables.accuracy([a, b], "ab")
    cells = dict(zip(alone["settings"], alone["rows"][0][1], strict=True))
    assert dict(zip(both["settings"], both["rows"][0][1], strict=True)) == cells


def test_a_short_run_is_not_the_papers_protocol(mnist, tmp_path):
    shutil.copytree(MNIST, tmp_path / "run")
    config = tmp_path / "run" / "config.json"
    settings = json.loads(config.read_text("utf-8"))
    for changed, marked in (({"epochs": 5}, False), ({"seed": 7}, True)):
        config.write_text(json.dumps(settings | changed), "utf-8")
        accuracy = Results(RunDirectory(tmp_path / "run"), "a", "run").accuracy
        assert accuracy["marked"].any() == marked


@pytest.mark.parametrize(("low", "high"), [(0.54, 1.6), (0.2, 3), (1e-4, 1)])
def test_a_logarithmic_axis_has_three_numbers_or_more(low, high):
    table = pd.DataFrame({"family": "student", "name": "D", "epoch": [1, 2]})
    table["log_loss"] = [low / 0.6, high / 1.2]
    axis = charts.over_epochs(table, "log_loss").layout.yaxis
    assert 3 <= len(axis.tickvals) <= 9
    assert all(low <= value <= high for value in axis.tickvals)
    assert [float(text) for text in axis.ticktext] == [*axis.tickvals]


def test_the_page_weighs_little(full_run):
    assert len(assets.plotly()) < 1_300_000
    assert len(page.render([full_run])) < 2_000_000
    results = RunDirectory(MNIST.parent / "cifar10-lenet-standard")
    assert len(page.render([results]).encode()) < 5_000_000


def test_sizes_have_the_base_model_as_their_measure(full_run):
    files = pd.DataFrame(
        [("base", 900_000, 100.0), ("dynamic-range", 300_000, 99.5)],
        columns=["model", "bytes", "preserved"],
    )
    times = pd.DataFrame({"model": ["float16", "dynamic-range"], "median_ms": [3, 1.5]})
    for name, table in (("compression", files), ("latency", times)):
        table.to_csv(full_run.path / "tables" / f"{name}.csv", index=False)
    text = read(full_run).text
    assert "Times smaller than the base" in text
    assert "Base model 900,000 1.0 100.0 Quantized, 8-bit 300,000 3.0 99.5" in text
    assert "Quantized, 8-bit 1.500 2 All" in text


def test_the_command_writes_the_page(full_run, capsys, monkeypatch, tmp_path):
    assert main(["report", str(full_run.path)]) == 0
    written = full_run.path / "report.html"
    assert capsys.readouterr().out.split() == [str(written)]
    assert written.read_text("utf-8") == page.render([full_run])
    monkeypatch.chdir(tmp_path)
    other = shutil.copytree(MNIST, tmp_path / MNIST.name)  # gets a page of its own
    assert main(["report", str(full_run.path), str(other)]) == 0
    assert "2 runs side by side" in (tmp_path / "report.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: shutil.rmtree(path), "is not there"),
        (
            lambda path: (path / "config.json").write_text("{", "utf-8"),
            "holds no readable run",
        ),
        (lambda path: shutil.rmtree(path / "tables"), "has no tables and no records"),
        (
            lambda path: (path / "tables" / "verdicts.csv").write_bytes(b"\xff\x00,"),
            "verdicts.csv",
        ),
        (
            lambda path: (path / "tables" / "ladder.csv").write_text(
                "rung\nA\n", "utf-8"
            ),
            "ladder.csv has no column 'side'",
        ),
        (
            lambda path: (path / "tables" / "metrics.csv").write_text(
                "model,epoch,accuracy,log_loss\nbase,0,much,1\nbase,1,more,1\n", "utf-8"
            ),
            "metrics.csv: column 'accuracy' holds no numbers",
        ),
    ],
)
def test_what_cannot_be_read_is_named(full_run, damage, said, capsys):
    damage(full_run.path)
    assert main(["report", str(full_run.path)]) == 2
    told = capsys.readouterr().err
    assert said in told and told.count("\n") == 1
    assert not (full_run.path / "report.html").exists()


def test_a_page_needs_no_provenance_that_can_be_read(full_run, capsys):
    (full_run.path / "provenance.json").write_text("[", "utf-8")
    assert main(["report", str(full_run.path)]) == 0
    assert "provenance.json cannot be read" in capsys.readouterr().out
    assert page.damage(full_run.path / "report.html") is None


def test_a_base_model_that_has_learnt_nothing_is_told_first(full_run, mnist):
    warning = "The base model has learnt nothing: it answers 33.3 % correctly."
    table = pd.DataFrame({"accuracy": [1 / 3], "warning": [warning]})
    table.to_csv(full_run.path / "tables" / "base.csv", index=False)
    for runs, told in [
        ([full_run], warning),
        ([mnist, full_run], f"{full_run.path.name}: {warning}"),
    ]:
        text = read(*runs).text
        assert 0 < text.index(told) < text.index(next(iter(CLAIMS)))


def test_a_base_model_that_has_learnt_is_not_warned_of(full_run):
    pd.DataFrame({"accuracy": [0.9], "warning": [""]}).to_csv(
        full_run.path / "tables" / "base.csv", index=False
    )
    assert "warning" not in {p.get("class") for p in read(full_run).all("p")}
