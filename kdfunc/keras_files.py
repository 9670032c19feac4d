"""Checks that a `.keras` file uses only Keras's own parts before Keras loads it.

Keras resolves whatever a file's config names, by module and name, and calls some of it
while building the model; its safe mode refuses only marshalled lambdas. So a file that
names anything other than layers and the like is refused. Does not import TensorFlow.
"""

import json
import os
import re
import zipfile
import zlib
from collections.abc import Collection, Iterator
from typing import Any

from kdfunc.errors import InputError, first_line

MOST_BYTES = 64 << 20  # of a config
#: Modules whose classes build models, under `keras` or `tf_keras`, or inside of them.
MODULES = re.compile(
    r"(tf_)?keras(\.src)?(\.(activations|constraints|dtype_policies|engine|initializers"
    r"|layers|losses|metrics|mixed_precision|models|ops|optimizers|quantizers"
    r"|regularizers)(\.\w+)*)?"
)
#: Layers that run what a file brings with it, or load what it names.
REFUSED = {
    "FlaxLayer",
    "JaxLayer",
    "Lambda",
    "TFSMLayer",
    "TensorFlowOpLayer",
    "TorchModuleWrapper",
    "__lambda__",
    "__typespec__",
}
#: Layers of a TensorFlow function, which a file names.
OF_TENSORFLOW = {"TFOpLambda", "SlicingOpLambda"}
OTHERS_OF_TENSORFLOW = {"ClassMethod", "InstanceMethod", "InstanceProperty"}
FUNCTIONS = re.compile(
    r"(__operators__|image|linalg|math|nn|signal)\.\w+|(abs|add|add_n|argmax|argmin"
    r"|broadcast_to|cast|clip_by_value|concat|cos|cumsum|divide|einsum|equal|exp"
    r"|expand_dims|fill|floor|gather|gather_nd|greater|greater_equal|identity|less"
    r"|less_equal|logical_and|logical_not|logical_or|matmul|maximum|minimum|multiply"
    r"|negative|norm|not_equal|one_hot|ones_like|pad|pow|range|reduce_\w+|repeat"
    r"|reshape|reverse|roll|round|shape|sigmoid|sign|sin|size|slice|split|sqrt|square"
    r"|squeeze|stack|stop_gradient|strided_slice|subtract|tan|tanh|tensordot|tile"
    r"|transpose|truediv|unstack|where|zeros_like)"
)
ACTIVATIONS = set(
    """
    celu elu exponential gelu glu hard_shrink hard_sigmoid hard_silu hard_swish
    hard_tanh leaky_relu linear log_sigmoid log_softmax mish relu relu6 selu sigmoid
    silu soft_shrink softmax softplus softsign sparse_plus sparse_sigmoid sparsemax
    squareplus swish tanh tanh_shrink threshold
    """.split()
)


def check(path: str | os.PathLike[str], registered: Collection[str] = ()) -> str:
    """Checks that a file names only parts of Keras.

    Args:
      path: of a `.keras` file.
      registered: names under which this process has registered its own objects, which a
        file may name.

    Returns:
      The version of Keras that wrote it.

    Raises:
      InputError: it is not a `.keras` file, or it names something else.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            config = _json(archive, "config.json")
            version = str(_json(archive, "metadata.json")["keras_version"])
    except (
        OSError,
        EOFError,
        KeyError,
        TypeError,
        ValueError,
        RuntimeError,
        RecursionError,
        NotImplementedError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise InputError(
            f"{path} cannot be loaded ({first_line(error)[:200]}); give a .keras "
            "file that Keras saved."
        ) from error
    for found in _objects(config):
        # Keras looks up functions by the one and classes by the other.
        is_function = found["class_name"] == "function"
        name = found.get("config" if is_function else "registered_name")
        if not isinstance(name, str) or name not in registered:
            _check(found, path)
    return version


def _json(archive: zipfile.ZipFile, name: str) -> Any:
    with archive.open(name) as file:
        content = file.read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise ValueError(f"{name} is larger than {MOST_BYTES >> 20} MB")
    return json.loads(content)


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """Everything that Keras would resolve by its name."""
    left = [value]
    while left:
        value = left.pop()
        if isinstance(value, dict):
            if "class_name" in value:
                yield value
            left += value.values()
        elif isinstance(value, list):
            left += value


def _check(found: dict[str, Any], path) -> None:
    name, module = found["class_name"], found.get("module")
    config = found.get("config")
    of_keras = module is None or (
        isinstance(module, str) and MODULES.fullmatch(module) is not None
    )
    if name == "function":
        if not (of_keras or module == "builtins") or config not in ACTIVATIONS:
            raise _refusal(path, f"the function {config!r} of {module}")
    elif not isinstance(name, str) or not name.isidentifier() or not of_keras:
        raise _refusal(path, f"{name!r} of {module}")
    elif name in REFUSED | OTHERS_OF_TENSORFLOW:
        raise _refusal(path, f"a layer {name}, which can run code")
    elif name in OF_TENSORFLOW:
        function = config.get("function") if isinstance(config, dict) else None
        if not isinstance(function, str) or not FUNCTIONS.fullmatch(function):
            raise _refusal(path, f"the TensorFlow function {function!r}")
    if isinstance(config, dict) and isinstance(config.get("vocabulary"), str):
        raise _refusal(path, f"the file {config['vocabulary']!r} on this machine")


def _refusal(path, what: str) -> InputError:
    return InputError(
        f"{path} names {what}, which is not part of a plain Keras model, and loading "
        "it could run commands; ask its author to save it with only Keras's own "
        "layers, or to convert it to .tflite."
    )
