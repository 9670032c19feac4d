"""How test images are corrupted and predicted: task kinds, see `runs.worker`."""

import numpy as np

from kdfunc import corruptions, edge, models, training
from kdfunc.runs import corrupted
from kdfunc.runs.workplace import Work
from kdfunc.runtime import derive_seed


def corrupt(work: Work) -> list[str]:
    """Corrupts the first test images in all ways, each with its own random seed.

    Args:
      work: the task, and what it takes to do it.
    """
    clean = np.load(work.run.record("data").path / "images.npy", mmap_mode="r")
    clean = clean[: corrupted.IMAGES]
    shape = (len(corruptions.SETS), *clean.shape)
    images = np.lib.format.open_memmap(
        work.folder / "images.npy", "w+", np.uint8, shape
    )
    for number, (name, strength) in enumerate(corruptions.SETS):
        seed = derive_seed(work.config.seed, "corrupted", name, strength)
        rng = np.random.default_rng(seed)
        for index, image in enumerate(clean):
            images[number, index] = corruptions.corrupt(image, name, strength, rng)
    images.flush()
    (work.folder / corrupted.WAYS).write_bytes(corrupted.ways().encode())
    return ["images.npy", corrupted.WAYS]


def predict(work: Work) -> list[str]:
    """Predictions of a model of the run for the corrupted images. Settings: `model`.

    Args:
      work: the task, and what it takes to do it.
    """
    file = work.run.record(work.settings["model"]).model
    images = work.run.record(corrupted.CORRUPTED.name).path / "images.npy"
    images = np.load(images, mmap_mode="r")
    if file.suffix == ".tflite":
        content = file.read_bytes()
        settings = edge.Settings(threads=work.place.threads)
        softmax = [edge.predict(content, each, settings) for each in images]
    else:
        softmax = list(map(training.predictor(models.load(file)), images))
    np.save(work.folder / "softmax.npy", np.asarray(softmax, np.float32))
    return ["softmax.npy"]
