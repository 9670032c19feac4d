"""kdfunc: does a compressed network still compute the function it came from?

The package reproduces *Neural Network Compression: The Functional Perspective*
(Mason-Williams, 2024), runs the same experiment with fair controls, and measures
functional similarity between any two classifiers.

Importing ``kdfunc`` is cheap: TensorFlow is loaded by the modules that train or
convert (``models``, ``training``, ``distillation``, ``pruning``, ``quantization``),
never by those that read and analyse.
"""

__version__ = "0.1.0"
