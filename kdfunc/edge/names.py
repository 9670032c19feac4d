"""Names of operators and tensor types, by their numbers in `.tflite` files.

They come from the schema in ai-edge-litert, so they are as new as the interpreter.
Source of the numbers here: tensorflow/compiler/mlir/lite/schema/schema.fbs.
"""

import contextlib
import importlib
from functools import cache

#: Bits an element takes by type, in the order of their numbers; 0 for no fixed size.
BITS = {
    "float32": 32,
    "float16": 16,
    "int32": 32,
    "uint8": 8,
    "int64": 64,
    "string": 0,
    "bool": 8,
    "int16": 16,
    "complex64": 64,
    "int8": 8,
    "float64": 64,
    "complex128": 128,
    "uint64": 64,
    "resource": 0,
    "variant": 0,
    "uint32": 32,
    "uint16": 16,
    "int4": 4,
    "bfloat16": 16,
    "int2": 2,
    "uint4": 4,
    "float8_e4m3fn": 8,
    "float8_e5m2": 8,
}
TYPES = tuple(BITS)
CUSTOM = 32
#: The operators that are treated in their own way, whatever schema is installed.
TREATED = {
    0: "ADD",
    6: "DEQUANTIZE",
    18: "MUL",
    CUSTOM: "CUSTOM",
    41: "SUB",
    42: "DIV",
    114: "QUANTIZE",
    124: "DENSIFY",
    129: "CALL_ONCE",
    144: "ASSIGN_VARIABLE",
    146: "RANDOM_STANDARD_NORMAL",
    148: "RANDOM_UNIFORM",
    149: "MULTINOMIAL",
}
SCHEMAS = (
    "ai_edge_litert.schema_py_generated",
    "tensorflow.lite.python.schema_py_generated",
)


def operator_name(number: int) -> str:
    """Name of a built-in operator, or `unknown operator` and its number.

    Args:
      number: in the schema of TFLite.
    """
    names = _schema("BuiltinOperator")
    return names.get(number) or TREATED.get(number) or f"unknown operator {number}"


def type_name(number: int) -> str:
    """Name of a tensor type in lower case, or `unknown type` and its number.

    Args:
      number: in the schema of TFLite.
    """
    if 0 <= number < len(TYPES):
        return TYPES[number]
    return _schema("TensorType").get(number, f"unknown type {number}").lower()


@cache
def _schema(kind: str) -> dict[int, str]:
    """Names by number; empty if no schema is installed."""
    for module in SCHEMAS:
        with contextlib.suppress(ImportError):
            names = vars(getattr(importlib.import_module(module), kind))
            return {
                number: name
                for name, number in names.items()
                if not name.startswith("_")
            }
    return {}
