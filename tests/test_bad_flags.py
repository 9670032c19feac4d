"""Flags that cannot be meant; `bad_flags.py` is the script."""

import bad_flags
import pytest


@pytest.fixture(scope="module")
def words(tmp_path_factory):
    return bad_flags.prepare(tmp_path_factory.mktemp("bad"))


@pytest.mark.parametrize(("command", "arguments", "named"), bad_flags.commands())
def test_a_bad_flag_is_refused_in_one_sentence(
    command, arguments, named, words, monkeypatch
):
    from kdfunc.runs import engine

    monkeypatch.setattr(engine, "CONNECT_TIMEOUT", "0.5s")
    assert bad_flags.problem(command, arguments, named, words) == ""
