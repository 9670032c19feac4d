import numpy as np
import pytest

import kdfunc
from kdfunc.errors import InputError
from kdfunc.similarity import embedding


@pytest.fixture
def logits(rng):
    z = 2 * rng.normal(size=(4, 50, 3))
    z[1] = z[0] + 0.1 * rng.normal(size=(50, 3))
    return z


def softmax(z):
    return np.exp(z) / np.exp(z).sum(axis=-1, keepdims=True)


def test_map_and_figure_in_one_call(logits, tmp_path):
    p = softmax(logits)
    names = ["base", "dynamic-range", "other 1", "other 2"]
    found = kdfunc.landscape(
        [p[0], logits[1], p[2], p[3]],
        names=names,
        families=["base", "quantized", "independent", "independent"],
    )
    assert found.points["model"].tolist() == names
    expected, stress = embedding.metric_map(
        embedding.squared_distances(p[:, None]) / 50
    )
    assert found.stress == pytest.approx(stress)
    least, most = found.disparity
    assert 0 < least <= most <= 1
    told = found.figure.axes[0].get_xlabel()
    assert f"Procrustes disparity {least:.2f} to {most:.2f}" in told
    mapped = found.points[["mds_x", "mds_y"]].to_numpy()
    np.testing.assert_allclose(mapped, expected, atol=1e-6)
    assert np.linalg.norm(mapped[0] - mapped[1]) < 0.2 < np.ptp(mapped)
    assert [text.get_text() for text in found.figure.legends[0].get_texts()] == [
        "Base: base",
        "Quantized: dynamic-range",
        "Independent: other 1, other 2",
    ]
    assert found._repr_png_().startswith(b"\x89PNG")
    assert [path.suffix for path in found.save(tmp_path / "map")] == [".png", ".pdf"]


def test_trajectories(logits):
    p = softmax(logits)
    found = kdfunc.landscape([p[:3], p[3]], names=["trained", "other"])
    assert found.points["epoch"].tolist() == [0, 1, 2, 0]
    labels = {text.get_text() for text in found.figure.legends[0].get_texts()}
    assert {"Initialization", "Epochs"} <= labels


def test_two_models_make_a_map(logits):
    found = kdfunc.landscape(softmax(logits)[:2], names=["one", "other"])
    assert np.isfinite(found.points[["x", "y", "mds_x", "mds_y"]]).all(axis=None)
    assert found.stress < 1e-6  # two points fit into any plane


def test_what_is_no_landscape_is_told(logits):
    p = softmax(logits)
    for outputs, names, told in [
        (p[:2], ["a"], "2 outputs and 1 different names"),
        (p[:2], "ab", r"names: got 'ab'; give a list, such as \['ab'\]"),
        (p[:2], ["a", "a"], "2 outputs and 1 different names"),
        (p[[0, 0]], ["a", "b"], "at least two models that differ"),
        (logits[:2], ["a", "b"], "look like numbers"),
        ([p[0], p[1][:10]], ["a", "b"], "for 10 examples, .* for 50"),
    ]:
        with pytest.raises(InputError, match=told):
            kdfunc.landscape(outputs, names=names)
