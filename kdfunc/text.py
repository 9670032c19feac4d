"""Tables that fit a terminal of 80 columns."""

from collections.abc import Sequence

WIDTH = 79


def table(
    header: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1
) -> str:
    """Aligned columns under a header.

    Args:
      header: a title a column.
      rows: a cell a column; numbers as `number` writes them.
      left: so many first columns are set left, the others right. The first column is
        shortened where the table would be too wide.
    """
    cells = [[str(cell) for cell in row] for row in [header, *rows]]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    widths[0] = min(widths[0], max(12, WIDTH - sum(widths[1:]) - 2 * len(widths)))
    lines = []
    for row in cells:
        row[0] = shorten(row[0], widths[0])
        columns = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  " + "  ".join(columns).rstrip())
    return "\n".join(lines)


def shorten(text: str, width: int) -> str:
    """The text, with a part before its end left out where it is longer than that."""
    if len(text) <= width:
        return text
    tail = (width - 2) // 4
    return f"{text[: width - 2 - tail]}..{text[len(text) - tail :]}"


def number(value: float | None, digits: int = 4) -> str:
    """A number of a table, whole ones with commas; `-` where there is none."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else f"{value:.{digits}f}"


def percent(share: float) -> str:
    """A share as percent."""
    return f"{100 * share:.1f} %"
