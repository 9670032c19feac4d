"""The final outputs, kept from a run whose records are too large to publish.

    outputs.npz.xz             softmax of the test split after the last epoch, a float16
                               array [n_test, classes] under the name of each model, and
                               `labels` [n_test] and `class_names` [classes]

With the run's `config.json` and `tables/metrics.csv` they replace the records: tables
and figures of the models' final answers follow from them. No TensorFlow is imported
here.
"""

import io
import lzma
import pathlib
from collections.abc import Collection, Iterable

import numpy as np

from kdfunc.errors import InputError
from kdfunc.writing import write_atomic

FILE = "outputs.npz.xz"
#: No larger is the file, so that a repository can hold those of many runs.
LIMIT = 6_000_000
#: float16 numbers begin at even places, which saves a twentieth.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "lc": 3, "lp": 1, "pb": 1}]


def save(
    path: pathlib.Path,
    softmax: Iterable[tuple[str, np.ndarray]],
    labels: np.ndarray,
    class_names: list[str],
    needed: Collection[str] = (),
    limit: int = LIMIT,
) -> list[str]:
    """Writes the final outputs of as many models as fit, or none if too few do.

    Args:
      path: the file to write.
      softmax: names of models with their softmax `[n_test, classes]`, the most
        important first.
      labels: `[n_test]`.
      class_names: `[classes]`.
      needed: models without which the others are of no use; if one of them does not
        fit, nothing is written.
      limit: largest size of the file, in bytes.

    Returns:
      The models that did not fit, the last of those given; all if nothing is written.
    """
    arrays = {name: rounded(p) for name, p in softmax}
    names = list(arrays)
    others = {"labels": labels, "class_names": np.array(class_names)}
    kept = len(names)
    while (
        len(content := _packed({n: arrays[n] for n in names[:kept]} | others)) > limit
    ):
        if not kept:
            raise InputError(
                f"{path}: no model fits in {limit} bytes; give a larger limit."
            )
        kept = min(kept - 1, kept * limit // len(content))
        if not set(needed).isdisjoint(names[kept:]):
            return names
    write_atomic(path, content)
    return names[kept:]


def rounded(softmax: np.ndarray) -> np.ndarray:
    """Softmax as float16, with the largest class of each example unchanged.

    If the two largest probabilities round to the same number, that of the answer is put
    one step above the other, so every count of answers stays exact.

    Args:
      softmax: `[examples, classes]`.
    """
    rounded = np.asarray(softmax, np.float16)
    answers = np.argmax(softmax, axis=1)
    (tied,) = np.nonzero(rounded.argmax(axis=1) != answers)
    above = np.nextafter(rounded[tied].max(axis=1), np.float16(1))
    rounded[tied, answers[tied]] = above
    return rounded


def load(path: pathlib.Path) -> dict[str, np.ndarray]:
    """The arrays of the file that `save` wrote, by name.

    Args:
      path: of the file.

    Raises:
      InputError: it is damaged.
    """
    try:
        with np.load(io.BytesIO(lzma.decompress(path.read_bytes()))) as arrays:
            return dict(arrays)
    except (OSError, ValueError, EOFError, lzma.LZMAError) as error:
        raise InputError(
            f"{path} cannot be read ({error}); get a new copy of it."
        ) from error


def _packed(arrays: dict[str, np.ndarray]) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return lzma.compress(file.getvalue(), format=lzma.FORMAT_XZ, filters=_FILTERS)
