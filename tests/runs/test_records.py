import multiprocessing
import os
import pathlib

import numpy as np
import pytest

from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.runs import records
from kdfunc.runs.records import RunDirectory, SoftmaxFile


@pytest.fixture
def sealed(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"12345")
    (tmp_path / "b.bin").write_bytes(b"67890")
    records.seal(tmp_path, ["a.bin", "b.bin"], made={"seconds": 1})
    return tmp_path


def change(path, before, after):
    path.write_text(path.read_text().replace(before, after))


def test_what_was_sealed_is_whole(sealed):
    assert records.damages(sealed) == []
    assert records.read_manifest(sealed)["made"] == {"seconds": 1}


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: (f / "a.bin").write_bytes(b"1234"), "a.bin has 4 bytes, not 5"),
        (lambda f: (f / "a.bin").write_bytes(b"12x45"), "a.bin is not what was"),
        (lambda f: (f / "a.bin").unlink(), "a.bin cannot be read"),
        (lambda f: (f / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda f: (f / "manifest.json").write_text('{"files": '), "damaged"),
        (lambda f: (f / "manifest.json").write_text("[]"), "damaged"),
        (
            lambda f: change(f / "manifest.json", '"seconds": 1', '"seconds": 2'),
            "damag",
        ),
    ],
)
def test_damage_is_found_and_named(sealed, damage, told):
    damage(sealed)
    (found,) = records.damages(sealed)
    assert told in found


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    records.write_atomic(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        records.write_atomic(path, "new")
    assert path.read_text() == "old"


def test_softmax_file_is_an_npy_file_that_can_be_memory_mapped(tmp_path, rng):
    snapshots = rng.random((3, 5, 4), np.float32)
    file = SoftmaxFile(tmp_path / "softmax.npy", snapshots.shape)
    file.start()
    for snapshot in snapshots:
        file.append(snapshot)
    mapped = np.load(tmp_path / "softmax.npy", mmap_mode="r")
    np.testing.assert_array_equal(mapped, snapshots)


def test_softmax_file_goes_on_after_the_snapshots_that_are_known(tmp_path, rng):
    snapshots = rng.random((3, 5, 4), np.float32)
    path = tmp_path / "softmax.npy"
    file = SoftmaxFile(path, snapshots.shape)
    file.start()
    file.append(snapshots[0])
    known = list(file.checksums)
    with open(path, "ab") as half_written:
        half_written.write(b"garbage")

    again = SoftmaxFile(path, snapshots.shape)
    assert again.resume(known)
    for snapshot in snapshots[1:]:
        again.append(snapshot)
    np.testing.assert_array_equal(np.load(path), snapshots)


def test_softmax_file_does_not_go_on_after_a_changed_snapshot(tmp_path, rng):
    path = tmp_path / "softmax.npy"
    file = SoftmaxFile(path, (2, 5, 4))
    file.start()
    file.append(rng.random((5, 4)))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert not SoftmaxFile(path, (2, 5, 4)).resume(file.checksums)
    assert not SoftmaxFile(path, (3, 5, 4)).resume([])
    assert not SoftmaxFile(tmp_path / "none.npy", (2, 5, 4)).resume([])


def test_another_config_is_refused_with_the_difference(tmp_path):
    run = RunDirectory(tmp_path / "run")
    with run.claimed(ExperimentConfig(epochs=2)):
        pass
    assert run.config == ExperimentConfig(epochs=2)
    with pytest.raises(InputError, match="epochs is 2 there and 3 here"):
        run.check(ExperimentConfig(epochs=3))


@pytest.mark.parametrize("place", ["file/run", "file"])
def test_a_directory_that_cannot_be_written_is_refused(tmp_path, place):
    (tmp_path / "file").write_text("in the way")
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
