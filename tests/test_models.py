import importlib
import pathlib
import re
import sys
import zipfile

import numpy as np
import pytest

from kdfunc.config import ARCHITECTURES
from kdfunc.errors import InputError

pytestmark = pytest.mark.usefixtures("tensorflow")


def build(*arguments, seed=0):
    from kdfunc import models

    return models.build(*arguments, seed)


def test_config_and_models_name_the_same_architectures():
    from kdfunc import models

    assert tuple(models.ARCHITECTURES) == ARCHITECTURES


@pytest.mark.parametrize(
    ("architecture", "shape", "classes", "trainable", "all_", "mebibytes"),
    [
        ("lenet", (28, 28, 1), 10, 225_034, 225_034, 0.86),
        ("mobilenet", (32, 32, 3), 10, 3_736_906, 3_758_794, 14.34),
        ("resnet50", (32, 32, 3), 100, 24_634_980, 24_688_100, 94.18),
    ],
)
def test_parameters_and_sizes_of_table_1(
    architecture, shape, classes, trainable, all_, mebibytes
):
    model = build(architecture, shape, classes)
    assert sum(int(np.prod(w.shape)) for w in model.trainable_weights) == trainable
    assert model.count_params() == all_
    assert round(4 * all_ / 2**20, 2) == mebibytes
    # One flat model, as tfmot and the converters want it.
    assert not any(hasattr(layer, "layers") for layer in model.layers)


def test_half_a_lenet_is_half_as_wide():
    whole, half = (build(name, (32, 32, 3), 10) for name in ("lenet", "lenet-half"))
    for all_, some in zip(whole.layers, half.layers, strict=True):
        assert type(all_) is type(some)
        wide, narrow = (layer.output_shape[-1] for layer in (all_, some))
        if all_.name not in ("image", "logits", "probabilities"):
            assert wide == 2 * narrow
    # by hand: (9 * 3 + 1) 16, (9 * 16 + 1) 32, (6 * 6 * 32 + 1) 64, (64 + 1) 10
    assert half.count_params() == 448 + 4_640 + 73_792 + 650


def test_the_papers_lenet_size_is_in_kibibytes():
    assert round(4 * build("lenet", (28, 28, 1), 10).count_params() / 1024) == 879


def test_the_seed_alone_decides_the_weights(tmp_path):
    from kdfunc import models

    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        models.save(build("lenet", (28, 28, 1), 10, seed=seed), tmp_path / name)
    a, b, c = ((tmp_path / name).read_bytes() for name in "abc")
    assert a == b
    assert a != c


def test_a_saved_model_computes_the_same(tmp_path, rng):
    from kdfunc import models

    model = build("mobilenet", (32, 32, 3), 10)
    models.save(model, tmp_path / "model.keras")
    images = rng.random((4, 32, 32, 3), np.float32)
    loaded = models.load(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(images), model(images))


def test_logits_are_what_goes_into_the_softmax(tensorflow, rng):
    from kdfunc import models
    from kdfunc.runtime import keras

    model = build("lenet", (28, 28, 1), 10)
    both = keras.Model(model.inputs, [models.logits_of(model), model.output])
    logits, probabilities = both(rng.random((4, 28, 28, 1), np.float32))
    assert both.count_params() == 225_034
    np.testing.assert_array_equal(tensorflow.nn.softmax(logits), probabilities)


@pytest.mark.parametrize("architecture", ["mobilenet", "resnet50"])
def test_images_that_are_too_small_are_refused(architecture):
    with pytest.raises(InputError, match=f"{architecture} cannot be .* 28x28x1 .*32"):
        build(architecture, (28, 28, 1), 10)


def test_images_too_small_for_lenet_are_refused():
    with pytest.raises(InputError, match="lenet cannot be built for images of 8x8x1"):
        build("lenet", (8, 8, 1), 10)


SOURCE = pathlib.Path(__file__).with_name("own_architectures.py").read_text("utf-8")
BUILDERS = re.findall(r"^(?:def )?((?:good|bad)_\w+)", SOURCE, re.MULTILINE)


