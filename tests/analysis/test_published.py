"""The paper's numbers, and when a run's are marked as different."""

import numpy as np
import pandas as pd
import pytest

from kdfunc.analysis import published


def test_the_papers_tables_are_complete():
    cells = published.load()
    sizes = cells.groupby(["table", "dataset", "architecture"]).size()
    assert sizes.to_dict() == {
        (3, "mnist", "lenet"): 10,
        (4, "cifar10", "lenet"): 10,
        (4, "cifar10", "mobilenet"): 10,
        (4, "cifar10", "resnet50"): 10,
        (5, "cifar100", "lenet"): 10,
        (5, "cifar100", "mobilenet"): 10,
        (5, "cifar100", "resnet50"): 10,
    }
    students = cells["method"] == "Self-distillation"
    assert cells["std"].notna().equals(students)
    # What the paper's text repeats of its tables.
    at = cells.set_index(["dataset", "architecture", "setting"])
    assert at.loc[("mnist", "lenet", "90 %"), "deviation"] == -22.55
    assert at.loc[("mnist", "lenet", "90 %"), "base_accuracy"] == 99.15
    assert at.loc[("cifar10", "lenet", "70 %"), "deviation"] == -14.56
    assert at.loc[("cifar10", "mobilenet", "10 %"), "deviation"] == -16.84


def test_cells_beyond_their_spreads_are_marked():
    run = pd.DataFrame(
        [
            ("Self-distillation", "alpha 0.1", -0.03, 0.1),  # 0.148 off, 0.157 allowed
            ("Self-distillation", "alpha 0.5", -0.03, 0.05),  # 0.094 off, 0.092 allowed
            ("L1 pruning", "70 %", -0.1, np.nan),  # 0.94 off, 1 allowed
            ("L1 pruning", "90 %", -24, np.nan),  # 1.45 off, 1 allowed
            ("L1 pruning", "95 %", -90, np.nan),  # not in the paper
        ],
        columns=["method", "setting", "deviation", "std"],
    )
    table = published.compare(run, "mnist", "lenet")
    assert list(table["marked"]) == [False, True, False, True, False]
    assert table["difference"][3] == pytest.approx(-1.45)
    assert np.isnan(table["published"][4])
    assert published.compare(run, "digits", "lenet") is None
