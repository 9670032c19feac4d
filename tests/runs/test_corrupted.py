"""Corrupted test images and what a run's models say of them, from a real small run."""

import numpy as np
import pandas as pd
import pytest

import kdfunc
from kdfunc import checksums, cli
from kdfunc.runs import corrupted, experiment, plan, verification

CONFIG = kdfunc.ExperimentConfig(
    epochs=1,
    independents=2,
    alphas=(),
    controls=(),
    quantization=("float16",),
    pruning_levels=(0.5,),
    perplexities=(2, 2, 2, 2),
)
MODELS = ["base", "independent-1", "independent-2", "float16", "pruned-50"]


@pytest.fixture(scope="module")
def answered(tmp_path_factory):
    """A run of which the question was asked, on a few images."""
    folder = tmp_path_factory.mktemp("runs")
    stages = ("train", "quantize", "prune")
    run = kdfunc.run(CONFIG, folder, stages=stages, workers=0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corrupted, "IMAGES", 40)
        assert cli.main(["corruptions", str(run.path), "--workers=0"]) == 0
        yield run


def contents(run):
    records = run.path / "records"
    return {
        path: path.read_bytes()
        for folder in records.glob("*corrupted")
        for path in folder.iterdir()
        if path.name != "manifest.json"
    }


def test_all_models_predict_the_same_corrupted_images(answered):
    images = np.load(answered.record("corrupted").path / "images.npy")
    assert images.shape == (12, 40, 28, 28, 1) and images.dtype == np.uint8
    softmax = corrupted.outputs(answered, [t for t in plan.make(CONFIG) if t.family])
    assert list(softmax) == MODELS
    for name, found in softmax.items():
        assert found.shape == (13, 40, 10)
        np.testing.assert_array_equal(found[0], answered.record(name).softmax[-1][:40])
        np.testing.assert_allclose(found.sum(axis=2), 1, atol=1e-5)
    np.testing.assert_allclose(softmax["float16"], softmax["base"], atol=0.01)


def test_tables_figure_and_page_have_the_answer(answered):
    table = pd.read_csv(answered.path / "tables" / "corruptions.csv")
    assert set(table["group"]) == {*MODELS[3:], "independent"}
    assert len(pd.read_csv(answered.path / "tables" / "corruption_ranking.csv")) == 13
    assert (answered.path / "figures" / "corruptions.png").exists()
    html = (answered.path / "report.html").read_text("utf-8")
    assert "Is the function also preserved on corrupted images?" in html
    assert "Gaussian blur, strength 2" in html


def test_what_is_done_is_not_done_again_and_what_is_damaged_is(answered, capsys):
    before = contents(answered)
    path = answered.record("float16-corrupted").path / "softmax.npy"
    path.write_bytes(path.read_bytes()[:-1])
    assert verification.verify(CONFIG, answered.path.parent) == 1
    assert "`kdfunc corruptions" in capsys.readouterr().out
    experiment.corrupt(answered.path, workers=0)
    assert "5 of 6 tasks are already done" in capsys.readouterr().out
    assert contents(answered) == before
    assert verification.verify(CONFIG, answered.path.parent) == 0


def test_damaged_images_are_made_again_and_what_models_said_of_them_stays(answered):
    before = contents(answered)
    manifest = answered.record("float16-corrupted").path / "manifest.json"
    sealed = manifest.read_bytes()
    path = answered.record("corrupted").path / "images.npy"
    path.write_bytes(path.read_bytes()[:-1])
    experiment.corrupt(answered.path, workers=0)
    assert contents(answered) == before
    assert manifest.read_bytes() == sealed
    assert "Gaussian noise" in (answered.path / "report.html").read_text("utf-8")


def test_what_another_model_said_is_asked_again(answered, capsys):
    before = contents(answered)
    (float16,) = [t for t in plan.make(CONFIG) if t.name == "float16"]
    record = answered.record("float16").path
    whole = checksums.read_manifest(record)
    (record / "metrics.csv").write_text(
        (record / "metrics.csv").read_text("utf-8") + "\n", "utf-8"
    )
    checksums.seal(record, **whole)  # as if it were another one
    assert corrupted.outdated(answered, float16)
    capsys.readouterr()
    assert not corrupted.outputs(answered, [float16])
    told = capsys.readouterr().out
    assert told.startswith("Outputs for corrupted images of 1 model are older than")
    experiment.corrupt(answered.path, workers=0)
    told = capsys.readouterr().out
    assert "float16-corrupted: made from another float16; making it again" in told
    assert not corrupted.outdated(answered, float16)
    assert contents(answered) == before


def test_images_corrupted_in_other_ways_are_made_again(answered, monkeypatch):
    monkeypatch.setattr(corrupted, "IMAGES", 20)
    assert corrupted.images_outdated(answered)
    assert not corrupted.outputs(answered, [t for t in plan.make(CONFIG) if t.family])
    experiment.corrupt(answered.path, workers=0)
    images = np.load(answered.record("corrupted").path / "images.npy")
    assert images.shape[1] == 20
    table = pd.read_csv(answered.path / "tables" / "corruption_ranking.csv")
    assert set(table["images"]) == {20}


def test_numbers_of_workers_that_nobody_means_are_refused(answered, capsys):
    assert cli.main(["corruptions", str(answered.path), "--workers=-1"]) == 2
    assert "--workers: got -1; allowed: 0, 1, ..." in capsys.readouterr().err


def test_a_directory_without_models_is_refused(tmp_path, capsys):
    assert cli.main(["corruptions", str(tmp_path)]) == 2
    run = kdfunc.RunDirectory(tmp_path / "run")
    with run.claimed(CONFIG):
        pass
    assert cli.main(["corruptions", str(run.path)]) == 2
    assert cli.main(["corruptions", str(tmp_path / "none")]) == 2
    assert "holds no records of a base model and independent" in (
        capsys.readouterr().err
    )
