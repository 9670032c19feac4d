"""The paper's claims on quantization, pruning, and what accuracy hides."""

import math
from collections.abc import Mapping, Sequence
from itertools import permutations
from operator import attrgetter

from kdfunc.catalog import FORMATS
from kdfunc.similarity.claims.rules import (
    UNKNOWN,
    Finding,
    missing,
    once,
    register,
    table,
)
from kdfunc.similarity.effects import (
    MARGIN,
    Effect,
    more_or_less,
    numbers,
    shown,
    some,
)
from kdfunc.similarity.groups import Evidence
from kdfunc.similarity.scale import Preserved

#: Relative loss of accuracy (%) that counts as none: the paper's "less than 1 % away
#: from the base model".
ALIKE_ACCURACY = 1.0
#: Function preserved (%) that counts as the same function.
SAME_FUNCTION = 90.0
#: Function preserved (%) by a model half as far from the base as independent models.
HALFWAY = 50.0
#: Level from which pruning counts as compression: float16 saves as much.
WORTHWHILE_LEVEL = 0.5


@register(
    3,
    "Post hoc quantization is the best method for functional preservation.",
    "function preserved by quantization minus that of its closest rival (points)",
    holds=(MARGIN, math.inf),
    fails=(-math.inf, 0.0),
)
def quantization_is_best(evidence: Evidence) -> Finding | list[str]:
    """Post hoc quantization is the best method for functional preservation.

    Looks at how much more each quantized model preserves than each of its rivals:
    students, and models pruned by at least the share of bytes that the format saves
    (`catalog.FORMATS`; for other formats, all pruned models). Pruning by that share
    saves as many bytes if storing the positions of the remaining weights is free.
    Lighter pruning hardly changes or compresses the model: it is reported but does not
    decide.
    Supported: every difference lies above `MARGIN`.
    Contradicted: some difference lies below 0, in a test corrected for their number. A
    method that is as good as a rival, or better by less than the margin, is undecided.

    Args:
      evidence: softmax outputs of all models.

    Returns:
      what was found, or the names of what the claim needs and the run lacks.
    """
    needed = {
        "quantized models": evidence.quantized,
        "students": evidence.alphas,
        "models pruned by as much as quantization saves": all(
            max(evidence.pruned, default=-1) >= _saves(mode)
            for mode in evidence.quantized
        ),
    }
    if lacking := missing(needed):
        return lacking
    gains = {
        (mode, other): evidence.gain(mode, other)
        for mode in evidence.quantized
        for other in (*evidence.alphas, *evidence.levels)
    }
    rivals = {
        (mode, other): gain
        for (mode, other), gain in gains.items()
        if other in evidence.alphas or evidence.levels[other] >= _saves(mode)
    }
    lighter = [
        f"{mode} preserves {more_or_less(gain)} than {other}"
        for (mode, other), gain in gains.items()
        if (mode, other) not in rivals and gain.high < 0
    ]
    p_supported = max(gain.p_above(MARGIN) for gain in rivals.values())
    p_contradicted = some([gain.p_below(0) for gain in rivals.values()])
    mode, other = closest = min(rivals, key=lambda pair: rivals[pair].value)
    if p_contradicted < p_supported:  # the rival that is shown to preserve more
        mode, other = min(rivals, key=lambda pair: rivals[pair].p_below(0))
    effect = rivals[mode, other].widened(len(rivals))
    leads = all(gain.widened(len(rivals)).low > 0 for gain in rivals.values())
    rival = (
        f"at least {MARGIN:g} points more than every student and every model pruned "
        "by the share of bytes that it saves"
    )
    return Finding(
        effect=effect,
        p_supported=p_supported,
        p_contradicted=p_contradicted,
        plain={
            "supported": f"Quantization preserves {rival}.",
            "contradicted": "Quantization is not the best method here: "
            f"{other} preserves more than {mode}.",
            "undecided": _perhaps_best(leads, mode, other, effect, rival),
        },
        numbers=f"{'The closest' if (mode, other) == closest else 'A'} rival: "
        f"{mode} preserves {more_or_less(effect)} than {other} (margin: {MARGIN:g} "
        f"points); the interval is corrected for all {len(rivals)} comparisons, while "
        "the test that quantization leads in every one needs no correction."
        + (f" Lighter pruning: {' and '.join(lighter)}." if lighter else ""),
        against=list(dict.fromkeys(other for _, other in rivals)),
        rests_on=effect.rests_on,
        details=table(
            "quantized other points low high rests_on times p_above p_below rival",
            [
                (*pair, *numbers(gain), gain.rests_on, math.exp(gain.log_ratio.value))
                + (gain.p_above(MARGIN), gain.p_below(0), pair in rivals)
                for pair, gain in gains.items()
            ],
        ),
        chance=evidence.alphas,
        averaged=rivals[closest],
    )


