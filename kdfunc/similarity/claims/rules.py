"""What all claims share: rules, Holm's correction, and verdicts."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pandas as pd

from kdfunc.similarity.effects import Effect, numbers, p_text
from kdfunc.similarity.groups import Evidence
from kdfunc.similarity.intervals import TEstimate
from kdfunc.similarity.learnt import NO_FUNCTION, learnt
from kdfunc.similarity.rank_tests import LEVEL, holm
from kdfunc.text import count

#: Instead of a number that must not be averaged over runs.
UNKNOWN = TEstimate(math.nan, math.inf, 1.0)

Outcome = Literal["supported", "contradicted", "undecided"]
Scale = Literal["log ratio", "points"]


@dataclass(frozen=True, eq=False)
class Finding:
    """What a claim's function finds.

    Attributes:
      effect: The number that decides, with its interval.
      p_supported: P value of the test for the claim, small if the numbers are hard to
        explain unless it holds.
      p_contradicted: P value of the test against it.
      plain: By outcome, the plain sentence that a reader may quote.
      numbers: The sentences that follow, with numbers and tests.
      against: The groups of models that decide.
      rests_on: The trainings that the interval rests on.
      details: The numbers behind it.
      chance: Of the groups that decide, apart from independent models, those whose
        trainings depend on chance.
      averaged: What is averaged over several runs, if not the effect.
    """

    effect: Effect
    p_supported: float
    p_contradicted: float
    plain: Mapping[Outcome, str]
    numbers: str
    against: Sequence[str]
    rests_on: str
    details: pd.DataFrame
    chance: Sequence[str] = ()
    averaged: Effect | None = None


@dataclass(frozen=True, eq=False)
class Verdict:
    """A run's verdict on a claim.

    Attributes:
      claim: The claim, in its authors' words.
      statistic: What `effect` is, with its unit.
      effect: Its value; NaN if the run lacks what the claim needs.
      low: Lower end of its interval.
      high: Upper end.
      rests_on: The trainings that the interval rests on.
      p: The smaller of the p values of the tests for and against it, two-sided.
      adjusted_p: The same after Holm's correction over the claims.
      against: The groups of models that decide.
      outcome: By the rule of the claim's function, if `adjusted_p` is below 0.05.
      sentence: The verdict for a person to read; the first sentence is the plain one.
      details: The numbers it rests on.
      estimate: The number that is averaged over several runs, see `Claim.scale`; NaN if
        the run does not meet a condition of the claim or trained a kind of model once.
      error: Its standard error.
      scale: Its scale.
    """

    claim: str
    statistic: str
    effect: float
    low: float
    high: float
    rests_on: str
    p: float
    adjusted_p: float
    against: tuple[str, ...]
    outcome: Outcome
    sentence: str
    details: pd.DataFrame
    estimate: float = math.nan
    error: float = math.nan
    scale: Scale | None = None


Rule = Callable[[Evidence], Finding | list[str]]


@dataclass(frozen=True)
class Claim:
    """A claim that runs are judged on.

    Attributes:
      text: The claim, in its authors' words.
      statistic: What its effect is, with its unit.
      rule: The function that judges it.
      holds: The two values of `Verdict.estimate` between which it holds, for an answer
        over several runs; None for a claim without such an answer.
      fails: The two between which it does not; None for all outside of `holds`.
      scale: On which scale several runs are averaged. Distances of independent models
        are of a like size, so distances to the base model are compared with them by the
        logarithm of the ratio. Compressed models are compared in points: near the base
        model, one of two distances can be a thousand times the other although both
        models preserve more than 99 % of the function.
    """

    text: str
    statistic: str
    rule: Rule
    holds: tuple[float, float] | None = None
    fails: tuple[float, float] | None = None
    scale: Scale = "points"


#: The claims by their numbers.
CLAIMS: dict[int, Claim] = {}


def register(
    number: int,
    claim: str,
    statistic: str,
    holds: tuple[float, float] | None = None,
    fails: tuple[float, float] | None = None,
    scale: Scale = "points",
) -> Callable[[Rule], Rule]:
    """Adds the function it decorates to `CLAIMS`.

    The function takes the evidence and returns a `Finding`, or a list of what the claim
    needs and the run lacks.

    Args:
      number: Its place among the claims.
      claim: The claim, in its authors' words.
      statistic: What its effect is, with its unit.
      holds: As in `Claim`.
      fails: As in `Claim`.
      scale: As in `Claim`.
    """

    def add(rule: Rule) -> Rule:
        CLAIMS[number] = Claim(claim, statistic, rule, holds, fails, scale)
        return rule

    return add


def verdicts(evidence: Evidence) -> list[Verdict]:
    """Judges all claims.

    A claim is decided if the test of its rule is significant after Holm's correction
    over all claims that can be judged; without the correction, chance would decide at
    least one of six in a quarter of all runs. Claims that rest on a single training of
    a student or an independent model are undecided: no interval covers the effect of
    chance on it. If the base model has learnt nothing, there is no function to preserve
    and every claim is undecided.

    Args:
      evidence: Softmax outputs of all models.

    Returns:
      One verdict per registered claim, in their order.
    """
    claims = [CLAIMS[number] for number in sorted(CLAIMS)]
    findings = [_find(claim, evidence) for claim in claims]
    if not learnt(evidence.base, evidence.labels).anything:
        return [_undecided(claim, NO_FUNCTION) for claim in claims]
    judged = [found for found in findings if isinstance(found, Finding)]
    adjusted = iter(holm([min(f.p_supported, f.p_contradicted) for f in judged]))
    return [
        _verdict(claim, found, float(next(adjusted)), len(judged))
        if isinstance(found, Finding)
        else _undecided(claim, f"The run lacks: {', '.join(found)}.")
        for claim, found in zip(claims, findings, strict=True)
    ]


def _find(claim: Claim, evidence: Evidence) -> Finding | list[str]:
    """Every claim needs independent models; a single one decides nothing."""
    if not evidence.has_scale:
        return ["independent models that differ from the base model"]
    found = claim.rule(evidence)
    if not isinstance(found, Finding):
        return found
    single = once(evidence, dict.fromkeys(["independent", *found.chance]))
    if not single:
        return found
    told = (
        f" Trained once: {', '.join(single)}. One training does not show how much "
        "results vary by chance, so the claim stays undecided; train more of them."
    )
    undecided = found.plain["undecided"].removesuffix(".")
    return replace(
        found,
        plain={
            **found.plain,
            "undecided": f"{undecided}: some models were trained only once.",
        },
        p_supported=1.0,
        p_contradicted=1.0,
        numbers=found.numbers + told,
        averaged=UNKNOWN,
    )


def _verdict(claim: Claim, found: Finding, adjusted: float, judged: int) -> Verdict:
    p = min(found.p_supported, found.p_contradicted)
    name = "log_ratio" if claim.scale == "log ratio" else "points"
    averaged = found.effect if found.averaged is None else found.averaged
    estimate = getattr(averaged, name, averaged)
    side: Outcome = "supported"
    if found.p_contradicted < found.p_supported:
        side = "contradicted"
    outcome: Outcome = side if adjusted < LEVEL else "undecided"
    claims = count(judged, "claim")
    tests = f"{p_text(p)}; {p_text(adjusted)} after Holm's correction over {claims}"
    alone = (
        f" Without the correction, the test would call the claim {side}."
        if p < LEVEL <= adjusted
        else ""
    )
    return Verdict(
        claim.text,
        claim.statistic,
        *numbers(found.effect),
        found.rests_on,
        p,
        adjusted,
        tuple(found.against),
        outcome,
        f"{found.plain[outcome]} {found.numbers} Rests on {found.rests_on}; {tests}."
        f"{alone}",
        found.details,
        estimate.value,
        getattr(estimate, "error", math.nan),
        claim.scale,
    )


def _undecided(claim: Claim, sentence: str) -> Verdict:
    unknown = math.nan
    return Verdict(
        claim.text,
        claim.statistic,
        effect=unknown,
        low=unknown,
        high=unknown,
        rests_on="",
        p=unknown,
        adjusted_p=unknown,
        against=(),
        outcome="undecided",
        sentence=sentence,
        details=pd.DataFrame(),
    )


def missing(needed: Mapping[str, object]) -> list[str]:
    """The names of what is missing.

    Args:
      needed: What a claim needs, by name; what is empty or None is missing.
    """
    return [what for what, there in needed.items() if not there]


def once(evidence: Evidence, groups: Iterable[str]) -> list[str]:
    """The groups of a single training.

    Args:
      evidence: Softmax outputs of all models.
      groups: Names of groups.
    """
    return [name for name in groups if len(evidence.groups[name]) == 1]


def table(columns: str, rows: Sequence[tuple]) -> pd.DataFrame:
    """A table from the names of its columns and its rows.

    Args:
      columns: The names, with spaces between.
      rows: One tuple of cells per row.
    """
    return pd.DataFrame(rows, columns=columns.split())
