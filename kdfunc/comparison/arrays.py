"""Compares any two sets of outputs, from arrays or files, without the models."""

import csv
import itertools
import os
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

from kdfunc.archives import is_archive
from kdfunc.comparison import CONFIDENCE, RESAMPLES, limits, result
from kdfunc.comparison.outputs import Said
from kdfunc.comparison.result import Comparison, check_resampling
from kdfunc.errors import InputError, first_line, refuse_string
from kdfunc.similarity.labels import check_labels
from kdfunc.similarity.softmax import listed

Arrays = np.ndarray | Mapping[str, np.ndarray]
EXPECTED = "give outputs [examples, ...] as .npy, .npz or .csv"
LABELS = "labels"  # member of a .npz file
ENCODING = "utf-8-sig"  # of .csv files: Excel begins with a byte order mark


def compare(
    p: Arrays,
    q: Arrays,
    labels: np.ndarray | None = None,
    independents: Sequence[Arrays] = (),
    limit: Sequence[str] = (),
    outputs: str | None = None,
    reference_outputs: str | None = None,
    candidate_outputs: str | None = None,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    *,
    names: Sequence[str] | None = None,
) -> Comparison:
    """Compares the outputs of two models for the same examples.

    Args:
      p: `[examples, ...]` outputs of the reference: softmax or logits `[n, classes]`,
        or any other output, from any library; for a model with several outputs, arrays
        by name.
      q: The same for the candidate, the model to judge.
      labels: `[examples]` true classes, or None.
      independents: The same as `p`, for models trained like the reference from other
        initial weights, needed for the function preserved.
      limit: Such as `agreement>=99% at 95%`; see `kdfunc.comparison.limits`.
      outputs: Kinds of the outputs, instead of those detected: `probabilities`,
        `logits` or `numbers`, or for one output of several `NAME=logits`, separated by
        commas.
      reference_outputs: The same for the reference only.
      candidate_outputs: The same for the candidate only.
      resamples: Bootstrap resamples of the examples.
      confidence: Confidence of the intervals, in (0, 1).
      names: Names of the models, in the given order.

    Returns:
      A dictionary that JSON can represent and that prints well: `outputs`, each with
      the detected kind, measures with intervals and, for classes, tails, flips and the
      classes hit hardest; `limits`; `outcome`, a sentence.

    Raises:
      InputError: The arrays cannot be compared, or a limit makes no sense here.

    Example:
      >>> import kdfunc, numpy as np
      >>> p = np.random.default_rng(0).dirichlet([1, 1, 1], 100)
      >>> kdfunc.compare(p, p.round(2) + 1e-3)["outputs"][0]["kind"]
      'classes'
    """
    check_resampling(resamples, confidence)
    independents = listed(independents, "independents")
    given = [_by_name(x) for x in (p, q, *independents)]
    refuse_string("names", names)
    names = names or ["p", "q", *(f"independents[{i}]" for i in range(len(given) - 2))]
    if len(names) != len(given):
        raise InputError(
            f"names: got {len(names)} for {len(given)} models; give one for each, the "
            "reference first."
        )
    if not given[0]:
        raise InputError(f"{names[0]} has no outputs; {EXPECTED}.")
    first = next(iter(given[0].values()))
    examples = len(first) if first.ndim else 0
    if labels is not None and examples:  # else the outputs are refused
        labels = check_labels(labels, examples)
    wanted = limits.parse(
        limit, labels is not None, len(independents) > 0, [], examples
    )
    return result.compare(
        given,
        [{"file": name} for name in names],
        labels,
        wanted,
        Said(outputs, reference_outputs, candidate_outputs),
        resamples,
        confidence,
    )


