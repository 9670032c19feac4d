"""Rank tests for a handful of trained models, which report their own limits.

Unlike `intervals`, they assume no distribution. An experiment has three to five seeds,
so p values are exact, and next to each is the smallest one that the sample sizes can
reach at all.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from scipy.stats import mannwhitneyu, rankdata

from kdfunc.errors import InputError

#: A sample: numbers in a list or an array.
Numbers = Sequence[float] | np.ndarray

LEVEL = 0.05  # of every test
PERMUTATIONS = 10_000  # all of them if there are no more, else as many at random


def _sample(values: Numbers, name: str) -> np.ndarray:
    sample = np.asarray(values, dtype=np.float64)
    if sample.ndim != 1 or not sample.size or not np.isfinite(sample).all():
        raise InputError(
            f"{name} is {values!r}; give at least one finite number, in one dimension."
        )
    return sample


def _significance(p: float, smallest_p: float, sizes: Sequence[int]) -> str:
    if smallest_p >= LEVEL:
        against = " against ".join(map(str, sizes))
        return f"cannot reach significance with {against} (smallest p {smallest_p:.2g})"
    return "significant" if p < LEVEL else "not significant"


def cliffs_delta(x: Numbers, y: Numbers) -> float:
    """How often numbers of one sample exceed those of another.

    `P(x > y) - P(x < y)` over all pairs: 1 if every x exceeds every y, 0 if neither
    sample tends to be larger, -1 if every y exceeds every x.

    Args:
      x: `[n]` numbers.
      y: `[m]` numbers.

    Raises:
      InputError: A sample is empty, or holds NaN or infinity.

    Source: Cliff 1993.
    """
    return float(np.sign(_sample(x, "x")[:, None] - _sample(y, "y")).mean())


def holm(p_values: Sequence[float]) -> np.ndarray:
    """P values corrected for a family of tests by Holm's step-down method.

    Args:
      p_values: `[tests]`.

    Returns:
      `[tests]` adjusted p values, at most 1. Calling those below a level significant
      keeps the probability of any false finding at or below that level.

    Source: Holm 1979.
    """
    given = np.asarray(p_values, dtype=np.float64)
    tests = len(given)
    order = np.argsort(given)
    stepped = np.maximum.accumulate((tests - np.arange(tests)) * given[order])
    adjusted = np.empty(tests)
    adjusted[order] = stepped.clip(max=1)
    return adjusted


def smallest_p(*sizes: int) -> float:
    """Smallest two-sided p value of a rank test on samples of these sizes.

    Of all ways to deal the ranks to the samples, two are the most extreme, so it is 2 /
    C(n + m, n) for two samples, 2 / (n + m + ...)! * n! * m! * ... for more.

    Args:
      *sizes: Number of values in each sample.
    """
    return min(1.0, 2 / _ways(sizes))


@dataclass(frozen=True)
class UTest:
    """A two-sided Mann-Whitney U test of a sample against a control.

    Attributes:
      control: Name of the control.
      sizes: Numbers in the sample and in the control.
      u: Pairs in which the sample exceeds the control; a tie counts half.
      delta: Cliff's delta in [-1, 1], above 0 where the sample tends to be larger.
      p: P value of this test alone.
      adjusted_p: P value after Holm's correction over the family of tests.
      smallest_p: Smallest adjusted p value that the sizes in the family can reach.
    """

    control: str
    sizes: tuple[int, int]
    u: float
    delta: float
    p: float
    adjusted_p: float
    smallest_p: float

    @property
    def significance(self) -> str:
        """Significant, not significant, or why these sizes cannot tell."""
        return _significance(self.adjusted_p, self.smallest_p, self.sizes)

    def __str__(self) -> str:
        return (
            f"Against {self.control}: Cliff's delta {self.delta:+.2f}, "
            f"p = {self.p:.2g} ({self.adjusted_p:.2g} after Holm's correction over all "
            f"controls): {self.significance}."
        )


def mann_whitney(sample: Numbers, controls: Mapping[str, Numbers]) -> list[UTest]:
    """Tests a sample against each control; the controls are one family of tests.

    P values are exact for small samples: by the distribution of U, or with ties by
    every way of dealing the numbers to the two samples.

    Args:
      sample: `[n]` numbers, one per trained model.
      controls: `[m]` of them by the control's name.

    Returns:
      The tests, in the order of the controls.

    Raises:
      InputError: A sample is empty, or holds NaN or infinity.

    Source: Mann and Whitney 1947; `scipy.stats.mannwhitneyu`.
    """
    own = _sample(sample, "sample")
    others = {name: _sample(values, name) for name, values in controls.items()}
    statistics, p_values = [], []
    for control in others.values():
        statistic, p_value = mannwhitneyu(own, control)
        both = np.concatenate([own, control])
        if len(np.unique(both)) < len(both):
            # Tied: scipy takes the normal distribution, which errs in small samples.
            # Its `PermutationMethod` gives what `_trend` does, but refuses a sample of
            # a single model.
            p_value = _trend([[own, control]])[1]
        statistics.append(float(statistic))
        p_values.append(float(p_value))
    sizes = [(len(own), len(control)) for control in others.values()]
    # Adjusted p values grow with every p value of the family, so the adjusted smallest
    # ones are the smallest adjusted ones.
    return [
        UTest(
            name,
            size,
            statistic,
            cliffs_delta(sample, controls[name]),
            p_value,
            float(adjusted),
            float(smallest),
        )
        for name, size, statistic, p_value, adjusted, smallest in zip(
            controls,
            sizes,
            statistics,
            p_values,
            holm(p_values),
            holm([smallest_p(*size) for size in sizes]),
            strict=True,
        )
    ]


@dataclass(frozen=True)
class Trend:
    """A two-sided Jonckheere-Terpstra test for a trend over ordered groups.

    Attributes:
      sizes: Numbers in each group.
      statistic: Pairs from two groups that are in the groups' order; a tie counts half.
        For matched numbers, only pairs within a seed.
      strength: Somers' d in [-1, 1]: 1 if the later group's number is larger in all
        these pairs, -1 if it is smaller in all.
      p: P value.
      smallest_p: Smallest p value that the sizes can reach.
    """

    sizes: tuple[int, ...]
    statistic: float
    strength: float
    p: float
    smallest_p: float

    @property
    def significance(self) -> str:
        """Significant, not significant, or why these sizes cannot tell."""
        return _significance(self.p, self.smallest_p, self.sizes)

    def __str__(self) -> str:
        return (
            f"Trend over {len(self.sizes)} groups: Somers' d {self.strength:+.2f}, "
            f"p = {self.p:.2g}: {self.significance}."
        )


def jonckheere_terpstra(groups: Sequence[Numbers], matched: bool = False) -> Trend:
    """Tests whether numbers rise or fall over ordered groups.

    This test suits three alphas with three seeds: it uses the order of the alphas but
    fits no line through them and assumes no distribution. Without common seeds, it
    enumerates all 9! / 3!^3 = 1680 ways of dealing nine models to three alphas, so it
    can reach p = 0.0012, while two alphas with three seeds each cannot get below 0.1.
    If matched, it compares numbers only with those of the same seed, so that the
    effects of seeds cancel, and deals the alphas anew within each seed: 3!^3 = 216
    ways, down to p = 0.0093. Above 10,000 ways (matched: per seed), it draws 10,000 at
    random.

    Args:
      groups: Two or more groups in order, each `[n]` numbers.
      matched: Whether the numbers at the same position in all groups share a seed (and
        so, for alphas, a data order).

    Raises:
      InputError: There are fewer than two groups, one is empty or holds NaN or
        infinity, or matched groups differ in size.

    Source: Terpstra 1952, Jonckheere 1954; matched, Skillings and Wolfe 1978.
    """
    if len(groups) < 2:
        raise InputError(f"there are {len(groups)} groups; give at least two.")
    samples = [_sample(group, f"group {i}") for i, group in enumerate(groups)]
    sizes = tuple(map(len, samples))
    strata: Sequence[Sequence[np.ndarray]] = [samples]
    if not matched:
        pass
    elif len(set(sizes)) == 1:
        strata = [*np.transpose(samples)[..., None]]  # by seed, groups of one number
    else:
        raise InputError(
            f"matched groups have {', '.join(map(str, sizes))} numbers; "
            "give one of each seed in every group."
        )
    excess, p = _trend(strata)
    pairs = sum(n * m for n, m in combinations(map(len, strata[0]), 2)) * len(strata)
    ways = math.prod(_ways([len(group) for group in stratum]) for stratum in strata)
    return Trend(sizes, (excess + pairs) / 2, excess / pairs, p, min(1.0, 2 / ways))


def _concordance(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Pairs of values in the order of their groups minus pairs against it.

    Args:
      values: `[n]`.
      groups: `[arrangements, n]` indices of groups.
    """
    a, b = np.triu_indices(len(values), k=1)
    return np.sign(groups[:, b] - groups[:, a]) @ np.sign(values[b] - values[a])


