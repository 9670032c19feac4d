"""Figures must be readable, headless and the same every time."""

import itertools
import re

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.text import Annotation, Text

from kdfunc.analysis import figures

EPOCHS = 25


@pytest.fixture(scope="module")
def points():
    """The paper's full set of models; quantized ones lie on the base."""
    rng = np.random.default_rng(0)
    trained = [("base", "base", "B")]
    trained += [(f"independent-{k}", "independent", f"I{k}") for k in (1, 2)]
    trained += [
        (f"student-alpha{alpha}-seed{seed}", "student", f"D {alpha}")
        for alpha in (0.1, 0.5, 0.9)
        for seed in (2, 24, 42)
    ]
    rows = []
    for model in trained:
        path = np.cumsum(rng.normal(0.5, 1, (EPOCHS + 1, 2)), axis=0)
        rows += [(*xy, *model, epoch) for epoch, xy in enumerate(path)]
        if model[0] == "base":
            end = path[-1]
    for model in ("float16", "quantized", "Q16"), ("dynamic-range", "quantized", "Q8"):
        rows.append((*end, *model, EPOCHS))
    for level in (10, 30, 50, 70, 90):
        xy = end + rng.normal(0, level / 100, 2)
        rows.append((*xy, f"pruned-{level}", "pruned", f"P{level}", EPOCHS))
    points = pd.DataFrame(rows, columns=["x", "y", "model", "family", "label", "epoch"])
    return points.assign(mds_x=points["x"] / 30, mds_y=points["y"] ** 2 / 900)


def families(points, *names):
    return points[points["family"].isin(["base", "independent", *names])]


def annotations(axes):
    return [child for child in axes.get_children() if isinstance(child, Annotation)]


def digits(text):
    return re.fullmatch(r"[\d.e-]+", text.get_text())


def lines(axes, length):
    return [line for line in axes.lines if len(line.get_xdata()) == length]


@pytest.mark.parametrize(
    ("panel", "names", "paths"),
    [
        ("distillation", ["student"], 12),
        ("quantization", ["quantized"], 3),
        ("pruning", ["pruned"], 3),
        ("all", ["student", "quantized", "pruned"], 0),
    ],
)
def test_panels_are_readable(points, panel, names, paths):
    points = families(points, *names)
    figure = figures.landscape.landscape(
        points, panel, "Digits, LeNet", 15, 0.123, (0.0649, 0.2)
    )
    assert figure.get_suptitle() == "Digits, LeNet"
    embedded, mapped, *_ = figure.axes
    assert embedded.get_title() == "t-SNE, perplexity 15"
    assert len(embedded.get_xticks()) == len(embedded.get_yticks()) == 0
    assert mapped.get_title() == "Metric MDS, stress 0.12"
    assert "root mean square over test images" in mapped.get_xlabel()
    bar = [line for line in mapped.lines if line.get_transform() == mapped.transAxes]
    shares = bar[0].get_xdata()  # its distances mean something: a bar tells how much
    length = (shares[1] - shares[0]) * np.ptp(mapped.get_xlim())
    written = [float(text.get_text()) for text in mapped.texts if digits(text)]
    assert written == [pytest.approx(length)]
    figure.canvas.draw()
    renderer = figure.canvas.get_renderer()
    told = embedded.xaxis.label
    assert "start changed by 1e-7: Procrustes disparity 0.06 to 0.20" in told.get_text()
    extents = told.get_window_extent(renderer).extents
    assert np.array_equal(
        figure.bbox.intersection(told.get_window_extent(renderer), figure.bbox).extents,
        extents,
    )
    begun = points[points["epoch"] == 0]
    for axes, columns in ((embedded, ["x", "y"]), (mapped, ["mds_x", "mds_y"])):
        assert len(lines(axes, EPOCHS + 1)) == paths
        (starts,) = lines(axes, (points["epoch"] == 0).sum())
        assert to_rgba(starts.get_color()) == to_rgba("black")
        assert np.array_equal(starts.get_xydata(), begun[columns])
        labels = annotations(axes)
        told = [name for label in labels for name in label.get_text().split(", ")]
        models = points.groupby("label")["model"].nunique()
        assert set(told) == set(models.index[models == 1])
        boxes = [Text.get_window_extent(label, renderer) for label in labels]
        assert not any(a.overlaps(b) for a, b in itertools.combinations(boxes, 2))
        for box in boxes:
            assert np.array_equal(
                axes.bbox.intersection(box, axes.bbox).extents, box.extents
            )

    (legend,) = figure.legends
    shown = [text.get_text() for text in legend.get_texts()]
    assert shown[0] == "Initialization"
    if "student" in names:  # three trainings share a name: their shade tells it
        assert {"Distilled: D 0.1", "Distilled: D 0.5", "Distilled: D 0.9"} < {*shown}
    words = set(re.split(r"[:,]?\s|, ", " , ".join(shown)))
    for label in points["label"]:
        assert set(label.split()) < words
    assert len(set(shown)) == len(shown)
    frame = legend.get_window_extent(renderer)
    assert not any(frame.overlaps(axes.bbox) for axes in figure.axes)
    assert figure.bbox.y0 < frame.y0 < frame.y1 < figure.bbox.y1


