"""What claims on quantization and pruning find with each of several base models.

A base model is one draw of a training. How well it can be compressed differs from draw
to draw by more than test images and independent models explain, so an average over
several runs uses each run's mean over its base models, where it has enough of them.
"""

import math

import numpy as np
import pandas as pd

from kdfunc.analysis.accuracy import METHODS
from kdfunc.catalog import FORMATS
from kdfunc.similarity.claims import CLAIMS
from kdfunc.similarity.claims.compression import WORTHWHILE_LEVEL
from kdfunc.similarity.groups import pruned_group
from kdfunc.similarity.scale import log, ratio_at

#: Fewest base models whose standard deviation says something.
FEWEST = 3


def effects(
    base_models: pd.DataFrame | None, rivals: pd.DataFrame | None
) -> dict[str, np.ndarray]:
    """What is averaged over runs, for each base model of a run.

    Args:
      base_models: the table of that name; None if there is none.
      rivals: the table `verdict-3`, which has quantization's closest rival; None if
        that was not judged.

    Returns:
      By the claim `[base models]`, on its scale. Without quantization if its
      closest rival is a student, which only the run's own base model has; empty for
      fewer than `FEWEST` base models.
    """
    if base_models is None or base_models["base_model"].nunique() < FEWEST:
        return {}
    kept = base_models.pivot(index="base_model", columns="setting", values="preserved")
    pruned = base_models[base_models["method"] == METHODS["pruned"]]
    levels = {float(s.removesuffix(" %")) / 100: s for s in pruned["setting"]}
    found = {}
    if rivals is not None:
        among = rivals[rivals["rival"]]
        mode, other = among.loc[among["points"].idxmin(), ["quantized", "other"]]
        mode = FORMATS[mode].published or mode
        groups = {pruned_group(level): setting for level, setting in levels.items()}
        if mode in kept and other in groups:
            found[CLAIMS[3].text] = (kept[mode] - kept[groups[other]]).to_numpy()
    worthwhile = [level for level in levels if level >= WORTHWHILE_LEVEL]
    if worthwhile:
        ratios = kept[levels[min(worthwhile)]].map(ratio_at)
        found[CLAIMS[4].text] = ratios.map(log).to_numpy()
    return {claim: each for claim, each in found.items() if np.isfinite(each).all()}


def averaged(each: np.ndarray, error: float) -> tuple[float, float]:
    """The mean over base models, and its standard error.

    Args:
      each: `[base models]`.
      error: the standard error with one of them, from test images and independent
        models, which all of them share.
    """
    return float(each.mean()), math.hypot(each.std(ddof=1) / len(each) ** 0.5, error)
