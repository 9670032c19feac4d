"""The direct way: what a notebook does, and what the paper's author did.

Each function does one stage with the plain means of Keras, TFLite, numpy and
scikit-learn, on whatever threads they take. `benchmarks/run.py` times them against
kdfunc's way.
"""

import numpy as np
import pandas as pd


class Distiller:
    """Makes the usual distiller: the teacher runs in each training step."""

    def __new__(cls, student, teacher, alpha=0.1, temperature=3.0):
        """Returns a compiled Keras model."""
        import tf_keras as keras

        import tensorflow as tf

        class Model(keras.Model):
            def __init__(self):
                super().__init__()
                self.student, self.teacher = student, teacher

            def train_step(self, data):
                x, y = data
                soft = self.teacher(x, training=False)
                with tf.GradientTape() as tape:
                    predicted = self.student(x, training=True)
                    student_loss = keras.losses.categorical_crossentropy(y, predicted)
                    distillation_loss = keras.losses.kl_divergence(
                        tf.nn.softmax(soft / temperature),
                        tf.nn.softmax(predicted / temperature),
                    )
                    loss = tf.reduce_mean(
                        alpha * student_loss
                        + (1 - alpha) * temperature**2 * distillation_loss
                    )
                variables = self.student.trainable_variables
                gradients = tape.gradient(loss, variables)
                self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
                self.compiled_metrics.update_state(y, predicted)
                return {m.name: m.result() for m in self.metrics}

            def test_step(self, data):
                x, y = data
                self.compiled_metrics.update_state(y, self.student(x, training=False))
                return {m.name: m.result() for m in self.metrics}

            def call(self, x):
                return self.student(x)

        model = Model()
        model.compile(keras.optimizers.Adamax(), metrics=["accuracy"])
        return model


def epoch(model, network, train, test, folder) -> None:
    """`fit` for one epoch, `predict`, `evaluate` and a CSV.

    Args:
      model: compiled; is fitted.
      network: whose predictions are recorded.
      train: float32 images and one-hot labels.
      test: the same of the test split.
      folder: where `softmax.csv` goes.
    """
    model.fit(*train, batch_size=64, epochs=1, verbose=0)
    softmax = network.predict(test[0], verbose=0)
    model.evaluate(*test, verbose=0)
    pd.DataFrame(softmax).to_csv(folder / "softmax.csv")


def _outputs(content: bytes, images: np.ndarray):
    """Yields the interpreter's output `[1, classes]` of one image after the other."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content, num_threads=1)
    interpreter.allocate_tensors()
    source = interpreter.get_input_details()[0]["index"]
    sink = interpreter.get_output_details()[0]["index"]
    for image in images:
        interpreter.set_tensor(source, image[None])
        interpreter.invoke()
        yield interpreter.get_tensor(sink)


def tflite(content: bytes, images: np.ndarray) -> pd.DataFrame:
    """One image at a time through the interpreter into a data frame that grows.

    Appending to the frame is what the authors' notebooks do; it copies all rows each
    time.
    """
    rows = pd.DataFrame()
    for output in _outputs(content, images):
        rows = pd.concat([rows, pd.DataFrame(output)], ignore_index=True)
    return rows


def tflite_list(content: bytes, images: np.ndarray) -> pd.DataFrame:
    """The same with the rows in a list, which becomes a data frame once."""
    return pd.DataFrame([output[0] for output in _outputs(content, images)])


def prune(model, levels) -> None:
    """All weights flattened into a Python list and sorted, anew for each level."""
    for level in levels:
        flat = []
        for array in model.get_weights():
            flat.extend(np.abs(array).flatten().tolist())
        threshold = sorted(flat)[round(level * len(flat)) - 1]
        model_weights = [
            np.where(np.abs(array) <= threshold, 0, array)
            for array in model.get_weights()
        ]
        assert len(model_weights) == len(model.get_weights())


def landscape(records, panels, perplexities) -> None:
    """t-SNE on the raw rows of each panel."""
    from sklearn.manifold import TSNE

    for members, perplexity in zip(panels, perplexities, strict=True):
        rows = np.concatenate(
            [records[i].reshape(len(records[i]), -1) for i in members]
        )
        TSNE(perplexity=perplexity, random_state=42, init="pca").fit_transform(rows)
