"""Pruning by magnitude, and fine-tuning with the zeros kept (tfmot)."""

from collections.abc import Iterator, Sequence

import numpy as np

from kdfunc import models
from kdfunc.errors import InputError, refuse_unknown
from kdfunc.runtime import keras

import tensorflow_model_optimization as tfmot
from tensorflow_model_optimization.python.core.sparsity.keras import pruning_utils

#: What `prune` ranks together.
SCOPES = ("all", "kernels", "layerwise")


def l1_global(
    arrays: Sequence[np.ndarray], levels: Sequence[float]
) -> Iterator[list[np.ndarray]]:
    """Sets the smallest entries of all arrays, ranked together, to zero.

    For each level exactly `round(level * n)` of the n entries are set to 0: those
    smallest in absolute value and, among equal ones, the first in the order of the
    arrays. One partition of all entries serves all levels.

    Args:
      arrays: weights of any shapes.
      levels: shares in [0, 1).

    Yields:
      For each level in turn, pruned copies of all arrays.

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
    """A pruned clone of a model; the model itself is not changed.

    Args:
      model: any Keras 2 model that can be cloned.
      level: share of the ranked entries that become 0, in [0, 1).
      scope: `all` ranks every array of `get_weights()`, including biases and batch-norm
        statistics (the paper's notebooks); `kernels` ranks only kernels; `layerwise`
        ranks each kernel by itself, so all get the same share of zeros.

    Raises:
      InputError: the model cannot be cloned, the level is outside [0, 1), or there is
        no such scope.
    """
    refuse_unknown("scope", scope, SCOPES)
    pruned = clone(model)
    variables = pruned.weights if scope == "all" else kernels(pruned)
    groups = [[v] for v in variables] if scope == "layerwise" else [variables]
    for group in groups:
        (values,) = l1_global([v.numpy() for v in group], [level])
        for variable, value in zip(group, values, strict=True):
            variable.assign(value)
    return pruned


def prune_2_of_4(model: keras.Model) -> keras.Model:
    """A clone with two zeros in every four weights, made by tfmot's m-by-n pruning.

    Blocks are consecutive input channels, as TFLite stores them. Of left-over channels,
    up to two stay; with one or two input channels nothing is pruned. Depthwise kernels
    have one input channel per output and stay dense.

    Args:
      model: the trained model.

    Raises:
      InputError: the model cannot be cloned, or contains another model.
    """
    models.check(model, flat=True)
    pruned = clone(model)
    for kernel in kernels(pruned):
        if "depthwise_kernel" in kernel.name:
            continue
        rows = pruning_utils.weights_rearrange(kernel)
        mask = pruning_utils.generate_m_by_n_mask(rows, (2, 4))
        shape = kernel.shape
        kernel.assign(kernel * pruning_utils.m_by_n_sparsity_mask_prepare(mask, shape))
    return pruned


def clone(model: keras.Model) -> keras.Model:
    """A copy with its own weights.

    Args:
      model: the model to copy.

    Raises:
      InputError: it is not a functional or Sequential tf_keras model.
    """
    models.check(model)
    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    return copy


def kernels(model: keras.Model) -> list:
    """The weights that are called kernels: of dense, convolutional, recurrent layers.

    Args:
      model: a model or one of its layers.
    """
    return [v for v in model.weights if "kernel" in v.name.rsplit("/", 1)[-1]]


def prunable(model: keras.Model) -> keras.Model:
    """A clone with tfmot's pruning wrappers, for fine-tuning with the zeros kept.

    Compile it, and have `tfmot.sparsity.keras.UpdatePruningStep()` among the callbacks
    of `fit`: what is zero now is masked throughout. Then call `strip`.

    Args:
      model: functional model with zeros in its kernels; it is not changed.

    Raises:
      InputError: the model cannot be cloned, or contains another model.
      ValueError: tfmot cannot mask the kernels of a layer.
    """
    models.check(model, flat=True)
    never = tfmot.sparsity.keras.ConstantSparsity(0, begin_step=2**31 - 1)

    def wrap(layer):
        config = layer.get_config()
        if not kernels(layer):
            return type(layer).from_config(config)
        layer = _prunable_class(type(layer)).from_config(config)
        return tfmot.sparsity.keras.prune_low_magnitude(layer, pruning_schedule=never)

    wrapped = keras.models.clone_model(model, clone_function=wrap)
    for layer, original in zip(wrapped.layers, model.layers, strict=True):
        getattr(layer, "layer", layer).set_weights(original.get_weights())
        masks = getattr(layer, "pruning_vars", ())
        if len(masks) < len(kernels(original)):
            raise ValueError(
                f"layer {original.name} makes its kernels at its first call, too late "
                "to mask them"
            )
        for kernel, mask, _ in masks:
            mask.assign(np.not_equal(kernel, 0))
    return wrapped


def strip(wrapped: keras.Model) -> keras.Model:
    """The plain model inside `prunable`'s wrappers, with its zeros.

    Args:
      wrapped: a model from `prunable`.
    """
    stripped = tfmot.sparsity.keras.strip_pruning(wrapped)

    def plain(layer):
        kind = getattr(layer, "plain_class", type(layer))
        return kind.from_config(layer.get_config())

    model = keras.models.clone_model(stripped, clone_function=plain)
    model.set_weights(stripped.get_weights())
    return model


def _prunable_class(kind: type) -> type:
    """A layer's class whose kernels tfmot masks, all of them.

    By default, tfmot leaves depthwise kernels dense and does not know every layer. It
    asks for the kernels once, when the layer is built.
    """
    members = {"get_prunable_weights": kernels, "plain_class": kind}
    return type(kind.__name__, (kind, tfmot.sparsity.keras.PrunableLayer), members)
