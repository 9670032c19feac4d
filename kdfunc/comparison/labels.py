"""Checks the true classes of the examples."""

from typing import Any

import numpy as np

from kdfunc.errors import InputError


def check_labels(labels: Any, examples: int) -> np.ndarray:
    """True classes `[n]` as whole numbers from 0.

    Args:
      labels: `[n]` or `[n, 1]`, whole numbers, possibly as floating point.
      examples: Number of examples.

    Raises:
      InputError: They do not fit.
    """
    labels = np.asarray(labels)
    if labels.shape == (examples, 1):
        labels = labels[:, 0]
    if labels.shape != (examples,):
        raise InputError(
            f"labels have shape {list(labels.shape)}; give the {examples:,} true "
            "classes, one per example."
        )
    whole = labels.dtype.kind in "iu" or (
        labels.dtype.kind == "f" and (labels == np.rint(labels)).all()
    )
    if not whole or labels.min() < 0:
        raise InputError(
            f"labels have type {labels.dtype} and the smallest is {labels.min()!s}; "
            "give the true classes as whole numbers from 0."
        )
    return labels.astype(np.int64)
