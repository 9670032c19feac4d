"""What reaches a model: its state, bytes, ranges, whole numbers, missing batches.

Each expected value is that of a fresh interpreter, or is worked out by hand.
"""

import json
import zipfile

import nets
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter
from notes import metadata

from kdfunc.edge import Model, Settings, compare, inspect, predict
from kdfunc.edge.isolation import Isolated
from kdfunc.edge.main import main
from kdfunc.errors import InputError


def fresh(path, *examples):
    """What an interpreter that has run nothing before gives for one example."""
    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    details = interpreter.get_input_details()
    for detail, values in zip(details, examples, strict=True):
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


@pytest.fixture
def u8(rng):
    return rng.integers(256, size=(6, 2, 2, 1), dtype=np.uint8)


def noted(path, images, settings=None):
    """What a model gives, and the notes on how it was run."""
    model = Model(path, settings or Settings())
    found = model.predict(images)
    return found, model.told()["notes"]


# State


def test_answers_do_not_depend_on_the_order(tmp_path, rng):
    path = nets.recurrent(tmp_path / "r.tflite", rng)
    images = rng.normal(size=(8, 4)).astype(np.float32)
    expected = np.concatenate([fresh(path, image[None]) for image in images])
    for batch_size in (1, 3, 8):
        found = predict(path, images, Settings(batch_size=batch_size))
        np.testing.assert_array_equal(found, expected)
        found = predict(path, images[::-1], Settings(batch_size=batch_size))
        np.testing.assert_array_equal(found, expected[::-1])


def test_variables_that_no_reset_reaches_are_fresh_too(tensorflow, tmp_path):
    """A counter in a resource variable: each example sees it at its first value."""

    class Counter(tensorflow.Module):
        def __init__(self):
            super().__init__()
            self.seen = tensorflow.Variable(0.0)

        @tensorflow.function(
            input_signature=[tensorflow.TensorSpec([1, 2], tensorflow.float32)]
        )
        def count(self, x):
            self.seen.assign_add(1.0)
            return x + self.seen

    module = Counter()
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions(
        [module.count.get_concrete_function()], module
    )
    converter.experimental_enable_resource_variables = True
    path = tmp_path / "counter.tflite"
    path.write_bytes(converter.convert())
    images = np.zeros((5, 2), np.float32)
    np.testing.assert_array_equal(predict(path, images), np.ones((5, 2)))
    assert inspect(path)["state"]["resources"]


