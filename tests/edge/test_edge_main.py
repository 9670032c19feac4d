import json
import os
import pathlib
import re
import subprocess
import sys
import zipfile

import nets
import numpy as np
import pytest

from kdfunc.edge import predict
from kdfunc.edge.main import main

ROOT = pathlib.Path(__file__).parents[2]
REFUSED = "tensorflow tf_keras keras pandas scipy sklearn absl".split()
SITE = f"""
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {REFUSED!r}:
            raise ImportError(name + " is refused", name=name)

sys.meta_path.insert(0, Refuse())
"""


@pytest.fixture
def edge_only(tmp_path):
    """A function that runs Python as where nothing but numpy and LiteRT is."""
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE, "utf-8")
    path = os.pathsep.join([str(tmp_path / "site"), str(ROOT)])

    def run(*arguments):
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            env={**os.environ, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=60,
        )

    assert run("-c", "import tensorflow").returncode == 1
    return run


def edge(*arguments):
    return main([str(argument) for argument in arguments])


def test_commands_need_numpy_and_the_interpreter_alone(edge_only, lenet, tmp_path):
    found = edge_only("-m", "kdfunc.edge", "inspect", lenet.full, "--json")
    assert json.loads(found.stdout)["quantization"]["name"] == "full integer"
    out = tmp_path / "out.npy"
    found = edge_only(
        "-m",
        "kdfunc.edge",
        "predict",
        lenet.full,
        f"--data={lenet.data}",
        f"--output={out}",
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")
    np.testing.assert_array_equal(np.load(out), predict(lenet.full, lenet.images))
    compare = ["-m", "kdfunc.edge", "compare", f"--data={lenet.data}", "--resamples=20"]
    found = edge_only(*compare, lenet.float32, lenet.full, "--limit=agreement>=1%")
    assert (found.returncode, found.stderr) == (0, "")
    assert "every limit is met" in " ".join(found.stdout.split())
    found = edge_only(*compare, lenet.keras, lenet.full)
    assert found.returncode == 2 and found.stderr.count("\n") == 1
    assert "needs tensorflow, which is not installed" in found.stderr


def test_start_is_light(edge_only, lenet):
    """What is not imported takes no time."""
    code = """
import sys
from kdfunc.edge.main import main
try:
    main(sys.argv[1:])
finally:
    print({"numpy", "ai_edge_litert", "kdfunc.similarity"} & set(sys.modules))
"""
    found = edge_only("-c", code, "--help")
    assert found.stdout.endswith("set()\n")
    found = edge_only("-c", code, "inspect", lenet.full)
    assert "kdfunc.similarity" not in found.stdout.split("\n")[-2]


@pytest.mark.parametrize("command", ["inspect", "benchmark", "predict", "compare"])
def test_help_teaches_with_an_example(command, capsys):
    with pytest.raises(SystemExit) as end:
        edge(command, "--help")
    assert end.value.code == 0
    told = capsys.readouterr().out
    assert f"example: kdfunc-edge {command} " in told
    assert max(map(len, told.split("\n"))) < 81


def test_exit_codes_of_limits(lenet, capsys):
    arguments = ["compare", lenet.float32, lenet.full, f"--data={lenet.data}", "--json"]
    arguments += ["--resamples=20"]
    assert edge(*arguments, "--limit=agreement>=1%") == 0
    assert edge(*arguments, "--limit=agreement>=1%", "--limit=agreement<=1%") == 1
    assert edge(*arguments, "--limit=agreement") == 2
    assert edge(*arguments, "--limit=bytes<=50%", "--limit=latency_ms<=5000") == 0
    assert edge(*arguments, "--limit=bytes<=1") == 1
    out, err = capsys.readouterr()
    assert json.JSONDecoder().raw_decode(out)[0]["limits"][0]["outcome"] == "met"
    assert err.startswith("kdfunc-edge: --limit: 'agreement' is not a limit")


def test_one_line_and_exit_code_2_for_bad_input(lenet, tmp_path, capsys):
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(lenet.full.read_bytes()[:5000])
    data, out = f"--data={lenet.data}", f"--output={tmp_path / 'out.npy'}"
    small = tmp_path / "small.npy"
    np.save(small, np.zeros((3, 8, 8, 1), np.uint8))
    for arguments in (
        ["inspect", damaged],
        ["inspect", tmp_path],
        ["inspect", __file__],
        ["benchmark", damaged],
        ["predict", damaged, data, out],
        ["predict", lenet.full, f"--data={damaged}", out],
        ["predict", lenet.full, f"--data={small}", out],
        ["predict", lenet.full, data, f"--output={tmp_path}"],
        ["predict", lenet.full, data, f"--output={tmp_path / 'no' / 'out.npy'}"],
        ["compare", lenet.full, damaged, data],
        ["compare", lenet.full, lenet.full, data, "--confidence=2"],
        ["compare", lenet.full, tmp_path, data],
    ):
        assert edge(*arguments) == 2, arguments
        told, error = capsys.readouterr()
        assert not told
        assert error.startswith("kdfunc-edge: ") and error.count("\n") == 1, error
    assert {file.name for file in tmp_path.iterdir()} == {"damaged.tflite", "small.npy"}


@pytest.fixture(params=["hangs", "takes all memory"])
def malicious(request, tensorflow, tmp_path):
    """A valid model that does so, the limit it runs into, and what is then said."""

    def forever(x):
        return tensorflow.while_loop(
            lambda x: tensorflow.reduce_sum(x) < 1e9, lambda x: [x * 0.5], [x]
        )[0]

    def enormous(x):
        return tensorflow.reduce_sum(tensorflow.tile(x, [1, 1 << 29]), 1, True)

    function = {"hangs": forever, "takes all memory": enormous}[request.param]
    spec = tensorflow.TensorSpec([1, 3], tensorflow.float32)
    concrete = tensorflow.function(function, [spec]).get_concrete_function()
    converter = tensorflow.lite.TFLiteConverter.from_concrete_functions([concrete])
    path = tmp_path / "malicious.tflite"
    path.write_bytes(converter.convert())
    if request.param == "hangs":
        return path, "--timeout=1", "was stopped"
    return path, "--memory=500", "more memory"


def test_hanging_and_enormous_models_are_ended(malicious, tmp_path, capsys):
    path, limit, told = malicious
    np.save(tmp_path / "images.npy", np.ones((2, 3), np.float32))
    data = [f"--data={tmp_path / 'images.npy'}", f"--output={tmp_path / 'out.npy'}"]
    assert edge("predict", path, *data, limit) == 2
    assert told in capsys.readouterr().err
    assert edge("benchmark", path, limit) == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.parametrize(
    "option", ["--batch-sizes=1,x", "--threads=0", "--runs=-1", "--timeout=0"]
)
def test_options_are_checked(option, capsys):
    with pytest.raises(SystemExit) as end:
        edge("benchmark", "model.tflite", option)
    assert end.value.code == 2
    assert "; give " in capsys.readouterr().err


def test_benchmark_prints_a_table_or_json(lenet, capsys):
    arguments = [
        "benchmark",
        lenet.full,
        "--runs=3",
        "--warm-up=1",
        "--batch-sizes=1,4",
    ]
    assert edge(*arguments) == 0
    *table, ran, end = capsys.readouterr().out.split("\n")
    assert (len(table), end) == (3, "")
    assert re.fullmatch(r"XNNPACK for \d of 8 operators, 1 thread", ran)
    assert edge(*arguments, "--json") == 0
    assert [x["batch_size"] for x in json.loads(capsys.readouterr().out)] == [1, 4]


def test_batches_that_are_run_one_at_a_time_are_told_of(tmp_path, rng, capsys):
    net = nets.Net()
    x, z = net.tensor([1, 300]), net.tensor([1, 40], "z")
    w = net.tensor([40, 300], "w", data=rng.normal(size=(40, 300)).astype("f4"))
    options = nets.schema.FullyConnectedOptionsT()
    net.add(nets.OPERATORS.FULLY_CONNECTED, [x, w, -1], [z], options)
    path = net.save(tmp_path / "dense.tflite", [x], [z])
    arguments = ["benchmark", path, "--runs=1", "--warm-up=1", "--batch-sizes=1,32"]
    assert edge(*arguments, "--kernels=builtin") == 0
    told = " ".join(capsys.readouterr().out.split())
    assert told.count("was given 32 images one at a time") == 1
    assert edge(*arguments) == 0  # XNNPACK gives the same bits
    assert "one at a time" not in capsys.readouterr().out


def test_an_output_called_labels_is_not_the_true_classes(tmp_path, rng, capsys):
    net = nets.Net()
    x, scores = net.tensor([1, 4]), net.tensor([1, 4], "scores")
    labels = net.tensor([1, 4], "labels")
    net.softmax(x, scores)
    net.softmax(x, labels, 2.0)
    path = net.save(tmp_path / "both.tflite", [x], [scores, labels])
    np.save(tmp_path / "x.npy", rng.normal(size=(5, 4)).astype("f4"))
    arguments = [f"--data={tmp_path / 'x.npy'}", f"--output={tmp_path / 'y.npz'}"]
    assert edge("predict", path, *arguments) == 0
    assert set(np.load(tmp_path / "y.npz").files) == {"scores", "labels_output"}
    assert "is called 'labels_output'" in capsys.readouterr().err


def test_a_reader_that_leaves_is_no_error(edge_only, lenet):
    command = f"{sys.executable} -m kdfunc.edge inspect {lenet.full} | head -1"
    found = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert found.stderr == "" and found.stdout.count("\n") == 1


def test_predict_overwrites_nothing_that_it_reads(lenet, tmp_path, capsys):
    model, data, pipe = (tmp_path / name for name in ("m.tflite", "d.npy", "pipe"))
    model.write_bytes(lenet.full.read_bytes())
    np.save(data, lenet.images[:3])
    os.mkfifo(pipe)
    read = {path: path.read_bytes() for path in (model, data)}
    for output in (model, data, pipe, tmp_path, ""):
        assert edge("predict", model, f"--data={data}", f"--output={output}") == 2
        told = capsys.readouterr().err
        assert told.startswith("kdfunc-edge: --output") and told.count("\n") == 1
    assert {path: path.read_bytes() for path in read} == read and pipe.is_fifo()
    compare = ["compare", model, model, f"--data={data}", f"--report={data}"]
    assert edge(*compare) == 2 and "--report: " in capsys.readouterr().err
    blame = ["blame", lenet.float32, model, f"--data={data}"]
    for option in (f"--output={model}", f"--node-data={data}"):
        assert edge(*blame, option) == 2
        assert f"{option.split('=')[0]}: " in capsys.readouterr().err
    assert {path: path.read_bytes() for path in read} == read


@pytest.mark.parametrize("name", ["file/page", "n" * 300, "n" * 250])
def test_what_cannot_be_written_is_told_before_anything_is_read(name, tmp_path, capsys):
    (tmp_path / "file").write_text("a file, not a folder", "utf-8")
    for command, option in (
        ("compare", "--report"),
        ("blame", "--node-data"),
        ("blame", "--output"),
    ):
        given = ["none.tflite", "none.tflite", "--data=none.npz"]
        assert edge(command, *given, f"{option}={tmp_path / name}") == 2
        told = capsys.readouterr().err
        assert told.startswith(f"kdfunc-edge: {option}: {tmp_path / name} cannot be wr")
        assert told.count("\n") == 1
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("command", "limit", "told"),
    [
        ("blame", "latency_ms<=5", "latency_ms is not measured here; use kdfunc-edge"),
        ("blame", "gzip_bytes<=50%", "gzip_bytes is not measured here"),
        ("blame", "jensen_shannon.p95<=0.1", "at least 20 examples, but there are 19"),
        ("compare", "jensen_shannon.p99<=0.1", "at least 100 examples, but there are"),
    ],
)
def test_limits_that_nothing_can_meet_are_refused_before_models_run(
    command, limit, told, tmp_path, capsys
):
    np.save(tmp_path / "images.npy", np.zeros((19, 3), np.float32))
    given = ["none.tflite", "none.tflite", f"--data={tmp_path / 'images.npy'}"]
    assert edge(command, *given, f"--limit={limit}") == 2
    assert told in capsys.readouterr().err


