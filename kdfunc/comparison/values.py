"""Measures for outputs that are not class probabilities.

A measure is a formula applied to means over examples, as in `kdfunc.similarity`; so it
has bootstrap intervals, and outputs larger than memory are read in blocks. `r` is the
output of the reference, `c` that of the candidate.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

BLOCK_SIZE = 1 << 20  # numbers in a block

#: Kinds of outputs that these measures are for.
NUMBERS, TAGS, POSITIONS = "numbers", "tags", "positions"
THRESHOLD = 0.5  # from which on a tag is given


def _mean(means):
    return means[..., 0]


@dataclass(frozen=True)
class ValueMeasure:
    """A measure of two outputs that are not class probabilities.

    Attributes:
      name: Key in `MEASURES`.
      label: Name in tables.
      kind: The kind of outputs to which it applies.
      components: Maps a block of `r`, a block of `c` and the `Facts` to `[n]` or `[n,
        k]` numbers, for each example.
      combine: Maps means of the components `[..., k]` to the value `[...]`; None for
        the largest component over all examples, which has no
        interval.
      low: Lower end of the range.
      high: Upper end of the range.
      counts: Whether it counts examples; then intervals allow for events that none of
        the examples shows.
    """

    name: str
    label: str
    kind: str
    components: Callable
    combine: Callable[[np.ndarray], np.ndarray] | None = _mean
    low: float = 0.0
    high: float = 1.0
    counts: bool = False


MEASURES: dict[str, ValueMeasure] = {}


def register(label: str, kind: str, **fields):
    """Adds the decorated function to `MEASURES`.

    Args:
      label: As in `ValueMeasure`.
      kind: As in `ValueMeasure`.
      **fields: Of `ValueMeasure`, if its defaults do not fit.
    """

    def add(components):
        name = components.__name__.removeprefix("_")
        MEASURES[name] = ValueMeasure(name, label, kind, components, **fields)
        return components

    return add


@dataclass(frozen=True)
class Facts:
    """Facts about all examples that are computed before blocks are measured.

    Attributes:
      spread: Standard deviation of the reference's numbers over the examples, pooled
        over the entries of an output.
      classes: Indices, in order, of the classes that any position gets.
    """

    spread: float
    classes: np.ndarray


def blocks(*arrays: np.ndarray) -> Iterator[list[np.ndarray]]:
    """Blocks of the same examples of several arrays `[n, ...]`, as float64.

    Args:
      *arrays: Arrays of the same length n.
    """
    step = max(1, BLOCK_SIZE // max(1, arrays[0][0].size))
    for start in range(0, len(arrays[0]), step):
        yield [
            np.asarray(array[start : start + step]).astype(np.float64)
            for array in arrays
        ]


def spread(reference: np.ndarray) -> float:
    """`Facts.spread` of an array `[n, ...]`.

    Args:
      reference: Outputs of the reference.
    """
    mean = sum(block.sum(axis=0) for (block,) in blocks(reference)) / len(reference)
    squares = sum(np.square(block - mean).sum() for (block,) in blocks(reference))
    return float(np.sqrt(squares / reference.size))


def occurring(*arrays: np.ndarray) -> np.ndarray:
    """`Facts.classes` of arrays `[n, ...]` of class indices.

    Args:
      *arrays: Outputs of the models.
    """
    found = [np.unique(block) for several in blocks(*arrays) for block in several]
    return np.unique(np.concatenate(found)).astype(int)


def _flat(block: np.ndarray) -> np.ndarray:
    return block.reshape(len(block), -1)


# Numbers: regression, embeddings, features, images


@register("Cosine similarity", NUMBERS, low=-1.0)
def _cosine_similarity(r, c, facts):
    """Mean over examples of r . c / (|r| |c|); 1 where both are 0, 0 where one is."""
    r, c = _flat(r), _flat(c)
    lengths = np.linalg.norm(r, axis=1), np.linalg.norm(c, axis=1)
    product = lengths[0] * lengths[1]
    both_zero = (lengths[0] == 0) & (lengths[1] == 0)
    similarity = (r * c).sum(axis=1) / np.where(product == 0, 1, product)
    return np.where(both_zero, 1.0, similarity.clip(-1, 1))


@register("Mean absolute difference", NUMBERS, high=np.inf)
def _mean_absolute_difference(r, c, facts):
    """Mean of |r - c|, in the unit of the output."""
    return np.abs(_flat(r - c)).mean(axis=1)


@register("Mean difference in spreads", NUMBERS, high=np.inf)
def _mean_relative_difference(r, c, facts):
    """Mean of |r - c| / s, with the reference's spread s from example to example."""
    return np.abs(_flat(r - c)).mean(axis=1) / (facts.spread or np.nan)


@register(
    "Largest difference",
    NUMBERS,
    combine=None,
    high=np.inf,
)
def _max_absolute_difference(r, c, facts):
    """Largest |r - c| of all examples, in the unit of the output."""
    return np.abs(_flat(r - c)).max(axis=1)


