"""Shows what pruning all arrays of a network breaks, by giving arrays back.

    python docs/restored_arrays.py RUN

In each pruned model of the run directory RUN, the arrays of one kind at a time, such as
the moving variances of batch normalization, get their base model's values back; then
the model classifies the test images again. Models pruned from other base models than
the run's own get back their moving variances alone. Writes
`tables/restored_arrays.csv` there.
"""

import argparse
import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from kdfunc import models, runtime
from kdfunc.analysis import everything, tables
from kdfunc.analysis.accuracy import deviation
from kdfunc.runs.directory import RunDirectory
from kdfunc.runtime import keras
from kdfunc.training import predictor, scores

#: Kinds of arrays: what their names in a Keras model end in, and what we call them.
KINDS = {
    "": "nothing",
    "moving_variance": "moving variances",
    "moving_mean": "moving means",
    "gamma": "scales",
    "beta": "offsets",
    "kernel": "kernels",
}
#: Kinds that are tried with further base models.
FURTHER = ("", "moving_variance")


def restored(run: RunDirectory) -> pd.DataFrame:
    """The accuracy of each pruned model with one kind of arrays restored.

    Args:
      run: a run directory with records.

    Returns:
      One row per model and kind: `base_model`, its task; `level`; `restored`; how many
      `values` are no longer zero; `accuracy`; and its relative `deviation` from the
      base model's in percent.
    """
    images, labels = np.load(run.record("data").path / "images.npy"), run.labels
    pruned = [task for task in everything.finished(run) if task.family == "pruned"]
    rows = []
    for name, tasks in itertools.groupby(pruned, lambda task: task.settings["base"]):
        base = models.load(run.record(name).path / "final.keras")
        whole = scores(predictor(base)(images), labels)["accuracy"]
        for task in tasks:
            model = models.load(run.record(task.name).path / "model.keras")
            sparse, predict = model.get_weights(), predictor(model)
            there = sum(map(np.count_nonzero, sparse))
            for kind in FURTHER if task.replicate else KINDS:
                mixed = _mixed(base, sparse, kind)
                model.set_weights(mixed)
                found = scores(predict(images), labels)["accuracy"]
                rows.append(
                    {
                        "base_model": name,
                        "level": task.settings["level"],
                        "restored": KINDS[kind],
                        "values": sum(map(np.count_nonzero, mixed)) - there,
                        "accuracy": found,
                        "deviation": deviation(found, whole),
                    }
                )
    return pd.DataFrame(rows)


def _mixed(
    base: keras.Model, pruned: Sequence[np.ndarray], kind: str
) -> list[np.ndarray]:
    """Pruned arrays, those of one kind replaced by the base model's."""
    endings = [x.name.partition(":")[0].rpartition("/")[2] for x in base.weights]
    return [
        full if kind and ending.endswith(kind) else sparse
        for ending, full, sparse in zip(
            endings, base.get_weights(), pruned, strict=True
        )
    ]


def main() -> None:
    """Writes the table of the run that is named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help="a run directory with its records")
    run = RunDirectory(parser.parse_args().run)
    runtime.set_up(threads=1)
    table = restored(run)
    tables.write(run, "restored_arrays", table)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
