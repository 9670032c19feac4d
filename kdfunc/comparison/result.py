"""The result of a comparison: a dictionary for programs that prints well for people."""

import math
import numbers
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kdfunc.comparison import forms, limits, outputs
from kdfunc.comparison.outputs import Said
from kdfunc.comparison.quantities import Quantity
from kdfunc.comparison.text import as_text, limited, model_names, what_would_decide
from kdfunc.errors import InputError
from kdfunc.text import count


class Comparison(dict):
    """A comparison in a form for JSON (None for undefined values) that prints well.

    Keys: `data`, `examples`, `labels` (whether there are true classes), `confidence`,
    `resamples`, `models`, `outputs`, `limits`, and `outcome`, a sentence.
    """

    def __str__(self) -> str:
        return as_text(self)

    __repr__ = __str__


#: Resamples above which nobody means it.
MOST_RESAMPLES = 1_000_000


def check_resampling(resamples: int, confidence: float) -> None:
    """Checks the settings of the intervals.

    Args:
      resamples: Number of bootstrap resamples.
      confidence: Share of intervals that are to cover the truth.

    Raises:
      InputError: A setting is out of range.
    """
    whole = isinstance(resamples, numbers.Integral)
    if not whole or not 1 <= resamples <= MOST_RESAMPLES:
        raise InputError(
            f"--resamples: got {resamples}; give a whole number from 1 to "
            f"{MOST_RESAMPLES}."
        )
    if not 0 < confidence < 1:
        raise InputError(
            f"--confidence: got {confidence:g}; give a share between 0 and 1, such as "
            "0.95."
        )


def compare(
    given: Sequence[Mapping[str, np.ndarray]],
    models: Sequence[Mapping[str, Any]],
    labels: np.ndarray | None,
    wanted: Sequence[limits.Limit],
    said: Said,
    resamples: int,
    confidence: float,
    sizes: Mapping[str, Quantity] | None = None,
    data: str = "",
) -> Comparison:
    """Compares the outputs of two models and judges the limits.

    Args:
      given: For each model, its outputs `[n, ...]` by name: the reference, the
        candidate, then independently trained models.
      models: Facts about each, in that order: at least `file`, its name.
      labels: `[n]` true classes as `labels.check_labels` returns them, or None.
      wanted: Limits to judge.
      said: Kinds that the user declares.
      resamples: Of the bootstrap.
      confidence: Share of intervals that are to cover the truth.
      sizes: Sizes and speed by name, for limits on them.
      data: Source of the examples.

    Raises:
      InputError: Outputs cannot be compared, or a limit names a number that they do not
        have.
    """
    roles = outputs.roles(len(given))
    titles = [
        f"{role} {model['file']}" for role, model in zip(roles, models, strict=True)
    ]
    settled = outputs.settle_all(given, titles, said, labels)
    of_classes = [output for output in settled if output.kind == forms.CLASSES]
    labelled = of_classes[0] if labels is not None and len(of_classes) == 1 else None
    described: list[dict[str, Any]] = [
        {"role": role.partition("-")[0], **model}
        for role, model in zip(roles, models, strict=True)
    ]
    found: dict[str | None, Mapping[str, Quantity]] = {}
    entries = []
    for output in settled:
        truth = labels if output is labelled else None
        quantities, entry = outputs.compare(output, truth, resamples, confidence)
        found[output.name] = quantities
        entries.append(entry)
    if labelled is not None:
        for model, softmax in zip(described, labelled.arrays.values(), strict=True):
            model["accuracy"] = float(np.mean(softmax.argmax(axis=1) == labels))
    kinds = {name: x.kind for name, x in zip(given[0], settled, strict=True)}
    judged = limits.judge(wanted, {**found, limits.FILES: sizes or {}}, kinds)
    result = Comparison(
        data=data,
        examples=len(next(iter(settled[0].arrays.values()))),
        labels=labelled is not None,
        confidence=confidence,
        resamples=int(resamples),
        models=described,
        outputs=entries,
        limits=judged,
    )
    unused = labels is not None and labelled is None
    result["outcome"] = _outcome(result, _unused(len(of_classes)) if unused else "")
    for key in list(result):
        result[key] = _without_nan(result[key])
    return result


