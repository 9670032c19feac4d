import sys
import time

import pytest

from kdfunc.runs import provenance


@pytest.mark.parametrize(
    ("program", "told"),
    [
        ("/site-packages/kdfunc/__main__.py", "python -m kdfunc --seed=1"),
        ("/my runs/run_experiments.py", "run_experiments.py --seed=1"),
        ("/venv/bin/kdfunc", "kdfunc --seed=1"),
    ],
)
def test_a_session_tells_the_command_that_repeats_it(
    tmp_path, monkeypatch, program, told
):
    monkeypatch.setattr(sys, "argv", [program, "--seed=1"])
    with provenance.noted(tmp_path, 1, [{}], time.monotonic()):
        pass
    (session,) = provenance.read(tmp_path)
    assert session["command"] == told
