"""Runs compression pipelines (`kdfunc.pipelines`) on Keras models."""

import dataclasses
from collections.abc import Callable
from functools import partial

import numpy as np

from kdfunc import catalog, pipelines, pruning
from kdfunc.lazy import named
from kdfunc.quantization import convert, limits_of
from kdfunc.runtime import import_function, keras, tf

import tensorflow_model_optimization as tfmot
from tensorflow_model_optimization.python.core.clustering.keras.experimental import (
    cluster as tfmot_clustering,
)

#: Trains a model in place.
Train = Callable[[keras.Model], None]

TFMOT = "tensorflow-model-optimization"


@dataclasses.dataclass(frozen=True)
class Context:
    """What a step of a pipeline knows besides the model.

    Attributes:
      step: Its name, such as `prune90`.
      following: The name of the next step; empty after the last.
      clusters: The number of distinct values for each kernel that this step or an
        earlier one sets; None if none does.
      train: Trains a model in place.
    """

    step: str
    following: str
    clusters: int | None
    train: Train


def compress(
    model: keras.Model,
    pipeline: str,
    train: Callable[..., None],
    representative: np.ndarray,
    done: str = "",
) -> bytes:
    """The content of the `.tflite` file that a pipeline makes from a model.

    Pipelines with the same first steps make the same weights, so their files differ
    only in how these are stored.

    Args:
      model: functional model with trained weights; it is not changed.
      pipeline: steps, as in `kdfunc.pipelines`.
      train: trains a model in place; called with the model and with `steps`, all steps
        up to this one joined by `+`, which may determine the order of the data.
      representative: `[n, ...]` float32 images for the ranges of the activations.
      done: the first steps of the pipeline, if the model already has them.

    Raises:
      InputError: it is not a pipeline.
      NotPossible: a library cannot do a step with this model.
    """
    _, mode, sparse = pipelines.parse(pipeline)
    return convert(change(model, pipeline, train, done), mode, representative, sparse)


def change(
    model: keras.Model, pipeline: str, train: Callable[..., None], done: str = ""
) -> keras.Model:
    """The model that a pipeline makes, before it is stored.

    Args:
      model: Functional model with trained weights; it is not changed.
      pipeline: Steps, as in `kdfunc.pipelines`.
      train: As in `compress`.
      done: The first steps of the pipeline, if the model already has them.

    Raises:
      InputError: it is not a pipeline.
      NotPossible: a library cannot do a step with this model.
    """
    steps, _, _ = pipelines.parse(pipeline)
    behind = len(done.split("+")) if done else 0
    clusters = None
    for number, step in enumerate(steps, start=1):
        kind = pipelines.kind(step)
        if kind == "cluster":
            clusters = int(step.removeprefix("cluster"))
        if number <= behind:
            continue
        context = Context(
            step,
            following="".join(steps[number : number + 1]),
            clusters=clusters,
            train=partial(train, steps="+".join(steps[:number])),
        )
        model = named(catalog.STEPS[kind].makes)(model, context)
    return model


def pruned(model: keras.Model, context: Context) -> keras.Model:
    """The steps `pruneN`, `pruneN-layerwise` and `prune2of4`.

    Args:
      model: the model so far.
      context: the step and its place in the pipeline.
    """
    if context.step == "prune2of4":
        with limits_of(TFMOT):
            return pruning.prune_2_of_4(model)
    level, _, scope = context.step.removeprefix("prune").partition("-")
    return pruning.prune(model, int(level) / 100, scope or "kernels")


def changed(model: keras.Model, context: Context) -> keras.Model:
    """The step `my_module:function`.

    Args:
      model: the model so far.
      context: the step and its place in the pipeline.
    """
    return own_step(context.step)(model)


def tuned(model: keras.Model, context: Context) -> keras.Model:
    """The step `finetune`; after `clusterN` it moves the centroids.

    Args:
      model: the model so far.
      context: the step and its place in the pipeline.
    """
    if context.clusters:
        return cluster(model, context.clusters, context.train)
    return fine_tune(model, context.train)


