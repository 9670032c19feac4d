"""What is preserved on one set of images and on another, and the difference."""

import numpy as np
import pytest

from kdfunc.similarity import function_preserved
from kdfunc.similarity.scale import score
from kdfunc.similarity.shifts import Distant, Shift, distant

N, CLASSES = 300, 4


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def made(rng, noises, independents=3):
    """A base model, models that differ from it by noise, and independent models."""
    logits = 2 * rng.normal(size=(N, CLASSES))

    def near(noise):
        return softmax(logits + noise * rng.normal(size=(N, CLASSES)))

    others = [near(1.0) for _ in range(independents)]
    return softmax(logits), [near(noise) for noise in noises], others


def test_each_set_has_its_own_yardstick(rng):
    sets = [made(rng, [0.1, 0.4]), made(rng, [0.4, 0.4])]
    shift = Shift(*(distant(*each) for each in sets), {"a": [0], "b": [1]})
    for (base, models, others), found in zip(
        sets, (shift.clean, shift.changed), strict=True
    ):
        told = function_preserved(base, models, others, names=["jensen_shannon"])
        for place, group in enumerate("ab"):
            expected = told["jensen_shannon"].groups[place]
            assert found(group).value == pytest.approx(expected.value)
            assert found(group).low == pytest.approx(expected.low)
    before, after = shift.clean("a").value, shift.changed("a").value
    difference = shift.difference("a")
    assert difference.value == pytest.approx(after - before)
    assert difference.high < 0
    assert abs(shift.difference("b").value) < 15


def test_nothing_changes_between_a_set_and_itself(rng):
    once = distant(*made(rng, [0.1, 0.2, 0.4, 0.8, 0.8]), resamples=100)
    groups = {"a": [0], "b": [1], "c": [2], "seeds": [3, 4], "independent": [5, 6, 7]}
    shift = Shift(once, once, groups)
    for group in groups:
        found = shift.difference(group)
        assert (found.value, found.low, found.high) == pytest.approx((0, 0, 0))
    assert shift.correlation(["a", "b", "c", "seeds"]) == pytest.approx((1, 1, 1))
    assert shift.changed("independent").value == 0


def test_models_in_another_order_are_ranked_the_other_way(rng):
    sets = made(rng, [0.1, 0.2, 0.4, 0.8]), made(rng, [0.8, 0.4, 0.2, 0.1])
    shift = Shift(*(distant(*each) for each in sets), {n: [n] for n in range(4)})
    assert shift.correlation(range(4)) == pytest.approx((-1, -1, -1))


@pytest.mark.parametrize("noises", [(0.3, 0.5), (0.5, 1.4), (1.2, 2.0)])
def test_the_difference_varies_as_its_resamples_do(noises, rng):
    """With one independent model all chance that is known of is that of the images."""
    clean, changed = (distant(*made(rng, [noise], 1)) for noise in noises)
    found = Shift(clean, changed, {"a": [0]}).difference("a")
    scores = [
        [score(a / unit) for a, unit in each.estimate.replicates]
        for each in (changed, clean)
    ]
    resampled = np.std(np.subtract(*scores))
    assert found.error == pytest.approx(resampled, rel=0.1)


def test_the_yardsticks_trainings_widen_the_interval(rng):
    sets = [made(rng, [0.3]) for _ in range(2)]
    even = Shift(*(distant(*each) for each in sets), {"a": [0]}).difference("a")
    for base, _, others in sets[1:]:
        others[0] = 0.9 * base + 0.1 * others[0]  # as if trained to be near it
    uneven = Shift(*(distant(*each) for each in sets), {"a": [0]}).difference("a")
    assert uneven.high - uneven.low > 2 * (even.high - even.low)


def test_several_sets_together_are_their_mean(rng):
    sets = [distant(*made(rng, [0.3]), resamples=50) for _ in range(2)]
    mean = Distant.mean(sets)
    values = [each.estimate.value for each in sets]
    np.testing.assert_allclose(mean.estimate.value, np.mean(values, axis=0))
    assert mean.estimate.replicates.shape == (50, 4)


def test_independent_models_like_the_base_model_are_no_yardstick(rng):
    base, models, _ = made(rng, [0.3])
    same = distant(base, models, [base, base], resamples=20)
    found = Shift(same, same, {"a": [0]}).difference("a")
    assert np.isnan(found.value) and found.p_below(-10) != 0
