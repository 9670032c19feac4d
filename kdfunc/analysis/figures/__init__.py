"""Figures, drawn without pyplot."""

from kdfunc.analysis.figures import labels, landscape, preserved, similarity, style

__all__ = ["labels", "landscape", "preserved", "similarity", "style"]