def _perhaps_best(
    leads: bool, mode: str, other: str, effect: Effect, rival: str
) -> str:
    """What is known if no rival wins and not all are far behind."""
    if leads and effect.high < MARGIN:
        return (
            f"Quantization preserves the most here, but fewer than {MARGIN:g} points "
            f"more than {other}."
        )
    if leads:
        return (
            "Quantization preserves the most here; whether by more than "
            f"{MARGIN:g} points remains open."
        )
    if -MARGIN < effect.low and effect.high < MARGIN:
        return (
            f"Quantization is not shown to be the best here: {mode} and its closest "
            f"rival, {other}, are within {MARGIN:g} points of each other."
        )
    return f"It remains open whether quantization preserves {rival}."


def _saves(mode: str) -> float:
    """Share of the bytes that a mode saves; 0 if the catalog does not have it."""
    return FORMATS[mode].saves if mode in FORMATS else 0.0


@register(
    4,
    "L1 pruning is an effective method for functional preservation, partially "
    "constrained by the architecture and dataset.",
    "function preserved at the first pruning level of 50 % or more (%)",
    holds=(-math.inf, math.log(1 - HALFWAY / 100)),
    scale="log ratio",
)
def pruning_preserves(evidence: Evidence) -> Finding | list[str]:
    """L1 pruning is effective for functional preservation, within limits.

    Looks at the function preserved at the first level of at least `WORTHWHILE_LEVEL`.
    Supported: it lies above `HALFWAY`.
    Contradicted: it lies below `HALFWAY`.
    The limits are reported: the levels that keep `SAME_FUNCTION` and `HALFWAY`, by the
    estimates and by the whole intervals. It takes several runs to show how they depend
    on architecture and data set.

    Args:
      evidence: softmax outputs of all models.

    Returns:
      what was found, or the names of what the claim needs and the run lacks.
    """
    levels = evidence.levels
    worthwhile = [name for name in levels if levels[name] >= WORTHWHILE_LEVEL]
    needed = {f"models pruned by {100 * WORTHWHILE_LEVEL:g} % or more": worthwhile}
    if lacking := missing(needed):
        return lacking
    preserved = {name: evidence.preserved(name) for name in levels}
    name = worthwhile[0]
    effect = preserved[name]
    title = name.capitalize()
    by_level = {levels[other]: found for other, found in preserved.items()}
    limits = [_limit(by_level, threshold) for threshold in (SAME_FUNCTION, HALFWAY)]
    return Finding(
        effect=effect,
        p_supported=effect.p_above(HALFWAY),
        p_contradicted=effect.p_below(HALFWAY),
        plain={
            "supported": f"{title} keeps more than half of the function.",
            "contradicted": f"{title} loses more than half of the function (the "
            "claim's second half, that pruning has limits, is not judged).",
            "undecided": f"It remains open whether {name} keeps half of the function.",
        },
        numbers=f"{title} {effect}. {' '.join(limits)}",
        against=["independent"],
        rests_on=effect.rests_on,
        details=table(
            "level ratio ratio_low ratio_high preserved low high rests_on",
            [
                (level, p.ratio, p.ratio_low, p.ratio_high, *numbers(p), p.rests_on)
                for level, p in by_level.items()
            ],
        ),
    )


