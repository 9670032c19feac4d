"""Claims about compression, each judged on the records of one run.

A claim is a function that is registered with `register`: the rule of its verdict is in
its docstring. The first five are the paper's, the sixth is its authors' later one.
"""

from kdfunc.similarity.claims import compression, distillation, transfer
from kdfunc.similarity.claims.rules import (
    CLAIMS,
    MARGIN,
    Finding,
    Verdict,
    register,
    verdicts,
)

__all__ = [
    "CLAIMS",
    "MARGIN",
    "Finding",
    "Verdict",
    "compression",
    "distillation",
    "register",
    "transfer",
    "verdicts",
]
