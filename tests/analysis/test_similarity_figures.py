"""Figures must show what the tables say, legibly and without pyplot."""

import inspect
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
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
    columns=["name", "family"],
).assign(label=list("12345678"))
ORDERED = ["B", "I1", "I2", "C start", "D 0.1", "Q8", "P90"]


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


def methods():
    rows = [
        ("Quantized, 8-bit", "quantized", 99.9),
        ("Pruned by 90 %", "pruned", -96.0),
        ("Distilled, alpha 0.1", "student", 24.0),
        ("Distilled, alpha 0.1", "student", 25.0),
    ]
    table = pd.DataFrame(rows, columns=["name", "family", "preserved"])
    return table.assign(low=table["preserved"] - 2, high=table["preserved"] + 2)


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
        ("none", "base", 20.0, -1.0),
        ("none", "none", 5.0, -1.5),
        ("student=lenet", "base", -40.0, -9.0),
        ("student=lenet", "none", -60.0, -9.5),
        ("temperature=10", "base", 30.0, 0.5),
    ]
    columns = ["variant", "teacher", "preserved", "accuracy_difference"]
    table = pd.DataFrame(rows, columns=columns)
    for name in columns[2:]:
        table[f"{name}_low"], table[f"{name}_high"] = table[name] - 2, table[name] + 1
    return table


IMAGES = RNG.integers(256, size=(30, 8, 8, 1), dtype=np.uint8)
ANSWERS = np.arange(30) % 10
AFTER = np.where(RNG.uniform(size=(5, 30)) < 0.4, (ANSWERS + 1) % 10, ANSWERS)
METHODS = ["D 0.1", "D 0.1", "Q8", "P70", "P90"]


def lost(after=AFTER, images=IMAGES, **options):
    names = list("0123456789")
    return figures.similarity.lost_images(
        images, names, ANSWERS, ANSWERS, after, METHODS, "T", **options
    )


def base_models():
    """Of two settings: what each base model has, and the table of them."""
    settings = [("Base model", "accuracy"), ("L1 pruning", "90 %")]
    rows = [
        (method, setting, name, value)
        for method, setting in settings
        for name, value in (("base", 97.0), ("base-2", 96.0), ("base-3", 98.0))
    ]
    each = pd.DataFrame(rows, columns=["method", "setting", "base_model", "value"])
    table = pd.DataFrame(settings, columns=["method", "setting"])
    expected = {"predicted_low": 94.0, "predicted_high": 99.0}
    return each, table.assign(
        own=97.0, least=96.0, most=98.0, published=96.5, notebook=97.5, **expected
    )


def hard():
    rows = [
        (kind, family, strength, 90.0 - 10 * strength, 80.0 - 40 * strength)
        for kind in figures.corruptions.CORRUPTIONS
        for family in ("independent", "quantized", "pruned")
        for strength in (1, 2, 3)
    ]
    columns = ["corruption", "family", "strength", "clean", "preserved"]
    return pd.DataFrame(rows, columns=columns)


def ranking():
    rows = [
        (group, 6, name, count, 0.5, 0.25, 0.75)
        for group in figures.fidelity.GROUPS
        for count in (500, 899)
        for name in figures.fidelity.NAMES
    ]
    columns = ["group", "models", "measure", "examples", "correlation", "low", "high"]
    return pd.DataFrame(rows, columns=columns)


MADE = {
    "heatmap": lambda **ax: figures.similarity.distance_heatmap(
        distances(), MODELS, "JS (bits)", "T", **ax
    ),
    "method": lambda **ax: figures.preserved.preserved_by_method(methods(), "T", **ax),
    "size": lambda **ax: figures.preserved.preserved_by_size(preserved(), "T", **ax),
    "compression": lambda **ax: figures.compression.compression(pipelines(), "T", **ax),
    "sparsity": lambda **ax: figures.preserved.preserved_by_sparsity(
        preserved(), "T", **ax
    ),
    "ladder": lambda **ax: figures.preserved.ladder(rungs(), "T", **ax),
    "variants": lambda **ax: figures.preserved.variants(changed(), "T", **ax),
    "epochs": lambda **ax: figures.similarity.distance_over_epochs(
        records(), "JS (bits)", "T", **ax
    ),
    "classes": lambda **ax: figures.similarity.agreement_by_class(
        agreement(), ["pruned"] * 4, "T", **ax
    ),
    "images": lost,
    "spread": lambda **ax: figures.spread.spread(*base_models(), "T", **ax),
    "corruptions": lambda **ax: figures.corruptions.corruptions(hard(), "T", **ax),
    "fidelity": lambda **ax: figures.fidelity.fidelity(ranking(), "T", **ax),
}


