"""A `.tflite` file without TensorFlow: look into it, run it, time it, compare it.

Needs numpy and an interpreter: ai-edge-litert, tflite_runtime, or TensorFlow's. The
command is `kdfunc-edge`. There, and in `benchmark`, `compare` and `predict_file`,
models run in a process of their own, which a damaged one may crash. `predict` and
`Model` run them in this process, for models that are trusted.
"""

import importlib

_HOMES = {
    "DataFile": "files",
    "Model": "model",
    "Outputs": "running",
    "Settings": "settings",
    "benchmark": "timing",
    "costly_layers": "blame",
    "compare": "comparison",
    "inspect": "inspection",
    "outputs_of": "running",
    "predict": "model",
    "predict_file": "running",
}
__all__ = list(_HOMES)


def __getattr__(name: str):
    """Imports what is asked for, so that `kdfunc-edge --help` waits for nothing."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
    globals()[name] = getattr(home, name)
    return globals()[name]
