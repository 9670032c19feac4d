"""Whether a candidate still computes the function of a reference."""

import gzip
import itertools
import os
import pathlib
from collections.abc import Sequence
from typing import Any

from kdfunc.comparison import CONFIDENCE, RESAMPLES, limits, result
from kdfunc.comparison.catalog import RELATIVE, SIZES
from kdfunc.comparison.outputs import Said
from kdfunc.comparison.quantities import Quantity
from kdfunc.comparison.result import Comparison, check_resampling
from kdfunc.edge import timing
from kdfunc.edge.files import DataFile
from kdfunc.edge.inspection import inspect
from kdfunc.edge.running import is_tflite, isolated, outputs_by, outputs_of
from kdfunc.edge.settings import Settings
from kdfunc.errors import InputError, refuse_string


def compare(
    reference: str | os.PathLike,
    candidate: str | os.PathLike,
    data: str | os.PathLike,
    independents: Sequence[str | os.PathLike] = (),
    limit: Sequence[str] = (),
    outputs: str | None = None,
    reference_outputs: str | None = None,
    candidate_outputs: str | None = None,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    settings: Settings | None = None,
    candidate_settings: Settings | None = None,
) -> Comparison:
    """Compares two models by their outputs on the same examples.

    Args:
      reference: path of the original model: `.tflite`, `.keras` or the folder of a
        SavedModel.
      candidate: path of the model to judge.
      data: `.npz` with `images` and perhaps `labels`, or `.npy` of images.
      independents: paths of models trained like the reference from other initial
        weights, needed for the function preserved.
      limit: such as `agreement>=99% at 95%`; see `kdfunc.comparison.limits`.
      outputs: kinds of the outputs, instead of those detected: `probabilities`,
        `logits` or `numbers`, or for one output of several `NAME=logits`, separated by
        commas.
      reference_outputs: the same for the reference only.
      candidate_outputs: the same for the candidate only.
      resamples: bootstrap resamples of the examples.
      confidence: confidence of the intervals, in (0, 1).
      settings: how the reference and the independent models are run.
      candidate_settings: how the candidate is run, if differently.

    Returns:
      A dictionary that JSON can represent and that prints well: `models`, each with
      size and how it was `run` (see `Model.told`), the first two with speed;
      `outputs`, each with the detected kind, measures with intervals and, for classes,
      tails, flips and the classes hit hardest; `limits`; `outcome`.

    Raises:
      InputError: a file cannot be used, a model cannot be run, or a limit makes no
        sense here.
    """
    check_resampling(resamples, confidence)
    refuse_string("independents", independents)
    settings = settings or Settings()
    said = Said(outputs, reference_outputs, candidate_outputs)
    examples = DataFile(data)
    labels = examples.labels
    wanted = limits.parse(
        limit, labels is not None, bool(independents), examples=len(examples)
    )
    paths = [reference, candidate, *independents]
    sizes = [_size(path) for path in paths]  # and whether they are models at all
    ways = [settings, candidate_settings or settings]
    with isolated(reference, ways[0]) as one, isolated(candidate, ways[1]) as other:
        found = [
            outputs_by(runner, path, examples, way)
            for runner, path, way in zip([one, other], paths, ways, strict=False)
        ]
        latencies = timing.latencies([one, other], ways)
    found += [outputs_of(path, examples, settings) for path in independents]
    models = [
        {**size, "latency_ms": latency, "run": each.told}
        for size, latency, each in itertools.zip_longest(sizes, latencies, found)
    ]
    return result.compare(
        [each.arrays for each in found],
        models,
        labels,
        wanted,
        said,
        resamples,
        confidence,
        _quantities(*models[:2]),
        os.fspath(data),
    )


def _quantities(reference, candidate) -> dict[str, Quantity]:
    """The candidate's size and speed, also relative to the reference's."""
    found = {name: Quantity(candidate[name]) for name in SIZES if candidate[name]}
    for name in list(found):
        if reference[name]:
            found[RELATIVE + name] = Quantity(candidate[name] / reference[name])
    return found


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
            f"{path} cannot be read ({error.strerror}); give a model: .tflite, .keras, "
            "or the folder of a SavedModel."
        ) from error
    if not contents:
        raise InputError(
            f"{path} is empty; give a model: .tflite, .keras, or the folder of a "
            "SavedModel."
        )
    return {
        "file": os.fspath(path),
        "bytes": sum(map(len, contents)),
        "gzip_bytes": sum(len(gzip.compress(content)) for content in contents),
        "kind": "SavedModel" if path.is_dir() else "Keras",
    }
