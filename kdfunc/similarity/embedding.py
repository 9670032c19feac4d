"""The functional landscape: models as points, placed in the plane.

A point is a model at an epoch: its softmax over the test split, flattened to one
vector of ``n_test * classes`` probabilities. t-SNE and metric scaling only need the
distances between these vectors, so the distances are computed once, block by block from
memory-mapped records, and every panel is a sub-matrix of the result.
"""

import mmap
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from scipy.linalg import eigh, orthogonal_procrustes
from scipy.spatial import procrustes
from sklearn.manifold import TSNE, smacof
from threadpoolctl import threadpool_limits

# Coordinates of every point in memory at a time: 10 MB in float64 for 319 points.
BLOCK = 4096
# Below this share of the squared norms, a difference of inner products has lost
# more than half of float64's digits.
CANCELLATION = 1e-6

#: How far `nearby_starts` are from the start: a thousandth of its standard deviation.
NEARBY = 1e-7
#: Random starts of a metric map beside the classical solution.
RANDOM_STARTS = 4
#: SMACOF stops if an iteration lowers the stress by less than `eps`, or after
#: `max_iter`. With its defaults, 1e-6 and 300, points still have to move by several
#: percent of the map.
CONVERGED = {"eps": 1e-9, "max_iter": 3000}


def squared_distances(
    records: Sequence[NDArray], *, block: int = BLOCK, n_jobs: int = -1
) -> NDArray[np.float64]:
    """Squared Euclidean distances between all points of all records.

    Inner products are summed in float64, one block of coordinates at a time. Pairs so
    close that a difference of inner products would blur their distance (a float16
    model and its base, identical initializations) are computed again from the
    difference of their vectors. Accurate to about 1e-8 of each distance; identical
    points are at exactly 0.

    Args:
        records: Softmax records [snapshots, n_test, classes], preferably read-only
            memory maps: their pages are released as soon as they are used. The number
            of snapshots may differ between records.
        block: Coordinates of every point in memory at a time, for each job. It affects
            only rounding.
        n_jobs: Threads that share the blocks, as in joblib. It does not affect the
            result, not even in the last bit.

    Returns:
        A symmetric matrix [points, points] with a zero diagonal; points in the order
        of the records and, within a record, of its snapshots.

    Raises:
        ValueError: There is no record, the records differ in n_test or classes, or a
            probability is not finite.
    """
    gram = sum(_map_blocks(lambda x: x @ x.T, records, block=block, n_jobs=n_jobs))
    squared_norms = np.diag(gram)
    if not np.isfinite(squared_norms).all():
        first = int(np.flatnonzero(~np.isfinite(squared_norms))[0])
        raise ValueError(f"point {first} of the landscape holds a NaN or infinity")
    sums = squared_norms[:, None] + squared_norms
    squared = np.maximum(sums - 2 * gram, 0)
    np.fill_diagonal(squared, 0)
    points = [point for record in _flat(records) for point in record]
    for i, j in np.argwhere(np.triu(squared < CANCELLATION * sums, 1)):
        difference = np.subtract(points[i], points[j], dtype=np.float64)
        squared[i, j] = squared[j, i] = np.sum(difference**2)
        _release_pages(records)
    return squared


