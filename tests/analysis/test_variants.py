"""Students with one setting changed: trained, held against controls, told."""

import types

import numpy as np
import pandas as pd
import pytest

from kdfunc import similarity
from kdfunc.analysis import variants
from kdfunc.config import ExperimentConfig
from kdfunc.runs import plan

pytestmark = pytest.mark.usefixtures("tensorflow")

BUILDER = """
from tf_keras import Sequential, layers

def build(input_shape, classes):
    return Sequential([
        layers.Input(input_shape),
        layers.Flatten(),
        layers.Dense(classes, activation="softmax"),
    ])
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A linear base model and every kind of variant, in this process."""
    from kdfunc.runs import experiment

    folder = tmp_path_factory.mktemp("variants")
    (folder / "linear_builder.py").write_text(BUILDER, "utf-8")
    config = ExperimentConfig(
        architecture="linear_builder:build",
        preset="standard",
        epochs=1,
        independents=1,
        alphas=(0.9,),
        distillation_seeds=(2,),
        quantization=(),
        pruning_levels=(),
        controls=("same-start",),
        variants=("temperature=10", "epochs=2", "student=lenet", "teacher=ensemble"),
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        return experiment.run(config, folder, workers=0)


def softmax(run, name):
    return np.array(run.record(name).softmax)


def test_each_differs_from_the_student_in_what_it_changes(run):
    student = softmax(run, "student-alpha0.9-seed2")
    assert student.shape[0] == 2
    warmer = softmax(run, "temperature=10-seed2")
    np.testing.assert_array_equal(warmer[0], student[0])
    assert not np.array_equal(warmer[1], student[1])
    longer = softmax(run, "epochs=2-seed2")
    np.testing.assert_array_equal(longer[:2], student)  # the same, and goes on
    assert longer.shape[0] == 3
    taught_by_all = softmax(run, "teacher=ensemble-seed2")
    np.testing.assert_array_equal(taught_by_all[0], student[0])
    assert not np.array_equal(taught_by_all[1], student[1])


def test_another_architecture_has_one_start_of_its_own(run):
    from kdfunc import models

    taught = softmax(run, "student=lenet-seed2")
    alone = softmax(run, "student=lenet-alone-seed2")
    np.testing.assert_array_equal(taught[0], alone[0])
    assert not np.array_equal(taught[1], alone[1])
    assert not np.array_equal(taught[0], softmax(run, "base")[0])
    trained = models.load(run.record("student=lenet-seed2").path / "final.keras")
    lenet = models.build("lenet", (28, 28, 1), 10, seed=0)
    assert trained.count_params() == lenet.count_params()


def test_alone_is_the_same_training_without_a_teacher(run):
    alone = softmax(run, "epochs=2-alone-seed2")
    np.testing.assert_array_equal(alone[:2], softmax(run, "same-start-seed2"))
    losses = run.record("epochs=2-alone-seed2").metrics.columns
    assert "train_distillation_loss" not in losses


def test_the_ensemble_gives_the_mean_of_its_members_probabilities(run, digits):
    from kdfunc import models

    images = digits.train_images[:50].astype(np.float32) / 255
    members = [
        models.load(run.record(name).path / "final.keras").predict(images, verbose=0)
        for name in ("base", "independent-1")
    ]
    logits = np.load(run.record("teacher-ensemble").path / "logits.npy")
    assert logits.shape == (len(digits.train_images), 10)
    np.testing.assert_allclose(np.exp(logits[:50]), np.mean(members, axis=0), rtol=1e-4)


def test_the_table_holds_them_beside_students_and_controls(run):
    table = pd.read_csv(run.path / "tables" / "variants.csv", keep_default_na=False)
    assert list(zip(table["variant"], table["teacher"], strict=True)) == [
        ("none", "base"),
        ("none", "none"),
        ("temperature=10", "base"),
        ("epochs=2", "base"),
        ("epochs=2", "none"),
        ("student=lenet", "base"),
        ("student=lenet", "none"),
        ("teacher=ensemble", "ensemble"),
    ]
    assert set(table["models"]) == {1}
    base, stranger = softmax(run, "base")[-1], softmax(run, "independent-1")[-1]
    unit = similarity.measure("jensen_shannon", base, stranger)
    for place, name in {0: "student-alpha0.9", 6: "student=lenet-alone"}.items():
        model = softmax(run, f"{name}-seed2")[-1]
        far = similarity.measure("jensen_shannon", base, model)
        right = np.mean(model.argmax(axis=1) == run.labels)
        row = table.loc[place]
        on_scale = 100 * (1 - far / unit if far <= unit else unit / far - 1)
        assert row["preserved"] == pytest.approx(on_scale)
        assert row["preserved_low"] <= row["preserved"] <= row["preserved_high"]
        assert row["accuracy"] == pytest.approx(right)
        worse = 100 * (right - np.mean(base.argmax(axis=1) == run.labels))
        assert row["accuracy_difference"] == pytest.approx(worse)
    students = table["preserved"][0]
    changes = table["change"].replace("", np.nan).astype(float)
    taught = table["taught"].replace("", np.nan).astype(float)
    for place, control in {0: 1, 2: 1, 3: 4, 5: 6, 7: 1}.items():
        preserved = table["preserved"][place]
        assert taught[place] == pytest.approx(preserved - table["preserved"][control])
        if place:
            assert changes[place] == pytest.approx(preserved - students)
    assert changes[[0, 1, 4, 6]].isna().all() and taught[[1, 4, 6]].isna().all()
    told = table["outcome"]
    assert set(told[[2, 3, 5, 7]]) == {"undecided"}  # by one training each
    assert set(told[[0, 1, 4, 6]]) == {""}
    assert (run.path / "figures" / "variants.pdf").exists()


def test_they_are_in_the_measures_but_not_in_what_the_paper_shows(run):
    names = {task.name for task in plan.make(run.config) if task.family == "variant"}
    assert len(names) == 6
    for table in ("similarity", "function_preserved", "metrics"):
        models = pd.read_csv(run.path / "tables" / f"{table}.csv")["model"]
        assert names <= set(models), table
    accuracy = pd.read_csv(run.path / "tables" / "accuracy.csv")
    assert list(accuracy["setting"]) == ["alpha 0.9"]
    landscape = pd.read_csv(run.path / "tables" / "landscape-distillation.csv")
    assert not names & set(landscape["model"])


def test_what_a_variant_changes_is_decided_by_several_trainings():
    config = ExperimentConfig(
        preset="standard",
        independents=5,
        distillation_seeds=(2, 24, 42),
        controls=("same-start",),
        variants=("temperature=10", "teacher=ensemble", "student=lenet-half"),
    )
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(400, 10))
    far = {"temperature=10": 0.2, "teacher=ensemble": 0.81, "student": 3, "same": 2}
    tasks, final = [], {"base": _softmax(logits)}
    for task in plan.make(config):
        if task.family in ("independent", "control", "student", "variant"):
            noise = next((far[name] for name in far if task.name.startswith(name)), 2)
            if task.name.startswith("student-alpha"):
                noise = 0.8
            tasks.append(task)
            final[task.name] = _softmax(logits + noise * rng.normal(size=logits.shape))
    run = types.SimpleNamespace(config=config, labels=logits.argmax(axis=1))
    table = variants.table(run, tasks, final)
    found = table.set_index(["variant", "teacher"])
    assert found["outcome"].to_dict() == {
        ("none", "base"): "",
        ("none", "none"): "",
        ("temperature=10", "base"): "more",
        ("teacher=ensemble", "ensemble"): "as much",
        ("student=lenet-half", "base"): "less",
        ("student=lenet-half", "none"): "",
    }
    warmer = found.loc[("temperature=10", "base")]
    assert 10 < warmer.change_low < warmer.change < warmer.change_high
    assert warmer.taught > found.loc[("none", "base")].taught > 10
    # A smaller student is compared with itself without a teacher, which is as far.
    half = found.loc[("student=lenet-half", "base")]
    assert half.taught_low < 0 < half.taught_high
    assert variants.sentence(table) == (
        "Compared with unchanged students, temperature=10 preserves more by more than "
        "10 points. student=lenet-half preserves less by more than 10 points. "
        "teacher=ensemble preserves as much, within 10 points. The teacher adds "
        f"{half.taught:.1f} points [{half.taught_low:.1f}, {half.taught_high:.1f}] to "
        "student=lenet-half."
    )
    # By a single independent model, nothing is decided.
    few = [t for t in tasks if t.family != "independent" or t.name == "independent-1"]
    assert set(variants.table(run, few, final)["outcome"]) == {"", "undecided"}
    # Without its own control, a smaller student is compared with no other.
    others = [t for t in tasks if "-alone-" not in t.name]
    table = variants.table(run, others, final).set_index("variant")
    assert np.isnan(table.loc["student=lenet-half", "taught"])
    assert not np.isnan(table.loc["temperature=10", "taught"])


def test_variants_alone_are_compared_with_nothing():
    config = ExperimentConfig(
        preset="standard",
        distillation_seeds=(2, 24),
        variants=("temperature=10",),
    )
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(200, 10))
    tasks = [t for t in plan.make(config) if t.family in ("independent", "variant")]
    final = {
        task.name: _softmax(logits + rng.normal(size=logits.shape)) for task in tasks
    }
    run = types.SimpleNamespace(config=config, labels=logits.argmax(axis=1))
    table = variants.table(run, tasks, final | {"base": _softmax(logits)})
    assert list(table["variant"]) == ["temperature=10"]
    assert table[["change", "taught"]].isna().all(axis=None)
    assert variants.sentence(table) == ""


def _softmax(logits):
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exp / exp.sum(axis=1, keepdims=True)
