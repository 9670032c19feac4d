"""One answer over several set-ups, decided by the claims' own limits."""

import dataclasses
import math

import numpy as np
import pandas as pd
import pytest

from kdfunc.analysis import over_base_models, setups
from kdfunc.config import ExperimentConfig
from kdfunc.similarity.claims import CLAIMS


def setup(number, estimate, error=0.1, dataset="mnist", **config):
    verdicts = pd.DataFrame(
        {
            "claim": [CLAIMS[number].text],
            "outcome": "supported",
            "effect": 1.0,
            "low": 0.5,
            "high": 1.5,
            "estimate": estimate,
            "error": error,
            "scale": CLAIMS[number].scale,
        }
    )
    config = ExperimentConfig(dataset=dataset, **config)
    return setups.Setup(f"{dataset}-{config.architecture}", config, verdicts)


def answer(number, estimates, **config):
    found = setups.answers([setup(number, each, **config) for each in estimates])
    return found[CLAIMS[number].text]


@pytest.mark.parametrize(
    ("number", "estimates", "outcome"),
    [
        (4, [-2.5, -2.7, -2.6], "supported"),  # ratios of distances near 0.07
        (4, [1.0, 0.9, 1.1], "contradicted"),
        (4, [-3.0, 1.0, 0.2], "undecided"),  # set-ups that differ
        (2, [-0.6, -0.7, -0.65], "contradicted"),  # students are half as far
        (6, [40.0, 41.0, 39.0], "supported"),  # points
        (1, [1.0, -2.0, 0.5], "supported"),
        (1, [17.0, 18.0, 17.5], "contradicted"),
        (3, [7.4, 7.0, 7.2], "undecided"),  # the best, but within the margin
        (3, [-2.0, -2.1, -1.9], "contradicted"),
        (3, [14.0, 14.5, 15.0], "supported"),
        (5, [0.2, 0.3, 0.2], "contradicted"),
        (5, [80.0, 90.0, 100.0], "supported"),
    ],
)
def test_the_whole_interval_decides(number, estimates, outcome):
    found = answer(number, estimates)
    assert found.outcome == outcome
    assert found.pooled.setups == 3
    assert "Over 3 set-ups" in found.sentence


def test_the_sentence_tells_ratio_and_heterogeneity():
    estimates = [math.log(r) for r in (0.05, 0.1, 0.2)]
    found = answer(4, estimates)
    assert (
        "Over 3 set-ups, models are on average 0.1 [0.0179, 0.559] times as far "
        "from the base model as independent ones (p = 0.057 for “supported”; "
        "p = 0.057 after Holm's correction over 1 claim); expected of another set-up: "
        "almost anything."
    ) in found.sentence
    found = answer(3, [20.0, 21.0, 22.0])
    assert "Over 3 set-ups, the mean difference is 21.0 [" in found.sentence
    assert (
        f"{found.pooled.i2:.0f} % of the variance lies between set-ups"
        in found.sentence
    )


def test_answers_are_corrected_for_the_number_of_claims():
    """Three claims of p 0.04 had been decided side by side."""
    estimates = {1: [-1.0, 2.0, 5.0]} | {n: [15.5, 18.5, 21.5] for n in (3, 5)}
    alone = [answer(number, each) for number, each in estimates.items()]
    assert [each.outcome for each in alone] == ["supported"] * 3
    verdicts = [
        pd.concat([setup(n, each[place]).verdicts for n, each in estimates.items()])
        for place in range(3)
    ]
    runs = [
        setups.Setup(f"run {i}", ExperimentConfig(), v) for i, v in enumerate(verdicts)
    ]
    found = setups.answers(runs)
    assert {each.outcome for each in found.values()} == {"undecided"}
    assert "after Holm's correction over 3 claims" in found[CLAIMS[3].text].sentence


def test_fewer_than_three_are_undecided_and_short_runs_do_not_count():
    assert answer(4, [-2.5, -2.6]).outcome == "undecided"
    assert answer(4, [-2.5, -2.6, -2.7], epochs=8).pooled is None
    mixed = [setup(4, each) for each in (-2.5, -2.6, -2.7, math.nan)]
    mixed.append(setup(4, 3.0, epochs=8))
    found = setups.answers(mixed)[CLAIMS[4].text]
    assert (found.outcome, found.pooled.setups) == ("supported", 3)
    table = setups.table(mixed)
    assert list(table["marks"]) == ["", "", "", "", "short, --epochs=8"]
    assert list(table["short"]) == [False] * 4 + [True]


