"""Families can be told from each other by readers who see no red or no green."""

import itertools

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_rgb

from kdfunc.analysis import figures
from kdfunc.catalog import FAMILIES, METHODS
from kdfunc.report import charts

#: Of linear RGB, at full severity: Machado, Oliveira and Fernandes 2009, A
#: Physiologically-based Model for Simulation of Color Vision Deficiency, Table 1.
VISION = {
    "all colours": np.eye(3),
    "no green": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no red": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}
#: sRGB to XYZ under D65, IEC 61966-2-1, each row divided by its white.
XYZ = [
    [0.4124564, 0.3575761, 0.1804375],
    [0.2126729, 0.7151522, 0.0721750],
    [0.0193339, 0.1191920, 0.9503041],
]
#: Differences of CIELAB (CIE 1976); one that is just noticed is 2.3 (Mahy 1994).
NOTICED, EASY = 10, 20


def seen(color, vision):
    """A colour's place in CIELAB, as it is seen."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    linear = np.clip(np.array(VISION[vision]) @ linear, 0, 1)
    part = XYZ @ linear / np.sum(XYZ, axis=1)
    root = np.where(part > (6 / 29) ** 3, np.cbrt(part), part * (29 / 6) ** 2 / 3)
    x, y, z = np.where(part > (6 / 29) ** 3, root, root + 4 / 29)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def apart(one, other, vision):
    return np.linalg.norm(seen(one, vision) - seen(other, vision))


def test_places_in_cielab_are_those_of_the_standard():
    red = seen("#ff0000", "all colours")
    np.testing.assert_allclose(red, [53.24, 80.09, 67.20], atol=0.02)
    assert apart("#000000", "#ffffff", "all colours") == pytest.approx(100, abs=0.01)


@pytest.mark.parametrize("vision", VISION)
def test_families_differ_by_mark_and_by_colour(vision):
    rows = FAMILIES.values()
    for name in ("marker", "symbol", "mark"):
        assert len({getattr(row, name) for row in rows}) == len(rows)
    near = {
        (one.label, other.label): found
        for one, other in itertools.combinations(rows, 2)
        if (found := apart(one.color, other.color, vision)) < NOTICED
    }
    assert not near


@pytest.mark.parametrize("vision", VISION)
def test_methods_of_one_colour_have_marks_of_their_own(vision):
    for one, other in itertools.combinations(METHODS.values(), 2):
        far = apart(one.color, other.color, vision) >= EASY
        assert far or one.marker != other.marker


@pytest.mark.parametrize("vision", VISION)
def test_lines_of_near_colours_have_other_dashes(vision):
    """Lines have no marks; a family's are told by their dashes."""
    labels = {"base": "B", "independent": "I", "student": "123", "control": "12345"}
    rows = [(f, name, e, 0.5) for f in labels for name in labels[f] for e in (1, 2)]
    table = pd.DataFrame(rows, columns=["family", "label", "epoch", "distance"])
    figure = figures.similarity.distance_over_epochs(table, "JS (bits)", "T")
    shown = [
        [(line.get_color(), line._dash_pattern) for line in axes.lines]
        for axes in figure.axes
    ]
    table = table.rename(columns={"label": "name"})
    for families in (("base", "independent", "student"), ("independent", "control")):
        of_page = charts.lines(table[table["family"].isin(families)])
        shown.append([line[2:] for line in of_page])
    assert [len(lines) for lines in shown] == [5, 6, 5, 6]
    for lines in shown:
        for (color, dash), (other, dots) in itertools.combinations(lines, 2):
            assert apart(color, other, vision) >= EASY or dash != dots
