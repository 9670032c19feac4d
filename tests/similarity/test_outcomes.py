"""Less, as much or more of the function, or undecided."""

import numpy as np

from kdfunc.similarity.intervals import TEstimate
from kdfunc.similarity.outcomes import judged


def test_outcomes_are_decided_by_the_margin_and_corrected():
    def around(value, error):
        return TEstimate(value, error**2, np.inf)

    clear = [around(-20, 2), around(0, 2), around(20, 2), around(-10, 2)]
    assert judged(clear) == ["less", "as much", "more", "undecided"]
    hardly = around(-14.2, 2)  # p = 0.036 alone
    assert judged([hardly]) == ["less"]
    assert judged([hardly, around(-10, 2)]) == ["undecided"] * 2
    assert judged([TEstimate(np.nan, np.inf, 1.0)]) == ["undecided"]
