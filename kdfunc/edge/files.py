"""Reads examples in batches, so they need not fit into memory.

Headers are read first and checked against the sizes of the file and its members, so no
damaged file takes more memory or time than its size justifies.
"""

import contextlib
import io
import math
import os
import pathlib
import stat
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Literal

import numpy as np

from kdfunc.archives import is_archive
from kdfunc.errors import InputError, first_line
from kdfunc.similarity.labels import check_labels
from kdfunc.text import count

EXPECTED = (
    "give a .npy file of images [n, ...] or a .npz file with images as `images`, or "
    "one array per input under its name, and optionally true classes [n] as `labels`"
)
IMAGES, LABELS = "images", "labels"
SUFFIX = ".npy"
MOST_HEADER_BYTES = 1 << 16


@dataclass(frozen=True)
class Header:
    """The header of an array: shape, type, order, and where it ends."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool
    offset: int

    @property
    def example_bytes(self) -> int:
        """Bytes of one example."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize


def read_header(file: IO[bytes], size: int) -> Header:
    """Reads the header of an array and checks it.

    Args:
      file: at its beginning.
      size: of the file in bytes.

    Raises:
      ValueError: it is damaged, not an array of numbers, or does not match the size.
    """
    # A header can say that it is as long as it likes.
    start = io.BytesIO(file.read(MOST_HEADER_BYTES))
    try:
        version = np.lib.format.read_magic(start)
        read = {(1, 0): np.lib.format.read_array_header_1_0}.get(
            version, np.lib.format.read_array_header_2_0
        )
        shape, fortran_order, dtype = read(start)
    except Exception as error:  # its parser raises many kinds for damaged headers
        raise ValueError(f"its header is damaged: {first_line(error)}") from error
    if any(type(length) is not int or length < 0 for length in shape):
        raise ValueError(f"its header gives the shape {shape}")
    if dtype.kind not in "biufc":
        raise ValueError(f"it holds {dtype}, not numbers")
    header = Header(shape, dtype, bool(fortran_order), start.tell())
    promised = header.offset + math.prod(shape) * dtype.itemsize
    if promised > size:
        raise ValueError(
            f"an array {list(shape)} of {dtype} takes {promised:,} bytes, but there "
            f"are {size:,}"
        )
    return header


