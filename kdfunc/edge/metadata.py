"""TFLite Metadata: what the author of a file says about its inputs and outputs.

Source: tensorflow_lite_support/metadata/metadata_schema.fbs (TFLite Support).
"""

import contextlib
import io
import zipfile
import zlib
from dataclasses import dataclass, field

import numpy as np

from kdfunc.edge.flatbuffer import DamagedError, Source, Table
from kdfunc.edge.schema import ModelFile

NORMALIZATION = 1  # number of its kind among process units
LABELS = (2, 3)  # kinds of associated files: of a tensor's axis, and of its values
MOST_LABEL_BYTES = 1 << 22
MOST_FILE_BYTES = 1 << 28  # of all associated files, unpacked
IDENTIFIER = b"M001"


#: What `zipfile` raises for damaged archives.
_UNREADABLE: tuple[type[Exception], ...] = (
    zipfile.BadZipFile,
    zlib.error,
    NotImplementedError,
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
)
with contextlib.suppress(ImportError):  # which Python can be built without
    from lzma import LZMAError

    _UNREADABLE += (LZMAError,)


@dataclass(frozen=True)
class Described:
    """The metadata of an input or an output.

    Attributes:
      name: May be empty, like the description.
      description: For people.
      mean, std: Normalization of pixels, one value for all channels or one per channel:
        `(pixel - mean) / std`; empty if not given.
      low, high: Smallest and largest values, of all channels or per channel; may be
        empty.
      labels: Names of classes.
    """

    name: str = ""
    description: str = ""
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Metadata:
    """The metadata of a file.

    Attributes:
      texts: `name`, `description`, `version`, `author`, `license`, as far as given.
      inputs: Of the first subgraph, in its order; may be fewer than it has.
      outputs: The same.
      files: Names of the associated files.
      problem: What cannot be read, as a clause, or empty.
    """

    texts: dict[str, str] = field(default_factory=dict)
    inputs: tuple[Described, ...] = ()
    outputs: tuple[Described, ...] = ()
    files: tuple[str, ...] = ()
    problem: str = ""


def metadata_of(file: ModelFile) -> Metadata:
    """The metadata of a file; empty if there is none or it cannot be read.

    Args:
      file: The model file, read.
    """
    stored = file.metadata.get("TFLITE_METADATA")
    if stored is None or not stored.size:
        return Metadata()
    content = stored.tobytes()
    try:
        if content[4:8] != IDENTIFIER:
            raise DamagedError("it has another format")
        root = Table.root(Source(content))
        graph = next(iter(root.tables(3)), None)
        labels = _Labels(file.content)
        inputs, outputs = (
            tuple(_described(table, labels) for table in graph.tables(side))
            if graph
            else ()
            for side in (2, 3)
        )
    except DamagedError as error:
        return Metadata(problem=f"its metadata cannot be read: {error}")
    fields = ("name", "description", "version", None, "author", "license")
    texts = {name: root.text(i) for i, name in enumerate(fields) if name}
    texts = {name: text for name, text in texts.items() if text}
    return Metadata(texts, inputs, outputs, labels.names, labels.problem)


class _Labels:
    """The associated files, stored in an archive at the end of the model's file."""

    def __init__(self, content: bytes):
        self.names: tuple[str, ...] = ()
        self.problem = ""
        self._archive: zipfile.ZipFile | None = None
        with contextlib.suppress(zipfile.BadZipFile, ValueError, OSError):
            self._archive = zipfile.ZipFile(io.BytesIO(content))
            self.names = tuple(self._archive.namelist())

    def read(self, name: str) -> tuple[str, ...]:
        """The lines of a file of labels."""
        if self._archive is None or name not in self.names:
            return ()
        try:
            with self._archive.open(name) as file:
                text = file.read(MOST_LABEL_BYTES).decode("utf-8", "replace")
        except _UNREADABLE as error:
            self.problem = f"its labels {name} cannot be read: {error}"
            return ()
        lines = "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
        return tuple(lines.rstrip("\n").split("\n"))


def with_files_of(content: bytes, model: bytes) -> bytes:
    """A model followed by the associated files of another, unless one is unreadable.

    Args:
      content: Of the other model's file.
      model: A FlatBuffer.
    """
    try:
        archive = zipfile.ZipFile(io.BytesIO(content))
        if sum(entry.file_size for entry in archive.infolist()) > MOST_FILE_BYTES:
            return model
        files = [(entry, archive.read(entry)) for entry in archive.infolist()]
    except _UNREADABLE:
        return model
    if not files:
        return model
    whole = io.BytesIO(model)
    with zipfile.ZipFile(whole, "a") as copy:
        for entry, data in files:
            copy.writestr(entry, data)
    return whole.getvalue()


def _described(table: Table, labels: _Labels) -> Described:
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    for unit in table.tables(4):
        options = unit.table(1)
        if options and unit.number(0, "B") == NORMALIZATION:
            mean, std = _floats(options, 0), _floats(options, 1)
    stats = table.table(5)
    found: tuple[str, ...] = ()
    for associated in table.tables(6):
        if associated.number(2, "b") in LABELS and not found:
            found = labels.read(associated.text(0))
    return Described(
        table.text(0),
        table.text(1),
        mean if len(mean) == len(std) and all(std) else (),
        std if len(mean) == len(std) and all(std) else (),
        _floats(stats, 1) if stats else (),
        _floats(stats, 0) if stats else (),
        found,
    )


def _floats(table: Table, field_: int) -> tuple[float, ...]:
    values = table.array(field_, "<f4")
    return tuple(values.tolist()) if np.isfinite(values).all() else ()
