import importlib
import itertools
import json
import math
import os

import numpy as np
import pytest

from kdfunc.edge import Settings, benchmark, compare, predict, predict_file
from kdfunc.edge.isolation import Isolated
from kdfunc.edge.networks import Network
from kdfunc.edge.timing import as_text as times_as_text
from kdfunc.errors import InputError
from kdfunc.similarity import (
    MEASURES,
    all_measures,
    bootstrap_measures,
    function_preserved,
)
from kdfunc.text import count

RESAMPLES = 50


def only(result):
    (output,) = result["outputs"]
    return output


@pytest.fixture(scope="module")
def compared(lenet):
    """The full-integer model against the float32 one, with a yardstick."""
    return compare(
        lenet.float32,
        lenet.full,
        lenet.data,
        independents=[lenet.other],
        limit=["agreement>=10%", "preserved.disagreement<=-99", "bytes<=200%"],
        resamples=RESAMPLES,
    )


@pytest.fixture(scope="module")
def softmax(lenet):
    models = (lenet.float32, lenet.full, lenet.other)
    return [predict(model, lenet.images) for model in models]


def test_measures_are_those_of_the_arrays(compared, softmax, lenet):
    p, q, _ = softmax
    found = only(compared)["measures"]
    assert list(found) == ["agreement", "accuracy", *MEASURES]
    for name, value in all_measures(p, q, lenet.labels).items():
        assert found[name]["value"] == pytest.approx(value, rel=1e-12), name
    expected = bootstrap_measures(p, [q], lenet.labels, resamples=RESAMPLES)
    for name in ("jensen_shannon", "kl_forward", "log_loss_difference"):
        ends = float(expected[name].low[0]), float(expected[name].high[0])
        assert (found[name]["low"], found[name]["high"]) == ends, name
    agreement, disagreement = found["agreement"], found["disagreement"]
    assert agreement["value"] == (p.argmax(1) == q.argmax(1)).mean()
    assert agreement["low"] == pytest.approx(1 - disagreement["high"])


def test_function_preserved_is_that_of_the_arrays(compared, softmax, lenet):
    p, q, other = softmax
    expected = function_preserved(p, [q], [other], lenet.labels, resamples=RESAMPLES)
    found = {
        name: entry["preserved"]["value"]
        for name, entry in only(compared)["measures"].items()
        if "preserved" in entry
    }
    expected = {name: float(e.value[0]) for name, e in expected.items()}
    # JSON has no NaN: the independent model has no confident flips, so no scale.
    assert found == {n: None if math.isnan(x) else x for n, x in expected.items()}


def test_flips_and_classes(compared, softmax, lenet):
    p, q, _ = (x.argmax(axis=1) for x in softmax)
    flips = only(compared)["flips"]
    assert sorted(f["index"] for f in flips) == np.flatnonzero(p != q).tolist()
    for flip in flips:
        i = flip["index"]
        found = flip["reference"], flip["candidate"], flip["label"]
        assert found == (p[i], q[i], lenet.labels[i])
    classes = only(compared)["classes"]
    shares = [entry["disagreement"] for entry in classes]
    assert shares == sorted(shares, reverse=True)
    assert sum(entry["examples"] for entry in classes) == len(lenet.labels)
    for entry in classes:
        members = lenet.labels == entry["class"]
        assert entry["disagreement"] == (p != q)[members].mean()


def test_models_are_side_by_side(compared, softmax, lenet):
    models = compared["models"]
    assert [m["role"] for m in models] == ["reference", "candidate", "independent"]
    assert [m["kind"] for m in models] == ["float32", "full integer", "float32"]
    for model, outputs in zip(models, softmax, strict=True):
        assert model["accuracy"] == (outputs.argmax(axis=1) == lenet.labels).mean()
    assert models[1]["bytes"] == lenet.full.stat().st_size
    assert all(0 < model["latency_ms"] < 1000 for model in models[:2])
    assert models[2]["latency_ms"] is None  # nobody judges it


def test_models_are_timed_in_turns(lenet, monkeypatch):
    """So that both are as warm: each run is slower than the one before."""
    call, runs, timed = Isolated.call, itertools.count(1), []

    def warmer(self, method, *arguments):
        if method != "seconds":
            return call(self, method, *arguments)
        timed.append(self)
        return [next(runs) / 1000 for _ in range(arguments[1])]

    monkeypatch.setattr(Isolated, "call", warmer)
    models = compare(lenet.float32, lenet.full, lenet.data)["models"]
    assert models[1]["latency_ms"] == models[0]["latency_ms"] + 5
    assert all(one is not other for one, other in itertools.pairwise(timed))


