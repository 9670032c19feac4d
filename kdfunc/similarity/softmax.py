"""Softmax outputs: checked, read in blocks, with quantities that measures share."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TypeVar

import numpy as np

from kdfunc.errors import InputError
from kdfunc.similarity.labels import check_labels

T = TypeVar("T")

SUM_TOLERANCE = 1e-3
BFLOAT16_TOLERANCE = 2**-7
INTEGER_STEPS = (1 << 8, 1 << 15)  # of a probability, in TFLite's integer softmax
CLIP = 1e-7
CALIBRATION_BINS = 15
BLOCK_SIZE = 1 << 16  # numbers in a block: 0.5 MB, so that blocks stay in cache


def check_softmax(p: np.ndarray, name: str = "p", first_row: int = 0) -> np.ndarray:
    """Checks softmax outputs and returns them as exact float64 distributions.

    A row may sum to 1 within 1e-3, which covers float16 at any number of classes. A row
    of an integer softmax (all entries multiples of 1/256 or of 1/32768, as TFLite
    writes 8 and 16 bits) may be off by as much as rounding can cause, half of such a
    step times `classes + 1`; a row of a softmax in bfloat16, as JAX gives, by 2^-7, the
    rounding of the sum and of the quotients. Accepted rows are rescaled to sum to 1, so
    that the bounds of every measure hold.

    Args:
      p: `[examples, classes]`, at least one example and two classes.
      name: What an error calls the array.
      first_row: Number of the first row, where `p` is a block of a larger array.

    Raises:
      InputError: Names the array, the first offending row and its value.
    """
    p = np.asarray(p)
    _check_shape(p, name)
    rows = p.astype(np.float64)
    outside = ~((rows >= -1e-6) & (rows <= 1 + 1e-6))  # NaN is outside too
    if outside.any():
        row, column = np.argwhere(outside)[0]
        raise InputError(
            f"{name} has {rows[row, column]:g} in row {first_row + row}; "
            f"probabilities lie between 0 and 1.{_logits_note(rows, name)}"
        )
    rows = rows.clip(0, 1)
    sums = rows.sum(axis=1)
    off = np.abs(sums - 1) > SUM_TOLERANCE
    for steps in INTEGER_STEPS:
        if off.any():
            codes = rows[off] * steps
            integer = (codes == np.rint(codes)).all(axis=1) & (sums[off] > 0)
            bound = (p.shape[1] + 1) / (2 * steps)
            off[off] = ~integer | (np.abs(sums[off] - 1) > bound)
    if off.any():
        values = rows[off].astype(np.float32)
        bfloat16 = (values == rows[off]) & (values.view(np.uint32) & 0xFFFF == 0)
        off[off] = ~bfloat16.all(axis=1) | (np.abs(sums[off] - 1) > BFLOAT16_TOLERANCE)
    if off.any():
        row = off.argmax()
        raise InputError(
            f"{name} sums to {sums[row]:g} in row {first_row + row}; "
            "the probabilities of a row sum to 1."
        )
    return rows / sums[:, None]


def _logits_note(rows: np.ndarray, name: str) -> str:
    """Advice if the numbers are finite and each row has another sum.

    Percentages and 8-bit codes have about the same sum in all rows, logits do not.
    """
    sums = rows.sum(axis=1)
    sane = np.isfinite(sums).all() and len(rows) > 1
    if not sane or np.median(np.abs(sums - 1)) < 0.1 or np.ptp(sums) < 0.1:
        return ""
    return (
        f" These look like logits; give their softmax, scipy.special.softmax({name}, "
        "axis=1)."
    )


def listed(models: T, name: str) -> T:
    """Refuses one array `[examples, classes]` in place of a list of arrays.

    Args:
      models: `[examples, classes]` of each model, in a list or in one array.
      name: What an error calls it.

    Raises:
      InputError: The array contains the outputs of a single model.
    """
    if isinstance(models, Mapping):
        raise InputError(f"{name} is a dictionary; give a list of models' outputs.")
    if isinstance(models, np.ndarray) and models.ndim == 2:
        raise InputError(
            f"{name} is one array {list(models.shape)}; give a list, such as [{name}]."
        )
    return models


def _check_shape(p: np.ndarray, name: str) -> None:
    numeric = p.dtype.kind in "fiub" or p.dtype.name == "bfloat16"
    if p.ndim != 2 or p.shape[0] < 1 or p.shape[1] < 2 or not numeric:
        raise InputError(
            f"{name} has shape {p.shape} and type {p.dtype}; give numbers "
            "[examples, classes], at least one example and two classes."
        )


def _check_labels(labels: np.ndarray, examples: int, classes: int) -> np.ndarray:
    labels = check_labels(labels, examples)
    if labels.max() >= classes:
        row = labels.argmax()
        raise InputError(
            f"labels have {labels[row]} in row {row}; "
            f"classes lie between 0 and {classes - 1}."
        )
    return labels


class Outputs:
    """A block of one model's softmax; what measures share is computed once.

    Attributes:
      p: `[n, classes]` float64, rows sum to 1.
      labels: `[n]` true classes, or None.
    """

    def __init__(self, p: np.ndarray, labels: np.ndarray | None = None):
        """Takes rows as `check_softmax` returns them."""
        self.p = p
        self.labels = labels

    @cached_property
    def predicted(self) -> np.ndarray:
        """Class of the highest probability; a tie goes to the lowest index."""
        return self.p.argmax(axis=1)

    @cached_property
    def correct(self) -> np.ndarray:
        """Whether the predicted class is the true one."""
        return self.predicted == self.labels

    @cached_property
    def one_hot(self) -> np.ndarray:
        """The predicted class as `[n, classes]`."""
        return _marked(self.predicted, self.p.shape[1])

    @cached_property
    def ranks(self) -> np.ndarray:
        """Rank of each class, 0 the most probable; ties in order of class index."""
        order = np.argsort(-self.p, axis=1, kind="stable")
        return np.argsort(order, axis=1)

    @cached_property
    def unit(self) -> np.ndarray:
        """Rows divided by their L2 norm."""
        return self.p / np.linalg.norm(self.p, axis=1, keepdims=True)

    @cached_property
    def relative(self) -> np.ndarray:
        """Rows divided by their maximum."""
        return self.p / self.p.max(axis=1, keepdims=True)

    @cached_property
    def clipped_log(self) -> np.ndarray:
        """Natural logarithm of the probabilities, none below 1e-7, as in Keras."""
        return np.log(np.maximum(self.p, CLIP))

    @cached_property
    def entropy(self) -> np.ndarray:
        """Shannon entropy in bits."""
        return entropy(self.p)

    @property
    def _truth(self) -> np.ndarray:
        """The labels; an error if there are none."""
        if self.labels is None:
            raise InputError("there are no labels; give the true classes.")
        return self.labels

    @cached_property
    def log_loss(self) -> np.ndarray:
        """Cross-entropy to the true class in nats."""
        return -self.clipped_log[np.arange(len(self.p)), self._truth]

    @cached_property
    def brier(self) -> np.ndarray:
        """Squared L2 distance to the one-hot true class."""
        truth = _marked(self._truth, self.p.shape[1])
        return np.square(self.p - truth).sum(axis=1)

    @cached_property
    def calibration_gaps(self) -> np.ndarray:
        """Correctness minus confidence, in the column of the confidence's bin.

        Bins are of equal width and closed above, as in Guo et al. 2017.
        """
        confidence = self.p.max(axis=1)
        bins = np.ceil(confidence * CALIBRATION_BINS).astype(int) - 1
        return _marked(bins, CALIBRATION_BINS) * (self.correct - confidence)[:, None]


def _marked(columns: np.ndarray, width: int) -> np.ndarray:
    """`[n, width]` of zeros with a one in the given column of each row."""
    marked = np.zeros((len(columns), width))
    marked[np.arange(len(columns)), columns] = 1
    return marked


def entropy(p: np.ndarray) -> np.ndarray:
    """Shannon entropy of each row in bits, with 0 log 0 = 0.

    Args:
      p: `[..., classes]` probabilities.

    Returns:
      `[...]`, from 0 to log2 of the number of classes.
    """
    return -(p * np.log2(np.maximum(p, np.finfo(np.float64).tiny))).sum(axis=-1)


def blocks(
    models: Mapping[str, np.ndarray], labels: np.ndarray | None = None
) -> Iterator[tuple[slice, dict[str, Outputs]]]:
    """Reads the softmax of several models together, some rows at a time.

    Args:
      models: `[examples, classes]` by the name that errors use; memory maps are read
        block by block.
      labels: `[examples]` true classes, or None.

    Yields:
      The rows, and the checked outputs of each model for them.

    Raises:
      InputError: Shapes differ, or an array is not a softmax; see `check_softmax`.
    """
    if not models:
        raise InputError("there are no models; give at least one.")
    models = {name: np.asarray(p) for name, p in models.items()}
    first, shape = next((name, p.shape) for name, p in models.items())
    _check_shape(models[first], first)
    for name, p in models.items():
        if p.shape != shape:
            raise InputError(
                f"{name} has shape {p.shape} but {first} has {shape}; "
                "give the outputs of every model for the same examples."
            )
    if labels is not None:
        labels = _check_labels(labels, *shape)
    step = max(1, BLOCK_SIZE // shape[1])
    for start in range(0, shape[0], step):
        rows = slice(start, start + step)
        block_labels = None if labels is None else labels[rows]
        yield (
            rows,
            {
                name: Outputs(check_softmax(p[rows], name, start), block_labels)
                for name, p in models.items()
            },
        )
