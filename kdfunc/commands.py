"""What the commands have in common: how flags are spelled, and `--version`."""

import argparse
import sys
from collections.abc import Sequence

from kdfunc import __version__

VERSION = f"kdfunc {__version__}"


def spelled(arguments: Sequence[str], mark: str) -> list[str]:
    """Arguments with one mark, `-` or `_`, between the words of each flag's name.

    So `--batch_size` and `--batch-size` are the same flag to every command.
    """
    return [_spelled(argument, mark) for argument in arguments]


def _spelled(argument: str, mark: str) -> str:
    name, sign, value = argument.partition("=")
    if not name.startswith("--"):
        return argument
    words = name[2:].replace("-", mark).replace("_", mark)
    return f"--{words}{sign}{value}"


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` with `--version` and either spelling of its flags.

    Flags are to be added with `-` between their words.
    """

    def __init__(self, *arguments, **settings):
        super().__init__(*arguments, **settings)
        self.add_argument(
            "--version",
            action="version",
            version=VERSION,
            help="show the version of kdfunc and exit",
        )

    def parse_known_args(self, args=None, namespace=None):
        """As in `ArgumentParser`; flags may have `_` between their words."""
        args = sys.argv[1:] if args is None else args
        return super().parse_known_args(spelled(args, "-"), namespace)