def _trend(strata: Sequence[Sequence[np.ndarray]]) -> tuple[float, float]:
    """Concordance of ordered groups, summed over strata, and its two-sided p value.

    Values are dealt to groups within each stratum anew, all ways being as likely. The
    same as `scipy.stats.permutation_test`, but exact for any number of strata: their
    sums have the convolution of the strata's distributions, where scipy would draw from
    the product of all ways (3!^6 for six seeds of three alphas is above 10,000).
    """
    total, chances = 0, np.ones(1)  # of each sum, from the least to the greatest
    for groups in strata:
        values = np.concatenate(groups)
        sizes = [len(group) for group in groups]
        observed = np.repeat(np.arange(len(sizes)), sizes)
        if _ways(sizes) <= PERMUTATIONS:
            dealt = np.array(list(_arrangements(sizes)))
        else:
            dealt = np.tile(observed, (PERMUTATIONS, 1))
            dealt[1:] = np.random.default_rng(0).permuted(dealt[1:], axis=1)
        excess = _concordance(values, dealt).astype(int)
        most = math.comb(len(values), 2)
        counts = np.bincount(excess + most, minlength=2 * most + 1)
        chances = np.convolve(chances, counts / len(dealt))
        total += int(_concordance(values, observed[None])[0])
    here = len(chances) // 2 + total
    tail = min(chances[here:].sum(), chances[: here + 1].sum())
    return float(total), float(min(1, 2 * tail))


def _ways(sizes: Sequence[int]) -> int:
    return math.factorial(sum(sizes)) // math.prod(map(math.factorial, sizes))


def _arrangements(counts: Sequence[int]) -> Iterator[list[int]]:
    """All distinct orders of counts[0] zeros, counts[1] ones and so on."""
    if not any(counts):
        yield []
    for group, count in enumerate(counts):
        if count:
            fewer = [*counts[:group], count - 1, *counts[group + 1 :]]
            yield from ([group, *rest] for rest in _arrangements(fewer))


def spearman(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of each row of x with the row of y.

    Args:
      x: `[rows, n]`.
      y: `[rows, n]`, or `[n]` for the same in all rows.

    Returns:
      `[rows]`, NaN where all values of x or of y are equal.
    """
    ranks = (rankdata(values, axis=-1) for values in (x, y))
    a, b = (rank - rank.mean(axis=-1, keepdims=True) for rank in ranks)
    squares = np.square(a).sum(axis=-1) * np.square(b).sum(axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return (a * b).sum(axis=-1) / np.sqrt(squares)
