"""What means hide: the worst examples, and those that change in many models.

A mean of 0.01 bits can be a hundredth of a bit for every example, or one bit for one
example in a hundred. Users notice the second.
"""

from collections.abc import Sequence

import numpy as np

from kdfunc.errors import InputError
from kdfunc.similarity.evaluate import per_example
from kdfunc.similarity.softmax import blocks, listed

#: The measure whose values for single examples are considered.
TAILED = "jensen_shannon"
#: Shares of the examples by the name of the tail that begins there.
TAILS = {"p95": 0.95, "p99": 0.99, "p99.9": 0.999}


def divergences(p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Jensen-Shannon divergence of each example.

    Args:
      p: `[examples, classes]` softmax of the reference.
      q: The same of the candidate.

    Returns:
      `[examples]` in bits.

    Raises:
      InputError: Shapes differ, or an array is not a softmax.
    """
    return per_example(TAILED, p, q)[:, 0]


def fewest(tail: str) -> int:
    """The number of examples from which one lies beyond a tail.

    Args:
      tail: One of `TAILS`.
    """
    return round(1 / (1 - TAILS[tail]))


def quantiles(each: np.ndarray) -> dict[str, float | None]:
    """The values that 95, 99 and 99.9 % of the examples do not exceed.

    Args:
      each: `[examples]` values, such as `divergences`.

    Returns:
      By the names in `TAILS`, the smallest of the values that this share does not
      exceed; None if there are too few examples for one to lie beyond: fewer than 20,
      100, 1,000.
    """
    return {
        name: float(np.quantile(each, share, method="inverted_cdf"))
        if len(each) >= fewest(name)
        else None
        for name, share in TAILS.items()
    }


def changes(p: np.ndarray, models: Sequence[np.ndarray]) -> np.ndarray:
    """In how many models the predicted class is not the reference's.

    An example that changes in most of several trainings is not a fluke of one of them.

    Args:
      p: `[examples, classes]` softmax of the reference.
      models: The same of each model, such as one method's with several seeds.

    Returns:
      `[examples]` integers, from 0 to the number of models.

    Raises:
      InputError: There are no models, shapes differ, or an array is not a softmax.
    """
    models = listed(models, "models")
    if not len(models):
        raise InputError("there are no models; give at least one.")
    named = {"p": p} | {f"models[{i}]": q for i, q in enumerate(models)}
    counts = []
    for _, outputs in blocks(named):
        reference, *others = outputs.values()
        changed = [model.predicted != reference.predicted for model in others]
        counts.append(np.sum(changed, axis=0))
    return np.concatenate(counts)
