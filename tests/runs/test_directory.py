import errno
import multiprocessing
import pathlib

import numpy as np
import pytest

from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.runs import directory, kept
from kdfunc.runs.directory import RunDirectory


def test_another_config_is_refused_with_the_difference(tmp_path):
    run = RunDirectory(tmp_path / "run")
    with run.claimed(ExperimentConfig(epochs=2)):
        pass
    assert run.config == ExperimentConfig(epochs=2)
    with pytest.raises(InputError, match="epochs is 2 there and 3 here"):
        run.check(ExperimentConfig(epochs=3))


@pytest.mark.parametrize("place", ["file/run", "file"])
def test_a_directory_that_cannot_be_written_is_refused(tmp_path, place):
    (tmp_path / "file").write_text("in the way", "utf-8")
    with pytest.raises(InputError, match="output_dir: .* cannot be written"):
        RunDirectory(tmp_path / place).check(ExperimentConfig())


def _hold(path, ready, leave):
    with RunDirectory(path).claimed(ExperimentConfig()):
        ready.set()
        leave.wait(30)


def test_a_second_run_is_refused_until_the_first_has_died(tmp_path):
    context = multiprocessing.get_context("spawn")
    ready, leave = context.Event(), context.Event()
    first = context.Process(target=_hold, args=(tmp_path / "run", ready, leave))
    first.start()
    assert ready.wait(30)
    run = RunDirectory(tmp_path / "run")
    with pytest.raises(InputError, match="another run is using"):
        with run.claimed(ExperimentConfig()):
            pass
    first.kill()
    first.join()
    with run.claimed(ExperimentConfig()):
        pass


def test_a_run_that_could_not_begin_holds_no_lock(tmp_path, monkeypatch):
    """A notebook keeps the last traceback, and with it what that refers to."""
    run = RunDirectory(tmp_path / "run")

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(directory, "write_json", full)
        with pytest.raises(OSError, match="No space") as error:
            with run.claimed(ExperimentConfig()):
                pass
    with run.claimed(ExperimentConfig()):
        pass
    assert error.value.__traceback__


def test_a_published_run_without_records_is_not_continued(tmp_path):
    run = RunDirectory(tmp_path / "run")
    config = ExperimentConfig()
    with run.claimed(config):
        pass
    outputs = {"base": np.full((2, 10), 0.1)}
    kept.save(run.path / kept.FILE, outputs.items(), np.zeros(2), list("0123456789"))
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match="without its records, so it can be neither"):
        with run.claimed(config):
            pass
    assert sorted(tmp_path.rglob("*")) == before


def test_a_run_can_be_asked_for_more_and_for_less_but_not_for_other_things(tmp_path):
    run = RunDirectory(tmp_path / "run")
    few = ExperimentConfig(quantization=("dynamic-range",))
    many = ExperimentConfig(quantization=("float16", "dynamic-range"))
    for config, held in [(few, few), (many, many), (few, many)]:
        assert run.check(config) == held
        with run.claimed(config):
            assert run.config == held
    with pytest.raises(InputError, match="seed is 42 there and 1 here"):
        run.check(ExperimentConfig(seed=1))
    assert run.config == many


def test_a_conflict_tells_the_command_that_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = ExperimentConfig(epochs=2, controls=())
    for folder, flag in [("runs", ""), ("my runs", " '--output_dir=my runs'")]:
        run = RunDirectory(pathlib.Path(folder) / config.name)
        with run.claimed(config):
            pass
        with pytest.raises(InputError) as error:
            run.check(ExperimentConfig(epochs=3))
        command = f"kdfunc run --epochs=2 --controls={flag}"
        assert str(error.value).endswith(f"the one that is there: `{command}`")


@pytest.mark.parametrize("place", ["a" * 300, "a/" * 2500 + "a", "loop/a", "nowhere/a"])
def test_a_path_that_cannot_be_is_refused(tmp_path, place):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "nowhere").symlink_to("gone")
    with pytest.raises(InputError, match="output_dir: .* cannot be written"):
        with RunDirectory(tmp_path / place).claimed(ExperimentConfig()):
            pass
