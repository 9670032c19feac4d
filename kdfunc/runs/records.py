"""Records: the files of each finished task in its folder of the run directory.

    softmax.npy              [snapshots, n_test, classes] float32, test split
    metrics.csv              one row per snapshot
    *.keras, model.tflite    the models
    not_possible.txt         instead of all these: why the model cannot be made
    manifest.json            sizes and checksums, written last

No TensorFlow is imported here.
"""

import json
import pathlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kdfunc import checksums
from kdfunc.errors import InputError
from kdfunc.snapshots import CHECKPOINT, UNREADABLE
from kdfunc.text import did_you_mean

if TYPE_CHECKING:
    import pandas as pd  # imported where it is used: it would slow down --help


#: Files that hold a model; the first that is there is the finished one.
MODELS = ("model.tflite", "model.keras", "final.keras")


class Record:
    """The record of one finished task; reads only what is requested."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether the task finished; does not detect later damage."""
        return (self.path / checksums.MANIFEST).exists()

    @property
    def model(self) -> pathlib.Path | None:
        """The file of the finished model; None if it was not kept."""
        files = (self.path / name for name in MODELS)
        return next((file for file in files if file.exists()), None)

    @property
    def not_possible(self) -> str | None:
        """Which library cannot make this model, and why; None if the model exists."""
        path = self.path / "not_possible.txt"
        return path.read_text("utf-8").strip() if path.exists() else None

    @property
    def softmax(self) -> np.ndarray:
        """Memory-mapped `[snapshots, n_test, classes]` float32."""
        try:
            return np.load(self.path / "softmax.npy", mmap_mode="r")
        except FileNotFoundError as error:
            there = self.path.parent.glob("*/softmax.npy")
            close = did_you_mean(self.path.name, (path.parent.name for path in there))
            raise InputError(
                f"{self.path} has no outputs; look into {self.path.parent}{close}"
            ) from error

    @property
    def metrics(self) -> "pd.DataFrame":
        """One row per snapshot: epoch, accuracy, log-loss, losses of the training."""
        import pandas as pd

        # As text first: pandas before 3.1 rounds what it reads as numbers.
        texts = pd.read_csv(self.path / "metrics.csv", dtype=str)
        return texts.astype(float).astype({"epoch": int})

    @property
    def epochs_done(self) -> int:
        """Epochs done of a running training, from its checkpoint."""
        return max(len(self._checkpointed.get("history", [])) - 1, 0)

    @property
    def seconds_spent(self) -> float:
        """What a running training took up to its checkpoint, stops left out."""
        return self._checkpointed.get("seconds", 0.0)

    @property
    def _checkpointed(self) -> dict[str, Any]:
        try:
            with np.load(self.path / CHECKPOINT) as content:
                return json.loads(str(content["facts"]))
        except UNREADABLE:
            return {}

    @property
    def made(self) -> Mapping[str, Any]:
        """How it was made: seconds, threads, machine, instruction set, versions."""
        return checksums.read_manifest(self.path).get("made", {})


class KeptRecord(Record):
    """The record of a run of which only the final outputs were kept."""

    def __init__(self, path: pathlib.Path, softmax: np.ndarray | None):
        super().__init__(path)
        self._softmax = softmax

    @property
    def exists(self) -> bool:
        """Whether the outputs of this model were kept."""
        return self._softmax is not None

    @property
    def softmax(self) -> np.ndarray:
        """`[1, n_test, classes]` float32: the last snapshot, rounded to float16."""
        if self._softmax is None:
            raise InputError(f"{self.path}: the outputs of no such model were kept.")
        return self._softmax[None].astype(np.float32)

    @property
    def metrics(self) -> "pd.DataFrame":
        """The model's rows of the run's `tables/metrics.csv`."""
        import pandas as pd

        run = self.path.parents[1]
        try:
            texts = pd.read_csv(run / "tables" / "metrics.csv", dtype=str)
        except OSError as error:
            raise InputError(
                f"{run} has neither records nor tables/metrics.csv; get a copy with "
                "tables/metrics.csv."
            ) from error
        own = texts[texts["model"] == self.path.name].drop(columns="model")
        return own.astype(float).astype({"epoch": int})