def pca_starts(
    records: Sequence[NDArray],
    squared: NDArray[np.float64],
    panels: Sequence[NDArray[np.intp]],
    *,
    block: int = BLOCK,
    n_jobs: int = -1,
) -> list[NDArray[np.float32]]:
    """Where ``TSNE(init="pca")`` would have started from the raw vectors of each panel.

    Principal component scores follow from the distances alone (double centring), except
    for their signs: scikit-learn makes the largest loading of a component positive. The
    loadings of all panels are found in one pass over the records.

    Args:
        records: As given to `squared_distances`.
        squared: Squared distances [points, points] between all points of the records.
        panels: For each panel, the indices [m] of its points, m >= 2.
        block: As for `squared_distances`.
        n_jobs: As for `squared_distances`.

    Returns:
        For each panel the starting positions [m, 2], scaled like scikit-learn's: the
        first column has a standard deviation of 1e-4.

    Raises:
        ValueError: A panel has fewer than two distinct points.
    """
    scores = [_principal_coordinates(squared[np.ix_(panel, panel)]) for panel in panels]
    # A component is the sum of its points weighted by their scores, which sum to zero:
    # the points need no centring, and its length does not matter for the sign.
    weights = np.zeros((2 * len(panels), len(squared)))
    for k, (panel, score) in enumerate(zip(panels, scores, strict=True)):
        weights[2 * k : 2 * k + 2, panel] = score.T

    largest = np.zeros(len(weights))
    for loadings in _map_blocks(
        lambda x: _largest_by_magnitude(weights @ x),
        records,
        block=block,
        n_jobs=n_jobs,
    ):
        largest = np.where(abs(loadings) > abs(largest), loadings, largest)
    signs = np.where(largest < 0, -1.0, 1.0).reshape(-1, 2)
    return [
        (score * sign / np.std(score[:, 0]) * 1e-4).astype(np.float32)
        for score, sign in zip(scores, signs, strict=True)
    ]


def usable_perplexity(perplexity: float, points: int) -> float:
    """The perplexity that `embed` uses: lower than asked if there are too few points.

    Args:
        perplexity: The perplexity asked for.
        points: Number of points to embed.

    Returns:
        ``perplexity``, or ``(points - 1) / 3`` if there are too few points for it in
        t-SNE. With a third, a point's 3 * perplexity neighbours are all the others.
    """
    return perplexity if perplexity < points else (points - 1) / 3


def embed(
    squared: NDArray[np.float64], start: NDArray[np.float32], perplexity: float
) -> NDArray[np.float32]:
    """t-SNE of one panel, as scikit-learn computes it from the raw vectors.

    There is no seed: random_state only matters for the randomized solver of the PCA
    start, and `pca_starts` gives what that solver approximates. The optimization
    runs on one thread, because the order in which threads add up forces would show in
    the last bits; several panels may run at the same time.

    Args:
        squared: Squared distances [m, m] between the points of the panel, m >= 2.
        start: Starting positions [m, 2], from `pca_starts`.
        perplexity: Effective number of neighbours; see `usable_perplexity`.

    Returns:
        Positions [m, 2]. Neighbourhoods are meaningful, distances are not; and where a
        neighbourhood lies on the map depends on the last bits of the start, see
        `nearby_starts`.
    """
    tsne = TSNE(
        metric="precomputed",
        init=start,
        perplexity=usable_perplexity(perplexity, len(squared)),
    )
    with threadpool_limits(limits=1, user_api="openmp"):
        return tsne.fit_transform(np.sqrt(squared))


def nearby_starts(start: NDArray[np.float32], count: int) -> list[NDArray[np.float32]]:
    """Starts of t-SNE that differ from a given one by almost nothing.

    t-SNE's optimization amplifies differences of its start, so these maps show how much
    of one map is chance (`disparity`).

    Args:
        start: Starting positions [m, 2], from `pca_starts`.
        count: Number of starts.

    Returns:
        Each with normal noise of a standard deviation of 1e-7, the same every time.
    """
    noise = np.random.default_rng(0).normal(scale=NEARBY, size=(count, *start.shape))
    return list(start + noise.astype(np.float32))


