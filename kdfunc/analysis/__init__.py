"""Records to tables and figures; never imports TensorFlow."""

from typing import TYPE_CHECKING

from kdfunc import lazy
from kdfunc.extras import require

require("kdfunc.analysis", "filelock", "matplotlib", "seaborn", "tabulate")

_HOMES = {
    "PRESERVED_TICKS": "kdfunc.analysis.figures.style:PRESERVED_TICKS",
    "lost_images": "kdfunc.analysis.figures.similarity:lost_images",
    "maps": "kdfunc.analysis.landscapes:maps",
    "preserved_by_size": "kdfunc.analysis.figures.preserved:preserved_by_size",
    "published": "kdfunc.analysis.published",
}
__all__ = list(_HOMES)
__getattr__, __dir__ = lazy.attach(__name__, _HOMES)

if TYPE_CHECKING:  # for editors and type checkers
    from kdfunc.analysis import published
    from kdfunc.analysis.figures.preserved import preserved_by_size
    from kdfunc.analysis.figures.similarity import lost_images
    from kdfunc.analysis.figures.style import PRESERVED_TICKS
    from kdfunc.analysis.landscapes import maps
