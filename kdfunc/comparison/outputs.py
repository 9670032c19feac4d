"""All outputs of two models held against each other, each by what fits it."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kdfunc.comparison import classes, forms, values
from kdfunc.comparison.catalog import PRESERVED, catalog
from kdfunc.comparison.forms import Output
from kdfunc.comparison.quantities import Quantity, estimated, resampled, share
from kdfunc.errors import InputError

REFERENCE, CANDIDATE, INDEPENDENT = "reference", "candidate", "independent"


def title(role: str, number: int, file: str) -> str:
    """What a model is called in errors: `candidate small.tflite`."""
    return f"{role}{f'-{number}' if role == INDEPENDENT else ''} {file}"


def compare(
    output: Output,
    labels: np.ndarray | None,
    resamples: int,
    confidence: float,
) -> tuple[dict[str, Quantity], dict[str, Any]]:
    """Compares one output of a reference, a candidate and independent models.

    Args:
      output: From `forms.settle`; its first model is the reference, the second the
        candidate, the others are independent.
      labels: `[n]` true classes, or None; for outputs of the kind `classes` alone.
      resamples: Of the bootstrap.
      confidence: Share of intervals that are to cover the truth.

    Returns:
      The numbers by name; and what JSON can hold: `name`, `kind`, `shape`, `forms`,
      `hint`, `measures` with value and interval, and what its kind adds.
    """
    p, q, *independents = output.arrays.values()
    if output.kind == forms.CLASSES:
        if labels is not None and labels.max() >= output.classes:
            raise InputError(
                f"the true classes go up to {labels.max()} and the models have "
                f"{output.classes} classes; give labels from 0 to "
                f"{output.classes - 1}."
            )
        found, more = classes.compare(p, q, independents, labels, resamples, confidence)
    else:
        found, more = _values(output, p, q, resamples, confidence)
        if independents:
            more["note"] = "the function preserved is told of classes alone"
    entry = {
        "name": output.name,
        "kind": output.kind,
        "shape": list(output.shape),
        "forms": {model.split()[0]: form for model, form in output.forms.items()},
        "hint": output.hint,
        "measures": _measures(found, confidence),
        **more,
    }
    return found, entry


def _measures(found: Mapping[str, Quantity], confidence: float) -> dict[str, Any]:
    """Value and interval by measure; what is preserved by it stands beside."""
    named, entries = catalog(), {}
    for name, quantity in found.items():
        if not name.startswith(PRESERVED) and "." not in name:
            entries[name] = {"label": named[name].label, **told(quantity, confidence)}
    for name, quantity in found.items():
        if name.startswith(PRESERVED):
            entry = entries[name.removeprefix(PRESERVED)]
            entry["preserved"] = told(quantity, confidence)
    return entries


def told(quantity: Quantity, confidence: float) -> dict[str, float]:
    """Value and ends of the interval."""
    low, high = quantity.interval(confidence)
    return {"value": quantity.value, "low": low, "high": high}


def _values(
    output: Output, r: np.ndarray, c: np.ndarray, resamples: int, confidence: float
) -> tuple[dict[str, Quantity], dict[str, Any]]:
    """The measures of outputs that are no probabilities of classes."""
    spread = values.spread(r) if output.kind == values.NUMBERS else math.nan
    facts = values.Facts(spread, output.classes)
    chosen = [m for m in values.MEASURES.values() if m.kind == output.kind]
    parts: dict[str, list[np.ndarray]] = {measure.name: [] for measure in chosen}
    for before, after in values.blocks(r, c):
        for measure in chosen:
            rows = measure.components(before, after, facts).astype(np.float64)
            parts[measure.name].append(rows.reshape(len(rows), -1))
    found = {}
    for measure in chosen:
        components = np.concatenate(parts[measure.name])
        if measure.combine is None:
            found[measure.name] = Quantity(float(components.max()))
            continue
        if measure.counts and set(np.unique(components)) <= {0.0, 1.0}:
            found[measure.name] = share(int(components.sum()), len(r), len(r))
            continue
        estimate = resampled(components, measure.combine, resamples, confidence)
        reach = (measure.low, measure.high) if measure.counts else None
        found[measure.name] = estimated(estimate, len(r), reach)
    if output.kind == values.NUMBERS:
        return found, {"spread": spread}
    if output.kind == values.TAGS:
        return found, {}
    ious = values.ious(np.concatenate(parts["mean_iou"]).mean(axis=0))
    classes_hit = [
        {"class": i, "iou": float(iou)}
        for i, iou in enumerate(ious)
        if not math.isnan(iou)
    ]
    return found, {"classes": sorted(classes_hit, key=lambda entry: entry["iou"])}


def settle_all(
    outputs: Mapping[str, Mapping[str, np.ndarray]],
    said: Mapping[str, Mapping[str | None, str]],
    labels: np.ndarray | None,
) -> list[Output]:
    """Brings every output into the form in which it is compared.

    Args:
      outputs: Arrays `[n, ...]` by output and model.
      said: By model, what the user says of its outputs, by name; None for all.
      labels: `[n]` true classes, or None.

    Raises:
      InputError: As `forms.settle`, or something is said of an output that is not
        there.
    """
    for sayings in said.values():
        for name in sayings:
            if name is not None and name not in outputs:
                raise InputError(
                    f"there is no output {name!r}; the models have "
                    f"{', '.join(map(repr, outputs))}."
                )
    alone = len(outputs) == 1
    settled = []
    for name, arrays in outputs.items():
        here = {
            model: sayings.get(name, sayings.get(None, forms.AUTO))
            for model, sayings in said.items()
        }
        settled.append(forms.settle("" if alone else name, arrays, here, labels))
    return settled


def check_labels(labels: Any, examples: int) -> np.ndarray:
    """True classes `[n]` as whole numbers from 0.

    Raises:
      InputError: They are not that.
    """
    labels = np.asarray(labels)
    if labels.shape == (examples, 1):
        labels = labels[:, 0]
    if labels.shape != (examples,):
        raise InputError(
            f"labels have shape {list(labels.shape)}; give the {examples:,} true "
            "classes, one of each example."
        )
    whole = labels.dtype.kind in "iu" or (
        labels.dtype.kind == "f" and (labels == np.rint(labels)).all()
    )
    if not whole or labels.min() < 0:
        raise InputError(
            f"labels are of type {labels.dtype} with {labels.min()!s} as the smallest; "
            "give the true classes as whole numbers from 0."
        )
    return labels.astype(np.int64)


def sayings(text: str | Sequence[str] | None) -> dict[str | None, str]:
    """Reads what is said of outputs: `logits`, or `boxes=numbers,scores=logits`.

    Raises:
      InputError: It is none of `forms.SAYINGS`.
    """
    found: dict[str | None, str] = {}
    for part in (text or "").split(",") if isinstance(text or "", str) else text:
        name, _, saying = part.rpartition("=")
        if part and saying not in forms.SAYINGS:
            raise InputError(
                f"outputs are said to be {saying!r}; choose from "
                f"{', '.join(forms.SAYINGS)}, for one output of several as in "
                "scores=logits."
            )
        if part:
            found[name or None] = saying
    return found
