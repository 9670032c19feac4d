"""Tables, sentences and figure of what models preserve on corrupted images."""

import numpy as np
import pytest
from matplotlib.figure import Figure

from kdfunc.analysis import corruptions, names
from kdfunc.analysis.figures.corruptions import corruptions as draw
from kdfunc.config import ExperimentConfig
from kdfunc.corruptions import SETS
from kdfunc.runs import plan
from kdfunc.similarity.outcomes import OUTCOMES

N, CLASSES = 200, 4
CONFIG = ExperimentConfig(
    independents=4, alphas=(0.5,), distillation_seeds=(2, 24), controls=()
)
#: How far models are from the base model on clean images, and on corrupted ones.
NOISE = {
    "float16": (0.01, 0.01),
    "dynamic-range": (0.02, 0.02),
    "pruned-10": (0.05, 0.06),
    "pruned-30": (0.1, 0.1),
    "pruned-50": (0.2, 0.8),  # breaks
    "pruned-70": (0.8, 0.3),  # mends
    "pruned-90": (0.9, 0.9),
    "student-alpha0.5-seed2": (0.35, 0.35),
    "student-alpha0.5-seed24": (0.35, 0.35),
}


def softmax(logits):
    return np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def models():
    """The tasks of a run's models, and their outputs on all sets."""
    rng = np.random.default_rng(0)
    tasks = [task for task in plan.make(CONFIG) if task.family]
    shape = (len(SETS) + 1, N, CLASSES)
    logits = 2 * rng.normal(size=shape)
    outputs = {}
    for task in tasks:
        noise = NOISE.get(task.name, (float(task.name != "base"),) * 2)
        scale = np.array([noise[0], *[noise[1]] * len(SETS)])[:, None, None]
        outputs[task.name] = softmax(logits + scale * rng.normal(size=shape))
    return tasks, outputs, logits[0].argmax(axis=1)


@pytest.fixture(scope="module")
def found(models):
    table, ranking = corruptions.compared(*models)
    called = {task.group: names.name(task) for task in models[0]}
    return table.assign(name=table["group"].map(called)), ranking


def test_every_model_is_told_of_on_every_set_and_on_all_together(found):
    table, ranking = found
    groups = {*NOISE} - {"student-alpha0.5-seed2", "student-alpha0.5-seed24"}
    groups |= {"student-alpha0.5", "independent"}
    assert set(table["group"]) == groups
    assert len(ranking) == len(SETS) + 1 and len(table) == 13 * len(groups)
    assert set(ranking["models"]) == {8} and set(ranking["images"]) == {N}
    counts = ranking[list(OUTCOMES)].sum(axis=1)
    assert (counts == 8).all()
    assert ranking["clean_base_accuracy"].eq(1).all()
    assert ranking["base_accuracy"].iloc[0] < 0.5  # the labels are the clean images'


def test_what_breaks_on_corrupted_images_alone_is_found(found):
    table, _ = found
    whole = table[table["corruption"] == "all"].set_index("group")
    assert whole["outcome"].drop("independent").to_dict() == {
        "float16": "as much",
        "dynamic-range": "as much",
        "pruned-10": "as much",
        "pruned-30": "as much",
        "pruned-50": "less",
        "pruned-70": "more",
        "pruned-90": whole["outcome"]["pruned-90"],
        "student-alpha0.5": whole["outcome"]["student-alpha0.5"],
    }
    broken = whole.loc["pruned-50"]
    assert broken.clean > 85 and broken.preserved < 50
    assert broken.difference == pytest.approx(broken.preserved - broken.clean)
    assert broken.difference_low < broken.difference < broken.difference_high < -10
    assert whole.loc["independent", ["preserved", "difference"]].eq(0).all()


def test_the_answer_names_what_changes(found):
    text = corruptions.sentences(*found)
    assert (
        "corrupted in 12 ways, the base model's accuracy changes from 100.0 %" in text
    )
    assert "1 model preserves less by more than 10 points (Pruned by 50\u00a0%)" in text
    assert "1 model preserves more by more than 10 points (Pruned by 70\u00a0%)" in text
    row = found[1].iloc[-1]
    assert f"correlation {row.correlation:.2f} [{row.low:.2f}, {row.high:.2f}]" in text


def test_by_a_single_independent_model_nothing_is_decided(models):
    tasks, outputs, labels = models
    few = [t for t in tasks if t.family != "independent" or t.name == "independent-1"]
    few = [t for t in few if t.family in ("base", "independent", "quantized")]
    table, ranking = corruptions.compared(few, outputs, labels)
    quantized = table[table["family"] == "quantized"]
    assert set(quantized["outcome"]) == {"undecided"}
    assert ranking["correlation"].isna().all()  # of two models
    told = corruptions.sentences(table.assign(name=table["group"]), ranking)
    assert told.endswith("For 2 models, the data leave this open.")
    assert "rank correlation" not in told


def test_the_figure_has_a_plot_a_corruption_also_in_a_plot_of_the_callers(found):
    table, _ = found
    shown = table[corruptions.compressed(table) & (table["corruption"] != "all")]
    figure = draw(shown, "title")
    titles = [axes.get_title() for axes in figure.axes]
    assert titles == ["Gaussian noise", "Gaussian blur", "Contrast", "JPEG"]
    for axes in figure.axes:
        points = [line for line in axes.lines if line.get_linestyle() == "None"]
        assert sum(len(line.get_xdata()) for line in points) == 3 * 8
    ax = Figure().add_subplot()
    assert draw(shown, "title", ax) is ax.get_figure()
    assert len(ax.child_axes) == 4
