"""The errors that a user is meant to read."""


class InputError(ValueError):
    """Bad input, told in one sentence: what was given, what is allowed, what to do.

    Raised before anything is written. The command line prints the sentence and
    exits with code 2.
    """


class TrainingError(RuntimeError):
    """A training that cannot go on, such as a loss that is no longer a number."""


class NotPossible(RuntimeError):
    """A library cannot compress this model in this way: which library, and why."""
