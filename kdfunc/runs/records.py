"""Records: the files of each finished task in its folder of the run directory.

    softmax.npy              [snapshots, n_test, classes] float32, test split
    metrics.csv              one row per snapshot
    *.keras, model.tflite    the models
    not_possible.txt         instead of all these: why the model cannot be made
    manifest.json            sizes and checksums, written last

No TensorFlow is imported here.
"""

import hashlib
import io
import json
import pathlib
import zipfile
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from kdfunc import checksums, system
from kdfunc.errors import InputError

if TYPE_CHECKING:
    import pandas as pd  # imported where it is used: it would slow down --help

#: What reading an archive raises that is not what was written.
UNREADABLE = (
    *(OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)

#: Where a training that is under way keeps what it needs to go on.
CHECKPOINT = "checkpoint.npz"


class SoftmaxFile:
    """An `.npy` file that grows by one snapshot at a time, each with a checksum.

    Attributes:
      checksums: SHA-256 of each snapshot that is in the file.
    """

    def __init__(self, path: pathlib.Path, shape: tuple[int, int, int]):
        self.path = path
        self.shape = shape
        self.checksums: list[str] = []
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            header, {"descr": "<f4", "fortran_order": False, "shape": shape}
        )
        self._header = header.getvalue()

    def start(self) -> None:
        """Starts an empty file."""
        self.path.write_bytes(self._header)
        self.checksums = []

    def resume(self, checksums: list[str]) -> bool:
        """Keeps the first snapshots if they are intact; returns False if they are not.

        Args:
          checksums: one per snapshot that was written.
        """
        size = self.shape[1] * self.shape[2] * 4
        try:
            with open(self.path, "r+b") as file:
                whole = file.read(len(self._header)) == self._header and all(
                    hashlib.sha256(file.read(size)).hexdigest() == checksum
                    for checksum in checksums
                )
                if whole:
                    file.truncate(len(self._header) + size * len(checksums))
        except OSError:
            return False
        if whole:
            self.checksums = list(checksums)
        return whole

    def append(self, softmax: np.ndarray) -> None:
        """Adds a snapshot `[n_test, classes]` and waits until it is on the disk.

        Args:
          softmax: the model's outputs after an epoch, float32.
        """
        content = np.ascontiguousarray(softmax, "<f4").tobytes()
        with open(self.path, "ab") as file:
            file.write(content)
            file.flush()
            system.flush(file.fileno())
        self.checksums.append(hashlib.sha256(content).hexdigest())


class Record:
    """The record of one finished task; reads only what is requested."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether the task finished; does not detect later damage."""
        return (self.path / checksums.MANIFEST).exists()

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
            names = ", ".join(sorted(path.parent.name for path in there))
            raise InputError(
                f"{self.path} has no outputs; there are those of {names or 'no model'}."
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
        try:
            with np.load(self.path / CHECKPOINT) as content:
                return len(json.loads(str(content["facts"]))["history"]) - 1
        except UNREADABLE:
            return 0

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
