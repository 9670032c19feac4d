"""The errors that a user is meant to read, and how a command tells them."""

import os
import sys
from collections.abc import Callable


class InputError(ValueError):
    """Bad input, told in one sentence: what was given, what is allowed, what to do.

    Raised before anything is written. The command line prints the sentence and
    exits with code 2.
    """


class TrainingError(RuntimeError):
    """A training that cannot go on, such as a loss that is no longer a number."""


class NotPossible(RuntimeError):
    """A library cannot compress this model in this way: which library, and why."""


def refuse_string(argument: str, given: object) -> None:
    """Refuses one string where a list is meant, whose letters would be read one by one.

    Args:
      argument: What the error calls it.
      given: What was given.

    Raises:
      InputError: It is a string.
    """
    if isinstance(given, str):
        raise InputError(
            f"{argument}: got {given!r}; give a list, such as [{given!r}]."
        )


def first_line(error: BaseException) -> str:
    """What an error of another library says, short enough to be told in a sentence."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[0].split()).rstrip(".:")


def exit_code(command: str, run: Callable[[], int]) -> int:
    """Runs a command to its exit code; bad input and Ctrl-C are told in one line.

    Returns:
      What `run` returns; 2 for bad input, 130 after Ctrl-C.
    """
    try:
        code = run()
        sys.stdout.flush()
        return code
    except BrokenPipeError:  # whoever read the output has left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 2
    except (InputError, OSError) as error:
        print(f"{command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except MemoryError as error:
        reason = " ".join(str(error).split()).rstrip(".") or "no reason given"
        print(
            f"{command}: there is not enough memory ({reason}); give fewer examples.",
            file=sys.stderr,
        )
        return 2
    except KeyboardInterrupt:
        print(f"{command}: stopped.", file=sys.stderr)
        return 130
