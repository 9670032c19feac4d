"""The loss and its gradient against numpy, written out from the equations alone."""

import numpy as np
import pytest

from kdfunc.errors import InputError

pytestmark = pytest.mark.usefixtures("tensorflow")

EPSILON = 1e-7


def softmax(z):
    e = np.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def softmax_gradient(p, upstream):
    """Gradient to z of a loss whose gradient to p = softmax(z) is given."""
    return p * (upstream - (upstream * p).sum(axis=1, keepdims=True))


def loss_and_gradient(y, z_t, z_s, label_weight, temperature, soften_logits):
    """Mean loss of a batch and its gradient with respect to the student's logits."""
    p_t, p_s = softmax(z_t), softmax(z_s)
    cross_entropy = -(y * np.log(p_s)).sum(axis=1)
    soft_t = softmax((z_t if soften_logits else p_t) / temperature)
    soft_s = softmax((z_s if soften_logits else p_s) / temperature)
    t, s = np.clip(soft_t, EPSILON, 1), np.clip(soft_s, EPSILON, 1)
    kl = (t * np.log(t / s)).sum(axis=1)

    inside = (soft_s > EPSILON) & (soft_s < 1)
    to_soft = softmax_gradient(soft_s, np.where(inside, -t / s, 0)) / temperature
    to_logits = to_soft if soften_logits else softmax_gradient(p_s, to_soft)
    soft_weight = (1 - label_weight) * temperature**2
    loss = label_weight * cross_entropy + soft_weight * kl
    gradient = label_weight * (p_s - y) + soft_weight * to_logits
    return loss.mean(), gradient / len(y)


def distiller(network, teacher=None, optimizer="sgd", **settings):
    from kdfunc.distillation import Distiller

    distiller = Distiller(network, teacher)
    distiller.compile(optimizer, **settings)
    return distiller


def linear(inputs=6, classes=4, seed=0):
    """A network whose weights' gradient shows the gradient of the logits."""
    from kdfunc.runtime import keras

    keras.utils.set_random_seed(seed)
    x = keras.Input((inputs,))
    logits = keras.layers.Dense(classes, name="logits")(x)
    return keras.Model(x, keras.layers.Activation("softmax")(logits))


@pytest.mark.parametrize("convention", ["labels", "teacher"])
@pytest.mark.parametrize("soft_targets", ["probabilities", "logits"])
@pytest.mark.parametrize("scale", [1.0, 60.0])  # 60 brings the clipping into play
@pytest.mark.parametrize("alpha", [0.0, 0.1, 1.0])
def test_a_step_follows_the_equation(rng, convention, soft_targets, scale, alpha):
    from kdfunc.runtime import keras, tf

    x = rng.normal(size=(8, 6)).astype(np.float32)
    labels = np.eye(4, dtype=np.float32)[rng.integers(4, size=8)]
    student, teacher = linear(seed=1), linear(seed=2)
    for network in (student, teacher):
        network.set_weights([w * scale for w in network.get_weights()])
    kernel, bias = (w.astype(float) for w in student.get_weights())
    z_t = x @ teacher.get_weights()[0].astype(float)
    loss, gradient = loss_and_gradient(
        labels,
        z_t,
        x @ kernel + bias,
        label_weight=alpha if convention == "labels" else 1 - alpha,
        temperature=3.0,
        soften_logits=soft_targets == "logits",
    )
    model = distiller(
        student,
        teacher,
        keras.optimizers.SGD(1.0),
        alpha=alpha,
        temperature=3.0,
        alpha_convention=convention,
        soft_targets=soft_targets,
    )
    logs = model.train_step((tf.constant(x), tf.constant(labels)))
    assert float(logs["loss"]) == pytest.approx(loss, rel=1e-4, abs=1e-6)
    new_kernel, new_bias = student.get_weights()
    np.testing.assert_allclose(kernel - new_kernel, x.T @ gradient, atol=2e-4)
    np.testing.assert_allclose(bias - new_bias, gradient.sum(axis=0), atol=2e-4)


def test_temperature_1_on_equal_logits_has_no_distillation_loss(rng):
    from kdfunc.runtime import tf

    z = tf.constant(rng.normal(size=(5, 4)).astype(np.float32))
    model = distiller(linear(), temperature=1.0, soft_targets="logits")
    _, distillation_loss = model.losses_of(tf.one_hot([0, 1, 2, 3, 0], 4), z, z)
    assert float(distillation_loss) == 0


