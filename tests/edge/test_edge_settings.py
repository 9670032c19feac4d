"""Signatures, subgraphs, kernels, delegates: which part of a file runs, and how."""

import json

import nets
import numpy as np
import pytest

from kdfunc.edge import Model, Settings, compare, inspect, predict
from kdfunc.edge.main import main
from kdfunc.edge.timing import benchmark
from kdfunc.errors import InputError


@pytest.fixture
def signatures(tmp_path):
    return nets.two_signatures(tmp_path / "two.tflite")


def text(capsys):
    return " ".join(capsys.readouterr().out.split())


# Signatures and subgraphs


def test_inspect_shows_signatures_and_subgraphs(signatures, capsys):
    found = inspect(signatures)
    told = [
        (s["key"], s["subgraph"], s["inputs"][0]["name"], s["inputs"][0]["shape"])
        for s in found["signatures"]
    ]
    assert told == [("add", 0, "x", [1, 4]), ("multiply", 1, "x", [1, 5])]
    assert [s["operators"] for s in found["subgraphs"]] == [{"ADD": 1}, {"MUL": 1}]
    assert main(["inspect", str(signatures)]) == 0
    shown = text(capsys)
    for line in ("signature add (subgraph 0)", "signature multiply (subgraph 1)"):
        assert line in shown
    assert "operators of 2 subgraphs" in shown and "MUL 1 1" in shown


