"""Arrays of examples, as inputs and outputs of models."""

from collections.abc import Mapping, Sequence

import numpy as np

from kdfunc.edge.ports import Port
from kdfunc.errors import InputError


def bind(
    examples: np.ndarray | Mapping[str, np.ndarray],
    inputs: Sequence[Port],
    name: str,
) -> list[np.ndarray]:
    """The arrays in the order of a model's inputs.

    Args:
      examples: an array for a model with one input, or arrays by the inputs' names.
      inputs: of the model.
      name: the model's, for errors.

    Raises:
      InputError: arrays are missing or superfluous, or differ in length; or the model
        has no inputs.
    """
    names = [port.name for port in inputs]
    if not names:
        raise InputError(f"{name} has no inputs; give another model or --signature.")
    if not isinstance(examples, Mapping):
        examples = {names[0]: examples} if len(names) == 1 else {"": examples}
    if set(examples) != set(names):
        raise InputError(
            f"{name} takes {', '.join(names)} but got "
            f"{', '.join(examples) or 'nothing'}; give an array for each of its "
            "inputs, by name."
        )
    arrays = [np.asarray(examples[name]) for name in names]
    counts = {len(values) if values.ndim else 0 for values in arrays}
    if len(counts) > 1:
        raise InputError(
            f"the inputs of {name} have different numbers of examples "
            f"({', '.join(map(str, sorted(counts)))}); give the same number for each."
        )
    if 0 in counts:
        raise InputError("there are no examples; give at least one.")
    return arrays


def fits(shape: Sequence[int], port: Port, name: str) -> bool:
    """Whether examples fill all dimensions of an input, including the first.

    Args:
      shape: of the examples, `(n, ...)`.
      port: the input.
      name: the model's, for the error.

    Raises:
      InputError: the shape does not fit the input.
    """
    for whole in (False, True):
        wanted = port.shape if whole else port.shape[1:]
        given = tuple(shape[1:])
        if (whole or port.shape) and len(given) == len(wanted):
            if all(b in (-1, a) for a, b in zip(given, wanted, strict=True)):
                return whole
    takes = port.wanted(whole=not port.has_batch)
    raise InputError(
        f"{port.name} has shape {list(shape)} in the data, but {name} takes {takes}; "
        "give examples of that shape."
    )


def shapes_of(
    arrays: Sequence[np.ndarray], inputs: Sequence[Port]
) -> dict[str, tuple[int, ...]]:
    """The shape of an example, by the input's name.

    Args:
      arrays: `[n, ...]` in the order of the inputs.
      inputs: of the model.
    """
    return {
        port.name: values.shape[1:] for port, values in zip(inputs, arrays, strict=True)
    }


def joined(parts: Sequence[np.ndarray], output: str, name: str) -> np.ndarray:
    """Outputs of successive batches as one array.

    Args:
      parts: `[batch, ...]` of one output.
      output: its name, for the error.
      name: the model's.

    Raises:
      InputError: their shapes differ.
    """
    first = parts[0].shape[1:]
    for part in parts:
        if part.shape[1:] != first:
            raise InputError(
                f"{name} gives {output} in different shapes for different examples "
                f"({list(first)} and {list(part.shape[1:])}), which do not fit into "
                "one array; choose another output or signature."
            )
    return np.concatenate(parts)


def only(outputs: Mapping[str, np.ndarray], name: str) -> np.ndarray:
    """The only output of a model.

    Args:
      outputs: of the model, by name.
      name: the model's, for the error.

    Raises:
      InputError: it has several.
    """
    if len(outputs) != 1:
        raise InputError(
            f"{name} has {len(outputs)} outputs ({', '.join(outputs)}); take all of "
            "them with Model.run, or as a .npz file."
        )
    return next(iter(outputs.values()))


def random_values(
    rng: np.random.Generator, port: Port, shape: Sequence[int], fill: int = 1
) -> np.ndarray:
    """Random numbers in [0, 1), random bytes, or whole numbers that are all `fill`.

    Args:
      rng: random generator.
      port: the input, whose type determines the numbers.
      shape: of the array.
      fill: the value of whole numbers.
    """
    if port.kind == "f":
        return rng.random(tuple(shape), np.float32)
    if port.dtype == "uint8":
        return rng.integers(256, size=tuple(shape), dtype=np.uint8)
    return np.full(tuple(shape), fill, port.dtype if port.kind in "iub" else np.int32)
