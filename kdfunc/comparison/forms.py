"""The kinds of models' outputs: detected from all examples, or set by the user.

An array `[n, classes]`, or `[n, 1, ..., 1, classes]`, is taken for a classifier's if
its rows are probabilities: in [0, 1], with the sum 1. Other numbers are logits if
another model's output is probabilities, if they predict the true classes better than
chance, or if the user says so: numbers of other models (embeddings, regressions) look
the same, and a softmax of those would mean nothing. `[n, ..., classes]` has a class at
each position.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from kdfunc.comparison.values import NUMBERS, POSITIONS, TAGS, THRESHOLD, blocks
from kdfunc.errors import InputError
from kdfunc.similarity import check_softmax
from kdfunc.similarity.shares import exact_interval
from kdfunc.similarity.softmax import INTEGER_STEPS
from kdfunc.text import count

CLASSES = "classes"
#: What a user can say of an output.
AUTO, PROBABILITIES, LOGITS = "auto", "probabilities", "logits"
SAYINGS = (AUTO, PROBABILITIES, LOGITS, NUMBERS)
#: What an array can be seen to be, beside probabilities and numbers.
INDEPENDENT_PROBABILITIES, INDICES = "independent probabilities", "class indices"
NEAR = 0.05  # sums so close to 1 are meant to be 1
LEAST = 0.5  # that rounding to 8 bits leaves of the sum of many small probabilities
SPREAD = 2.3  # four standard deviations of a rounding error, in halves of a step
MOST_CLASSES = 1 << 16  # that integers stand for
ROWS = 5  # of which all must have one sum not to be logits by chance
#: The lowest number, the sum of a row above it, what such rows are, what to do.
SCALES = (
    (0, 100, "percentages", "them divided by 100"),
    (0, 255, "8-bit codes", "(codes - zero_point) * scale"),
    (0, 256, "8-bit codes", "(codes - zero_point) * scale"),
    (-128, 256, "8-bit codes", "(codes - zero_point) * scale"),
)


@dataclass(frozen=True)
class Output:
    """One output of several models, converted to a common form.

    Attributes:
      name: Name of the output.
      kind: `classes`, `tags`, `positions` or `numbers`.
      shape: Shape for one example, as the models give it.
      arrays: One array per model: softmax `[n, classes]`, probabilities of tags `[n,
        tags]`, class indices `[n, ...]`, or numbers `[n, ...]`.
      forms: The detected or given kind of each model's array.
      classes: Number of classes of the kind `classes`.
      hint: What else it might be and how to set that, or empty.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    arrays: Mapping[str, np.ndarray]
    forms: Mapping[str, str]
    classes: int = 0
    hint: str = ""


def settle(
    name: str,
    arrays: Mapping[str, np.ndarray],
    said: Mapping[str, str],
    labels: np.ndarray | None = None,
) -> Output:
    """Detects the kind of an output and converts it to a common form for all models.

    Args:
      name: Name of the output; empty for a single one.
      arrays: `[n, ...]` by model, the reference first.
      said: For each model, one of `SAYINGS`.
      labels: `[n]` true classes, or None.

    Raises:
      InputError: Shapes differ, a value is not finite, or a given kind does not fit.
    """
    shape = _common_shape(name, arrays)
    arrays = {model: _squeezed(array) for model, array in arrays.items()}
    seen = {model: _seen(title(name, model), x) for model, x in arrays.items()}
    if NUMBERS in seen.values():  # a model that has collapsed may stay within [0, 1]
        for model, array in arrays.items():
            if seen[model] == INDEPENDENT_PROBABILITIES and _is_constant(array):
                seen[model] = NUMBERS
    for model, form in seen.items():
        _check_saying(title(name, model), said[model], form)
        if said[model] == AUTO and form in (NUMBERS, INDICES):
            _check_scale(title(name, model), arrays[model])
    first = next(iter(arrays.values()))
    if NUMBERS not in said.values():
        _check_mixture(name, seen, first.shape[-1])
    evidence = labels is not None and _fits(first, labels)
    kind, forms = _decide(first.shape, seen, said, evidence)
    hint, classes = "", 0
    if kind == NUMBERS:
        hint = _hint(first.shape, said)
    elif kind == CLASSES:
        if evidence and not {*said.values()} - {AUTO} and {*seen.values()} == {NUMBERS}:
            hint = (
                "taken for logits, since the largest number of a row tells the true "
                "class better than chance; if they are something else, such as an "
                "embedding, give --outputs=numbers"
            )
        arrays = {m: _softmax(array, forms[m]) for m, array in arrays.items()}
        classes = next(iter(arrays.values())).shape[-1]
    elif kind == POSITIONS:
        arrays = {m: _indices(array, forms[m]) for m, array in arrays.items()}
    return Output(name, kind, shape, arrays, forms, classes, hint)


