"""Settings for running a model, and their form on a command line."""

import math
import os
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from kdfunc import system
from kdfunc.errors import InputError, refuse_unknown

#: XNNPACK where it takes an operator and optimized kernels elsewhere; optimized kernels
#: alone; reference kernels, slow and plain.
KERNELS = ("xnnpack", "builtin", "reference")


@dataclass(frozen=True)
class Settings:
    """How a model is run.

    Attributes:
      batch_size: examples per invocation.
      threads: of the interpreter.
      seconds: time limit for loading a model and for each batch.
      memory: limit in bytes for a model and what runs it; None for no limit, the
        default if the system has no such limits.
      signature: key of the signature to run; None for the first subgraph.
      range: the values of bytes 0 and 255 of uint8 images, if the input does not take
        bytes; None for the metadata of the file, else 0 to 1.
      mean, std: the same as `(byte - mean) / std`, one number for all channels or one
        per channel.
      kernels: one of `KERNELS`.
      delegate: path of the library of an external delegate, such as a GPU's or an
        NPU's; None for `kernels` only.
      delegate_options: options of the delegate.
    """

    batch_size: int = 100
    threads: int = 1
    seconds: float = 60
    memory: int | None = field(default_factory=system.half_of_memory)
    signature: str | None = None
    range: tuple[float, float] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    kernels: str = "xnnpack"
    delegate: str | None = None
    delegate_options: tuple[tuple[str, str], ...] = ()

    def __post_init__(self):
        for name, most in (("batch_size", MOST_EXAMPLES), ("threads", MOST_THREADS)):
            if not 1 <= getattr(self, name) <= most:
                raise InputError(
                    f"{name}: got {getattr(self, name)}; give a whole number from 1 to "
                    f"{most}."
                )
        if not self.seconds > 0:
            raise InputError(
                f"seconds: got {self.seconds:g}; give a number of seconds above 0."
            )
        refuse_unknown("kernels", self.kernels, KERNELS)
        if self.range and (self.mean or self.std):
            raise InputError(
                "range cannot be combined with mean or std; give one or the other."
            )
        if self.range and (len(self.range) != 2 or self.range[0] == self.range[1]):
            raise InputError(
                f"range: got {_joined(self.range)}; give what bytes 0 and 255 stand "
                "for, such as -1,1."
            )
        if self.std and 0 in self.std:
            raise InputError("std: got 0; give numbers other than 0.")
        if self.delegate and self.kernels != "xnnpack":
            raise InputError(
                "delegate and kernels cannot be combined; omit one of them."
            )
        if self.delegate_options and not self.delegate:
            raise InputError("delegate_options need a delegate; give its library, too.")

    def changed(self, text: str) -> "Settings":
        """These settings with changes in the form of the command line.

        Args:
          text: such as `range=-1,1 threads=4 kernels=reference`.

        Raises:
          InputError: there is no such setting, or a value is not allowed.
        """
        changes: dict[str, Any] = {}
        try:
            parts = system.words(text)
        except ValueError as error:
            raise InputError(
                f"got {text!r} as settings of a model ({error}); close every quotation "
                "mark, and write \\' for an apostrophe."
            ) from None
        for part in parts:
            name, sign, value = part.partition("=")
            name = name.replace("-", "_")
            if not sign or name not in READERS:
                raise InputError(
                    f"got {part!r} as a setting of a model; give {', '.join(READERS)} "
                    "as NAME=VALUE, separated by spaces, such as 'range=-1,1 "
                    "threads=4'."
                )
            try:
                changes[name] = READERS[name](value)
            except ValueError as error:
                raise InputError(f"{name}: got {value!r}; give {error}.") from None
        if "range" in changes:
            changes = {"mean": None, "std": None, **changes}
        elif "mean" in changes or "std" in changes:
            changes = {"range": None, **changes}
        return replace(self, **changes)


#: Above these, nobody means it.
MOST_EXAMPLES, MOST_THREADS = 1_000_000, 1024


def read_count(text: str, most: int = MOST_EXAMPLES) -> int:
    """Reads a whole number of at least 1, or raises ValueError with what to give.

    Args:
      text: from the command line.
      most: largest number that is allowed.
    """
    # So many digits that reading them takes long are no number that anybody means.
    if not text.isdecimal() or len(text) > 20 or not 1 <= int(text) <= most:
        raise ValueError(f"a whole number from 1 to {most}")
    return int(text)


def thread_count(text: str) -> int:
    """Reads a number of threads, or raises ValueError with what to give.

    Args:
      text: from the command line.
    """
    return read_count(text, MOST_THREADS)


def numbers(text: str) -> tuple[float, ...]:
    """Reads numbers separated by commas, or raises ValueError with what to give.

    Args:
      text: from the command line.
    """
    try:
        values = tuple(map(float, text.split(",")))
    except ValueError:
        values = (math.nan,)
    if not all(map(math.isfinite, values)):
        raise ValueError("numbers separated by commas")
    return values


def _text(text: str) -> str:
    if not text:
        raise ValueError("a name that is not empty")
    return text


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    parts = [part.partition(":") for part in text.split(",")]
    if not all(name and sign for name, sign, _ in parts):
        raise ValueError("NAME:VALUE separated by commas")
    return tuple((name, value) for name, _, value in parts)


def _joined(values) -> str:
    return ",".join(f"{value:g}" for value in values)


#: What the command line can set for one model alone, and how it is read.
READERS: dict[str, Callable[[str], Any]] = {
    "range": numbers,
    "mean": numbers,
    "std": numbers,
    "signature": _text,
    "threads": thread_count,
    "batch_size": read_count,
    "kernels": _text,
    "delegate": lambda text: os.path.expanduser(_text(text)),
    "delegate_options": _pairs,
}
