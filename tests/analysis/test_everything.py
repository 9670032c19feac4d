"""The analysis of whatever a run directory holds, from made-up records."""

import io
import json
import types
import zipfile

import h5py
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from kdfunc import checksums
from kdfunc.analysis import everything, figures, files, similarity
from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.report import page
from kdfunc.runs import plan
from kdfunc.runs.directory import RunDirectory

CONFIG = ExperimentConfig(
    epochs=1,
    independents=1,
    alphas=(0.1, 0.9),
    distillation_seeds=(2,),
    quantization=("dynamic-range",),
    pruning_levels=(0.5,),
    base_models=3,
    controls=("same-start",),
    compressions=("finetune",),
    variants=("temperature=10",),
)
N, CLASSES = 60, 3
FAMILIES = sorted({task.family for task in plan.make(CONFIG) if task.family} - {"base"})


@pytest.fixture(autouse=True)
def no_files_of_models(monkeypatch):
    """Models are made up, and pictures are not drawn."""
    found = {
        "bytes": 2000,
        "gzip_bytes": 1000,
        "layers": [],
        "quantization": {"name": "int8"},
        "operators": [],
    }
    timed = {"median_ms": 1.0, "p90_ms": 2.0, "p99_ms": 3.0}
    monkeypatch.setattr(files.edge, "inspect", lambda path: found)
    monkeypatch.setattr(files.edge, "benchmark", lambda path: [timed])

    picture = io.BytesIO()
    Image.new("RGB", (4, 3)).save(picture, "png")
    drawn = {"png": picture.getvalue()}
    monkeypatch.setattr(figures.style, "contents", lambda figure: drawn)


def model_without_arrays(path):
    """A `.keras` file as far as the analysis opens it."""
    weights = io.BytesIO()
    h5py.File(weights, "w").close()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("model.weights.h5", weights.getvalue())


def made(path, families, tested=CLASSES, names=tuple("abc")):
    """A run directory with records of the base model and of some families.

    The first classes alone have test images.
    """
    run = RunDirectory(path)
    with run.claimed(CONFIG):
        pass
    rng = np.random.default_rng(0)
    labels = rng.integers(tested, size=N)
    for task in plan.make(CONFIG):
        if task.name != "data" and task.family not in ("base", *families):
            continue
        folder = run.record(task.name).path
        folder.mkdir(parents=True)
        if task.name == "data":
            np.save(folder / "labels.npy", labels)
            np.save(folder / "images.npy", np.zeros((N, 4, 4, 1), np.uint8))
            (folder / "class_names.json").write_text(json.dumps(names), "utf-8")
        else:
            snapshots = 2 if task.kind == "train" else 1
            logits = rng.normal(size=(snapshots, N, CLASSES)) + 2 * np.eye(3)[labels]
            softmax = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
            np.save(folder / "softmax.npy", softmax.astype(np.float32))
            metrics = {
                "epoch": range(2 - snapshots, 2),
                "accuracy": np.mean(softmax.argmax(axis=2) == labels, axis=1),
                "log_loss": 1.0,
                "train_distillation_loss": 1.0,
            }
            pd.DataFrame(metrics).to_csv(folder / "metrics.csv", index=False)
            stored = task.family in ("quantized", "compressed")
            name = "final.keras" if task.kind == "train" else "model.keras"
            if stored:
                (folder / "model.tflite").write_bytes(b"m")
            else:
                model_without_arrays(folder / name)
        checksums.seal(folder, [file.name for file in folder.iterdir()])
    return run


@pytest.mark.parametrize(
    "families",
    [
        (),
        *((family,) for family in FAMILIES),
        ("independent", "variant"),
        ("student", "control"),
        tuple(FAMILIES),
    ],
    ids=lambda families: "+".join(families) or "base alone",
)
def test_any_part_of_an_experiment_can_be_analysed(families, tmp_path, capsys):
    run = made(tmp_path / "run", families)
    everything.write(run)
    assert everything.outdated(run) == []
    assert "<h1>" in page.render([run])
    table = run.path / "tables" / "compression.csv"
    assert table.exists() == bool({"quantized", "compressed"} & {*families})
    told = "Model files (.tflite)" in capsys.readouterr().out
    assert told == ("compressed" in families)


def test_a_class_without_test_images_and_one_called_model(tmp_path):
    run = made(tmp_path / "run", ("student",), CLASSES - 1, ("a", "model", "unseen"))
    everything.write(run)
    assert everything.outdated(run) == []
    text = (run.path / "tables" / "agreement_by_class.csv").read_text("utf-8")
    header, first, *_ = text.splitlines()
    assert header == "model,a,model,unseen"
    assert first.startswith("student-alpha0.1-seed2,0.") and first.endswith(",")
    assert "<h1>" in page.render([run])


