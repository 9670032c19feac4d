"""Reads a FlatBuffer that may be damaged; needs only numpy.

Every access is checked against the size of the file, and no file can make the reader do
more work than its size justifies. The format: https://flatbuffers.dev/internals
"""

import struct

import numpy as np


class DamagedError(Exception):
    """What is wrong with the content, as a clause to follow a colon."""


class Source:
    """The bytes that contain the tables.

    Several places may refer to the same table, so a few changed bytes can describe far
    more tables and numbers than fit into the file. The allowance prevents that.
    """

    def __init__(self, content: bytes):
        self.content = content
        self._allowance = len(content)

    def unpack(self, kind: str, position: int) -> int:
        """The integer of a `struct` kind at a position.

        Args:
          kind: such as `I` for uint32.
          position: in bytes from the start.

        Raises:
          DamagedError: it lies outside the file.
        """
        if not 0 <= position <= len(self.content) - struct.calcsize(kind):
            raise DamagedError("it refers to something outside the file")
        return struct.unpack_from("<" + kind, self.content, position)[0]

    def spend(self, items: int) -> None:
        """Counts the tables and numbers that are read.

        Args:
          items: how many more are read.

        Raises:
          DamagedError: there are more than a file of this size can hold.
        """
        self._allowance -= items
        if self._allowance < 0:
            raise DamagedError("it describes more than a file of its size can hold")

    def array(self, position: int, count: int, dtype: str) -> np.ndarray:
        """`[count]` numbers at a position, not copied.

        Args:
          position: in bytes from the start.
          count: of the numbers.
          dtype: of the numbers, as numpy writes it.

        Raises:
          DamagedError: they lie outside the file.
        """
        size = count * np.dtype(dtype).itemsize
        if not 0 <= position <= len(self.content) - size:
            raise DamagedError("it refers to something outside the file")
        return np.frombuffer(self.content, dtype, count, position)


class Table:
    """A table; its fields are identified by their numbers in the schema.

    Args:
      source: the bytes.
      position: where the table begins.

    Raises:
      DamagedError: here and in every method, for anything outside the file.
    """

    def __init__(self, source: Source, position: int):
        self._source = source
        self._position = position
        vtable = position - source.unpack("i", position)
        size = source.unpack("H", vtable)
        source.spend(1)
        self._offsets = source.array(vtable + 4, max(size - 4, 0) // 2, "<u2")

    @classmethod
    def root(cls, source: Source) -> "Table":
        """The root table.

        Args:
          source: the bytes.
        """
        return cls(source, source.unpack("I", 0))

    def number(self, field: int, kind: str, default: int = 0) -> int:
        """An integer of a `struct` kind.

        Args:
          field: its number in the schema.
          kind: such as `I` for uint32.
          default: its value if the table omits it.
        """
        position = self._locate(field)
        return default if position is None else self._source.unpack(kind, position)

    def text(self, field: int) -> str:
        """A string, with unprintable characters shown as `?`.

        Args:
          field: its number in the schema.
        """
        content = self.array(field, "u1").tobytes().decode("utf-8", "replace")
        return "".join(c if c.isprintable() else "?" for c in content)

    def data(self, field: int) -> np.ndarray:
        """A vector of bytes, not copied and not counted against the allowance.

        Args:
          field: its number in the schema.
        """
        return self._source.array(*self._vector(field), "u1")

    def array(self, field: int, dtype: str) -> np.ndarray:
        """A vector of numbers; empty if there is none.

        Args:
          field: its number in the schema.
          dtype: of the numbers, as numpy writes it.
        """
        position, count = self._vector(field)
        self._source.spend(count)
        return self._source.array(position, count, dtype)

    def numbers(self, field: int) -> tuple[int, ...]:
        """A vector of int32.

        Args:
          field: its number in the schema.
        """
        return tuple(self.array(field, "<i4").tolist())

    def table(self, field: int) -> "Table | None":
        """The table of a field.

        Args:
          field: its number in the schema.
        """
        position = self._follow(field)
        return None if position is None else Table(self._source, position)

    def tables(self, field: int) -> list["Table"]:
        """A vector of tables.

        Args:
          field: its number in the schema.
        """
        position, count = self._vector(field)
        offsets = self._source.array(position, count, "<u4").tolist()
        return [
            Table(self._source, position + 4 * i + offset)
            for i, offset in enumerate(offsets)
        ]

    def _locate(self, field: int) -> int | None:
        if field >= len(self._offsets) or self._offsets[field] == 0:
            return None
        return self._position + int(self._offsets[field])

    def _follow(self, field: int) -> int | None:
        position = self._locate(field)
        if position is None:
            return None
        return position + self._source.unpack("I", position)

    def _vector(self, field: int) -> tuple[int, int]:
        """Where the items of a vector start, and how many there are."""
        position = self._follow(field)
        if position is None:
            return 0, 0
        return position + 4, self._source.unpack("I", position)
