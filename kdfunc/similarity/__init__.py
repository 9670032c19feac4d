"""Functional similarity of classifiers, from their softmax outputs."""

from typing import TYPE_CHECKING

from kdfunc import lazy
from kdfunc.similarity.bootstrap import Estimate, bootstrap_measures
from kdfunc.similarity.distances import Distances, function_preserved, turn_taking
from kdfunc.similarity.evaluate import (
    all_measures,
    ambiguity,
    by_class,
    measure,
    pairwise,
    rashomon_capacity,
    trajectory,
)
from kdfunc.similarity.measures import MEASURES, Measure, register
from kdfunc.similarity.softmax import check_softmax
from kdfunc.similarity.tails import TAILS, changes, divergences, quantiles

__all__ = [
    "MEASURES",
    "TAILS",
    "Distances",
    "Estimate",
    "Measure",
    "all_measures",
    "ambiguity",
    "bootstrap_measures",
    "by_class",
    "changes",
    "check_softmax",
    "divergences",
    "function_preserved",
    "measure",
    "pairwise",
    "quantiles",
    "rashomon_capacity",
    "register",
    "squared_distances",
    "trajectory",
    "turn_taking",
]

# scikit-learn, which a device need not load for the measures.
__getattr__, _ = lazy.attach(
    __name__, {"squared_distances": "kdfunc.similarity.embedding:squared_distances"}
)


def __dir__() -> list[str]:
    return __all__


if TYPE_CHECKING:
    from kdfunc.similarity.embedding import squared_distances
