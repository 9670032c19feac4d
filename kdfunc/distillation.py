"""Distillation with a custom Keras model, as published and by common practice."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.special import log_softmax, logsumexp

from kdfunc import models
from kdfunc.config import CHOICES
from kdfunc.errors import InputError, refuse_unknown
from kdfunc.runtime import keras, tf

UNWEIGHTED = (
    "every example counts the same here; omit it, and repeat examples that are to "
    "count more."
)
CROSS_ENTROPIES = ("categorical_crossentropy", "sparse_categorical_crossentropy")


class Distiller(keras.Model):
    """Trains a student against a frozen teacher.

    With labels y, student output p_s, temperature T and what is softened, z_t and
    z_s, the loss of an example is

        w * CE(y, p_s) + (1 - w) * T^2 * KL(softmax(z_t / T) || softmax(z_s / T))

    averaged over the batch, where KL is summed over the classes. Two settings say
    what the symbols mean; the paper's text and its notebooks disagree on both:

    - `alpha_convention="labels"` (the notebooks): w = alpha, an alpha near 1 leans
      on the labels. `"teacher"` (the paper's text): w = 1 - alpha, an alpha near 1
      leans on the teacher.
    - `soft_targets="probabilities"` (the notebooks): z is the softmax output, so that
      softmax(z / T) is close to uniform. `"logits"` (Hinton et al., 2015,
      arXiv 1503.02531): z goes into the softmax.

    As in Keras's `KLDivergence`, both distributions are clipped to [1e-7, 1] inside KL;
    the cross-entropy is computed from the logits, without clipping, as Keras does for
    every model that ends in a softmax.

    Example:
      >>> distiller = Distiller(student, teacher)
      >>> distiller.compile("adam", alpha=0.5, temperature=3.0)
      >>> distiller.fit(images, one_hot_labels, batch_size=64, epochs=25)
      >>> student.predict(images)

    Args:
      student: functional or Sequential tf_keras model `[batch, classes]` that ends in a
        softmax; trained in place.
      teacher: model of the same shapes; frozen, run in inference mode. It may be
        omitted if its logits are known: `fit` then takes as targets a dict `{"labels":
        [batch, classes], "teacher_logits": [batch, classes]}`.
    """

    def __init__(self, student: keras.Model, teacher: keras.Model | None = None):
        super().__init__(name="distiller")
        self._student = _with_logits(student, "student")
        self.student = student
        self._loss_means = [
            keras.metrics.Mean(name=name)
            for name in ("loss", "student_loss", "distillation_loss")
        ]
        self._teacher = None
        if teacher is not None:
            models.check(teacher, "teacher")
            if teacher.output_shape != student.output_shape:
                raise InputError(
                    f"teacher: outputs are {teacher.output_shape}, and the student's "
                    f"are {student.output_shape}; both must be [batch, classes]."
                )
            teacher.trainable = False
            self._teacher = _with_logits(teacher, "teacher")

    def compile(
        self,
        optimizer: Any = "adamax",
        loss: Any = None,
        metrics: Any = None,
        *,
        alpha: float = 0.1,
        temperature: float = 3.0,
        alpha_convention: str = "labels",
        soft_targets: str = "probabilities",
        **kwargs: Any,
    ) -> None:
        """Sets optimizer, metrics of the student and the loss.

        Args:
          optimizer: of the student.
          loss: None, or a categorical cross-entropy, which is the loss on labels
            anyway.
          metrics: of the student's output against the labels.
          alpha: weight in [0, 1] of one of the two losses.
          temperature: T > 0.
          alpha_convention: `labels` or `teacher`, see the class.
          soft_targets: `probabilities` or `logits`, see the class.
          **kwargs: of `keras.Model.compile`.

        Raises:
          InputError: a value is not allowed.
        """
        if getattr(loss, "name", loss) not in (None, *CROSS_ENTROPIES):
            raise InputError(
                f"loss: got {loss!r}; the loss on labels is always the categorical "
                "cross-entropy; omit loss, and give metrics as metrics=[...]."
            )
        if not 0 <= alpha <= 1:
            raise InputError(f"alpha: got {alpha}; allowed: from 0 to 1.")
        if not temperature > 0:
            raise InputError(f"temperature: got {temperature}; allowed: above 0.")
        given = {"alpha_convention": alpha_convention, "soft_targets": soft_targets}
        for name, value in given.items():
            refuse_unknown(name, value, CHOICES[name])
        super().compile(optimizer=optimizer, metrics=metrics, **kwargs)
        self._label_weight = alpha if alpha_convention == "labels" else 1 - alpha
        self._temperature = temperature
        self._soften_logits = soft_targets == "logits"

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        """The three losses, then the metrics given to `compile`."""
        # Keras lists the metrics that are attributes of a model among its own.
        given = [one for one in super().metrics if one not in self._loss_means]
        return [*self._loss_means, *given]

    def call(self, images: tf.Tensor, training: bool = False) -> tf.Tensor:
        """The student's softmax `[batch, classes]`.

        Args:
          images: `[batch, height, width, channels]`.
          training: whether layers such as dropout act as in training.
        """
        return self.student(images, training=training)

    def fit(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """Trains the student, like `keras.Model.fit`.

        Args:
          x: examples, or a data set of examples and targets.
          y: labels, one-hot `[n, classes]` or whole numbers `[n]`; without a teacher, a
            dict with `labels` and `teacher_logits`.
          **kwargs: of `keras.Model.fit`, but for weights of examples or classes.

        Raises:
          InputError: the labels have another shape, there is no teacher, or examples
            or classes have weights.
        """
        _refuse_weights(x, kwargs)
        spec = getattr(x, "element_spec", None)
        targets = spec[1] if isinstance(spec, tuple) and len(spec) > 1 else y
        if self._teacher is None and not isinstance(targets, Mapping):
            raise InputError(
                "there is no teacher; give one to Distiller, or a dict with labels and "
                "teacher_logits as y."
            )
        labels = targets.get("labels") if isinstance(targets, Mapping) else targets
        if hasattr(labels, "shape") and hasattr(labels, "dtype"):
            _check_labels(labels, self.student.output_shape[-1])
        return super().fit(x, y, **kwargs)

    def evaluate(self, x: Any = None, y: Any = None, **kwargs: Any) -> Any:
        """The losses and metrics, like `keras.Model.evaluate`.

        Args:
          x: examples, or a data set of examples and targets.
          y: as for `fit`.
          **kwargs: of `keras.Model.evaluate`, but for weights of examples.

        Raises:
          InputError: examples have weights.
        """
        _refuse_weights(x, kwargs)
        return super().evaluate(x, y, **kwargs)

    def train_step(self, data: Any) -> dict[str, tf.Tensor]:
        """One step of the student; `distillation_loss` is KL before its weight.

        Args:
          data: a batch from Keras: images and labels.
        """
        images, labels, teacher_logits = self._parts(data)
        with tf.GradientTape() as tape:
            logits, probabilities = self._student(images, training=True)
            loss, *losses = self._loss_and_parts(labels, teacher_logits, logits)
        self.optimizer.minimize(loss, self.student.trainable_variables, tape=tape)
        self._update_means((loss, *losses), images)
        self.compiled_metrics.update_state(labels, probabilities)
        return {metric.name: metric.result() for metric in self.metrics}

    def test_step(self, data: Any) -> dict[str, tf.Tensor]:
        """The losses and the student's metrics; without a teacher, no losses.

        Args:
          data: a batch from Keras: images and labels.
        """
        images, labels, teacher_logits = self._parts(data)
        logits, probabilities = self._student(images, training=False)
        self.compiled_metrics.update_state(labels, probabilities)
        metrics = self.metrics
        if teacher_logits is None:
            metrics = metrics[len(self._loss_means) :]
        else:
            losses = self._loss_and_parts(labels, teacher_logits, logits)
            self._update_means(losses, images)
        return {metric.name: metric.result() for metric in metrics}

    def _parts(self, data: Any):
        """Images, labels as they were given, and the teacher's logits."""
        images, targets, *weights = data
        if any(weight is not None for weight in weights):  # of a generator
            raise InputError(f"sample_weight: {UNWEIGHTED}")
        if isinstance(targets, Mapping):
            return images, targets["labels"], targets["teacher_logits"]
        if self._teacher is not None:
            return images, targets, self._teacher(images, training=False)[0]
        return images, targets, None

    def _loss_and_parts(self, labels, teacher_logits, logits):
        """The total loss, the loss on labels, and the KL before its weight.

        What the student's regularizers add is in the total, as in `keras.Model.fit`.
        """
        student_loss, distillation_loss = self.losses_of(
            _one_hot(labels, logits.shape[-1]), teacher_logits, logits
        )
        weight = self._label_weight
        loss = weight * student_loss + (1 - weight) * distillation_loss
        if penalties := self._student.losses:
            loss += tf.add_n(penalties)
        return loss, student_loss, distillation_loss / self._temperature**2

    def _update_means(self, losses, images) -> None:
        examples = tf.shape(tf.nest.flatten(images)[0])[0]
        for metric, value in zip(self._loss_means, losses, strict=True):
            metric.update_state(value, sample_weight=examples)

    def losses_of(
        self, labels: tf.Tensor, teacher_logits: tf.Tensor, logits: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Mean cross-entropy, and mean KL times T^2, of a batch.

        Args:
          labels: one-hot `[batch, classes]`.
          teacher_logits: `[batch, classes]`.
          logits: the student's, `[batch, classes]`.
        """

        def soften(z):
            z = z if self._soften_logits else tf.nn.softmax(z)
            return tf.nn.softmax(z / self._temperature)

        cross_entropy = tf.nn.softmax_cross_entropy_with_logits(labels, logits)
        kl = keras.losses.kl_divergence(soften(teacher_logits), soften(logits))
        return (
            tf.reduce_mean(cross_entropy),
            tf.reduce_mean(kl) * self._temperature**2,
        )


def ensemble_logits(logits: Sequence[np.ndarray]) -> np.ndarray:
    """Logits of the teacher whose softmax is the mean of its members' softmax.

    This is the arithmetic mean of Hinton et al., 2015, arXiv 1503.02531, computed in
    logarithms, so that small probabilities do not become 0. The logits of a single
    member stay unchanged.

    Args:
      logits: `[n, classes]` of each member.

    Returns:
      `[n, classes]` float32; those of several members are log-probabilities.
    """
    if len(logits) == 1:
        return np.asarray(logits[0], np.float32)
    members = log_softmax(np.asarray(logits, np.float64), axis=-1)
    return (logsumexp(members, axis=0) - np.log(len(members))).astype(np.float32)


def random_logits(labels: np.ndarray, classes: int, seed: int) -> np.ndarray:
    """Random soft targets: those of a teacher without knowledge.

    Each image has its own probabilities, uniform numbers divided by their sum, which
    are the same in every epoch.

    Args:
      labels: `[n]` classes of the training images; only their number counts.
      classes: Number of classes.
      seed: Seed of the drawing.

    Returns:
      `[n, classes]` float32 logits.
    """
    drawn = 1 - np.random.default_rng(seed).random((len(labels), classes))
    return np.log(drawn / drawn.sum(axis=1, keepdims=True)).astype(np.float32)


def _with_logits(model: keras.Model, argument: str) -> keras.Model:
    """The same layers, giving logits and probabilities in one pass."""
    logits = models.logits_of(model, argument)
    return keras.Model(model.inputs, [logits, model.output])


def _refuse_weights(x: Any, arguments: Mapping[str, Any]) -> None:
    """Refuses weights of examples and classes, which would have no effect."""
    for name in ("sample_weight", "class_weight"):
        if arguments.get(name) is not None:
            raise InputError(f"{name}: {UNWEIGHTED}")
    validation = arguments.get("validation_data")
    for data in (x, validation):
        spec = getattr(data, "element_spec", None)
        if isinstance(spec, tuple) and len(spec) > 2:
            raise InputError(f"sample_weight: {UNWEIGHTED}")
    if isinstance(validation, tuple) and len(validation) > 2:
        raise InputError(f"sample_weight: {UNWEIGHTED}")


def _check_labels(labels: Any, classes: int) -> None:
    """Checks labels before they enter a graph, where errors are long."""
    shape, dtype = tuple(labels.shape), tf.as_dtype(labels.dtype)
    by_number = dtype.is_integer and shape[1:] in ((), (1,))
    if shape[1:] != (classes,) and not by_number:
        raise InputError(
            f"labels: got {dtype.name} of shape {list(shape)}; give one-hot labels "
            f"[n, {classes}] (keras.utils.to_categorical) or whole numbers [n]."
        )


def _one_hot(labels: tf.Tensor, classes: int) -> tf.Tensor:
    """Labels `[batch, classes]`; class indices `[batch]` become one-hot."""
    if labels.shape.rank == 2 and labels.shape[-1] == classes:
        return labels
    return tf.one_hot(tf.reshape(labels, [-1]), classes)
