"""Cheap measures rank models as they should where that is known."""

import numpy as np
import pytest
from scipy import stats
from scipy.special import softmax

from kdfunc.similarity import measure
from kdfunc.similarity.fidelity import MEASURES, ranking


@pytest.fixture
def models(rng):
    """A base model's softmax and six models, each farther from it than the last."""
    logits = 3 * rng.normal(size=(800, 10))
    noise = rng.normal(size=(800, 10))
    far = [softmax(logits + step * noise, axis=1) for step in (0.01, 0.1, 0.3, 1, 3, 9)]
    return softmax(logits, axis=1), far


def test_measures_agree_on_models_that_are_far_apart(models):
    base, others = models
    found = ranking(base, others, [0.1] * 3 + [2.0] * 3, resamples=30)
    assert set(found["group"]) == {"all"}  # three near and three far are too few
    assert set(found["measure"]) == set(MEASURES)
    assert set(found["examples"]) == {500, 800}
    assert (found["correlation"] > 0.98).all()
    assert (found["low"] <= found["correlation"] + 1e-12).all()
    assert (found["models"] == 6).all()


def test_near_the_base_model_agreement_cannot_tell_and_kl_can(rng):
    logits = 8 * rng.normal(size=(2000, 10))
    steps = (1e-5, 1e-4, 1e-3, 3e-3, 1e-2, 3e-2)
    others = [softmax(logits * (1 + step), axis=1) for step in steps]
    base = softmax(logits, axis=1)
    found = ranking(base, others, [0.01] * 6, resamples=20)
    near = found[(found["group"] == "near") & (found["examples"] == 500)]
    near = near.set_index("measure")["correlation"]
    assert near["agreement"] == 0  # the same answers from all
    assert near["kl"] == pytest.approx(1) == near["mse"]


def test_chance_in_the_distance_does_not_count_against_a_measure(rng):
    """Models as far from the base by a measure on every image as on all of them."""
    base = rng.dirichlet(np.full(10, 2), size=600).clip(0.02)
    base /= base.sum(axis=1, keepdims=True)
    others, steps = [], 0.01 + 1e-5 * np.arange(6)
    for step in steps:  # moved between two classes, others in each model
        order = rng.permuted(np.tile(np.arange(10), (600, 1)), axis=1)
        moved = np.zeros_like(base)
        np.put_along_axis(moved, order[:, :1], step, axis=1)
        np.put_along_axis(moved, order[:, 1:2], -step, axis=1)
        others.append(base + moved)
    found = ranking(base, others, [0.1] * 6, resamples=20)
    distances = [measure("jensen_shannon", base, q) for q in others]
    known = stats.spearmanr(steps, distances).statistic
    assert known < 1
    mse = found[found["measure"] == "mse"][["correlation", "low", "high"]]
    np.testing.assert_allclose(mse, known)


def test_signal_to_noise_ranks_as_squared_error_does(models):
    base, others = models
    found = ranking(base, others, [0.1] * 6, resamples=10)
    both = found.set_index(["measure", "group", "examples"])["correlation"]
    np.testing.assert_allclose(both["snr"], both["mse"])


def test_the_same_seed_gives_the_same_table(models):
    base, others = models
    one, two = (ranking(base, others, [0.1] * 6, resamples=5) for _ in range(2))
    assert one.equals(two)


def test_models_with_as_many_equal_answers_share_a_rank(rng):
    """0.7 summed from shares of images was not always 0.7: ties were told apart."""
    base = rng.dirichlet(np.ones(5), size=300)
    noise = 0.03 * rng.normal(size=(12, 300, 5))
    others = [softmax(np.log(base) + each, axis=1) for each in noise]
    found = ranking(base, others, [0.1] * 12, resamples=40, seed=3)
    found = found.set_index(["group", "measure"]).loc["all", "agreement"]
    draws = np.random.default_rng(3)
    distances = [measure("jensen_shannon", base, q) for q in others]
    known = []
    for _ in range(40):
        chosen = draws.integers(300, size=300)
        same = [
            int((q[chosen].argmax(axis=1) == base[chosen].argmax(axis=1)).sum())
            for q in others
        ]
        known.append(stats.spearmanr(np.negative(same), distances).statistic)
    assert found["correlation"] == pytest.approx(np.mean(known))
    assert found["low"] == pytest.approx(np.quantile(known, 0.025))
