"""Pipelines of compression: steps joined by `+`, such as `prune90+finetune+sparse`.

The steps, in the required order; each may be omitted:

    pruneN, pruneN-layerwise, prune2of4
        Sets kernel weights to zero: the N % that are smallest in the whole network,
        or in each layer, or two of each four along the input channels.
    my_module:function
        Your own step: takes a Keras model and returns another.
    finetune
        Trains further with the zeros kept; without pruning it only trains further.
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

from kdfunc.catalog import FORMATS, METHODS, STEPS, modes
from kdfunc.errors import InputError

#: The format of a pipeline that names none.
DEFAULT_FORMAT = "float32"
SPARSE = "sparse"

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
    """Splits a pipeline into its parts.

    Args:
      pipeline: its steps joined by `+`.

    Returns:
      The steps that change the model, the format of the file, whether it is sparse.

    Raises:
      InputError: it has an unknown step, or steps that cannot be combined.
    """
    steps = pipeline.split("+")
    for step in steps:
        if not kind(step):
            names = (row.form for row in STEPS.values())
            allowed = ", ".join([*names, *FORMATS, SPARSE])
            raise InputError(
                f"--compressions: got {pipeline!r} with the step {step!r}; allowed: "
                f"{allowed}."
            )

    def refuse(reason: str) -> InputError:
        return InputError(f"--compressions: got {pipeline!r}; {reason}.")

    kinds = [kind(step) for step in steps]
    if not re.fullmatch(_order(), "".join(f"{name} " for name in kinds)):
        order = []
        for name, row in STEPS.items():
            order.append("a step of your own" if name == "own" else name)
            order += ["finetune"] if row.tuned else []
        raise refuse(
            f"the order is {', '.join(order)}, a format, {SPARSE}, each at most once"
        )
    formats = [step for step in steps if step in FORMATS]
    for step, name in zip(steps, kinds, strict=True):
        wanted = STEPS[name].format if name in STEPS else ""
        if wanted and formats != [wanted]:
            raise refuse(f"{step} trains for one format only, so give {step}+{wanted}")
    if SPARSE in steps and "prune" not in kinds:
        raise refuse("sparse stores zeros, so prune first, as in prune90+sparse")
    if pipeline in modes():
        raise refuse(f"--quantization={pipeline} makes that model")
    if formats == [DEFAULT_FORMAT] and len(steps) > 1:
        raise refuse(f"{DEFAULT_FORMAT} is the default, so omit it")
    training = [step for step in steps if step not in (*FORMATS, SPARSE)]
    return training, formats[0] if formats else DEFAULT_FORMAT, SPARSE in steps


def _order() -> str:
    """A regular expression for the kinds of a pipeline's steps, each with a space."""
    parts = [
        f"({name} {'(finetune )?' if row.tuned else ''})?"
        for name, row in STEPS.items()
    ]
    return "".join([*parts, "(format )?", f"({SPARSE} )?"])


def expand(pipelines: Iterable[str]) -> tuple[str, ...]:
    """The pipelines with `all` replaced by `ALL`, checked.

    Args:
      pipelines: each with its steps joined by `+`.

    Raises:
      InputError: one is not a pipeline; see `parse`.
    """
    expanded: list[str] = []
    for given in pipelines:
        expanded += ALL if given == "all" else [given]
    for pipeline in expanded:
        parse(pipeline)
    return tuple(expanded)


def stems(pipeline: str) -> list[str]:
    """The first steps of a pipeline up to each fine-tuning, each a pipeline itself.

    Pipelines share them, so each is trained only once. There are none after a user's
    own step, since it is not known whether its model can be stored.

    Args:
      pipeline: its steps joined by `+`.
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
    """How many of a pipeline's steps train.

    Args:
      pipeline: its steps joined by `+`.
    """
    kinds = map(kind, pipeline.split("+"))
    return sum(name in STEPS and STEPS[name].trains for name in kinds)


def method(pipeline: str) -> str:
    """What a pipeline does to the weights: a key of `catalog.METHODS`.

    Args:
      pipeline: its steps joined by `+`.
    """
    kinds = {kind(step) for step in pipeline.split("+")}
    marked = frozenset().union(*(row.steps for row in METHODS.values()))
    if any(not STEPS[name].trains for name in (kinds & STEPS.keys()) - marked):
        kinds.add("own")
    return next(name for name, row in METHODS.items() if row.steps <= kinds)


def kind(step: str) -> str:
    """A key of `catalog.STEPS`, `format`, `sparse`, or empty if it is not a step.

    Args:
      step: Its name, such as `prune90`.
    """
    if step in FORMATS:
        return "format"
    if step == SPARSE:
        return SPARSE
    matching = (name for name, row in STEPS.items() if re.fullmatch(row.pattern, step))
    return next(matching, "")
