"""Compares the outputs of two models for the same examples, with intervals.

Needs only numpy. The kind of an output (class probabilities, logits, independent
probabilities, a class at every position, plain numbers) is detected from the arrays,
and each kind is compared by suitable measures. `kdfunc.compare` takes arrays,
`kdfunc.edge.compare` runs models first.
"""

#: Bootstrap resamples of the examples, and confidence of the intervals, if not given.
RESAMPLES, CONFIDENCE = 2000, 0.95