def test_published_soft_targets_are_close_to_uniform():
    """Softmax of probabilities / 3: at most e^(1/3) apart, whatever the teacher."""
    certain = softmax(np.array([[50.0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]))
    softened = softmax(certain / 3)
    assert softened.max() / softened.min() == pytest.approx(np.exp(1 / 3))


def test_fit_trains_the_student_and_leaves_the_teacher(digits):
    from kdfunc import models
    from kdfunc.runtime import keras

    images = digits.train_images[:256].astype(np.float32) / 255
    labels = keras.utils.to_categorical(digits.train_labels[:256], 10)
    teacher = models.build("lenet", (28, 28, 1), 10, seed=1)
    student = models.build("lenet", (28, 28, 1), 10, seed=2)
    before = teacher.get_weights()
    model = distiller(student, teacher, "adamax", metrics=["accuracy"], alpha=0.5)
    history = model.fit(images, labels, batch_size=64, epochs=8, verbose=0).history
    assert set(history) == {"loss", "student_loss", "distillation_loss", "accuracy"}
    assert history["student_loss"][-1] < 0.8 * history["student_loss"][0]
    for old, new in zip(before, teacher.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    assert len(model.trainable_variables) == len(student.trainable_variables)
    scores = model.evaluate(images, labels, verbose=0, return_dict=True)
    predicted = student.predict(images, verbose=0).argmax(axis=1)
    accuracy = np.mean(predicted == digits.train_labels[:256])
    assert scores["accuracy"] == pytest.approx(accuracy)


def test_known_logits_do_the_same_as_the_teacher_itself(rng):
    from kdfunc import models
    from kdfunc.runtime import keras, tf

    x = tf.constant(rng.normal(size=(8, 6)), tf.float32)
    labels = tf.one_hot(rng.integers(4, size=8), 4)
    teacher = linear(seed=5)
    logits = keras.Model(teacher.inputs, models.logits_of(teacher))(x)
    weights = []
    for with_teacher in (True, False):
        student = linear(seed=1)
        model = distiller(student, teacher if with_teacher else None)
        known = {"labels": labels, "teacher_logits": logits}
        model.train_step((x, labels if with_teacher else known))
        weights.append(student.get_weights())
    np.testing.assert_array_equal(weights[0][0], weights[1][0])


def test_ensemble_averages_probabilities_without_losing_small_ones(rng):
    from kdfunc.distillation import ensemble_logits

    members = rng.normal(scale=3, size=(3, 7, 4))
    expected = np.mean([softmax(z) for z in members], axis=0)
    np.testing.assert_allclose(np.exp(ensemble_logits(members)), expected, rtol=1e-6)
    shifted = members + rng.normal(size=(3, 7, 1))  # the same softmax
    np.testing.assert_allclose(
        ensemble_logits(shifted), ensemble_logits(members), rtol=1e-5, atol=1e-6
    )
    certain = np.array([[[0.0, 900.0]], [[0.0, 800.0]]])
    (row,) = ensemble_logits(certain)
    np.testing.assert_allclose(row, [-800 - np.log(2), 0])
    alone = members[0].astype(np.float32)
    np.testing.assert_array_equal(ensemble_logits([alone]), alone)


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"alpha": 1.5}, "alpha: got 1.5"),
        ({"temperature": 0}, "temperature: got 0"),
        ({"soft_targets": "scores"}, "allowed: probabilities, logits"),
        ({"alpha_convention": "both"}, "allowed: labels, teacher"),
    ],
)
def test_settings_that_are_not_allowed_are_refused(settings, told):
    with pytest.raises(InputError, match=told):
        distiller(linear(), **settings)


def test_a_teacher_of_other_classes_is_refused():
    with pytest.raises(InputError, match="teacher: outputs are"):
        distiller(linear(classes=4), linear(classes=5))


def separable(split, seed=1):
    """A small network whose softmax is a layer of its own or an activation."""
    from kdfunc.runtime import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    head = [layers.Dense(4), layers.Activation("softmax")]
    if not split:
        head = [layers.Dense(4, activation="softmax")]
    body = [layers.Dense(8, activation="relu"), layers.Dense(4, activation="relu")]
    return keras.Sequential([keras.Input((6,)), *body, *head])


