"""TensorFlow and Keras 2, imported quietly and set up for repeatable runs.

Every module that needs TensorFlow uses `from kdfunc.runtime import keras, tf`. Keras is
the `tf_keras` package (Keras 2): tfmot and the TFLite converter take its models.
"""

import contextlib
import importlib
import logging
import os
import sys
import zlib
from collections.abc import Callable, Iterator

from kdfunc import machine
from kdfunc.errors import InputError, first_line
from kdfunc.extras import require
from kdfunc.quiet import quiet_stderr

require("kdfunc.runtime", "tensorflow", "tf_keras", "tensorflow_model_optimization")

# What is truly wrong is raised; below 3, `fit` and `predict` print "errors" that are
# none (attributes of operations that one part of TensorFlow does not know of another).
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
machine.prefer_onednn()


@contextlib.contextmanager
def _without_keras_3() -> Iterator[None]:
    """TensorFlow, if it is imported here, does not load Keras 3, which nobody uses.

    That takes a third of a start. Afterwards, `tf.keras` and `tensorflow.keras`
    are what they would have been: TensorFlow chooses when they are first used.
    """
    name = "TF_USE_LEGACY_KERAS"
    chosen = os.environ.get(name)
    first = "tensorflow" not in sys.modules
    os.environ[name] = "1"
    try:
        yield
    finally:
        if chosen is not None:
            os.environ[name] = chosen
        else:
            del os.environ[name]
            if first and (module := sys.modules.get("tensorflow")):
                legacy = os.path.join("tf_keras", "api", "_v2")
                module.__path__ = [p for p in module.__path__ if legacy not in str(p)]


with quiet_stderr(), _without_keras_3():
    try:
        import tf_keras as keras

        import tensorflow as tf
        from tensorflow.python.framework import ops
        from tensorflow.python.util import _pywrap_util_port
    except ImportError as error:
        raise InputError(
            f"TensorFlow is installed but cannot be loaded ({first_line(error)}); "
            "install it again, and on Windows the Microsoft Visual C++ Redistributable."
        ) from error

    GPUS = tf.config.list_physical_devices("GPU")
tf.get_logger().setLevel(logging.ERROR)

#: Whether TensorFlow works with its oneDNN kernels.
ONEDNN = _pywrap_util_port.IsMklEnabled()

__all__ = [
    "ONEDNN",
    "describe_machine",
    "derive_seed",
    "graphs_freed",
    "import_function",
    "keras",
    "set_up",
    "tf",
]


def set_up(threads: int) -> None:
    """Makes TensorFlow's results repeatable: fixed threads, deterministic operations.

    The number of threads determines the order of summation, so results depend on it.
    Call this before TensorFlow's first operation.

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
                "TensorFlow was already running before kdfunc and keeps its number of "
                "threads, so the last digits may differ from those of a run in "
                "separate processes."
            )
    for gpu in GPUS:
        with contextlib.suppress(RuntimeError):  # raised once the device is in use
            tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_op_determinism()
    # Dropout and its like then draw from generators that `training` can set.
    keras.backend.experimental.enable_tf_random_generator()


@contextlib.contextmanager
def graphs_freed() -> Iterator[None]:
    """Frees the graphs that are made inside, once nothing else needs them.

    TensorFlow registers the gradient of each `tf.custom_gradient` that it traces under
    a new name, with the graph, forever (tensorflow/tensorflow issue 97697): each
    training of LeNet would leave 10 MB behind.
    """
    registry = getattr(ops.gradient_registry, "_registry", {})
    before = set(registry)
    try:
        yield
    finally:
        for name in set(registry) - before:
            if name.startswith("CustomGradient-"):
                del registry[name]


def describe_machine() -> dict[str, str | int]:
    """The properties of the machine that determine the last digits of results."""
    onednn = "on" if ONEDNN else "off"
    limit = os.environ.get("ONEDNN_MAX_CPU_ISA")
    if ONEDNN and limit:
        onednn += f", with no more than {limit}"
    return machine.describe() | {"onednn": onednn}


def import_function(flag: str, name: str, signature: str) -> Callable:
    """The user's own function, from the working folder or an installed package.

    Args:
      flag: the flag that names it, for the error.
      name: `module:function`.
      signature: its required signature, for the error.

    Raises:
      InputError: it cannot be imported, or is not a function.
    """
    module, _, function = name.partition(":")
    if "" not in sys.path:
        sys.path.insert(0, "")
    try:
        if not all(part.isidentifier() for part in module.split(".")):
            raise ImportError(f"{module!r} is not the name of a module")
        found = getattr(importlib.import_module(module), function)
        if not callable(found):
            raise TypeError(f"{function} is a {type(found).__name__}, not a function")
    except (Exception, SystemExit) as error:  # a module of theirs can raise anything
        example = f"my_module:{signature.partition('(')[0]}"
        raise InputError(
            f"{flag}: {name!r} could not be imported ({told(error)}); give {example}, "
            "where my_module.py is in this folder or installed and defines "
            f"{signature}."
        ) from error
    return found


def told(error: BaseException) -> str:
    """The first line of an error's message, with its type where needed.

    Args:
      error: what was raised.
    """
    text = " ".join(str(error).split("\n")[0].split()).rstrip(".")
    plain = isinstance(error, ImportError | AttributeError | ValueError) and text
    return text if plain else f"{type(error).__name__}: {text}".rstrip(": ")


def derive_seed(seed: int, *names: object) -> int:
    """A 32-bit seed that depends on the experiment's seed and on its purpose.

    Args:
      seed: the experiment's.
      *names: its purpose, such as the name of a task.
    """
    return zlib.crc32("/".join(map(str, (seed, *names))).encode())