@register(
    5,
    "Compression of a base model needs to be viewed from functional proximity "
    "rather than just accuracy, as it can be misleading.",
    "function preserved minus that of a model of no lower accuracy (points)",
    holds=(MARGIN, math.inf),
)
def accuracy_misleads(evidence: Evidence) -> Finding | list[str]:
    """Compression needs to be viewed by functional proximity: accuracy can mislead.

    Looks at compressed models that lose at most `ALIKE_ACCURACY` of the base model's
    accuracy, by the whole interval; a gain is not a loss, and accuracy alone shows that
    models that lose more are broken. Of two such models, accuracy favours the first if
    it is no less accurate; what counts is how much more the second preserves. Students
    of one alpha count as one model.
    Supported: some such difference lies above `MARGIN`, in a test corrected for the
    number of pairs.
    Contradicted: all lie below `MARGIN`, in a run with students among these models,
    each kind trained several times. The paper's claim is about students above all, so
    without them the others can support the claim but not contradict it, and the run is
    left out of the mean over several, which is of the largest difference.

    Args:
      evidence: softmax outputs of all models.

    Returns:
      what was found, or the names of what the claim needs and the run lacks.
    """
    deviations = {
        name: evidence.accuracy_deviation(name)
        for name in [*evidence.alphas, *evidence.quantized, *evidence.levels]
    }
    alike = [name for name, found in deviations.items() if found.low > -ALIKE_ACCURACY]
    alone = (
        f"two compressed models that keep {100 - ALIKE_ACCURACY:g} % of the accuracy"
    )
    if lacking := missing({alone: len(alike) > 1}):
        return lacking
    gains = {
        (first, second): evidence.gain(second, first)
        for first, second in permutations(alike, 2)
        if deviations[first].value >= deviations[second].value
    }
    caveat = ""
    if untested := _untested(evidence, alike):
        caveat = (
            f" {untested}, so the others can support the claim but not contradict it."
        )
    largest = max(gains, key=lambda pair: gains[pair].value)
    above = {pair: gain.p_above(MARGIN) for pair, gain in gains.items()}
    first, second = max(shown(above), key=lambda pair: gains[pair].value)
    effect = gains[first, second].widened(len(gains))
    preserved = {name: evidence.preserved(name) for name in deviations}
    return Finding(
        effect=effect,
        p_supported=some([*above.values()]),
        p_contradicted=1.0
        if caveat
        else max(gain.p_below(MARGIN) for gain in gains.values()),
        plain={
            "supported": "Accuracy alone misleads: on these images, "
            f"{_as_accurate(first, second, evidence.alphas)} less of the base model's "
            "function.",
            "contradicted": "Accuracy alone does not mislead here: of the models that "
            "keep the base model's accuracy, none keeps clearly less of its function "
            "than a less accurate one.",
            "undecided": "It remains open whether accuracy alone misleads.",
        },
        numbers=f"{_accuracy(first[:1].upper() + first[1:], deviations[first])} and "
        f"{_accuracy(second, deviations[second])} "
        f"both lose at most {ALIKE_ACCURACY:g} % of the base model's accuracy; the "
        f"second preserves {more_or_less(effect)} of its function (margin: {MARGIN:g} "
        f"points). The interval holds for all pairs of {len(alike)} models."
        f"{caveat}",
        against=alike,
        rests_on=effect.rests_on,
        details=table(
            "model relative_accuracy_deviation accuracy_low accuracy_high alike ratio "
            "preserved low high rests_on",
            [
                (name, *numbers(found), name in alike, preserved[name].ratio)
                + (*numbers(preserved[name]), preserved[name].rests_on)
                for name, found in deviations.items()
            ],
        ),
        chance=[name for name in alike if name in evidence.alphas],
        averaged=UNKNOWN if caveat else gains[largest],
    )


def _untested(evidence: Evidence, alike: Sequence[str]) -> str:
    """Why students cannot count against the claim; empty if they can."""
    if not evidence.alphas:
        return "The run lacks students"
    if not {*evidence.alphas} & {*alike}:
        return f"No students keep {100 - ALIKE_ACCURACY:g} % of the accuracy"
    single = once(evidence, evidence.alphas)
    return f"Students were trained only once ({', '.join(single)})" if single else ""


def _as_accurate(first: str, second: str, alphas: Sequence[str]) -> str:
    """The start of a sentence on two methods, of which some are students' alphas."""
    if second in alphas:
        second = f"students of {second}"
    if first in alphas:
        return f"students of {first} are no less accurate than {second} but keep"
    return f"{first} is no less accurate than {second} but keeps"


def _accuracy(name: str, deviation: Effect) -> str:
    value, low, high = numbers(deviation)
    return (
        f"{name} (relative deviation of accuracy {value:+.2f} % "
        f"[{low:+.2f}, {high:+.2f}])"
    )


def _limit(preserved: Mapping[float, Preserved], threshold: float) -> str:
    """The levels that keep more than a threshold, as a sentence."""
    by_estimate, by_interval = (
        [f"{100 * level:g} %" for level, p in preserved.items() if end(p) > threshold]
        for end in (attrgetter("value"), attrgetter("low"))
    )
    if not by_estimate:
        return f"No level keeps more than {threshold:g} %."
    surely = "none does"
    if by_interval:
        surely = f"pruning by {', '.join(by_interval)} does"
    return (
        f"By the estimates, pruning by {', '.join(by_estimate)} keeps more than "
        f"{threshold:g} %; by the whole intervals, {surely}."
    )