def test_limits_and_outcome(compared):
    outcomes = [limit["outcome"] for limit in compared["limits"]]
    assert outcomes == ["met", "missed", "met"]
    sentence = compared["outcome"]
    assert sentence.count(". ") == 0 and sentence.endswith(".")
    assert "it misses preserved.disagreement<=-99" in sentence
    assert f"{100 * only(compared)['measures']['agreement']['value']:.2f} %" in sentence
    headline = only(compared)["measures"]["jensen_shannon"]["preserved"]["value"]
    assert f"{headline:.1f} % of the function is preserved" in sentence


def test_text_and_json(compared):
    json.dumps(compared, allow_nan=False)
    lines = str(compared).split("\n")
    assert max(map(len, lines[3:])) < 80  # the first three are paths
    for name in (
        "accuracy_corrected_disagreement",
        "hit hardest",
        "function preserved",
    ):
        assert any(name in line for line in lines)


def test_without_labels_whatever_needs_none(lenet, compared):
    found = compare(lenet.float32, lenet.full, lenet.unlabelled, resamples=RESAMPLES)
    here, there = only(found), only(compared)
    assert not any(MEASURES[n].needs_labels for n in here["measures"] if n in MEASURES)
    for name, entry in here["measures"].items():
        assert entry["value"] == there["measures"][name]["value"]
    assert [f["index"] for f in here["flips"]] == [f["index"] for f in there["flips"]]
    assert "accuracy" not in found["models"][0]
    str(found)


def test_a_model_and_itself(lenet):
    given = (lenet.float32, lenet.float32, lenet.data)
    found = compare(*given, resamples=RESAMPLES)
    output = only(found)
    assert output["measures"]["agreement"]["value"] == 1 and not output["flips"]
    str(found)
    with pytest.raises(InputError, match="the same outputs as the reference"):
        compare(*given, independents=[lenet.float32], resamples=RESAMPLES)


def test_a_keras_model(lenet):
    found = compare(lenet.keras, lenet.float32, lenet.data, resamples=RESAMPLES)
    measures = only(found)["measures"]
    assert measures["agreement"]["value"] == 1
    assert measures["total_variation"]["value"] < 1e-5
    assert found["models"][0]["kind"] == "Keras"
    assert found["models"][0]["bytes"] == lenet.keras.stat().st_size


@pytest.mark.parametrize("kind", ["keras", "saved"])
def test_tensorflow_models_give_what_tflite_gives(tensorflow, lenet, kind):
    network = Network(getattr(lenet, kind))
    expected = predict(lenet.float32, lenet.images)
    (found,) = network.run(lenet.images).values()
    assert found == pytest.approx(expected, abs=1e-5)
    (found,) = network.random_run(3)().values()
    assert found.shape == (3, 10)
    with pytest.raises(InputError, match=r"takes \[n, 28, 28, 1\]"):
        network.run(lenet.images[:, :5])


@pytest.mark.parametrize("library", ["keras", "tf_keras"])
def test_keras_models_of_several_inputs_and_outputs(tensorflow, tmp_path, rng, library):
    """Outputs of one layer, and dictionaries, which keep their own names."""
    keras = importlib.import_module(library)
    a, b = keras.layers.Input((4,), name="a"), keras.layers.Input((4,), name="b")
    shared = keras.layers.Dense(2, name="shared")
    path, x, y = tmp_path / "model.keras", *rng.random((2, 5, 4), np.float32)
    keras.Model([a, b], [shared(a), shared(b)]).save(path)
    found = Network(path).run({"a": x, "b": y})
    weights = [np.asarray(w) for w in shared.get_weights()]
    expected = [each @ weights[0] + weights[1] for each in (x, y)]
    np.testing.assert_allclose(list(found.values()), expected, rtol=1e-5)
    keras.Model({"q": a, "p": b}, {"z": shared(a), "e": shared(b)}).save(path)
    found = Network(path).run({"q": x, "p": y})
    np.testing.assert_allclose([found["z"], found["e"]], expected, rtol=1e-5)


@pytest.mark.parametrize("fixed", [1, 4])
def test_a_savedmodel_that_fixes_its_batch_is_run_with_that_batch(
    tensorflow, tmp_path, rng, fixed
):
    """As other converters write it."""
    module = tensorflow.Module()
    module.double = tensorflow.function(
        lambda x: {"y": 2 * x}, [tensorflow.TensorSpec([fixed, 3], tensorflow.float32)]
    )
    tensorflow.saved_model.save(module, str(tmp_path / "saved"))
    network, images = Network(tmp_path / "saved"), rng.random((6, 3), np.float32)
    np.testing.assert_array_equal(network.run(images)["y"], 2 * images)
    told = network.told()
    threads = tensorflow.config.threading.get_intra_op_parallelism_threads()
    assert told["threads"] == (threads or os.cpu_count())  # 0 is one per core
    assert told["how"] == f"TensorFlow, {count(told['threads'], 'thread')}"