def clustered(model: keras.Model, context: Context) -> keras.Model:
    """The step `clusterN`; if a fine-tuning follows, that step does the clustering.

    Args:
      model: the model so far.
      context: the step and its place in the pipeline.
    """
    if context.following == "finetune":
        return model
    return cluster(model, context.clusters)


def aware(model: keras.Model, context: Context) -> keras.Model:
    """The step `qat`.

    Args:
      model: the model so far.
      context: the step and its place in the pipeline.
    """
    return quantization_aware(model, context.clusters, context.train)


def own_step(step: str) -> Callable[[keras.Model], keras.Model]:
    """The function that a step such as `my_module:function` names.

    Args:
      step: `MODULE:FUNCTION`.

    Raises:
      InputError: it cannot be imported.
    """
    return import_function("--compressions", step, "function(model)")


def fine_tune(model: keras.Model, train: Train) -> keras.Model:
    """A copy that is trained further, with the zeros of its kernels kept.

    Args:
      model: the model, which is not changed.
      train: trains a model in place.
    """
    with limits_of(TFMOT):
        wrapped = pruning.prunable(model)
    masks = tfmot.sparsity.keras.UpdatePruningStep()
    masks.set_model(wrapped)
    masks.on_train_begin()
    train(wrapped)
    masks.on_epoch_end(0)
    return pruning.strip(wrapped)


def cluster(
    model: keras.Model, clusters: int, train: Train | None = None
) -> keras.Model:
    """A copy whose kernels have at most the given number of distinct values each.

    k-means++ with tfmot's fixed seed initializes the centroids. tfmot does not cluster
    depthwise kernels.

    Args:
      model: functional model.
      clusters: how many; if a kernel has zeros, zero is one of them and the zeros stay.
      train: moves the centroids; None leaves them in place.
    """
    with limits_of(TFMOT):
        wrapped = tfmot_clustering.cluster_weights(
            pruning.clone(model),
            number_of_clusters=clusters,
            preserve_sparsity=_is_pruned(model),
        )
    if train:
        train(wrapped)
    with limits_of(TFMOT):
        clustered = tfmot.clustering.keras.strip_clustering(wrapped)
    _zero_depthwise(clustered, model)
    return clustered


def quantization_aware(
    model: keras.Model, clusters: int | None, train: Train
) -> keras.Model:
    """A model trained to compute what its full-int8 version will compute.

    It starts from the model's weights; zeros and clusters of its kernels stay.

    Args:
      model: functional model; it is not changed.
      clusters: distinct values of each kernel, None if they are not clustered.
      train: trains it.
    """
    quantize, preserving = tfmot.quantization.keras, tfmot.experimental.combine
    if clusters:
        scheme = preserving.Default8BitClusterPreserveQuantizeScheme(
            preserve_sparsity=_is_pruned(model)
        )
    else:
        scheme = preserving.Default8BitPrunePreserveQuantizeScheme()
    with limits_of(TFMOT):
        annotated = quantize.quantize_annotate_model(pruning.clone(model))
        aware = quantize.quantize_apply(annotated, scheme)
    train(aware)
    _zero_depthwise(aware, model)
    return aware


def _is_pruned(model: keras.Model) -> bool:
    return any(np.any(kernel.numpy() == 0) for kernel in pruning.kernels(model))


def _zero_depthwise(trained: keras.Model, before: keras.Model) -> None:
    """Restores the zeros of depthwise kernels, which tfmot does not keep here."""
    kernels, old = (
        [v for v in model.weights if v.name.endswith("depthwise_kernel:0")]
        for model in (trained, before)
    )
    for kernel, mask in zip(kernels, old, strict=True):
        kernel.assign(tf.where(mask == 0, 0.0, kernel))