def test_a_builder_of_ones_own_is_found_in_the_working_folder(
    tmp_path, monkeypatch, rng
):
    from kdfunc import models
    from kdfunc.runtime import keras, tf

    (tmp_path / "my_builders.py").write_text(SOURCE.replace('"own"', '"mine"'), "utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    model = build("my_builders:good_sequential", (5, 5, 1), 3)
    both = keras.Model(model.inputs, [models.logits_of(model), model.output])
    logits, probabilities = both(rng.random((2, 5, 5, 1), np.float32))
    assert model.count_params() == 25 * 3 + 3
    np.testing.assert_allclose(tf.nn.softmax(logits), probabilities, rtol=1e-6)
    sys.modules.pop("my_builders")


def test_a_worker_that_never_checked_knows_layers_of_ones_own(tmp_path, monkeypatch):
    """As one that replaces another which died."""
    from kdfunc.config import ExperimentConfig
    from kdfunc.runs import plan, worker, workplace

    (tmp_path / "late_builders.py").write_text(
        SOURCE.replace('"own"', '"late"'), "utf-8"
    )
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    known = []

    def look(work):
        known.append("late_builders" in sys.modules)
        return []

    monkeypatch.setitem(worker.KINDS, "data", look)
    config = ExperimentConfig(architecture="late_builders:good_registered_layer")
    place = workplace.Workplace(tmp_path / "run", config)
    worker.perform(place, plan.Task("data", "data"), lambda **_: None)
    sys.modules.pop("late_builders")
    assert known == [True]


def test_files_tell_of_what_layers_share_but_not_of_addresses(tmp_path):
    """A recurrent layer and its cell share their initializers."""
    from kdfunc import models

    contents = []
    for path in (tmp_path / "first.keras", tmp_path / "second.keras"):
        model = build("own_architectures:good_rows_in_time", (5, 5, 1), 3)
        models.save(model, path)
        contents.append(path.read_bytes())
    assert contents[0] == contents[1]
    config = zipfile.ZipFile(path).read("config.json")
    assert b'"shared_object_id": 1,' in config or b'"shared_object_id": 1}' in config
    assert models.load(path).get_config() == model.get_config()


TOLD = {
    "type_error": "cannot be built .*TypeError: unexpected thing",
    "key_error": "cannot be built .*KeyError: 'lost'",
    "memory_error": r"cannot be built .*\(MemoryError\)",
    "value_error": r"cannot be built .*\(ValueError\)",
    "runtime_error": r"cannot be built .*\(RuntimeError: boom\)",
    "assertion": "cannot be built .*AssertionError",
    "exit": "cannot be built .*SystemExit: 0",
    "arguments": "cannot be built .*TypeError",
    "number": "bad_number is a int, not a function",
    "none": "a builtins.NoneType",
    "text": "a builtins.str",
    "keras_3": "a keras",
    "subclassed": "subclassed or unbuilt",
    "unbuilt": "subclassed or unbuilt",
    "lambda": "cannot be saved and loaded again",
    "unregistered_layer": "cannot be saved and loaded again",
    "no_softmax": "ends in .*, not in a softmax over the classes",
    "softmax_over_images": "not in a softmax over the classes",
    "classes": r"output \(None, 4\)",
    "shape": r"input \(None, 9, 9, 1\)",
    "not_a_number": "outputs that add up to nan",
    "nothing_to_train": "no trainable weights",
    "width_by_chance": "a different model each time",
    "weights_by_chance": "a different model each time",
    "dropout_at_work": "different outputs in each call",
    "neighbours_matter": "next to other images",
    "not_there": "could not be imported",
}


@pytest.mark.usefixtures("tensorflow")
def test_weights_that_a_builder_has_loaded_stay():
    model = build("own_architectures:good_loaded", (5, 5, 1), 3)
    assert model.layers[-1].name == "probabilities"  # the logits have been split off
    assert all((array == np.float32(0.123)).all() for array in model.get_weights())


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("builder", BUILDERS)
def test_builders_of_ones_own_work_or_are_refused_before_training(builder):
    from kdfunc import models

    kind, _, name = builder.partition("_")
    if kind == "good":
        models.check_own(f"own_architectures:{builder}", (5, 5, 1), 3)
        return
    with pytest.raises(InputError, match=TOLD.get(name, "must return")) as error:
        models.check_own(f"own_architectures:{builder}", (5, 5, 1), 3)
    assert str(error.value).startswith("architecture: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("not_there:build", "No module named 'not_there'"),
        (":build", "'' is not the name of a module"),
        (".x:build", "'.x' is not the name of a module"),
        ("../x:build", "'../x' is not the name of a module"),
    ],
)
def test_a_module_that_is_not_there_is_refused(name, told):
    with pytest.raises(InputError, match=re.escape(told)):
        build(name, (5, 5, 1), 3)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("def build(:", "SyntaxError"),
        ("1 / 0", "ZeroDivisionError"),
        ("raise RuntimeError('no licence')", "RuntimeError: no licence"),
        ("raise SystemExit", "SystemExit"),
    ],
)
def test_a_module_that_fails_is_refused(tmp_path, monkeypatch, content, told):
    (tmp_path / "failing_builders.py").write_text(content, "utf-8")
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.chdir(tmp_path)
    importlib.invalidate_caches()
    with pytest.raises(InputError, match=f"could not be imported .{told}"):
        build("failing_builders:build", (5, 5, 1), 3)


def test_models_can_be_saved_again_and_again_from_any_thread(tmp_path):
    from concurrent.futures import ThreadPoolExecutor

    from kdfunc import models

    model = build("lenet", (28, 28, 1), 10)
    paths = [tmp_path / f"{number}.keras" for number in range(3)]
    with ThreadPoolExecutor(1) as thread:
        list(thread.map(lambda path: models.save(model, path), paths))
    assert len({path.read_bytes() for path in paths}) == 1
    assert models.load(paths[2]).count_params() == 225_034