def test_data_that_promise_too_much_are_told(lenet, tmp_path, capsys):
    path = tmp_path / "huge.npz"
    np.save(tmp_path / "small.npy", lenet.images[:1])
    content = (tmp_path / "small.npy").read_bytes()
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", content.replace(b"(1, 28", b"(9999999999, 28"))
    options = [f"--data={path}", f"--output={tmp_path / 'o.npy'}"]
    assert edge("predict", lenet.full, *options) == 2
    assert "bytes, but there are" in capsys.readouterr().err
    assert edge("predict", lenet.full, "--data=/dev/zero", options[1]) == 2
    assert "not a regular file" in capsys.readouterr().err


def test_images_of_another_shape_are_refused_unread(lenet, tmp_path, capsys):
    path = tmp_path / "wide.npy"
    np.save(path, np.zeros((3, 28, 28, 1), np.uint8))
    head = path.read_bytes()[:128].replace(b"(3, 28, 28, 1)", b"(1, 5000000000)")
    path.write_bytes(head)
    os.truncate(path, 5_000_000_128)  # sparse: it takes no room
    options = [f"--data={path}", f"--output={tmp_path / 'o.npy'}"]
    assert edge("predict", lenet.full, *options) == 2
    assert "takes [n, 28, 28, 1]" in capsys.readouterr().err
