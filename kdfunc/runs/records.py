"""The run directory: what finished tasks leave, and how damage is found.

    config.json                the experiment
    provenance.json            command, versions, machine, times
    analysis.json              checksums of tables/ and figures/
    outputs.npz.xz             of a published run, in place of records; see `kept`
    records/<task>/            one folder a task
      softmax.npy              [snapshots, n_test, classes] float32, test split
      metrics.csv              one row per snapshot
      *.keras, model.tflite    the models
      not_possible.txt         instead of all these: why a library cannot make the model
      manifest.json            sizes and checksums, written last

No manifest, no record. Nothing here imports TensorFlow.
"""

import contextlib
import functools
import hashlib
import io
import json
import os
import pathlib
import shlex
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import filelock
import numpy as np

from kdfunc import system
from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.runs import kept
from kdfunc.writing import PARTIAL, write_atomic

if TYPE_CHECKING:
    import pandas as pd  # imported where it is used: it would slow down --help

MANIFEST = "manifest.json"
#: What reading an archive raises that is not what was written.
UNREADABLE = (
    *(OSError, ValueError, KeyError, EOFError, NotImplementedError, RuntimeError),
    *(zipfile.BadZipFile, zlib.error),
)

#: Where a training that is under way keeps what it needs to go on.
CHECKPOINT = "checkpoint.npz"


def write_json(path: pathlib.Path, content: Any) -> None:
    """Writes readable JSON atomically.

    Args:
      path: the file to write.
      content: what JSON can hold.
    """
    write_atomic(path, json.dumps(content, indent=2) + "\n")


def seal(
    folder: pathlib.Path, files: Iterable[str], manifest: str = MANIFEST, **facts: Any
) -> None:
    """Declares files of a folder finished: their sizes and checksums, written last.

    Args:
      folder: where the files lie.
      files: their names.
      manifest: the manifest's name.
      **facts: what else the manifest is to tell.
    """
    entries = {}
    for name in sorted(files):
        system.sync(folder / name)
        size = (folder / name).stat().st_size
        entries[name] = {"bytes": size, "sha256": sha256(folder / name)}
    content = {"files": entries, **facts}
    write_json(folder / manifest, {**content, "sha256": digest(content)})


