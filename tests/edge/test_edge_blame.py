"""Layers restored one at a time, held against models built that way for real."""

import contextlib
import io
import json
import os
import re
import sys
import zipfile

import nets
import numpy as np
import pytest

from kdfunc.edge import blame, costly_layers, predict, restoring
from kdfunc.edge.blame import least, node_data
from kdfunc.edge.graphs import Graph, common_layers
from kdfunc.edge.isolation import Isolated
from kdfunc.edge.main import main
from kdfunc.edge.surgery import restored
from kdfunc.errors import InputError
from kdfunc.similarity import measure

MODES = ["dynamic_wi8_afp32", "dynamic_wi4_afp32", "weight_only_wi8_afp32"]
MODES += ["static_wi8_ai8"]


def quantized(float32, mode, without=None, examples=()):
    """The file in a mode of ai-edge-quantizer, perhaps without a layer.

    The layer is told by its output; examples are for modes that calibrate.
    """
    from ai_edge_quantizer import quantizer, recipe

    name = f"{float32.stem}-{mode}-{without}".replace("/", "_").replace(";", "_")
    path = float32.with_name(f"{name[:100]}.tflite")
    if not path.exists():
        tool = quantizer.Quantizer(str(float32), getattr(recipe, mode)())
        with contextlib.redirect_stdout(io.StringIO()):
            if without:
                tool.update_quantization_recipe(
                    re.escape(without) + ".*", "*", algorithm_key="no_quantize"
                )
            seen = None
            if mode.startswith("static"):
                seen = tool.calibrate({"serving_default": examples})
            path.write_bytes(bytes(tool.quantize(seen).quantized_model))
    return path


class Tiny:
    """A float32 model of random weights, images, and the model in integers."""

    def __init__(self, folder):
        rng = np.random.default_rng(3)
        self.float32 = nets.classifier(folder / "float32.tflite", rng)
        self.other = nets.classifier(folder / "other.tflite", rng)
        self.images = rng.random((120, 12, 12, 3)).astype(np.float32)
        self.data = folder / "images.npy"
        np.save(self.data, self.images)

    def quantized(self, mode, without=None):
        examples = [{"image": image[None]} for image in self.images[:10]]
        return quantized(self.float32, mode, without, examples)


@pytest.fixture(scope="module")
def float32(tensorflow, tmp_path_factory):
    """LeNet and MobileNet as built: path and images by name."""
    from kdfunc import models, quantization

    folder, rng, found = (
        tmp_path_factory.mktemp("networks"),
        np.random.default_rng(5),
        {},
    )
    for name, shape in (("lenet", (28, 28, 1)), ("mobilenet", (32, 32, 3))):
        path = folder / f"{name}.tflite"
        model = models.build(name, shape, 10, seed=0)
        path.write_bytes(quantization.convert(model, "float32"))
        found[name] = path, rng.random((8, *shape)).astype(np.float32)
    return found


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return Tiny(tmp_path_factory.mktemp("tiny"))


@pytest.mark.parametrize("mode", MODES)
def test_restored_layers_are_those_that_were_never_quantized(tiny, mode):
    """To the last bit, and within 48 bytes of the file's size."""
    reference, candidate = Graph(tiny.float32), Graph(tiny.quantized(mode))
    before = predict(candidate.content, tiny.images)
    layers = common_layers(candidate, reference)
    names = ["conv/w", "depth/w", "dense/w", "out/w"]
    if "wi4" in mode:
        names.remove("depth/w")  # which ai-edge-quantizer leaves in float32
    assert [layer.name for layer in layers] == names
    for layer in layers:
        mixed = restored(candidate, reference, [layer])
        real = tiny.quantized(mode, layer.output)
        found = predict(mixed, tiny.images)
        np.testing.assert_array_equal(found, predict(real, tiny.images))
        assert not np.array_equal(found, before)
        assert abs(len(mixed) - real.stat().st_size) <= 48


