"""Whether models preserve less, as much or more than others, by the claims' margin."""

import math
from collections.abc import Sequence

import numpy as np

from kdfunc.similarity.effects import MARGIN, Effect, within
from kdfunc.similarity.rank_tests import LEVEL, holm

OUTCOMES = ("less", "as much", "more", "undecided")
#: What a decided outcome says of models, after "preserve".
TOLD = {
    "less": f"less by more than {MARGIN:g} points",
    "as much": f"as much, within {MARGIN:g} points",
    "more": f"more by more than {MARGIN:g} points",
}


def judged(differences: Sequence[Effect]) -> list[str]:
    """Outcomes of differences in function preserved, after Holm's correction.

    "less" or "more": the difference is significantly beyond the margin. "as much": it
    is significantly within, by two tests.

    Args:
      differences: in points of function preserved.

    Returns:
      One of `OUTCOMES` for each; undecided if it is not a number.
    """
    tests = [
        {
            "less": difference.p_below(-MARGIN),
            "as much": within(difference),
            "more": difference.p_above(MARGIN),
        }
        for difference in differences
    ]
    likeliest = [
        min(test, key=lambda outcome: np.nan_to_num(test[outcome], nan=1.0))
        for test in tests
    ]
    smallest = [
        1.0 if math.isnan(difference.value + test[outcome]) else test[outcome]
        for difference, test, outcome in zip(differences, tests, likeliest, strict=True)
    ]
    return [
        outcome if p < LEVEL else "undecided"
        for outcome, p in zip(likeliest, holm(smallest), strict=True)
    ]