def disparity(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Procrustes disparity of two maps [m, 2] of the same points.

    Both are centred and scaled to unit norm, and one is turned to fit the other; the
    disparity is the sum of squared distances between the points: 0 for the same map, at
    most 1. It is symmetric.

    Args:
      one: Positions `[m, 2]`.
      other: Positions `[m, 2]` of the same points in the same order.
    """
    return float(procrustes(one, other)[2])


def metric_map(squared: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Metric multidimensional scaling: a map on which distances are meaningful.

    Runs SMACOF (de Leeuw 1977) to convergence from the classical solution and from
    `RANDOM_STARTS` random starts, always the same ones, and takes the map of lowest
    stress, turned to match the classical solution. A map of lower stress may exist: no
    start is sure to find the lowest.

    Args:
        squared: Squared distances [m, m] between the points, m >= 2.

    Returns:
        Positions [m, 2] in the unit of the distances, and the normalized stress
        (Kruskal's stress-1: 0 perfect, 0.1 fair, above 0.2 poor).

    Raises:
        ValueError: There are fewer than two distinct points.
    """
    with threadpool_limits(limits=1):
        classical = _principal_coordinates(squared)
        scale = partial(smacof, np.sqrt(squared), normalized_stress=True, **CONVERGED)
        positions, stress = min(
            scale(init=classical, n_init=1),
            scale(n_init=RANDOM_STARTS, random_state=0),
            key=lambda found: found[1],
        )
        positions = positions - positions.mean(axis=0)
        rotation, _ = orthogonal_procrustes(positions, classical)
        return positions @ rotation, float(stress)


def _flat(records: Sequence[NDArray]) -> list[NDArray]:
    """The records as views [snapshots, n_test * classes]."""
    shapes = {record.shape[1:] for record in records}
    if len(shapes) != 1:
        raise ValueError(
            "the points of a landscape need records of one test split and the same "
            f"classes, got [n_test, classes] of {sorted(shapes)}"
        )
    return [np.asarray(record).reshape(len(record), -1) for record in records]


def _map_blocks(
    function: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    records: Sequence[NDArray],
    *,
    block: int,
    n_jobs: int,
) -> Iterator[NDArray[np.float64]]:
    """Yields function(x) in order, for each block x [points, <= block] of coordinates.

    BLAS is limited to one thread: splitting the blocks instead of the products uses as
    many cores, and gives the same bits whatever their number.
    """
    flat = _flat(records)

    def task(first: int) -> NDArray[np.float64]:
        columns = [record[:, first : first + block] for record in flat]
        x = np.concatenate(columns, dtype=np.float64)
        _release_pages(records)
        return function(x)

    with threadpool_limits(limits=1):
        yield from Parallel(n_jobs, require="sharedmem", return_as="generator")(
            delayed(task)(first) for first in range(0, flat[0].shape[1], block)
        )


def _release_pages(records: Sequence[NDArray]) -> None:
    """Unmaps the pages of memory-mapped records; a later read maps them again.

    They stay in the system's cache, but no longer count as memory of this process,
    where a machine or a cluster with a limit would add up the whole files.
    """
    for record in records:
        # Dropping the pages of a writable map could lose what was written.
        if isinstance(record, np.memmap) and record.mode == "r":
            memory: Any = record
            while isinstance(memory, np.ndarray):
                memory = memory.base
            if hasattr(memory, "madvise"):
                memory.madvise(mmap.MADV_DONTNEED)


def _principal_coordinates(squared: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scores [m, 2] on the first two principal axes (classical scaling, Torgerson)."""
    mean = squared.mean(axis=0)
    centred = (mean + mean[:, None] - squared - mean.mean()) / 2
    last = len(squared) - 1
    with threadpool_limits(limits=1):
        variances, axes = eigh(centred, subset_by_index=[max(last - 1, 0), last])
    if variances[-1] <= 0 or last < 1:
        raise ValueError("a landscape needs at least two distinct points")
    return np.sqrt(np.maximum(variances, 0))[::-1] * axes[:, ::-1]


def _largest_by_magnitude(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """The element [k] of largest magnitude in each of the rows [k, n], sign kept."""
    columns = np.argmax(abs(rows), axis=1)
    return np.take_along_axis(rows, columns[:, None], axis=1)[:, 0]