def test_logits_are_recognized(lenet):
    """Each model's outputs are what they are, with nothing said."""
    found = compare(lenet.float32, lenet.logits, lenet.data, resamples=RESAMPLES)
    output = only(found)
    assert output["forms"] == {"reference": "probabilities", "candidate": "logits"}
    assert output["measures"]["jensen_shannon"]["value"] < 1e-9
    assert output["measures"]["agreement"]["value"] == 1
    found = compare(lenet.logits, lenet.logits, lenet.data, resamples=RESAMPLES)
    assert set(only(found)["forms"].values()) == {"logits"}
    assert found["models"][0]["accuracy"] == pytest.approx(
        (predict(lenet.float32, lenet.images).argmax(axis=1) == lenet.labels).mean()
    )
    found = compare(
        lenet.logits,
        lenet.logits,
        lenet.unlabelled,
        outputs="logits",
        resamples=RESAMPLES,
    )
    assert only(found)["kind"] == "classes"


def test_models_that_cannot_be_compared_are_told(lenet, tmp_path, convert, tensorflow):
    from kdfunc.runtime import keras

    image = keras.Input((28, 28, 1))
    flat = keras.layers.Flatten()(image)
    model = keras.Model(image, keras.layers.Dense(3, activation="softmax")(flat))
    three = tmp_path / "three.tflite"
    three.write_bytes(convert(model, "float32"))
    with pytest.raises(InputError, match=r"three.tflite has shape \[3\]"):
        compare(lenet.float32, three, lenet.data)
    broken = tmp_path / "broken.keras"
    broken.write_bytes(lenet.keras.read_bytes()[:1000])
    with pytest.raises(InputError, match="broken.keras cannot be loaded"):
        compare(broken, lenet.full, lenet.data)
    with pytest.raises(InputError, match="is empty; give a model"):
        (tmp_path / "empty").mkdir()
        compare(tmp_path / "empty", lenet.full, lenet.data)
    with pytest.raises(InputError, match="cannot be read"):
        compare(tmp_path / "missing.keras", lenet.full, lenet.data)


def test_settings_of_intervals_are_checked_before_a_model_is_run(lenet, monkeypatch):
    monkeypatch.setattr("kdfunc.edge.comparison.isolated", None)
    with pytest.raises(InputError, match="confidence: got 95; give a share"):
        compare(lenet.float32, lenet.full, lenet.data, confidence=95)
    with pytest.raises(InputError, match="resamples: got 0; give a whole"):
        compare(lenet.float32, lenet.full, lenet.data, resamples=0)


def test_predict_file_is_predict(lenet, tmp_path):
    for data in (lenet.data, lenet.unlabelled):
        settings = Settings(batch_size=33, threads=2)
        predict_file(lenet.dynamic, data, tmp_path / "out.npy", settings)
        found = np.load(tmp_path / "out.npy")
        np.testing.assert_array_equal(found, predict(lenet.dynamic, lenet.images))


def test_benchmark(lenet):
    found = benchmark(lenet.float32, (1, 8), (1, 2), runs=5, warm_up=1)
    settings = [(entry["threads"], entry["batch_size"]) for entry in found]
    assert settings == [(1, 1), (1, 8), (2, 1), (2, 8)]
    for entry in found:
        assert 0 < entry["median_ms"] <= entry["p90_ms"] <= entry["p99_ms"]
        speed = 1000 * entry["batch_size"] / entry["median_ms"]
        assert entry["images_per_second"] == pytest.approx(speed)
        peak = entry["peak_memory_bytes"]
        assert peak is None or 1 << 20 < peak < 1 << 30
    assert max(map(len, times_as_text(found).split("\n"))) < 80


def test_benchmark_of_models_that_are_not_from_image_to_classes(tensorflow, tmp_path):
    def function(tokens, images):
        return tokens + 1, tensorflow.reduce_sum(images, 1), images * 2

    specs = [tensorflow.TensorSpec([1, 7], tensorflow.int32)]
    specs += [tensorflow.TensorSpec([1, 4, 4], tensorflow.float32)]
    concrete = tensorflow.function(function, specs).get_concrete_function()
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([concrete])
    path = tmp_path / "several.tflite"
    path.write_bytes(converter.convert())
    (found,) = benchmark(path, runs=3, warm_up=1)
    assert 0 < found["median_ms"] < 1000
    (found,) = benchmark(path, batch_sizes=[4], runs=3, warm_up=1)
    assert found["batch_size"] == 4
