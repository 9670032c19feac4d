import numpy as np
import pandas as pd
import pytest

from kdfunc.analysis import tails
from kdfunc.config import ExperimentConfig
from kdfunc.runs import plan

BASE = np.eye(3)[[0, 0, 1, 2]]
LABELS = np.array([0, 1, 1, 2])
ANSWERS = {
    "student-alpha0.1-seed2": [0, 1, 1, 0],
    "student-alpha0.1-seed24": [0, 2, 1, 1],
    "student-alpha0.1-seed42": [0, 0, 1, 1],
    "independent-1": [0, 1, 1, 2],
    "independent-2": [1, 1, 1, 2],
    "dynamic-range": [0, 0, 0, 2],
}


@pytest.fixture(scope="module")
def made():
    config = ExperimentConfig(dataset="mnist", alphas=(0.1,))
    by_name = {task.name: task for task in plan.make(config)}
    tasks = [by_name[name] for name in ANSWERS]
    final = {name: np.eye(3)[rows] for name, rows in ANSWERS.items()}
    return tasks, final | {"base": BASE}


def test_images_that_change_in_most_trainings_of_a_group(made):
    tasks, final = made
    changed = tails.changes(final, tasks)
    assert changed.to_dict("list") == {
        "student-alpha0.1": [0, 2, 0, 3],
        "independent": [1, 2, 0, 0],  # one of two is not most
    }
    found = tails.changed_images(changed, tasks, BASE, LABELS, ["a", "b", "c"])
    assert found.to_dict("list") == {
        "image": [1, 3],  # 4 of 5 models, then 3
        "label": ["b", "c"],
        "answer": ["a", "c"],
        "student-alpha0.1": [2, 3],
        "independent": [2, 0],
    }


def test_no_name_of_a_class_is_a_formula_for_a_spreadsheet(made):
    tasks, final = made
    changed = tails.changes(final, tasks)
    names = ["@SUM(A1)", "=HYPERLINK(0)", "-1+2"]
    found = tails.changed_images(changed, tasks, BASE, LABELS, names)
    assert found["label"].tolist() == ["'=HYPERLINK(0)", "'-1+2"]
    assert found["answer"].tolist() == ["'@SUM(A1)", "'-1+2"]


def test_a_row_has_the_means_of_its_models(made):
    tasks, final = made
    measures = pd.DataFrame(
        {
            "model": [task.name for task in tasks],
            "disagreement": [0.5, 0.5, 0.25, 0.25, 0.5, 0.25],
            "confident_flips": 0.5,
            "jensen_shannon.p95": [1, 2, 3, 4, 5, 6],
            "jensen_shannon.p99": 7,
            "jensen_shannon.p99.9": None,
        }
    )
    table = tails.table(measures, tails.changes(final, tasks), tasks)
    assert table["group"].tolist() == [
        "student-alpha0.1",
        "independent",
        "dynamic-range",
    ]
    students, independents, quantized = table.itertuples()
    assert (students.models, students.p95, students.p99) == (3, 2, 7)
    assert students.disagreement == pytest.approx(1.25 / 3)
    assert (students.changed_in_most, students.changed_in_all) == (0.5, 0.25)
    assert (independents.changed_in_most, independents.changed_in_all) == (0.25, 0.25)
    assert quantized.p95 == 6 and np.isnan(quantized.changed_in_most)
    assert table["p99.9"].isna().all()


def test_a_run_without_two_trainings_of_anything(made):
    tasks, final = made
    alone = [task for task in tasks if task.name == "dynamic-range"]
    changed = tails.changes(final, alone)
    found = tails.changed_images(changed, alone, BASE, LABELS, ["a", "b", "c"])
    assert found.columns.tolist() == ["image", "label", "answer"] and found.empty


def test_tails_of_a_model():
    p = np.tile([1.0, 0.0], (100, 1))
    q = p.copy()
    q[:2] = [0.0, 1.0]
    assert tails.per_model(p, q) == {
        "jensen_shannon.p95": 0.0,
        "jensen_shannon.p99": pytest.approx(1.0),
        "jensen_shannon.p99.9": None,
    }
