"""The machine's description, and oneDNN where the environment has no say."""

import os
import subprocess
import sys

import pytest

from kdfunc import machine

VARIABLE = "TF_ENABLE_ONEDNN_OPTS"


@pytest.mark.parametrize(("given", "then"), [(None, "1"), ("0", "0"), ("1", "1")])
def test_onednn_is_switched_on_unless_the_environment_has_a_say(
    monkeypatch, given, then
):
    monkeypatch.delitem(sys.modules, "tensorflow", raising=False)
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)
    if given:
        monkeypatch.setenv(VARIABLE, given)
    machine.prefer_onednn()
    assert machine.os.environ[VARIABLE] == then


def test_once_tensorflow_is_imported_nothing_is_claimed(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    monkeypatch.setenv(VARIABLE, "")
    monkeypatch.delenv(VARIABLE)
    machine.prefer_onednn()
    assert VARIABLE not in machine.os.environ


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        ("fpu sse4_2 avx avx2 avx512f avx512_vnni", "AVX-512 VNNI"),
        ("fpu sse4_2 avx avx2 fma", "AVX2"),
        ("", machine.platform.machine()),
    ],
)
def test_the_best_vector_instructions_are_named(monkeypatch, flags, name):
    monkeypatch.setattr(machine.system, "cpuinfo", lambda entry: flags)
    assert machine.instruction_set() == name


def test_tensorflow_keeps_its_keras_and_loads_it_only_when_asked():
    """In a process of its own, since other tests import both."""
    script = (
        "import sys, kdfunc.runtime\n"
        "print('keras' in sys.modules)\n"
        "import tensorflow as tf\n"
        "from tensorflow.keras import layers\n"
        "print(layers.Dense.__module__, tf.keras.__version__)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "TF_USE_LEGACY_KERAS"}
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    before, after = done.stdout.splitlines()
    assert before == "False"
    assert after.startswith("keras.src.layers") and after.split()[1].startswith("3.")
