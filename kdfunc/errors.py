"""The errors that a user is meant to read."""

import re
from collections.abc import Iterator

#: What is quoted, which stays as it is, or the name of a flag.
_FLAG = re.compile(r"`[^`]*`|(?<![\w-])--([a-z][\w-]*)")


class InputError(ValueError):
    """Bad input, told in one sentence: what was given, what is allowed, what to do.

    Raised before anything is written. The sentence names arguments as flags, such as
    `--batch_size`, which is what the command line prints before it exits with code 2.
    In Python, `str` of the error names them as arguments: `batch_size`.
    """

    def __str__(self) -> str:
        text = super().__str__()
        return _FLAG.sub(lambda m: m[1].replace("-", "_") if m[1] else m[0], text)

    @property
    def with_flags(self) -> str:
        """The sentence as a command tells it."""
        return super().__str__()


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


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from, to the bottom.

    Args:
      error: Where to begin; None for nothing.
    """
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def first_line(error: BaseException) -> str:
    """What an error of another library says, short enough to be told in a sentence.

    Args:
      error: What was raised.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[0].split()).rstrip(".:")