def test_older_verdicts_without_estimates_are_shown_and_not_averaged():
    old = setup(4, -2.5)
    old = setups.Setup(old.name, old.config, old.verdicts.drop(columns="estimate"))
    log = setup(3, -12.7)  # had been averaged as the logarithm of a ratio
    log = setups.Setup(log.name, log.config, log.verdicts.drop(columns="scale"))
    for number, each in {4: old, 3: log}.items():
        found = setups.answers([each] * 3)[CLAIMS[number].text]
        assert (found.outcome, found.pooled) == ("undecided", None)
        assert "0 of 3 set-ups can be averaged" in found.sentence


def test_runs_that_do_not_meet_the_conditions_of_the_claim_are_not_averaged():
    trained_once = setup(6, math.nan, math.inf)
    runs = [setup(6, each) for each in (-1.8, -1.2)]
    found = setups.answers([*runs, trained_once])[CLAIMS[6].text]
    assert (found.outcome, found.pooled) == ("undecided", None)
    assert "2 of 3 set-ups can be averaged" in found.sentence
    runs.append(setup(6, -1.5))
    found = setups.answers([*runs, trained_once])[CLAIMS[6].text]
    assert (found.outcome, found.pooled.setups) == ("contradicted", 3)


def test_what_was_left_out_or_added_is_no_difference():
    config = ExperimentConfig(
        dataset="mnist", base_models=5, compressions=("cluster16",), controls=()
    )
    assert setups.differences(config) == {}
    other = ExperimentConfig(dataset="mnist", data_order="reshuffled", alphas=())
    assert setups.differences(other) == {"data_order": "reshuffled", "alphas": ""}


def base_models(kept):
    """The table of LeNet-like base models; by setting, what each preserves."""
    pruned = {"10 %", "50 %", "90 %"}
    return pd.DataFrame(
        {
            "base_model": f"base-{number}",
            "method": "L1 pruning" if setting in pruned else "Quantization",
            "setting": setting,
            "preserved": value,
        }
        for setting, values in kept.items()
        for number, value in enumerate(values)
    )


KEPT = {"16-bit": [100.0, 99.0, 98.0], "50 %": [90.0, 85.0, 95.0], "10 %": [1.0] * 3}


def test_claims_on_compression_average_the_mean_over_base_models():
    rivals = pd.DataFrame(
        {
            "quantized": ["float16", "float16"],
            "other": ["pruning by 50 %", "alpha 0.9"],
            "points": [10.0, 80.0],
            "rival": True,
        }
    )
    found = over_base_models.effects(base_models(KEPT), rivals)
    best, pruning = CLAIMS[3].text, CLAIMS[4].text
    assert found[best].tolist() == [10.0, 14.0, 3.0]
    # 90, 85 and 95 % are preserved at a tenth, 0.15 and 0.05 of the distance.
    assert found[pruning] == pytest.approx([math.log(r) for r in (0.1, 0.15, 0.05)])
    runs = [dataclasses.replace(setup(3, 10.0, 1.2), over_bases=found)] * 3
    (row, *_) = setups.table(runs).to_dict("records")
    assert row["estimate"] == 9.0 and row["base_models"] == 3
    # Standard deviation 5.568 of three, and 1.2 from what they share.
    assert row["error"] == pytest.approx(math.hypot(5.5678 / math.sqrt(3), 1.2), 1e-4)
    assert row["effect"] == 1.0  # the verdict's own stays


def test_a_rival_that_only_one_base_model_has_is_not_averaged_over_them():
    rivals = pd.DataFrame(
        {"quantized": "float16", "other": ["alpha 0.9"], "points": 3.0, "rival": True}
    )
    assert [*over_base_models.effects(base_models(KEPT), rivals)] == [CLAIMS[4].text]
    two = base_models({setting: values[:2] for setting, values in KEPT.items()})
    assert over_base_models.effects(two, rivals) == {}
    assert over_base_models.effects(None, rivals) == {}


def test_a_run_that_decides_nothing_is_not_averaged_for_its_base_models():
    each = {CLAIMS[4].text: np.log([0.1, 0.2, 0.3])}
    runs = [dataclasses.replace(setup(4, -1.0, math.inf), over_bases=each)] * 3
    assert setups.answers(runs)[CLAIMS[4].text].pooled is None


def test_a_prediction_that_says_nothing_says_so():
    assert answer(3, [10.0, 60.0, 110.0]).expected == "almost anything"
    assert answer(3, [20.0, 20.5, 21.0]).expected == "13.3 to 27.7 points"
