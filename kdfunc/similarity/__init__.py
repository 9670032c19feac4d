"""Functional similarity of classifiers, from their softmax outputs."""

from kdfunc.similarity.bootstrap import Estimate, bootstrap_measures
from kdfunc.similarity.distances import function_preserved
from kdfunc.similarity.evaluate import (
    all_measures,
    ambiguity,
    by_class,
    measure,
    pairwise,
    rashomon_capacity,
    trajectory,
)
from kdfunc.similarity.measures import MEASURES, Measure
from kdfunc.similarity.softmax import check_softmax

__all__ = [
    "MEASURES",
    "Estimate",
    "Measure",
    "all_measures",
    "ambiguity",
    "bootstrap_measures",
    "by_class",
    "check_softmax",
    "function_preserved",
    "measure",
    "pairwise",
    "rashomon_capacity",
    "trajectory",
]
