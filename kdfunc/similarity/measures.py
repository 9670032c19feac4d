"""Measures of how close two classifiers are as functions, from their softmax alone.

A measure is the mean over test examples of a few numbers per example, its components,
and a formula that turns those means into one value. So one pass over blocks of rows
gives the value, a group-by gives it for every class, and resampling weights give its
bootstrap distribution.

Throughout, `p` is the reference (the base model) and `q` the candidate compared with
it. The measures that Klabunde et al. (arXiv 2305.06329) define on predictions are
included if they are distinct for two models. Of their measures of sets of models,
`ambiguity` and `rashomon_capacity` are separate functions, and discrepancy is the
maximum of `pairwise` disagreement.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from kdfunc.similarity.softmax import CLIP, Outputs, entropy

TOP_K = 5
#: Smallest probability of the predicted class that counts as confident.
CONFIDENT = 0.9

Components = Callable[[Outputs, Outputs], np.ndarray]


def _mean(means):
    return means[..., 0]


def _ratio(numerator, denominator, undefined):
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(denominator == 0, undefined, numerator / denominator)


@dataclass(frozen=True)
class Measure:
    """A functional similarity measure of two models.

    Attributes:
      name: Key in `MEASURES`.
      label: Name for tables and figures.
      source: Where the measure comes from.
      components: Maps two blocks of outputs to `[n]` or `[n, k]` numbers per example.
      combine: Maps means of the components `[..., k]` to the value `[...]`.
      low: Lower end of the range.
      high: Upper end of the range, infinite if it grows with the number of classes.
      high_formula: In that case, the upper end for C classes, as tables write it.
      better: Which value a user wants, the "lower" or the "higher".
      identity: Value for a model compared with itself; any other value means another
        function. None for signed differences in quality.
      symmetric: Whether exchanging the models leaves the value unchanged.
      needs_labels: Whether true classes are needed.
      biased: Whether resampling shifts it as sampling did, as it does a sum of absolute
        values; then its bootstrap interval reaches as far to both sides.
    """

    name: str
    label: str
    source: str
    components: Components
    combine: Callable[[np.ndarray], np.ndarray] = _mean
    low: float = 0.0
    high: float = 1.0
    high_formula: str = ""
    better: Literal["lower", "higher"] = "lower"
    identity: float | None = 0.0
    symmetric: bool = False
    needs_labels: bool = False
    biased: bool = False


MEASURES: dict[str, Measure] = {}


def register(label: str, source: str, **fields):
    """Adds the function it decorates to `MEASURES`.

    The function returns a measure's components; its name without a leading underscore
    is the measure's, and its docstring is the formula.

    Args:
      label: As in `Measure`.
      source: As in `Measure`.
      **fields: Of `Measure`, if its defaults do not fit.
    """

    def add(components: Components) -> Components:
        name = components.__name__.removeprefix("_")
        MEASURES[name] = Measure(name, label, source, components, **fields)
        return components

    return add


# Hard predictions


@register("Prediction disagreement", "Milani Fard et al. 2016", symmetric=True)
def _disagreement(p, q):
    """Share of examples with argmax p != argmax q. Also called churn."""
    return p.predicted != q.predicted


def _corrected(means):
    disagreement, error = means[..., 0], means[..., 1]
    return _ratio(disagreement, error, np.where(disagreement == 0, 0.0, np.nan))


@register(
    "Accuracy-corrected disagreement",
    "Fort et al. 2019, arXiv 1912.02757",
    high=np.inf,
    needs_labels=True,
    combine=_corrected,
)
def _accuracy_corrected_disagreement(p, q):
    """Disagreement / (1 - accuracy of q).

    0 without disagreement; NaN where q makes no mistakes and p does.
    """
    return np.stack([p.predicted != q.predicted, ~q.correct], axis=1)


def _between_bounds(means):
    disagreement, p_error, q_error, two_classes = np.moveaxis(means, -1, 0)
    least = np.abs(p_error - q_error)
    both = p_error + q_error
    most = np.minimum(both, np.where(two_classes > 0.5, 2 - both, 1))
    return _ratio(disagreement - least, most - least, 0.0).clip(0, 1)


@register(
    "Normalized disagreement",
    "Klabunde and Lemmerich 2022, arXiv 2205.10070: min-max normalized instability",
    symmetric=True,
    needs_labels=True,
    combine=_between_bounds,
)
def _normalized_disagreement(p, q):
    """(disagreement - least) / (most - least).

    With the error rates e and f of p and q, least = |e - f| and most = min(e + f, 1),
    of two classes min(e + f, 2 - e - f), since two wrong answers are then the same one;
    0 where they coincide and the errors leave no freedom.
    """
    two_classes = np.full(len(p.p), p.p.shape[1] == 2)
    return np.stack(
        [p.predicted != q.predicted, ~p.correct, ~q.correct, two_classes], axis=1
    )


def _kappa(means):
    classes = means.shape[-1] // 2
    p_share, q_share = means[..., 1 : classes + 1], means[..., classes + 1 :]
    expected = (p_share * q_share).sum(axis=-1)
    return _ratio(means[..., 0] - expected, 1 - expected, 1.0)


@register(
    "Cohen's kappa",
    "Cohen 1960",
    low=-1.0,
    better="higher",
    identity=1.0,
    symmetric=True,
    combine=_kappa,
)
def _cohen_kappa(p, q):
    """(agreement - expected) / (1 - expected).

    Expected is the agreement by chance of predictions with these class shares; 1 where
    both models predict one and the same class throughout.
    """
    agree = p.predicted == q.predicted
    return np.concatenate([agree[:, None], p.one_hot, q.one_hot], axis=1)


# Soft predictions


@register(
    "Activation distance",
    "Klabunde et al. 2023: twice the norm of soft prediction difference",
    high=np.sqrt(2),
    symmetric=True,
)
def _activation_distance(p, q):
    """Mean of the L2 norm |p - q|."""
    return np.linalg.norm(p.p - q.p, axis=1)


@register("Jensen-Shannon divergence", "Lin 1991", symmetric=True)
def _jensen_shannon(p, q):
    """Mean of H((p + q) / 2) - (H(p) + H(q)) / 2 in bits: the divergence, no root."""
    divergence = entropy((p.p + q.p) / 2) - (p.entropy + q.entropy) / 2
    return divergence.clip(0, 1)


def _kl(p, q):
    return (p.p * (p.clipped_log - q.clipped_log)).sum(axis=1).clip(min=0)


@register("Forward KL divergence", "Kullback and Leibler 1951", high=-np.log(CLIP))
def _kl_forward(p, q):
    """Mean of sum p log(p / q) in nats, probabilities below 1e-7 taken as 1e-7."""
    return _kl(p, q)


@register("Reverse KL divergence", "Kullback and Leibler 1951", high=-np.log(CLIP))
def _kl_reverse(p, q):
    """Mean of sum q log(q / p) in nats, probabilities below 1e-7 taken as 1e-7."""
    return _kl(q, p)


@register(
    "Total variation",
    "Shamir and Coviello 2020: prediction difference of two models",
    symmetric=True,
)
def _total_variation(p, q):
    """Mean of sum |p - q| / 2."""
    return np.abs(p.p - q.p).sum(axis=1) / 2


@register("Cosine distance", "Salton and McGill 1983", symmetric=True)
def _cosine_distance(p, q):
    """Mean of 1 - p . q / (|p| |q|)."""
    # The same as half the squared distance of the unit vectors, exact when near 0.
    return np.square(p.unit - q.unit).sum(axis=1).clip(max=2) / 2


@register(
    "Surrogate churn",
    "Bhojanapalli et al. 2021",
    high=np.inf,
    high_formula="C / 2",
    symmetric=True,
)
def _surrogate_churn(p, q):
    """Mean of sum |p / max p - q / max q| / 2, at most classes / 2."""
    return np.abs(p.relative - q.relative).sum(axis=1) / 2


@register("Rank disagreement", "kdfunc", symmetric=True)
def _rank_disagreement(p, q):
    """Share of classes whose rank by probability differs; ties rank by class index."""
    return (p.ranks != q.ranks).mean(axis=1)


@register(
    "Top-k agreement",
    "Fagin et al. 2003",
    better="higher",
    identity=1.0,
    symmetric=True,
)
def _top_k_agreement(p, q):
    """Mean Jaccard index of the k most probable classes, k = min(5, classes - 1)."""
    k = min(TOP_K, p.p.shape[1] - 1)
    common = ((p.ranks < k) & (q.ranks < k)).sum(axis=1)
    return common / (2 * k - common)


# Flips and copies


@register("Negative flips", "Yan et al. 2021", needs_labels=True)
def _negative_flips(p, q):
    """Share of examples that p gets right and q wrong."""
    return p.correct & ~q.correct


@register("Positive flips", "Yan et al. 2021", better="higher", needs_labels=True)
def _positive_flips(p, q):
    """Share of examples that p gets wrong and q right."""
    return ~p.correct & q.correct


@register("Confident flips", "kdfunc", symmetric=True)
def _confident_flips(p, q):
    """Share of examples with argmax p != argmax q, max p >= 0.9 and max q >= 0.9.

    A threshold on confidence lets them pass, before and after.
    """
    confident = (p.p.max(axis=1) >= CONFIDENT) & (q.p.max(axis=1) >= CONFIDENT)
    return confident & (p.predicted != q.predicted)


def _share(means):
    return _ratio(means[..., 0], means[..., 1], np.nan)


@register(
    "Copied errors",
    "kdfunc",
    better="higher",
    identity=1.0,
    needs_labels=True,
    combine=_share,
)
def _copied_errors(p, q):
    """Of the mistakes of p, the share q repeats with the same wrong class.

    NaN where p makes none.
    """
    return np.stack([~p.correct & (p.predicted == q.predicted), ~p.correct], axis=1)


@register(
    "Copied correct answers",
    "kdfunc",
    better="higher",
    identity=1.0,
    needs_labels=True,
    combine=_share,
)
def _copied_correct(p, q):
    """Of the correct answers of p, the share q gives too; NaN where p has none."""
    return np.stack([p.correct & q.correct, p.correct], axis=1)


# Differences in quality, q minus p


def _difference(label, source, bound, better="lower", **fields):
    signed = {"low": -bound, "high": bound, "better": better, "identity": None}
    return register(label, source, needs_labels=True, **signed, **fields)


@_difference("Accuracy difference", "Klabunde et al. 2023", 1.0, "higher")
def _accuracy_difference(p, q):
    """Accuracy of q - accuracy of p: positive minus negative flips."""
    return q.correct.astype(float) - p.correct


@_difference("Log-loss difference", "Good 1952", -np.log(CLIP))
def _log_loss_difference(p, q):
    """Mean of -log q[y] + log p[y] in nats, probabilities below 1e-7 taken as 1e-7."""
    return q.log_loss - p.log_loss


@_difference("Brier score difference", "Brier 1950", 2.0)
def _brier_difference(p, q):
    """Mean of |q - onehot(y)|^2 - |p - onehot(y)|^2."""
    return q.brier - p.brier


def _calibration(means):
    p_gaps, q_gaps = np.split(np.abs(means), 2, axis=-1)
    return q_gaps.sum(axis=-1) - p_gaps.sum(axis=-1)


@_difference(
    "Calibration error difference",
    "Guo et al. 2017",
    1.0,
    combine=_calibration,
    biased=True,
)
def _calibration_difference(p, q):
    """ECE of q - ECE of p.

    ECE is the sum over 15 equal-width bins of the top probability of share of examples
    * |accuracy - mean top probability| in the bin.
    """
    return np.concatenate([p.calibration_gaps, q.calibration_gaps], axis=1)
