"""Tables, numbers and times for people, at a terminal of 80 columns."""

from collections.abc import Sequence

WIDTH = 79


def table(
    header: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1
) -> str:
    """Aligned columns under a header.

    Args:
      header: one title per column.
      rows: one cell per column; numbers as `number` writes them.
      left: so many first columns are set left, the others right. The first column is
        shortened where the table would be too wide.
    """
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    widths[0] = min(widths[0], max(12, WIDTH - sum(widths[1:]) - 2 * len(widths)))
    firsts = _shortened([row[0] for row in cells], widths[0])
    lines = []
    for row, first in zip(cells, firsts, strict=True):
        row[0] = first
        columns = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(columns).rstrip())
    return "\n".join(lines)


def _shortened(texts: Sequence[str], width: int) -> list[str]:
    """Texts of that width at most, cut where most of them stay apart."""
    part = (width - 2) // 4
    found = [[_shorten(text, width, k * part) for text in texts] for k in (1, 0, 2, 3)]
    return max(found, key=lambda shorter: len(set(shorter)))


def _shorten(text: str, width: int, tail: int) -> str:
    """The text, with a part before its tail left out where it is longer than that."""
    if len(text) <= width:
        return text
    return f"{text[: width - 2 - tail]}..{text[len(text) - tail :]}"


def short_names(names: Sequence[str]) -> list[str]:
    """Names of layers without the scopes before and after what tells them apart.

    Of names that fused operators list, with semicolons between, the first is taken.

    Args:
      names: of the layers of one network.

    Returns:
      a name for each, in the same order; those that differed still do.
    """
    names = [name.split(";")[0] for name in names]
    for trim in (lambda x: x.rpartition("/")[0], lambda x: x.partition("/")[2]):
        while True:
            shorter = [trim(name) or name for name in names]
            if shorter == names or len(set(shorter)) < len(set(names)):
                break
            names = shorter
    return names


def number(value: float | None, digits: int = 4) -> str:
    """A number of a table, whole ones with commas; `-` where there is none.

    Args:
      value: a whole number, any other number, or None.
      digits: decimals of numbers that are not whole.
    """
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"


def percent(share: float) -> str:
    """A share as percent.

    Args:
      share: in [0, 1].
    """
    return f"{100 * share:.1f} %"


def no_formula(name: str) -> str:
    """A name that a spreadsheet which opens a CSV file does not compute.

    Args:
      name: the text of a cell.

    Returns:
      the name, with an apostrophe before it where it would be taken for a formula.
    """
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def duration(seconds: float) -> str:
    """A time span as a person would say it.

    Args:
      seconds: how long it took.
    """
    seconds = round(seconds)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if seconds < 600:
        return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"
    if seconds < 5400:
        return f"{seconds / 60:.0f} min"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 86400:.1f} days"


def size(count: float) -> str:
    """Bytes as a person would say them: 1.2 kB, 34 MB.

    Args:
      count: number of bytes.
    """
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        units.pop(0)
    digits = 1 if count < 10 and units[0] != "bytes" else 0
    return f"{count:.{digits}f} {units[0]}"