def test_controls_are_not_compared_with_students_of_another_alpha():
    """Controls have the alpha that leans most on the teacher: 0.1 in the notebooks."""
    config = ExperimentConfig(controls=("same-start", "other-targets"))
    run = types.SimpleNamespace(config=config, labels=None)
    tasks = plan.make(config)
    final = dict.fromkeys((task.name for task in tasks), "softmax")
    found = similarity.evidence_of(run, tasks, final)
    assert {*found.controls} == {"same-start", "other-targets"}
    some = [task for task in tasks if task.group != "student-alpha0.1"]
    assert len(some) < len(tasks)
    found = similarity.evidence_of(run, some, final)
    assert {*found.controls} == {"same-start"} and {*found.students} == {0.5, 0.9}


def test_without_a_base_model_there_is_no_analysis(tmp_path):
    run = made(tmp_path / "run", ["student"])
    run.discard("base")
    with pytest.raises(InputError, match="has no base model"):
        everything.write(run)
    assert everything.outdated(run) == []


@pytest.fixture
def analysed(tmp_path):
    run = made(tmp_path / "run", ["independent", "quantized"])
    everything.write(run)
    return run


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda p: (p / "tables/similarity.csv").unlink(), "similarity.csv cannot be"),
        (
            lambda p: (p / "tables/latency.csv").write_text("no,t\n", "utf-8"),
            "latency.csv has",
        ),
        (lambda p: (p / "figures/distances.png").write_bytes(b""), "has 0 bytes"),
        (lambda p: (p / "analysis.json").unlink(), "analysis.json is missing"),
    ],
)
def test_tables_and_figures_that_are_missing_or_damaged_are_found_and_made_again(
    analysed, damage, told
):
    before = {
        path: path.read_bytes() for path in analysed.path.rglob("*") if path.is_file()
    }
    damage(analysed.path)
    (reason,) = everything.outdated(analysed)
    assert told in reason
    everything.write(analysed)
    assert everything.outdated(analysed) == []
    assert {path: path.read_bytes() for path in before} == before


def test_new_records_make_the_analysis_outdated(analysed):
    made(analysed.path.parent / "more", ["pruned"]).record("pruned-50").path.rename(
        analysed.record("pruned-50").path
    )
    (reason,) = everything.outdated(analysed)
    assert "made from other records" in reason


@pytest.fixture
def with_notes(analysed):
    """A run with files of the user's among the tables, from before and from after."""
    for name in ("before", "after"):
        (analysed.path / "tables" / f"{name}.csv").write_text("a\n1\n", "utf-8")
        if name == "before":
            everything.write(analysed)
    return analysed


def analysed_again(run):
    """What is left among the tables once there is no independent model any more."""
    run.discard("independent-1")
    everything.write(run)
    assert everything.outdated(run) == []
    assert not (run.path / "figures" / "preserved_by_method.png").exists()
    return {path.stem for path in (run.path / "tables").iterdir()}


def test_no_table_of_an_earlier_analysis_stays_but_files_of_ones_own(with_notes):
    """Without independent models, nothing has a scale."""
    tables = with_notes.path / "tables"
    assert (tables / "function_preserved.csv").exists()
    latencies = (tables / "latency.csv").read_bytes()
    left = analysed_again(with_notes)
    assert {"before", "after", "similarity"} <= left
    assert "function_preserved" not in left
    assert (tables / "latency.csv").read_bytes() == latencies


def test_folders_of_ones_own_stay_but_no_page_of_other_tables(analysed):
    mine = analysed.path / "figures" / "talk.2026" / "slides.txt"
    mine.parent.mkdir()
    mine.touch()
    (analysed.path / "report.html").write_text("of the tables before", "utf-8")
    everything.write(analysed)
    assert mine.exists()
    assert not (analysed.path / "report.html").exists()


def test_nothing_of_an_analysis_that_was_killed_stays(with_notes, monkeypatch):
    def killed(run, tasks):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(everything.pruned_arrays, "write", killed)
        everything.write(with_notes)
    assert (with_notes.path / "tables" / "function_preserved.csv").exists()
    assert everything.outdated(with_notes)
    left = analysed_again(with_notes)
    assert {"before", "after", "similarity"} <= left
    assert "function_preserved" not in left


def test_what_an_earlier_version_left_is_not_removed(analysed):
    """Its manifest does not tell whose the files are."""
    path = analysed.path / "analysis.json"
    entries = json.loads(path.read_text("utf-8"))
    checksums.seal(analysed.path, entries["files"], path.name, models=entries["models"])
    assert everything.outdated(analysed) == []
    left = {file.stem for file in (analysed.path / "tables").iterdir()}
    analysed.discard("independent-1")
    everything.write(analysed)
    assert left <= {file.stem for file in (analysed.path / "tables").iterdir()}


def test_a_damaged_record_is_left_out_of_the_analysis(analysed, capsys):
    path = analysed.record("dynamic-range").path / "metrics.csv"
    path.write_bytes(path.read_bytes()[:-3])
    everything.write(analysed)
    assert "dynamic-range: metrics.csv has " in capsys.readouterr().out
    table = pd.read_csv(analysed.path / "tables" / "similarity.csv")
    assert list(table["model"]) == ["independent-1"]


def test_without_its_base_model_the_analysis_says_what_to_do(analysed):
    path = analysed.record("base").path / "softmax.npy"
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(InputError, match="repeat the run's command"):
        everything.write(analysed)