def _without_nan(value: Any) -> Any:
    """The same with None for NaN and infinities, which JSON cannot represent."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _unused(classifications: int) -> str:
    """Why the true classes that were given say nothing."""
    if not classifications:
        return "the labels were not used, since no output is a classification"
    return (
        f"the labels were not used, since {classifications} outputs are "
        "classifications, not one"
    )


def _outcome(result: Mapping[str, Any], note: str) -> str:
    """The result in one sentence, with a note on what was given."""
    reference, candidate = result["models"][:2]
    names = model_names(result)
    size = ""
    if "bytes" in reference:
        share = 100 * candidate["bytes"] / reference["bytes"]
        size = f" with {share:.1f} % of its bytes"
    parts = [
        ("in output " + repr(output["name"]) + ": " if output["name"] else "")
        + _told(output, result)
        for output in result["outputs"]
    ]
    parts[0] = (
        f"{names[1]} {parts[0]}{size}"
        if not result["outputs"][0]["name"]
        else f"{names[1]} against {names[0]}{size}, {parts[0]}"
    )
    if result["labels"]:
        parts.append(
            f"accuracy goes from {100 * reference['accuracy']:.2f} to "
            f"{100 * candidate['accuracy']:.2f} %"
        )
    parts += [_preserved(output) for output in result["outputs"] if _preserved(output)]
    parts += [note] if note else []
    of_classes = [x for x in result["outputs"] if x["kind"] == forms.CLASSES]
    if any(x["notes"] for x in (*of_classes, *_ways(result))):
        parts.append("the notes say what may mislead here")
    return "; ".join(parts + _limits(result["limits"])) + "."


def _ways(result: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """How the models were run, where they were run here."""
    return [model["run"] for model in result["models"] if model.get("run")]


def _told(output: Mapping[str, Any], result: Mapping[str, Any]) -> str:
    name = model_names(result)[0]
    reference = "" if output["name"] else f" as {name}"
    measures = output["measures"]
    percent = {name: 100 * m["value"] for name, m in measures.items()}
    ends = {
        name: f"({100 * result['confidence']:g} % interval {100 * m['low']:.2f} to "
        f"{100 * m['high']:.2f})"
        for name, m in measures.items()
    }
    examples = count(result["examples"], "example")
    if output["kind"] == forms.CLASSES:
        return (
            f"gives the same class{reference} for {percent['agreement']:.2f} % of "
            f"{examples} {ends['agreement']}"
        )
    if output["kind"] == forms.POSITIONS:
        return (
            f"gives the same class{reference} at {percent['pixel_agreement']:.2f} % "
            f"of the positions of {examples} {ends['pixel_agreement']}, mean IoU "
            f"{percent['mean_iou']:.2f} %"
        )
    if output["kind"] == forms.TAGS:
        return (
            f"decides {percent['tag_agreement']:.2f} % of the tags of {examples} alike "
            f"{ends['tag_agreement']}"
        )
    snr, cosine = measures["snr_db"]["value"], measures["cosine_similarity"]["value"]
    if measures["identical"]["value"] == 1:
        return f"gives the same numbers{reference} for {examples}, to the last bit"
    if math.prod(output["shape"]) == 1:  # of which a cosine is the sign
        return (
            f"gives numbers with a signal-to-noise ratio of {snr:.1f} dB to those of "
            f"{name} on {examples}"
        )
    return (
        f"gives numbers with a cosine similarity of {cosine:.6f} to those of {name} "
        f"on {examples} and a signal-to-noise ratio of {snr:.1f} dB"
    )


def _preserved(output: Mapping[str, Any]) -> str:
    found = output["measures"].get("jensen_shannon", {}).get("preserved")
    if not found or math.isnan(found["value"]):
        return ""
    return (
        f"{found['value']:.1f} % of the function is preserved, by Jensen-Shannon "
        "divergence, where 0 % is as far from the reference as independently "
        "trained models are"
    )


def _limits(judged: Sequence[Mapping[str, Any]]) -> list[str]:
    if not judged:
        return []
    missed = [e for e in judged if e["outcome"] == limits.MISSED]
    undecided = [e for e in judged if e["outcome"] == limits.UNDECIDED]
    parts = []
    if missed:
        texts = [f"{e['limit']} ({limited(e, e['value'])})" for e in missed]
        parts.append("it misses " + " and ".join(texts))
    for entry in undecided:
        value, low, high = (
            limited(entry, each) for each in (entry["value"], *entry["interval"])
        )
        parts.append(
            f"{entry['limit']} is undecided, at {value} ({low} to {high}): "
            f"{what_would_decide(entry)}"
        )
    if not parts:
        parts.append("every limit is met")
    return parts