def compare_files(
    p: str | os.PathLike,
    q: str | os.PathLike,
    labels: str | os.PathLike | None = None,
    independents: Sequence[str | os.PathLike] = (),
    **options,
) -> Comparison:
    """`compare` for files of outputs.

    Args:
      p: Outputs of the reference: `.npy`; `.npz` with one array per output, and
        optionally the true classes as `labels`; `.csv` with one row per example.
      q: The same for the candidate.
      labels: `.npy`, `.npz` or `.csv` of the true classes, or None.
      independents: As `p`, for independently trained models.
      **options: Options of `compare`.

    Raises:
      InputError: As for `compare`, or a file cannot be read.
    """
    check_resampling(
        options.get("resamples", RESAMPLES), options.get("confidence", CONFIDENCE)
    )
    refuse_string("independents", independents)
    paths = [p, q, *independents]
    given = [read(path) for path in paths]
    names = [os.fspath(path) for path in paths]
    truth, first = None, ""
    for name, arrays in zip(names, given, strict=True):
        other = arrays.pop(LABELS, None)
        if truth is None:
            truth, first = other, name
        elif labels is None and other is not None:
            if not np.array_equal(truth.ravel(), other.ravel()):  # `[n]` or `[n, 1]`
                raise InputError(
                    f"the labels in {name} differ from those in {first}; give outputs "
                    "for the same examples in the same order, and if `labels` is an "
                    "output and not the true classes, another name for it."
                )
    if labels is not None:
        members = read(labels)
        if len(members) > 1 and LABELS not in members:
            raise InputError(
                f"--labels: {os.fspath(labels)} has the arrays {', '.join(members)}; "
                "call the one with the true classes `labels`."
            )
        truth = members.get(LABELS, next(iter(members.values())))
    return compare(given[0], given[1], truth, given[2:], names=names, **options)


def read(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a file by name; a single array has the name "".

    Args:
      path: A `.npy`, `.npz` or `.csv` file.

    Raises:
      InputError: It cannot be read, or contains no numbers.
    """
    path = pathlib.Path(path)
    try:
        if path.suffix.lower() == ".csv":
            found = {"": _csv(path)}
        elif is_archive(path):
            with np.load(path, allow_pickle=False) as members:
                found = {name: members[name] for name in members.files}
        else:
            found = {"": np.load(path, mmap_mode="r", allow_pickle=False)}
    except Exception as error:  # numpy and zipfile raise many kinds for damaged files
        raise InputError(
            f"{path} cannot be read ({first_line(error)}); {EXPECTED}."
        ) from error
    for name, array in found.items():
        if array.ndim < 1 or array.size == 0 or array.dtype.kind not in "fiub":
            raise InputError(
                f"{path} has an array {f'{name} ' if name else ''}{list(array.shape)} "
                f"of {array.dtype}; {EXPECTED}."
            )
    if not found:
        raise InputError(f"{path} contains no arrays; {EXPECTED}.")
    return found


def _csv(path: pathlib.Path) -> np.ndarray:
    """`[rows, columns]` of numbers, without the header and the index of pandas."""
    with open(path, newline="", encoding=ENCODING) as file:
        first = next(csv.reader(file), None)
    if not first:
        raise ValueError("it is empty")
    words = [cell for cell in first if not _is_number(cell)]
    # A number that is not whole shows that the words are damaged numbers.
    titled = bool(words) and all(x.isdecimal() for x in first if x not in words)
    found = np.loadtxt(
        path,
        delimiter=",",
        ndmin=2,
        skiprows=int(titled),
        comments=None,
        encoding=ENCODING,
        quotechar='"',
    )
    counted = len(found) > 2 and (np.diff(found[:, 0]) == 1).all()
    if titled and len(first) > 1 and (not first[0] or counted):
        found = found[:, 1:]  # the index
    numbered = len(found) > 1 and first == [str(i) for i in range(len(first))]
    if numbered and ((len(first) > 2 and (found[1:] % 1).any()) or _all_floats(path)):
        found = found[1:]  # columns without names: the header is 0,1,2,...
    return found[:, 0] if found.shape[1] == 1 else found


def _all_floats(path: pathlib.Path) -> bool:
    """Whether no number below the first row is written as a whole number."""
    with open(path, newline="", encoding=ENCODING) as file:
        rows = itertools.islice(csv.reader(file), 1, None)
        cells = (cell.strip().lstrip("+-") for row in rows for cell in row)
        return not any(cell.isdecimal() for cell in cells)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _by_name(arrays: Arrays) -> dict[str, np.ndarray]:
    if isinstance(arrays, Mapping):
        return {name: np.asarray(array) for name, array in arrays.items()}
    if arrays is None or isinstance(arrays, str | os.PathLike):
        raise InputError(
            f"got {arrays!r} in place of outputs; give arrays [examples, ...], or give "
            "files to `kdfunc.compare_files`."
        )
    if isinstance(arrays, list | tuple) and np.ndim(arrays[:1]) > 2:
        raise InputError(
            f"got a list of {len(arrays)} arrays; give one array, as np.asarray makes, "
            "or the outputs of a model that has several as a dictionary {name: array}."
        )
    return {"": np.asarray(arrays)}
