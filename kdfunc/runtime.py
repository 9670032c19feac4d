"""TensorFlow and Keras 2, imported quietly and set up for repeatable runs.

Every module that needs TensorFlow says `from kdfunc.runtime import keras, tf`. Keras
is the `tf_keras` package (Keras 2): tfmot and the TFLite converter take its models.
"""

import contextlib
import logging
import os
import sys
import tempfile
import zlib
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Holds back what native libraries print to stderr; shows it after an exception.

    TensorFlow prints start-up notices before its own log level takes effect, so no
    setting of TensorFlow's silences them.
    """
    try:
        stderr = sys.__stderr__.fileno()
    except (AttributeError, OSError, ValueError):  # no real stderr: nothing to hold
        yield
        return
    kept = os.dup(stderr)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), stderr)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(kept, held.read())
            raise
        finally:
            os.dup2(kept, stderr)
            os.close(kept)


os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
with quiet_stderr():
    import tensorflow as tf
    import tf_keras as keras

    GPUS = tf.config.list_physical_devices("GPU")
tf.get_logger().setLevel(logging.ERROR)

__all__ = ["derive_seed", "keras", "quiet_stderr", "set_up", "tf"]


def set_up(threads: int) -> None:
    """Makes TensorFlow's results repeatable: fixed threads, deterministic operations.

    The number of threads decides in which order sums are taken, so it is part of what
    a result depends on. To be called before TensorFlow's first operation.

    Args:
      threads: threads of one operation on the CPU.
    """
    wanted = (threads, 1)
    threading = tf.config.threading
    if wanted != (
        threading.get_intra_op_parallelism_threads(),
        threading.get_inter_op_parallelism_threads(),
    ):
        try:
            threading.set_intra_op_parallelism_threads(threads)
            threading.set_inter_op_parallelism_threads(1)
        except RuntimeError:
            logging.warning(
                "TensorFlow was at work before kdfunc and keeps its threads: the last "
                "digits may differ from those of a run in processes of its own."
            )
    for gpu in GPUS:
        with contextlib.suppress(RuntimeError):  # raised once the device is in use
            tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()
    # Dropout and its like then draw from generators that `training` can set.
    keras.backend.experimental.enable_tf_random_generator()


def derive_seed(seed: int, *names: object) -> int:
    """A 32-bit seed that depends on the experiment's seed and on what it is for."""
    return zlib.crc32("/".join(map(str, (seed, *names))).encode())
