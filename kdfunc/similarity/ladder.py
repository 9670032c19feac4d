"""The zeros of the scale, their uncertainty, and the ladder from there to students."""

import numpy as np
import pandas as pd

from kdfunc.catalog import CONTROLS, FAIR_ZERO
from kdfunc.similarity.groups import Evidence
from kdfunc.similarity.scale import score

#: The zeros of the scale, as sentences name them.
ZEROS = {
    "independent": "independent models",
    FAIR_ZERO: CONTROLS[FAIR_ZERO].about,
}

#: Columns of the ladder.
LADDER = [
    *("rung", "group", "side", "models", "over"),
    *("distance", "distance_low", "distance_high"),
    *("ratio", "ratio_low", "ratio_high"),
    *("preserved", "preserved_low", "preserved_high", "rests_on"),
    *("step", "step_low", "step_high", "step_rests_on"),
]


def ladder(evidence: Evidence) -> pd.DataFrame:
    """What each ingredient of distillation adds to the function preserved.

    The ladder starts at the independent models and adds one ingredient at a time: the
    students' optimizer, the base model's initial weights, the teacher's probabilities,
    its logits. Beside them are `side` rungs, each compared with one of these: initial
    weights alone, a teacher of no knowledge, another teacher. The rows of
    `catalog.CONTROLS` say which rung a control is. Rungs without models are left out,
    and the next one, which adds their ingredients too, is named after all of them;
    without independent models, all are left out. If the independent models share the
    base model's data order, the step from them to models of other seeds also changes
    the data order, and the name of its rung says so.

    Args:
      evidence: The models.

    Returns:
      One row per rung with the columns `LADDER`: `rung`, the `group` of its models and
      how many (`models`), `side`; `distance` to the base model in bits, distance
      `ratio`, function `preserved` in percent, and `step`, the points preserved more
      than by `over`, another rung's group; each with the ends `_low` and `_high`
      of its interval and the trainings it `rests_on`. The first rung has no step.
    """
    rows = []
    last = None
    together: list[str] = []  # ingredients of rungs left out
    for group, rung, beside in _rungs(evidence):
        if group not in evidence.groups or not evidence.has_scale:
            # The base model's optimizer, if the students have it, adds nothing.
            nothing = group == FAIR_ZERO and evidence.same_optimizer
            if group in CONTROLS and CONTROLS[group].rung and not (beside or nothing):
                together.append(rung)
            continue
        if not beside:
            rung, together = _joined([*together, rung]), []
        over = beside or last
        if evidence.shared_order and _own_start(over) and not _own_start(group):
            rung += ", other order"
        distance, kept = evidence.distance(group), evidence.preserved(group)
        row = {
            "rung": rung,
            "group": group,
            "side": beside is not None,
            "models": len(evidence.groups[group]),
            "over": over,
            "distance": np.exp(distance.value),
            "distance_low": np.exp(distance.low),
            "distance_high": np.exp(distance.high),
            **kept.columns,
            "rests_on": kept.rests_on,
        }
        if over in evidence.groups:
            step = evidence.gain(group, over)
            row |= {"step": step.value, "step_low": step.low, "step_high": step.high}
            row["step_rests_on"] = step.rests_on
        rows.append(row)
        if not beside:
            last = group
    return pd.DataFrame(rows, columns=LADDER)


def _joined(rungs: list[str]) -> str:
    first, *others = rungs
    return ", ".join([first, *(rung.removeprefix("+ ") for rung in others)])


def _rungs(evidence: Evidence) -> list[tuple[str | None, str, str | None]]:
    """Group, name, and for rungs beside the ladder what they are compared with."""
    students = evidence.alphas[-1] if evidence.alphas else None
    controls = [(name, row.rung, row.over) for name, row in CONTROLS.items()]
    (other,) = (name for name, row in CONTROLS.items() if not row.rung)
    taught: dict[str, str | None]
    taught = dict.fromkeys(("probabilities", "logits"), other)
    taught[evidence.soft_targets] = students
    return [
        ("independent", "Independent", None),
        *(row for row in controls if row[1] and not row[2]),
        *((group, f"+ teacher's {what}", None) for what, group in taught.items()),
        *(row for row in controls if row[2]),
    ]


def _own_start(group: str | None) -> bool:
    """Whether a group's models have other initial weights than the base model."""
    return group == "independent" or (
        group in CONTROLS and CONTROLS[group].start == "own"
    )


def yardstick(evidence: Evidence, margin: float) -> pd.DataFrame:
    """How uncertain the zeros of the function preserved are.

    Args:
      evidence: The models.
      margin: Points of function preserved that make no difference that matters.

    Returns:
      One row per zero, the paper's (`independent`) and the fair one for students with
      another optimizer (`independent-optimizer`): `zero`; how many `models`; `distance`
      to the base model in bits; `spread`, the standard deviation in percent (NaN for a
      single model) of distances to the base model or, for the paper's zero, of
      distances from each of its models to the others; `low` and `high`, the interval of
      the true zero in points; and a `sentence`.
    """
    rows = []
    for zero in ZEROS:
        if zero not in evidence.groups or not evidence.has_scale:
            continue
        distance = evidence.distance(zero)
        models = len(evidence.groups[zero])
        spread = evidence.distances().spread_of(evidence.members[zero])
        low, high = (
            score(np.exp(end - distance.value)) for end in (distance.high, distance.low)
        )
        name = "The yardstick" if zero == "independent" else "The fair zero"
        apart = "their distances to the base model differ"
        if zero == "independent":  # each of them takes its turn (`turn_taking`)
            apart = "the distances from one such model to others differ"
        rows.append(
            {
                "zero": zero,
                "models": models,
                "distance": np.exp(distance.value),
                "spread": spread,
                "low": low if models > 1 else np.nan,
                "high": high if models > 1 else np.nan,
                "sentence": f"{name}, {ZEROS[zero]} ({models}): "
                + _reliability(models, f"{apart} by {spread:.1f} %", high)
                + _much(high if models > 1 else np.nan, margin),
            }
        )
    columns = ["zero", "models", "distance", "spread", "low", "high", "sentence"]
    return pd.DataFrame(rows, columns=columns)


def _reliability(models: int, apart: str, known: float) -> str:
    if models == 1:
        return (
            "one model does not show how much such models differ, so no interval "
            "covers that; train more of them."
        )
    return (
        f"{apart} (standard deviation), so the zero of the scale is known to within "
        f"{known:.1f} points."
    )


def _much(known: float, margin: float) -> str:
    if not known > margin:  # or not known at all
        return ""
    return (
        f" This is more than the margin of {margin:g} points, so differences from 0 % "
        "are hard to tell from chance here; more such models would help."
    )
