"""Whether a candidate still computes the function of a reference."""

import gzip
import os
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from kdfunc.comparison import limits, result
from kdfunc.comparison.catalog import RELATIVE, SIZES
from kdfunc.comparison.outputs import Said, check_labels
from kdfunc.comparison.quantities import Quantity
from kdfunc.comparison.result import Comparison
from kdfunc.edge.files import ImageFile
from kdfunc.edge.inspection import inspect
from kdfunc.edge.running import Settings, is_tflite, isolated
from kdfunc.edge.running import outputs as batches_of
from kdfunc.errors import InputError

WARM_UP = 3
RUNS = 20


def compare(
    reference: str | os.PathLike,
    candidate: str | os.PathLike,
    data: str | os.PathLike,
    independents: Sequence[str | os.PathLike] = (),
    limit: Sequence[str] = (),
    outputs: str | None = None,
    reference_outputs: str | None = None,
    candidate_outputs: str | None = None,
    resamples: int = 2000,
    confidence: float = 0.95,
    settings: Settings | None = None,
) -> Comparison:
    """Compares two models by their outputs on the same examples.

    Args:
      reference: path of the model to be faithful to: `.tflite`, `.keras` or the folder
        of a SavedModel.
      candidate: path of the model that is judged.
      data: `.npz` with `images` and perhaps `labels`, or `.npy` of images.
      independents: paths of models trained like the reference from other initial
        weights, the yardstick of the function preserved.
      limit: such as `agreement>=99% at 95%`; see `kdfunc.comparison.limits`.
      outputs: what the outputs are, where they are not to be recognised:
        `probabilities`, `logits` or `numbers`, or for one output of several
        `NAME=logits`, with commas between.
      reference_outputs: the same of the reference alone.
      candidate_outputs: the same of the candidate alone.
      resamples: bootstrap resamples of the examples.
      confidence: share of intervals that are to cover the truth.
      settings: how models are run.

    Returns:
      A dictionary that JSON can hold and that prints well: `models`, each with size and
      speed; `outputs`, each with what it was taken for, measures with intervals and,
      for classes, tails, flips and the classes hit hardest; `limits`; `outcome`.

    Raises:
      InputError: a file that is not what it should be, a model that cannot be run, or
        a limit that makes no sense here.
    """
    settings = settings or Settings()
    images = ImageFile(data)
    labels = images.labels
    if labels is not None:
        labels = check_labels(labels, len(images))
    wanted = limits.parse(limit, labels is not None, bool(independents))
    paths = [reference, candidate, *independents]
    sizes = [_size(path) for path in paths]  # and whether they are models at all
    given, models = [], []
    for path, size in zip(paths, sizes, strict=True):
        arrays, latency = run(path, images, settings)
        given.append(arrays)
        models.append({**size, "latency_ms": latency})
    return result.compare(
        given,
        models,
        labels,
        wanted,
        Said(outputs, reference_outputs, candidate_outputs),
        _quantities(*models[:2]),
        resamples,
        confidence,
        os.fspath(data),
    )


def _quantities(reference, candidate) -> dict[str, Quantity]:
    """The candidate's size and speed, and as shares of the reference's."""
    found = {name: Quantity(candidate[name]) for name in SIZES}
    for name in SIZES:
        ratio = candidate[name] / reference[name]
        found[RELATIVE + name] = Quantity(ratio)
    return found


def run(path, images: ImageFile, settings: Settings):
    """Outputs `[n, ...]` by name, and the median time of one image in milliseconds."""
    with isolated(path, settings) as runner:
        found = list(batches_of(runner, images, settings))
        runner.call("seconds", 1, WARM_UP)
        latency = 1000 * float(np.median(runner.call("seconds", 1, RUNS)))
    return {"": np.concatenate(found)}, latency


def _size(path: str | os.PathLike) -> dict[str, Any]:
    if is_tflite(path):
        found = inspect(path)
        facts = {key: found[key] for key in ("file", "bytes", "gzip_bytes")}
        return {**facts, "kind": found["quantization"]["name"]}
    path = pathlib.Path(path)
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    try:
        contents = [file.read_bytes() for file in files if not file.is_dir()]
    except OSError as error:
        raise InputError(
            f"{path} cannot be read ({error.strerror}); give a model."
        ) from error
    if not contents:
        raise InputError(
            f"{path} has no files in it; give a model: .tflite, .keras, or the folder "
            "of a SavedModel."
        )
    return {
        "file": os.fspath(path),
        "bytes": sum(map(len, contents)),
        "gzip_bytes": sum(len(gzip.compress(content)) for content in contents),
        "kind": "SavedModel" if path.is_dir() else "Keras",
    }
