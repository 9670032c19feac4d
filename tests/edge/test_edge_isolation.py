import os
import sys
import time

import pytest

from kdfunc.edge import Model
from kdfunc.edge.isolation import Isolated
from kdfunc.errors import InputError


def test_an_object_lives_elsewhere():
    with Isolated(list, [3, 1, 2], title="it") as there:
        assert there.call("index", 1) == 1
        assert there.call("sort") is None
        assert there.call("index", 1) == 0
    assert there._process.returncode is not None


def test_an_error_there_is_told_here():
    with Isolated(dict, title="it") as there:
        with pytest.raises(InputError, match="it failed with KeyError"):
            there.call("pop", "x")
        assert there.call("get", "x") is None  # it goes on


def test_an_input_error_stays_what_it_is():
    with pytest.raises(InputError, match="^the model is not a TFLite model"):
        Isolated(Model, b"none", title="it")


def test_a_crash_is_told():
    with pytest.raises(InputError, match=r"it made the interpreter crash \(SIGABRT\)"):
        Isolated(os.abort, title="it")
    with pytest.raises(InputError, match="exit code 3"):
        Isolated(os._exit, 3, title="it")


def test_what_hangs_is_stopped():
    begin = time.monotonic()
    with pytest.raises(InputError, match="it took more than 0.5 s"):
        Isolated(time.sleep, 60, title="it", seconds=0.5)
    assert time.monotonic() - begin < 10


def test_limits_are_for_a_step():
    with Isolated(__import__, "time", title="it", seconds=0.6) as there:
        for _ in range(3):
            there.call("sleep", 0.3)
        time.sleep(0.7)
        with pytest.raises(InputError, match="was stopped"):
            there.call("sleep", 2)


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_memory_is_limited():
    with pytest.raises(InputError, match=r"MemoryError.*memory than allowed \(256 MB"):
        Isolated(bytearray, 1 << 32, title="it", memory=1 << 28)
    with Isolated(bytearray, 1 << 20, title="it", memory=1 << 28) as there:
        assert there.call("count", b"x") == 0


def test_what_is_printed_there_does_not_disturb():
    with Isolated(print, "to stdout", title="it"):
        pass
    with Isolated(os.system, "echo to the descriptor", title="it"):
        pass