def test_every_figure_can_be_drawn_into_the_callers_plot():
    """`MADE` has them all, but landscapes, which have tests of their own."""
    made = {"landscape"}
    for draw in MADE.values():
        made |= {*draw.__code__.co_names}
    modules = [getattr(figures, name) for name in figures.__all__]
    drawing = {
        name: inspect.signature(function).parameters
        for module in modules
        for name, function in inspect.getmembers(module, inspect.isfunction)
        if function.__module__ == module.__name__ and name[0] != "_"
        if function.__annotations__.get("return") in (Figure, "Figure")
    }
    drawing.pop("blank_figure")
    assert len(drawing) >= 12 and drawing.keys() <= made
    assert [name for name, given in drawing.items() if "ax" not in given] == []


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
    # All of the page, which is printed as large as they are, can be read on paper.
    assert min(sizes) >= (4.5 if name == "heatmap" else 8)
    drawn = figure.get_tightbbox()  # in inches
    assert drawn.x0 > -0.02 and drawn.x1 < figure.get_figwidth() + 0.02
    assert drawn.y0 > -0.02 and drawn.y1 < figure.get_figheight() + 0.02


def test_long_names_of_models_leave_room_for_the_axis():
    named = methods().assign(
        name="Control: same start, base model's optimizer, no teacher"
    )
    figure = figures.preserved.preserved_by_method(named, "T")
    figure.canvas.draw()
    assert figure.get_tightbbox().x1 < figure.get_figwidth() + 0.02


@pytest.mark.parametrize("name", MADE)
def test_no_text_lies_on_another(name):
    figure = MADE[name]()
    figure.canvas.draw()
    shown = [
        text
        for text in figure.findobj(Text)
        if text.get_text().strip() and text.get_visible()
    ]
    found = [Text.get_window_extent(text) for text in shown]
    on_each_other = [
        (a.get_text(), b.get_text())
        for (a, one), (b, other) in itertools.combinations(
            zip(shown, found, strict=True), 2
        )
        if one.padded(-2).overlaps(other.padded(-2)) and inside(a) and inside(b)
    ]
    assert on_each_other == []


def inside(text):
    """Whether a text is drawn: ticks beyond the ends of an axis are not."""
    axes = text.axes
    if axes is None or text not in [*axes.get_xticklabels(), *axes.get_yticklabels()]:
        return True
    at = axes.transData.inverted().transform(text.get_window_extent().get_points())
    x, y = at.mean(axis=0)
    (left, right), (low, high) = sorted(axes.get_xlim()), sorted(axes.get_ylim())
    return left <= x <= right if text in axes.get_xticklabels() else low <= y <= high


@pytest.mark.parametrize("name", MADE)
def test_figures_can_be_drawn_beside_others(name):
    figure = Figure(figsize=(14, 8), layout="constrained")
    left, right = figure.subplots(1, 2)
    right.plot([0, 1], [0, 1])
    assert MADE[name](ax=left) is figure
    figure.canvas.draw()
    assert left.get_title() == "T" and len(right.lines) == 1
    assert not figure.legends and tuple(figure.get_size_inches()) == (14, 8)
    beside = right.get_tightbbox()
    drawn = [a for a in figure.findobj(Axes) if a is not right]
    assert not any(beside.overlaps(axes.bbox) for axes in drawn)


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
    assert [label.get_text() for label in axes.get_xticklabels()] == ORDERED
    names = [text.get_text() for text in axes.texts]
    assert names == ORDERED
    # What tells trainings of one name apart stands beside their rows alone.
    seeds = [label.get_text() for label in axes.get_yticklabels()]
    assert seeds == ["", "", "", "", "3", "6", "", ""]
    order = [1, 4, 7, 3, 2, 5, 6, 0]
    shown = axes.collections[0].get_array().reshape(8, 8)
    ordered = values[np.ix_(order, order)]
    np.testing.assert_allclose(shown[ordered > 0], ordered[ordered > 0])
    assert bar.get_ylabel() == "JS (bits), logarithmic"
    colors = [to_rgb(label.get_color()) for label in axes.get_xticklabels()]
    assert colors[1] == colors[2] and len(set(colors)) == 6


