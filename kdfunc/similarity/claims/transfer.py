"""The claim of the follow-up paper: what students adopt from their teacher.

There are three ways to count how many more of the teacher's answers students repeat
than a control does, and they may differ in sign:

- **shares** of the teacher's errors and of its right answers, in points. Models without
  a teacher repeat most right answers anyway but few errors, so errors have more room;
- **images**, which depend on how many errors the teacher makes at all;
- **adoption**, the share of the room left by the control: of the answers that the
  control does not repeat, the share that students do.

Adoption decides. A student that adopts every answer of its teacher with the same
probability, right or wrong, has equal adoption of both, whatever the control repeats
and however often the teacher errs; shares and images then differ.
"""

import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from kdfunc.catalog import ANOTHER_TEACHER, NO_TEACHER
from kdfunc.similarity.claims.rules import UNKNOWN, Finding, missing, register, table
from kdfunc.similarity.effects import MARGIN, more_or_less, numbers, some, text
from kdfunc.similarity.groups import Evidence
from kdfunc.similarity.intervals import TEstimate, mean_of
from kdfunc.similarity.rank_tests import LEVEL
from kdfunc.text import count

#: Number of teacher's errors below which nothing is decided.
FEWEST_ERRORS = 100
#: Adoption (%) of errors or of right answers that is too small to compare.
SOME_ADOPTION = 5.0

COPIES = ("copied_errors", "copied_correct")

#: Which of the three ways of counting decides.
READ = (
    "Adoption decides: a student that adopts right and wrong answers equally often "
    "has the same adoption of both."
)


@dataclass(frozen=True)
class Transfer:
    """How many more of their teacher's answers students repeat than a control.

    Attributes:
      control: Name of the control.
      errors: How many errors the teacher makes.
      right: How many right answers it gives.
      shares: How much larger the shares of errors and of right answers are that
        students repeat, in points.
      adoption: How many more errors and right answers students repeat, in percent of
        those that the control does not repeat.
      asymmetry: Adoption of errors minus that of right answers, in points.
      pairs: Seeds that students and control have in common.
      teachers: Teachers of the control, if it has any: pairs of one teacher are
        averaged before all others are, since chance in its training is theirs, too.
    """

    control: str
    errors: int
    right: int
    shares: tuple[float, float]
    adoption: tuple[TEstimate, TEstimate]
    asymmetry: TEstimate
    pairs: int
    teachers: int

    @property
    def rests_on(self) -> str:
        """The trainings that the intervals rest on."""
        pairs = f"{count(self.pairs, 'pair')} of models matched by seed"
        shared = self.teachers < self.pairs
        return f"{pairs}, {count(self.teachers, 'teacher')}" if shared else pairs

    @property
    def images(self) -> tuple[float, float]:
        """How many more errors and right answers students repeat."""
        return (
            self.shares[0] * self.errors / 100,
            self.shares[1] * self.right / 100,
        )


def adoption(students: np.ndarray, control: np.ndarray) -> np.ndarray:
    """Share of the room left by a control that students fill, in percent.

    Args:
      students: Shares of the teacher's answers that students repeat.
      control: The same for the control; a control that repeats all leaves no room and
        gives NaN.
    """
    room = np.where(control < 1, 1 - control, np.nan)
    return 100 * (students - control) / room


def transfer(evidence: Evidence, students: str, control: str) -> Transfer | None:
    """Compares students with a control, seed by seed; None without common seeds.

    Args:
      evidence: Softmax outputs of all models.
      students: The group of the students.
      control: The group of models to compare them with.
    """
    places, others, paired = evidence.common(students, control)
    if not paired:
        return None
    seeds = dict(zip(evidence.members[control], evidence.seeds(control), strict=True))
    taught = [seeds[place] for place in others]
    if control == ANOTHER_TEACHER:
        taught = [evidence.teachers.get(seed, seed) for seed in taught]
    values, replicates, shares = [], [], []
    for name in COPIES:
        estimate = evidence.estimates[name]
        found, resampled = (
            (shares_of[..., places], shares_of[..., others])
            for shares_of in (estimate.value, estimate.replicates)
        )
        values.append(_by_teacher(adoption(*found), taught))
        replicates.append(_by_teacher(adoption(*resampled), taught))
        shares.append(100 * float(_by_teacher(np.subtract(*found), taught).mean()))
    right = round(evidence.base_accuracy * len(evidence.labels))
    return Transfer(
        control,
        len(evidence.labels) - right,
        right,
        (shares[0], shares[1]),
        (mean_of(values[0], replicates[0]), mean_of(values[1], replicates[1])),
        mean_of(values[0] - values[1], np.subtract(*replicates)),
        len(places),
        len({*taught}),
    )


def _by_teacher(pairs: np.ndarray, teachers: Sequence[Hashable]) -> np.ndarray:
    """`[..., teachers]` means of the pairs of each teacher, from `[..., pairs]`."""
    places: dict[Hashable, list[int]] = {}
    for place, teacher in enumerate(teachers):
        places.setdefault(teacher, []).append(place)
    return np.stack([pairs[..., own].mean(axis=-1) for own in places.values()], axis=-1)


