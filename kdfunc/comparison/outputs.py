"""Compares all outputs of two models, each by suitable measures."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kdfunc.comparison import classes, forms, values
from kdfunc.comparison.catalog import PRESERVED, catalog
from kdfunc.comparison.forms import Output
from kdfunc.comparison.quantities import Quantity, estimated, resampled, share
from kdfunc.errors import InputError

REFERENCE, CANDIDATE, INDEPENDENT = "reference", "candidate", "independent"


@dataclass(frozen=True)
class Said:
    """Kinds of outputs that the user declares, instead of those detected.

    Each is one of `forms.SAYINGS`, or for one output of several `NAME=logits`,
    separated by commas.

    Attributes:
      all: For all models.
      reference: For the reference only.
      candidate: For the candidate only.

    Raises:
      InputError: A kind is not in `forms.SAYINGS`.
    """

    all: str | None = None
    reference: str | None = None
    candidate: str | None = None

    def __post_init__(self):
        for role in (REFERENCE, CANDIDATE, INDEPENDENT):
            self.of(role)

    def of(self, role: str) -> dict[str | None, str]:
        """The declared kinds by output, for the model in a role; None for all outputs.

        Args:
          role: One of `roles`.
        """
        own = {REFERENCE: self.reference, CANDIDATE: self.candidate}.get(role)
        found: dict[str | None, str] = {}
        for part in filter(None, (own or self.all or "").split(",")):
            name, _, saying = part.rpartition("=")
            if saying not in forms.SAYINGS:
                raise InputError(
                    f"outputs cannot be {saying!r}; choose from "
                    f"{', '.join(forms.SAYINGS)}, or for one of several outputs "
                    "NAME=KIND, such as scores=logits."
                )
            found[name or None] = saying
        return found


def roles(models: int) -> list[str]:
    """`reference`, `candidate`, `independent-1` and so on.

    Args:
      models: Number of models, at least two.
    """
    others = [f"{INDEPENDENT}-{i + 1}" for i in range(models - 2)]
    return [REFERENCE, CANDIDATE, *others]


def compare(
    output: Output,
    labels: np.ndarray | None,
    resamples: int,
    confidence: float,
) -> tuple[dict[str, Quantity], dict[str, Any]]:
    """Compares one output of a reference, a candidate and independent models.

    Args:
      output: From `forms.settle`; its first model is the reference, its second the
        candidate, and the others are independent.
      labels: `[n]` true classes, or None; only for outputs of the kind `classes`.
      resamples: Number of bootstrap resamples.
      confidence: Share of intervals that are to cover the truth.

    Returns:
      The numbers by name; and for JSON: `name`, `kind`, `shape`, `forms`, `hint`,
      `notes`, `measures` with value and interval, and additions of its kind.
    """
    p, q, *independents = output.arrays.values()
    if output.kind == forms.CLASSES:
        if labels is not None and labels.max() >= output.classes:
            raise InputError(
                f"the true classes go up to {labels.max()}, but the models have "
                f"{output.classes} classes; give labels from 0 to "
                f"{output.classes - 1}."
            )
        found, more = classes.compare(p, q, independents, labels, resamples, confidence)
    else:
        found, more = _values(output, p, q, resamples, confidence)
        if independents:
            more["notes"] = ["the function preserved is defined for classes only"]
    entry = {
        "name": output.name,
        "kind": output.kind,
        "shape": list(output.shape),
        "forms": {model.split()[0]: form for model, form in output.forms.items()},
        "hint": output.hint,
        "notes": [],
        "measures": _measures(found, confidence),
        **more,
    }
    return found, entry


def _measures(found: Mapping[str, Quantity], confidence: float) -> dict[str, Any]:
    """Value and interval by measure, with the function preserved beside it."""
    named, entries = catalog(), {}
    for name, quantity in found.items():
        if "." not in name:
            entries[name] = {
                "label": named[name].label,
                **value_and_ends(quantity, confidence),
            }
    for name, quantity in found.items():
        if name.startswith(PRESERVED):
            entry = entries[name.removeprefix(PRESERVED)]
            entry["preserved"] = value_and_ends(quantity, confidence)
    return entries


def value_and_ends(quantity: Quantity, confidence: float) -> dict[str, float]:
    """Value and ends of the interval.

    Args:
      quantity: The measured number.
      confidence: Confidence of the intervals, in (0, 1).
    """
    low, high = quantity.interval(confidence)
    return {"value": quantity.value, "low": low, "high": high}


def _values(
    output: Output, r: np.ndarray, c: np.ndarray, resamples: int, confidence: float
) -> tuple[dict[str, Quantity], dict[str, Any]]:
    """The measures of outputs that are not class probabilities."""
    spread = values.spread(r) if output.kind == values.NUMBERS else math.nan
    positions = output.kind == values.POSITIONS
    there = values.occurring(r, c) if positions else np.empty(0, int)
    facts = values.Facts(spread, there)
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
        events = components.shape[1] == 1 and set(np.unique(components)) <= {0.0, 1.0}
        if measure.counts and events:
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
        {"class": int(i), "iou": float(iou)} for i, iou in zip(there, ious, strict=True)
    ]
    return found, {"classes": sorted(classes_hit, key=lambda entry: entry["iou"])}


def settle_all(
    given: Sequence[Mapping[str, np.ndarray]],
    titles: Sequence[str],
    said: Said,
    labels: np.ndarray | None,
) -> list[Output]:
    """Converts every output to the form in which it is compared.

    Outputs with the same name are matched; those whose names differ, as with different
    converters, are matched in their order.

    Args:
      given: For each model, its outputs `[n, ...]` by name.
      titles: Role and name of each model.
      said: Kinds that the user declares.
      labels: `[n]` true classes, or None.

    Raises:
      InputError: As for `forms.settle`, models have different outputs, or a kind is
        declared for an output that does not exist.
    """
    names = list(given[0])
    for title, arrays in zip(titles[1:], given[1:], strict=True):
        if len(arrays) != len(names):
            raise InputError(
                f"{title} has {len(arrays)} outputs, but {titles[0]} has {len(names)}; "
                "give models with the same outputs."
            )
    own = {t: _matched(names, list(x)) for t, x in zip(titles, given, strict=True)}
    sayings = {title: said.of(title.split()[0]) for title in titles}
    for name in {name for found in sayings.values() for name in found} - {None}:
        if name not in names:
            raise InputError(
                f"there is no output {name!r}; the models have "
                f"{', '.join(map(repr, names))}."
            )
    told = {
        name: ", ".join(
            f"{called[name]!r} ({title.split()[0]})"
            for title, called in own.items()
            if called[name] != name and len(names) > 1
        )
        for name in names
    }
    settled = []
    for name in names:
        here = {
            title: found.get(name, found.get(None, forms.AUTO))
            for title, found in sayings.items()
        }
        arrays = {t: x[own[t][name]] for t, x in zip(titles, given, strict=True)}
        alone = "" if len(names) == 1 else name
        found = forms.settle(alone, arrays, here, labels)
        if told[name]:
            paired = f"matched by position with {told[name]}, since names differ"
            hint = f"{found.hint}; {paired}" if found.hint else paired
            found = replace(found, hint=hint)
        settled.append(found)
    return settled


def _matched(names: Sequence[str], own: Sequence[str]) -> dict[str, str]:
    """A model's own name for each of the reference's outputs."""
    left = iter([name for name in own if name not in names])
    return {name: name if name in own else next(left) for name in names}
