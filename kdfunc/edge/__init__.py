"""A `.tflite` file without TensorFlow: look into it, run it, time it, compare it."""

from kdfunc.edge.inspection import inspect
from kdfunc.edge.interpreter import predict

__all__ = ["inspect", "predict"]