@pytest.fixture
def examples(rng):
    """Inputs and one-hot labels."""
    x = rng.normal(size=(32, 6)).astype(np.float32)
    return x, np.eye(4, dtype=np.float32)[rng.integers(4, size=32)]


@pytest.mark.parametrize("soft_targets", ["probabilities", "logits"])
def test_a_softmax_that_is_an_activation_is_a_softmax(examples, soft_targets):
    """The features before the last layer were taken for logits, and it never trained.

    Here they are as wide as the classes, so nothing else told.
    """
    trained = []
    for split in (True, False):
        student, teacher = separable(split), separable(split, seed=2)
        before = student.get_weights()
        model = distiller(student, teacher, "adam", soft_targets=soft_targets)
        history = model.fit(*examples, epochs=3, shuffle=False, verbose=0).history
        trained.append((student.get_weights(), history["loss"]))
        assert len(student.trainable_variables) == 6
        for old, new in zip(before, student.get_weights(), strict=True):
            assert (old != new).any()
    (split, loss), (joint, same) = trained
    assert same == pytest.approx(loss, rel=1e-5)
    for one, other in zip(split, joint, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)


def test_validation_has_the_losses_of_the_same_data(examples):
    from kdfunc.runtime import keras

    x, labels = examples
    model = distiller(linear(seed=1), linear(seed=2), "adam", metrics=["accuracy"])
    stop = keras.callbacks.EarlyStopping(patience=2)
    history = model.fit(
        x, labels, validation_data=examples, epochs=5, verbose=0, callbacks=[stop]
    ).history
    assert len(history["loss"]) == 5  # the losses fall, so nothing stops it
    assert (np.diff(history["val_loss"]) < 0).all()
    scores = model.evaluate(x, labels, verbose=0, return_dict=True)
    assert set(scores) == {"loss", "student_loss", "distillation_loss", "accuracy"}
    logits = x @ model.student.get_weights()[0] + model.student.get_weights()[1]
    cross_entropy = -(labels * np.log(softmax(logits))).sum(axis=1).mean()
    assert scores["student_loss"] == pytest.approx(cross_entropy, rel=1e-5)
    assert scores["loss"] == pytest.approx(history["val_loss"][-1], rel=1e-5)


def test_without_a_teacher_validation_has_no_losses(examples):
    x, labels = examples
    model = distiller(linear(), metrics=["accuracy"])
    known = {"labels": labels, "teacher_logits": labels}
    history = model.fit(x, known, validation_data=examples, verbose=0).history
    assert {name for name in history if name.startswith("val_")} == {"val_accuracy"}
    history = model.fit(x, known, validation_data=(x, known), verbose=0).history
    assert "val_student_loss" in history
    with pytest.raises(InputError, match="there is no teacher; give one"):
        model.fit(x, labels, verbose=0)


def test_whole_numbers_are_labels_as_one_hot_ones_are(examples):
    x, labels = examples
    histories = []
    for given in (labels, labels.argmax(axis=1), labels.argmax(axis=1)[:, None]):
        model = distiller(linear(seed=1), linear(seed=2), metrics=["accuracy"])
        histories.append(model.fit(x, given, epochs=2, verbose=0, shuffle=False))
    first, *others = (history.history for history in histories)
    for other in others:
        assert other == {k: pytest.approx(v, rel=1e-6) for k, v in first.items()}
    with pytest.raises(InputError, match="give one-hot labels .*to_categorical"):
        model.fit(x, labels[:, :3], verbose=0)


def test_regularizers_of_the_student_count_as_in_fit(examples):
    """Of alpha 1, which leaves the loss on labels alone."""
    from kdfunc.runtime import keras

    trained = []
    for distilled in (False, True):
        network = linear()
        network.layers[1].kernel_regularizer = keras.regularizers.L2(1.0)
        network = keras.models.clone_model(network)  # which puts it to work
        network.set_weights(linear().get_weights())
        if distilled:
            model = distiller(network, linear(seed=2), alpha=1.0)
        else:
            model = network
            model.compile("sgd", "categorical_crossentropy")
        history = model.fit(*examples, epochs=20, shuffle=False, verbose=0).history
        trained.append((network.get_weights(), history["loss"]))
    (plain, loss), (distilled, same) = trained
    assert same == pytest.approx(loss, rel=1e-5)
    for one, other in zip(plain, distilled, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-6)
    assert np.linalg.norm(plain[0]) < np.linalg.norm(linear().get_weights()[0])


