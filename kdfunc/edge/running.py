"""Runs models of any kind over a file of examples in a separate process, with times."""

import os
import pathlib
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdfunc import system
from kdfunc.edge.examples import fits, joined
from kdfunc.edge.files import LABELS, DataFile
from kdfunc.edge.isolation import Isolated
from kdfunc.edge.model import Model
from kdfunc.edge.networks import Network
from kdfunc.edge.output_file import OutputFile
from kdfunc.edge.settings import Settings

#: What an output called `labels` is called in a file, where these are the true classes.
RENAMED = {LABELS: "labels_output"}


def is_tflite(path: str | os.PathLike) -> bool:
    """Whether a path is taken for a TFLite model: neither a `.keras` file nor a folder.

    Args:
      path: of the model.
    """
    path = pathlib.Path(path)
    return path.suffix != ".keras" and not path.is_dir()


class Runner:
    """A model that is run and measured in its own process.

    Args:
      path: of a `.tflite` or `.keras` file, or of the folder of a SavedModel.
      settings: how it is run.
    """

    def __init__(self, path: str | os.PathLike, settings: Settings):
        self._before = system.memory("VmRSS")
        self._model = (Model if is_tflite(path) else Network)(path, settings)
        self.run = self._model.run
        self.told = self._model.told

    def inputs(self):
        """The model's inputs."""
        return self._model.inputs

    def seconds(self, batch_size: int, runs: int) -> list[float]:
        """Times of a number of runs with a given batch size.

        Args:
          batch_size: examples per run.
          runs: how many to time.
        """
        run = self._model.random_run(batch_size)
        return [_time(run) for _ in range(runs)]

    def memory(self) -> int | None:
        """Peak memory so far, in bytes, less the memory before the model was loaded.

        None if the system does not tell.
        """
        now = system.memory("VmHWM")
        return now - self._before if now and self._before else None


def _time(run: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def isolated(path: str | os.PathLike, settings: Settings) -> Isolated:
    """A `Runner` in a separate process.

    Args:
      path: of the model.
      settings: how it is run, and its limits on time and memory.
    """
    return Isolated(
        Runner,
        os.fspath(path),
        settings,
        title=os.fspath(path),
        seconds=settings.seconds,
        memory=settings.memory,
    )


def batches_of(
    runner: Isolated,
    path: str | os.PathLike,
    data: DataFile,
    settings: Settings,
    title: str = "",
) -> Iterator[dict[str, np.ndarray]]:
    """All outputs of a model by name, `[batch, ...]`, for each batch of a file.

    Shows progress on a terminal.

    Args:
      runner: holds the model.
      path: of the model, for errors.
      data: the file of examples.
      settings: how the model is run.
      title: what the progress is called; by default the name of the file.

    Raises:
      InputError: the file lacks an input of the model, or the model cannot be run.
    """
    ports = runner.call("inputs")
    names = data.names_for([port.name for port in ports], os.fspath(path))
    for name, port in zip(names, ports, strict=True):  # before anything large is read
        fits(data.shapes[name], port, os.fspath(path))
    done = 0
    for arrays in data.batches(names, settings.batch_size, settings.memory):
        examples = {
            port.name: values for port, values in zip(ports, arrays, strict=True)
        }
        yield runner.call("run", examples)
        done += len(arrays[0])
        if sys.stderr.isatty():
            title = title or pathlib.Path(path).name
            told = f"{title}: {done:,} of {len(data):,} examples"
            end = "\n" if done == len(data) else ""
            print(f"\r{told}", end=end, file=sys.stderr, flush=True)


@dataclass(frozen=True)
class Outputs:
    """The outputs of a model for the examples of a file.

    Attributes:
      arrays: `[n, ...]` by the output's name, in the model's order: float32, with
        quantized numbers dequantized; integers that are not quantized stay unchanged.
      told: how it was run, in a form that JSON can represent; see
        `kdfunc.edge.Model.told`.
    """

    arrays: dict[str, np.ndarray]
    told: dict[str, Any]


def outputs_of(
    model: str | os.PathLike,
    data: DataFile | str | os.PathLike,
    settings: Settings | None = None,
    title: str = "",
) -> Outputs:
    """Runs a model over the examples of a file, in a separate process.

    Args:
      model: path of a `.tflite` or `.keras` file, or of the folder of a SavedModel.
      data: `.npz` with `images`, or with one array per input under its name; `.npy`.
      settings: how it is run: preprocessing, signature, kernels, limits.
      title: what the progress on a terminal is called; by default the file's name.

    Returns:
      All outputs in memory, and how they were computed.

    Raises:
      InputError: the file cannot be used, or the model cannot be run on it within the
        limits.
    """
    settings = settings or Settings()
    data = data if isinstance(data, DataFile) else DataFile(data)
    with isolated(model, settings) as runner:
        return outputs_by(runner, model, data, settings, title)


def outputs_by(
    runner: Isolated,
    path: str | os.PathLike,
    data: DataFile,
    settings: Settings,
    title: str = "",
) -> Outputs:
    """`outputs_of` a model that is in its process already.

    Args:
      runner: holds the model.
      path: of the model, for errors.
      data: the file of examples.
      settings: how the model is run.
      title: what the progress is called; by default the name of the file.

    Raises:
      InputError: as `outputs_of` does.
    """
    batches = list(batches_of(runner, path, data, settings, title))
    arrays = {
        name: joined([batch[name] for batch in batches], name, os.fspath(path))
        for name in batches[0]
    }
    return Outputs(arrays, runner.call("told"))


def predict_file(
    model: str | os.PathLike,
    data: str | os.PathLike,
    output: str | os.PathLike,
    settings: Settings | None = None,
) -> dict[str, Any]:
    """Writes a model's outputs for a file of examples; neither need fit into memory.

    Args:
      model: path of the model.
      data: `.npz` with `images`, or with one array per input under its name; `.npy`.
      output: `.npy` file to write for a model with one output, `[n, ...]`; `.npz` file
        for all outputs by name.
      settings: how the model is run.

    Returns:
      How it was run; see `kdfunc.edge.Model.told`.

    Raises:
      InputError: a file cannot be used or written, or the model cannot be run within
        the limits.
    """
    settings = settings or Settings()
    examples = DataFile(data)
    with (
        isolated(model, settings) as runner,
        OutputFile(output, len(examples), [model, data]) as file,
    ):
        for batch in batches_of(runner, model, examples, settings):
            file.append({RENAMED.get(name, name): x for name, x in batch.items()})
        told = runner.call("told")
    if LABELS in batch and pathlib.Path(output).suffix == ".npz":
        told["notes"].append(
            f"the output {LABELS!r} is called {RENAMED[LABELS]!r} in {output}, where "
            f"{LABELS!r} would be taken for the true classes."
        )
    return told
