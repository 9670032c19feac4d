"""Figures, drawn without pyplot."""

from kdfunc.analysis.figures import (
    compression,
    corruptions,
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
    "corruptions",
    "fidelity",
    "labels",
    "landscape",
    "preserved",
    "similarity",
    "spread",
    "style",
]