def test_weights_of_examples_and_classes_are_refused(examples):
    import tensorflow as tf

    model, weights = distiller(linear(), linear()), np.zeros(32, np.float32)
    with pytest.raises(InputError, match="sample_weight: every example counts"):
        model.fit(*examples, sample_weight=weights, verbose=0)
    with pytest.raises(InputError, match="class_weight: every example counts"):
        model.fit(*examples, class_weight={0: 2.0}, verbose=0)
    weighted = tf.data.Dataset.from_tensor_slices((*examples, weights)).batch(8)
    for use in (model.fit, model.evaluate):
        with pytest.raises(InputError, match="sample_weight: every example counts"):
            use(weighted, verbose=0)


def test_compile_takes_its_arguments_in_the_order_of_keras(examples):
    from kdfunc.distillation import Distiller
    from kdfunc.runtime import keras

    model = Distiller(linear(), linear())
    for loss in ("categorical_crossentropy", keras.losses.CategoricalCrossentropy()):
        model.compile("adam", loss, ["accuracy"], temperature=2.0)
    assert "accuracy" in model.fit(*examples, verbose=0).history
    for loss in (["accuracy"], "mse"):
        with pytest.raises(InputError, match="loss: got .*; the loss on labels is"):
            model.compile("adam", loss)


def test_models_that_cannot_be_distilled_are_told():
    import keras as keras_3

    from kdfunc.distillation import Distiller
    from kdfunc.runtime import keras

    layers = keras.layers
    x = keras.Input((6,))

    class Subclassed(keras.Model):
        def call(self, x):
            return x

    inner = keras.Sequential([keras.Input((6,)), layers.Dense(4, "softmax")])
    for student, told in (
        (
            keras.Model(x, layers.Dense(4)(x)),
            "student: ends in dense.*, not in a softmax",
        ),
        (
            keras.Model(x, layers.Dense(4, "sigmoid")(x)),
            "not in a softmax over the classes",
        ),
        (
            keras.Model(x, inner(x)),
            r"ends in sequential.* \(Sequential\), not in a softmax",
        ),
        (keras.Model(x, [x, x]), "whose only output is a softmax"),
        (Subclassed(), "student: got a subclassed or unbuilt"),
        (keras_3.Sequential([keras_3.Input((6,))]), "which is Keras 3; give a func"),
        ("model", "student: got a builtins.str"),
    ):
        with pytest.raises(InputError, match=told):
            Distiller(student, linear())
    with pytest.raises(InputError, match="teacher: ends in dense"):
        Distiller(linear(), keras.Model(x, layers.Dense(4)(x)))


def test_random_targets_know_nothing_of_the_labels():
    from kdfunc.distillation import random_logits

    labels = np.arange(5000) % 10
    logits = random_logits(labels, 10, 3)
    p = np.exp(logits.astype(float))
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-6)
    np.testing.assert_allclose(p.mean(axis=0), 0.1, atol=0.003)
    assert (p.argmax(axis=1) == labels).mean() == pytest.approx(0.1, abs=0.02)
    np.testing.assert_array_equal(random_logits(labels[::-1], 10, 3), logits)
    assert (random_logits(labels, 10, 4) != logits).any()


def test_a_last_batch_counts_by_its_examples_whatever_the_inputs():
    """A network of two inputs was counted by its inputs, or refused."""
    from kdfunc.distillation import Distiller
    from kdfunc.runtime import keras

    def network(seed):
        keras.utils.set_random_seed(seed)
        inputs = [keras.Input((3,)), keras.Input((5,))]
        together = keras.layers.Concatenate()(inputs)
        return keras.Model(inputs, keras.layers.Dense(4, "softmax")(together))

    rng = np.random.default_rng(0)
    x = [rng.normal(size=(5, size)).astype("f4") for size in (3, 5)]
    y = np.eye(4, dtype="f4")[[0, 1, 2, 3, 0]]
    model = Distiller(network(1), network(2))
    model.compile(keras.optimizers.SGD(0.0))
    found = model.fit(x, y, batch_size=4, shuffle=False, verbose=0).history
    loss = -(y * np.log(model.student.predict(x, verbose=0))).sum(axis=1).mean()
    assert found["student_loss"] == pytest.approx([loss], rel=1e-5)
