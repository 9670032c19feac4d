"""The machine's description, and oneDNN where the environment has no say."""

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
