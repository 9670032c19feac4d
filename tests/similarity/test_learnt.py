import numpy as np
import pytest
from scipy.stats import binomtest

from kdfunc.similarity.learnt import learnt


def sure(answers, classes=3):
    """Softmax of a classifier with these answers."""
    return np.eye(classes)[answers] * 0.7 + 0.1


LABELS = np.repeat([0, 1, 2], 30)


def test_one_answer_for_all_is_nothing_learnt():
    """The base model of a made-up set that answered class 0 for all 90 images."""
    found = learnt(sure(np.zeros(90, int)), LABELS)
    assert (found.accuracy, found.largest) == (pytest.approx(1 / 3),) * 2
    assert (found.low, found.high) == (0, 0)
    assert not found.anything
    assert "learnt nothing: it classifies 33.3 % of the test images" in found.warning


def test_another_class_for_all_is_nothing_learnt_either():
    assert not learnt(sure(np.full(90, 2)), LABELS).anything


def test_right_answers_are_something_learnt():
    found = learnt(sure(LABELS), LABELS)
    assert found.anything and found.warning == ""
    assert found.accuracy - found.largest == pytest.approx(found.high)


def test_the_interval_is_that_of_the_examples_that_tell_them_apart():
    answers = np.zeros(90, int)
    answers[:5], answers[30:44] = 1, 1  # 5 of the largest class lost, 14 others won
    found = learnt(sure(answers), LABELS)
    share = binomtest(14, 19).proportion_ci(0.95, method="exact")
    expected = [(2 * end - 1) * 19 / 90 for end in (share.low, share.high)]
    assert [found.low, found.high] == pytest.approx(expected)
    assert found.low < found.accuracy - found.largest < found.high
    assert not found.anything


def test_chance_passes_for_learning_no_more_often_than_it_should(rng):
    """Answers drawn blindly among as many of each class: better by luck in 2.5 %."""
    passed = [
        learnt(sure(rng.permutation(LABELS)), LABELS).anything for _ in range(2000)
    ]
    assert np.mean(passed) < 0.03
