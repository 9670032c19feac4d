"""Bootstrap intervals over test examples.

The bootstrap is paired: one resample of the examples serves every model and measure,
and the same numbers of examples and resamples and the same seed give the same resamples
in another call. So differences and ratios of estimates have intervals, too, through
`Estimate.derive`.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np

from kdfunc.errors import InputError
from kdfunc.similarity.evaluate import components, select
from kdfunc.similarity.measures import MEASURES
from kdfunc.similarity.softmax import listed

BLOCK_SIZE = 1 << 21  # counts in a block: 16 MB
SHOWN = 10  # estimates in the printed form
#: Components from which on a measure's are kept sparse: they are one-hot then.
SPARSE_FROM = 64


@dataclass(frozen=True, eq=False)
class Estimate:
    """Estimates with their bootstrap distribution.

    Attributes:
      value: `[...]` on the examples as they are.
      replicates: `[resamples, ...]` on the resampled examples.
      confidence: Share of intervals that should cover the truth.
      biased: Whether the interval reaches as far to both sides of the value as that of
        percentiles does to one, see `Measure.biased`.
    """

    value: np.ndarray
    replicates: np.ndarray
    confidence: float
    biased: bool = False

    @cached_property
    def _ends(self) -> tuple[np.ndarray, np.ndarray]:
        tail = (1 - self.confidence) / 2
        # Such as a ratio of signal to no noise: nothing lies between it and others.
        infinite = np.isinf(self.replicates).any()
        method: Literal["closest_observation", "linear"]
        method = "closest_observation" if infinite else "linear"
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "All-NaN slice", RuntimeWarning)
            low, high = np.nanquantile(
                self.replicates, [tail, 1 - tail], axis=0, method=method
            )
        if self.biased:
            reach = np.maximum(high - self.value, self.value - low)
            low, high = self.value - reach, self.value + reach
        return low, high

    @property
    def low(self) -> np.ndarray:
        """`[...]` lower end of the interval; NaN replicates are left out."""
        return self._ends[0]

    @property
    def high(self) -> np.ndarray:
        """`[...]` upper end of the interval."""
        return self._ends[1]

    def __repr__(self) -> str:
        ends = zip(*map(np.ravel, (self.value, self.low, self.high)), strict=True)
        shown = [f"{value:.4g} [{low:.4g}, {high:.4g}]" for value, low, high in ends]
        if len(shown) > SHOWN:
            shown[SHOWN:] = [f"... {len(shown)} in all"]
        return f"Estimate({', '.join(shown)}; {100 * self.confidence:g} % intervals)"

    def derive(self, function: Callable[[np.ndarray], np.ndarray]) -> "Estimate":
        """Estimate of a function of the estimates, from the same resamples.

        Args:
          function: Works along the last axes, as `lambda x: x[..., 0] - x[..., 1]` for
            the difference of the first two candidates.
        """
        return replace(
            self, value=function(self.value), replicates=function(self.replicates)
        )


def resample_counts(
    n: int, resamples: int, rng: np.random.Generator
) -> Iterator[np.ndarray]:
    """How often each of n examples occurs in resamples of n with replacement.

    Args:
      n: Number of examples.
      resamples: Number of resamples.
      rng: Draws them.

    Yields:
      `[block, n]` float64 counts, `resamples` rows in all.
    """
    step = max(1, BLOCK_SIZE // n)
    for start in range(0, resamples, step):
        size = min(step, resamples - start)
        drawn = rng.integers(n, size=(size, n))
        drawn += n * np.arange(size)[:, None]
        counts = np.bincount(drawn.ravel(), minlength=size * n)
        yield counts.reshape(size, n).astype(np.float64)


def bootstrap_measures(
    reference: np.ndarray,
    candidates: Sequence[np.ndarray],
    labels: np.ndarray | None = None,
    *,
    names: Sequence[str] | None = None,
    resamples: int = 10_000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Measures of candidates against a reference, with intervals over test examples.

    Memory: examples * candidates * 8 bytes for each component of a measure; most
    measures have one, the calibration difference 30. Cohen's kappa has `2 * classes +
    1`, of which only the nonzero ones are kept from 32 classes on.

    Args:
      reference: `[examples, classes]` softmax.
      candidates: The same of each candidate.
      labels: `[examples]` true classes, or None.
      names: Measures; None for all, without labels those that need none.
      resamples: Number of bootstrap resamples.
      confidence: Share of intervals that should cover the truth.
      seed: Seed of the resampling.

    Returns:
      Estimates `[candidates]` by measure.

    Raises:
      InputError: As in `kdfunc.similarity.evaluate`, or no candidates, no resamples, or
        a confidence outside (0, 1).
    """
    if not 0 < confidence < 1:
        raise InputError(f"confidence is {confidence}; give a number between 0 and 1.")
    if resamples < 1:
        raise InputError(f"resamples is {resamples}; give at least 1.")
    candidates = listed(candidates, "candidates")
    if len(candidates) < 1:
        raise InputError("there are no candidates; give at least one.")
    names = select(names, labels)
    titles = [f"candidates[{i}]" for i in range(len(candidates))]
    models = {"reference": reference, **dict(zip(titles, candidates, strict=True))}
    wanted = {("reference", title): names for title in titles}
    n = len(reference)
    parts: dict[str, dict[str, list]] = {
        name: {title: [] for title in titles} for name in names
    }
    for _, (_, title), name, values in components(models, wanted, labels):
        parts[name][title].append(_compact(values))
    tables = {name: _joined([*parts[name].values()]) for name in names}

    def combine(name, sums):
        sums = np.ascontiguousarray(sums)  # another order would show in last digits
        means = sums.reshape(*sums.shape[:-1], len(titles), -1) / n
        return MEASURES[name].combine(means)

    replicates: dict[str, list] = {name: [] for name in names}
    for counts in resample_counts(n, resamples, np.random.default_rng(seed)):
        for name, table in tables.items():
            step = max(1, BLOCK_SIZE // table.shape[1])  # sums take no more than counts
            for start in range(0, len(counts), step):
                block = counts[start : start + step]
                replicates[name].append(combine(name, block @ table))
    return {
        name: Estimate(
            combine(name, table.sum(axis=0)),
            np.concatenate(replicates[name]),
            confidence,
            MEASURES[name].biased,
        )
        for name, table in tables.items()
    }


def _compact(values: np.ndarray):
    """The array itself, or a sparse one; a device that has no scipy keeps it dense."""
    if values.shape[1] < SPARSE_FROM:
        return values
    try:
        from scipy import sparse
    except ImportError:
        return values
    return sparse.csr_array(values)


def _joined(parts: list[list]):
    """The table `[n, candidates * components]` of each candidate's blocks of rows."""
    grid = [list(row) for row in zip(*parts, strict=True)]
    if isinstance(grid[0][0], np.ndarray):
        return np.block(grid)
    from scipy import sparse

    return sparse.block_array(grid, format="csr")