def test_marks_tell_families_and_shades_tell_models(points):
    styles = figures.landscape._styles(points)
    family = points.drop_duplicates("label").set_index("label")["family"]
    markers = {(family[label], style["marker"]) for label, style in styles.items()}
    assert len(markers) == len({marker for _, marker in markers}) == 5
    assert len({style["color"] for style in styles.values()}) == len(styles)
    hollow = {k for k, style in styles.items() if style["markerfacecolor"] == "none"}
    assert hollow == {"Q16", "Q8", "P10", "P30", "P50", "P70", "P90"}


def test_other_families_have_marks_of_their_own(points):
    controls = points[points["family"] == "base"].assign(
        model="control-order", family="control", label="C", x=lambda p: p["x"] + 3
    )
    figure = figures.landscape.landscape(
        pd.concat([points, controls]), "distillation", "", 60, 0.1, (0, 0)
    )
    (legend,) = figure.legends
    assert "Control: C" in [text.get_text() for text in legend.get_texts()]
    styles = figures.landscape._styles(pd.concat([points, controls]))
    markers = {style["marker"] for label, style in styles.items() if label != "C"}
    assert styles["C"]["marker"] not in markers


def test_files_are_whole_small_and_the_same_every_time(points, tmp_path):
    contents = []
    for folder in ("one", "two"):
        figure = figures.landscape.landscape(
            points, "distillation", "Digits, LeNet", 60, 0.1, (0, 0)
        )
        files = figures.style.save(figure, tmp_path / folder / "alpha0.5")
        assert sorted(file.name for file in (tmp_path / folder).iterdir()) == [
            "alpha0.5.pdf",
            "alpha0.5.png",
        ]
        contents.append([file.read_bytes() for file in files])
    assert contents[0] == contents[1]
    png, pdf = contents[0]
    assert png.startswith(b"\x89PNG") and len(png) < 300_000
    assert pdf.startswith(b"%PDF") and b"Date" not in pdf and len(pdf) < 100_000
    assert not plt.get_fignums()


def knot(points):
    """All models end close together, far from where they begin."""
    end = points["epoch"] == EPOCHS
    x = points["x"].where(~end, 100 + points["x"] / 10)
    return points.assign(x=x, mds_x=x / 30, mds_y=points["mds_y"] / 10)


def test_a_knot_is_looked_at_from_near_with_the_whole_in_a_corner(points):
    figure = figures.landscape.landscape(knot(points), "all", "", 15, 0.1, (0, 0))
    for axes in figure.axes[:2]:
        (whole,) = axes.child_axes
        assert np.ptp(axes.get_xlim()) < 0.6 * np.ptp(whole.get_xlim())
        (frame,) = whole.patches
        assert tuple(frame.get_xy()) == (axes.get_xlim()[0], axes.get_ylim()[0])
        assert frame.zorder > max(line.zorder for line in whole.lines)
        assert "corner: the whole map" in axes.get_xlabel()
        corner = whole.get_window_extent()
        boxes = [Text.get_window_extent(label) for label in annotations(axes)]
        assert boxes and not any(corner.overlaps(box) for box in boxes)


def test_no_label_stands_beside_a_wrong_mark(points):
    for shape in (points, knot(points)):
        figure = figures.landscape.landscape(shape, "all", "", 15, 0.1, (0, 0))
        figure.canvas.draw()
        for axes in figure.axes[:2]:
            ends = shape[shape["epoch"] == EPOCHS]
            columns = ["x", "y"] if axes is figure.axes[0] else ["mds_x", "mds_y"]
            at = axes.transData.transform(ends[columns])
            for label in annotations(axes):
                box = Text.get_window_extent(label)
                middle = (box.min + box.max) / 2
                gaps = (np.abs(at - middle) - box.size / 2).max(axis=1)
                nearest = ends["label"].iloc[gaps.argmin()]
                own = label.get_text().split(", ")
                assert nearest in own or label.arrow_patch is not None


def test_a_landscape_can_be_drawn_beside_others(points):
    figure = Figure(figsize=(16, 6), layout="constrained")
    left, right = figure.subplots(1, 2)
    given = (points, "all", "Here", 15, 0.1, (0, 0))
    assert figures.landscape.landscape(*given, ax=left) is figure
    assert left.get_title() == "Here" and len(left.child_axes) == 2
    assert not figure.legends
