"""Compares classifiers: measures, flips, tails, classes hit hardest."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kdfunc.comparison.catalog import PRESERVED
from kdfunc.comparison.quantities import (
    FEWEST_PRESERVED,
    Quantity,
    estimated,
    share,
)
from kdfunc.errors import InputError
from kdfunc.similarity import (
    MEASURES,
    bootstrap_measures,
    function_preserved,
    measure,
)
from kdfunc.similarity.evaluate import per_example
from kdfunc.similarity.scale import score
from kdfunc.similarity.tails import TAILED, divergences, quantiles
from kdfunc.text import count, percent

#: Measures whose components count events: their intervals reach as far as what none of
#: the examples shows. Those that are shares have exact intervals instead.
COUNTING = (
    *("normalized_disagreement", "cohen_kappa", "top_k_agreement"),
    *("rank_disagreement", "accuracy_difference"),
)
WORST = 10  # examples of the largest divergence that are named
#: By how much more probabilities are exactly 0 in one model than in the other where
#: some of the measures are about that.
ROUNDED = 0.01


def compare(
    p: np.ndarray,
    q: np.ndarray,
    independents: Sequence[np.ndarray],
    labels: np.ndarray | None,
    resamples: int,
    confidence: float,
) -> tuple[dict[str, Quantity], dict[str, Any]]:
    """Every measure of a candidate against its reference.

    Args:
      p: `[n, classes]` softmax of the reference.
      q: The same for the candidate.
      independents: The same for independently trained models.
      labels: `[n]` true classes, or None.
      resamples: Number of bootstrap resamples.
      confidence: Confidence of the intervals, in (0, 1).

    Returns:
      The numbers by name, and `tails`, `worst`, `flips`, `classes` and `notes` for
      people.
    """
    options: dict[str, Any] = {"resamples": resamples, "confidence": confidence}
    n = len(p)
    shares = _shares(p, q, labels)
    found = {"agreement": shares["agreement"]}
    if labels is not None:
        found["accuracy"] = shares["accuracy"]
    estimates = bootstrap_measures(p, [q], labels, **options)
    for name, estimate in estimates.items():
        bounds = MEASURES[name]
        reach = (bounds.low, bounds.high) if name in COUNTING else None
        found[name] = shares.get(name) or estimated(estimate, n, reach)
    if "accuracy_corrected_disagreement" in found:
        name = "accuracy_corrected_disagreement"
        found[name] = _corrected(shares, found[name], n)
    if independents:
        check_yardstick(p, independents)
        preserved = function_preserved(p, [q], independents, labels, **options)
        for name, kept in preserved.items():
            # How much trainings differ by chance is unknown from a single one.
            fewest = FEWEST_PRESERVED if len(independents) > 1 else math.inf
            one = estimated(kept, n, fewest=fewest)
            one = replace(one, narrows=False, resamples=resamples)
            same = MEASURES[name].identity
            assert same is not None  # of what can be preserved
            if name in {*shares, *COUNTING} and one.ends is not None:
                values = [measure(name, p, x, labels) for x in independents]
                yardstick = float(np.mean(np.abs(np.subtract(values, same))))
                one = _with_unseen(one, found[name], same, yardstick)
            found[PRESERVED + name] = one
    each = divergences(p, q)
    beyond = quantiles(each)
    for tail, value in beyond.items():
        if value is not None:
            found[f"{TAILED}.{tail}"] = Quantity(value)
    worst = np.argsort(-each, kind="stable")[:WORST]
    return found, {
        "tails": {**beyond, "max": float(each.max())},
        "worst": [{"index": int(i), TAILED: float(each[i])} for i in worst if each[i]],
        "flips": _flips(p, q, labels),
        "classes": _classes(p, q, labels),
        "notes": _notes(p, q, labels, confidence),
    }


def _notes(p, q, labels, confidence: float) -> list[str]:
    """What may mislead a reader of the numbers, in sentences."""
    notes = []
    models = {"reference": p, "candidate": q}
    changed = p.argmax(axis=1) != q.argmax(axis=1)
    for role, model in models.items():
        tied = (model == model.max(axis=1, keepdims=True)).sum(axis=1) > 1
        if chance := int((tied & changed).sum()):
            are = "is such a tie" if chance == 1 else "are such ties"
            notes.append(
                f"the {role} gives several classes the same highest value in "
                f"{count(int(tied.sum()), 'example')}, where the first of them is "
                f"taken: {chance:,} of the {count(int(changed.sum()), 'change')} of "
                f"class {are}"
            )
    zeros = {role: float(np.mean(model == 0)) for role, model in models.items()}
    role = max(zeros, key=lambda role: zeros[role])
    if zeros[role] - min(zeros.values()) >= ROUNDED:
        notes.append(
            f"{percent(zeros[role])} of the {role}'s probabilities are exactly 0, as "
            f"where outputs are stored in 8 bits ({percent(min(zeros.values()))} of "
            f"the other's): {'' if labels is None else 'log_loss_difference, '}the KL "
            "divergences, rank_disagreement and top_k_agreement measure this rounding, "
            "too"
        )
    if labels is not None:
        right = int((p.argmax(axis=1) == labels).sum())
        low, _ = share(right, len(p), len(p)).interval(confidence)
        if len(p) >= FEWEST_PRESERVED and low <= 1 / p.shape[1]:
            notes.append(
                f"the reference is right in {percent(right / len(p))} of the examples, "
                "which is not shown to be more than chance "
                f"({percent(1 / p.shape[1])}): are the labels in the same order "
                "as the examples, and are the examples in the value range that it was "
                "trained on?"
            )
    return notes


def _shares(p, q, labels) -> dict[str, Quantity]:
    """Shares of examples, by the name of their measure."""
    n = len(p)
    before, after = p.argmax(axis=1), q.argmax(axis=1)
    same = before == after
    confident = per_example("confident_flips", p, q)[:, 0]
    events = {"agreement": (same, None), "disagreement": (~same, None)}
    events["confident_flips"] = (confident, None)
    if labels is not None:
        was, now = before == labels, after == labels
        events["accuracy"] = (now, None)
        events["negative_flips"] = (was & ~now, None)
        events["positive_flips"] = (~was & now, None)
        events["copied_errors"] = (~was & same, ~was)
        events["copied_correct"] = (was & now, was)
    return {
        name: share(int(event.sum()), n if of is None else int(of.sum()), n)
        for name, (event, of) in events.items()
    }


def _corrected(shares: dict[str, Quantity], drawn: Quantity, n: int) -> Quantity:
    """Disagreement / error of the candidate.

    Its interval contains that of resamples, which allows for the draw of the errors,
    and that of the disagreement alone, which allows for changes that no example shows.
    Without a single error the ratio may be anything, however few disagree.
    """
    error = 1 - shares["accuracy"].value
    disagreement = shares["disagreement"]
    if not error and disagreement.value:
        return Quantity(math.nan)
    if not error:
        return Quantity(0.0, n, lambda confidence, examples: (0.0, math.inf))

    own, both = disagreement.ends, drawn.ends
    assert own is not None and both is not None  # of numbers with examples

    def ends(confidence: float, examples: int) -> tuple[float, float]:
        low, high = both(confidence, examples)
        least, most = (end / error for end in own(confidence, examples))
        return min(low, least), max(high, most)

    return replace(drawn, value=disagreement.value / error, ends=ends)


def check_yardstick(p: np.ndarray, independents: Sequence[np.ndarray]) -> None:
    """Refuses independent models that are the reference, or one another.

    Args:
      p: `[n, classes]` softmax of the reference.
      independents: The same for the independent models.

    Raises:
      InputError: One gives the same outputs as the reference or as another.
    """
    for number, other in enumerate(independents, 1):
        if np.array_equal(p, other):
            raise InputError(
                f"independent model {number} gives the same outputs as the reference, "
                "so it is no yardstick; give a model that was trained like the "
                "reference from other initial weights."
            )
        for before, another in enumerate(independents[: number - 1], 1):
            if np.array_equal(another, other):
                raise InputError(
                    f"independent models {before} and {number} give the same outputs; "
                    "give models that were trained separately, each once."
                )


def _with_unseen(
    preserved: Quantity, measured: Quantity, same: float, yardstick: float
) -> Quantity:
    """Function preserved by a measure of events; allows for those not seen."""
    own, of_events = preserved.ends, measured.ends
    assert own is not None and of_events is not None

    def ends(confidence: float, examples: int) -> tuple[float, float]:
        low, high = own(confidence, examples)
        away = max(abs(end - same) for end in of_events(confidence, examples))
        return min(low, score(away / yardstick)), high

    return replace(preserved, ends=ends)


def _flips(p, q, labels) -> list[dict[str, Any]]:
    """Examples whose class differs, those of which both models are surest first."""
    before, after = p.argmax(axis=1), q.argmax(axis=1)
    sure = p.max(axis=1), q.max(axis=1)
    changed = np.flatnonzero(before != after)
    order = np.argsort(-np.minimum(*sure)[changed], kind="stable")
    found = []
    for i in changed[order].tolist():
        flip = {
            "index": i,
            "reference": int(before[i]),
            "candidate": int(after[i]),
            "reference_confidence": float(sure[0][i]),
            "candidate_confidence": float(sure[1][i]),
        }
        found.append(flip if labels is None else {**flip, "label": int(labels[i])})
    return found


def _classes(p, q, labels) -> list[dict[str, Any]]:
    """Shares of changed examples by class, largest first."""
    before = p.argmax(axis=1)
    groups = before if labels is None else labels
    changed = np.bincount(groups[before != q.argmax(axis=1)], minlength=p.shape[1])
    counts = np.bincount(groups, minlength=p.shape[1])
    found = [
        {
            "class": i,
            "examples": int(counts[i]),
            "disagreement": float(changed[i] / counts[i]),
        }
        for i in np.flatnonzero(counts).tolist()
    ]
    return sorted(found, key=lambda entry: -entry["disagreement"])
