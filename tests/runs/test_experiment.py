"""The whole experiment, small, the way a user runs it."""

import json
import os
import pathlib
import re
import subprocess
import sys

import kill
import numpy as np
import pandas as pd
import pytest
from scipy.spatial.distance import jensenshannon, pdist

from kdfunc import cli
from kdfunc.errors import InputError
from kdfunc.runs import engine

ROOT = pathlib.Path(__file__).parents[2]
SMALL = (
    "--epochs=2",
    "--independents=1",
    "--alphas=0.1,0.9",
    "--distillation_seeds=2,24",
    "--pruning_levels=0.5,0.9",
    "--controls=no-knowledge",
    "--compressions=full-int8,prune90+finetune+sparse,prune90+int16x8+sparse",
    "--finetune_epochs=1",
    "--output_dir=runs",
)
NAME = "digits-lenet-published"


def run(*flags, cwd, timeout=600):
    return subprocess.run(
        [sys.executable, ROOT / "run_experiments.py", *flags],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run on two workers: its folder and what it printed."""
    cwd = tmp_path_factory.mktemp("finished")
    done = run(*SMALL, "--workers=2", cwd=cwd)
    assert done.returncode == 0, done.stderr
    return cwd / "runs" / NAME, done


def test_every_model_has_its_record_and_every_result_is_there(finished):
    folder, _ = finished
    expected = {
        "base": (3, {"initial.keras", "final.keras"}),
        "independent-1": (3, {"initial.keras", "final.keras"}),
        "student-alpha0.1-seed24": (3, {"initial.keras", "final.keras"}),
        "dynamic-range": (1, {"model.tflite"}),
        "pruned-90": (1, {"model.keras"}),
        "prune90+finetune+sparse": (1, {"model.tflite"}),
    }
    for name, (snapshots, models) in expected.items():
        record = folder / "records" / name
        softmax = np.load(record / "softmax.npy", mmap_mode="r")
        assert softmax.shape == (snapshots, 899, 10)
        np.testing.assert_allclose(softmax.sum(axis=2), 1, atol=1e-5)
        files = {path.name for path in record.iterdir()}
        assert files == {"softmax.npy", "metrics.csv", "manifest.json", *models}
    for panel in ("distillation", "quantization", "pruning", "all"):
        assert (folder / "figures" / f"{panel}.png").exists()
        assert (folder / "figures" / f"{panel}.pdf").exists()
    for name in ("ladder", "distances", "preserved_by_size", "distance_over_epochs"):
        assert (folder / "figures" / f"{name}.png").exists()
    assert (folder / "figures" / "compression.png").exists()
    for suffix in ("csv", "md", "tex"):
        assert (folder / "tables" / f"accuracy.{suffix}").exists()


def test_the_metric_map_keeps_the_distances_of_the_records(finished):
    folder, _ = finished
    stress = pd.read_csv(folder / "tables" / "landscape-stress.csv")
    assert list(stress["panel"]) == ["distillation", "quantization", "pruning", "all"]
    points = pd.read_csv(folder / "tables" / "landscape-pruning.csv")
    softmax = {
        name: np.load(folder / "records" / name / "softmax.npy")
        for name in points["model"].unique()
    }
    vectors = [  # a post hoc model has one snapshot, of the last epoch
        softmax[row.model][min(row.epoch, len(softmax[row.model]) - 1)].ravel()
        for row in points.itertuples()
    ]
    distances = pdist(np.array(vectors, np.float64)) / np.sqrt(899)
    mapped = pdist(points[["mds_x", "mds_y"]])
    error = np.sqrt(np.sum((mapped - distances) ** 2) / np.sum(mapped**2))
    assert stress["stress"][2] == pytest.approx(error)
    assert (0 < stress["disparity_least"]).all()
    assert (stress["disparity_least"] <= stress["disparity_most"]).all()
    assert (stress["disparity_most"] <= 1).all()


def test_pruned_models_are_measured_from_the_untrained_network(finished):
    folder, _ = finished
    table = pd.read_csv(folder / "tables" / "initialization.csv", index_col="model")

    def softmax(name, snapshot):
        return np.load(folder / "records" / name / "softmax.npy")[snapshot]

    assert table.index[0] == "base"
    assert table.index[-1] == "independent-1, untrained"
    for column, snapshot in (("to_initialization", 0), ("to_base", -1)):
        reference = softmax("base", snapshot)
        for name, model in (
            ("pruned-90", softmax("pruned-90", -1)),
            ("independent-1, untrained", softmax("independent-1", 0)),
        ):
            distances = jensenshannon(reference, model, axis=1, base=2) ** 2
            found = table.loc[name, column]
            assert found == pytest.approx(distances.mean(), abs=1e-6)


def test_students_start_from_the_base_models_initial_weights(finished):
    folder, _ = finished

    def start(name):
        return np.load(folder / "records" / name / "softmax.npy", mmap_mode="r")[0]

    np.testing.assert_array_equal(start("student-alpha0.9-seed2"), start("base"))
    assert not np.array_equal(start("independent-1"), start("base"))


def test_the_table_holds_the_accuracies_of_the_records(finished):
    folder, done = finished
    table = pd.read_csv(folder / "tables" / "accuracy.csv")
    labels = np.load(folder / "records" / "data" / "labels.npy")

    def accuracy(name):
        softmax = np.load(folder / "records" / name / "softmax.npy")[-1]
        return np.mean(softmax.argmax(axis=1) == labels)

    base = accuracy("base")
    students = [accuracy(f"student-alpha0.1-seed{s}") for s in (2, 24)]
    deviations = [100 * (a - base) / base for a in students]
    row = table.iloc[0]
    assert (row.method, row.setting, row.models) == (
        "Self-distillation",
        "alpha 0.1",
        2,
    )
    assert row.deviation == pytest.approx(np.mean(deviations))
    assert row["std"] == pytest.approx(np.std(deviations))
    assert f"{row.deviation:.2f} (±{row['std']:.2f})" in done.stdout


def test_one_quantity_has_one_interval_everywhere(finished):
    """Pruning by 50 % had 78.4 [70.4, 84.0] here and [39.5, 87.5] there."""
    folder, _ = finished
    table = {
        name: pd.read_csv(folder / "tables" / f"{name}.csv")
        for name in ("function_preserved", "verdicts", "verdict-4", "compression")
    }
    preserved = table["function_preserved"].query("measure == 'jensen_shannon'")
    preserved = preserved.set_index("model")[["preserved", "low", "high", "rests_on"]]
    levels = table["verdict-4"].set_index("level")
    for level, name in ((0.5, "pruned-50"), (0.9, "pruned-90")):
        found = levels.loc[level, ["preserved", "low", "high", "rests_on"]]
        assert found.tolist() == pytest.approx(preserved.loc[name].tolist())
    verdict = table["verdicts"].iloc[3][["effect", "low", "high", "rests_on"]]
    assert verdict.tolist() == pytest.approx(preserved.loc["pruned-50"].tolist())
    stored = table["compression"].set_index("model")
    for name in ("float16", "dynamic-range", "prune90+finetune+sparse"):
        found = stored.loc[name, ["preserved", "low", "high", "rests_on"]]
        assert found.tolist() == pytest.approx(preserved.loc[name].tolist())
    low, high = (preserved.loc["pruned-50", end] for end in ("low", "high"))
    page = (folder / "report.html").read_text("utf-8")
    assert page.count(f"[{low:.1f}, {high:.1f}]") >= 2  # the table and the verdict


def test_measures_and_verdicts_are_those_of_the_records(finished):
    from kdfunc import similarity

    folder, done = finished
    labels = np.load(folder / "records" / "data" / "labels.npy")
    base, pruned, stranger = (
        np.load(folder / "records" / name / "softmax.npy")[-1]
        for name in ("base", "pruned-90", "independent-1")
    )
    table = pd.read_csv(folder / "tables" / "similarity.csv").set_index("model")
    expected = similarity.all_measures(base, pruned, labels)
    for name, value in expected.items():
        assert table.loc["pruned-90", name] == pytest.approx(value, nan_ok=True)
    preserved = pd.read_csv(folder / "tables" / "function_preserved.csv")
    headline = preserved[preserved["measure"] == "jensen_shannon"].set_index("model")
    ratio = similarity.measure("jensen_shannon", base, pruned) / similarity.measure(
        "jensen_shannon", base, stranger
    )
    row = headline.loc["pruned-90"]
    on_scale = 100 * (1 - ratio if ratio <= 1 else 1 / ratio - 1)
    assert row["preserved"] == pytest.approx(on_scale)
    assert row["low"] <= row["preserved"] <= row["high"]
    assert headline.loc["independent-1", "preserved"] == pytest.approx(0)
    verdicts = pd.read_csv(folder / "tables" / "verdicts.csv")
    assert len(verdicts) == 6
    for verdict in verdicts.itertuples():
        assert f"  {verdict.outcome.upper()}: {verdict.claim[:30]}" in done.stdout
        details = folder / "tables" / f"verdict-{verdict.Index + 1}.csv"
        assert details.exists() == np.isfinite(verdict.effect)
    assert verdicts["against"][0] == "alpha 0.9, alpha 0.1"
    alphas = pd.read_csv(folder / "tables" / "verdict-1.csv")
    assert alphas["points"].tolist() == [pytest.approx(verdicts["effect"][0])]
    ladder = pd.read_csv(folder / "tables" / "ladder.csv")
    assert ladder["rung"].tolist() == [
        "Independent",
        "+ optimizer, initial weights, teacher's probabilities, other order",
        "Teacher of no knowledge",
    ]


def test_stored_models_are_in_one_table_with_what_cannot_be_made(finished):
    folder, done = finished
    table = pd.read_csv(folder / "tables" / "compression.csv").set_index("model")
    models = ["float16", "dynamic-range", "full-int8", "prune90+finetune+sparse"]
    impossible = "prune90+int16x8+sparse"
    assert list(table.index) == ["base", *models, impossible]
    keras = folder / "records" / "base" / "final.keras"
    assert table.loc["base", "bytes"] == keras.stat().st_size
    assert table.loc["base", "preserved"] == 100
    for model in models:
        path = folder / "records" / model / "model.tflite"
        assert table.loc[model, "bytes"] == path.stat().st_size
    similarity = pd.read_csv(folder / "tables" / "function_preserved.csv")
    similarity = similarity[similarity["measure"] == "jensen_shannon"]
    expected = similarity.set_index("model").loc[models, "preserved"]
    np.testing.assert_array_equal(table.loc[models, "preserved"], expected)
    assert table.loc["prune90+finetune+sparse", "sparsity"] == pytest.approx(0.9, 0.01)
    assert table.loc[impossible, "not_possible"].startswith("tensorflow 2.")
    assert table.loc[impossible].drop(["family", "not_possible"]).isna().all()
    assert "not possible" in done.stdout
    latency = pd.read_csv(folder / "tables" / "latency.csv")
    assert list(latency["model"]) == models
    assert (latency["median_ms"] <= latency["p99_ms"]).all()


def test_an_analysis_waits_for_nobody_who_uses_the_directory(finished, capsys):
    from kdfunc.runs.directory import RunDirectory

    run = RunDirectory(finished[0])
    with run.claimed(run.config):
        assert cli.main(["report", "--recompute", str(run.path)]) == 2
    assert "another run is using" in capsys.readouterr().err


def test_final_outputs_in_float16_give_the_same_tables_and_verdicts(
    finished, tmp_path, capsys
):
    """float16 carries distance ratios to a thousandth, and every answer."""
    from kdfunc.analysis import keep
    from kdfunc.runs.directory import RunDirectory

    folder, _ = finished
    assert keep.keep(RunDirectory(folder), tmp_path) == []
    kept = tmp_path / NAME
    assert str(folder.parent) not in (kept / "provenance.json").read_text("utf-8")
    times = pd.read_csv(kept / keep.TIMES, index_col="task")
    records = (folder / "records").iterdir()  # with locks, which may stay
    assert set(times.index) == {path.name for path in records if path.is_dir()}
    assert (times["seconds"] > 0).all()
    with pytest.raises(InputError, match="has no records"):
        keep.keep(RunDirectory(kept), tmp_path)
    with pytest.raises(InputError, match="is where its own copy would go"):
        keep.keep(RunDirectory(folder), folder.parent)
    assert (folder / "records").is_dir()
    (kept / "old.txt").touch()
    assert keep.keep(RunDirectory(folder), tmp_path) == []  # replaces the copy
    assert not (kept / "old.txt").exists()
    assert [path.name for path in tmp_path.iterdir()] == [NAME]
    made = ["similarity", "function_preserved", "verdicts", "ladder", "accuracy"]
    made += ["distances", "tails", "changed_images", "agreement_by_class", "verdict-5"]
    for name in made:
        (kept / "tables" / f"{name}.csv").unlink()
    (kept / "figures" / "preserved_by_size.png").unlink()
    assert cli.main(["report", "--recompute", str(kept)]) == 0
    assert (kept / "figures" / "preserved_by_size.png").exists()

    def both(name, *index):
        paths = (where / "tables" / f"{name}.csv" for where in (folder, kept))
        return [pd.read_csv(path).set_index([*index]) for path in paths]

    exact = ("accuracy", "changed_images", "agreement_by_class", "compression")
    for name in exact:
        paths = [where / "tables" / f"{name}.csv" for where in (folder, kept)]
        assert paths[0].read_bytes() == paths[1].read_bytes(), name
    ours, theirs = both("similarity", "model")
    answers = ["disagreement", "negative_flips", "positive_flips", "cohen_kappa"]
    pd.testing.assert_frame_equal(ours[answers], theirs[answers])
    ours, theirs = both("function_preserved", "model", "measure")
    ours, theirs = (t.xs("jensen_shannon", level="measure") for t in (ours, theirs))
    np.testing.assert_allclose(theirs["ratio"], ours["ratio"], rtol=1e-3, atol=1e-6)
    ours, theirs = both("verdicts", "claim")
    assert list(theirs["outcome"]) == list(ours["outcome"])
    np.testing.assert_allclose(theirs["effect"], ours["effect"], rtol=1e-3)


def test_the_terminal_tells_of_the_compressions_that_were_asked_for(finished):
    folder, done = finished
    table = pd.read_csv(folder / "tables" / "compression.csv").set_index("model")
    told = done.stdout[done.stdout.index("Model files (.tflite)") :]
    for model in ("float16", "full-int8", "prune90+finetune+sparse"):
        row = table.loc[model]
        (line,) = [line for line in told.splitlines() if line.split()[:1] == [model]]
        assert f" {row.bytes / 1000:.0f} kB " in line
        assert f" {100 * row.accuracy:.1f} %" in line
        assert f" {row.preserved:.1f} %" in line
        assert line.endswith(f" {100 * row.disagreement:.1f} %")
    assert "prune90+int16x8+sparse: not possible (tensorflow 2." in told


def test_a_devices_measures_of_integer_models_are_those_of_the_records(
    finished, tmp_path
):
    from kdfunc import edge, similarity
    from kdfunc.runs.directory import RunDirectory

    run = RunDirectory(finished[0])
    records = [run.record(name) for name in ("float16", "full-int8")]
    images = np.load(run.record("data").path / "images.npy")
    np.savez(tmp_path / "data.npz", images=images, labels=run.labels)
    paths = [record.path / "model.tflite" for record in records]
    compared = edge.compare(*paths, tmp_path / "data.npz", resamples=10)
    on_device = compared["outputs"][0]["measures"]
    reference, integer = (record.softmax[-1] for record in records)
    assert np.abs(integer.sum(axis=1) - 1).max() > 1e-3  # rescaled in both
    expected = similarity.all_measures(reference, integer, run.labels)
    assert on_device.keys() - expected.keys() == {"agreement", "accuracy"}
    for name, value in expected.items():
        assert on_device[name]["value"] == pytest.approx(value, rel=1e-12), name


def test_the_terminal_is_fit_to_be_kept(finished):
    folder, done = finished
    lines = done.stdout.replace(str(folder), f"runs/{NAME}").splitlines()
    assert max(map(len, lines)) <= 80
    assert "\x1b" not in done.stdout and "\r" not in done.stdout
    assert lines[-1].startswith("Done in ")
    assert lines[-1].endswith(f". Results: runs/{NAME}/report.html")
    assert done.stderr == ""


def test_what_is_missing_or_damaged_is_made_again_in_one_process_with_the_same_bytes(
    finished,
):
    """One task of each kind; what is there is not made again."""
    folder, _ = finished
    cwd = folder.parents[1]
    before = kill.checksums(folder)
    model = folder / "records" / "dynamic-range" / "model.tflite"
    content = bytearray(model.read_bytes())
    content[1000] ^= 1
    model.write_bytes(content)
    missing = ["base", "independent-1", "student-alpha0.9-seed2", "pruned-50"]
    missing += ["no-knowledge-seed24", "tuned-prune90+finetune", "full-int8"]
    for name in missing:
        (folder / "records" / name / "manifest.json").unlink()
    leftover = folder / "records" / "student-alpha0.1-seed2" / "checkpoint.npz"
    leftover.touch()

    verified = run(*SMALL, "--verify", cwd=cwd)
    assert verified.returncode == 1
    assert (
        "dynamic-range: damaged: model.tflite has changed since it was written"
        in verified.stdout
    )
    assert "pruned-50: missing" in verified.stdout

    done = run(*SMALL, "--workers=0", cwd=cwd)
    assert done.returncode == 0, done.stderr
    assert "model.tflite has changed since it was written" in done.stdout
    ended = re.findall(r"^\[ *(\d+)/(\d+)\] (\S+) +(\S+)", done.stdout, re.M)
    made = {name for *_, name, outcome in ended if outcome != "unchanged"}
    assert made == {"dynamic-range", *missing}
    total = str(len(list((folder / "records").glob("*/manifest.json"))))
    assert ended[-1][:2] == (total, total)
    assert kill.checksums(folder) == before
    assert run(*SMALL, "--verify", cwd=cwd).returncode == 0


def test_how_it_was_made_is_told(finished, tensorflow):
    from kdfunc import runtime

    folder, _ = finished
    session = json.loads((folder / "provenance.json").read_text("utf-8"))[0]
    assert session["command"].startswith("run_experiments.py --epochs=2")
    assert session["versions"]["tensorflow"].startswith("2.")
    assert session["seconds"] > 0 and session["machine"]["cores"] >= 1
    assert session["machine"] == runtime.describe_machine()
    made = json.loads(
        (folder / "records" / "base" / "manifest.json").read_text("utf-8")
    )
    assert made["made"]["onednn"] is runtime.ONEDNN


def test_without_onednn_the_bytes_are_the_same_for_any_number_of_workers(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("TF_ENABLE_ONEDNN_OPTS", "0")
    small = ("--epochs=1", "--independents=1", "--stages=train")
    for workers in (0, 2):
        output = f"--output_dir={tmp_path / str(workers)}"
        done = run(*small, f"--workers={workers}", output, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
    (alone, _), (together, session) = (
        (
            kill.checksums(folder),
            json.loads(next(folder.glob("*/prov*")).read_text("utf-8")),
        )
        for folder in (tmp_path / "0", tmp_path / "2")
    )
    assert alone == together
    assert session[0]["machine"]["onednn"] == "off"


def test_another_config_for_the_same_directory_is_refused(finished):
    folder, _ = finished
    done = run(*SMALL[1:], "--epochs=3", cwd=folder.parents[1])
    assert done.returncode == 2
    assert "epochs is 2 there and 3 here" in done.stderr
    _, command = done.stderr.rstrip("`\n").split("there: `kdfunc run ")
    assert sorted(command.split()) == sorted(SMALL[:-1])


def test_less_of_what_is_there_is_no_other_experiment(finished):
    folder, _ = finished
    before = kill.checksums(folder)
    fewer = ("--quantization=dynamic-range", "--compressions=", "--pruning_levels=0.9")
    stages = ("--stages=quantize,prune", "--workers=0")
    done = run(*SMALL, *fewer, *stages, cwd=folder.parents[1])
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert (
        "Requested earlier but not now: quantization float16; pruning_levels 0.5; "
        "compressions full-int8, prune90+finetune+sparse, prune90+int16x8+sparse."
        in told
    )
    assert "4 of 4 tasks are already done" in told
    assert kill.checksums(folder) == before


def test_dry_run_prints_the_plan_and_writes_nothing(tmp_path):
    done = run("--dry_run", "--stages=quantize", "--workers=0", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    plan, forecast = done.stdout.split("\n\n")
    assert [line.split()[0] for line in plan.splitlines()] == [
        f"{NAME}:",
        "data",
        "base",
        "float16",
        "dynamic-range",
    ]
    assert re.fullmatch(
        r"To do: 4 tasks, about \d+ (s|min|min \d+ s) on 1 worker\.\n"
        r"Disk space: about \d+(\.\d)? MB needed, \d+(\.\d)? [GT]B free\.\n",
        forecast,
    )
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (["--architecture=mobilenet"], "mobilenet cannot be built for images of 28x28"),
        (["--compressions=gone:step"], "No module named 'gone'"),
        (
            ["--scheduler=tcp://127.0.0.1:9"],
            "no scheduler answers at tcp://127.0.0.1:9",
        ),
    ],
)
@pytest.mark.usefixtures("tensorflow")
def test_dry_run_refuses_what_the_run_refuses(
    tmp_path, monkeypatch, capsys, flags, told
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(engine, "CONNECT_TIMEOUT", "0.5s")
    assert cli.run(["--dry_run", "--workers=0", *flags]) == 2
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert os.listdir(tmp_path) == []


def test_dry_run_tells_what_is_done_and_needs_no_tensorflow_for_it(finished):
    folder, _ = finished
    spy = "import sys; from kdfunc import cli; cli.run(sys.argv[1:]); "
    spy += "print('tensorflow' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", spy, *SMALL, "--dry_run", "--distillation_seeds=2,3,24"],
        cwd=folder.parents[1],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    lines = done.stdout.splitlines()
    assert lines[-1] == "False", done.stderr
    assert lines[0].endswith(": 21 tasks, 18 of them done")
    state = {line.split()[0]: line for line in lines[1:-4]}
    assert state["base"].endswith("2 epochs   done")
    assert state["student-alpha0.1-seed3"].endswith("needs data, base, teacher")
    assert lines[-3].startswith("To do: 3 tasks, about ")


def test_a_training_that_fails_is_named_and_the_rest_is_done(tmp_path):
    (tmp_path / "broken.py").write_text(
        "import tf_keras\n"
        "from tf_keras import layers\n"
        "def build(input_shape, classes):\n"
        "    return tf_keras.Sequential([\n"
        "        layers.Input(input_shape), layers.Flatten(),\n"
        "        layers.Dense(classes, kernel_initializer='zeros'),\n"
        "        layers.Rescaling(1e38), layers.Rescaling(1e38), layers.Softmax()])\n",
        "utf-8",
    )
    flags = ("--architecture=broken:build", "--stages=train", "--workers=0")
    done = run(*flags, *SMALL, cwd=tmp_path)
    assert done.returncode == 1
    assert (
        "base" in done.stdout
        and "FAILED: outputs are not finite numbers before training" in done.stdout
    )
    assert "kdfunc report runs/digits-broken.build-published" in done.stderr
    logs = tmp_path / "runs" / "digits-broken.build-published" / "logs"
    assert "TrainingError" in (logs / "base.log").read_text("utf-8")


def test_a_network_that_tflite_cannot_convert_has_all_other_results(tmp_path):
    (tmp_path / "odd.py").write_text(
        "import tensorflow as tf\n"
        "from tf_keras import Model, layers, saving\n"
        "@saving.register_keras_serializable('odd')\n"
        "class Spectrum(layers.Layer):\n"
        "    def call(self, x):\n"
        "        return tf.linalg.svd(x[..., 0], compute_uv=False)\n"
        "def build(input_shape, classes):\n"
        "    image = layers.Input(input_shape)\n"
        "    x = layers.Dense(classes, activation='softmax')(Spectrum()(image))\n"
        "    return Model(image, x)\n",
        "utf-8",
    )
    # No other model comes out than the base models, of which one is listed.
    flags = ("--architecture=odd:build", "--independents=0", "--base_models=2")
    stages = "--stages=train,quantize,analyse"
    done = run(*SMALL, *flags, stages, "--workers=0", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    told = " ".join(done.stdout.split())
    assert "dynamic-range: not possible (tensorflow" in told
    assert "'tf.Svd' op is neither a custom op nor a flex op)" in told
    assert "loc(callsite" not in done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    table = pd.read_csv(folder / "tables" / "compression.csv").set_index("model")
    assert table["not_possible"].notna().to_dict() == {
        "base": False,
        "float16": True,
        "dynamic-range": True,
        **dict.fromkeys(table.index[3:], True),
    }
    assert not table.index.str.contains("base-2").any()
    assert (folder / "report.html").stat().st_size > 10_000
