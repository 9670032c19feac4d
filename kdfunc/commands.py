"""Shared by all commands: how flags are spelled, `--version`, exit codes."""

import argparse
import contextlib
import errno
import os
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TextIO

from kdfunc import __version__, system
from kdfunc.errors import InputError

VERSION = f"kdfunc {__version__}"


def spelled(arguments: Sequence[str], mark: str) -> list[str]:
    """Arguments with either `-` or `_` between the words of each flag's name.

    Every command thus takes `--batch_size` and `--batch-size` as the same flag.

    Args:
      arguments: of the command line.
      mark: `-` or `_`.
    """
    return [_spelled(argument, mark) for argument in arguments]


def _spelled(argument: str, mark: str) -> str:
    name, sign, value = argument.partition("=")
    if not name.startswith("--"):
        return argument
    words = name[2:].replace("-", mark).replace("_", mark)
    return f"--{words}{sign}{value}"


class Parser(argparse.ArgumentParser):
    """An `ArgumentParser` with `--version` that accepts both spellings of its flags.

    Add flags with `-` between their words.
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
        """As in `ArgumentParser`; flags may have `_` between their words.

        Args:
          args: of the command line; None for the process's own.
          namespace: receives the values; None for a new one.
        """
        args = sys.argv[1:] if args is None else args
        return super().parse_known_args(spelled(args, "-"), namespace)


def add_command(
    commands: Any, run: Callable[..., int], title: str, text: str
) -> argparse.ArgumentParser:
    """Adds a command, named after the function that runs it.

    Args:
      commands: what `add_subparsers` returned.
      run: gets the parsed arguments; a leading `_` is not part of the name.
      title: stands in the list of commands.
      text: stands above the command's flags.
    """
    added = commands.add_parser(
        run.__name__.lstrip("_"),
        help=title,
        description=text,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    added.set_defaults(run=run)
    return added


class Terminated(KeyboardInterrupt):
    """SIGTERM, which `timeout`, Slurm and systemd send; handled like Ctrl-C."""


def code_of(interrupt: KeyboardInterrupt) -> int:
    """The exit code of a command that was stopped: 130 by Ctrl-C, 143 by SIGTERM.

    Args:
      interrupt: what was raised.
    """
    terminated = isinstance(interrupt, Terminated)
    return 128 + (signal.SIGTERM if terminated else signal.SIGINT)


def exit_code(command: str, run: Callable[[], int]) -> int:
    """Runs a command to its exit code; reports bad input and Ctrl-C in one line.

    SIGTERM is treated like Ctrl-C. Output to closed standard streams is discarded, also
    after its reader has left, and changes no exit code.

    Args:
      command: its name, with which the line begins.
      run: does the work and returns an exit code.

    Returns:
      What `run` returns; 2 for bad input, 130 after Ctrl-C and 143 after SIGTERM.
    """
    _open_streams()
    with (
        contextlib.redirect_stdout(Heard(sys.stdout, system.reader_left)),
        contextlib.redirect_stderr(Heard(sys.stderr, system.reader_left)),
    ):
        try:
            with _terminable():
                try:
                    return run()
                finally:
                    sys.stdout.flush()
        except (InputError, OSError) as error:
            print(f"{command}: {_sentence(error)}", file=sys.stderr)
            return 2
        except MemoryError as error:
            reason = " ".join(str(error).split()).rstrip(".") or "no reason given"
            print(
                f"{command}: there is not enough memory ({reason}); give fewer "
                "examples.",
                file=sys.stderr,
            )
            return 2
        except KeyboardInterrupt as interrupt:
            print(f"{command}: stopped.", file=sys.stderr)
            return code_of(interrupt)


def _sentence(error: InputError | OSError) -> str:
    """What went wrong, in one line."""
    if isinstance(error, InputError):
        return " ".join(error.with_flags.split())
    if error.errno == errno.ENOSPC and error.filename is None:
        return (
            "the output cannot be written (No space left on device); free some space."
        )
    return " ".join(str(error).split())


class Heard:
    """A stream that accepts output after its reader has left, as after `| head`.

    The rest of the output is lost, but the work continues.

    Args:
      stream: Where to write.
      lost: Says whether an error loses output in this way; any error of the system by
        default.
    """

    def __init__(
        self, stream: TextIO, lost: Callable[[OSError], bool] = lambda error: True
    ):
        self._stream, self._lost = stream, lost

    def __getattr__(self, name: str):
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Writes text, or discards it if the reader has left.

        Args:
          text: what to write.
        """
        try:
            return self._stream.write(text)
        except OSError as error:
            if not self._lost(error):
                raise
            _write_to_nowhere(self._stream)
            return len(text)

    def flush(self) -> None:
        """Flushes the output, or discards it if the reader has left."""
        try:
            self._stream.flush()
        except OSError as error:
            if not self._lost(error):
                raise
            _write_to_nowhere(self._stream)


def _write_to_nowhere(stream: TextIO) -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Makes SIGTERM raise `Terminated` where it would otherwise end the process."""
    try:
        before = signal.getsignal(signal.SIGTERM)
        if before == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, _terminate)
    except ValueError:  # not the main thread, which alone hears signals
        before = None
    try:
        yield
    finally:
        if before == signal.SIG_DFL:
            signal.signal(signal.SIGTERM, before)


def _terminate(*_) -> None:
    raise Terminated


def _open_streams() -> None:
    """Opens standard streams that `>&-` or a daemon has closed; they take any text.

    Otherwise files opened later would get their file descriptors, and with them what
    native libraries print.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))
        elif hasattr(stream, "reconfigure"):  # for paths that its encoding lacks
            stream.reconfigure(errors="backslashreplace")
