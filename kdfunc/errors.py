"""The errors that users are meant to read."""

import re
from collections.abc import Collection, Iterator

from kdfunc.text import did_you_mean

#: What is quoted, which stays as it is, or the name of a flag.
_FLAG = re.compile(r"`[^`]*`|(?<![\w-])--([a-z][\w-]*)")


class InputError(ValueError):
    """Bad input, in one sentence: what was given, what is allowed, what to do.

    Raised before anything is written. The sentence names arguments as flags, such as
    `--batch_size`, which is what the command line prints before it exits with code 2.
    In Python, `str` of the error names them as arguments: `batch_size`.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return _FLAG.sub(lambda m: m[1].replace("-", "_") if m[1] else m[0], text)

    @property
    def with_flags(self) -> str:
        """The sentence as a command prints it."""
        return super().__str__()


class RunError(RuntimeError):
    """Work that stopped, in one sentence: why, and that the same command resumes it."""


class TrainingError(RuntimeError):
    """A training that cannot continue, for example because its loss is not a number."""


class NotPossible(RuntimeError):
    """A library cannot compress a model in the requested way: which one, and why."""


def refuse_string(argument: str, given: object) -> None:
    """Refuses a string in place of a list: it would be read letter by letter.

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


def refuse_unknown(argument: str, given: object, allowed: Collection[str]) -> None:
    """Refuses what is none of a few choices.

    Args:
      argument: What the error calls it.
      given: What was given.
      allowed: The choices.

    Raises:
      InputError: It is none of them.
    """
    if given not in allowed:
        raise InputError(
            f"{argument}: got {given!r}; allowed: {', '.join(allowed)}"
            f"{did_you_mean(given, allowed)}"
        )


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and its causes, down to the first.

    Args:
      error: The error; None yields nothing.
    """
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def first_line(error: BaseException) -> str:
    """The message of another library's error, short enough to be quoted in a sentence.

    Args:
      error: What was raised.
    """
    text = str(error)
    if isinstance(error, OSError) and error.strerror:  # without its number
        text = error.strerror + (f": {error.filename}" if error.filename else "")
    lines = text.strip().splitlines() or [type(error).__name__]
    return " ".join(lines[0].split()).rstrip(".:")
