"""The paper's two claims on how close students come to their teacher."""

import math
from itertools import combinations

from kdfunc.catalog import CONTROLS, NO_TEACHER
from kdfunc.similarity.claims.rules import Finding, missing, once, register, table
from kdfunc.similarity.effects import (
    LOG_MARGIN,
    MARGIN,
    Effect,
    beyond,
    more_or_less,
    numbers,
    shown,
    some,
    within,
)
from kdfunc.similarity.groups import Evidence
from kdfunc.similarity.rank_tests import LEVEL, jonckheere_terpstra, mann_whitney


@register(
    1,
    "Different alpha values do not impact the degree of functional similarity "
    "between a student and a teacher.",
    "largest difference in function preserved between alphas (points)",
    holds=(-MARGIN, MARGIN),
)
def alpha_has_no_effect(evidence: Evidence) -> Finding | list[str]:
    """Different alpha values do not impact the similarity of student and teacher.

    Looks at the differences in function preserved between all pairs of alphas.
    Supported: all lie within `MARGIN` on both sides.
    Contradicted: some difference lies beyond `MARGIN`, in a test corrected for the
    number of pairs, as its interval is (Bonferroni).
    The trend over alpha is reported but does not decide: with enough seeds, differences
    too small to matter become significant. Over several runs, the alphas that lean most
    and least on the teacher are compared: the largest difference is chosen by the data,
    so its mean would lean away from 0.

    Args:
      evidence: softmax outputs of all models.

    Returns:
      what was found, or the names of what the claim needs and the run lacks.
    """
    students = evidence.alphas
    if lacking := missing({"students of two alphas": len(students) > 1}):
        return lacking
    gains = {
        (less, more): evidence.gain(more, less)
        for less, more in combinations(students, 2)
    }
    apart = {pair: beyond(gain) for pair, gain in gains.items()}
    widest = max(gains, key=lambda pair: abs(gains[pair].value))
    less, more = max(shown(apart), key=lambda pair: abs(gains[pair].value))
    effect = gains[less, more].widened(len(gains))
    trend = jonckheere_terpstra(
        [evidence.each_preserved(name) for name in students],
        matched=len({evidence.seeds(name) for name in students}) == 1,
    )
    how = "more" if effect.value > 0 else "less"
    largest = ""
    if len(gains) > 1:
        beside = (
            ""
            if (less, more) == widest
            else " that lies beyond the margin by its own interval"
        )
        largest = (
            f", the largest of {len(gains)} differences{beside}; its interval is "
            "corrected for all of them, while the test that all lie within the margin "
            "needs no correction"
        )
    return Finding(
        effect=effect,
        p_supported=max(within(gain) for gain in gains.values()),
        p_contradicted=some([*apart.values()]),
        plain={
            "supported": "Alpha makes no difference that matters: students of all "
            "alphas come equally close to their teacher.",
            "contradicted": f"Alpha does matter: students of {more}, which lean more "
            f"on the teacher than those of {less}, keep {how} of its function.",
            "undecided": "It remains open whether alpha affects how close students "
            "come to their teacher.",
        },
        numbers=f"Students of {more} preserve {more_or_less(effect)} than those of "
        f"{less}{largest} (margin: {MARGIN:g} points). {trend}",
        against=students,
        rests_on=effect.rests_on,
        details=table(
            "less_teacher more_teacher points low high rests_on times p_within "
            "p_beyond",
            [
                (*pair, *numbers(gain), gain.rests_on, math.exp(gain.log_ratio.value))
                + (within(gain), beyond(gain))
                for pair, gain in gains.items()
            ],
        ),
        chance=students,
        averaged=gains[students[0], students[-1]],
    )


