"""A `.tflite` file without TensorFlow."""

import numpy as np
from ai_edge_litert.interpreter import Interpreter


def predict(
    model: bytes, images: np.ndarray, batch_size: int = 100, threads: int = 1
) -> np.ndarray:
    """The model's outputs for many images, a batch at a time.

    Args:
      model: content of a `.tflite` file with one input and one output, both float32.
      images: `[n, height, width, channels]` float32.
      batch_size: images an invocation.
      threads: threads of the interpreter.

    Returns:
      `[n, classes]` float32, equal to predicting the images one at a time.
    """
    interpreter = Interpreter(model_content=model, num_threads=threads)
    (source,) = interpreter.get_input_details()
    (sink,) = interpreter.get_output_details()
    outputs = []
    for start in range(0, len(images), batch_size):
        batch = images[start : start + batch_size]
        if start == 0 or len(batch) != batch_size:
            interpreter.resize_tensor_input(source["index"], batch.shape)
            interpreter.allocate_tensors()
        interpreter.set_tensor(source["index"], batch)
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(sink["index"]))
    return np.concatenate(outputs)