def test_heatmap_has_a_colour_for_every_distance():
    broken = distances(broken=50)
    mesh = (
        figures.similarity.distance_heatmap(broken, MODELS, "JS", "T")
        .axes[0]
        .collections[0]
    )
    assert mesh.norm.vmax == broken.max()
    assert mesh.norm.vmin == broken[broken > 0].min()
    colors = mesh.cmap(mesh.norm(np.unique(broken[broken > 0])))
    assert len({tuple(color) for color in colors}) > 10
    assert mesh.colorbar.extend == "neither"
    alike = figures.similarity.distance_heatmap(np.zeros((8, 8)), MODELS, "JS", "T")
    alike.canvas.draw()  # nothing to go by


def test_trainings_of_a_method_share_a_line_and_do_not_hide_each_other():
    (axes,) = figures.preserved.preserved_by_method(methods(), "T").axes
    names = ["Quantized, 8-bit", "Pruned by 90 %", "Distilled, alpha 0.1"]
    assert [label.get_text() for label in axes.get_yticklabels()] == names
    x, y = np.hstack([bars.lines[0].get_data() for bars in axes.containers])
    assert sorted(x) == sorted(methods()["preserved"])
    assert len(set(y)) == 4 and [round(at) for at in sorted(y)] == [0, 1, 2, 2]
    assert axes.get_xlim()[0] < -98


def test_size_shows_every_model_with_its_label():
    table = preserved()
    table.loc[4, ["preserved", "low", "high"]] = 44.0, 41.0, 47.0
    figure = figures.preserved.preserved_by_size(table, "T")
    (axes,) = figure.axes
    labels = [a for a in axes.texts if isinstance(a, Annotation)]
    assert [a.get_text() for a in labels] == ["Q8", "P10", "P50", "D 0.1", "D 0.9"]
    found = boxes(figure, labels)
    for i, box in enumerate(found):
        assert not any(box.overlaps(other) for other in found[:i])
    assert axes.get_xlabel() == "Size (KiB); equal sizes side by side"
    assert {"base\nmodel", "independent\nmodels"} < set(texts(axes))
    x = [label.xy[0] for label in labels]
    assert x[0] == pytest.approx(230_000 / 1024) and len(set(x)) == 5
    assert x[1:] == pytest.approx([880_000 / 1024] * 4, rel=0.03)


def test_large_models_have_larger_units():
    table = preserved(bytes=np.arange(1, 6) * 2**22)
    (axes,) = figures.preserved.preserved_by_size(table, "T").axes
    assert axes.get_xlabel() == "Size (MiB)"
    assert axes.get_xlim()[0] == 0 and 20 < axes.get_xlim()[1] < 26


def test_trainings_stand_beside_their_mean():
    each = [[99.5], [99.0], [80.0], [20.0, 24.0], [21.0, 27.0]]
    (axes,) = figures.preserved.preserved_by_size(preserved(each=each), "T").axes
    drawn = [line.get_ydata() for line in axes.lines if line.get_marker() == "_"]
    found = [list(at) for at in drawn if len(at) == 2]
    assert [20.0, 24.0] in found and [21.0, 27.0] in found


def key(figure):
    return [text.get_text() for text in figure.legends[0].get_texts()]


def test_letters_and_small_marks_are_explained_where_they_occur():
    names = ["Quantized (Q, by bits)", "Pruned (P, by % of the weights)"]
    names += ["Distilled (D, by alpha)"]
    assert key(figures.preserved.preserved_by_size(preserved(), "T")) == names
    each = [[99.5], [99.0], [80.0], [20.0, 24.0], [21.0, 27.0]]
    figure = figures.preserved.preserved_by_size(preserved(each=each), "T")
    assert key(figure) == [*names, "Single trainings"]
    own = preserved(label=["rounded", "P10", "P50", "student", "another"])
    assert key(figures.preserved.preserved_by_size(own, "T")) == [
        "Quantized",
        "Pruned (P, by % of the weights)",
        "Distilled",
    ]
    ladder = figures.preserved.ladder
    told = key(ladder(rungs(), "T"))
    assert len(told) == 4 and told[-1] == "A check beside the ladder"
    assert key(ladder(rungs()[:2], "T")) == told[:2]


def test_no_label_is_nearer_to_another_mark_or_tied_to_its_own_without_need():
    table = preserved(bytes=[230_000, 300_000, 340_000, 800_000, 860_000])
    table.loc[2, ["preserved", "low", "high"]] = [90, 88, 92]
    figure = figures.preserved.preserved_by_size(table, "T")
    figure.canvas.draw()
    (axes,) = figure.axes
    notes = [note for note in axes.texts if isinstance(note, Annotation)]
    marks = axes.transData.transform([note.xy for note in notes])
    for own, box in enumerate(boxes(figure, notes)):
        gaps = np.maximum(box.min - marks, marks - box.max).max(axis=1)
        assert gaps.argmin() == own


