"""Whether a candidate still computes the function of a reference."""

import gzip
import os
import pathlib
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np

from kdfunc.edge import limits
from kdfunc.edge.files import ImageFile
from kdfunc.edge.inspection import inspect
from kdfunc.edge.running import Settings, is_tflite, isolated, outputs
from kdfunc.errors import InputError
from kdfunc.similarity import (
    MEASURES,
    Estimate,
    bootstrap,
    by_class,
    check_softmax,
    function_preserved,
)
from kdfunc.text import WIDTH, number, percent, table

WARM_UP = 3
RUNS = 20


def compare(
    reference: str | os.PathLike,
    candidate: str | os.PathLike,
    data: str | os.PathLike,
    independents: Sequence[str | os.PathLike] = (),
    limit: Sequence[str] = (),
    logits: bool = False,
    resamples: int = 2000,
    confidence: float = 0.95,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Compares two models by their outputs on the same images.

    Args:
      reference: path of the model to be faithful to: `.tflite`, `.keras` or the folder
        of a SavedModel.
      candidate: path of the model that is judged.
      data: `.npz` with `images` and perhaps `labels`, or `.npy` of images.
      independents: paths of models trained like the reference from other initial
        weights, the yardstick of the function preserved.
      limit: such as `agreement>=0.99`; see `kdfunc.edge.limits`.
      logits: whether the models give logits, which a softmax is then put on.
      resamples: bootstrap resamples of the images.
      confidence: share of intervals that are to cover the truth.
      settings: how models are run.

    Returns:
      What JSON can hold (None for what is not defined): `models`, each with size and
      speed; `measures`, each with value and interval and, where there are independents,
      `preserved`, in percent; `flips`, the images whose class differs; `classes`, the
      hardest hit first, by true class or, without labels, by that of the reference;
      `limits`; `outcome`, a sentence.

    Raises:
      InputError: a file that is not what it should be, a model that cannot be run, or
        a limit that makes no sense here.
    """
    settings = settings or Settings()
    images = ImageFile(data)
    labels = images.labels
    wanted = limits.parse(limit, labels is not None, bool(independents))
    roles = ["reference", "candidate", *["independent"] * len(independents)]
    paths = [reference, candidate, *independents]
    sizes = [_size(path) for path in paths]  # and whether they are models at all
    runs = [_run(path, images, logits, settings) for path in paths]
    models = []
    for role, size, (softmax, latency) in zip(roles, sizes, runs, strict=True):
        _check_classes(runs[0][0], softmax, reference, size["file"])
        facts = {"role": role, **size, "latency_ms": latency}
        if labels is not None:
            facts["accuracy"] = float(np.mean(softmax.argmax(axis=1) == labels))
        models.append(facts)
    p, q, *others = (softmax for softmax, _ in runs)
    options = {"resamples": resamples, "confidence": confidence}
    measures = _measures(p, q, others, labels, options)
    values = {name: entry["value"] for name, entry in measures.items()}
    for name, entry in measures.items():
        if "preserved" in entry:
            values[limits.PRESERVED + name] = entry["preserved"]["value"]
    result = {
        "data": os.fspath(data),
        "images": len(images),
        "labels": labels is not None,
        "confidence": confidence,
        "resamples": resamples,
        "models": models,
        "measures": measures,
        "flips": _flips(p, q, labels),
        "classes": _classes(p, q, labels),
        "limits": limits.judge(wanted, values),
    }
    result["outcome"] = _outcome(result)
    return _without_nan(result)


def _run(path, images: ImageFile, logits: bool, settings: Settings):
    """Softmax `[n, classes]` and the median time of one image in milliseconds."""
    found = []
    with isolated(path, settings) as runner:
        for i, batch in enumerate(outputs(runner, images, settings)):
            batch = batch.reshape(len(batch), -1)
            if logits:
                batch = np.exp(batch - batch.max(axis=1, keepdims=True))
                batch /= batch.sum(axis=1, keepdims=True)
            _check_softmax(batch, path, i * settings.batch_size, logits)
            found.append(batch)
        runner.call("seconds", 1, WARM_UP)
        latency = 1000 * float(np.median(runner.call("seconds", 1, RUNS)))
    return np.concatenate(found), latency


def _check_softmax(batch, path, first_row: int, logits: bool) -> None:
    try:
        check_softmax(batch, f"the output of {path}", first_row)
    except InputError as error:
        advice = "" if logits else "; where models give logits, add --logits"
        raise InputError(f"{str(error).rstrip('.')}{advice}.") from error


def _check_classes(p, q, reference, path) -> None:
    if p.shape != q.shape:
        raise InputError(
            f"{path} has {q.shape[1]} classes and {reference} has {p.shape[1]}; give "
            "models of the same classes."
        )


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


def _measures(p, q, others, labels, options) -> dict[str, dict[str, Any]]:
    found = bootstrap(None, p, [q], labels, **options)
    found = {"agreement": found["disagreement"].derive(lambda x: 1 - x), **found}
    entries = {
        name: {"label": "Agreement", **_interval(estimate)}
        for name, estimate in found.items()
    }
    for name, measure in MEASURES.items():
        if name in entries:
            entries[name]["label"] = measure.label
    if others:
        preserved = function_preserved(None, p, [q], others, labels, **options)
        for name, estimate in preserved.items():
            entries[name]["preserved"] = _interval(estimate)
    return entries


def _interval(estimate: Estimate) -> dict[str, float]:
    return {end: float(getattr(estimate, end)[0]) for end in ("value", "low", "high")}


def _flips(p, q, labels) -> list[dict[str, int]]:
    before, after = p.argmax(axis=1), q.argmax(axis=1)
    found = []
    for i in np.flatnonzero(before != after).tolist():
        flip = {"index": i, "reference": int(before[i]), "candidate": int(after[i])}
        found.append(flip if labels is None else {**flip, "label": int(labels[i])})
    return found


def _classes(p, q, labels) -> list[dict[str, Any]]:
    groups = p.argmax(axis=1) if labels is None else labels
    shares = by_class(p, q, groups, ["disagreement"])["disagreement"]
    counts = np.bincount(groups, minlength=len(shares))
    found = [
        {"class": i, "images": int(counts[i]), "disagreement": float(shares[i])}
        for i in range(len(shares))
        if counts[i]
    ]
    return sorted(found, key=lambda entry: -entry["disagreement"])


def _outcome(result: dict[str, Any]) -> str:
    """What came out, in one sentence."""
    reference, candidate = result["models"][:2]
    agreement = result["measures"]["agreement"]
    value, low, high = (100 * agreement[end] for end in ("value", "low", "high"))
    parts = [
        f"{candidate['file']} gives the same class as {reference['file']} for "
        f"{value:.2f} % of {result['images']:,} images ({100 * result['confidence']:g} "
        f"% interval {low:.2f} to {high:.2f}) with "
        f"{100 * candidate['bytes'] / reference['bytes']:.1f} % of its bytes"
    ]
    if result["labels"]:
        parts.append(
            f"accuracy goes from {100 * reference['accuracy']:.2f} to "
            f"{100 * candidate['accuracy']:.2f} %"
        )
    preserved = result["measures"]["jensen_shannon"].get("preserved")
    if preserved and not np.isnan(preserved["value"]):
        parts.append(
            f"{preserved['value']:.1f} % of the function is preserved, by Jensen-"
            "Shannon divergence, where independently trained models preserve 0 %"
        )
    missed = [limit for limit in result["limits"] if not limit["met"]]
    if missed:
        parts.append(
            "it misses "
            + " and ".join(
                f"{limit['limit']} ({limit['value']:.6g})" for limit in missed
            )
        )
    elif result["limits"]:
        parts.append("every limit is met")
    return "; ".join(parts) + "."


def _without_nan(value: Any) -> Any:
    """The same with None for NaN and infinities, which JSON does not have."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def as_text(result: dict[str, Any], flips: int = 10) -> str:
    """The comparison for people, in 80 columns, with so many of the flips."""
    measures = result["measures"]
    sections = [
        _models_text(result),
        f"measures on {result['images']:,} images with {100 * result['confidence']:g} "
        "% intervals\n"
        + _intervals_text(
            measures, lambda value: "-" if value is None else f"{value:.4g}"
        ),
    ]
    preserved = {k: m["preserved"] for k, m in measures.items() if "preserved" in m}
    if preserved:
        sections.append(
            "function preserved in percent, 0 being as far as independent models\n"
            + _intervals_text(preserved, lambda value: number(value, 1))
        )
    found = result["flips"]
    if found:
        head = f"{len(found):,} of {result['images']:,} images change their class"
        more = f", the first {flips}" if len(found) > flips else ""
        keys = list(found[0])
        rows = [[flip[key] for key in keys] for flip in found[:flips]]
        sections.append(f"{head}{more}\n{table(keys, rows, left=0)}")
        by = "true class" if result["labels"] else "class of the reference"
        rows = [
            [entry["class"], number(entry["images"]), percent(entry["disagreement"])]
            for entry in result["classes"][:5]
            if entry["disagreement"]
        ]
        header = ["class", "images", "changed"]
        sections.append(f"hit hardest, by {by}\n{table(header, rows, left=0)}")
    if result["limits"]:
        rows = [
            [limit["limit"], number(limit["value"], 6), "met" if limit["met"] else "no"]
            for limit in result["limits"]
        ]
        sections.append("limits\n" + table(["limit", "value", ""], rows))
    sections.append("\n".join(textwrap.wrap(result["outcome"], WIDTH)))
    return "\n\n".join(sections)


def _models_text(result: dict[str, Any]) -> str:
    models = result["models"]
    header = ["model", "kind", "bytes", "gzip", "ms an image"]
    keys = ["bytes", "gzip_bytes", "latency_ms"]
    if result["labels"]:
        header.append("accuracy")
        keys.append("accuracy")
    rows = [
        [model["role"], model["kind"], *(number(model[key]) for key in keys)]
        for model in models
    ]
    names = "\n".join(f"{model['role']:<12} {model['file']}" for model in models)
    return f"{names}\n{table(header, rows, left=2)}"


def _intervals_text(found: dict[str, dict[str, float]], cell) -> str:
    rows = [
        [name, *(cell(entry[end]) for end in ("value", "low", "high"))]
        for name, entry in found.items()
    ]
    return table(["measure", "value", "low", "high"], rows)
