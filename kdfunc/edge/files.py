"""Images read and outputs written a batch at a time; neither need fit memory."""

import contextlib
import math
import os
import pathlib
import zipfile
import zlib
from collections.abc import Iterator

import numpy as np

from kdfunc.errors import InputError

EXPECTED = (
    "give a .npy file of images [n, ...] or a .npz file with the member `images` and, "
    "where known, the true classes [n] as `labels`"
)
#: What numpy and zipfile raise for files that are damaged or no arrays.
UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
    zipfile.BadZipFile,
    zlib.error,
)


class ImageFile:
    """Images, and labels where there are any, in a `.npy` or `.npz` file.

    Args:
      path: `.npy` of images, or `.npz` with `images` and perhaps `labels`.

    Attributes:
      shape: `(n, ...)` of the images.
      labels: `[n]` true classes, or None.

    Raises:
      InputError: here and in `batches`: no such file, damaged, no images in it.
    """

    def __init__(self, path: str | os.PathLike):
        self._path = pathlib.Path(path)
        self._array = self.labels = None
        with self._telling():
            if not zipfile.is_zipfile(path):
                self._array = np.lib.format.open_memmap(path, mode="r")
                self.shape = self._array.shape
            else:
                self.labels = self._check_members()
                with self._stream() as (self.shape, _, _):
                    pass
        if len(self.shape) < 2 or min(self.shape) < 1:
            raise InputError(f"{path} has an array {list(self.shape)}; {EXPECTED}.")
        if self.labels is not None and self.labels.shape != self.shape[:1]:
            raise InputError(
                f"{path} has {self.shape[0]} images and labels "
                f"{list(self.labels.shape)}; {EXPECTED}."
            )

    def __len__(self) -> int:
        return self.shape[0]

    def batches(self, size: int) -> Iterator[np.ndarray]:
        """Reads the images in order, so many at a time."""
        counts = [min(size, len(self) - start) for start in range(0, len(self), size)]
        with self._telling():
            if self._array is not None:
                for i, count in enumerate(counts):
                    yield np.array(self._array[i * size : i * size + count])
                return
            with self._stream() as (shape, dtype, stream):
                one = math.prod(shape[1:]) * dtype.itemsize
                for count in counts:
                    content = stream.read(count * one)
                    if len(content) < count * one:
                        raise EOFError("it ends before its last image")
                    yield np.frombuffer(content, dtype).reshape(count, *shape[1:])

    def _check_members(self) -> np.ndarray | None:
        """The labels, where there are any."""
        with np.load(self._path, allow_pickle=False) as members:
            if "images" not in members.files:
                raise InputError(
                    f"{self._path} has {', '.join(members.files) or 'no members'}; "
                    f"{EXPECTED}."
                )
            return members["labels"] if "labels" in members.files else None

    @contextlib.contextmanager
    def _stream(self):
        """Shape, type and the stream of the images' bytes in a `.npz` file."""
        with zipfile.ZipFile(self._path) as archive, archive.open("images.npy") as file:
            if np.lib.format.read_magic(file) == (1, 0):
                header = np.lib.format.read_array_header_1_0(file)
            else:
                header = np.lib.format.read_array_header_2_0(file)
            shape, fortran_order, dtype = header
            if fortran_order or dtype.hasobject:
                raise ValueError("its images are objects or not in C order")
            yield shape, dtype, file

    @contextlib.contextmanager
    def _telling(self):
        try:
            yield
        except InputError:
            raise
        except UNREADABLE as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f"{self._path} cannot be read ({reason.rstrip('.')}); {EXPECTED}."
            ) from error


class OutputFile:
    """A `.npy` file of float32, written a batch at a time, there whole or not at all.

    Args:
      path: of the file.
      rows: how many there will be.

    Raises:
      InputError: it cannot be written there.
    """

    def __init__(self, path: str | os.PathLike, rows: int):
        self._path = pathlib.Path(path)
        self._partial = self._path.with_name(self._path.name + ".partial")
        self._rows = rows
        try:
            self._file = open(self._partial, "wb")
        except OSError as error:
            raise InputError(
                f"{path} cannot be written ({error.strerror}); give a path in a "
                "folder that exists and may be written to."
            ) from error

    def append(self, batch: np.ndarray) -> None:
        """Adds rows `[n, ...]`."""
        if self._file.tell() == 0:
            np.lib.format.write_array_header_1_0(
                self._file,
                {
                    "descr": "<f4",
                    "fortran_order": False,
                    "shape": (self._rows, *batch.shape[1:]),
                },
            )
        self._file.write(np.ascontiguousarray(batch, "<f4"))

    def __enter__(self) -> "OutputFile":
        return self

    def __exit__(self, kind, error, trace) -> None:
        try:
            with self._file:
                if kind is None:
                    self._file.flush()
                    os.fsync(self._file.fileno())
            if kind is None:
                os.replace(self._partial, self._path)
        finally:
            self._partial.unlink(missing_ok=True)
