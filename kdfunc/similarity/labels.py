"""Checks the true classes of the examples."""

from typing import Any

import numpy as np

from kdfunc.errors import InputError


def check_labels(labels: Any, examples: int) -> np.ndarray:
    """True classes `[n]` as whole numbers from 0.

    Args:
      labels: `[n]` or `[n, 1]`, whole numbers, possibly as floating point, or truth
        values.
      examples: Number of examples.

    Raises:
      InputError: They do not fit.
    """
    labels = np.asarray(labels)
    if labels.shape == (examples, 1):
        labels = labels[:, 0]
    if labels.shape != (examples,):
        one_hot = labels.ndim == 2 and len(labels) == examples
        advice = ", for example labels.argmax(axis=1)" if one_hot else ""
        if labels.shape == (examples + 1,):
            advice = ", without a header"
        raise InputError(
            f"labels have shape {list(labels.shape)}; give the {examples:,} true "
            f"classes, one per example{advice}."
        )
    whole = labels.dtype.kind in "iub" or (
        labels.dtype.kind == "f" and (labels == np.rint(labels)).all()
    )
    if not whole:
        kind = f"type {labels.dtype}"
        if labels.dtype.kind == "f":
            row = (labels != np.rint(labels)).argmax()
            kind = f"{labels[row]:g} in row {row}"
        raise InputError(
            f"labels have {kind}; give the true classes as whole numbers from 0."
        )
    if labels.min() < 0:
        row = labels.argmin()
        raise InputError(
            f"labels have {labels[row]} in row {row}; give the true classes as whole "
            "numbers from 0."
        )
    return labels.astype(np.int64)
