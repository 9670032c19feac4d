"""What a `.keras` file may name. Nothing here may run what a file names."""

import json
import zipfile

import numpy as np
import pytest

from kdfunc import keras_files
from kdfunc.errors import InputError


@pytest.fixture(scope="module")
def saved(tensorflow, tmp_path_factory):
    """A function: path of a model saved by Keras 2 or 3."""
    folder = tmp_path_factory.mktemp("keras")

    def save(model, **options):
        path = folder / "model.keras"
        model.save(path, **options)
        return path

    return save


def changed(path, change):
    """The file with another config beside it."""
    evil = path.with_name("evil.keras")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(evil, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "config.json":
                config = json.loads(content)
                change(config["config"]["layers"])
                content = json.dumps(config)
            new.writestr(name, content)
    return evil


@pytest.fixture(scope="module")
def plain(tensorflow, saved):
    import tf_keras

    layers = tf_keras.layers
    image = tf_keras.Input((8, 8, 1))
    x = layers.Conv2D(2, 3, activation="relu", kernel_regularizer="l2")(image)
    x = layers.Bidirectional(layers.LSTM(2))(layers.Reshape((6, 12))(x))
    x = tensorflow.nn.softmax(2.0 * x[:, 1:])
    return saved(tf_keras.Model(image, x), save_format="keras_v3")


def test_models_of_keras_2_and_3_pass(plain, saved):
    import keras
    import tf_keras

    assert keras_files.check(plain) == tf_keras.__version__
    for application in ("MobileNetV3Small", "EfficientNetB0"):
        for package, options in ((tf_keras, {"save_format": "keras_v3"}), (keras, {})):
            model = getattr(package.applications, application)(weights=None)
            assert keras_files.check(saved(model, **options)) == package.__version__
    inner = keras.Sequential([keras.Input((4,)), keras.layers.Dense(3, "gelu")])
    x = keras.Input((4,))
    outer = keras.Model(x, keras.ops.softmax(inner(x) + 1))
    outer.compile(keras.optimizers.Adam(), keras.losses.MeanSquaredError())
    assert keras_files.check(saved(outer)) == keras.__version__


def function(module, name):
    entry = {"module": module, "class_name": "function", "config": name}
    return {**entry, "registered_name": name}


def layer(module, name, **config):
    entry = {"module": module, "class_name": name, "config": config}
    return {**entry, "registered_name": None}


EVIL = {
    "a lambda": layer("keras.layers", "Lambda", function="x"),
    "a lambda of old": {"class_name": "Lambda", "config": {}},
    "a function": function("pydoc", "pipepager"),
    "a builtin": function("builtins", "eval"),
    "a function of Keras": function("keras.utils", "get_file"),
    "a class": layer("subprocess", "Popen", args="touch RAN"),
    "a class of Keras": layer("keras.utils", "get_file"),
    "a dotted class": layer("keras", "utils.get_file"),
    "a module's module": layer("keras.layers.experimental..os", "Popen"),
    "another package": layer("keras_evil.layers", "Dense"),
    "a saved model": layer("keras.layers", "TFSMLayer", filepath="/tmp/evil"),
    "a pickle": layer("keras.layers", "TorchModuleWrapper", layer="x"),
    "a node": layer("tf_keras.src.engine.base_layer", "TensorFlowOpLayer"),
    "a file to write": layer(
        "tf_keras.src.layers.core.tf_op_layer", "TFOpLambda", function="io.write_file"
    ),
    "python in a graph": layer(
        "tf_keras.src.layers.core.tf_op_layer", "TFOpLambda", function="py_function"
    ),
    "a method": layer("tf_keras.src.layers.core.tf_op_layer", "ClassMethod"),
    "a file to read": layer("keras.layers", "StringLookup", vocabulary="/etc/passwd"),
}


@pytest.mark.parametrize("kind", EVIL)
@pytest.mark.parametrize("place", ["a layer", "within a layer"])
def test_what_is_not_keras_is_refused(plain, kind, place):
    def change(layers):
        if place == "a layer":
            layers[1].update(EVIL[kind])
        else:
            layers[1]["config"]["activation"] = [{"x": EVIL[kind]}]

    path = changed(plain, change)
    with pytest.raises(InputError, match="names .*, which is not part of a plain"):
        keras_files.check(path)


def test_a_file_that_runs_commands_is_refused_before_it_is_loaded(
    tensorflow, lenet_shaped, tmp_path, capsys, monkeypatch
):
    """As in a file that was made to attack: Keras calls the function by itself."""
    from kdfunc import models
    from kdfunc.edge.main import main

    monkeypatch.chdir(tmp_path)

    def change(layers):
        for entry in layers:
            if entry["class_name"] == "Lambda":
                entry["config"].update(
                    function_type="function",
                    arguments={"cmd": "touch ./RAN"},
                    function=function("pydoc", "pipepager"),
                )

    path = changed(lenet_shaped, change)
    np.save("images.npy", np.zeros((1, 8, 8, 1), np.float32))
    assert main(["compare", str(path), str(path), "--data=images.npy"]) == 2
    assert "names a layer Lambda, which can run code" in capsys.readouterr().err
    with pytest.raises(InputError, match="names a layer Lambda, which can run"):
        models.load(path)
    assert not (tmp_path / "RAN").exists()


@pytest.fixture
def lenet_shaped(saved):
    import tf_keras

    layers = tf_keras.layers
    image = tf_keras.Input((8, 8, 1))
    x = layers.Lambda(lambda x: x)(image)
    x = layers.Dense(3, activation="softmax")(layers.Flatten()(x))
    return saved(tf_keras.Model(image, x), save_format="keras_v3")


def test_what_is_registered_here_may_be_named(tensorflow, saved):
    import tf_keras

    @tf_keras.saving.register_keras_serializable("mine")
    class Twice(tf_keras.layers.Layer):
        def call(self, x):
            return 2 * x

    path = saved(
        tf_keras.Sequential([tf_keras.Input((3,)), Twice()]), save_format="keras_v3"
    )
    with pytest.raises(InputError, match="names 'Twice' of "):
        keras_files.check(path)
    keras_files.check(path, {"mine>Twice"})
    evil = changed(
        path,
        lambda layers: layers[1].update(
            function("os", "system") | {"registered_name": "mine>Twice"}
        ),
    )
    with pytest.raises(InputError, match="names the function 'system' of os"):
        keras_files.check(evil, {"mine>Twice"})


def test_what_is_no_keras_file_is_told(tmp_path, plain):
    path = tmp_path / "model.keras"
    for content in (b"", b"nothing", plain.read_bytes()[:500]):
        path.write_bytes(content)
        with pytest.raises(InputError, match="cannot be loaded"):
            keras_files.check(path)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", b" " * (65 << 20))
    with pytest.raises(InputError, match="larger than 64 MB"):
        keras_files.check(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "[" * 100_000)
    with pytest.raises(InputError, match="cannot be loaded"):
        keras_files.check(path)
