"""Tails by hand: which examples lie beyond, and which change again and again."""

import numpy as np
import pytest

from kdfunc.errors import InputError
from kdfunc.similarity import changes, divergences, measure, quantiles

# Of two classes: half a bit of entropy shared by a sure and an unsure answer.
HALF = -(0.75 * np.log2(0.75) + 0.25 * np.log2(0.25)) - 0.5


def test_the_divergence_of_each_example():
    p = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    q = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    each = divergences(p, q)
    np.testing.assert_allclose(each, [0, HALF, 1], atol=1e-12)
    assert measure("jensen_shannon", p, q) == pytest.approx(each.mean())


def test_what_so_many_examples_do_not_exceed():
    """Of 200: 190 alike, 8 at 0.311 bits, 2 at one bit, which the mean hides."""
    p = np.tile([1.0, 0.0], (200, 1))
    q = p.copy()
    q[:8], q[8:10] = [0.5, 0.5], [0.0, 1.0]
    each = divergences(p, q)
    assert each.mean() == pytest.approx((8 * HALF + 2) / 200)
    assert quantiles(each) == {
        "p95": 0,  # 190 of 200 do not exceed it
        "p99": pytest.approx(HALF),  # nor do 198 this
        "p99.9": None,  # a thousandth of 200 is no example
    }


@pytest.mark.parametrize(
    ("examples", "known"),
    [
        (19, []),
        (20, ["p95"]),
        (99, ["p95"]),
        (100, ["p95", "p99"]),
        (999, ["p95", "p99"]),
        (1000, ["p95", "p99", "p99.9"]),
    ],
)
def test_a_tail_of_less_than_one_example_is_not_told(examples, known):
    each = np.arange(examples, dtype=float)
    found = quantiles(each)
    assert [name for name, value in found.items() if value is not None] == known
    shares = {"p95": 0.95, "p99": 0.99, "p99.9": 0.999}
    for name in known:
        assert np.mean(each <= found[name]) >= shares[name]
        assert np.mean(each <= found[name] - 1) < shares[name]  # the smallest
        assert found[name] < each.max()  # an example lies beyond
        assert found[name] in each  # of an example, not between two


def test_in_how_many_models_an_answer_changes():
    base = np.eye(3)[[0, 0, 1, 2]]
    models = [np.eye(3)[rows] for rows in ([0, 1, 1, 0], [0, 2, 1, 1], [0, 0, 1, 1])]
    assert changes(base, models).tolist() == [0, 2, 0, 3]
    assert changes(base, models[:1]).tolist() == [0, 1, 0, 1]
    with pytest.raises(InputError, match="no models"):
        changes(base, [])
    with pytest.raises(InputError, match=r"models\[0\] has shape"):
        changes(base, [models[0][:2]])


def test_blocks_change_nothing(monkeypatch, rng):
    p, *models = rng.dirichlet(np.ones(4), (3, 50))
    whole = divergences(p, models[0]), changes(p, models)
    monkeypatch.setattr("kdfunc.similarity.softmax.BLOCK_SIZE", 28)  # seven rows
    np.testing.assert_array_equal(divergences(p, models[0]), whole[0])
    np.testing.assert_array_equal(changes(p, models), whole[1])


def test_a_confident_flip_is_one_that_both_models_are_sure_of():
    p = np.array([[0.9, 0.1], [0.9, 0.1], [0.89, 0.11], [0.95, 0.05], [1.0, 0.0]])
    q = np.array([[0.1, 0.9], [0.2, 0.8], [0.0, 1.0], [1.0, 0.0], [0.0, 1.0]])
    # The first and the last: the second is unsure after, the third before, and the
    # fourth does not change.
    assert measure("confident_flips", p, q) == 2 / 5
    assert measure("confident_flips", q, p) == 2 / 5
