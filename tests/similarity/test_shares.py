import pytest
from scipy.stats import binomtest

from kdfunc.similarity.shares import exact_interval, unseen_share


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.999])
@pytest.mark.parametrize(
    ("count", "of"),
    [(0, 1), (1, 1), (4, 4), (0, 4), (3, 10), (890, 899), (1, 10**5), (40_000, 10**5)],
)
def test_ends_are_those_of_scipy(count, of, confidence):
    expected = binomtest(count, of).proportion_ci(confidence, method="exact")
    found = exact_interval(count, of, confidence)
    assert found == pytest.approx((expected.low, expected.high), abs=1e-11)


def test_four_of_four_tell_little():
    low, high = exact_interval(4, 4, 0.95)
    assert (round(100 * low, 1), high) == (39.8, 1)
    assert unseen_share(4, 0.95) == pytest.approx(1 - low)


def test_nothing_is_known_of_no_examples():
    assert exact_interval(0, 0, 0.95) == (0, 1)
    with pytest.raises(ValueError, match="between 0 and 4"):
        exact_interval(5, 4, 0.95)
