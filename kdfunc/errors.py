"""The errors that a user is meant to read."""

from collections.abc import Iterator


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


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """An error and what it came from, to the bottom."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def first_line(error: BaseException) -> str:
    """What an error of another library says, short enough to be told in a sentence."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return " ".join(lines[0].split()).rstrip(".:")
