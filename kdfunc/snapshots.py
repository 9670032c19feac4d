"""What a training leaves on the disk after each epoch: outputs, and how to go on.

No TensorFlow is imported here.
"""

import hashlib
import io
import json
import pathlib
import time
import zipfile
import zlib

import numpy as np

from kdfunc import checksums, system
from kdfunc.writing import replacing

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


class Checkpoint:
    """Everything that the next epoch depends on, in one file, replaced as a whole.

    The file is a zip archive, which has a checksum of each of its parts.
    """

    def __init__(self, record: pathlib.Path, network, optimizer):
        """Takes the record's folder, a Keras network and its legacy optimizer."""
        self.path = record / CHECKPOINT
        self.initial = record / "initial.keras"
        self.network, self.optimizer = network, optimizer
        self._begin = time.monotonic()

    def save(self, history: list[dict[str, float]], softmax) -> None:
        """Replaces the older state with this one.

        Args:
          history: one row of metrics per snapshot.
          softmax: the `SoftmaxFile` that has these snapshots.
        """
        facts = {
            "history": history,
            "snapshots": softmax.checksums,
            "initial": checksums.sha256(self.initial),
            "seconds": round(time.monotonic() - self._begin, 2),
        }
        state = [*self.network.get_weights(), *self.optimizer.get_weights()]
        with replacing(self.path) as file:
            np.savez(file, *state, facts=json.dumps(facts))

    def restore(self, softmax) -> list[dict[str, float]]:
        """The history so far, after loading the state; empty if no state is intact.

        Args:
          softmax: the `SoftmaxFile`, which is resumed or started.
        """
        # Keras makes the variables of its legacy optimizers when they are first used.
        self.optimizer._create_all_weights(self.network.trainable_variables)
        try:
            with np.load(self.path) as content:
                facts = json.loads(str(content["facts"]))
                state = [content[f"arr_{i}"] for i in range(len(content) - 1)]
            weights = [*self.network.weights, *self.optimizer.weights]
            # Set one by one, some would be there when another does not fit.
            fits = [tuple(w.shape) for w in weights] == [a.shape for a in state]
            whole = checksums.sha256(self.initial) == facts["initial"]
            if fits and whole and softmax.resume(facts["snapshots"]):
                count = len(self.network.weights)
                self.network.set_weights(state[:count])
                self.optimizer.set_weights(state[count:])
                self._begin -= facts.get("seconds", 0)
                return facts["history"]
        except UNREADABLE:
            pass
        softmax.start()
        return []