def title(name: str, model: str) -> str:
    """Name of a model's output in errors.

    Args:
      name: Name of the output; empty for a single one.
      model: The model's role.
    """
    return f"output {name!r} of {model}" if name else f"the output of {model}"


def _common_shape(name, arrays) -> tuple[int, ...]:
    (first, expected), *others = arrays.items()
    for model, array in others:
        if array.shape != expected.shape:
            raise InputError(
                f"{title(name, model)} has shape {list(array.shape[1:])} for "
                f"{count(len(array), 'example')}, but that of {first} has "
                f"{list(expected.shape[1:])} for {len(expected)}; give outputs of the "
                "same shape for the same examples."
            )
    if expected.ndim < 1 or expected.size == 0:
        raise InputError(
            f"{title(name, first)} is an array {list(expected.shape)}; give numbers "
            "[examples, ...] for at least one example."
        )
    return expected.shape[1:]


def _squeezed(array: np.ndarray) -> np.ndarray:
    """`[n, 1, ..., 1, classes]` as `[n, classes]`; `[n]` as `[n, 1]`."""
    first, *middle, last = array.shape if array.ndim > 1 else (*array.shape, 1)
    return array.reshape(first, *(size for size in middle if size > 1), last)


def _seen(what: str, array: np.ndarray) -> str:
    """The kind of an array, as detected from all its examples."""
    if array.dtype.kind in "iub":
        lowest, highest = array.min(), array.max()
        return INDICES if 0 <= lowest and highest < MOST_CLASSES else NUMBERS
    if array.dtype.kind != "f":
        raise InputError(f"{what} has type {array.dtype}; give numbers.")
    low, high, first_row, furthest = np.inf, -np.inf, 0, 0.0
    off: InputError | None = None
    rounded = True  # whether sums are off by no more than rounding to 8 bits can do
    for (block,) in blocks(array):
        finite = np.isfinite(block).reshape(len(block), -1).all(axis=1)
        if not finite.all():
            row = int(finite.argmin())
            value = block[row][~np.isfinite(block[row])][0]
            raise InputError(
                f"{what} is {value:g} in row {first_row + row}; give models and "
                "examples whose outputs are finite numbers."
            )
        low, high = min(low, block.min()), max(high, block.max())
        if array.shape[-1] > 1 and low > -NEAR and high < 1 + NEAR:
            rows = block.reshape(-1, array.shape[-1])
            sums = rows.sum(axis=1)
            furthest = max(furthest, np.abs(sums - 1).max())
            rounded = rounded and _may_be_rounded(rows, sums)
            if off is None:
                try:
                    check_softmax(rows, what, first_row)
                except InputError as error:
                    off = error
        first_row += len(block)
    within = low > -NEAR and high < 1 + NEAR
    if array.shape[-1] > 1 and within and off is None:
        if furthest < NEAR or rounded:
            return PROBABILITIES
    elif off and array.shape[-1] > 1 and within and furthest < NEAR:
        raise off  # meant to be probabilities, and a little off
    return INDEPENDENT_PROBABILITIES if low >= -1e-6 and high <= 1 + 1e-6 else NUMBERS


def _is_constant(array: np.ndarray) -> bool:
    """Whether all of several examples have the same output."""
    return len(array) > 1 and bool((array == array[:1]).all())


def _may_be_rounded(rows: np.ndarray, sums: np.ndarray) -> bool:
    """Whether rounding to 8 bits may have turned sums of 1 into these.

    Values rounded to 0 lose up to half a step each; others change in either direction,
    small probabilities more often upwards.
    """
    given = np.count_nonzero(rows, axis=1)
    lost = rows.shape[1] - given + SPREAD * np.sqrt(given) + 1
    step = 2 * INTEGER_STEPS[0]
    least = np.maximum(LEAST, 1 - lost / step)
    return bool(((sums >= least) & (sums <= 1 + (given + 1) / step)).all())


def _check_saying(what: str, saying: str, seen: str) -> None:
    if saying == LOGITS and seen in (PROBABILITIES, INDEPENDENT_PROBABILITIES):
        sums = " and each row sums to 1" if seen == PROBABILITIES else ""
        raise InputError(
            f"{what} cannot be logits, since every value lies between 0 and 1{sums}; "
            "omit --logits, since kinds are detected, or declare logits only for the "
            "models that give them."
        )
    if saying == PROBABILITIES and seen == NUMBERS:
        raise InputError(
            f"{what} cannot be probabilities, since not every value lies between 0 and "
            "1; declare logits or numbers, or nothing."
        )
    if saying in (LOGITS, PROBABILITIES) and seen == INDICES:
        raise InputError(
            f"{what} has whole numbers, which are neither logits nor probabilities; "
            "declare numbers or nothing."
        )


