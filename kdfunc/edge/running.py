"""Models run by the commands: opened by kind, in a process of their own, and timed."""

import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kdfunc import system
from kdfunc.edge.files import ImageFile, OutputFile
from kdfunc.edge.interpreter import Model
from kdfunc.edge.isolation import Isolated
from kdfunc.edge.networks import Network


@dataclass(frozen=True)
class Settings:
    """How models are run.

    Attributes:
      batch_size: images an invocation.
      threads: of the interpreter.
      seconds: limit for loading a model and for each batch.
      memory: limit in bytes for a `.tflite` model and its interpreter; None for none,
        which is the default where the system has no such limit.
    """

    batch_size: int = 100
    threads: int = 1
    seconds: float = 60
    memory: int | None = field(default_factory=system.half_of_memory)


def is_tflite(path: str | os.PathLike) -> bool:
    """Whether a path is taken for a TFLite model: no `.keras` file and no folder."""
    path = pathlib.Path(path)
    return path.suffix != ".keras" and not path.is_dir()


class Runner:
    """A model that is run, timed, and measured in the process it has for itself.

    Args:
      path: of a `.tflite` or `.keras` file, or of the folder of a SavedModel.
      threads: of the interpreter.
    """

    def __init__(self, path: str | os.PathLike, threads: int):
        self._before = system.memory("VmRSS")
        self._model = (Model if is_tflite(path) else Network)(path, threads)
        self.predict = self._model.predict

    def seconds(self, batch_size: int, runs: int) -> list[float]:
        """Times of so many runs with a batch of that size."""
        run = self._model.random_run(batch_size)
        return [_time(run) for _ in range(runs)]

    def memory(self) -> int | None:
        """Peak memory so far, in bytes, beyond that before the model was loaded.

        None where the system does not tell.
        """
        return self._before and system.memory("VmHWM") - self._before


def _time(run: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def isolated(path: str | os.PathLike, settings: Settings) -> Isolated:
    """A `Runner` in a process of its own."""
    return Isolated(
        Runner,
        os.fspath(path),
        settings.threads,
        title=os.fspath(path),
        seconds=settings.seconds,
        memory=settings.memory if is_tflite(path) else None,
    )


def outputs(
    model: Isolated, images: ImageFile, settings: Settings
) -> Iterator[np.ndarray]:
    """What a model gives for the images of a file, a batch at a time.

    A person at a terminal is shown how far it is.
    """
    done = 0
    for batch in images.batches(settings.batch_size):
        yield model.call("predict", batch)
        done += len(batch)
        if sys.stderr.isatty():
            end = "\n" if done == len(images) else ""
            print(f"\r{done:,} of {len(images):,} images", end=end, file=sys.stderr)


def predict_file(
    model: str | os.PathLike,
    data: str | os.PathLike,
    output: str | os.PathLike,
    settings: Settings | None = None,
) -> None:
    """Writes what a model gives for the images of a file; neither need fit memory.

    Args:
      model: path of the model.
      data: `.npz` with `images`, or `.npy` of images.
      output: `.npy` file to write, float32 `[n, classes]`.
      settings: how the model is run.

    Raises:
      InputError: a file that is not what it should be, or cannot be written, or a model
        that cannot be run within the limits.
    """
    settings = settings or Settings()
    images = ImageFile(data)
    with (
        isolated(model, settings) as runner,
        OutputFile(output, len(images)) as file,
    ):
        for batch in outputs(runner, images, settings):
            file.append(batch)
