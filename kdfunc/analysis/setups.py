"""The claims over all set-ups: one table, and one answer per claim."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
import pandas as pd

from kdfunc.analysis import over_base_models
from kdfunc.config import ExperimentConfig
from kdfunc.runs.extension import EXTENDABLE, REDUCIBLE
from kdfunc.similarity.claims import CLAIMS
from kdfunc.similarity.claims.rules import Claim
from kdfunc.similarity.effects import p_text
from kdfunc.similarity.meta_analysis import FEWEST, Pooled, pool
from kdfunc.similarity.rank_tests import LEVEL, holm
from kdfunc.similarity.scale import exp
from kdfunc.text import count

#: Epochs of the paper; a run of fewer is shown but not pooled.
EPOCHS = ExperimentConfig.epochs

#: A prediction interval whose ends are farther apart than this says nothing.
ANY_RATIO = 100.0
ANY_POINTS = 100.0  # the scale from none of the function to all of it


@dataclass(frozen=True)
class Setup:
    """A judged run.

    Attributes:
      name: of the run.
      config: the experiment.
      verdicts: its table `verdicts`.
      over_bases: by claim, what it finds with each base model on the claim's scale; see
        `over_base_models.effects`.
    """

    name: str
    config: ExperimentConfig
    verdicts: pd.DataFrame
    over_bases: Mapping[str, np.ndarray] = field(default_factory=dict)

    @property
    def short(self) -> bool:
        """Whether it was trained for less than the paper's epochs."""
        return self.config.epochs < EPOCHS

    @property
    def marks(self) -> str:
        """How it differs from the paper's protocol or its preset; may be empty."""
        marks = [f"--{k}={v}" for k, v in differences(self.config).items()]
        return ", ".join([*(["short"] if self.short else []), *marks])


@dataclass(frozen=True)
class Answer:
    """The answer on a claim over all set-ups.

    Attributes:
      claim: in its authors' words.
      outcome: `supported`, `contradicted` or `undecided`.
      sentence: the answer for readers.
      pooled: the meta-analysis; None if there are too few set-ups for it, and what
        follows is unknown, too.
      mean: over the set-ups with its interval, in words.
      expected: where another set-up is, in words.
      p: of the outcome that is likelier, after Holm's correction.
    """

    claim: str
    outcome: str
    sentence: str
    pooled: Pooled | None = None
    mean: str = ""
    expected: str = ""
    p: float = math.nan


def preset_of(config: ExperimentConfig) -> ExperimentConfig:
    """The experiment that a run's preset is for its data set and architecture.

    Args:
      config: the experiment.
    """
    return ExperimentConfig(
        dataset=config.dataset,
        architecture=config.architecture,
        preset=config.preset,
    )


def differences(config: ExperimentConfig) -> dict[str, str]:
    """The flags in which a run differs from its preset, parts left out or added aside.

    Args:
      config: the experiment.

    Returns:
      values as a command gives them, by the flag's name.
    """
    usual = preset_of(config).settings
    return {
        flag: text
        for flag, text in config.settings.items()
        if flag not in EXTENDABLE and text != usual[flag]
    }


def is_papers(config: ExperimentConfig) -> bool:
    """Whether accuracies are made by the paper's protocol, chance aside.

    The data order may be either: the paper states none, and its notebooks fix one.

    Args:
      config: the experiment.
    """
    same = {"seed", "data_order", "finetune_epochs", "perplexities", *REDUCIBLE}
    return config.preset == "published" and not differences(config).keys() - same


def table(setups: Sequence[Setup]) -> pd.DataFrame:
    """Every claim in every set-up.

    Args:
      setups: the judged runs.

    Returns:
      One row per claim and set-up: `run`, `dataset`, `architecture`, `preset`,
      `epochs`; its `marks`; whether it is `short`; from its verdict `claim`,
      `outcome`, `effect`, `low`, `high`, `estimate`, `error` and `scale`; and on how
      many `base_models` estimate and error rest: where that is more than 1, they are
      the mean over these and its standard error.
    """
    columns = ["claim", "outcome", "effect", "low", "high"]
    columns += ["estimate", "error", "scale"]
    rows = []
    for setup in setups:
        known = {
            "run": setup.name,
            "dataset": setup.config.dataset,
            "architecture": setup.config.architecture,
            "preset": setup.config.preset,
            "epochs": setup.config.epochs,
            "marks": setup.marks,
            "short": setup.short,
        }
        for row in setup.verdicts.reindex(columns=columns).to_dict("records"):
            each = setup.over_bases.get(row["claim"])
            if each is not None and np.isfinite(row["error"]):
                own = over_base_models.averaged(each, row["error"])
                row |= dict(zip(("estimate", "error"), own, strict=True))
            rows.append(known | row | {"base_models": 1 if each is None else len(each)})
    return pd.DataFrame(rows)