def _check_scale(what: str, array: np.ndarray) -> None:
    """Refuses percentages and 8-bit codes of probabilities, which look like logits."""
    if array.ndim != 2 or len(array) < ROWS or array.shape[1] < 2:
        return
    whole = array.dtype.kind in "iu" or bool((array == np.rint(array)).all())
    for low, total, scale, remedy in SCALES if whole else SCALES[:1]:
        if array.min() < low or array.max() > low + total:
            continue
        sums = array.sum(axis=1, dtype=float) - low * array.shape[1]
        rounding = (array.shape[1] + 1) / 2 if whole else 0.005 * array.shape[1] + 0.01
        if (np.abs(sums - total) <= min(rounding, NEAR * total)).all():
            raise InputError(
                f"{what} looks like {scale} of probabilities, since each row sums to "
                f"about {sums[0] + low * array.shape[1]:.4g}; give {remedy}, or "
                "declare numbers or logits."
            )


def _check_mixture(name: str, seen: Mapping[str, str], width: int) -> None:
    summing = [model for model, form in seen.items() if form == PROBABILITIES]
    others = [
        model for model, form in seen.items() if form == INDEPENDENT_PROBABILITIES
    ]
    if summing and others and width > 1:
        raise InputError(
            f"{title(name, others[0])} lies between 0 and 1 but its rows do not sum to "
            f"1, unlike those of {summing[0]}; declare logits or numbers for the "
            "models that give them."
        )


def _fits(array: np.ndarray, labels: np.ndarray) -> bool:
    """Whether the largest number of a row tells the true class better than chance."""
    if array.ndim > 2 or labels.min() < 0 or labels.max() >= max(array.shape[-1], 2):
        return False
    if array.shape[-1] == 1:
        predicted = (array[:, 0] > 0).astype(int)
    else:
        predicted = array.argmax(axis=1)
    classes = max(array.shape[-1], 2)
    shares = (np.bincount(x, minlength=classes) / len(x) for x in (predicted, labels))
    chance = np.prod(list(shares), axis=0).sum()
    right = int((predicted == labels).sum())
    return exact_interval(right, len(labels), 0.95)[0] > chance


def _decide(
    shape: tuple[int, ...],
    seen: Mapping[str, str],
    said: Mapping[str, str],
    evidence: bool,
) -> tuple[str, dict[str, str]]:
    """The kind of an output, and the form of each model's array."""
    positions, width = len(shape) > 2, shape[-1]
    forms, sayings = set(seen.values()), set(said.values())
    if forms == {INDICES} and NUMBERS not in sayings:
        return POSITIONS, dict(seen)
    known = PROBABILITIES in forms or bool(sayings & {LOGITS, PROBABILITIES})
    if forms == {INDEPENDENT_PROBABILITIES} and not positions:
        known, kind = True, CLASSES if width == 1 else TAGS
    else:
        kind = POSITIONS if positions else CLASSES
        known = known or (bool(evidence) and not positions)
        known = known and (width == 1 or INDEPENDENT_PROBABILITIES not in forms)
    if not known or NUMBERS in sayings or INDICES in forms:
        return NUMBERS, dict.fromkeys(seen, NUMBERS)
    return kind, {m: LOGITS if f == NUMBERS else f for m, f in seen.items()}


def _hint(shape: tuple[int, ...], said: Mapping[str, str]) -> str:
    """How to declare numbers to be classes, if they may be."""
    if NUMBERS in said.values():
        return ""
    if len(shape) == 2 and shape[-1] > 1:
        return "if these are the logits of a classifier, give --outputs=logits"
    if len(shape) > 2 and shape[-1] > 1:
        return "if these are logits of a class at each position, give --outputs=logits"
    if len(shape) > 2:
        return "if these are the probabilities of a mask, give --outputs=probabilities"
    return ""


def _softmax(array: np.ndarray, form: str) -> np.ndarray:
    """Probabilities `[n, classes]`; a single number is that of class 1 of two."""
    if form in (PROBABILITIES, INDEPENDENT_PROBABILITIES) and array.shape[-1] > 1:
        return array
    rows = array.astype(np.float64)
    if form == LOGITS:
        if rows.shape[-1] == 1:
            rows = np.concatenate([np.zeros_like(rows), rows], axis=1)
        rows = np.exp(rows - rows.max(axis=1, keepdims=True))
        return rows / rows.sum(axis=1, keepdims=True)
    return np.concatenate([1 - rows, rows], axis=1)


def _indices(array: np.ndarray, form: str) -> np.ndarray:
    """The class at each position, `[n, ...]`."""
    if form == INDICES:
        return array
    if array.shape[-1] > 1:
        return np.concatenate([block.argmax(axis=-1) for (block,) in blocks(array)])
    return array[..., 0] >= (0 if form == LOGITS else THRESHOLD)
