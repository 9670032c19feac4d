"""The run directory: the records of finished tasks, and the lock for writing.

    config.json                the experiment
    provenance.json            command, versions, machine, times
    analysis.json              checksums of tables/ and figures/
    outputs.npz.xz             of a published run, in place of records; see `kept`
    records/<task>/            one folder per task; see `records`

No manifest, no record. No TensorFlow is imported here.
"""

import contextlib
import functools
import json
import os
import pathlib
from collections.abc import Iterable, Iterator

import filelock
import numpy as np

from kdfunc import checksums, system
from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.runs import extension, kept, sources
from kdfunc.runs.records import KeptRecord, Record
from kdfunc.writing import PARTIAL, check_writable, nearest, remove, write_json


class RunDirectory:
    """A directory with one experiment."""

    def __init__(self, path: str | os.PathLike[str]):
        self.path = pathlib.Path(path)

    @property
    def config(self) -> ExperimentConfig:
        """The experiment in the directory.

        Raises:
          InputError: there is none.
        """
        try:
            fields = json.loads((self.path / "config.json").read_text("utf-8"))
            return ExperimentConfig(**fields)
        except (FileNotFoundError, NotADirectoryError) as error:
            lacks = "is not there"
            if self.path.exists():
                lacks = "has no config.json" if self.path.is_dir() else "is a file"
            raise InputError(
                f"{self.path} {lacks}; give a run directory, such as "
                "runs/digits-lenet-published."
            ) from error
        except (OSError, ValueError, TypeError) as error:
            raise InputError(
                f"{self.path} holds no readable run ({error}); remove its damaged "
                "config.json and repeat the command of the run, or give another "
                "directory."
            ) from error

    @property
    def kept(self) -> bool:
        """Whether final outputs replace the records; see `kdfunc.runs.kept`."""
        return not (self.path / "records").exists() and self._outputs_path.exists()

    @property
    def _outputs_path(self) -> pathlib.Path:
        return self.path / kept.FILE

    @functools.cached_property
    def _outputs(self) -> dict[str, np.ndarray]:
        return kept.load(self._outputs_path)

    def record(self, task: str) -> Record:
        """The record of a task, whether or not it exists yet.

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
        """The folder itself, or the one in which it will be created."""
        return nearest(self.path)

    def check(self, config: ExperimentConfig) -> ExperimentConfig:
        """Checks that the directory can be written and holds no other experiment.

        Args:
          config: the experiment to run.

        Returns:
          The config, extended by what the directory already holds beyond it.

        Raises:
          InputError: it cannot be written, or as for `joined`.
        """
        try:
            config = self.joined(config)
            check_writable(self.nearest)
        except OSError as error:
            raise self._cannot_write(error) from error
        return config

    def joined(self, config: ExperimentConfig) -> ExperimentConfig:
        """The config, extended by what the directory already holds beyond it.

        Args:
          config: the experiment to run or to verify.

        Raises:
          InputError: it was made with another config, or has no records.
        """
        if self.kept:
            raise InputError(
                f"--output_dir: {self.path} holds the final outputs of a published run "
                "without its records, so it can be neither continued nor verified; "
                "give another directory."
            )
        there = self.config if (self.path / "config.json").exists() else config
        self._check_records(there)
        differences = [
            f"{field} is {mine} there and {theirs} here"
            for field, (mine, theirs) in extension.conflicts(there, config).items()
        ]
        if differences:
            folder = str(self.path.parent)
            flag = f" {system.quoted([f'--output_dir={folder}'])}"
            command = there.command + ("" if folder == "runs" else flag)
            raise InputError(
                f"--output_dir: {self.path} holds another experiment "
                f"({'; '.join(differences)}); give another directory, or continue the "
                f"one that is there: `{command}`"
            )
        return extension.joined(there, config)

    def _check_records(self, config: ExperimentConfig) -> None:
        """Refuses records that were made with another config."""
        for path in (self.path / "records").glob(f"*/{checksums.MANIFEST}"):
            manifest = checksums.read_manifest(path.parent)
            if different := sources.conflicts(manifest, config):
                raise InputError(
                    f"--output_dir: {self.path} has records of another experiment "
                    f"(of another --{different[0]}), since its config.json was removed "
                    "or edited; repeat the command that made them, which is in "
                    "provenance.json, after removing an edited config.json, or give "
                    "another directory."
                )

    def _cannot_write(self, error: OSError) -> InputError:
        path = str(self.path)
        shown = path if len(path) < 300 else f"{path[:300]}..."
        return InputError(
            f"--output_dir: {shown} cannot be written ({error.strerror}); give another "
            "directory."
        )

    @contextlib.contextmanager
    def claimed(self, config: ExperimentConfig) -> Iterator[None]:
        """Locks the directory for one run; the lock of a dead process does not count.

        Args:
          config: the experiment to run.

        Raises:
          InputError: another run is using it, or `check` refuses it.
        """
        self.check(config)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._cannot_write(error) from error
        with self.locked():
            # Another run may have asked for more between the check and the lock.
            write_json(self.path / "config.json", self.joined(config).to_dict())
            yield

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the directory, and removes what a run that died left half written.

        Raises:
          InputError: another run is using it, or it cannot be written.
        """
        try:
            held = filelock.FileLock(self.path / ".lock").acquire(blocking=False)
        except filelock.Timeout:
            raise InputError(
                f"another run is using {self.path}; wait for it or give another "
                "directory."
            ) from None
        except OSError as error:
            raise self._cannot_write(error) from error
        with held:
            for leftover in self.path.rglob(f".*{PARTIAL}"):
                remove(leftover)
            yield

    def damaged(self, tasks: Iterable[str]) -> dict[str, list[str]]:
        """The damaged records among the finished tasks, and the damage.

        Args:
          tasks: names of tasks.
        """
        found = {}
        for task in tasks:
            record = self.record(task)
            problems = checksums.damages(record.path) if record.exists else []
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
            remove(record.path / checksums.MANIFEST)
        remove(record.path)