@pytest.mark.parametrize("mode", MODES[:2])
@pytest.mark.parametrize("architecture", ["lenet", "mobilenet"])
def test_layers_of_the_papers_networks(float32, tiny, architecture, mode):
    """The first, the middle and the last, against files quantized without them."""
    path, images = float32[architecture]
    reference, candidate = Graph(path), Graph(quantized(path, mode))
    layers = common_layers(candidate, reference)
    assert (
        len(layers)
        == {"lenet": 4, "mobilenet": 16 if "wi4" in mode else 29}[architecture]
    )
    for layer in (layers[0], layers[len(layers) // 2], layers[-1]):
        mixed = restored(candidate, reference, [layer])
        real = quantized(path, mode, layer.output)
        np.testing.assert_array_equal(predict(mixed, images), predict(real, images))
        size = real.stat().st_size
        assert len(mixed) == pytest.approx(size, rel=0.002)


@pytest.mark.parametrize("mode", MODES[:2])
def test_what_is_told_of_a_trained_lenet(lenet, mode):
    """Each layer gives back what a file gives back that was quantized without it."""
    candidate = quantized(lenet.float32, mode)
    found = costly_layers(lenet.float32, candidate, lenet.data, resamples=5)
    p, q = (predict(path, lenet.images) for path in (lenet.float32, candidate))
    lost = measure("jensen_shannon", p, q)
    assert found["divergence"] == pytest.approx(lost) and lost > 0
    assert len(found["layers"]) == 4
    graphs = Graph(candidate), Graph(lenet.float32)
    layers = {layer.output: layer for layer in common_layers(*graphs)}
    for entry in found["layers"]:
        real = predict(quantized(lenet.float32, mode, entry["output"]), lenet.images)
        ours = restored(*graphs, [layers[entry["output"]]])
        np.testing.assert_array_equal(predict(ours, lenet.images), real)
        back = 100 * (1 - measure("jensen_shannon", p, real) / lost)
        assert entry["function_percent"]["value"] == pytest.approx(back, abs=1e-6)
        flips = [(p.argmax(1) != x.argmax(1)).mean() for x in (q, real)]
        points = entry["agreement_points"]["value"]
        assert points == pytest.approx(100 * (flips[0] - flips[1]))
    assert found["all"]["function_percent"]["value"] == pytest.approx(100)
    assert found["agreement"] == (p.argmax(1) == q.argmax(1)).mean()
    most = found["layers"][0]["function_percent"]["value"]
    told = " ".join(str(found).split())
    assert f"the reference's class in {100 * found['agreement']:.2f} % of" in told
    assert f"helps most: it removes {most:.1f} % of this divergence (" in told
    assert "more than the reference's" not in told


def test_with_every_layer_restored_it_is_the_reference(tiny):
    reference = Graph(tiny.float32)
    expected = predict(tiny.float32, tiny.images)
    for mode in MODES[:3]:
        candidate = Graph(tiny.quantized(mode))
        whole = restored(candidate, reference, common_layers(candidate, reference))
        np.testing.assert_array_equal(predict(whole, tiny.images), expected)


def test_weights_behind_the_flatbuffer_are_taken_in(tiny, tmp_path):
    """As ai-edge-quantizer keeps those of larger files."""
    graph = Graph(tiny.float32)
    content, places = b"", []
    for buffer in graph.model.buffers:
        if buffer.data is not None and len(buffer.data) > 64:
            places.append((buffer, len(content), len(buffer.data)))
            content += bytes(buffer.data)
            buffer.data, buffer.offset, buffer.size = None, 1 << 30, places[-1][2]
    behind = len(nets.packed(graph.model))
    for buffer, start, size in places:
        buffer.offset, buffer.size = behind + start, size
    path = tmp_path / "behind.tflite"
    path.write_bytes(nets.packed(graph.model) + content)
    expected = predict(tiny.float32, tiny.images)
    np.testing.assert_array_equal(predict(path, tiny.images), expected)
    whole = restored(Graph(path), Graph(tiny.float32), [])
    np.testing.assert_array_equal(predict(whole, tiny.images), expected)


def test_files_behind_the_model_are_kept(tiny, tmp_path):
    """Such as labels, which TFLite Support appends as an archive."""
    path = tmp_path / "labelled.tflite"
    path.write_bytes(tiny.quantized("dynamic_wi8_afp32").read_bytes())
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("labels.txt", "ant\nbee\n")
    candidate, reference = Graph(path), Graph(tiny.float32)
    mixed = restored(candidate, reference, common_layers(candidate, reference)[:1])
    with zipfile.ZipFile(io.BytesIO(mixed)) as archive:
        assert archive.read("labels.txt") == b"ant\nbee\n"
    assert len(predict(mixed, tiny.images)) == len(tiny.images)


@pytest.mark.parametrize("here", [[], [-1]])
def test_a_bias_that_only_one_file_has(tmp_path, rng, here):
    """Other converters leave out a bias, or fold it elsewhere."""
    w, b = rng.normal(size=(6, 8)).astype("f4"), rng.normal(size=6).astype("f4")
    scale = np.abs(w).max() / 127

    def dense(name, biased, quantized):
        net, integers = nets.Net(), np.rint(w / scale).astype("i1")
        x, z = net.tensor([1, 8]), net.tensor([1, 6], "z")
        if quantized:
            kind = nets.TYPES.INT8
            weights = net.tensor([6, 8], "w", data=integers, kind=kind, scale=scale)
        else:
            weights = net.tensor([6, 8], "w", data=w)
        bias = [net.tensor([6], "b", data=b)] if biased else here
        options = nets.schema.FullyConnectedOptionsT()
        inputs = [x, weights, *bias]
        net.add(nets.OPERATORS.FULLY_CONNECTED, inputs, [z], options)
        return net.save(tmp_path / name, [x], [z])

    x = rng.normal(size=(5, 8)).astype("f4")
    for biased in (True, False):
        reference = Graph(dense("reference.tflite", biased, quantized=False))
        candidate = Graph(dense("candidate.tflite", not biased, quantized=True))
        layers = common_layers(candidate, reference)
        found = predict(restored(candidate, reference, layers), x)
        np.testing.assert_array_equal(found, predict(reference.content, x))


def test_converters_files_can_be_restored(lenet):
    """Files of TensorFlow's converter, in every form that a reference can restore."""
    reference, images = Graph(lenet.float32), lenet.images[:60]
    expected = predict(lenet.float32, images)
    for mode in ("dynamic", "float16", "full_float", "full", "int16x8", "int4"):
        candidate = Graph(getattr(lenet, mode))
        layers = common_layers(candidate, reference)
        assert [layer.shape for layer in layers][-1] == (10, 128), mode
        before = np.abs(predict(candidate.content, images) - expected).max()
        whole = predict(restored(candidate, reference, layers), images)
        after = np.abs(whole - expected).max()
        exact = mode in ("dynamic", "float16", "int4")
        # Activations of the others stay in 8 or 16 bits.
        assert after < 1e-6 if exact else after <= max(before, 0.03), mode


def test_a_file_that_would_outgrow_a_float16_reference_is_told_of(lenet):
    found = costly_layers(lenet.float16, lenet.dynamic, lenet.data, resamples=5)
    whole = found["candidate_bytes"] + found["all"]["bytes"]
    assert whole > found["reference_bytes"] == os.path.getsize(lenet.float16)
    told = " ".join(str(found).split())
    assert f"has {whole:,} bytes, more than the reference's" in told


def test_what_a_layer_gives_back(tiny):
    candidate = tiny.quantized("dynamic_wi4_afp32")
    found = costly_layers(
        tiny.float32, candidate, tiny.data, [tiny.other], resamples=60
    )
    p, q = (predict(path, tiny.images) for path in (tiny.float32, candidate))
    lost = measure("jensen_shannon", p, q)
    assert found["divergence"] == pytest.approx(lost)
    for entry in found["layers"]:
        real = tiny.quantized("dynamic_wi4_afp32", entry["output"])
        r = predict(real, tiny.images)
        percent = entry["function_percent"]
        expected = 100 * (1 - measure("jensen_shannon", p, r) / lost)
        assert percent["value"] == pytest.approx(expected, abs=1e-6)
        assert percent["low"] <= percent["value"] <= percent["high"]
        flips = [measure("disagreement", p, x) for x in (q, r)]
        points = entry["agreement_points"]["value"]
        assert points == pytest.approx(100 * (flips[0] - flips[1]))
        assert entry["preserved_points"]["value"] > 0
        assert entry["percent_per_kib"] == pytest.approx(
            1024 * expected / entry["bytes"]
        )
    values = [entry["function_percent"]["value"] for entry in found["layers"]]
    assert values == sorted(values, reverse=True)
    assert found["all"]["function_percent"]["value"] == pytest.approx(100)
    assert "take function away" not in str(found)
    for entry in found["layers"][:3]:  # as of weights that were trained on
        entry["function_percent"]["high"] = -1.0
    assert "most layers take function away" in str(found)
    lines = str(found).split("\n")
    assert max(map(len, lines[2:])) < 80  # the first two are paths
    json.dumps(found, allow_nan=False)


def test_what_too_few_images_leave_open_is_undecided(tiny, capsys):
    candidate = tiny.quantized("dynamic_wi4_afp32")
    arguments = ["blame", tiny.float32, candidate, f"--data={tiny.data}"]
    arguments += ["--limit=agreement>=99.9% at 95%", "--resamples=20"]
    assert main([str(argument) for argument in arguments]) == 3
    told = " ".join(capsys.readouterr().out.split())
    assert "with every layer restored, agreement>=99.9% at 95% is undecided" in told
    arguments[-2:] = ["--limit=agreement>=50%", "--resamples=20", "--json"]
    assert main([str(argument) for argument in arguments]) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "met"


def test_the_fewest_bytes_for_a_limit(tiny, tmp_path, capsys):
    candidate = tiny.quantized("dynamic_wi4_afp32")
    p, q = (predict(path, tiny.images) for path in (tiny.float32, candidate))
    bound = measure("jensen_shannon", p, q) / 4
    out, nodes = tmp_path / "mixed.tflite", tmp_path / "nodes.json"
    arguments = ["blame", tiny.float32, candidate, f"--data={tiny.data}", "--json"]
    arguments += [f"--output={out}", f"--node-data={nodes}", "--resamples=20"]
    arguments += [f"--limit=jensen_shannon[p]<={bound:.9f}"]
    assert main([str(argument) for argument in arguments]) == 0
    best = json.loads(capsys.readouterr().out)["best"]
    assert best["complete"]
    assert best["file_bytes"] == out.stat().st_size
    assert best["file_share"] == out.stat().st_size / tiny.float32.stat().st_size
    reached = measure("jensen_shannon", p, predict(out, tiny.images))
    assert reached <= bound
    # No set of fewer bytes does: each was written, and run.
    graphs = Graph(candidate), Graph(tiny.float32)
    layers = common_layers(*graphs)
    plain = len(restored(*graphs, []))
    for mask in range(8):
        some = [layer for i, layer in enumerate(layers) if mask >> i & 1]
        content = restored(*graphs, some)
        if len(content) - plain < best["bytes"]:
            assert measure("jensen_shannon", p, predict(content, tiny.images)) > bound
    written = json.loads(nodes.read_text("utf-8"))
    assert set(written["results"]) == {"c", "h", "z"}
    assert {stop["stop"] for stop in written["gradient"]} == {0, 1}


def test_layers_that_cost_no_bytes_come_first(tiny, monkeypatch):
    """Nothing is told of them per byte; the others follow by what they give for one."""
    cost = {"conv/w": -10, "dense/w": 1024, "out/w": 512}
    orders = []

    def size(self, chosen):
        return 2000 + sum(cost[layer.name] for layer in chosen)

    def keep(order, *functions):
        orders.append([layer.name for layer in order])
        return frozenset(layer for layer in order if cost[layer.name] < 0), False

    monkeypatch.setattr(restoring.Restorer, "size", size)
    monkeypatch.setattr(blame, "least", keep)
    given = tiny.float32, tiny.quantized("dynamic_wi4_afp32"), tiny.data
    found = costly_layers(*given, limit=["jensen_shannon<=0.5"], resamples=5)
    assert orders == [["conv/w", "dense/w", "out/w"]]
    entries = {entry["layer"]: entry for entry in found["layers"]}
    for name, share in [("dense/w", 1), ("out/w", 2)]:
        percent = entries[name]["function_percent"]["value"]
        assert entries[name]["percent_per_kib"] == pytest.approx(share * percent)
    assert entries["conv/w"]["function_percent"]["value"] > 0
    assert entries["conv/w"]["percent_per_kib"] is None
    (row,) = [line for line in str(found).split("\n") if line.startswith("  conv ")]
    assert row.split()[1:3] == ["-10", "-"]
    share = 100 * 1990 / tiny.float32.stat().st_size
    told = " ".join(str(found).split())
    assert "restore conv/w, which also saves 10 bytes" in told
    assert f"the file then has 1,990 bytes, {share:.1f} % of the reference's." in told
    assert "on 1 example with 95 %" in blame.as_text({**found, "examples": 1})


def test_no_file_is_timed(tiny, monkeypatch):
    called, call = set(), Isolated.call

    def watched(self, method, *arguments):
        called.add(method)
        return call(self, method, *arguments)

    monkeypatch.setattr(Isolated, "call", watched)
    given = tiny.float32, tiny.quantized("dynamic_wi8_afp32"), tiny.data
    costly_layers(*given, resamples=5)
    assert "run" in called and "seconds" not in called


def test_progress_on_a_terminal_names_the_layer(tiny, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    candidate = tiny.quantized("dynamic_wi8_afp32")
    costly_layers(tiny.float32, candidate, tiny.data, resamples=1)
    titles = re.findall(r"\r([^\r]*): \d+ of \d+ examples\n", capsys.readouterr().err)
    alone = [f"layer {place} of 4 restored" for place in (1, 2, 3, 4)]
    models = [path.name for path in (tiny.float32, candidate)]
    assert titles == [*models, *alone, "4 of 4 layers restored"]


def test_node_data_is_what_model_explorer_reads(tiny):
    """The keys of its GraphNodeData, as `ai-edge-model-explorer` 0.1.34 has them."""
    found = costly_layers(
        tiny.float32, tiny.quantized("dynamic_wi8_afp32"), tiny.data, resamples=5
    )
    data = node_data(found)
    assert data.keys() == {"results", "gradient"}
    for name, result in data["results"].items():
        assert isinstance(name, str) and result.keys() == {"value"}
    assert all(stop.keys() == {"stop", "bgColor"} for stop in data["gradient"])


@pytest.mark.parametrize(
    ("values", "stops"),
    [([1, 4], [0, 1]), ([-3, 1], [0, 0.75, 1]), ([-3, -1], [0, 1]), ([], [0, 1])],
)
def test_no_effect_is_white_in_model_explorer(values, stops):
    """Its gradient runs from the least value to the largest, wherever zero lies."""
    layers = [
        {"output": str(i), "function_percent": {"value": value}}
        for i, value in enumerate(values)
    ]
    gradient = node_data({"layers": layers})["gradient"]
    assert [stop["stop"] for stop in gradient] == stops
    assert sum(stop["bgColor"] == "#ffffff" for stop in gradient) == 1


def test_many_layers_are_added_and_left_out_again():
    """A search that cannot try all sets ends with one from which none can be spared."""
    order = [f"layer {i}" for i in range(10)]
    costs = dict(zip(order, [5, 1, 9, 2, 2, 7, 1, 3, 8, 4], strict=True))
    needed = {"layer 1", "layer 5"}

    def cost(chosen):
        return sum(costs[layer] for layer in chosen)

    chosen, complete = least(order, cost, lambda chosen: needed <= chosen)
    assert chosen == needed and not complete
    assert least(order, cost, lambda chosen: False) == (None, False)
    assert least(order, cost, lambda chosen: True) == (frozenset(), False)
    assert least(order[:3], cost, lambda chosen: "layer 2" in chosen) == (
        frozenset({"layer 2"}),
        True,
    )


def test_no_set_of_layers_is_enough(tiny, capsys):
    arguments = ["blame", tiny.float32, tiny.quantized("static_wi8_ai8")]
    arguments += [f"--data={tiny.data}", "--resamples=5"]
    arguments += ["--limit=jensen_shannon<=0.00000001"]
    assert main([str(argument) for argument in arguments]) == 1
    told = " ".join(capsys.readouterr().out.split())
    assert "even with every layer restored" in told
    assert "the rest is lost elsewhere" in told


def test_bad_arguments_are_told_before_a_model_is_run(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(restoring, "outputs_of", None)
    given = tiny.float32, tiny.quantized("dynamic_wi8_afp32"), tiny.data
    for options, told in [
        ({"output": tmp_path / "mixed.tflite"}, "give a --limit, too"),
        ({"limit": ["agreement"]}, "'agreement' is not a limit"),
        ({"limit": ["accuracy>=90%"]}, "accuracy needs true classes"),
        ({"outputs": "classes"}, "choose from auto, prob"),
        ({"independents": "other.tflite"}, r"give a list, such as \['other"),
    ]:
        with pytest.raises(InputError) as error:
            costly_layers(*given, **options)
        assert re.search(told, error.value.with_flags)
        assert not (tmp_path / "mixed.tflite").exists()


def test_layers_that_keep_their_state_in_integers_are_left_out(tiny, tmp_path):
    """The others are restored all the same."""
    graph = Graph(tiny.quantized("static_wi8_ai8"))
    last = [layer for layer in graph.main.operators if graph.main.weights(layer)][-1]
    graph.graph.tensors[last.inputs[0]].isVariable = True
    path = tmp_path / "state.tflite"
    path.write_bytes(nets.packed(graph.model))
    found = costly_layers(tiny.float32, path, tiny.data, resamples=5)
    assert {entry["layer"] for entry in found["layers"]} == {
        "conv/w",
        "depth/w",
        "dense/w",
    }
    assert found["left_out"] == ["out/w"]
    assert "not restored, since their state is stored as integers: out/w." in str(found)


def test_weights_that_unpack_each_other_do_not_take_forever(tmp_path):
    net = nets.Net()
    a, b, c = (net.tensor([1, 4], name) for name in "abc")
    net.add(nets.OPERATORS.DEQUANTIZE, [a], [b])
    net.add(nets.OPERATORS.DEQUANTIZE, [b], [a])
    net.add(nets.OPERATORS.LOGISTIC, [a], [c])
    graph = Graph(net.save(tmp_path / "circle.tflite", [c], [c]))
    assert graph.main.weights(graph.main.operators[-1]) == []


def test_what_cannot_be_restored_is_told(tiny, tmp_path, rng):
    integer = tiny.quantized("dynamic_wi8_afp32")
    numbers = nets.negative(tmp_path / "numbers.tflite", [1, 4])
    for reference, candidate, told in [
        (integer, tiny.quantized("dynamic_wi4_afp32"), "float32 or float16"),
        (tiny.float32, tiny.float32, "nothing to restore"),
        (tiny.float32, numbers, "numbers.tflite has no layers with weights, so"),
        (tmp_path / "base.keras", integer, "not a .tflite file"),
    ]:
        with pytest.raises(InputError, match=told):
            costly_layers(reference, candidate, tiny.data, resamples=5)
