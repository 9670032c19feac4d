"""Figures, drawn without pyplot."""

from kdfunc.analysis.figures import (
    compression,
    fidelity,
    labels,
    landscape,
    preserved,
    similarity,
    spread,
    style,
)

__all__ = [
    "compression",
    "fidelity",
    "labels",
    "landscape",
    "preserved",
    "similarity",
    "spread",
    "style",
]