def test_inspect_tells_of_a_state(tmp_path, rng, capsys):
    path = nets.recurrent(tmp_path / "r.tflite", rng)
    assert [*inspect(path)["state"]["variables"]] == ["state"]
    assert main(["inspect", str(path)]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "tensors that keep their values between runs: 1; kdfunc-edge resets" in text
    stateless = nets.softmax(tmp_path / "s.tflite", [1, 4])
    assert inspect(stateless)["state"] is None


# Bytes and ranges


@pytest.mark.parametrize(
    ("scale", "zero"), [(1 / 128, 128), (1 / 255, 0), (0.02, 117), (1.0, 0)]
)
def test_bytes_go_into_a_uint8_input_as_they_are(tmp_path, u8, scale, zero):
    path = nets.of_bytes(tmp_path / "m.tflite", scale, zero)
    real = (u8.reshape(6, 4) - float(zero)) * scale
    found = predict(path, u8)
    assert found == pytest.approx(softmax(real), abs=1e-6)
    for batch in (found, predict(path, u8, Settings(range=(-3.0, 5.0)))):
        expected = np.concatenate([fresh(path, image[None]) for image in u8])
        np.testing.assert_array_equal(batch, expected)


def test_a_range_is_what_bytes_0_and_255_stand_for(tmp_path, u8):
    path = nets.scaled(tmp_path / "m.tflite", [1, 2, 2, 1], 1.0)
    for settings, expected in [
        (Settings(), u8 / 255),
        (Settings(range=(-1, 1)), u8 / 127.5 - 1),
        (Settings(range=(0, 255)), u8),
        (Settings(mean=(127.5,), std=(127.5,)), u8 / 127.5 - 1),
        (Settings(mean=(100.0,)), u8 - 100.0),
    ]:
        found = predict(path, u8, settings)
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_mean_and_std_of_channels(tmp_path, rng):
    path = nets.scaled(tmp_path / "m.tflite", [1, 2, 2, 3], 1.0)
    images = rng.integers(256, size=(4, 2, 2, 3), dtype=np.uint8)
    mean, std = (123.7, 116.3, 103.5), (58.4, 57.1, 57.4)
    found = predict(path, images, Settings(mean=mean, std=std))
    np.testing.assert_allclose(found, (images - np.array(mean)) / std, atol=1e-4)
    with pytest.raises(InputError, match="has 2 channels, but the images"):
        predict(path, images, Settings(mean=(1.0, 2.0)))


def test_an_int8_input_quantizes_the_range(tmp_path, u8):
    path = nets.of_bytes(tmp_path / "m.tflite", 1 / 128, 0, nets.TYPES.INT8)
    found = predict(path, u8, Settings(range=(-1, 1)))
    codes = np.rint((u8 / 127.5 - 1) * 128).clip(-128, 127)
    assert found == pytest.approx(softmax(codes.reshape(6, 4) / 128), abs=1e-6)


def test_the_default_is_what_the_file_says(tmp_path, u8, capsys):
    """Normalization in the metadata; a range that is given comes before it."""
    net = nets.Net()
    x, y = net.tensor([1, 2, 2, 1]), net.tensor([1, 2, 2, 1])
    net.add(nets.OPERATORS.NEG, [x], [y], nets.schema.NegOptionsT())
    net.note("TFLITE_METADATA", metadata("m", mean=[127.5], std=[127.5]))
    path = net.save(tmp_path / "m.tflite", [x], [y])
    np.testing.assert_allclose(predict(path, u8), 1 - u8 / 127.5, atol=1e-6)
    found = predict(path, u8, Settings(range=(0, 1)))
    np.testing.assert_allclose(found, -(u8 / 255), atol=1e-6)
    np.save(tmp_path / "u8.npy", u8)
    arguments = ["compare", str(path), str(path), f"--data={tmp_path / 'u8.npy'}"]
    assert main([*arguments, "--candidate-options=range=0,1"]) == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "bytes as -1 to 1 (the metadata of the file)" in text
    assert "bytes as 0 to 1 (the range given)" in text
    assert "signal-to-noise" in text  # the two ranges give other numbers


def test_ranges_of_two_models_are_apart(tmp_path, u8, capsys):
    """The same file with another range is another function; with the same, the same."""
    path = str(nets.scaled(tmp_path / "m.tflite", [1, 2, 2, 1], 1.0))
    half = str(nets.scaled(tmp_path / "h.tflite", [1, 2, 2, 1], 0.5))
    np.save(tmp_path / "u8.npy", u8)
    arguments = ["compare", path, half, f"--data={tmp_path / 'u8.npy'}", "--json"]
    options = ["--reference-options=range=0,2", "--candidate-options=range=0,4"]
    assert main([*arguments, *options, "--resamples=10"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["outputs"][0]["measures"]["identical"]["value"] == 1
    runs = [model["run"]["inputs"]["x"] for model in found["models"]]
    assert runs == [f"bytes as 0 to {k} (the range given)" for k in (2, 4)]


# Warnings


@pytest.mark.parametrize("high", [1.0, 255.0])
def test_floats_beyond_the_likely_range_are_warned_of(tmp_path, rng, high):
    path = nets.scaled(tmp_path / "m.tflite", [1, 4, 4, 3], 1.0)
    images = high * rng.random((3, 4, 4, 3)).astype(np.float32)
    _, notes = noted(path, images)
    assert len(notes) == (high == 255)
    assert not notes or "most image models take 0 to 1" in notes[0]


def test_bytes_on_a_small_scale_are_warned_of(tmp_path, u8):
    """Such as those of the digits, from 0 to 16."""
    path = nets.scaled(tmp_path / "m.tflite", [1, 2, 2, 1], 1.0)
    (note,) = noted(path, u8 // 16)[1]
    assert "got bytes of at most 15 where 255 is the brightest" in note
    assert noted(path, u8)[1] == []


def test_the_likely_range_is_read_from_the_file(tmp_path, u8):
    """Its quantization, its metadata, or a first operator that rescales pixels."""
    path = nets.of_bytes(tmp_path / "q.tflite", 1 / 128, 0, nets.TYPES.INT8)
    floats = u8.astype(np.float32)
    _, notes = noted(path, floats)
    assert "likely made for -1 to 0.9922 (judging by its quantization)" in notes[0]
    assert noted(path, floats / 256)[1] == []
    pixels = nets.of_bytes(tmp_path / "p.tflite", 1.0, -128, nets.TYPES.INT8)
    _, notes = noted(pixels, u8)
    assert "got bytes as 0 to 1 but was likely made for 0 to 255" in notes[0]

    net = nets.Net()
    x, y = net.tensor([1, 2, 2, 1]), net.tensor([1, 2, 2, 1])
    net.add(nets.OPERATORS.NEG, [x], [y], nets.schema.NegOptionsT())
    net.note("TFLITE_METADATA", metadata("m", low=[0.0], high=[1.0]))
    path = net.save(tmp_path / "m.tflite", [x], [y])
    _, notes = noted(path, floats)
    assert "likely made for 0 to 1 (judging by the metadata of the file)" in notes[0]

    path = nets.scaled(tmp_path / "r.tflite", [1, 2, 2, 1], 1 / 255)
    assert noted(path, floats)[1] == []
    _, notes = noted(path, u8)
    assert "likely made for 0 to 255 (judging by its first operator, MUL)" in notes[0]
    assert "if so, give --range=0,255" in notes[0]


def test_predict_prints_what_looks_wrong(tmp_path, u8, capsys):
    path = nets.scaled(tmp_path / "m.tflite", [1, 2, 2, 1], 1 / 255)
    np.save(tmp_path / "u8.npy", u8)
    data, output = f"--data={tmp_path / 'u8.npy'}", f"--output={tmp_path / 'p.npy'}"
    assert main(["predict", str(path), data, output]) == 0
    assert "kdfunc-edge: note: x of " in capsys.readouterr().err
    assert main(["predict", str(path), data, output, "--range=0,255"]) == 0
    assert capsys.readouterr().err == ""


# Whole numbers, batches, several inputs


def test_token_ids_go_in_as_they_are(tmp_path, rng):
    net = nets.Net()
    x = net.tensor([1, 3], "ids", kind=nets.TYPES.INT32)
    real, p = net.tensor([1, 3], "real"), net.tensor([1, 3], "p")
    options = nets.schema.CastOptionsT()
    options.inDataType, options.outDataType = nets.TYPES.INT32, nets.TYPES.FLOAT32
    net.add(nets.OPERATORS.CAST, [x], [real], options)
    net.softmax(real, p)
    path = net.save(tmp_path / "t.tflite", [x], [p])
    ids = rng.integers(9, size=(5, 3), dtype=np.int32)
    expected = softmax(ids.astype(float))
    for given in (ids, ids.astype(np.int64), ids.astype(np.uint8)):
        assert predict(path, given) == pytest.approx(expected, abs=1e-6)
    with pytest.raises(InputError, match="whole numbers, such as token ids"):
        predict(path, ids / 2)
    with pytest.raises(InputError, match="range from 0 to 8589934592"):
        predict(path, np.array([[0, 1, 1 << 33]]))


def test_integers_have_no_code_for_nan(tmp_path):
    path = nets.of_bytes(tmp_path / "m.tflite", 1 / 255, -128, nets.TYPES.INT8)
    images = np.zeros((2, 2, 2, 1), np.float32)
    assert predict(path, images).shape == (2, 4)
    images[1, 0] = np.nan
    with pytest.raises(InputError, match="takes int8, but the data have NaN"):
        predict(path, images)


def test_codes_go_into_an_int8_input_as_they_are(tmp_path, rng):
    path = nets.of_bytes(tmp_path / "m.tflite", 0.5, 3, nets.TYPES.INT8)
    codes = rng.integers(-128, 128, size=(4, 2, 2, 1), dtype=np.int8)
    expected = softmax((codes.reshape(4, 4) - 3.0) / 2)
    assert predict(path, codes) == pytest.approx(expected, abs=1e-6)


def test_an_input_without_a_batch_is_run_for_each_example(tmp_path, rng, capsys):
    net = nets.Net()
    x = net.tensor([100], "waveform", any_batch=False)
    z, p = (net.tensor([1, 100], name, any_batch=False) for name in "zp")
    net.reshape(x, z, [1, 100])
    net.softmax(z, p)
    path = net.save(tmp_path / "w.tflite", [x], [p])
    waves = rng.normal(size=(4, 100)).astype(np.float32)
    assert predict(path, waves) == pytest.approx(softmax(waves), abs=1e-6)
    with pytest.raises(InputError, match=r"takes \[n, 100\]; give examples of that"):
        predict(path, waves[:, :50])
    assert main(["benchmark", str(path), "--runs=2", "--warm-up=1"]) == 0
    assert main(["benchmark", str(path), "--runs=2", "--batch-sizes=4"]) == 2
    assert "it may not take batches: give --batch-sizes=1" in capsys.readouterr().err


def test_a_first_size_that_is_no_batch_is_timed_as_it_is(tmp_path, rng, capsys):
    net = nets.Net()
    x = net.tensor([3, 4], any_batch=False)
    y = net.tensor([12], "y", any_batch=False)
    net.reshape(x, y, [12])
    path = net.save(tmp_path / "f.tflite", [x], [y])
    assert main(["benchmark", str(path), "--runs=2", "--warm-up=1"]) == 0
    examples = rng.normal(size=(5, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(predict(path, examples), examples.reshape(5, 12))


def test_open_sizes_are_timed_as_they_are_in_the_data(tmp_path, rng, capsys):
    """An image of one pixel says nothing about the time that others take."""
    net = nets.Net()
    x, y = net.tensor([1, 1, 1, 3], "x"), net.tensor([1, 1, 1, 3], "y")
    for tensor in net.graph.tensors:
        tensor.shapeSignature = [1, -1, -1, 3]
    net.add(nets.OPERATORS.LOGISTIC, [x], [y])
    path = net.save(tmp_path / "open.tflite", [x], [y])
    model = Model(path)
    model.run(rng.random((2, 9, 7, 3), np.float32))
    assert model.random_run(1).args[0]["x"].shape == (1, 9, 7, 3)
    assert main(["benchmark", str(path), "--runs=2", "--warm-up=1"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "takes any size in some dimensions, where it was timed with 1;" in told
    net = nets.Net()
    x, y = net.tensor([1], "x"), net.tensor([1], "y")
    net.add(nets.OPERATORS.LOGISTIC, [x], [y])
    model = Model(net.save(tmp_path / "waves.tflite", [x], [y]))
    model.run(rng.random((2, 50), np.float32))
    assert model.random_run(1).args[0]["x"].shape == (1, 50)


def test_a_state_is_timed_with_sizes_of_the_data(tmp_path, rng):
    """Through the interpreter itself, since a reset before each run takes time."""
    model = Model(nets.recurrent(tmp_path / "m.tflite", rng))
    model.run(rng.random((2, 4), np.float32))
    (output,) = model.random_run(1)()
    assert output.shape == (1, 3)


def test_a_slow_model_is_timed_within_the_limit(tmp_path, monkeypatch):
    path = nets.softmax(tmp_path / "m.tflite", [1, 4])
    np.save(tmp_path / "x.npy", np.zeros((2, 4), np.float32))
    call = Isolated.call

    def slow(self, method, *arguments):
        if method != "seconds":
            return call(self, method, *arguments)
        runs = arguments[1]
        if (runs + 1) * 12.0 > 60:
            raise InputError("took more than 60 s for a step")
        return [12.0] * runs

    monkeypatch.setattr(Isolated, "call", slow)
    models = compare(path, path, tmp_path / "x.npy")["models"]
    assert [model["latency_ms"] for model in models] == [12_000, 12_000]


def test_a_model_without_inputs_or_outputs_is_told(tmp_path, capsys):
    """Some signatures only train or only initialize."""
    data = tmp_path / "x.npy"
    np.save(data, np.zeros((2, 4), np.float32))
    net = nets.Net()
    x, y = net.tensor([1, 4], "x"), net.tensor([1, 4], "y")
    net.add(nets.OPERATORS.LOGISTIC, [x], [y])
    dumb = net.save(tmp_path / "dumb.tflite", [x], [])
    net = nets.Net()
    x = net.tensor([1, 4], "x", data=np.zeros(4, "f4"))
    y = net.tensor([1, 4], "y", any_batch=False)
    net.add(nets.OPERATORS.LOGISTIC, [x], [y])
    deaf = net.save(tmp_path / "deaf.tflite", [], [y])
    for path, told in [(dumb, "has no outputs"), (deaf, "has no inputs")]:
        for arguments in (
            ["compare", path, path],
            ["predict", path, f"--output={tmp_path / 'out.npy'}"],
        ):
            assert main([*map(str, arguments), f"--data={data}"]) == 2
            assert f"{told}; give another model" in capsys.readouterr().err
        assert main(["benchmark", str(path), "--runs=2"]) == 0


def test_several_inputs_come_from_one_file(tmp_path, rng):
    net = nets.Net()
    a, b = net.tensor([1, 3], "a"), net.tensor([1, 3], "b")
    total, product = net.tensor([1, 3], "sum"), net.tensor([1, 3], "product")
    net.add(nets.OPERATORS.ADD, [a, b], [total], nets.schema.AddOptionsT())
    net.add(nets.OPERATORS.MUL, [a, b], [product], nets.schema.MulOptionsT())
    path = net.save(tmp_path / "m.tflite", [a, b], [total, product])
    x, y = rng.normal(size=(2, 7, 3)).astype(np.float32)
    np.savez(tmp_path / "data.npz", a=x, b=y)
    options = [f"--data={tmp_path / 'data.npz'}", f"--output={tmp_path / 'all.npz'}"]
    assert main(["predict", str(path), *options]) == 0
    with np.load(tmp_path / "all.npz") as found:
        assert set(found.files) == {"sum", "product"}
        np.testing.assert_array_equal(found["sum"], x + y)
        np.testing.assert_array_equal(found["product"], x * y)


def test_labels_are_read_from_the_metadata(tmp_path):
    """They lie in an archive behind the model, as TFLite Support appends it."""
    content = metadata("a classifier", [127.5], [128.0], labels="labels.txt")
    notes = [("TFLITE_METADATA", content), ("min_runtime_version", b"2.5.0\0\0")]
    path = nets.of_bytes(tmp_path / "m.tflite", 1 / 128, 128, notes=notes)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "ant\nbee\ncat\ndog\n")
    found = inspect(path)
    assert found["metadata"]["texts"] == {"name": "a classifier", "author": "somebody"}
    (scores,) = found["metadata"]["outputs"]
    assert scores["labels"] == ("ant", "bee", "cat", "dog")
    (image,) = found["metadata"]["inputs"]
    assert (image["mean"], image["std"]) == ((127.5,), (128.0,))
    assert found["metadata"]["files"] == ("labels.txt",)
    assert found["runtime"] == "2.5.0"
    assert found["problems"] == []
