"""Two models by what they put out for the same examples: what changed, and how surely.

Arrays in, numbers out; needs numpy alone. What an output is (class probabilities,
logits, independent probabilities, a class at every position, plain numbers) is
recognised from the arrays, and each kind is compared by measures that mean something
for it. `kdfunc.compare` takes arrays, `kdfunc.edge.compare` runs models first.
"""
