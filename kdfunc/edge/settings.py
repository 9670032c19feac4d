"""How a model is run: the settings, and how they are written on a command line."""

import math
import os
import shlex
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from kdfunc import system
from kdfunc.errors import InputError

#: XNNPACK where it takes an operator and optimized kernels elsewhere; optimized kernels
#: alone; reference kernels, slow and plain.
KERNELS = ("xnnpack", "builtin", "reference")


@dataclass(frozen=True)
class Settings:
    """How a model is run.

    Attributes:
      batch_size: examples an invocation.
      threads: of the interpreter.
      seconds: limit for loading a model and for each batch.
      memory: limit in bytes for a `.tflite` model and its interpreter; None for none,
        which is the default where the system has no such limit.
      signature: key of the signature to run; None for the first subgraph.
      range: what bytes 0 and 255 of uint8 images stand for, where the input takes no
        bytes; None for the metadata of the file, and 0 to 1 where it has none.
      mean, std: the same in other words, one for all channels or one for each:
        `(byte - mean) / std`.
      kernels: one of `KERNELS`.
      delegate: path of the library of an external delegate, such as a GPU's or an
        NPU's; None for no more than `kernels` says.
      delegate_options: of the delegate's own.
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
        if self.kernels not in KERNELS:
            raise InputError(
                f"kernels: got {self.kernels!r}; allowed: {', '.join(KERNELS)}."
            )
        if self.range and (self.mean or self.std):
            raise InputError(
                "range and mean or std exclude each other; give one of them."
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
                "delegate and kernels cannot be chosen together; leave out one of them."
            )
        if self.delegate_options and not self.delegate:
            raise InputError("delegate_options need a delegate; give its library, too.")

    def changed(self, text: str) -> "Settings":
        """Settings with some changed, as the command line has them.

        Args:
          text: such as `range=-1,1 threads=4 kernels=reference`.

        Raises:
          InputError: no such setting, or a value that is not allowed.
        """
        changes: dict[str, Any] = {}
        for part in shlex.split(text):
            name, sign, value = part.partition("=")
            name = name.replace("-", "_")
            if not sign or name not in READERS:
                raise InputError(
                    f"got {part!r} for how a model is run; give "
                    f"{', '.join(READERS)} as NAME=VALUE, with spaces between, such as "
                    "'range=-1,1 threads=4'."
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


def count(text: str, most: int = MOST_EXAMPLES) -> int:
    """Reads a whole number from 1 on, or raises ValueError with what to give.

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
    return count(text, MOST_THREADS)


def numbers(text: str) -> tuple[float, ...]:
    """Reads numbers with commas between, or raises ValueError with what to give.

    Args:
      text: from the command line.
    """
    try:
        values = tuple(map(float, text.split(",")))
    except ValueError:
        values = (math.nan,)
    if not all(map(math.isfinite, values)):
        raise ValueError("numbers with commas between")
    return values


def _text(text: str) -> str:
    if not text:
        raise ValueError("a name that is not empty")
    return text


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    parts = [part.partition(":") for part in text.split(",")]
    if not all(name and sign for name, sign, _ in parts):
        raise ValueError("NAME:VALUE with commas between")
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
    "batch_size": count,
    "kernels": _text,
    "delegate": lambda text: os.path.expanduser(_text(text)),
    "delegate_options": _pairs,
}
