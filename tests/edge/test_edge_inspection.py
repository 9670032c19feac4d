import gzip
import json
import re

import numpy as np
import pytest

from kdfunc.edge import inspect, predict
from kdfunc.edge.inspection_text import as_text
from kdfunc.edge.names import BITS, TREATED, TYPES, operator_name, type_name
from kdfunc.edge.reading import read
from kdfunc.errors import InputError

MODES = ["float32", "float16", "dynamic", "full", "full_float", "int16x8"]
MODES += ["int4", "sparse"]
TENSOR = re.compile(
    r"  T#\d+\((?P<name>.*)\) shape(?:_signature)?:\[(?P<shape>.*?)\], "
    r"type:(?P<type>\w+)(?: RO (?P<bytes>\d+) bytes)?"
)


@pytest.fixture
def schema():
    return pytest.importorskip("ai_edge_litert.schema_py_generated")


@pytest.fixture
def edit(schema, lenet):
    """A function: a form of LeNet after a change of its tensors and buffers."""

    def edited(mode, change):
        import flatbuffers

        model = schema.ModelT.InitFromPackedBuf(getattr(lenet, mode).read_bytes())
        change(model)
        builder = flatbuffers.Builder()
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())

    return edited


def weights_of(model, name):
    (found,) = (t for t in model.subgraphs[0].tensors if t.name == name.encode())
    return found, model.buffers[found.buffer]


def test_names_stand_at_the_numbers_of_the_schema(schema):
    def numbers(kind):
        return {k: v for k, v in vars(kind).items() if not k.startswith("_")}

    operators = numbers(schema.BuiltinOperator)
    assert {name: operator_name(i) for name, i in operators.items()} == {
        name: name for name in operators
    }
    assert all(operators[name] == i for i, name in TREATED.items())
    types = {name.lower(): i for name, i in numbers(schema.TensorType).items()}
    assert types == {name: i for i, name in enumerate(TYPES)}
    assert operator_name(9999) == "unknown operator 9999"
    assert type_name(99) == "unknown type 99"
    for name, bits in BITS.items():
        dtype = getattr(np, name, None) if name != "bool" else None
        assert dtype is None or np.dtype(dtype).itemsize * 8 == bits


@pytest.mark.parametrize("mode", MODES)
def test_operators_and_tensors_are_those_of_the_analyzer(
    tensorflow, lenet, capfd, mode
):
    path = getattr(lenet, mode)
    tensorflow.lite.experimental.Analyzer.analyze(model_path=str(path))
    told = capfd.readouterr().out
    (graph,) = read(path).subgraphs
    assert [op.name for op in graph.operators] == re.findall(r"Op#\d+ (\w+)\(", told)
    tensors = [
        match.groupdict() for match in map(TENSOR.match, told.split("\n")) if match
    ]
    assert len(tensors) == len(graph.tensors)
    for found, expected in zip(graph.tensors, tensors, strict=True):
        assert found.name == expected["name"]
        assert found.type == expected["type"].lower()
        assert list(found.signature) == json.loads(f"[{expected['shape']}]")
        assert found.data.size == int(expected["bytes"] or 0)  # without indices


@pytest.mark.parametrize("mode", MODES)
def test_inputs_and_outputs_are_those_of_the_interpreter(described, lenet, mode):
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(getattr(lenet, mode)))
    for found, expected in (
        (described[mode]["inputs"], interpreter.get_input_details()),
        (described[mode]["outputs"], interpreter.get_output_details()),
    ):
        assert found[0]["name"] == expected[0]["name"]
        assert found[0]["shape"] == expected[0]["shape_signature"].tolist()
        assert found[0]["type"] == np.dtype(expected[0]["dtype"]).name
        scale, zero_point = expected[0]["quantization"]
        assert (found[0]["scale"] or 0) == scale
        assert (found[0]["zero_point"] or 0) == zero_point


def test_quantization_is_told(described):
    assert {
        mode: found["quantization"]["name"] for mode, found in described.items()
    } == {
        "float32": "float32",
        "float16": "float16",
        "dynamic": "dynamic range",
        "full": "full integer",
        "full_float": "full integer",
        "int16x8": "int16x8",
        "int4": "int4",
        "sparse": "dynamic range",
    }
    assert described["int16x8"]["quantization"]["types"] == [
        {"weights": "int8", "activations": "int16", "layers": 4}
    ]
    types = described["dynamic"]["quantization"]["types"]
    assert {t["weights"] for t in types} == {"int8", "float32"}  # small ones are left


