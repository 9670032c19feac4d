"""The options shared by `kdfunc compare` and `kdfunc-edge compare`."""

import argparse
import json
import pathlib
from typing import Any

from kdfunc.comparison import CONFIDENCE, RESAMPLES
from kdfunc.errors import InputError
from kdfunc.writing import output_path, telling


def add(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds the options of a comparison.

    Args:
      parser: Parser of the command.
      what: What is given for each model.
    """
    add_comparing(parser, what)
    parser.add_argument(
        "--reference-outputs",
        metavar="KIND",
        help="like --outputs, for the reference only",
    )
    parser.add_argument(
        "--candidate-outputs",
        metavar="KIND",
        help="like --outputs, for the candidate only",
    )
    parser.add_argument("--logits", action="store_true", help="like --outputs=logits")
    parser.add_argument("--report", metavar="FILE", help="HTML page to write")
    parser.add_argument("--json", action="store_true", help="print JSON")


def add_comparing(parser: argparse.ArgumentParser, what: str) -> None:
    """Adds the options of all comparing commands; arguments as in `add`.

    Args:
      parser: Receives the options.
      what: What is compared, for the help text.
    """
    parser.add_argument(
        "--independent",
        action="append",
        default=[],
        metavar="FILE",
        help=f"{what} trained like the reference from other initial weights, needed "
        "for the function preserved; may be repeated",
    )
    parser.add_argument(
        "--limit",
        action="append",
        default=[],
        metavar="'MEASURE>=X'",
        help="limit to meet, with >= or <=; add `at 95%%` to ask for confidence; may "
        "be repeated",
    )
    parser.add_argument(
        "--outputs",
        metavar="KIND",
        help="kind of the outputs, instead of the detected one: probabilities, logits "
        "or numbers; for one of several outputs, NAME=KIND",
    )
    parser.add_argument(
        "--resamples",
        type=_count,
        default=RESAMPLES,
        metavar="N",
        help=f"number of bootstrap resamples; default {RESAMPLES}",
    )
    parser.add_argument(
        "--confidence",
        type=float,
        default=CONFIDENCE,
        metavar="C",
        help=f"confidence of intervals; default {CONFIDENCE}",
    )


def given(asked: argparse.Namespace) -> dict[str, Any]:
    """The arguments of `compare` from the options.

    Args:
      asked: The parsed options.

    Raises:
      InputError: Two options conflict, or the page would replace an input or cannot be
        written.
    """
    if asked.logits and asked.outputs not in (None, "logits"):
        raise InputError(
            f"--logits and --outputs={asked.outputs} differ; give one of them."
        )
    if asked.report is not None:
        checked_output(asked.report, asked, "--report")
    return {
        "limit": asked.limit,
        "outputs": "logits" if asked.logits else asked.outputs,
        "reference_outputs": asked.reference_outputs,
        "candidate_outputs": asked.candidate_outputs,
        "resamples": asked.resamples,
        "confidence": asked.confidence,
    }


def show(compared: dict[str, Any], asked: argparse.Namespace) -> int:
    """Prints a comparison, writes its page, and returns the exit code.

    Args:
      compared: From `compare`.
      asked: The parsed options.
    """
    from kdfunc.comparison import limits

    print(json.dumps(compared, indent=2) if asked.json else compared)
    if asked.report is not None:
        from kdfunc.comparison import page

        path = checked_output(asked.report, asked, "--report")
        with telling(asked.report, "--report"):
            page.write(compared, path)
        if not asked.json:
            print(f"\nReport: {path}")
    return limits.EXIT_CODES[limits.worst(compared["limits"])]


def checked_output(path: str, asked: argparse.Namespace, option: str) -> pathlib.Path:
    """The path of an output file that an option names.

    Args:
      path: The path as given.
      asked: The parsed options, whose input files must not be overwritten.
      option: The option that gave it.

    Raises:
      InputError: It would replace an input, is not a file, or cannot be written.
    """
    read = [asked.reference, asked.candidate, *asked.independent]
    read += [getattr(asked, name, None) for name in ("data", "labels")]
    return output_path(path, [name for name in read if name], option)


def _count(text: str) -> int:
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(
            f"got {text!r}; give a whole number of at least 1"
        )
    return value
