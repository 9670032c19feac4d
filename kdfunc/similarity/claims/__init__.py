"""Claims about compression, each judged on the records of one run.

A claim is a function registered with `register`; its docstring states the rule of its
verdict. The first five are the paper's, the sixth is from later work.
"""

from kdfunc.similarity.claims import compression, distillation, transfer
from kdfunc.similarity.claims.rules import (
    CLAIMS,
    Finding,
    Outcome,
    Verdict,
    register,
    verdicts,
)
from kdfunc.similarity.effects import MARGIN

__all__ = [
    "CLAIMS",
    "MARGIN",
    "Finding",
    "Outcome",
    "Verdict",
    "compression",
    "distillation",
    "register",
    "transfer",
    "verdicts",
]
