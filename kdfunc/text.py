"""Tables, numbers and times for people, on a terminal of 80 columns."""

import difflib
import textwrap
from collections.abc import Iterable, Sequence

WIDTH = 79


def table(
    header: Sequence[str], rows: Sequence[Sequence[object]], left: int = 1
) -> str:
    """Aligned columns under a header.

    Args:
      header: one title per column.
      rows: one cell per column; numbers as `number` writes them.
      left: how many of the first columns are aligned left; the others are aligned
        right. The first two of them are shortened, to no less than 12 characters, if
        the table would be too wide.
    """
    columns = [list(map(str, column)) for column in zip(header, *rows, strict=True)]
    widths = [max(map(len, column)) for column in columns]
    long = widths[: min(left, 2)]
    while sum(widths) + 2 * len(widths) > WIDTH and max(long, default=0) > 12:
        widest = long.index(max(long))
        long[widest] -= 1
        widths[widest] -= 1
    for i, (column, width) in enumerate(zip(columns, widths, strict=True)):
        columns[i] = [
            cell.ljust(width) if i < left else cell.rjust(width)
            for cell in (_shortened(column, width) if i < len(long) else column)
        ]
    return "\n".join(
        "  " + "  ".join(row).rstrip() for row in zip(*columns, strict=True)
    )


def _shortened(texts: Sequence[str], width: int) -> list[str]:
    """Texts of at most that width, cut so that most of them stay distinct."""
    part = (width - 2) // 4
    found = [[_shorten(text, width, k * part) for text in texts] for k in (1, 0, 2, 3)]
    return max(found, key=lambda shorter: len(set(shorter)))


def _shorten(text: str, width: int, tail: int) -> str:
    """The text; if it is too long, a part before its tail is omitted."""
    if len(text) <= width:
        return text
    return f"{text[: width - 2 - tail]}..{text[len(text) - tail :]}"


def did_you_mean(given: object, allowed: Iterable[str]) -> str:
    """The end of a sentence that lists choices: the one that was probably meant.

    Args:
      given: what was given.
      allowed: the choices.

    Returns:
      `"; did you mean same-start?"`, or `"."` if nothing is similar.
    """
    typed = str(given).casefold()
    close = difflib.get_close_matches(typed, [*allowed], n=1, cutoff=0.7)
    return f"; did you mean {close[0]}?" if close and close[0] != given else "."


def listed(words: Sequence[str]) -> str:
    """Words as in a sentence: "a, b and c".

    Args:
      words: one or more.
    """
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def short_names(names: Sequence[str]) -> list[str]:
    """Names of layers without the scopes before and after the distinctive part.

    If a fused operator lists several names, separated by semicolons, the first is used.

    Args:
      names: of the layers of one network.

    Returns:
      a name for each, in the same order; different names stay different.
    """
    names = [name.split(";")[0] for name in names]
    for trim in (lambda x: x.rpartition("/")[0], lambda x: x.partition("/")[2]):
        while True:
            shorter = [trim(name) or name for name in names]
            if shorter == names or len(set(shorter)) < len(set(names)):
                break
            names = shorter
    return names


def wrapped(text: str, first: str = "", rest: str = "") -> str:
    """A paragraph in lines; names and flags that have hyphens stay whole.

    Args:
      text: the paragraph.
      first: what the first line begins with.
      rest: what the others begin with.
    """
    return textwrap.fill(
        text,
        WIDTH,
        initial_indent=first,
        subsequent_indent=rest,
        break_on_hyphens=False,
        break_long_words=False,
    )


def number(value: float | None, digits: int = 4) -> str:
    """A number in a table, integers with thousands separators; `-` if there is none.

    Args:
      value: a whole number, any other number, or None.
      digits: decimals of numbers that are not whole.
    """
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{round(float(value), digits) + 0.0:.{digits}f}"  # never -0.0


def percent(share: float) -> str:
    """A share as percent.

    Args:
      share: in [0, 1].
    """
    return f"{100 * share:.1f} %"


def no_formula(name: str) -> str:
    """A name that a spreadsheet does not take for a formula when it opens a CSV file.

    Args:
      name: the text of a cell.

    Returns:
      the name, preceded by an apostrophe if it would be taken for a formula.
    """
    return f"'{name}" if name.startswith(("=", "+", "-", "@", "\t", "\r")) else name


def duration(seconds: float) -> str:
    """A time span for people.

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
    """A number of bytes for people: 1.2 kB, 34 MB.

    Args:
      count: number of bytes.
    """
    units = ["bytes", "kB", "MB", "GB", "TB"]
    while count >= 1000 and len(units) > 1:
        count /= 1000
        units.pop(0)
    digits = 1 if count < 10 and units[0] != "bytes" else 0
    return f"{count:.{digits}f} {units[0]}"


def count(number: int, what: str) -> str:
    """A number of things in words: 1 model, 2 models.

    Args:
      number: How many there are.
      what: The thing in the singular; its plural ends in s.
    """
    return f"{number:,} {what}{'' if number == 1 else 's'}"