def test_sizes(described, lenet):
    content = lenet.float16.read_bytes()
    found = described["float16"]
    assert found["bytes"] == len(content)
    assert found["gzip_bytes"] == pytest.approx(len(gzip.compress(content)), abs=16)
    assert sum(layer["bytes"] for layer in found["layers"]) < len(content)
    halved = [layer["bytes"] for layer in described["float32"]["layers"]]
    assert [2 * layer["bytes"] for layer in found["layers"]] == halved


def test_layers_are_the_weights_of_the_network(described, lenet, tensorflow):
    from kdfunc import models

    kernels = [w for w in models.load(lenet.keras).get_weights() if w.ndim > 1]
    for found in described.values():
        layers = found["layers"]
        assert [x["operator"] for x in layers] == ["CONV_2D"] * 2 + [
            "FULLY_CONNECTED"
        ] * 2
        for layer, kernel in zip(layers, kernels, strict=True):
            assert sorted(layer["shape"]) == sorted(np.moveaxis(kernel, -1, 0).shape)


def test_zeros_are_counted(edit, described):
    name = described["float32"]["layers"][2]["name"]

    def prune(model):
        _, buffer = weights_of(model, name)
        values = np.array(buffer.data, np.uint8).view("<f4")
        values[: len(values) // 4] = 0
        values[-1] = -0.0
        buffer.data = values.view(np.uint8)

    layer = inspect(edit("float32", prune))["layers"][2]
    count = np.prod(layer["shape"])
    assert layer["zero_share"] == pytest.approx((count // 4 + 1) / count)


@pytest.mark.parametrize(("type_", "bits"), [("INT4", 4), ("INT2", 2)])
def test_packed_weights(edit, schema, described, type_, bits):
    layer = described["dynamic"]["layers"][2]

    def pack(model):
        tensor, buffer = weights_of(model, layer["name"])
        assert tensor.type == schema.TensorType.INT8
        tensor.type = getattr(schema.TensorType, type_)
        data = np.zeros(len(buffer.data) * bits // 8, np.uint8)
        data[: len(data) // 2] = 1  # the first of each byte is 1, the others 0
        data[-1] = 0x80  # the last is the most negative
        buffer.data = data

    content = edit("dynamic", pack)
    found = inspect(content)
    assert found["quantization"]["name"] == type_.lower()
    packed = found["layers"][2]
    count = np.prod(packed["shape"])
    assert packed["bytes"] == count * bits // 8
    ones = count * bits // 8 // 2 + 1
    assert packed["zero_share"] == pytest.approx(1 - ones / count)
    (tensor,) = (
        t for t in read(content).subgraphs[0].tensors if t.name == layer["name"]
    )
    values = tensor.values
    assert (values[0], values[1], values[-1]) == (1, 0, -(1 << (bits - 1)))


def test_sparse_weights(tensorflow, lenet, convert):
    from kdfunc import models, pruning

    model = pruning.prune(models.load(lenet.keras), 0.9, "kernels")
    converter = tensorflow.lite.TFLiteConverter.from_keras_model(model)
    converter.optimizations = [tensorflow.lite.Optimize.EXPERIMENTAL_SPARSITY]
    content, dense = converter.convert(), convert(model, "float32")
    found, expected = inspect(content), inspect(dense)
    assert found["operators"].pop("DENSIFY") >= 1
    assert found["operators"] == expected["operators"]
    assert [layer["zero_share"] for layer in found["layers"]] == pytest.approx(
        [layer["zero_share"] for layer in expected["layers"]]
    )
    stored = sum(entry["constant_bytes"] for entry in found["tensors"].values())
    assert len(content) / 2 < stored < len(content) < len(dense) / 2
    images = lenet.images[:20]
    assert predict(content, images) == pytest.approx(predict(dense, images), abs=1e-6)


def test_sparse_weights_that_leave_out_what_is_no_zero_are_told(edit):
    def shift(model):
        for tensor in model.subgraphs[0].tensors:
            if tensor.sparsity and tensor.quantization.zeroPoint is not None:
                tensor.quantization.zeroPoint = tensor.quantization.zeroPoint + 1

    assert inspect(edit("sparse", lambda model: None))
    found = inspect(edit("sparse", shift))
    assert any("omits zeros that are no" in told for told in found["problems"])
    assert None in [layer["zero_share"] for layer in found["layers"]]


def test_buffers_after_the_flatbuffer(edit, described, lenet):
    """As in files of more than 2 GB."""
    name = described["float32"]["layers"][2]["name"]
    outside = []

    def move(model):
        _, buffer = weights_of(model, name)
        outside[:] = [bytes(np.array(buffer.data, np.uint8))]
        buffer.data, buffer.size = None, len(outside[0])
        buffer.offset = move.offset

    move.offset = 1 << 40
    with pytest.raises(InputError, match="outside the file"):
        inspect(edit("float32", move))
    move.offset = -(-len(edit("float32", move)) // 16) * 16
    content = edit("float32", move).ljust(move.offset, b"\0") + outside[0]
    found = inspect(content)
    assert found["layers"] == described["float32"]["layers"]
    assert found["tensors"] == described["float32"]["tensors"]
    images = lenet.images[:3]
    assert (predict(content, images) == predict(lenet.float32, images)).all()


@pytest.mark.parametrize("mode", MODES)
def test_text_fits_a_terminal_and_tells_it_all(described, mode):
    found = described[mode]
    lines = as_text(found).split("\n")
    assert max(map(len, lines[1:])) < 80  # the first has the path
    text = " ".join("\n".join(lines).split())
    for name, count in found["operators"].items():
        assert f"{name} {count}" in text
    assert found["quantization"]["name"] in text
    json.dumps(found, allow_nan=False)


def test_text_of_mobilenet_fits_a_terminal(described):
    layer = {
        **described["float32"]["layers"][0],
        "operator": "DEPTHWISE_CONV_2D",
        "shape": [1024, 1, 1, 1024],
        "bytes": 4_194_304,
        "zero_share": 0.925,
    }
    for type_, scales in (("float32", None), ("int8", "per channel")):
        kinds = {"type": type_, "scales": scales}
        layers = [{**layer, **kinds, "name": f"conv_dw_{i}_bn"} for i in range(1, 14)]
        text = as_text({**described["float32"], "layers": layers})
        assert max(map(len, text.split("\n")[1:])) < 80  # the first has the path
        assert "  1024x1x1x1024  4,194,304  92.5 %" in text


def test_what_is_no_model_is_told(tmp_path, lenet):
    content = lenet.float32.read_bytes()
    with pytest.raises(InputError, match="No such file"):
        inspect(tmp_path / "missing.tflite")
    with pytest.raises(InputError, match="is not a TFLite model"):
        inspect(b"")
    with pytest.raises(InputError, match="is not a TFLite model"):
        inspect(lenet.keras)
    with pytest.raises(InputError, match="cannot be read"):
        inspect(tmp_path)
    for size in (8, 100, len(content) // 2, len(content) - 1000):
        with pytest.raises(InputError, match="damaged or cut short"):
            inspect(content[:size])


def test_tables_that_are_referred_to_again_and_again_do_not_take_forever(schema):
    import flatbuffers

    def repeated(count):
        """So many references to one subgraph, which refers as often to one tensor."""
        builder = flatbuffers.Builder()

        def vector(table):
            builder.StartVector(4, count, 4)
            for _ in range(count):
                builder.PrependUOffsetTRelative(table)
            return builder.EndVector()

        schema.TensorStart(builder)
        tensors = vector(schema.TensorEnd(builder))
        schema.BufferStart(builder)
        buffers = vector(schema.BufferEnd(builder))
        schema.SubGraphStart(builder)
        schema.SubGraphAddTensors(builder, tensors)
        subgraphs = vector(schema.SubGraphEnd(builder))
        schema.ModelStart(builder)
        schema.ModelAddSubgraphs(builder, subgraphs)
        schema.ModelAddBuffers(builder, buffers)
        builder.Finish(schema.ModelEnd(builder), b"TFL3")
        return bytes(builder.Output())

    assert len(read(repeated(3)).subgraphs) == 3
    with pytest.raises(InputError, match="more than a file of its size"):
        read(repeated(3000))
