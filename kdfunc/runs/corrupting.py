"""How test images are corrupted and predicted: task kinds, see `runs.worker`."""

import numpy as np

from kdfunc import corruptions, edge, models, training
from kdfunc.runs import corrupted
from kdfunc.runtime import derive_seed


def corrupt(task, place, folder, report) -> list[str]:
    """Corrupts the first test images in all ways, each with its own random seed.

    Args:
      task: the task.
      place: config, run directory and this process's data.
      folder: where to write its files.
      report: called with progress.
    """
    clean = np.load(place.run.record("data").path / "images.npy", mmap_mode="r")
    clean = clean[: corrupted.IMAGES]
    shape = (len(corruptions.SETS), *clean.shape)
    images = np.lib.format.open_memmap(folder / "images.npy", "w+", np.uint8, shape)
    for number, (name, strength) in enumerate(corruptions.SETS):
        seed = derive_seed(place.config.seed, "corrupted", name, strength)
        rng = np.random.default_rng(seed)
        for index, image in enumerate(clean):
            images[number, index] = corruptions.corrupt(image, name, strength, rng)
    images.flush()
    (folder / corrupted.WAYS).write_bytes(corrupted.ways().encode())
    return ["images.npy", corrupted.WAYS]


def predict(task, place, folder, report) -> list[str]:
    """Predictions of a model of the run for the corrupted images. Settings: `model`.

    Args:
      task: the task.
      place: config, run directory and this process's data.
      folder: where to write its files.
      report: called with progress.
    """
    file = place.run.record(task.settings["model"]).model
    images = place.run.record(corrupted.CORRUPTED.name).path / "images.npy"
    images = np.load(images, mmap_mode="r")
    if file.suffix == ".tflite":
        content = file.read_bytes()
        settings = edge.Settings(threads=place.threads)
        softmax = [edge.predict(content, each, settings) for each in images]
    else:
        softmax = list(map(training.predictor(models.load(file)), images))
    np.save(folder / "softmax.npy", np.asarray(softmax, np.float32))
    return ["softmax.npy"]
