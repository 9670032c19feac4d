"""Shows what a network's moving statistics cost it, by taking fresh ones.

    python docs/fresh_statistics.py RUN --data_dir=DIR

Batch normalization classifies test images with averages over the last steps of
training, which may lag behind the weights. In the base model, the independent ones and
the students of the run directory RUN, they are replaced by averages over training
images with all weights as they are; then the model classifies the test images again.
Writes `tables/fresh_statistics.csv` there.
"""

import argparse

import numpy as np
import pandas as pd

from kdfunc import datasets, models, runtime
from kdfunc.analysis import everything, tables
from kdfunc.runs.directory import RunDirectory
from kdfunc.runtime import tf
from kdfunc.training import predictor, scores

BATCHES = 400  # after which 0.99 ** 400 = 2 % of the statistics before are left


def compared(run: RunDirectory, data: datasets.Dataset) -> pd.DataFrame:
    """The accuracy of each of these models with its own and with fresh statistics.

    Args:
      run: a run directory with records.
      data: its data set.

    Returns:
      One row per model: `accuracy`, and `fresh_accuracy` after `batches` of training
      images, drawn without replacement.
    """
    size = run.config.batch_size
    order = np.random.default_rng(0).permutation(len(data.train_images))
    batches = min(BATCHES, len(order) // size)
    rows = []
    for task in everything.finished(run):
        if task.family not in ("base", "independent", "student"):
            continue
        record = run.record(task.name)
        model = models.load(record.path / "final.keras")

        @tf.function
        def update(images, model=model):
            model(images, training=True)

        for start in range(0, batches * size, size):
            images = data.train_images[order[start : start + size]]
            update(tf.constant(images.astype(np.float32) / 255))
        fresh = scores(predictor(model)(data.test_images), run.labels)["accuracy"]
        own = scores(record.softmax[-1], run.labels)["accuracy"]
        rows.append((task.name, own, batches, fresh))
    columns = ["model", "accuracy", "batches", "fresh_accuracy"]
    return pd.DataFrame(rows, columns=columns)


def main() -> None:
    """Writes the table of the run that is named on the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("run", metavar="RUN", help="a run directory with its records")
    parser.add_argument("--data_dir", help="data folder of TFDS")
    asked = parser.parse_args()
    run = RunDirectory(asked.run)
    runtime.set_up(threads=1)
    table = compared(run, datasets.load(run.config.dataset, asked.data_dir))
    tables.write(run, "fresh_statistics", table)
    print(table.to_string(index=False))


if __name__ == "__main__":
    main()