def digest(content: Mapping[str, Any]) -> str:
    """Checksum of what JSON holds, however it is laid out.

    Args:
      content: what JSON can hold.
    """
    text = json.dumps(content, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def read_manifest(folder: pathlib.Path, manifest: str = MANIFEST) -> dict[str, Any]:
    """The manifest of a folder, or an empty dict where there is none that is whole.

    Args:
      folder: the record's folder.
      manifest: the file's name.
    """
    try:
        content = json.loads((folder / manifest).read_text("utf-8"))
        whole = content.pop("sha256") == digest(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}
    return content if whole else {}


def damages(folder: pathlib.Path, manifest: str = MANIFEST) -> list[str]:
    """What is wrong with a sealed folder, one clause per file; empty if whole.

    Args:
      folder: the record's folder.
      manifest: the file's name.
    """
    entries = read_manifest(folder, manifest).get("files")
    if entries is None:
        return [f"{manifest} is missing or damaged"]
    found = []
    for name, entry in entries.items():
        path = folder / name
        try:
            size = path.stat().st_size
            if size != entry["bytes"]:
                found.append(f"{name} has {size} bytes, not {entry['bytes']}")
            elif sha256(path) != entry["sha256"]:
                found.append(f"{name} is not what was written (checksum)")
        except (OSError, KeyError, TypeError):
            found.append(f"{name} cannot be read")
    return found


def sha256(path: pathlib.Path) -> str:
    """Checksum of a file's content.

    Args:
      path: the file.
    """
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def remove(path: pathlib.Path) -> None:
    """Removes whatever stands there, a folder with all that it holds; if anything.

    Args:
      path: a file, a link or a folder.
    """
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


class SoftmaxFile:
    """An `.npy` file that grows by one snapshot at a time and is never half trusted.

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
        """Begins an empty file."""
        self.path.write_bytes(self._header)
        self.checksums = []

    def resume(self, checksums: list[str]) -> bool:
        """Keeps the first snapshots if they are whole; False if they are not.

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
          softmax: of the model after an epoch, float32.
        """
        content = np.ascontiguousarray(softmax, "<f4").tobytes()
        with open(self.path, "ab") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self.checksums.append(hashlib.sha256(content).hexdigest())


class Record:
    """What one finished task left; reads only what it is asked for."""

    def __init__(self, path: pathlib.Path):
        self.path = path

    @property
    def exists(self) -> bool:
        """Whether the task finished; says nothing of later damage."""
        return (self.path / MANIFEST).exists()

    @property
    def not_possible(self) -> str | None:
        """Which library cannot make this model, and why; None where one is there."""
        path = self.path / "not_possible.txt"
        return path.read_text("utf-8").strip() if path.exists() else None

    @property
    def softmax(self) -> np.ndarray:
        """Memory-mapped `[snapshots, n_test, classes]` float32."""
        return np.load(self.path / "softmax.npy", mmap_mode="r")

    @property
    def metrics(self) -> "pd.DataFrame":
        """One row per snapshot: epoch, accuracy, log-loss, losses of the training."""
        import pandas as pd

        # As text first: pandas before 3.1 rounds what it reads as numbers.
        texts = pd.read_csv(self.path / "metrics.csv", dtype=str)
        return texts.astype(float).astype({"epoch": int})

    @property
    def epochs_done(self) -> int:
        """Of a training that is under way, as its checkpoint tells."""
        try:
            with np.load(self.path / CHECKPOINT) as content:
                return len(json.loads(str(content["facts"]))["history"]) - 1
        except UNREADABLE:
            return 0

    @property
    def made(self) -> Mapping[str, Any]:
        """How it was made: seconds, threads, machine, its instruction set, oneDNN."""
        return read_manifest(self.path).get("made", {})


class KeptRecord(Record):
    """The same of a run of which the final outputs alone were kept."""

    def __init__(self, path: pathlib.Path, softmax: np.ndarray | None):
        super().__init__(path)
        self._softmax = softmax

    @property
    def exists(self) -> bool:
        """Whether the outputs of this model were kept."""
        return self._softmax is not None

    @property
    def softmax(self) -> np.ndarray:
        """`[1, n_test, classes]` float32: what float16 carries of the last snapshot."""
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
                f"{run} has neither records nor tables/metrics.csv; get the latter."
            ) from error
        own = texts[texts["model"] == self.path.name].drop(columns="model")
        return own.astype(float).astype({"epoch": int})


class RunDirectory:
    """A directory that holds one experiment."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = pathlib.Path(path)

    @property
    def config(self) -> ExperimentConfig:
        """The experiment that the directory holds.

        Raises:
          InputError: there is none.
        """
        try:
            fields = json.loads((self.path / "config.json").read_text("utf-8"))
            return ExperimentConfig(**fields)
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"{self.path} holds no readable run ({error}); give a run directory, "
                "or remove a damaged config.json and give the command of the run."
            ) from error

    @property
    def kept(self) -> bool:
        """Whether the final outputs stand in for records; see `kdfunc.runs.kept`."""
        return not (self.path / "records").exists() and self._outputs_path.exists()

    @property
    def _outputs_path(self) -> pathlib.Path:
        return self.path / kept.FILE

    @functools.cached_property
    def _outputs(self) -> dict[str, np.ndarray]:
        return kept.load(self._outputs_path)

    def record(self, task: str) -> Record:
        """The record of a task, whether or not it is there yet.

        Args:
          task: its name.
        """
        path = self.path / "records" / task
        return KeptRecord(path, self._outputs.get(task)) if self.kept else Record(path)

    @property
    def labels(self) -> np.ndarray:
        """Labels of the test split, `[n_test]`."""
        if self.kept:
            return self._outputs["labels"]
        return np.load(self.record("data").path / "labels.npy")

    @property
    def class_names(self) -> list[str]:
        """Names of the classes."""
        if self.kept:
            return self._outputs["class_names"].tolist()
        return json.loads(
            (self.record("data").path / "class_names.json").read_text("utf-8")
        )

    @property
    def nearest(self) -> pathlib.Path:
        """The folder itself, or the one that it will be made in."""
        nearest = self.path.absolute()
        while not os.path.lexists(nearest):
            nearest = nearest.parent
        return nearest

    def check(self, config: ExperimentConfig) -> ExperimentConfig:
        """Makes sure that the directory can be written and holds no other experiment.

        Args:
          config: the experiment that is to be run.

        Returns:
          What the directory is to hold: the config, with what it holds beside that.

        Raises:
          InputError: it cannot be written, or it was made with another config.
        """
        try:
            config = self._joined(config)
            tempfile.TemporaryFile(dir=self.nearest).close()
        except OSError as error:
            raise self._cannot_write(error) from error
        return config

    def _joined(self, config: ExperimentConfig) -> ExperimentConfig:
        if not (self.path / "config.json").exists():
            return config
        there = self.config
        differences = [
            f"{field} is {mine} there and {theirs} here"
            for field, (mine, theirs) in there.conflicts(config).items()
        ]
        if differences:
            folder = str(self.path.parent)
            flag = [] if folder == "runs" else [f"--output_dir={folder}"]
            command = " ".join([there.command, *map(shlex.quote, flag)])
            raise InputError(
                f"--output_dir: {self.path} holds another experiment "
                f"({'; '.join(differences)}); give another directory, or go on with "
                f"the one that is there: `{command}`"
            )
        return there.joined(config)

    def _cannot_write(self, error: OSError) -> InputError:
        path = str(self.path)
        shown = path if len(path) < 300 else f"{path[:300]}..."
        return InputError(
            f"--output_dir: {shown} cannot be written ({error.strerror}); give another "
            "directory."
        )

    @contextlib.contextmanager
    def claimed(self, config: ExperimentConfig) -> Iterator[None]:
        """Holds the directory for one run; a lock of a dead process does not count.

        Args:
          config: the experiment that is to be run.

        Raises:
          InputError: another run is using it, or `check` refuses it.
        """
        lock = filelock.FileLock(self.path / ".lock")
        try:
            self.check(config)
            self.path.mkdir(parents=True, exist_ok=True)
            lock.acquire(blocking=False)
        except filelock.Timeout:
            raise InputError(
                f"--output_dir: another run is using {self.path}; wait for it or "
                "give another directory."
            ) from None
        except OSError as error:
            raise self._cannot_write(error) from error
        with lock:
            for leftover in self.path.rglob(f".*{PARTIAL}"):
                remove(leftover)
            # Another run may have asked for more between the check and the lock.
            write_json(self.path / "config.json", self._joined(config).to_dict())
            yield

    def damaged(self, tasks: Iterable[str]) -> dict[str, list[str]]:
        """The finished records among the tasks that are damaged, and how.

        Args:
          tasks: names of tasks.
        """
        found = {}
        for task in tasks:
            record = self.record(task)
            problems = damages(record.path) if record.exists else []
            if problems:
                found[task] = problems
        return found

    def discard(self, task: str) -> None:
        """Removes a task's record, the manifest first.

        Args:
          task: its name.
        """
        record = self.record(task)
        if record.path.is_dir():
            remove(record.path / MANIFEST)
        remove(record.path)