@register(
    2,
    "Knowledge distillation results in a student model that is as functionally "
    "dissimilar to the teacher as independently trained models.",
    "function preserved by students minus that of independent models (points)",
    holds=(-LOG_MARGIN, LOG_MARGIN),
    scale="log ratio",
)
def students_are_as_dissimilar(evidence: Evidence) -> Finding | list[str]:
    """Students are as dissimilar to their teacher as independently trained models.

    Looks at how much more students of the alpha that leans most on the teacher preserve
    than independent models with the students' optimizer. The paper compares students
    with models that may have another optimizer; the difference may then come from the
    optimizer, so the paper's zero is reported but does not decide.
    Supported: the difference lies within `MARGIN` on both sides: equally far.
    Contradicted: it lies beyond: students are closer, or they are farther.
    Closeness need not come from the teacher, as students also have the teacher's
    initial weights. The control with these and without a teacher ("same-start") shows
    it: the teacher contributes if what it adds lies above `MARGIN`, and adds little if
    it lies below. A Mann-Whitney U test on the models is reported but does not decide:
    with three seeds it cannot. `details` compares the students with every control by
    the same rules, also by disagreement.

    Args:
      evidence: softmax outputs of all models.

    Returns:
      what was found, or the names of what the claim needs and the run lacks.
    """
    zero = evidence.fair_zero
    needed = {
        "students": evidence.alphas,
        "control independent-optimizer": zero,
    }
    if (lacking := missing(needed)) or zero is None:
        return lacking
    students = evidence.alphas[-1]
    controls = [name for name in ("independent", *CONTROLS) if name in evidence.groups]
    gains = {name: evidence.gain(students, name) for name in controls}
    effect = gains[zero]
    tests = mann_whitney(
        evidence.each_preserved(students),
        {name: evidence.each_preserved(name) for name in controls},
    )
    whose = "independently trained models"
    where = "closer to" if effect.value > 0 else "farther from"
    lines = [
        f"Students of {students}, which lean most on the teacher, preserve "
        f"{more_or_less(effect)} than {whose} with the same optimizer (margin: "
        f"{MARGIN:g} points); measured by disagreement, "
        f"{more_or_less(evidence.gain(students, zero, 'disagreement'))}."
    ]
    if zero != "independent":
        lines.append(
            "Compared with the paper's independent models, which have another "
            f"optimizer, a student {gains['independent']}."
        )
    if NO_TEACHER in gains:
        single = once(evidence, [students, NO_TEACHER])
        lines.append(_teachers_part(effect, gains[NO_TEACHER], bool(single)))
        lines.append(str(tests[controls.index(NO_TEACHER)]))
    if evidence.shared_order:
        lines.append(
            "In this run, independent models see the data in the base model's order; "
            "students of other seeds do not."
        )
    chance = [students, zero]
    beside = [name for name in once(evidence, controls) if name not in chance]
    if beside:
        lines.append(
            f"Trained once, so chance in training is not covered: {', '.join(beside)}."
        )
    return Finding(
        effect=effect,
        p_supported=within(effect),
        p_contradicted=beyond(effect),
        plain={
            "supported": f"Students end up as far from their teacher as {whose} do.",
            "contradicted": f"Students end up {where} their teacher than {whose} do.",
            "undecided": "It remains open whether students end up closer to their "
            f"teacher than {whose} do.",
        },
        numbers=" ".join(lines),
        against=controls,
        rests_on=effect.rests_on,
        details=table(
            "control points low high rests_on times p_within p_beyond "
            "by_disagreement cliffs_delta p adjusted_p significance",
            [
                (name, *numbers(gains[name]), gains[name].rests_on)
                + (math.exp(gains[name].log_ratio.value),)
                + (within(gains[name]), beyond(gains[name]))
                + (evidence.gain(students, name, "disagreement").value,)
                + (test.delta, test.p, test.adjusted_p, test.significance)
                for name, test in zip(controls, tests, strict=True)
            ],
        ),
        chance=chance,
    )


def _teachers_part(effect: Effect, added: Effect, single: bool) -> str:
    """Whether the closeness comes from the teacher; after one training nobody knows."""
    beside = (
        "Compared with models of the same initial weights and optimizer without a "
        f"teacher, students preserve {more_or_less(added)}"
    )
    if effect.p_above(0) >= LEVEL or single:
        return f"{beside}."
    if added.p_above(MARGIN) < LEVEL:
        return f"{beside}: the teacher contributes to the closeness."
    if added.p_below(MARGIN) < LEVEL:
        return f"{beside}: the teacher adds less than {MARGIN:g} points."
    return f"{beside}: it remains open whether the teacher contributes."
