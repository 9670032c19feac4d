"""kdfunc: does a compressed network still compute the function it came from?

The package reproduces *Neural Network Compression: The Functional Perspective*
(Mason-Williams, 2024), runs the same experiment with fair controls, and measures
functional similarity between any two classifiers.

Importing ``kdfunc`` is cheap: each name is imported when it is first used, and
TensorFlow only by the modules that train or convert (``models``, ``training``,
``distillation``, ``pruning``, ``quantization``, ``runtime``).
"""

from typing import TYPE_CHECKING

from kdfunc import lazy

__version__ = "0.1.0"

#: Where the public names come from.
_HOMES = {
    # An experiment: what is wanted, doing it, what it left.
    "ExperimentConfig": "kdfunc.config:ExperimentConfig",
    "RunDirectory": "kdfunc.runs.directory:RunDirectory",
    "STAGES": "kdfunc.runs.plan:STAGES",
    "analyse": "kdfunc.analysis.everything:write",
    "plan": "kdfunc.runs.plan:make",
    "run": "kdfunc.runs.experiment:run",
    # Models of your own, from arrays.
    "compare": "kdfunc.comparison.arrays:compare",
    "compare_files": "kdfunc.comparison.arrays:compare_files",
    "landscape": "kdfunc.analysis.landscapes:landscape",
    # The parts, each useful without the others.
    "analysis": "kdfunc.analysis",
    "catalog": "kdfunc.catalog",
    "datasets": "kdfunc.datasets",
    "distillation": "kdfunc.distillation",
    "edge": "kdfunc.edge",
    "models": "kdfunc.models",
    "pruning": "kdfunc.pruning",
    "quantization": "kdfunc.quantization",
    "runtime": "kdfunc.runtime",
    "similarity": "kdfunc.similarity",
    "training": "kdfunc.training",
}
__all__ = list(_HOMES)
__getattr__, __dir__ = lazy.attach(__name__, _HOMES)

if TYPE_CHECKING:  # for editors and type checkers
    from kdfunc import (
        analysis,
        catalog,
        datasets,
        distillation,
        edge,
        models,
        pruning,
        quantization,
        runtime,
        similarity,
        training,
    )
    from kdfunc.analysis.everything import write as analyse
    from kdfunc.analysis.landscapes import landscape
    from kdfunc.comparison.arrays import compare, compare_files
    from kdfunc.config import ExperimentConfig
    from kdfunc.runs.directory import RunDirectory
    from kdfunc.runs.experiment import run
    from kdfunc.runs.plan import STAGES
    from kdfunc.runs.plan import make as plan
