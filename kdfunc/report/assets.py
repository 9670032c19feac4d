"""What the page embeds: its chart library, and pictures."""

import gzip
import io
from importlib import resources

from PIL import Image

from kdfunc.report import tables

_COLORS = 128  # of a picture on the page; the files in figures/ have all


def plotly() -> str:
    """plotly.js, its basic bundle, which has all kinds of charts that a page uses.

    Version 4.1.1 from npm, plotly.js-basic-dist-min, MIT; a quarter of the full size.
    """
    packed = resources.files(__package__).joinpath("plotly-basic.min.js.gz")
    return gzip.decompress(packed.read_bytes()).decode("utf-8")


def picture(png: bytes | None) -> str | None:
    """A PNG with fewer colours as a `data:` URI.

    Args:
      png: content of the file, or None.

    Returns:
      the URI; None for None.
    """
    if png is None:
        return None
    content = io.BytesIO()
    image = Image.open(io.BytesIO(png)).convert("RGB").quantize(_COLORS)
    image.save(content, "png", optimize=True)
    return tables.uri("image/png", content.getvalue())