class DataFile:
    """Examples, and labels if there are any, in a `.npy` or `.npz` file.

    Args:
      path: `.npy` of images; or `.npz` with `images`, or with one array per input of a
        model under its name, and optionally `labels`.

    Attributes:
      shapes: `(n, ...)` of each array by name, without the labels.

    Raises:
      InputError: here and in the methods: the file does not exist, is damaged, or has
        no examples.
    """

    def __init__(self, path: str | os.PathLike):
        self._path = pathlib.Path(path)
        with self._telling():
            status = os.stat(path)
            if not stat.S_ISREG(status.st_mode):
                raise ValueError("it is not a regular file")
            self._is_archive = is_archive(path)
            self._unread: dict[str, ValueError] = {}
            headers = self._headers(status.st_size)
            for name in (IMAGES, LABELS):
                self._check_read(name)
        self._labels = headers.pop(LABELS, None) if self._is_archive else None
        self._arrays = headers
        self.shapes = {name: header.shape for name, header in headers.items()}
        shapes = self.shapes
        if IMAGES in shapes:
            shapes = {IMAGES: shapes[IMAGES]}
        counts = {shape[0] if shape else 0 for shape in shapes.values()}
        if len(counts) != 1 or 0 in counts:
            found = ", ".join(f"{name} {list(s)}" for name, s in shapes.items())
            raise InputError(
                f"{path} has {'' if shapes else 'no arrays'}{found}, which are not "
                f"examples; {EXPECTED}."
            )
        (self._count,) = counts
        n = self._count
        if self._labels is not None and self._labels.shape not in ((n,), (n, 1)):
            shape = self._labels.shape
            advice = EXPECTED
            if len(shape) == 2 and shape[0] == n:
                advice = "give labels.argmax(1) if they are one-hot"
            raise InputError(
                f"{path} has {count(n, 'example')} but labels {list(shape)}; {advice}."
            )

    def __len__(self) -> int:
        return self._count

    @property
    def labels(self) -> np.ndarray | None:
        """`[n]` true classes from the file, or None."""
        if self._labels is None:
            return None
        with self._telling(), self._opened(LABELS) as read:
            labels = read(self._count)
        return check_labels(labels, self._count)

    def names_for(self, inputs: Sequence[str], model: str) -> list[str]:
        """The arrays for the inputs of a model, in the model's order.

        Args:
          inputs: their names.
          model: its name, for the error.

        Raises:
          InputError: the file lacks an input of the model, or its arrays differ in
            length.
        """
        names = self._names_for(inputs, model)
        for name in names:
            if self.shapes[name][:1] != (self._count,):
                raise InputError(
                    f"{self._path} has {IMAGES} {list(self.shapes[IMAGES])} but {name} "
                    f"{list(self.shapes[name])}; give arrays of the same length."
                )
        return names

    def _names_for(self, inputs: Sequence[str], model: str) -> list[str]:
        if len(inputs) == 1:
            for name in (inputs[0], IMAGES):
                if name in self.shapes:
                    return [name]
            if len(self.shapes) == 1:
                return list(self.shapes)
        with self._telling():
            for name in inputs:
                self._check_read(name)
        missing = [name for name in inputs if name not in self.shapes]
        if missing:
            takes = f"{model} takes {', '.join(inputs)}"
            raise InputError(
                f"{self._path} has {', '.join(self.shapes)}, but {takes}; {EXPECTED}."
            )
        return list(inputs)

    def batches(
        self, names: Sequence[str], size: int, most_bytes: int | None = None
    ) -> Iterator[list[np.ndarray]]:
        """Reads some of the arrays in order, in batches.

        Args:
          names: of the arrays.
          size: examples per batch.
          most_bytes: limit per batch, or None.

        Raises:
          InputError: a batch takes more than that.
        """
        size = min(size, len(self))
        taken = size * sum(self._arrays[name].example_bytes for name in names)
        if most_bytes and taken > most_bytes:
            raise InputError(
                f"{size} examples of {self._path} take {taken >> 20:,} MB, but "
                f"{most_bytes >> 20:,} MB are allowed; give a smaller --batch-size, or "
                "more --memory."
            )
        with self._telling(), contextlib.ExitStack() as stack:
            readers = [stack.enter_context(self._opened(name)) for name in names]
            for start in range(0, len(self), size):
                count = min(size, len(self) - start)
                yield [read(count) for read in readers]

    def _headers(self, size: int) -> dict[str, Header]:
        if not self._is_archive:
            with open(self._path, "rb") as file:
                return {IMAGES: read_header(file, size)}
        found = {}
        with zipfile.ZipFile(self._path) as archive:
            for member in archive.infolist():
                if not member.filename.endswith(SUFFIX):
                    continue
                name = member.filename.removesuffix(SUFFIX)
                with archive.open(member) as file:
                    try:
                        found[name] = read_header(file, member.file_size)
                    except ValueError as error:  # it matters where it is needed
                        self._unread[name] = error
        return found

    def _check_read(self, name: str) -> None:
        if name in self._unread:
            raise ValueError(f"{name}: {self._unread[name]}")

    @contextlib.contextmanager
    def _opened(self, name: str):
        """A function that reads the given number of further rows of an array."""
        header = self._labels if name == LABELS else self._arrays[name]
        assert header is not None  # labels are asked for where there are some
        if not self._is_archive:
            order: Literal["F", "C"] = "F" if header.fortran_order else "C"
            array = np.memmap(
                self._path, header.dtype, "r", header.offset, header.shape, order
            )
            position = 0

            def read(count: int) -> np.ndarray:
                nonlocal position
                position += count
                return np.array(array[position - count : position])

            yield read
            return
        if header.fortran_order and len(header.shape) > 1:
            raise ValueError(
                f"{name} is in Fortran order; save np.ascontiguousarray of it"
            )
        with (
            zipfile.ZipFile(self._path) as archive,
            archive.open(name + SUFFIX) as file,
        ):
            file.read(header.offset)

            def read(count: int) -> np.ndarray:
                content = file.read(count * header.example_bytes)
                if len(content) < count * header.example_bytes:
                    raise EOFError("it ends before its last example")
                values = np.frombuffer(content, header.dtype)
                return values.reshape(count, *header.shape[1:])

            yield read

    @contextlib.contextmanager
    def _telling(self):
        """Turns errors of numpy and zipfile for damaged files into one sentence."""
        try:
            yield
        except (InputError, GeneratorExit):
            raise
        except Exception as error:
            raise InputError(
                f"{self._path} cannot be read ({first_line(error)}); {EXPECTED}."
            ) from error
