"""The options of `kdfunc-edge` for running models."""

import argparse
import functools
from collections.abc import Callable
from typing import Any

from kdfunc.edge.settings import KERNELS, READERS, Settings, read_count, thread_count

BATCH_SIZE = 100
MOST_SECONDS = 1_000_000
MOST_MEMORY = 1_000_000_000  # MB
#: For one model: name, what to give, help.
OF_MODEL = (
    ("signature", "KEY", "signature to run; default: the first subgraph"),
    (
        "kernels",
        None,
        "kernels to use; default: xnnpack for the operators that it supports",
    ),
    (
        "delegate",
        "LIBRARY",
        "library of an external delegate, such as a GPU's; untested",
    ),
    ("delegate_options", "NAME:VALUE,..", "options of the delegate"),
)
OF_PIXELS = (
    ("range", "LOW,HIGH", "what bytes 0 and 255 stand for, such as --range=-1,1"),
    (
        "mean",
        "M,..",
        "instead of a range: (byte - mean) / std; one number, or one per channel",
    ),
    ("std", "S,..", "see --mean"),
)


def add(parser: argparse.ArgumentParser) -> None:
    """Adds the options for running a model over a file of examples.

    Args:
      parser: receives the options.
    """
    parser.add_argument(
        "--batch-size",
        type=_read(read_count),
        default=BATCH_SIZE,
        metavar="N",
        help=f"examples per run; default {BATCH_SIZE}",
    )
    parser.add_argument(
        "--threads",
        type=_read(thread_count),
        default=1,
        metavar="N",
        help="threads of the interpreter; default 1",
    )
    _add(parser, OF_PIXELS + OF_MODEL)
    _add_limits(parser)


def add_timing(parser: argparse.ArgumentParser) -> None:
    """Adds the options for timing a model.

    Args:
      parser: receives the options.
    """
    for name, read, what in (
        ("--batch-sizes", read_count, "examples per run"),
        ("--threads", thread_count, "threads"),
    ):
        parser.add_argument(
            name,
            type=_read(functools.partial(_counts, read)),
            default=[1],
            metavar="N,N",
            help=f"{what}, each in turn; default 1",
        )
    for name, default, what in (
        ("--runs", 100, "timed"),
        ("--warm-up", 10, "untimed"),
    ):
        parser.add_argument(
            name,
            type=_read(read_count),
            default=default,
            metavar="N",
            help=f"{what} runs; default {default}",
        )
    _add(parser, OF_MODEL)
    _add_limits(parser)


def add_for_each(parser: argparse.ArgumentParser) -> None:
    """Adds the options for only one of two models; independent ones run as the first.

    Args:
      parser: receives the options.
    """
    names = ", ".join(READERS)
    for model, whom in (
        ("reference", "the reference and independent models"),
        ("candidate", "the candidate"),
    ):
        parser.add_argument(
            f"--{model}-options",
            metavar="'NAME=VALUE ..'",
            help=f"settings for {whom} only: {names}",
        )


def settings(asked: argparse.Namespace) -> Settings:
    """The settings from the options.

    Args:
      asked: the parsed options.

    Raises:
      InputError: two of them conflict.
    """
    given: dict[str, Any] = {name: getattr(asked, name, None) for name in READERS}
    if isinstance(given["threads"], list):  # of which each is timed
        del given["threads"]
    if asked.memory:
        given["memory"] = asked.memory << 20
    given = {name: value for name, value in given.items() if value is not None}
    return Settings(seconds=asked.timeout, **given)


def settings_for_each(asked: argparse.Namespace) -> dict[str, Settings]:
    """The settings, by the arguments of `compare`.

    Args:
      asked: the parsed options.

    Raises:
      InputError: there is no such setting, or its value is not allowed.
    """
    common = settings(asked)
    return {
        "settings": common.changed(asked.reference_options or ""),
        "candidate_settings": common.changed(asked.candidate_options or ""),
    }


def _add(parser: argparse.ArgumentParser, options) -> None:
    for name, metavar, text in options:
        choices = KERNELS if name == "kernels" else None
        parser.add_argument(
            "--" + name.replace("_", "-"),
            type=_read(READERS[name]),
            choices=choices,
            metavar=metavar,
            help=text,
        )


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout",
        type=_read(_seconds),
        default=60,
        metavar="SECONDS",
        help="time limit for loading and for each step; default 60",
    )
    parser.add_argument(
        "--memory",
        type=_read(functools.partial(read_count, most=MOST_MEMORY)),
        metavar="MB",
        help="memory limit of the model (Linux); default: half of the machine's",
    )


def _read(read: Callable[[str], Any]) -> Callable[[str], Any]:
    """A parser for argparse whose error says what was given and what to give."""

    def checked(text: str) -> Any:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"got {text!r}; give {error}") from None

    return checked


def _counts(read: Callable[[str], int], text: str) -> list[int]:
    try:
        return [read(part) for part in text.split(",")]
    except ValueError as error:
        raise ValueError(f"{error}, or several separated by commas") from None


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0 < value <= MOST_SECONDS:
        raise ValueError(f"a number of seconds above 0 and up to {MOST_SECONDS}")
    return value
