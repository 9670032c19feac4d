"""The embedding's input must be what the raw softmax vectors give."""

import sys
import tracemalloc
import warnings

import numpy as np
import psutil
import pytest
from scipy.spatial.distance import cdist, pdist
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from sklearn.manifold import TSNE, smacof
from sklearn.manifold._t_sne import _joint_probabilities_nn
from sklearn.neighbors import NearestNeighbors
from sklearn.neural_network import MLPClassifier
from threadpoolctl import threadpool_limits

from kdfunc.similarity import embedding

EPOCHS = 12


def train(seed: int, features, labels, test) -> tuple[np.ndarray, MLPClassifier]:
    """A small network's softmax record [epochs, n_test, classes] on the digits."""
    network = MLPClassifier((24,), learning_rate_init=0.003, random_state=seed)
    record = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        for _ in range(EPOCHS):
            network.partial_fit(features, labels, classes=np.arange(10))
            record.append(network.predict_proba(test))
    return np.array(record, np.float32), network


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Memory maps: base, two independents, the float16 base, a copy of the base."""
    features, labels = load_digits(return_X_y=True)
    features, test = features[:900] / 16, features[900:] / 16
    base, network = train(0, features, labels[:900], test)
    independents = [train(seed, features, labels[:900], test)[0] for seed in (1, 2)]
    network.coefs_ = [kernel.astype(np.float16) for kernel in network.coefs_]
    quantized = network.predict_proba(test).astype(np.float32)[None]
    folder = tmp_path_factory.mktemp("records")
    maps = []
    for k, record in enumerate([base, *independents, quantized, base[-1:]]):
        np.save(folder / f"{k}.npy", record)
        maps.append(np.load(folder / f"{k}.npy", mmap_mode="r"))
    return maps


@pytest.fixture(scope="module")
def raw(records):
    """The points as rows, the way that needs all the memory."""
    return np.concatenate([record.reshape(len(record), -1) for record in records])


@pytest.fixture(scope="module")
def squared(records):
    return embedding.squared_distances(records)


@pytest.fixture(scope="module")
def panels(raw):
    """All points; the base and the first independent in another order."""
    return [np.arange(len(raw)), np.arange(2 * EPOCHS)[::-1]]


def test_distances_are_those_of_the_raw_vectors(raw, squared):
    expected = cdist(raw.astype(np.float64), raw.astype(np.float64), "sqeuclidean")
    np.testing.assert_allclose(squared, expected, rtol=1e-10)
    assert np.array_equal(squared, squared.T)
    assert not squared.diagonal().any()


def test_close_points_keep_their_distance(squared):
    base, quantized, copy = EPOCHS - 1, 3 * EPOCHS, 3 * EPOCHS + 1
    assert squared[base, copy] == 0
    np.testing.assert_allclose(squared[base], squared[copy], rtol=1e-10)
    assert 0 < squared[base, quantized] < 1e-3


@pytest.mark.parametrize("changed", [1, 5000])
def test_a_change_of_1e_4_is_resolved(changed):
    row = np.random.default_rng(0).dirichlet(np.full(10, 0.1), 5000)
    other = row.copy()
    other.flat[:changed] += 1e-4
    rows = np.array([row, other, 1 - row], np.float32)
    expected = pdist(rows.reshape(3, -1).astype(np.float64), "sqeuclidean")
    squared = embedding.squared_distances([rows])
    np.testing.assert_allclose(squared[np.triu_indices(3, 1)], expected, rtol=1e-10)


def test_blocks_do_not_matter_and_threads_not_to_the_last_bit(records, panels, squared):
    for block in (7, 1000, 10**9):
        again = embedding.squared_distances(records, block=block)
        np.testing.assert_allclose(again, squared, rtol=1e-12)
    starts = embedding.pca_starts(records, squared, panels, n_jobs=1)
    for n_jobs in (2, 5):
        again = embedding.squared_distances(records, block=999, n_jobs=n_jobs)
        alone = embedding.squared_distances(records, block=999, n_jobs=1)
        assert np.array_equal(again, alone)
        again = embedding.pca_starts(records, squared, panels, n_jobs=n_jobs)
        assert all(map(np.array_equal, again, starts))


def test_memory_is_that_of_a_block(tmp_path):
    maps = []
    for name in ("a.npy", "b.npy"):
        record = np.random.default_rng(0).random((10, 5000, 100), np.float32)
        np.save(tmp_path / name, record)
        maps.append(np.load(tmp_path / name, mmap_mode="r"))
    del record
    tracemalloc.start()
    squared = embedding.squared_distances(maps, n_jobs=2)
    embedding.pca_starts(maps, squared, [np.arange(20)], n_jobs=2)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 12e6  # 40 MB in the files; a block in float64 is 0.7 MB
    if sys.platform == "linux":
        mapped = psutil.Process().memory_maps()
        assert sum(m.rss for m in mapped if m.path.startswith(str(tmp_path))) < 4e6


def test_pages_of_a_writable_map_are_left_alone(records):
    private = [np.memmap(r.filename, r.dtype, "c", 128, r.shape) for r in records[:2]]
    private[0][0] = 0.25
    squared = embedding.squared_distances(private, block=500)
    expected = np.sum((private[1][0] - np.float64(0.25)) ** 2)
    np.testing.assert_allclose(squared[0, EPOCHS], expected)


@pytest.mark.parametrize("perplexity", [5, 15])
def test_joint_probabilities_are_those_of_the_raw_vectors(raw, squared, perplexity):
    def joint_probabilities(points, metric):
        nearest = min(3 * perplexity + 1, len(points) - 1)  # as TSNE does
        neighbours = NearestNeighbors(n_neighbors=nearest, metric=metric)
        graph = neighbours.fit(points).kneighbors_graph(mode="distance")
        graph.data **= 2
        return _joint_probabilities_nn(graph, perplexity, 0).toarray()

    raw, squared = raw[:-1], squared[:-1, :-1]  # neighbours tie beside a duplicate
    expected = joint_probabilities(raw, "euclidean")
    actual = joint_probabilities(np.sqrt(squared), "precomputed")
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-9)


@pytest.mark.parametrize("solver", ["randomized", "full"])
def test_start_is_scikit_learns(records, raw, squared, panels, solver):
    starts = embedding.pca_starts(records, squared, panels, block=1000)
    for panel, start in zip(panels, starts, strict=True):
        pca = PCA(n_components=2, svd_solver=solver, random_state=42)
        expected = pca.fit_transform(raw[panel])
        expected = expected / np.std(expected[:, 0]) * 1e-4
        assert start.dtype == np.float32
        np.testing.assert_allclose(start, expected, rtol=1e-3, atol=1e-8)


def test_embedding_is_scikit_learns():
    # Whole numbers and all points neighbours: neither rounding nor a tie can send
    # the optimization another way.
    raw = np.random.default_rng(0).integers(0, 9, (60, 20)).astype(np.float64)
    squared = cdist(raw, raw, "sqeuclidean")
    start = (raw[:, :2] * 1e-4).astype(np.float32)
    with threadpool_limits(limits=1):
        expected = TSNE(init=start, perplexity=20).fit_transform(raw)
    actual = embedding.embed(squared, start, 20)
    assert np.array_equal(actual, expected)


def test_embedding_is_the_same_for_any_number_of_threads(records, squared, panels):
    (start,) = embedding.pca_starts(records, squared, panels[:1])
    positions = []
    for threads in (1, 2, 3):
        with threadpool_limits(limits=threads):
            positions.append(embedding.embed(squared, start, 15))
            positions.append(embedding.metric_map(squared)[0])
    assert positions[0].shape == (len(squared), 2)
    for k in (0, 1):
        assert np.array_equal(positions[k], positions[k + 2])
        assert np.array_equal(positions[k], positions[k + 4])


def test_perplexity_is_lowered_only_if_there_are_too_few_points():
    assert embedding.usable_perplexity(60, 312) == 60
    assert embedding.usable_perplexity(15, 16) == 15
    assert embedding.usable_perplexity(15, 15) == pytest.approx(14 / 3)
    positions = embedding.embed(1 - np.eye(4), np.eye(4, 2, dtype=np.float32), 60)
    assert np.isfinite(positions).all()


def test_metric_map_keeps_distances_of_a_plane():
    plane = np.random.default_rng(1).normal(size=(30, 2))
    positions, stress = embedding.metric_map(cdist(plane, plane, "sqeuclidean"))
    np.testing.assert_allclose(pdist(positions), pdist(plane), rtol=1e-6)
    assert stress < 1e-6


def test_metric_map_tells_how_far_it_bends(squared):
    positions, stress = embedding.metric_map(squared)
    distances = np.sqrt(squared[np.triu_indices(len(squared), 1)])
    errors = pdist(positions) - distances
    expected = np.sqrt(np.sum(errors**2) / np.sum(pdist(positions) ** 2))
    assert stress == pytest.approx(expected)
    assert 0 < stress < 0.3


def test_metric_map_is_the_best_of_its_starts_and_has_converged(squared):
    """The classical start alone, to scikit-learn's defaults, ends higher."""
    positions, stress = embedding.metric_map(squared)
    distances = np.sqrt(squared)
    classical = embedding._principal_coordinates(squared)
    options = {"n_init": 1, "normalized_stress": True}
    _, once = smacof(distances, init=classical, eps=1e-6, max_iter=300, **options)
    assert stress < once
    further, end = smacof(distances, init=positions, eps=0, max_iter=20_000, **options)
    assert stress == pytest.approx(end, rel=1e-5)
    assert embedding.disparity(positions, further) < 1e-4


