"""L1 global pruning: one threshold for the whole network, with or without tfmot."""

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow_model_optimization as tfmot

from kdfunc.errors import InputError
from kdfunc.runtime import keras


def l1_global(
    arrays: Sequence[np.ndarray], levels: Sequence[float]
) -> Iterator[list[np.ndarray]]:
    """Sets the smallest entries of all arrays together to zero.

    For each level exactly `round(level * n)` of the n entries are set to 0: those
    smallest in absolute value, and of equal ones the first in the order of the
    arrays. One partition of all entries serves all levels.

    Args:
      arrays: weights of any shapes.
      levels: shares in [0, 1).

    Yields:
      For each level in turn, pruned copies of the arrays.

    Raises:
      InputError: a level outside [0, 1).
    """
    for level in levels:
        if not 0 <= level < 1:
            raise InputError(f"level: got {level}; allowed: from 0 to below 1.")
    magnitudes = np.concatenate([np.abs(array).ravel() for array in arrays])
    counts = [round(level * magnitudes.size) for level in levels]
    ordered = np.partition(magnitudes, [max(count - 1, 0) for count in counts])
    for count in counts:
        yield _zero_smallest(arrays, magnitudes, ordered[max(count - 1, 0)], count)


def _zero_smallest(arrays, magnitudes, threshold, count) -> list[np.ndarray]:
    keep = magnitudes > threshold
    ties = np.flatnonzero(magnitudes == threshold)
    below = magnitudes.size - np.count_nonzero(keep) - ties.size
    keep[ties[count - below :]] = True
    pieces = np.split(keep, np.cumsum([array.size for array in arrays])[:-1])
    return [
        np.where(piece.reshape(array.shape), array, array.dtype.type(0))
        for array, piece in zip(arrays, pieces, strict=True)
    ]


def prune(model: keras.Model, level: float, scope: str) -> keras.Model:
    """A pruned clone of a model; the model itself is left as it is.

    Args:
      model: any Keras 2 model that can be cloned.
      level: share of the ranked entries that become 0, in [0, 1).
      scope: `all` ranks every array of `get_weights()`, biases and batch-norm
        statistics too (the paper's notebooks); `kernels` ranks kernels alone.
    """
    pruned = keras.models.clone_model(model)
    pruned.set_weights(model.get_weights())
    variables = pruned.weights if scope == "all" else kernels(pruned)
    (values,) = l1_global([v.numpy() for v in variables], [level])
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
    return pruned


def kernels(model: keras.Model) -> list:
    """The kernels of a model: of convolutions, depthwise ones too, and dense layers."""
    return [v for v in model.weights if "kernel" in v.name.rsplit("/", 1)[-1]]


def prunable(model: keras.Model, level: float) -> keras.Model:
    """A clone with tfmot's pruning wrappers, for fine-tuning with the zeros kept.

    Each layer's sparsity is its share of the zeros that `prune(model, level,
    "kernels")` makes, so one global threshold decides. The masks are made at the
    first step and stay. Compile it, `fit` it with
    `tfmot.sparsity.keras.UpdatePruningStep()` among the callbacks, then call `strip`.

    tfmot must keep one weight a layer: where the global threshold would take all of
    a layer, one entry stays.

    Args:
      model: functional model; it is left as it is.
      level: share of the kernels' entries that become 0, in [0, 1).
    """
    shares = {}
    for layer in prune(model, level, "kernels").layers:
        for variable in kernels(layer):
            zeros = np.count_nonzero(variable.numpy() == 0)
            size = int(np.prod(variable.shape))
            shares[layer.name] = min(zeros, size - 1) / size

    def wrap(layer):
        if layer.name not in shares:
            return layer.__class__.from_config(layer.get_config())
        kind = type(layer)
        if kind is keras.layers.DepthwiseConv2D:
            kind = _PrunableDepthwise
        layer = kind.from_config(layer.get_config())
        once = tfmot.sparsity.keras.ConstantSparsity(
            shares[layer.name], begin_step=1, end_step=1
        )
        return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=once)

    wrapped = keras.models.clone_model(model, clone_function=wrap)
    for layer, original in zip(wrapped.layers, model.layers, strict=True):
        getattr(layer, "layer", layer).set_weights(original.get_weights())
    return wrapped


def strip(wrapped: keras.Model) -> keras.Model:
    """The plain model inside of `prunable`'s wrappers, zeros and all."""
    stripped = tfmot.sparsity.keras.strip_pruning(wrapped)

    def plain(layer):
        kind = type(layer)
        if kind is _PrunableDepthwise:
            kind = keras.layers.DepthwiseConv2D
        return kind.from_config(layer.get_config())

    model = keras.models.clone_model(stripped, clone_function=plain)
    model.set_weights(stripped.get_weights())
    return model


class _PrunableDepthwise(
    keras.layers.DepthwiseConv2D, tfmot.sparsity.keras.PrunableLayer
):
    """A depthwise convolution that tfmot may prune; by itself it leaves them dense."""

    def get_prunable_weights(self):
        return [self.depthwise_kernel]