def test_ticks_have_no_exponents():
    assert figures.style.decimal(1e-5) == "0.00001"
    assert figures.style.decimal(0.1) == "0.1" and figures.style.decimal(10) == "10"


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
    front = figures.compression.pareto_front(models["bytes"], models["preserved"])
    assert list(models["model"][front]) == ["float16", "dynamic-range", "int4"]
    figure = figures.compression.compression(models, "T")
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    (line,) = [line for line in axes.lines if line.get_drawstyle() == "steps-post"]
    np.testing.assert_allclose(
        line.get_xydata(),
        [[118e3 / 1024, 80], [230e3 / 1024, 99.5], [440e3 / 1024, 99.9]],
    )
    key, _ = figure.legends
    named = [text.get_text() for text in key.get_texts()]
    assert named == ["1   115 KiB: int4", "2   225 KiB: dynamic-range"] + [
        "3   430 KiB: float16"
    ]
    notes = [note for note in axes.texts if isinstance(note, Annotation)]
    assert [note.get_text() for note in notes] == ["1", "2", "3"]
    places = boxes(figure, notes)
    assert not any(a.overlaps(b) for i, a in enumerate(places) for b in places[:i])


def test_sizes_within_a_power_of_ten_have_numbers_on_their_axis():
    models = pipelines().assign(bytes=lambda table: 119_528 + 40_000 * table.index)
    figure = figures.compression.compression(models, "T")
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
    front = figures.compression.pareto_front(
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
    assert not axes.child_axes
    ticks = [label.get_text() for label in axes.get_xticklabels()]
    assert dict(zip(axes.get_xticks(), ticks, strict=True)) == {
        100: "100 %",
        50: "50 %",
        0: "0 %",
    }


def test_a_long_heading_does_not_cover_the_ladders_numbers():
    figure = figures.preserved.ladder(rungs(), "What is added\n" + "flag=value, " * 8)
    figure.canvas.draw()
    (axes,) = figure.axes
    heading = axes.title.get_window_extent()
    assert not any(text.get_window_extent().overlaps(heading) for text in axes.texts)


def test_variants_stand_above_their_controls():
    preserved, accuracy = figures.preserved.variants(changed(), "T").axes
    names = [label.get_text() for label in preserved.get_yticklabels()]
    assert names == ["unchanged", "student=lenet", "temperature=10"]
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
    band = axes.collections[-1].get_paths()[0].vertices
    at_end = band[band[:, 0] == 25, 1]
    assert (at_end.min(), at_end.max()) == pytest.approx(
        rows.agg(["min", "max"]).loc[25]
    )
    assert axes.get_yscale() == "log"
    low, high = axes.get_ylim()
    others = table.loc[table["family"] != "base", "distance"]
    assert table["distance"].min() < low < others.min()  # the base model goes on to 0
    assert table["distance"].max() < high
    styles = {(line.get_color(), line.get_linestyle()) for line in axes.lines}
    assert len(styles) == 4


def test_controls_have_a_plot_beside_the_others():
    table = records()
    more = table[table["family"] == "student"].assign(family="control", label="Start")
    figure = figures.similarity.distance_over_epochs(
        pd.concat([table, more]), "JS (bits)", "T"
    )
    labels = [[line.get_label() for line in axes.lines] for axes in figure.axes]
    assert labels == [["B", "I", "D 0.1", "D 0.9"], ["I", "Start"]]


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
    after = np.repeat(ANSWERS[None], 5, axis=0)
    after[:4, 7] = 3
    after[2:4, 21] = 0  # a half of the students is not most of them
    after[0, 5] = 9
    figure = lost(after)
    titled = [axes for axes in figure.axes if axes.get_title()]
    assert [axes.get_title() for axes in titled] == [
        "7 \u2192 3\ntrue: 7",
        "1 \u2192 0\ntrue: 1",
    ]
    told = [axes.get_xlabel().replace("\u00a0", " ") for axes in titled]
    assert told == ["D 0.1, Q8, P70", "Q8, P70"]
    np.testing.assert_array_equal(titled[0].images[0].get_array(), IMAGES[7, ..., 0])
    many = lost(images=np.repeat(IMAGES, 3, axis=-1), most=12)
    assert len([axes for axes in many.axes if axes.images]) == 12


def test_no_answer_lost_is_refused():
    with pytest.raises(
        ValueError, match="no compressed model changes a predicted class"
    ):
        lost(np.repeat(ANSWERS[None], 5, axis=0))
