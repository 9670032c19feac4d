"""Silences native libraries; imports none of them."""

import contextlib
import os
import sys
import tempfile
from collections.abc import Iterator

from kdfunc.errors import NotPossible


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Holds back what native libraries print to stderr; shows it after an exception.

    Not after `NotPossible`, whose message says what matters. TensorFlow prints
    start-up notices before its own log level takes effect, and the TFLite interpreter
    prints one that no setting silences.
    """
    try:
        if sys.__stderr__ is None:
            raise OSError("there is no stderr")
        stderr = sys.__stderr__.fileno()
    except (AttributeError, OSError, ValueError):  # no real stderr: nothing to hold
        yield
        return
    kept = os.dup(stderr)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), stderr)
        try:
            yield
        except NotPossible:
            raise
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, stderr)
            os.close(kept)
