"""A comparison of two models as one self-contained HTML file."""

import os
import pathlib
from collections.abc import Mapping
from typing import Any

from kdfunc import pages
from kdfunc.comparison.text import (
    KINDS,
    limited,
    model_names,
    significant,
    taken,
    what_would_decide,
)
from kdfunc.text import count, number, percent
from kdfunc.writing import write_atomic

WIDTH = 220  # of a line on which an interval is drawn, in pixels
FLIPS = 100  # that are listed


def write(result: Mapping[str, Any], path: str | os.PathLike[str]) -> pathlib.Path:
    """Writes the page, completely or not at all.

    Args:
      result: From `kdfunc.compare` or `kdfunc.edge.compare`.
      path: The file to write.

    Returns:
      The file.
    """
    write_atomic(pathlib.Path(path), render(result))
    return pathlib.Path(path)


def render(result: Mapping[str, Any]) -> str:
    """The page as HTML.

    Args:
      result: From `kdfunc.compare` or `kdfunc.edge.compare`.
    """
    environment = pages.environment()
    environment.filters.update(percent=percent, number=number)
    environment.filters.update(significant=significant, counted=count)
    environment.filters.update(limited=limited, what_would_decide=what_would_decide)
    environment.globals.update(bar=_bar, taken=taken, kinds=KINDS)
    return environment.get_template("comparison/page.html.jinja").render(
        r=result, most_flips=FLIPS, names=model_names(result)
    )


def _bar(entry: Mapping[str, Any], low: float, high: float) -> dict[str, float] | None:
    """The interval's place on a line from low to high, in pixels; None if outside."""
    ends = {end: entry[end] for end in ("low", "value", "high")}
    if any(x is None or not low <= x <= high for x in ends.values()):
        return None
    return {k: round(WIDTH * (x - low) / (high - low), 1) for k, x in ends.items()}
