"""A run's models on corrupted test images: tasks outside the plan, and their records.

    records/corrupted/            images.npy [sets, n, height, width, channels] uint8
                                  ways.json
    records/<model>-corrupted/    softmax.npy [sets, n, classes] float32

The sets are `kdfunc.corruptions.SETS`, made from the first test images. Nothing here
imports TensorFlow.
"""

import json
from collections.abc import Iterable

import numpy as np

from kdfunc import checksums
from kdfunc.corruptions import CORRUPTIONS
from kdfunc.runs import sources
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.task import Task
from kdfunc.text import count

#: How many test images are corrupted, at most.
IMAGES = 2000
#: The task that corrupts them.
CORRUPTED = Task("corrupted", "corrupt", needs=("data",), label="corrupted images")
#: How images were corrupted, see `ways`.
WAYS = "ways.json"


def tasks(models: Iterable[Task]) -> list[Task]:
    """The tasks to do for the trained models of these tasks.

    Args:
      models: the tasks that made them.
    """
    return [CORRUPTED, *map(prediction, models)]


def prediction(model: Task) -> Task:
    """The task in which a model predicts the corrupted images.

    Args:
      model: the task that made it.
    """
    return Task(
        f"{model.name}-corrupted",
        "predict",
        needs=(CORRUPTED.name, model.name),
        settings={"model": model.name},
        label=f"{model.label} on corrupted images",
    )


def ways() -> str:
    """How images are corrupted, as JSON: kinds, parameters, number of images."""
    rows = {name: row.strengths for name, row in CORRUPTIONS.items()}
    return json.dumps({"most_images": IMAGES, "strengths": rows}) + "\n"


def images_outdated(run: RunDirectory) -> bool:
    """Whether there are images that were corrupted in a different way.

    Args:
      run: the run directory.
    """
    record = run.record(CORRUPTED.name)
    path = record.path / WAYS
    return record.exists and not (path.is_file() and path.read_text("utf-8") == ways())


def outdated(run: RunDirectory, model: Task) -> bool:
    """Whether there are outputs of another model or of other images.

    Args:
      run: the run directory.
      model: the task that made it.
    """
    record = run.record(prediction(model).name)
    if not record.exists:
        return False
    if not run.record(CORRUPTED.name).exists or images_outdated(run):
        return True
    return bool(sources.changed(run, prediction(model)))


def outputs(run: RunDirectory, models: Iterable[Task]) -> dict[str, np.ndarray]:
    """Softmax `[1 + sets, n, classes]` by model, clean images first.

    Models whose outputs are missing or outdated are left out.

    Args:
      run: the run directory.
      models: the tasks that made them.
    """
    found = {}
    models = list(models)
    earlier = [model.name for model in models if outdated(run, model)]
    if earlier:
        print(
            f"Outputs for corrupted images of {count(len(earlier), 'model')} are older "
            "than the models or the images; left out until `kdfunc corruptions` makes "
            "them again."
        )
    for model in models:
        record = run.record(prediction(model).name)
        if not record.exists or model.name in earlier:
            continue
        if problems := checksums.damages(record.path):
            print(f"{record.path}: {'; '.join(problems)}; left out.")
        else:
            corrupted = record.softmax
            clean = run.record(model.name).softmax[-1][: corrupted.shape[1]]
            found[model.name] = np.concatenate([clean[None], corrupted])
    return found