@register(
    6,
    "Knowledge distillation transfers a teacher's errors more than its knowledge "
    "(severe asymmetric transfer of negative knowledge).",
    "adoption of the teacher's errors minus that of its right answers (points)",
    holds=(MARGIN, math.inf),
)
def errors_are_passed_on(evidence: Evidence) -> Finding | list[str]:
    """Distillation passes on the teacher's errors more than its right answers.

    Compares students of the alpha that leans most on the teacher with students of an
    independent teacher ("other-teacher") and the same seeds: those also had soft
    targets, so the difference comes from this very teacher. The effect is the adoption
    of errors minus that of right answers, see `transfer`. The comparison with models
    without a teacher ("same-start") is reported, too.
    Supported: the effect lies above `MARGIN`.
    Contradicted: it lies below `MARGIN`: right answers are passed on about as much or
    more.
    Undecided if the teacher makes fewer than `FEWEST_ERRORS` errors, if there is a
    single other teacher, or if neither adoption is shown to be above `SOME_ADOPTION`.
    Source: Mason-Williams et al. 2025, arXiv 2510.12615.

    Args:
      evidence: Softmax outputs of all models.

    Returns:
      What was found, or the names of what the claim needs and the run lacks.
    """
    needed = {
        "students": evidence.alphas,
        f"control {ANOTHER_TEACHER}": ANOTHER_TEACHER in evidence.groups,
    }
    if lacking := missing(needed):
        return lacking
    students = evidence.alphas[-1]
    names = [n for n in (ANOTHER_TEACHER, NO_TEACHER) if n in evidence.groups]
    found = {name: transfer(evidence, students, name) for name in names}
    held = {n: f for n, f in found.items() if f and np.isfinite(f.asymmetry.value)}
    alike = f"control {ANOTHER_TEACHER} of the students' seeds that leaves some of the "
    alike += "teacher's errors and right answers to adopt"
    if lacking := missing({alike: ANOTHER_TEACHER in held}):
        return lacking
    clean = held[ANOTHER_TEACHER]
    effect = clean.asymmetry
    none_adopted = some([each.p_above(SOME_ADOPTION) for each in clean.adoption])
    caveat, p_open = "", 1.0
    if clean.errors < FEWEST_ERRORS:
        caveat = (
            f" The teacher makes {count(clean.errors, 'error')}, too few to judge by; "
            f"{FEWEST_ERRORS} are needed."
        )
    elif clean.teachers == 1 < clean.pairs:
        caveat = (
            " They are all compared with students of one other teacher, so chance in "
            "its training is not covered; several are needed."
        )
    elif none_adopted >= LEVEL:
        caveat = (
            f" Neither adoption is clearly above {SOME_ADOPTION:g} %, so there is "
            "nothing to compare."
        )
    else:
        p_open = none_adopted
    return Finding(
        effect=effect,
        p_supported=max(p_open, effect.p_above(MARGIN)),
        p_contradicted=max(p_open, effect.p_below(MARGIN)),
        plain={
            "supported": "Distillation passes on a larger share of the teacher's "
            f"errors than of its right answers, by more than {MARGIN:g} points.",
            "contradicted": "Distillation does not pass on a larger share of the "
            "teacher's errors than of its right answers, to within "
            f"{MARGIN:g} points.",
            "undecided": "It remains open whether distillation passes on the "
            "teacher's errors more than its right answers.",
        },
        numbers=" ".join(map(_told, held.values())) + f" {READ}{caveat}",
        against=list(held),
        rests_on=clean.rests_on,
        details=table(
            "control teacher_errors teacher_right error_points right_points "
            "error_images right_images error_adoption right_adoption asymmetry low "
            "high rests_on",
            [
                (name, each.errors, each.right, *each.shares, *each.images)
                + (each.adoption[0].value, each.adoption[1].value)
                + (*numbers(each.asymmetry), each.rests_on)
                for name, each in held.items()
            ],
        ),
        chance=[students, ANOTHER_TEACHER],
        averaged=UNKNOWN if caveat else None,
    )


def _told(found: Transfer) -> str:
    """The three ways of counting, in words."""
    whose = {
        ANOTHER_TEACHER: "students of other teachers (independent models)",
        NO_TEACHER: "models with the same initial weights and no teacher",
    }[found.control]
    errors, right = found.adoption
    fewer = " (below 0 %: they repeat fewer)"
    points = [_more(share, ".2f", " points") for share in found.shares]
    images = [_more(number, ",.0f") for number in found.images]
    return (
        f"Of the teacher's answers that {whose} do not repeat, its own students "
        f"adopt {text(errors, ' %')} of the errors and {text(right, ' %')} of the "
        f"right ones{fewer if min(errors.value, right.value) < 0 else ''}: errors are "
        f"adopted {more_or_less(found.asymmetry)} often than right answers. In shares "
        f"of all {found.errors:,} errors and {found.right:,} right answers, they "
        f"repeat {points[0]} and {points[1]}; in images, {images[0]} and {images[1]}."
    )


def _more(value: float, form: str, unit: str = "") -> str:
    """A difference in words, such as "1.1 points less"."""
    shown = f"{abs(value):{form}}{unit}"
    less = value < 0 and float(f"{abs(value):{form}}".replace(",", "")) > 0
    return f"{shown} {('less' if unit else 'fewer') if less else 'more'}"