def answers(setups: Sequence[Setup]) -> dict[str, Answer]:
    """One answer for each claim that was judged in some set-up.

    An answer is decided if the interval lies on one side of the margin, also after
    Holm's correction over the claims that can be averaged.

    Args:
      setups: the judged runs.

    Returns:
      the answers by claim.
    """
    all_of = table(setups)
    if all_of.empty:
        return {}
    rules = {claim.text: claim for claim in CLAIMS.values()}
    rows = dict(list(all_of.groupby("claim", sort=False)))
    pooled = {text: _pooled(rules.get(text), rows[text]) for text in rows}
    sides = {text: _side(rules[text], found) for text, found in pooled.items() if found}
    adjusted = dict(zip(sides, holm([p for _, p in sides.values()]), strict=True))
    found = {}
    for text, rows_of_claim in rows.items():
        if pooled[text]:
            p, tests = adjusted[text], len(sides)
            found[text] = _answer(rules[text], pooled[text], *sides[text], p, tests)
        else:
            few = _too_few(rules.get(text), rows_of_claim)
            found[text] = Answer(text, "undecided", few)
    return found


def answers_table(found: Mapping[str, Answer]) -> pd.DataFrame:
    """The answers as a table: `claim`, `outcome`, and the numbers of `Pooled`.

    Args:
      found: from `answers`.
    """
    return pd.DataFrame(
        {"claim": each.claim, "outcome": each.outcome}
        | (asdict(each.pooled) if each.pooled else {})
        for each in found.values()
    )


def _usable(claim: Claim | None, rows: pd.DataFrame) -> pd.DataFrame:
    """The set-ups that can be averaged."""
    if claim is None:
        return rows[:0]
    usable = np.isfinite(rows["estimate"]) & np.isfinite(rows["error"])
    usable &= (rows["error"] > 0) & (rows["scale"] == claim.scale)
    return rows[usable & ~rows["short"]]


def _pooled(claim: Claim | None, rows: pd.DataFrame) -> Pooled | None:
    chosen = _usable(claim, rows)
    if claim is None or claim.holds is None or len(chosen) < FEWEST:
        return None
    return pool(chosen["estimate"], chosen["error"])


def _too_few(claim: Claim | None, rows: pd.DataFrame) -> str:
    return (
        f"{len(_usable(claim, rows))} of {len(rows)} set-ups can be averaged; it takes "
        f"{FEWEST} of {EPOCHS} epochs that meet all conditions of the claim."
    )


def _side(claim: Claim, pooled: Pooled) -> tuple[str, float]:
    """The likelier outcome and its p value."""
    low, high = claim.holds
    supported = max(pooled.p_above(low), pooled.p_below(high))
    contradicted = min(pooled.p_below(low), pooled.p_above(high))
    if claim.fails:
        low, high = claim.fails
        contradicted = max(pooled.p_above(low), pooled.p_below(high))
    if supported <= contradicted:
        return "supported", supported
    return "contradicted", contradicted


def _answer(
    claim: Claim, pooled: Pooled, side: str, p: float, adjusted: float, tests: int
) -> Answer:
    points = claim.scale == "points"
    shown = "{:.1f}".format if points else "{:.3g}".format
    value, low, high = (
        shown(number if points else exp(number))
        for number in (pooled.value, pooled.low, pooled.high)
    )
    mean = f"{value} [{low}, {high}] {'points' if points else 'times as far'}"
    what = "the mean difference is" if points else "models are on average"
    than = "" if points else " from the base model as independent ones"
    expected = _expected(points, pooled)
    return Answer(
        claim=claim.text,
        outcome=side if adjusted < LEVEL else "undecided",
        sentence=f"Over {pooled.setups} set-ups, {what} {mean}{than} ({p_text(p)} for "
        f"“{side}”; {p_text(adjusted)} after Holm's correction over "
        f"{count(tests, 'claim')}); "
        f"expected of another set-up: {expected}. {pooled.i2:.0f} % of the variance "
        f"lies between set-ups (I\u00b2); \u03c4\u00b2 = {pooled.tau2:.3g}.",
        pooled=pooled,
        mean=mean,
        expected=expected,
        p=adjusted,
    )


def _expected(points: bool, pooled: Pooled) -> str:
    """Where another set-up is expected, within the scale."""
    low, high = pooled.predicted_low, pooled.predicted_high
    if high - low > (ANY_POINTS if points else math.log(ANY_RATIO)):
        return "almost anything"
    if points:
        return f"{low:.1f} to {high:.1f} points"
    return f"{math.exp(low):.2g} to {math.exp(high):.2g} times"