def test_metric_map_lies_as_the_principal_axes_do(squared):
    positions, _ = embedding.metric_map(squared)
    classical = embedding._principal_coordinates(squared)
    for axis in (0, 1):
        assert np.corrcoef(positions[:, axis], classical[:, axis])[0, 1] > 0.5


def test_disparity_is_procrustes():
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    turned = square @ [[0, 3], [-3, 0]] + 5
    assert embedding.disparity(square, turned) == pytest.approx(0)
    # A flat copy keeps one of two equal axes: of unit norm, 1 - (1 / sqrt 2)^2.
    flat = square * [1, 0]
    assert embedding.disparity(square, flat) == pytest.approx(0.5)
    assert embedding.disparity(flat, square) == pytest.approx(0.5)


def test_a_start_next_to_another_gives_another_map(records, squared, panels):
    (start,) = embedding.pca_starts(records, squared, panels[:1])
    near = embedding.nearby_starts(start, 3)
    assert all(map(np.array_equal, near, embedding.nearby_starts(start, 3)))
    for other in near:
        assert other.dtype == np.float32
        assert 0 < np.abs(other - start).max() < 1e-6
        assert np.std(other - start) == pytest.approx(1e-7, rel=0.2)
    drawn, *others = (embedding.embed(squared, s, 5) for s in (start, *near))
    assert max(embedding.disparity(drawn, other) for other in others) > 1e-3


def test_errors_say_what_is_wrong(records):
    with pytest.raises(ValueError, match="got .* of .*40, 3.*40, 4"):
        embedding.squared_distances([np.ones((2, 40, 4)), np.ones((2, 40, 3))])
    with pytest.raises(ValueError, match="got .* of"):
        embedding.squared_distances([])
    bad = np.array(records[0])
    bad[2, 0, 0] = np.nan
    with pytest.raises(ValueError, match=f"point {EPOCHS + 2} .* NaN"):
        embedding.squared_distances([records[0], bad])
    same = [np.full((2, 40, 4), 0.25)]
    with pytest.raises(ValueError, match="two distinct points"):
        embedding.pca_starts(same, np.zeros((2, 2)), [np.arange(2)])
