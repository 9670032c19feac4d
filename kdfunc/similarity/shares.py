"""Exact intervals for shares, such as 4 of 4 images that keep their class.

Resampling cannot show the uncertainty of a share of 0 or 1: every resample is the same.
The interval of Clopper and Pearson 1934 inverts the binomial test and covers the truth
at least as often as it says, whatever the number of examples.
"""

import math

import numpy as np

STEPS = 60  # of the bisection, to 1e-18


def exact_interval(count: int, of: int, confidence: float) -> tuple[float, float]:
    """The Clopper-Pearson interval of a share.

    Args:
      count: Examples that are counted.
      of: All examples; 0 gives the interval 0 to 1.
      confidence: Least share of intervals that should cover the truth.

    Returns:
      Lower and upper end. 4 of 4 at 95 %: 0.398 to 1.
    """
    if not 0 <= count <= of:
        raise ValueError(f"count is {count} of {of}; give one between 0 and {of}.")
    tail = (1 - confidence) / 2
    return _low(count, of, tail), 1 - _low(of - count, of, tail)


def unseen_share(examples: int, confidence: float) -> float:
    """The largest plausible share of an event that none of the examples shows.

    The upper end of `exact_interval` for a count of 0.

    Args:
      examples: Their number.
      confidence: Share of intervals that should cover the truth, in (0, 1).

    Returns:
      A share in [0, 1].
    """
    return 1 - ((1 - confidence) / 2) ** (1 / examples)


def _low(count: int, of: int, tail: float) -> float:
    """The share at which so many or more are counted with probability `tail`."""
    if count == 0:
        return 0.0
    # Of the binomial distribution no more than 24 standard deviations are summed up.
    counts = np.arange(count, min(of, count + 50 + 12 * math.isqrt(of)) + 1)
    first = math.lgamma(of + 1) - math.lgamma(count + 1) - math.lgamma(of - count + 1)
    ratios = np.log((of - counts[:-1]) / counts[1:])  # of neighbouring coefficients
    coefficients = first + np.concatenate([[0.0], np.cumsum(ratios)])
    low, high = 0.0, count / of
    for _ in range(STEPS):
        share = (low + high) / 2
        terms = coefficients + counts * math.log(share)
        terms += (of - counts) * math.log1p(-share)
        if np.exp(terms).sum() < tail:
            low = share
        else:
            high = share
    return (low + high) / 2
