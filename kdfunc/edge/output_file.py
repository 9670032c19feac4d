"""Writes outputs in batches, so they need not fit into memory."""

import os
import pathlib
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from typing import BinaryIO

import numpy as np

from kdfunc import system
from kdfunc.edge.files import SUFFIX
from kdfunc.errors import InputError
from kdfunc.writing import output_path, telling


class OutputFile:
    """A file of outputs, written in batches, completely or not at all.

    Args:
      path: a `.npy` file for one output, or a `.npz` file for all outputs by name.
      rows: how many there will be.
      inputs: files that are read at the same time, which it must not replace.

    Raises:
      InputError: it cannot be written there, or is neither.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        rows: int,
        inputs: Sequence[str | os.PathLike] = (),
    ):
        self._given, self._rows = os.fspath(path), rows
        self._path = output_path(path, inputs)
        if self._path.suffix not in (".npy", ".npz"):
            raise InputError(
                f"--output: got {self._given}; give a .npy file for a single output, "
                "or a .npz file for all outputs."
            )
        self._is_archive = self._path.suffix == ".npz"
        self._files: dict[str, BinaryIO] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._types: dict[str, np.dtype] = {}
        with telling(self._given):
            self._folder = tempfile.TemporaryDirectory(
                prefix=".kdfunc-", dir=self._path.parent
            )

    def append(self, batch: Mapping[str, np.ndarray]) -> None:
        """Adds rows `[n, ...]` of each output.

        Args:
          batch: by the output's name; all with the same n.

        Raises:
          InputError: there are several outputs but the file holds one, shapes or the
            lengths of texts differ between batches, or the disk is full.
        """
        if len(batch) > 1 and not self._is_archive:
            raise InputError(
                f"the model has {len(batch)} outputs ({', '.join(batch)}), but "
                f"{self._given} holds only one; give a .npz file as --output."
            )
        with telling(self._given):
            for name, values in batch.items():
                if name not in self._files:
                    self._begin(name, values)
                elif values.shape[1:] != self._shapes[name]:
                    raise InputError(
                        f"{name} has shape {list(values.shape[1:])} for some examples "
                        f"and {list(self._shapes[name])} for others, which do not fit "
                        "into one array; choose another signature."
                    )
                elif values.dtype != self._types[name]:  # the longest of its texts
                    raise InputError(
                        f"{name} is text whose length differs between batches; give a "
                        "--batch-size of all examples, or choose another signature."
                    )
                self._files[name].write(np.ascontiguousarray(values).data)

    def __enter__(self) -> "OutputFile":
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            with telling(self._given):
                for file in self._files.values():
                    file.close()  # which writes what is left
                if kind is None:
                    self._finish()
        finally:
            self._folder.cleanup()

    def _begin(self, name: str, values: np.ndarray) -> None:
        self._shapes[name], self._types[name] = values.shape[1:], values.dtype
        path = pathlib.Path(self._folder.name, str(len(self._files)))
        self._files[name] = open(path, "xb")
        header = {
            "descr": np.lib.format.dtype_to_descr(values.dtype),
            "fortran_order": False,
            "shape": (self._rows, *values.shape[1:]),
        }
        np.lib.format.write_array_header_1_0(self._files[name], header)

    def _finish(self) -> None:
        paths = {name: file.name for name, file in self._files.items()}
        if self._is_archive:
            whole = pathlib.Path(self._folder.name, "archive")
            with zipfile.ZipFile(whole, "x") as archive:
                for name, path in paths.items():
                    archive.write(path, name + SUFFIX)
                    os.unlink(path)
        else:
            (whole,) = map(pathlib.Path, paths.values())
        system.sync(whole)
        system.insist(os.replace, whole, self._path)
        system.sync(self._path.parent)
