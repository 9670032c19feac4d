"""Shows what pruning all arrays of a network breaks, by giving arrays back.

    python docs/restored_arrays.py RUN

In each pruned model of the run directory RUN, the arrays of one kind at a time, such as
the moving variances of batch normalization, get the base model's values back; then the
model classifies the test images again. Writes `tables/restored_arrays.csv` there.
"""

import argparse

import numpy as np
import pandas as pd

from kdfunc import models, runtime
from kdfunc.analysis import everything, tables
from kdfunc.analysis.accuracy import deviation
from kdfunc.runs.directory import RunDirectory
from kdfunc.training import predictor

#: Kinds of arrays: what their names in a Keras model end in, and what we call them.
KINDS = {
    "": "nothing",
    "moving_variance": "moving variances",
    "moving_mean": "moving means",
    "gamma": "scales",
    "beta": "offsets",
    "kernel": "kernels",
}


def restored(run: RunDirectory) -> pd.DataFrame:
    """The accuracy of each pruned model with one kind of arrays restored.

    Args:
      run: a run directory with records.

    Returns:
      One row per model and kind: `level`, `restored`, how many `values` are no longer
      zero, `accuracy`, and its relative `deviation` from the base model's in percent.
    """
    images, labels = np.load(run.record("data").path / "images.npy"), run.labels
    base = models.load(run.record("base").path / "final.keras")
    kinds = [array.name.partition(":")[0].rpartition("/")[2] for array in base.weights]
    unpruned = base.get_weights()

    def accuracy(predict) -> float:
        return float((predict(images).argmax(axis=1) == labels).mean())

    whole, rows = accuracy(predictor(base)), []
    for task in everything.finished(run):
        if task.family != "pruned" or task.replicate:
            continue
        model = models.load(run.record(task.name).path / "model.keras")
        pruned, predict = model.get_weights(), predictor(model)
        there = sum(map(np.count_nonzero, pruned))
        for kind, name in KINDS.items():
            mixed = [
                full if kind and ending.endswith(kind) else sparse
                for ending, full, sparse in zip(kinds, unpruned, pruned, strict=True)
            ]
            model.set_weights(mixed)
            found = accuracy(predict)
            rows.append(
                {
                    "level": task.settings["level"],
                    "restored": name,
                    "values": sum(map(np.count_nonzero, mixed)) - there,
                    "accuracy": found,
                    "deviation": deviation(found, whole),
                }
            )
    return pd.DataFrame(rows)


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
