"""Learning curves as TensorBoard event files, written without TensorFlow.

View them with `tensorboard --logdir=runs/digits-lenet-published/tensorboard`.
"""

import importlib.util
import pathlib
import shutil
import weakref
from collections.abc import Mapping

from kdfunc.errors import InputError

FOLDER = "tensorboard"


def check() -> None:
    """Checks that event files can be written.

    Raises:
      InputError: the package `tensorboard` is not installed.
    """
    if importlib.util.find_spec("tensorboard") is None:
        raise InputError(
            "--tensorboard: the package tensorboard is not installed; run `pip install "
            "tensorboard`, or omit the flag."
        )


class Curves:
    """The curves of one model, in its own folder; existing files are replaced."""

    def __init__(self, folder: pathlib.Path):
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        shutil.rmtree(folder, ignore_errors=True)
        self._writer = EventFileWriter(str(folder))
        weakref.finalize(self, self._writer.close)  # its thread would live on

    def add(self, snapshot: Mapping[str, float]) -> None:
        """Adds a row of `metrics.csv`; missing values (None or NaN) are skipped.

        `train_loss` becomes `train/loss`, `accuracy` becomes `test/accuracy`.

        Args:
          snapshot: the row, by column.
        """
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        values = [
            Summary.Value(tag=_tag(name), simple_value=value)
            for name, value in snapshot.items()
            if name != "epoch" and value == value and value is not None
        ]
        self._writer.add_event(
            Event(step=int(snapshot["epoch"]), summary=Summary(value=values))
        )
        self._writer.flush()


def _tag(name: str) -> str:
    return f"train/{name[6:]}" if name.startswith("train_") else f"test/{name}"
