"""Cheap measures of fidelity, and whether they rank models as their distance does.

Engineers check a compressed model on a few hundred examples with agreement, mean
squared error, signal-to-noise ratio or Kullback-Leibler divergence. All but agreement
are as in ai-edge-quantizer 0.10 (`utils/validation_utils.py`), with float outputs
flattened; agreement is the share of examples with the same predicted class.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from kdfunc.similarity.rank_tests import spearman
from kdfunc.similarity.tails import divergences

#: Number of examples in a quick check of a model.
FEW = 500
#: Distance ratio below which a model is near: half of the function is preserved.
NEAR = 0.5
#: Fewest models for a rank correlation.
FEWEST_MODELS = 4
_EPSILON = 1e-9

#: What is averaged over examples for a measure: of the base model's `p` and another
#: model's `q`, `[examples, classes]`.
_PER_EXAMPLE: Mapping[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "distance": divergences,
    "agreement": lambda p, q: (p.argmax(axis=1) == q.argmax(axis=1)).astype(float),
    "mse": lambda p, q: np.square(p - q).mean(axis=1),
    "kl": lambda p, q: (p * np.log((p + _EPSILON) / (q + _EPSILON))).sum(axis=1),
    "power": lambda p, q: np.square(p).mean(axis=1),
}
#: The measures from these means, larger for models farther away.
MEASURES: Mapping[str, Callable[[Mapping[str, np.ndarray]], np.ndarray]] = {
    "agreement": lambda mean: -mean["agreement"],
    "mse": lambda mean: mean["mse"],
    "snr": lambda mean: -mean["power"] / (mean["mse"] + _EPSILON),
    "kl": lambda mean: mean["kl"],
}


def ranking(
    base: np.ndarray,
    models: Sequence[np.ndarray],
    ratios: Sequence[float],
    resamples: int = 400,
    seed: int = 0,
) -> pd.DataFrame:
    """How closely cheap measures rank models like their distance to the base model.

    Args:
      base: softmax of the base model `[examples, classes]`.
      models: the same of each compressed model.
      ratios: their distance ratios, which separate near models from far ones (`NEAR`).
      resamples: draws of the examples.
      seed: of the draws.

    Returns:
      One row per group of models (`models` is their number; `group` is `all`, `near` or
      `far`), measure and number of `examples`, the few and all: Spearman's rank
      `correlation` of the measure on so many examples, drawn with replacement, with the
      mean Jensen-Shannon divergence on all of them, averaged over the draws; and `low`
      and `high`, between which 95 % of the draws lie. The divergence is not drawn
      again: these examples stand for all there are, and its chance would count against
      the measures. Groups of fewer than four models are left out.
    """
    rng = np.random.default_rng(seed)
    p = np.asarray(base, float)
    each = {
        name: np.stack([of(p, np.asarray(q, float)) for q in models], axis=1)
        for name, of in _PER_EXAMPLE.items()
    }
    truth = each.pop("distance").mean(axis=0)
    near = np.asarray(ratios) < NEAR
    groups = {"all": np.full(len(near), True), "near": near, "far": ~near}
    groups = {k: g for k, g in groups.items() if g.sum() >= FEWEST_MODELS}
    sizes = dict.fromkeys((min(FEW, len(p)), len(p)))
    drawn = {size: np.empty((resamples, len(p))) for size in sizes}
    for draw in range(resamples):
        for size, times in drawn.items():
            chosen = rng.integers(len(p), size=size)
            times[draw] = np.bincount(chosen, minlength=len(p))
    rows = []
    for size, times in drawn.items():
        means = {name: times @ values / size for name, values in each.items()}
        for measure, of in MEASURES.items():
            values = of(means)
            for group, members in groups.items():
                found = spearman(values[:, members], truth[members])
                found = np.nan_to_num(found)  # telling no two apart ranks nothing
                rows.append(
                    {
                        "group": group,
                        "models": int(members.sum()),
                        "measure": measure,
                        "examples": size,
                        "correlation": found.mean(),
                        "low": np.quantile(found, 0.025),
                        "high": np.quantile(found, 0.975),
                    }
                )
    columns = ["group", "models", "measure", "examples", "correlation", "low", "high"]
    table = pd.DataFrame(rows, columns=columns)
    return table.sort_values(["group", "examples"], kind="stable", ignore_index=True)
