"""The install on a device, as the README has it: numpy and ai-edge-litert alone."""

import json
import os
import pathlib
import shutil
import subprocess
import sys

import numpy as np
import pytest

from kdfunc import edge

ROOT = pathlib.Path(__file__).parents[2]
PROGRAMS = "Scripts" if os.name == "nt" else "bin"


def run(*command, code=0):
    """What a command writes: to stderr where it is to fail, else to stdout."""
    outside = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=outside
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


@pytest.fixture(scope="module")
def device(tmp_path_factory):
    """The folder of programs of a fresh virtual environment with kdfunc in it."""
    folder = tmp_path_factory.mktemp("device")
    for name in ("setup.cfg", "setup.py", "README.md", "LICENSE", "run_experiments.py"):
        shutil.copy(ROOT / name, folder)
    shutil.copytree(ROOT / "kdfunc", folder / "kdfunc")
    run(sys.executable, "-m", "venv", folder / "venv")
    programs = folder / "venv" / PROGRAMS
    run(programs / "pip", "install", "-q", "numpy", "ai-edge-litert")
    run(programs / "pip", "install", "-q", "--no-deps", folder)
    return programs


def test_all_four_commands_work_where_no_tensorflow_is(device, lenet, tmp_path):
    run(device / "python", "-c", "import tensorflow", code=1)
    kdfunc_edge = device / "kdfunc-edge"
    assert "CONV_2D" in run(kdfunc_edge, "inspect", lenet.dynamic)
    assert "median ms" in run(kdfunc_edge, "benchmark", lenet.dynamic, "--runs=5")
    output = tmp_path / "softmax.npy"
    data = f"--data={lenet.data}"
    run(kdfunc_edge, "predict", lenet.dynamic, data, f"--output={output}")
    expected = edge.predict(lenet.dynamic.read_bytes(), lenet.images)
    np.testing.assert_allclose(np.load(output), expected, atol=1e-6)
    compared = run(kdfunc_edge, "compare", lenet.float32, lenet.dynamic, data, "--json")
    assert (
        json.loads(compared)["outputs"][0]["measures"]["disagreement"]["value"] < 0.05
    )


def test_a_keras_model_needs_tensorflow_and_that_is_said(device, lenet):
    command = (device / "kdfunc-edge", "compare", lenet.keras, lenet.float32)
    told = run(*command, f"--data={lenet.data}", code=2)
    assert "needs tensorflow, which is not installed" in told
    assert told.count("\n") == 1
