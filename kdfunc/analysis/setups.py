"""The claims over all set-ups: one table, and one answer per claim."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd

from kdfunc.config import EXTENDABLE, REDUCIBLE, ExperimentConfig
from kdfunc.similarity.claims import CLAIMS
from kdfunc.similarity.claims.rules import Claim
from kdfunc.similarity.meta_analysis import FEWEST, Pooled, pool

#: Epochs of the paper; a run of fewer is shown but not pooled.
EPOCHS = ExperimentConfig.epochs


@dataclass(frozen=True)
class Setup:
    """A judged run.

    Attributes:
      name: of the run.
      config: the experiment.
      verdicts: its `tables/verdicts.csv`.
    """

    name: str
    config: ExperimentConfig
    verdicts: pd.DataFrame

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
      pooled: the meta-analysis; None if there are too few set-ups for it.
    """

    claim: str
    outcome: str
    sentence: str
    pooled: Pooled | None


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
      `epochs`; its `marks`; whether it is `short`; and from its verdict `claim`,
      `outcome`, `effect`, `low`, `high`, `estimate`, `error` and `scale`.
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
        shown = setup.verdicts.reindex(columns=columns)
        rows += [known | row for row in shown.to_dict("records")]
    return pd.DataFrame(rows)


def answers(setups: Sequence[Setup]) -> dict[str, Answer]:
    """One answer for each claim that was judged in some set-up.

    Args:
      setups: the judged runs.

    Returns:
      the answers by claim.
    """
    all_of = table(setups)
    if all_of.empty:
        return {}
    rules = {claim.text: claim for claim in CLAIMS.values()}
    return {
        text: _answer(text, rules.get(text), rows)
        for text, rows in all_of.groupby("claim", sort=False)
    }


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


def _answer(text: str, claim: Claim | None, rows: pd.DataFrame) -> Answer:
    chosen = rows[:0]
    if claim is not None:
        usable = np.isfinite(rows["estimate"]) & np.isfinite(rows["error"])
        usable &= (rows["error"] > 0) & (rows["scale"] == claim.scale)
        chosen = rows[usable & ~rows["short"]]
    if claim is None or claim.holds is None or len(chosen) < FEWEST:
        told = (
            f"{len(chosen)} of {len(rows)} set-ups can be averaged; it takes {FEWEST} "
            f"of {EPOCHS} epochs that meet all conditions of the claim."
        )
        return Answer(text, "undecided", told, None)
    pooled = pool(chosen["estimate"], chosen["error"])
    low, high = claim.holds
    outcome = "undecided"
    if low < pooled.low and pooled.high < high:
        outcome = "supported"
    elif pooled.high < low or high < pooled.low:
        outcome = "contradicted"
    return Answer(text, outcome, _sentence(claim, pooled), pooled)


def _sentence(claim: Claim, pooled: Pooled) -> str:
    points = claim.scale == "points"
    shown = "{:.1f}".format if points else "{:.2g}".format
    value, low, high, least, most = (
        shown(number if points else math.exp(number))
        for number in (
            *(pooled.value, pooled.low, pooled.high),
            *(pooled.predicted_low, pooled.predicted_high),
        )
    )
    mean = (
        f"the mean difference is {value} [{low}, {high}] points"
        if points
        else f"the mean distance to the base model is {value} [{low}, {high}] times "
        "that of independent models"
    )
    return (
        f"Over {pooled.setups} set-ups, {mean}; another set-up is expected between "
        f"{least} and {most}. {pooled.i2:.0f} % of the variance "
        f"lies between set-ups (I\u00b2); \u03c4\u00b2 = {pooled.tau2:.2g}."
    )
