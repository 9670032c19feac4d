"""Figures must show what the tables say, legibly and without pyplot."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb
from matplotlib.text import Annotation, Text

from kdfunc.analysis import figures
from kdfunc.pipelines import method, trainings

RNG = np.random.default_rng(0)
MODELS = pd.DataFrame(
    [
        ("P90", "pruned"),
        ("B", "base"),
        ("D 0.1", "student"),
        ("C start", "control"),
        ("I1", "independent"),
        ("D 0.1", "student"),
        ("Q8", "quantized"),
        ("I2", "independent"),
    ],
    columns=["label", "family"],
)
ORDERED = ["B", "I1", "I2", "C start", "D 0.1", "D 0.1", "Q8", "P90"]


def distances(broken=0.3):
    points = RNG.uniform(size=(len(MODELS), 4)) * 0.2
    points[0] += broken  # the pruned one
    return np.linalg.norm(points[:, None] - points, axis=-1)


def preserved(**columns):
    table = pd.DataFrame(
        [
            ("Q8", "quantized", 0.0, 230_000, 99.5, 99.4, 99.6),
            ("P10", "pruned", 0.1, 880_000, 99.0, 98.8, 99.2),
            ("P50", "pruned", 0.5, 880_000, 80.0, 78.0, 82.0),
            ("D 0.1", "student", 0.0, 880_000, 22.0, 19.0, 25.0),
            ("D 0.9", "student", 0.0, 880_000, 24.0, 21.0, 27.0),
        ],
        columns=["label", "family", "sparsity", "bytes", "preserved", "low", "high"],
    )
    return table.assign(**columns)


def pipelines():
    rows = [
        ("float16", 440_000, 99.9),
        ("dynamic-range", 230_000, 99.5),
        ("full-int8", 231_000, 97.0),
        ("qat+full-int8", 231_500, 60.0),
        ("int4", 118_000, 80.0),
        ("cluster16+finetune", 900_000, 55.0),
        ("prune90+sparse", 139_000, -97.7),
        ("prune90+finetune+sparse", 139_000, 40.0),
        ("prune50+finetune+cluster16+finetune+dynamic-range", 232_000, 52.0),
    ]
    table = pd.DataFrame(rows, columns=["model", "bytes", "preserved"])
    table["method"] = table["model"].map(method)
    table["tuned"] = table["model"].map(trainings) > 0
    return table.assign(low=table["preserved"] - 2, high=table["preserved"] + 2)


def rungs():
    rows = [
        ("Independent", "independent", False, None, 0.25, 0.0, np.nan),
        ("+ optimizer", "independent-optimizer", False, "independent", 0.2, 20, 20),
        (
            "+ teacher's logits",
            "alpha 0.9",
            False,
            "independent-optimizer",
            0.1,
            60,
            40,
        ),
        ("Teacher of no knowledge", "no-knowledge", True, "same-start", 0.22, 12, -8),
    ]
    columns = ["rung", "group", "side", "over", "distance", "preserved", "step"]
    table = pd.DataFrame(rows, columns=columns)
    for name in ("preserved", "step"):
        table[f"{name}_low"], table[f"{name}_high"] = table[name] - 2, table[name] + 2
    return table


def records(final=0.2):
    rows = [
        (family, label, epoch, 0.9 * 0.7**epoch + final * (label != "B") + seed / 100)
        for family, label, seeds in [
            ("base", "B", 1),
            ("independent", "I", 2),
            ("student", "D 0.1", 3),
            ("student", "D 0.9", 3),
        ]
        for seed in range(seeds)
        for epoch in range(26)
    ]
    return pd.DataFrame(rows, columns=["family", "label", "epoch", "distance"])


def agreement(classes=10, methods=4):
    return pd.DataFrame(
        RNG.uniform(0.5, 1, size=(methods, classes)),
        index=[f"P{i}" for i in range(methods)],
        columns=[f"class {i}" for i in range(classes)],
    )


def changed():
    rows = [
        ("none", "base", "Students", 20.0, -1.0),
        ("none", "none", "Students", 5.0, -1.5),
        ("student=lenet", "base", "LeNet", -40.0, -9.0),
        ("student=lenet", "none", "LeNet alone", -60.0, -9.5),
        ("temperature=10", "base", "T 10", 30.0, 0.5),
    ]
    columns = ["variant", "teacher", "label", "preserved", "accuracy_difference"]
    table = pd.DataFrame(rows, columns=columns)
    for name in columns[3:]:
        table[f"{name}_low"], table[f"{name}_high"] = table[name] - 2, table[name] + 1
    return table


IMAGES = RNG.integers(256, size=(30, 8, 8, 1), dtype=np.uint8)
CHANGED = RNG.uniform(size=(5, 30)) < 0.4
MADE = {
    "heatmap": lambda: figures.similarity.distance_heatmap(
        distances(), MODELS, "JS (bits)", "T"
    ),
    "size": lambda: figures.preserved.preserved_by_size(preserved(), "T"),
    "compression": lambda: figures.preserved.compression(pipelines(), "T"),
    "sparsity": lambda: figures.preserved.preserved_by_sparsity(preserved(), "T"),
    "ladder": lambda: figures.preserved.ladder(rungs(), "T"),
    "variants": lambda: figures.preserved.variants(changed(), "T"),
    "epochs": lambda: figures.similarity.distance_over_epochs(
        records(), "JS (bits)", "T"
    ),
    "classes": lambda: figures.similarity.agreement_by_class(
        agreement(), ["pruned"] * 4, "T"
    ),
    "images": lambda: figures.similarity.lost_images(
        IMAGES, list("0123456789"), np.arange(30) % 10, CHANGED, "T"
    ),
}


def texts(axes):
    return [text.get_text() for text in axes.findobj(Text) if text.get_text()]


def boxes(figure, artists):
    renderer = figure.canvas.get_renderer()
    return [artist.get_window_extent(renderer) for artist in artists]


@pytest.mark.parametrize("name", MADE)
def test_figures_fit_the_page_and_keep_to_themselves(name, tmp_path):
    before = plt.get_fignums()
    figure = MADE[name]()
    assert plt.get_fignums() == before
    assert figure.get_figwidth() <= figures.style.PAGE
    png, pdf = figures.style.save(figure, tmp_path / name)
    assert png.stat().st_size > 1000 and pdf.stat().st_size > 1000
    for legend in figure.legends:
        (legend_box,) = boxes(figure, [legend])
        assert not any(legend_box.overlaps(box) for box in boxes(figure, figure.axes))
    sizes = [text.get_fontsize() for text in figure.findobj(Text) if text.get_text()]
    assert min(sizes) >= 4.5
    drawn = figure.get_tightbbox()  # in inches
    assert drawn.x0 > -0.02 and drawn.x1 < figure.get_figwidth() + 0.02
    assert drawn.y0 > -0.02 and drawn.y1 < figure.get_figheight() + 0.02


@pytest.mark.parametrize("name", MADE)
def test_figures_are_the_same_every_time(name, monkeypatch):
    pixels = []
    for _ in range(2):
        monkeypatch.setitem(globals(), "RNG", np.random.default_rng(1))
        figure = MADE[name]()
        figure.canvas.draw()
        pixels.append(bytes(figure.canvas.buffer_rgba()))
    assert pixels[0] == pixels[1]


def test_heatmap_is_ordered_by_family():
    values = distances()
    figure = figures.similarity.distance_heatmap(values, MODELS, "JS (bits)", "T")
    axes, bar = figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()] == ORDERED
    assert [label.get_text() for label in axes.get_xticklabels()] == ORDERED
    order = [1, 4, 7, 3, 2, 5, 6, 0]
    shown = axes.collections[0].get_array().reshape(8, 8)
    np.testing.assert_allclose(shown, values[np.ix_(order, order)])
    assert bar.get_ylabel() == "JS (bits)"
    colors = [to_rgb(label.get_color()) for label in axes.get_yticklabels()]
    assert colors[1] == colors[2] and len(set(colors)) == 6


def test_heatmap_keeps_its_colours_for_models_that_work():
    broken = distances(broken=50)
    mesh = (
        figures.similarity.distance_heatmap(broken, MODELS, "JS", "T")
        .axes[0]
        .collections[0]
    )
    apart = broken[np.ix_([1, 4, 7], [1, 4, 7])]
    assert mesh.norm.vmax == pytest.approx(2 * apart.sum() / 6)
    assert mesh.colorbar.extend == "max"
    alone = MODELS.assign(family="pruned")  # nothing to go by
    mesh = (
        figures.similarity.distance_heatmap(broken, alone, "JS", "T")
        .axes[0]
        .collections[0]
    )
    assert mesh.norm.vmax == broken.max()


def test_size_shows_every_model_with_its_label():
    figure = figures.preserved.preserved_by_size(preserved(), "T")
    (axes,) = figure.axes
    labels = [a for a in axes.texts if isinstance(a, Annotation)]
    assert [a.get_text() for a in labels] == ["Q8", "P10", "P50", "D 0.1", "D 0.9"]
    found = boxes(figure, labels)
    for i, box in enumerate(found):
        assert not any(box.overlaps(other) for other in found[:i])
    assert axes.get_xlabel() == "Size (KiB), equal ones side by side"
    assert {"base\nmodel", "independent\nmodels"} < set(texts(axes))
    x = [label.xy[0] for label in labels]
    assert x[0] == pytest.approx(230_000 / 1024) and len(set(x)) == 5
    assert np.mean(x[1:]) == pytest.approx(880_000 / 1024)


def test_large_models_have_larger_units():
    table = preserved(bytes=np.arange(1, 6) * 2**22)
    (axes,) = figures.preserved.preserved_by_size(table, "T").axes
    assert axes.get_xlabel() == "Size (MiB)"
    assert axes.get_xlim()[0] == 0 and 20 < axes.get_xlim()[1] < 26


def test_a_broken_model_stands_where_it_belongs():
    broken = preserved(sparsity=[0.9, 0.1, 0.3, 0.5, 0.7])
    broken.loc[0, ["preserved", "low", "high"]] = [-98.7, -98.9, -98.4]
    for figure in (
        figures.preserved.preserved_by_size(broken, "T"),
        figures.preserved.preserved_by_sparsity(broken, "T"),
    ):
        (axes,) = figure.axes
        assert axes.get_ylim()[0] < -98.9
        drawn = np.concatenate([line.get_ydata() for line in axes.lines])
        assert -98.7 in drawn


def test_compression_joins_what_no_other_model_beats():
    models = pipelines()
    front = figures.preserved.pareto_front(models["bytes"], models["preserved"])
    assert list(models["model"][front]) == ["float16", "dynamic-range", "int4"]
    figure = figures.preserved.compression(models, "T")
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    (line,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    np.testing.assert_allclose(
        line.get_xydata(),
        [[118e3 / 1024, 80], [230e3 / 1024, 99.5], [440e3 / 1024, 99.9]],
    )
    key, _ = figure.legends
    named = [text.get_text().split("  ", 1) for text in key.get_texts()]
    by_size = models.sort_values(["bytes", "preserved"])["model"]
    assert [name.split()[0] for _, name in named] == list(by_size)
    notes = [note for note in axes.texts if isinstance(note, Annotation)]
    assert [note.get_text() for note in notes] == [number for number, _ in named]
    places = boxes(figure, notes)
    assert not any(a.overlaps(b) for i, a in enumerate(places) for b in places[:i])


def test_sizes_within_a_power_of_ten_have_numbers_on_their_axis():
    models = pipelines().assign(bytes=lambda table: 119_528 + 40_000 * table.index)
    figure = figures.preserved.compression(models, "T")
    figure.canvas.draw()
    axes = figure.axes[0]
    low, high = axes.get_xlim()
    shown = [
        label.get_text()
        for label in axes.get_xticklabels()
        if low <= label.get_position()[0] <= high
    ]
    assert "128" in shown


def test_of_equal_models_both_are_on_the_front():
    front = figures.preserved.pareto_front(
        pd.Series([1, 1, 2, 2]), pd.Series([5, 5, 5, 6])
    )
    assert list(front) == [True, True, False, True]


def test_sparsity_draws_points_in_order_with_intervals():
    table = preserved(sparsity=[0.9, 0.1, 0.3, 0.5, 0.7])
    (axes,) = figures.preserved.preserved_by_sparsity(table, "T").axes
    x, y = axes.lines[0].get_data()
    np.testing.assert_allclose(x, [10, 30, 50, 70, 90])
    np.testing.assert_allclose(y, table["preserved"].iloc[[1, 2, 3, 4, 0]])
    (bars,) = axes.containers[0][2]
    ends = np.array([segment[:, 1] for segment in bars.get_segments()])
    np.testing.assert_allclose(ends[0], [98.8, 99.2])


def test_ladder_steps_from_rung_to_rung():
    (axes,) = figures.preserved.ladder(rungs(), "T").axes
    spans = [sorted([p.get_x(), p.get_x() + p.get_width()]) for p in axes.patches]
    assert spans == [[0, 20], [20, 60], [12, 20]]
    control, student, side = axes.patches
    assert control.get_facecolor() != student.get_facecolor()
    assert side.get_hatch() and not student.get_hatch()
    assert [t.get_text() for t in axes.get_yticklabels()] == list(rungs()["rung"])
    assert axes.yaxis_inverted()
    assert {"+20.0", "+40.0", "-8.0", "[-10.0, -6.0]"} < set(texts(axes))
    (top,) = axes.child_axes
    axes.figure.canvas.draw()
    ratios = [label.get_text() for label in top.get_xticklabels()]
    expected = {0: "1", 20: "0.8", 40: "0.6"}
    found = dict(zip(top.get_xticks(), ratios, strict=True))
    assert expected.items() <= found.items()


def test_variants_stand_above_their_controls():
    preserved, accuracy = figures.preserved.variants(changed(), "T").axes
    names = [label.get_text() for label in preserved.get_yticklabels()]
    assert names == ["Students", "LeNet", "T 10"]
    for axes, column in ((preserved, "preserved"), (accuracy, "accuracy_difference")):
        taught, untaught = (bars.lines[0].get_xydata() for bars in axes.containers)
        table = changed().set_index(["teacher", "variant"])[column]
        assert taught.tolist() == [[x, i] for i, x in enumerate(table["base"])]
        assert untaught[:, 0].tolist() == table["none"].tolist()
        assert (untaught[:, 1] > taught[:2, 1]).all()
        assert (untaught[:, 1] < taught[:2, 1] + 0.5).all()


def test_epochs_have_a_mean_and_a_band_for_each_label():
    table = records()
    figure = figures.similarity.distance_over_epochs(table, "JS (bits)", "T")
    (axes,) = figure.axes
    assert [line.get_label() for line in axes.lines] == ["B", "I", "D 0.1", "D 0.9"]
    rows = table[table["label"] == "D 0.9"].groupby("epoch")["distance"]
    np.testing.assert_allclose(axes.lines[3].get_ydata(), rows.mean())
    band = axes.collections[3].get_paths()[0].vertices
    at_end = band[band[:, 0] == 25, 1]
    assert (at_end.min(), at_end.max()) == pytest.approx(
        rows.agg(["min", "max"]).loc[25]
    )
    last = table[table["epoch"] == 25]["distance"].max()
    assert axes.get_ylim() == (0, pytest.approx(2 * last))
    styles = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
    assert len(styles) == 4


def test_classes_are_annotated():
    table = agreement()
    axes = figures.similarity.agreement_by_class(table, ["pruned"] * 4, "T").axes[0]
    assert [t.get_text() for t in axes.get_yticklabels()] == list(table.index)
    assert axes.texts[0].get_text() == f"{100 * table.iloc[0, 0]:.1f}"


def test_of_many_classes_those_that_agree_least_are_shown():
    table = agreement(classes=100)
    table["class 71"] = 0.1
    axes = figures.similarity.agreement_by_class(table, ["pruned"] * 4, "T").axes[0]
    assert axes.get_xticklabels()[0].get_text() == "class 71"
    assert len(axes.get_xticklabels()) == 20
    assert axes.get_title() == "T: the 20 of 100 classes that agree least"


def test_images_most_often_lost_come_first():
    changed = np.zeros((5, 30), bool)
    changed[:4, 7] = changed[:2, 21] = changed[0, 3] = True
    figure = figures.similarity.lost_images(
        IMAGES, list("abcdefghij"), np.arange(30) % 10, changed, "T"
    )
    titled = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in titled] == [
        "h\n4 of 5",
        "b\n2 of 5",
        "d\n1 of 5",
    ]
    np.testing.assert_array_equal(titled[0].images[0].get_array(), IMAGES[7, ..., 0])
    many = figures.similarity.lost_images(
        np.repeat(IMAGES, 3, axis=-1),
        list("abcdefghij"),
        np.arange(30) % 10,
        CHANGED,
        "",
    )
    assert len([axes for axes in many.axes if axes.images]) == 24


def test_no_answer_lost_is_refused():
    with pytest.raises(ValueError, match="no compressed model changes an answer"):
        figures.similarity.lost_images(
            IMAGES, [], np.zeros(30, int), np.zeros((5, 30), bool), "T"
        )
