"""Makes a small run directory with every table, of made-up numbers."""

import numpy as np
import pandas as pd

from kdfunc.config import ExperimentConfig
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.plan import make
from kdfunc.similarity.scale import score

CONFIG = ExperimentConfig(
    epochs=3,
    alphas=(0.1, 0.9),
    distillation_seeds=(2, 24),
    quantization=("dynamic-range",),
    pruning_levels=(0.5, 0.9),
    controls=("same-start",),
)
CLAIMS = {
    "Different alpha values do not impact similarity.": "undecided",
    "Students are strangers <to> the teacher.": "contradicted",
    "Quantization is best.": "supported",
}


def write_run(path, config=CONFIG, outcomes=None):
    """Writes what the page reads, but no figures and no records."""
    run = RunDirectory(path)
    with run.claimed(config):
        pass
    (path / "tables").mkdir()
    rng = np.random.default_rng(0)
    models = [task for task in make(config) if task.family]
    rows = [
        (task.name, task.family, epoch)
        for task in models
        for epoch in (range(config.epochs + 1) if task.kind == "train" else [3])
    ]
    epochs = pd.DataFrame(rows, columns=["model", "family", "epoch"])
    others = [task for task in models if task.name != "base"]
    final = pd.DataFrame(
        {"model": [t.name for t in others], "family": [t.family for t in others]}
    )

    def number(table, low=0.0, high=1.0):
        return rng.uniform(low, high, len(table))

    def write(name, table):
        table.to_csv(path / "tables" / f"{name}.csv", index=False)

    write(
        "accuracy",
        pd.DataFrame(
            [
                ("Self-distillation", "alpha 0.1", 2, 0.98, -1.25, 0.5),
                ("Self-distillation", "alpha 0.9", 2, 0.97, -2.5, 0.25),
                ("Quantization", "8-bit", 1, 0.99, 0.0, np.nan),
                ("L1 pruning", "50 %", 1, 0.96, -3.75, np.nan),
                ("L1 pruning", "90 %", 1, 0.5, -50.0, np.nan),
            ],
            columns=["method", "setting", "models", "accuracy", "deviation", "std"],
        ),
    )
    write(
        "spread",
        pd.DataFrame(
            {
                "method": ["Base model", "L1 pruning"],
                "setting": ["accuracy", "90 %"],
                "base_models": 5,
                "own": [97.25, -20.5],
                "mean": [97.0, -22.0],
                "least": [96.5, -31.25],
                "most": [97.5, -12.5],
                "predicted_low": [95.0, -50.0],
                "predicted_high": [99.0, 6.0],
                "published": [np.nan, -33.0],
                "outside": [np.nan, 1.75],
                "where": [None, "outside by 1.8 points"],
                "preserved": [np.nan, 82.5],
                "preserved_low": [np.nan, 77.25],
                "preserved_high": [np.nan, 86.5],
            }
        ),
    )
    measured = [
        (group, 6, measure, count, 0.5, 0.25, 0.75)
        for group in ("all", "near")
        for count in (500, 899)
        for measure in ("agreement", "mse", "snr", "kl")
    ]
    columns = ["group", "models", "measure", "examples", "correlation", "low", "high"]
    write("fidelity", pd.DataFrame(measured, columns=columns))
    write(
        "metrics",
        epochs.drop(columns="family").assign(
            accuracy=number(epochs), log_loss=number(epochs)
        ),
    )
    write("trajectories", epochs.assign(jensen_shannon=number(epochs)))
    write(
        "function_preserved",
        final.assign(measure="jensen_shannon", ratio=number(final, 0.0, 3.0)).assign(
            preserved=lambda table: table["ratio"].map(score),
            low=lambda table: table["preserved"] - 5,
            high=lambda table: table["preserved"] + 5,
            rests_on="1 model, 2 independent models",
        ),
    )
    write(
        "similarity",
        final.assign(
            disagreement=number(final),
            negative_flips=number(final),
            positive_flips=0.0,
        ),
    )
    names = {task.group: task.family for task in others}
    groups = pd.DataFrame({"group": [*names], "family": names.values(), "models": 2})
    shares = ("disagreement", "confident_flips", "changed_in_most", "changed_in_all")
    write(
        "tails",
        groups.assign(p95=0.25, p99=0.5, **{"p99.9": np.nan}).assign(
            **{share: number(groups) for share in shares}
        ),
    )
    ladder = pd.DataFrame(
        {
            "rung": ["Independent", "+ initial weights", "+ teacher's probabilities"],
            "group": ["independent", "same-start", "alpha 0.1"],
            "side": False,
            "models": 2,
            "over": [None, "independent", "same-start"],
            "distance": [0.2, 0.15, 0.1],
            "ratio": [1.0, 0.75, 0.5],
            "rests_on": "2 models, 2 independent models",
            "preserved": [0.0, 25.0, 50.0],
            "step": [np.nan, 25.0, 25.0],
        }
    )
    for name in ("preserved", "step"):
        ladder[f"{name}_low"] = ladder[name] - 2
        ladder[f"{name}_high"] = ladder[name] + 2
    write("ladder", ladder)
    write(
        "verdicts",
        pd.DataFrame(
            {
                "claim": list(CLAIMS),
                "outcome": outcomes or list(CLAIMS.values()),
                "sentence": [f"The sentence number {i}." for i in range(3)],
                "statistic": "function preserved (points)",
                "effect": [12.34, -7.0, 3.3],
                "low": [1.0, -8.0, 2.4],
                "high": [20.0, -6.0, 4.7],
                "rests_on": "2 pairs of models matched by seed, 2 independent models",
                "p": [0.2, 0.001, 0.01],
                "adjusted_p": [0.2, 0.003, 0.02],
            }
        ),
    )
    write(
        "yardstick",
        pd.DataFrame(
            {
                "zero": ["independent"],
                "distance": 0.1,
                "sentence": ["How sure the zero is."],
            }
        ),
    )
    for panel, families in {
        "distillation": ["student"],
        "quantization": ["quantized"],
        "all": ["student", "quantized", "pruned"],
    }.items():
        shown = epochs[epochs["family"].isin(["base", "independent", *families])]
        # Close to each other, so that labels have to make room.
        columns = {name: number(shown) ** 4 for name in ("x", "y", "mds_x", "mds_y")}
        write(f"landscape-{panel}", shown.assign(**columns))
    quality = {"stress": 0.125, "disparity_least": 0.0649, "disparity_most": 0.2}
    write("landscape-stress", pd.DataFrame([{"panel": "all", **quality}]))
    return run