@register(
    "Largest difference in spreads",
    NUMBERS,
    combine=None,
    high=np.inf,
)
def _max_relative_difference(r, c, facts):
    """Largest |r - c| / s, with the reference's spread s from example to example."""
    return np.abs(_flat(r - c)).max(axis=1) / (facts.spread or np.nan)


def _decibels(means):
    with np.errstate(divide="ignore", invalid="ignore"):
        return 10 * np.log10(means[..., 0] / means[..., 1])


@register(
    "Signal-to-noise ratio in dB",
    NUMBERS,
    combine=_decibels,
    low=-np.inf,
    high=np.inf,
)
def _snr_db(r, c, facts):
    """10 log10(sum r^2 / sum (r - c)^2); infinite where nothing differs."""
    r, c = _flat(r), _flat(c)
    return np.stack([np.square(r).sum(axis=1), np.square(r - c).sum(axis=1)], axis=1)


@register("Equal to the last bit", NUMBERS, counts=True)
def _identical(r, c, facts):
    """Share of examples whose outputs are the same numbers throughout."""
    return (_flat(r) == _flat(c)).all(axis=1)


# Tags: labels that are independent of each other, each with its probability


@register("Tags decided alike", TAGS, counts=True)
def _tag_agreement(r, c, facts):
    """Share of tags, over examples, that both give or both do not; given from 0.5."""
    return ((_flat(r) >= THRESHOLD) == (_flat(c) >= THRESHOLD)).mean(axis=1)


@register("Same tags", TAGS, counts=True)
def _same_tags(r, c, facts):
    """Share of examples with every tag decided alike."""
    return ((_flat(r) >= THRESHOLD) == (_flat(c) >= THRESHOLD)).all(axis=1)


@register("Mean difference of a tag's probability", TAGS)
def _tag_difference(r, c, facts):
    """Mean of |r - c| over tags and examples."""
    return np.abs(_flat(r - c)).mean(axis=1)


def _bits(p):
    tiny = np.finfo(np.float64).tiny
    return -p * np.log2(np.maximum(p, tiny)) - (1 - p) * np.log2(
        np.maximum(1 - p, tiny)
    )


@register("Jensen-Shannon divergence of a tag", TAGS)
def _tag_jensen_shannon(r, c, facts):
    """Mean over tags of the Jensen-Shannon divergence of (r, 1 - r) and (c, 1 - c)."""
    r, c = _flat(r).clip(0, 1), _flat(c).clip(0, 1)
    return (_bits((r + c) / 2) - (_bits(r) + _bits(c)) / 2).clip(0, 1).mean(axis=1)


# Positions: a class at every pixel or every token


@register("Positions of the same class", POSITIONS, counts=True)
def _pixel_agreement(r, c, facts):
    """Share of positions, such as pixels or tokens, that get the same class."""
    return (_flat(r) == _flat(c)).mean(axis=1)


def ious(means: np.ndarray) -> np.ndarray:
    """IoU `[..., classes]` from means of `overlap`; NaN for classes nobody gives.

    Args:
      means: `[..., 2 * classes]`, intersections and unions.
    """
    common, either = np.split(means, 2, axis=-1)
    with np.errstate(invalid="ignore"):
        return np.where(either > 0, common / either, np.nan)


def _mean_of_ious(means):
    ratios = ious(means)
    there = ~np.isnan(ratios)
    total = np.where(there, ratios, 0).sum(axis=-1)
    return total / np.maximum(there.sum(axis=-1), 1)


@register("Mean IoU", POSITIONS, combine=_mean_of_ious, counts=True)
def _mean_iou(r, c, facts):
    """Mean over classes of the positions both give a class / that either gives it."""
    return np.concatenate(overlap(_flat(r), _flat(c), facts.classes), axis=1)


@register("Same class at every position", POSITIONS, counts=True)
def _same_map(r, c, facts):
    """Share of examples with the same class at every position."""
    return (_flat(r) == _flat(c)).all(axis=1)


def overlap(
    r: np.ndarray, c: np.ndarray, classes: np.ndarray
) -> tuple[np.ndarray, ...]:
    """How often both and either give each class, `[n, classes]` from `[n, positions]`.

    Args:
      r: `[n, positions]` classes that the reference gives.
      c: `[n, positions]` classes that the candidate gives.
      classes: As in `Facts`.
    """
    count = len(classes)
    r, c = np.searchsorted(classes, r), np.searchsorted(classes, c)
    same = np.where(r == c, r, count)  # a class more, for what they do not share
    common = _counts(same, count + 1)[:, :count]
    return common, _counts(r, count) + _counts(c, count) - common


def _counts(found: np.ndarray, classes: int) -> np.ndarray:
    """How often each class is in each row, `[n, classes]`."""
    offsets = classes * np.arange(len(found))[:, None]
    cells = (offsets + found).ravel()
    return np.bincount(cells, minlength=classes * len(found)).reshape(-1, classes)