def test_a_signature_is_chosen(signatures, tmp_path, rng, capsys):
    four, five = (rng.normal(size=(6, n)).astype(np.float32) for n in (4, 5))
    np.testing.assert_array_equal(predict(signatures, four), four + 2)
    chosen = Settings(signature="multiply")
    np.testing.assert_array_equal(predict(signatures, five, chosen), five * 2)
    np.save(tmp_path / "five.npy", five)
    data = f"--data={tmp_path / 'five.npy'}"
    output = tmp_path / "all.npz"
    run = ["predict", str(signatures), data, f"--output={output}"]
    assert main([*run, "--signature=multiply"]) == 0
    np.testing.assert_array_equal(np.load(output)["y"], five * 2)
    assert main([*run, "--signature=divide"]) == 2
    assert "add, multiply" in capsys.readouterr().err
    timed = ["benchmark", str(signatures), "--runs=2", "--signature=multiply"]
    assert main(timed) == 0
    capsys.readouterr()
    same = ["compare", str(signatures), str(signatures), data, "--json"]
    assert main([*same, "--signature=multiply", "--resamples=5"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["outputs"][0]["measures"]["identical"]["value"] == 1


def test_an_unchosen_signature_is_noted(signatures, rng):
    model = Model(signatures)
    model.predict(rng.normal(size=(1, 4)).astype(np.float32))
    (note,) = model.told()["notes"]
    assert "has the signatures add, multiply, but its first subgraph was run" in note
    assert "choose with --signature" in note


# What inspect tells


def test_scales_by_channel_or_by_tensor(tmp_path):
    net = nets.Net()
    kinds = {"kind": nets.TYPES.INT8, "any_batch": False}
    x = net.tensor([1, 2, 2, 1], "x", scale=0.1, **kinds)
    y = net.tensor([1, 2, 2, 2], "y", scale=0.1, **kinds)
    weights = np.array([1, 2], "i1").reshape(2, 1, 1, 1)
    w = net.tensor([2, 1, 1, 1], "w", data=weights, scale=[0.1, 0.2], **kinds)
    b = net.tensor([2], "b", data=np.zeros(2, "i4"), kind=nets.TYPES.INT32)
    options = nets.schema.Conv2DOptionsT()
    options.strideW = options.strideH = 1
    net.add(nets.OPERATORS.CONV_2D, [x, w, b], [y], options)
    path = net.save(tmp_path / "c.tflite", [x], [y])
    found = inspect(path)
    assert [layer["scales"] for layer in found["layers"]] == ["per channel"]
    assert found["inputs"][0]["scales"] == "per tensor"


def test_a_file_that_other_tools_read_is_not_damaged(tmp_path, capsys):
    """A bias with scales along dimension 3, as TFLite's converter of 2019 wrote it."""
    net = nets.Net()
    kinds = {"kind": nets.TYPES.INT8, "any_batch": False}
    x = net.tensor([1, 2, 2, 1], "x", scale=0.01, **kinds)
    y = net.tensor([1, 2, 2, 2], "y", scale=0.01, **kinds)
    weights = np.array([1, 2], "i1").reshape(2, 1, 1, 1)
    w = net.tensor([2, 1, 1, 1], "w", data=weights, scale=[0.1, 0.2], **kinds)
    kinds["kind"] = nets.TYPES.INT32
    b = net.tensor([2], "bias", data=np.zeros(2, "i4"), scale=[1, 2], axis=3, **kinds)
    options = nets.schema.Conv2DOptionsT()
    options.strideW = options.strideH = 1
    net.add(nets.OPERATORS.CONV_2D, [x, w, b], [y], options)
    path = str(net.save(tmp_path / "old.tflite", [x], [y]))
    assert main(["inspect", path]) == 0
    shown = text(capsys)
    assert "tensor 'bias' has 2 scales for dimension 3 of [2]." in shown
    assert "CONV_2D" in shown and "damaged" not in shown
    assert main(["benchmark", path]) == 2
    told = capsys.readouterr().err
    assert "quantized_dimension must be in range [0, 1). Was 3" in told
    assert "damaged" not in told and told.count("\n") == 1


def test_a_file_without_buffers_is_shown(tmp_path):
    """Where nothing is constant, some writers leave the list out."""
    net = nets.Net()
    x, y = net.tensor([1, 4], any_batch=False), net.tensor([1, 4], any_batch=False)
    net.custom("fake-op", [x], [y], b"1")
    net.model.buffers = None
    path = net.save(tmp_path / "n.tflite", [x], [y])
    found = inspect(path)
    assert found["operators"] == {"fake-op": 1}
    assert found["tensors"]["float32"]["computed"] == 2


def test_operators_that_nobody_here_knows_are_shown(tmp_path, capsys):
    """One of the maker's own, and a number beyond those of the schema."""
    net = nets.Net()
    x, y, z = (net.tensor([1, 4], name, any_batch=False) for name in "xyz")
    net.custom("my-op", [x], [y], bytes(5000))
    newest = max(v for v in vars(nets.OPERATORS).values() if isinstance(v, int))
    net.add(newest + 7, [y], [z])
    path = str(net.save(tmp_path / "c.tflite", [x], [z]))
    found = inspect(path)
    assert found["custom"] == [{"name": "my-op", "count": 1, "bytes": 5000}]
    assert found["operators"].keys() >= {"my-op"}
    assert any(str(newest + 7) in name for name in found["operators"])
    assert found["problems"] and str(newest + 7) in found["problems"][0]
    assert main(["inspect", path]) == 0
    assert "custom operators, which not every interpreter supports" in text(capsys)
    assert main(["benchmark", path]) == 2
    assert "Traceback" not in capsys.readouterr().err


# Values


def test_values_are_checked_in_python_too(tmp_path):
    for values in ({"batch_size": 0}, {"threads": 0}, {"threads": 5000}):
        with pytest.raises(InputError, match=f"{[*values][0]}: got .*; give a whole"):
            Settings(**values)
    with pytest.raises(InputError, match="seconds: got 0; give"):
        Settings(seconds=0)
    path = nets.softmax(tmp_path / "m.tflite", [1, 4])
    with pytest.raises(InputError, match="runs, warm_up: got 0 and 10; give at least"):
        benchmark(path, runs=0)
    with pytest.raises(InputError, match="batch_size: got 0"):
        benchmark(path, batch_sizes=[1, 0])
    with pytest.raises(InputError, match=r"independents: .*give a list, such as \['b"):
        compare(path, path, tmp_path / "x.npy", independents="b.tflite")


def test_an_open_quotation_is_no_missed_limit(tmp_path, capsys):
    path = str(nets.softmax(tmp_path / "m.tflite", [1, 4]))
    options = "--candidate-options=delegate=o'brien/gpu.so"
    assert main(["compare", path, path, "--data=x.npy", options]) == 2
    assert "(No closing quotation); close every" in capsys.readouterr().err


# Kernels and delegates


def test_the_same_file_with_other_settings(tmp_path, rng, capsys):
    net = nets.classifier(tmp_path / "m.tflite", rng)
    np.save(tmp_path / "x.npy", rng.random((20, 12, 12, 3)).astype(np.float32))
    arguments = ["compare", str(net), str(net), f"--data={tmp_path / 'x.npy'}"]
    arguments += ["--json", "--resamples=5", "--reference-options=threads=2"]
    assert main([*arguments, "--candidate-options=kernels=reference batch-size=7"]) == 0
    found = json.loads(capsys.readouterr().out)
    runs = [model["run"] for model in found["models"]]
    assert [run["kernels"] for run in runs] == ["xnnpack", "reference"]
    assert [run["threads"] for run in runs] == [2, 1]
    assert runs[0]["delegates"] == [{"name": "XNNPACK", "operators": 6}]
    assert runs[1]["delegates"] == []
    (output,) = found["outputs"]
    assert output["measures"]["agreement"]["value"] == 1
    # Other kernels add up in another order: the last digits differ, and no more.
    assert output["measures"]["total_variation"]["value"] < 1e-5


@pytest.mark.parametrize(
    ("kernels", "how"),
    [
        ("xnnpack", "XNNPACK for 6 of 6 operators, 1 thread"),
        ("builtin", "optimized kernels without XNNPACK, 1 thread"),
        ("reference", "reference kernels, 1 thread"),
    ],
)
def test_benchmark_tells_what_ran(tmp_path, rng, capsys, kernels, how):
    path = nets.classifier(tmp_path / "m.tflite", rng)
    arguments = ["benchmark", str(path), f"--kernels={kernels}", "--runs=2"]
    assert main([*arguments, "--warm-up=1"]) == 0
    assert capsys.readouterr().out.rstrip().split("\n")[-1] == how


def test_of_other_subgraphs_it_is_not_told_what_ran(signatures):
    settings = Settings(signature="multiply")
    (found,) = benchmark(signatures, runs=2, warm_up=1, settings=settings)
    assert found["delegates"] is None
    assert "perhaps XNNPACK's (this interpreter does not tell)" in found["how"]


def test_a_delegate_is_named_or_told_that_it_cannot_be_loaded(tmp_path, rng, capsys):
    path = nets.softmax(tmp_path / "m.tflite", [1, 4])
    with pytest.raises(InputError, match="delegate: /nowhere/libgpu.so cannot be load"):
        Model(path, Settings(delegate="/nowhere/libgpu.so"))
    assert main(["benchmark", str(path), "--delegate=/nowhere/libgpu.so"]) == 2
    assert "give the library of an external delegate" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["benchmark", "--help"])
    assert "have not been tested" in text(capsys)
    for settings, told in [
        ({"delegate": "a.so", "kernels": "reference"}, "cannot be combined"),
        ({"delegate_options": (("a", "b"),)}, "need a delegate"),
        ({"kernels": "gpu"}, "allowed: xnnpack, builtin, reference"),
        ({"range": (1.0, 1.0)}, "give what bytes 0 and 255 stand for"),
        ({"range": (0.0, 1.0), "std": (2.0,)}, "cannot be combined with mean or std"),
        ({"std": (0.0,)}, "give numbers other than 0"),
    ]:
        with pytest.raises(InputError, match=told):
            Settings(**settings)
