"""Pipelines of compression: steps joined by `+`, such as `prune90+finetune+sparse`.

The steps, in the order that they must have; each may be left out:

    pruneN, pruneN-layerwise, prune2of4
        Sets kernel weights to zero: the N % that are smallest in the whole network,
        or in each layer, or two of each four along the input channels.
    my_module:function
        A step of your own: takes a Keras model and returns another.
    finetune
        Trains on with the zeros kept; by itself it only trains on.
    clusterN, clusterN+finetune
        Gives each kernel N distinct values, which fine-tuning may move.
    qat
        Quantization-aware training for full-int8; keeps zeros and clusters.
    float32 (the default), float16, dynamic-range, full-int8, int16x8, int4
        How the weights are stored in the `.tflite` file, see `catalog.FORMATS`.
    sparse
        Stores zeros of pruned kernels as indices of the others.
"""

import re
from collections.abc import Iterable

from kdfunc.catalog import FORMATS, METHODS, modes
from kdfunc.errors import InputError

#: The kinds of steps by the patterns of their names.
KINDS = {
    "prune": re.compile(r"prune([1-9]\d?(-layerwise)?|2of4)"),
    "own": re.compile(r"[\w.]+:\w+"),
    "finetune": re.compile(r"finetune"),
    "cluster": re.compile(r"cluster([3-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-6])"),
    "qat": re.compile(r"qat"),
    "sparse": re.compile(r"sparse"),
}
_ORDER = re.compile(
    r"(prune )?(own )?(finetune )?(cluster (finetune )?)?(qat )?(format )?(sparse )?"
)
_STEPS = (
    "pruneN or pruneN-layerwise (N from 1 to 99), prune2of4, my_module:function, "
    f"finetune, clusterN (N from 3 to 256), qat, {', '.join(FORMATS)}, sparse"
)

#: What `all` stands for: every mode by itself, then what goes well together.
ALL = (
    "float32",
    "finetune",
    "full-int8",
    "int16x8",
    "int4",
    "qat+full-int8",
    "cluster16",
    "cluster16+finetune",
    "cluster16+finetune+dynamic-range",
    "prune50+sparse",
    "prune50+finetune+sparse",
    "prune50-layerwise+sparse",
    "prune50-layerwise+finetune+sparse",
    "prune2of4+sparse",
    "prune2of4+finetune+sparse",
    "prune90+sparse",
    "prune90+finetune",
    "prune90+finetune+sparse",
    "prune90-layerwise+sparse",
    "prune90-layerwise+finetune+sparse",
    "prune90+finetune+float16+sparse",
    "prune90+finetune+dynamic-range+sparse",
    "prune90+finetune+full-int8+sparse",
    "prune90+int16x8+sparse",
    "prune90+finetune+qat+full-int8+sparse",
    "prune50+finetune+int4",
    "prune50+finetune+cluster16+finetune+dynamic-range",
)


def parse(pipeline: str) -> tuple[list[str], str, bool]:
    """Takes a pipeline apart.

    Returns:
      The steps that change the model, the format of the file, whether it is sparse.

    Raises:
      InputError: it has an unknown step, or steps that do not go together.
    """
    steps = pipeline.split("+")
    kinds = [_kind(step, pipeline) for step in steps]

    def refuse(reason: str) -> InputError:
        return InputError(f"--compressions: got {pipeline!r}; {reason}.")

    if not _ORDER.fullmatch("".join(f"{kind} " for kind in kinds)):
        raise refuse(
            "the order is prune, a step of your own, finetune, cluster, finetune, qat, "
            "a format, sparse, each no more than once"
        )
    formats = [s for s, kind in zip(steps, kinds, strict=True) if kind == "format"]
    if "qat" in steps and formats != ["full-int8"]:
        raise refuse("qat trains for one format, so give qat+full-int8")
    if "sparse" in steps and "prune" not in kinds:
        raise refuse("sparse stores zeros, so prune before, as in prune90+sparse")
    if pipeline in modes():
        raise refuse(f"that model is made by --quantization={pipeline}")
    if formats == ["float32"] and len(steps) > 1:
        raise refuse("float32 is the default, so leave it out")
    training = [s for s in steps if s not in (*FORMATS, "sparse")]
    return training, formats[0] if formats else "float32", "sparse" in steps


def expand(pipelines: Iterable[str]) -> tuple[str, ...]:
    """The pipelines with `all` replaced by `ALL`, checked.

    Raises:
      InputError: one is no pipeline; see `parse`.
    """
    expanded = []
    for given in pipelines:
        expanded += ALL if given == "all" else [given]
    for pipeline in expanded:
        parse(pipeline)
    return tuple(expanded)


def stems(pipeline: str) -> list[str]:
    """The beginnings of a pipeline that end with a fine-tuning, each a pipeline itself.

    Pipelines share them, so each is trained once. From a step of one's own on there are
    none: nobody knows whether its model can be stored.
    """
    steps = pipeline.split("+")
    found = []
    for number, step in enumerate(steps, start=1):
        if ":" in step:
            break
        if step == "finetune":
            found.append("+".join(steps[:number]))
    return found


def trainings(pipeline: str) -> int:
    """How many of a pipeline's steps train."""
    return sum(step in ("finetune", "qat") for step in pipeline.split("+"))


def method(pipeline: str) -> str:
    """What a pipeline does to the weights, a key of `catalog.METHODS`."""
    kinds = {_kind(step, pipeline) for step in pipeline.split("+")}
    return next(name for name, row in METHODS.items() if row.steps <= kinds)


def _kind(step: str, pipeline: str) -> str:
    if step in FORMATS:
        return "format"
    for kind, pattern in KINDS.items():
        if pattern.fullmatch(step):
            return kind
    raise InputError(
        f"--compressions: got {pipeline!r} with the step {step!r}; allowed: {_STEPS}."
    )
