"""Figures, drawn without pyplot."""

from kdfunc.analysis.figures import (
    compression,
    labels,
    landscape,
    preserved,
    similarity,
    spread,
    style,
)

__all__ = [
    "compression",
    "labels",
    "landscape",
    "preserved",
    "similarity",
    "spread",
    "style",
]
