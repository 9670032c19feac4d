"""Each kind of file in a run directory, damaged in each way."""

import builtins
import contextlib
import dataclasses
import errno
import io
import os
import pathlib
import re
import shutil
import subprocess
import sys

import crash_points
import kill
import pytest

from kdfunc import checksums, cli
from kdfunc.analysis import everything
from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.runs import directory, plan, provenance, sources, verification
from kdfunc.runs.directory import RunDirectory

NAME = "digits-lenet-published"
KINDS = (
    "config.json",
    "provenance.json",
    "analysis.json",
    "report.html",
    "tables/accuracy.csv",
    "tables/latency.csv",
    "tables/similarity.csv",
    "figures/all.png",
    "records/data/labels.npy",
    "records/data/class_names.json",
    "records/base/final.keras",
    "records/base/initial.keras",
    "records/base/metrics.csv",
    "records/base/manifest.json",
    "records/pruned-90/softmax.npy",
    "records/dynamic-range/model.tflite",
)
# What is made again in a second and with the analysis; all of them at once.
CHEAP = (
    *("provenance.json", "analysis.json", "report.html"),
    *("tables/accuracy.csv", "tables/latency.csv", "figures/all.png"),
    "records/pruned-90/softmax.npy",
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    trained(folder)
    return folder


@pytest.fixture
def run(whole, tmp_path):
    shutil.copytree(whole, tmp_path / "runs")
    return tmp_path / "runs" / NAME


def trained(folder):
    """What the command prints; trainings have the same bytes in a process of their own.

    In this one, TensorFlow may run with other threads.
    """
    command = [*kill.COMMAND[:2], *crash_points.ARGUMENTS[1:]]
    done = subprocess.run(
        [*command, f"--output_dir={folder}"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def kdfunc(run, *flags):
    return cli.main([*crash_points.ARGUMENTS, *flags, f"--output_dir={run.parent}"])


def emptied(path, patch):
    path.write_bytes(b"")


def cut(path, patch):
    os.truncate(path, path.stat().st_size // 2)


def changed(path, patch):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


def removed(path, patch):
    path.unlink()


def a_folder(path, patch):
    path.unlink()
    path.mkdir()
    (path / "file").write_text("in the way", "utf-8")


def unreadable(path, patch):
    """As a file without permission is for everybody but root."""
    there, opened = path.stat(), builtins.open

    def refuse(file, *arguments, **keywords):
        if isinstance(file, str | os.PathLike) and os.path.exists(file):
            found = os.stat(file)
            if (found.st_ino, found.st_mtime_ns) == (there.st_ino, there.st_mtime_ns):
                raise PermissionError(13, "Permission denied", str(file))
        return opened(file, *arguments, **keywords)

    patch.setattr(builtins, "open", refuse)
    patch.setattr(io, "open", refuse)
    if accessor := getattr(pathlib, "_NormalAccessor", None):  # of Python 3.10
        patch.setattr(accessor, "open", staticmethod(refuse))


DAMAGES = (emptied, cut, changed, removed, a_folder, unreadable)


@pytest.mark.parametrize("damage", DAMAGES)
@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_passes_as_whole(run, kind, damage, capsys):
    with pytest.MonkeyPatch.context() as patch:
        damage(run / kind, patch)
        assert kdfunc(run, "--verify") in (1, 2)
    told = capsys.readouterr()
    name = kind.split("/")[-1]
    assert name in told.out + told.err or (
        kind.startswith("records/") and f"{kind.split('/')[1]}: missing" in told.out
    )
    assert "Traceback" not in told.out + told.err


def test_what_is_whole_is_called_so_and_what_is_foreign_is_named(run, capsys):
    assert kdfunc(run, "--verify") == 0
    assert "not part of this run" not in capsys.readouterr().out
    (run / "records" / "base" / "mine.txt").touch()
    (run / "tables" / "more").mkdir()
    (run / "tables" / "more" / "mine.csv").touch()
    assert kdfunc(run, "--verify") == 0
    told = capsys.readouterr().out
    assert "records/base/mine.txt: not part of this run" in told
    assert "tables/more/mine.csv: not part of this run" in told


@pytest.mark.parametrize("damage", [emptied, a_folder, unreadable])
@pytest.mark.usefixtures("tensorflow")
def test_the_same_command_makes_whole_what_is_damaged(run, whole, damage, capsys):
    with pytest.MonkeyPatch.context() as patch:
        for kind in CHEAP:
            damage(run / kind, patch)
        assert kdfunc(run) == 0
    assert "Traceback" not in capsys.readouterr().err
    assert kdfunc(run, "--verify") == 0
    assert kill.checksums(run) == kill.checksums(whole / NAME) | {
        name: digest
        for name, digest in kill.checksums(run).items()
        if name.startswith("provenance.json.damaged")
    }


@pytest.mark.usefixtures("tensorflow")
def test_a_file_in_the_place_of_a_folder_is_replaced(run, whole, capsys):
    for folder in ("records/pruned-90", "tables", "figures"):
        shutil.rmtree(run / folder)
        (run / folder).write_text("in the way", "utf-8")
    assert kdfunc(run, "--verify") == 1
    assert kdfunc(run) == 0
    assert kdfunc(run, "--verify") == 0
    assert kill.checksums(run) == kill.checksums(whole / NAME)


@pytest.mark.parametrize("damage", [emptied, cut, a_folder, unreadable])
def test_a_damaged_config_is_told_with_a_remedy(run, damage, capsys):
    with pytest.MonkeyPatch.context() as patch:
        damage(run / "config.json", patch)
        assert kdfunc(run) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "holds no readable run" in line and "remove its damaged config.json" in line


@pytest.mark.parametrize("lost", ["removed", "edited"])
def test_records_of_another_experiment_are_not_taken_for_ones_own(run, lost, capsys):
    config = run / "config.json"
    before = kill.checksums(run / "records")
    if lost == "removed":
        config.unlink()
    else:
        config.write_text(
            config.read_text("utf-8").replace('"epochs": 1', '"epochs": 7'), "utf-8"
        )
    assert kdfunc(run, "--epochs=7", "--dry_run") == 2
    assert kdfunc(run, "--epochs=7") == 2
    (line, _) = capsys.readouterr().err.splitlines()
    assert "has records of another experiment (of another --epochs)" in line
    assert "after removing an edited config.json" in line
    assert kill.checksums(run / "records") == before
    config.unlink(missing_ok=True)
    assert kdfunc(run, "--temperature=5", "--dry_run") == 2
    assert "(of another --temperature)" in capsys.readouterr().err
    assert kdfunc(run, "--dry_run") == 0


def test_a_control_at_another_alpha_is_of_another_experiment(tmp_path):
    made = ExperimentConfig(alphas=(0.9,), controls=("no-knowledge", "same-start"))
    there = RunDirectory(tmp_path / "run")
    for task in plan.make(made):
        if task.family in ("student", "control"):
            path = there.record(task.name).path
            path.mkdir(parents=True)
            checksums.seal(path, [], sources=sources.of(there, made, task))
    for alphas, refused in (((0.9, 0.95), False), ((0.5, 0.9), True)):
        wanted = dataclasses.replace(made, alphas=alphas)
        context = pytest.raises(InputError, match="of another alphas")
        with context if refused else contextlib.nullcontext():
            there.joined(wanted)


def test_what_is_made_from_something_that_came_out_different_is_made_again(
    run, whole, capsys
):
    base = run / "records" / "base"
    content = checksums.read_manifest(base)
    (base / "metrics.csv").write_text(
        (base / "metrics.csv").read_text("utf-8") + "\n", "utf-8"
    )
    checksums.seal(base, **content)  # as if another machine had made it
    assert kdfunc(run, "--verify") == 1
    told = capsys.readouterr().out
    assert "pruned-90: made from another base; repeat the command" in told
    assert [task.name for task in everything.finished(RunDirectory(run))] == ["base"]
    told = trained(run.parent)
    assert "student-alpha0.9-seed2: made from another base; making it again" in told
    assert kdfunc(run, "--verify") == 0
    # The base model that is there has the same weights.
    for name in ("student-alpha0.9-seed2", "pruned-90"):
        remade, first = (
            checksums.read_manifest(folder / "records" / name)
            for folder in (run, whole / NAME)
        )
        assert remade["files"] == first["files"]
        assert remade["sources"]["needs"]["data"] == first["sources"]["needs"]["data"]
        assert remade["sources"]["needs"]["base"] != first["sources"]["needs"]["base"]


def test_what_is_made_from_something_that_came_out_the_same_stays(run, whole):
    os.truncate(run / "records" / "base" / "final.keras", 100)
    manifests = [
        folder.joinpath("manifest.json") for folder in (run / "records").iterdir()
    ]
    before = {path: path.read_bytes() for path in manifests if path.exists()}
    assert re.search(r"pruned-90 +unchanged", trained(run.parent))
    changed = [path.parent.name for path in before if path.read_bytes() != before[path]]
    assert set(changed) <= {"base"}  # the same if it took as many hundredths
    assert kill.checksums(run) == kill.checksums(whole / NAME)


@pytest.mark.usefixtures("tensorflow")
@pytest.mark.parametrize("same", [True, False])
def test_what_was_not_possible_is_tried_again_with_other_versions(run, same, capsys):
    record = run / "records" / "dynamic-range"
    origin = checksums.read_manifest(record)["sources"]
    shutil.rmtree(record)
    record.mkdir()
    (record / "not_possible.txt").write_text("the library cannot", "utf-8")
    versions = provenance.versions() | ({} if same else {"tensorflow": "2.0"})
    made = {"versions": versions}
    checksums.seal(record, ["not_possible.txt"], made=made, sources=origin)
    assert kdfunc(run) == 0
    assert (record / "not_possible.txt").exists() == same
    assert (record / "model.tflite").exists() != same


@pytest.mark.usefixtures("tensorflow")
def test_a_full_disk_is_one_sentence_and_nothing_is_lost(run, whole, capsys):
    """Of the analysis, and of a record and its log."""
    (run / "logs").write_text("no folder", "utf-8")
    shutil.rmtree(run / "records" / "pruned-90")
    with pytest.MonkeyPatch.context() as patch:
        full = crash_points.Disturbance(run, "full", at=3)
        opened = builtins.open
        patch.setattr(builtins, "open", full._open)
        patch.setattr(io, "open", full._open)
        full.open = opened
        assert kdfunc(run) == 1
    told = capsys.readouterr()
    assert "Traceback" not in told.out + told.err
    assert "No space left on device" in told.out + told.err
    assert "is kept" in told.err or "are kept" in told.err
    (run / "logs").unlink()
    assert kdfunc(run) == 0
    assert kill.checksums(run) == kill.checksums(whole / NAME)


def test_verify_needs_no_tensorflow(run):
    """It is what one runs beside a training."""
    code = (
        "import sys; from kdfunc import cli; code = cli.main(sys.argv[1:]); "
        "assert 'tensorflow' not in sys.modules; sys.exit(code)"
    )
    flags = [*crash_points.ARGUMENTS, "--verify", f"--output_dir={run.parent}"]
    assert subprocess.run([sys.executable, "-c", code, *flags]).returncode == 0


def test_a_run_that_cannot_be_written_can_be_verified(tmp_path, monkeypatch, capsys):
    config = ExperimentConfig()
    with RunDirectory(tmp_path / config.name).claimed(config):
        pass

    def refuse(*_, **__):
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(directory, "check_writable", refuse)
    assert verification.verify(config, tmp_path) == 1
    assert "base: missing" in capsys.readouterr().out
