"""The paper's five contributions as claims, each judged on the records of one run.

The rule of a verdict is in the docstring of its function, in terms of the function
preserved (see `evidence`). Intervals are 95 % bootstrap intervals; where a claim picks
the largest of several differences, its interval is widened by their number
(Bonferroni).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, permutations, takewhile
from typing import Literal

import pandas as pd

from kdfunc.similarity.bootstrap import Estimate
from kdfunc.similarity.groups import CONTROLS, Evidence
from kdfunc.similarity.learnt import NO_FUNCTION, learnt
from kdfunc.similarity.rank_tests import (
    LEVEL,
    equivalence,
    jonckheere_terpstra,
    mann_whitney,
)

#: Points of function preserved that make no practical difference. Two independent
#: trainings of one network differ by 2 to 6 points in their distance to the base model,
#: so a smaller margin would call chance a difference; what the paper calls near
#: (quantized) and far (independent) differ by close to 100.
MARGIN = 5.0
#: Relative deviation of accuracy (%) that passes for none: the paper's "less than 1 %
#: away from the base model".
ALIKE_ACCURACY = 1.0
#: Function preserved (%) that counts as the same function.
SAME_FUNCTION = 90.0
#: Function preserved (%) by a model half as far from the base as independent models.
HALFWAY = 50.0
#: Level from which on pruning counts as compression: float16 saves as much.
WORTHWHILE_LEVEL = 0.5
#: Share of float32 bytes that a quantization mode saves. Pruning to that level saves at
#: most as much, were the places of the remaining weights stored for nothing.
SAVED = {"float16": 0.5, "int8": 0.75}

Outcome = Literal["supported", "contradicted", "undecided"]


@dataclass(frozen=True, eq=False)
class Verdict:
    """What a run says of a claim.

    Attributes:
      claim: The claim, in the paper's words.
      statistic: What `effect` is, with its unit.
      effect: Its value; NaN where a claim lacks what it needs.
      low: Lower end of its interval.
      high: Upper end.
      against: The groups of models that decide.
      outcome: By the rule of the claim's function.
      sentence: The verdict for a person to read.
      details: The numbers it rests on.
    """

    claim: str
    statistic: str
    effect: float
    low: float
    high: float
    against: tuple[str, ...]
    outcome: Outcome
    sentence: str
    details: pd.DataFrame


def verdicts(evidence: Evidence) -> list[Verdict]:
    """Judges the five claims, in the paper's order.

    Where the base model has learnt nothing there is no function to preserve, and every
    claim is undecided.
    """
    rules = (
        alpha_has_no_effect,
        students_are_strangers,
        quantization_is_best,
        pruning_preserves,
        accuracy_misleads,
    )
    judged = [rule(evidence) for rule in rules]
    if learnt(evidence.base, evidence.labels).anything:
        return judged
    return [
        replace(_undecided(verdict.claim, verdict.statistic, []), sentence=NO_FUNCTION)
        for verdict in judged
    ]


def alpha_has_no_effect(evidence: Evidence) -> Verdict:
    """Different alpha values do not impact the similarity of student and teacher.

    Looks at the differences in function preserved between all pairs of alphas.
    Supported: all are shown to be within `MARGIN` of none (90 % intervals).
    Contradicted: the interval of the largest lies beyond `MARGIN`.
    The trend over alpha is told but does not decide: with enough seeds it is sure of
    differences too small to matter.
    """
    claim = (
        "Different alpha values do not impact the degree of functional similarity "
        "between a student and a teacher."
    )
    statistic = "largest difference in function preserved between alphas (points)"
    students = evidence.alphas
    if lacking := _lacking(evidence, {"students of two alphas": len(students) > 1}):
        return _undecided(claim, statistic, lacking)
    gains = {
        (less, more): evidence.gain(more, less)
        for less, more in combinations(students, 2)
    }
    less, more = max(gains, key=lambda pair: abs(gains[pair].value))
    effect = _widened(gains[less, more], len(gains))
    equivalent = [equivalence(gain, MARGIN).holds for gain in gains.values()]
    outcome = _outcome(all(equivalent), effect.low > MARGIN or effect.high < -MARGIN)
    reading = {
        "supported": "all differences lie within",
        "contradicted": "that is beyond",
        "undecided": "it is open whether that is beyond",
    }[outcome]
    trend = jonckheere_terpstra(
        [evidence.each_preserved(name) for name in students],
        matched=len({evidence.seeds(name) for name in students}) == 1,
    )
    return Verdict(
        claim,
        statistic,
        *_numbers(effect),
        tuple(students),
        outcome,
        f"Students of {more}, which lean more on the teacher than those of {less}, "
        f"preserve {_text(effect)} points more of its function; {reading} the margin "
        f"of {MARGIN:g} points. {trend}{_trained_once(evidence, students)}",
        _table(
            "less_teacher more_teacher points low high equivalent",
            [
                (*pair, *_numbers(gain), within)
                for (pair, gain), within in zip(gains.items(), equivalent, strict=True)
            ],
        ),
    )


def students_are_strangers(evidence: Evidence) -> Verdict:
    """Students are as dissimilar to their teacher as independently trained models.

    Looks at the function preserved by students of the alpha that leans most on the
    teacher, where independent models preserve 0 %: the paper's comparison.
    Supported: the interval lies below `MARGIN`, students are no closer.
    Contradicted: it lies above `MARGIN`, students are closer.
    Students also differ from independent models in initial weights and, maybe,
    optimizer, so closeness need not be the teacher's doing. The fair control has both
    and no teacher ("same-start"); without it the claim stays undecided, with it the
    sentence tells what is there without a teacher, what the teacher adds and, where
    students are closer, whose doing that is: the teacher has a part in it if what it
    adds lies above `MARGIN`, and none if it lies below. A Mann-Whitney U test on the
    models is told and does not decide: with three seeds it cannot. `details` holds the
    students against every control by the same rule and with the same test.
    """
    claim = (
        "Knowledge distillation results in a student model that is as functionally "
        "dissimilar to the teacher as independently trained models."
    )
    statistic = "function preserved by students, less independent models' (points)"
    needed = {
        "students": evidence.alphas,
        "control same-start": "same-start" in evidence.groups,
    }
    if lacking := _lacking(evidence, needed):
        return _undecided(claim, statistic, lacking)
    students = evidence.alphas[-1]
    controls = [name for name in ("independent", *CONTROLS) if name in evidence.groups]
    gains = {name: evidence.gain(students, name) for name in controls}
    readings = {name: _beside_margin(gain) for name, gain in gains.items()}
    doing = {
        "beyond": " So the teacher has a part in the closeness.",
        "not beyond": " So the closeness comes from optimizer and initial weights, not "
        "from the teacher.",
        "around": " So it is open whether the teacher has a part in the closeness.",
    }[readings["same-start"]]
    if readings["independent"] != "beyond":
        doing = ""  # there is no closeness
    tests = mann_whitney(
        evidence.each_preserved(students),
        {name: evidence.each_preserved(name) for name in controls},
    )
    fair = tests[controls.index("same-start")]
    order = (
        " Here independent models have the base model's data order and students of "
        "other seeds have not."
    )
    return Verdict(
        claim,
        statistic,
        *_numbers(gains["independent"]),
        tuple(controls),
        _outcome(
            supported=readings["independent"] == "not beyond",
            contradicted=readings["independent"] == "beyond",
        ),
        f"Students of {students}, which lean most on the teacher, preserve "
        f"{_text(gains['independent'])} % of its function and independent models 0 %: "
        f"{readings['independent']} the margin of {MARGIN:g} points. With their "
        "optimizer and initial weights but no teacher it is "
        f"{_text(evidence.preserved('same-start'))} %; the teacher adds "
        f"{_text(gains['same-start'])} points, {readings['same-start']} the margin."
        f"{doing} {fair}{order if evidence.shared_order else ''}"
        f"{_trained_once(evidence, [students, *controls])}",
        _table(
            "control points low high margin cliffs_delta p adjusted_p significance",
            [
                (name, *_numbers(gains[name]), readings[name], test.delta, test.p)
                + (test.adjusted_p, test.significance)
                for name, test in zip(controls, tests, strict=True)
            ],
        ),
    )


def quantization_is_best(evidence: Evidence) -> Verdict:
    """Post hoc quantization is the best method for functional preservation.

    Looks at what each quantized model preserves more than each of its rivals: students,
    and models pruned so far that they can save as many bytes (`SAVED`; for another mode
    all pruned models). Lighter pruning hardly changes the model and hardly compresses
    it: it is told, and not decisive.
    Supported: every difference is above 0 by its interval.
    Contradicted: the smallest is below 0 by its interval.
    """
    claim = "Post hoc quantization is the best method for functional preservation."
    statistic = "function preserved by quantization, less its closest rival's (points)"
    needed = {
        "quantized models": evidence.quantized,
        "students": evidence.alphas,
        "models pruned as far as quantization saves": any(
            level >= SAVED.get(mode, 0)
            for mode in evidence.quantized
            for level in evidence.pruned
        ),
    }
    if lacking := _lacking(evidence, needed):
        return _undecided(claim, statistic, lacking)
    gains = {
        (mode, other): evidence.gain(mode, other)
        for mode in evidence.quantized
        for other in (*evidence.alphas, *evidence.levels)
    }
    rivals = {
        (mode, other): gain
        for (mode, other), gain in gains.items()
        if other in evidence.alphas or evidence.levels[other] >= SAVED.get(mode, 0)
    }
    lighter = [
        f"{other} preserves more than {mode}"
        for (mode, other), gain in gains.items()
        if (mode, other) not in rivals and gain.high < 0
    ]
    mode, other = min(rivals, key=lambda pair: rivals[pair].value)
    effect = _widened(rivals[mode, other], len(rivals))
    outcome = _outcome(all(gain.low > 0 for gain in rivals.values()), effect.high < 0)
    reading = {
        "supported": "Every quantized model preserves",
        "contradicted": "Not every quantized model preserves",
        "undecided": "It is open whether every quantized model preserves",
    }[outcome]
    return Verdict(
        claim,
        statistic,
        *_numbers(effect),
        tuple(dict.fromkeys(other for _, other in rivals)),
        outcome,
        f"{reading} more than all students and all models pruned to its size; the "
        f"closest is {mode} with {_text(effect)} points more than {other}."
        + (f" Of lighter pruning, {' and '.join(lighter)}." if lighter else ""),
        _table(
            "quantized other points low high rival",
            [(*pair, *_numbers(gains[pair]), pair in rivals) for pair in gains],
        ),
    )


def pruning_preserves(evidence: Evidence) -> Verdict:
    """L1 pruning is effective for functional preservation, within limits.

    Looks at the function preserved at the first level of at least `WORTHWHILE_LEVEL`.
    Supported: its interval lies above `HALFWAY`.
    Contradicted: its interval lies below `HALFWAY`.
    The limits are told: up to which level pruning keeps `SAME_FUNCTION` and `HALFWAY`
    (every interval up to there above it). How they change with architecture and data
    set takes several runs.
    """
    claim = (
        "L1 pruning is an effective method for functional preservation, partially "
        "constrained by the architecture and dataset."
    )
    statistic = "function preserved at the first level worth pruning to (%)"
    levels = evidence.levels
    worthwhile = [name for name in levels if levels[name] >= WORTHWHILE_LEVEL]
    needed = {f"models pruned by {100 * WORTHWHILE_LEVEL:g} % or more": worthwhile}
    if lacking := _lacking(evidence, needed):
        return _undecided(claim, statistic, lacking)
    preserved = {name: evidence.preserved(name) for name in levels}
    effect = preserved[worthwhile[0]]
    outcome = _outcome(effect.low > HALFWAY, effect.high < HALFWAY)
    reading = {"supported": "more than", "contradicted": "less than"}
    limits = [
        _limit({levels[name]: preserved[name] for name in levels}, threshold)
        for threshold in (SAME_FUNCTION, HALFWAY)
    ]
    return Verdict(
        claim,
        statistic,
        *_numbers(effect),
        ("independent",),
        outcome,
        f"{worthwhile[0].capitalize()} preserves {_text(effect)} % of the function, "
        f"{reading.get(outcome, 'about')} half. Pruning keeps {' and '.join(limits)}.",
        _table(
            "level preserved low high",
            [(levels[name], *_numbers(preserved[name])) for name in levels],
        ),
    )


def accuracy_misleads(evidence: Evidence) -> Verdict:
    """Compression is to be viewed by functional proximity: accuracy can mislead.

    Looks at pairs of compressed models in which the first is by accuracy no farther
    from the base model than the second, relative deviations up to `ALIKE_ACCURACY`
    counting as none, and at what the second preserves more. Students of an alpha count
    as one model.
    Supported: the interval of the largest such difference lies above `MARGIN`.
    Contradicted: those of all lie below `MARGIN`.
    """
    claim = (
        "Compression of a base model needs to be viewed from functional proximity "
        "rather than just accuracy, as it can be misleading."
    )
    statistic = "function preserved less by a model no farther in accuracy (points)"
    models = [*evidence.alphas, *evidence.quantized, *evidence.levels]
    if lacking := _lacking(evidence, {"two compressed models": len(models) > 1}):
        return _undecided(claim, statistic, lacking)
    deviations = {name: evidence.accuracy_deviation(name) for name in models}
    gains = {
        (first, second): evidence.gain(second, first)
        for first, second in permutations(models, 2)
        if abs(deviations[first]) <= max(abs(deviations[second]), ALIKE_ACCURACY)
    }
    first, second = max(gains, key=lambda pair: gains[pair].value)
    effect = _widened(gains[first, second], len(gains))
    outcome = _outcome(
        effect.low > MARGIN, all(gain.high < MARGIN for gain in gains.values())
    )
    reading = {"supported": "beyond", "contradicted": "like every pair within"}
    return Verdict(
        claim,
        statistic,
        *_numbers(effect),
        tuple(models),
        outcome,
        f"By accuracy, {first} ({deviations[first]:+.2f} %) is no farther from the "
        f"base model than {second} ({deviations[second]:+.2f} %) or within "
        f"{ALIKE_ACCURACY:g} %, yet preserves {_text(effect)} points less of its "
        f"function, {reading.get(outcome, 'around')} the margin of {MARGIN:g} points.",
        _table(
            "model accuracy_deviation preserved low high",
            [
                (name, deviations[name], *_numbers(evidence.preserved(name)))
                for name in models
            ],
        ),
    )


def _lacking(evidence: Evidence, needed: Mapping[str, object]) -> list[str]:
    """What a claim needs and the run has not; every claim needs independent models."""
    needed = {"independent models unlike the base model": evidence.has_scale, **needed}
    return [what for what, there in needed.items() if not there]


def _undecided(claim: str, statistic: str, lacking: list[str]) -> Verdict:
    sentence = f"The run has no {' and no '.join(lacking)}."
    unknown = [float("nan")] * 3
    return Verdict(
        claim, statistic, *unknown, (), "undecided", sentence, pd.DataFrame()
    )


def _outcome(supported: bool, contradicted: bool) -> Outcome:
    contrary = "contradicted" if contradicted else "undecided"
    return "supported" if supported else contrary


def _widened(estimate: Estimate, tests: int) -> Estimate:
    """With an interval that holds for the largest of several differences."""
    return replace(estimate, confidence=1 - LEVEL / tests)


def _limit(preserved: Mapping[float, Estimate], threshold: float) -> str:
    kept = [*takewhile(lambda item: item[1].low > threshold, preserved.items())]
    if not kept:
        return f"{threshold:g} % at no level"
    return f"{threshold:g} % at levels up to {100 * kept[-1][0]:g} %"


def _beside_margin(gain: Estimate) -> str:
    if gain.low > MARGIN:
        return "beyond"
    return "not beyond" if gain.high < MARGIN else "around"


def _trained_once(evidence: Evidence, groups: Sequence[str]) -> str:
    single = [name for name in groups if len(evidence.groups[name]) == 1]
    if not single:
        return ""
    return f" Trained once, so chance in training is not covered: {', '.join(single)}."


def _numbers(estimate: Estimate) -> tuple[float, float, float]:
    return float(estimate.value), float(estimate.low), float(estimate.high)


def _text(estimate: Estimate) -> str:
    value, low, high = _numbers(estimate)
    return f"{value:.1f} [{low:.1f}, {high:.1f}]"


def _table(columns: str, rows: Sequence[tuple]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=columns.split())
