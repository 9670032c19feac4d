"""Inspects, runs, times and compares `.tflite` files without TensorFlow.

Needs numpy and an interpreter: ai-edge-litert, tflite_runtime, or TensorFlow's. The
command is `kdfunc-edge`. There, and in `benchmark`, `compare` and `predict_file`,
models run in a separate process, because a damaged one can crash it. `predict` and
`Model` run trusted models in this process.
"""

from typing import TYPE_CHECKING

from kdfunc import lazy

_HOMES = {
    "DataFile": "kdfunc.edge.files:DataFile",
    "Model": "kdfunc.edge.model:Model",
    "Outputs": "kdfunc.edge.running:Outputs",
    "Settings": "kdfunc.edge.settings:Settings",
    "benchmark": "kdfunc.edge.timing:benchmark",
    "costly_layers": "kdfunc.edge.blame:costly_layers",
    "compare": "kdfunc.edge.comparison:compare",
    "inspect": "kdfunc.edge.inspection:inspect",
    "main": "kdfunc.edge.main",
    "outputs_of": "kdfunc.edge.running:outputs_of",
    "predict": "kdfunc.edge.model:predict",
    "predict_file": "kdfunc.edge.running:predict_file",
}
__all__ = list(_HOMES)
__getattr__, __dir__ = lazy.attach(__name__, _HOMES)

if TYPE_CHECKING:  # for editors and type checkers
    from kdfunc.edge import main
    from kdfunc.edge.blame import costly_layers
    from kdfunc.edge.comparison import compare
    from kdfunc.edge.files import DataFile
    from kdfunc.edge.inspection import inspect
    from kdfunc.edge.model import Model, predict
    from kdfunc.edge.running import Outputs, outputs_of, predict_file
    from kdfunc.edge.settings import Settings
    from kdfunc.edge.timing import benchmark
