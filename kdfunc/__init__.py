"""kdfunc: does a compressed network still compute the function it came from?

The package reproduces *Neural Network Compression: The Functional Perspective*
(Mason-Williams, 2024), runs the same experiment with fair controls, and measures
functional similarity between any two classifiers.

Importing ``kdfunc`` is cheap: TensorFlow is loaded by the modules that train or
convert (``models``, ``training``, ``distillation``, ``pruning``, ``quantization``),
never by those that read and analyse.
"""

import importlib

__version__ = "0.1.0"

#: Public names by the module that has them, which is imported when they are asked for.
_HOMES = {
    "compare": "kdfunc.comparison.arrays",
    "landscape": "kdfunc.analysis.landscapes",
}
__all__ = list(_HOMES)


def __getattr__(name: str):
    """Imports what is asked for, so that `import kdfunc` stays cheap."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return globals()[name]


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
