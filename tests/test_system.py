"""The variants for macOS and Windows, tried by taking away what they lack."""

import ast
import errno
import os
import pathlib
import platform
import signal
import stat
import sys
import tempfile
import types

import pytest

from kdfunc import checksums, system, writing
from kdfunc.config import ExperimentConfig
from kdfunc.edge import running
from kdfunc.edge.isolation import Isolated
from kdfunc.errors import InputError
from kdfunc.runs import engine
from kdfunc.runs.directory import RunDirectory


@pytest.fixture
def like_windows(monkeypatch):
    """Folders are not opened; handles that cannot write are not synced."""
    fcntl = pytest.importorskip("fcntl")
    synced = []

    def open_(path, flags, *rest, _open=os.open, **settings):
        if os.path.isdir(path):
            raise PermissionError(13, "Permission denied", path)
        return _open(path, flags, *rest, **settings)

    def fsync(handle, _fsync=os.fsync):
        if fcntl.fcntl(handle, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
            raise OSError(9, "Bad file descriptor")
        _fsync(handle)
        synced.append(handle)

    monkeypatch.setattr(os, "open", open_)
    monkeypatch.setattr(os, "fsync", fsync)
    return synced


def test_files_are_written_where_folders_cannot_be_synced(like_windows, tmp_path):
    with pytest.raises(PermissionError):
        os.open(tmp_path, os.O_RDONLY)
    writing.write_atomic(tmp_path / "a" / "config.json", "{}")
    (tmp_path / "softmax.npy").write_bytes(b"numbers")
    checksums.seal(tmp_path, ["softmax.npy"])
    assert checksums.damages(tmp_path) == []
    assert len(like_windows) == 3  # both files that were written, and the one sealed


def test_a_folder_that_cannot_be_written_is_told_at_once(tmp_path, monkeypatch):
    """On Windows, `tempfile` tried 2**31 names before Python 3.13."""
    tried = []

    def refuse(path, *_):
        tried.append(path)
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "open", refuse)
    windows = types.SimpleNamespace(**{**vars(os), "name": "nt"})
    monkeypatch.setattr(tempfile, "_os", windows)
    monkeypatch.setattr(tempfile, "TMP_MAX", 50)
    with pytest.raises(InputError, match="output_dir: .* cannot be written"):
        RunDirectory(tmp_path / "run").check(ExperimentConfig())
    assert len(tried) == 1


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EBADF, errno.ENOTSUP])
def test_shared_folders_need_no_sync_of_folders(tmp_path, monkeypatch, number):
    def fsync(handle, _fsync=os.fsync):
        if of_files or stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(number, os.strerror(number))
        _fsync(handle)

    of_files = False
    monkeypatch.setattr(os, "fsync", fsync)
    writing.write_atomic(tmp_path / "config.json", "{}")
    assert (tmp_path / "config.json").read_text() == "{}"
    of_files = True
    with pytest.raises(OSError, match=os.strerror(number)):
        writing.write_atomic(tmp_path / "config.json", "[]")
    assert (tmp_path / "config.json").read_text() == "{}"


@pytest.mark.parametrize(
    ("name", "refusals", "is_written"),
    [("nt", 3, True), ("nt", 10**9, False), ("posix", 1, False)],
)
def test_a_file_that_a_scanner_holds_is_replaced_later(
    tmp_path, monkeypatch, name, refusals, is_written
):
    tried = []

    def replace(*paths, _replace=os.replace):
        tried.append(paths)
        if len(tried) <= refusals:
            raise PermissionError(13, "Access is denied", str(paths[0]))
        _replace(*paths)

    held = types.SimpleNamespace(**{**vars(os), "name": name, "replace": replace})
    monkeypatch.setattr(system, "os", held)
    monkeypatch.setattr(system, "HELD", 0.3)
    path = tmp_path / "checkpoint.npz"
    if is_written:
        writing.write_atomic(path, "new")
        assert path.read_text() == "new"
    else:
        with pytest.raises(PermissionError):
            writing.write_atomic(path, "new")
        assert [*tmp_path.iterdir()] == []
    assert (len(tried) > 1) == (name == "nt")


def test_a_drive_that_is_not_there_has_no_folder_above(monkeypatch):
    """The search for one had never ended."""
    monkeypatch.setattr(os.path, "lexists", lambda path: False)
    path = pathlib.Path("/media/stick/runs").absolute()
    assert RunDirectory(path).nearest == pathlib.Path(path.anchor)


def test_a_file_that_cannot_be_synced_is_told(tmp_path):
    with pytest.raises(FileNotFoundError):
        system.sync(tmp_path / "none")


def test_no_more_workers_than_a_container_has_memory_for(monkeypatch):
    monkeypatch.setattr("dask.system.CPU_COUNT", 8)
    monkeypatch.setattr("distributed.system.MEMORY_LIMIT", engine.WORKER_MEMORY)
    assert engine.default_workers() == 1


def test_on_macos_writing_waits_for_the_drive(tmp_path, monkeypatch):
    asked = []
    macos = types.SimpleNamespace(
        F_FULLFSYNC=51, fcntl=lambda *call: asked.append(call)
    )
    monkeypatch.setattr(system, "fcntl", macos)
    with open(tmp_path / "file", "wb") as file:
        system.flush(file.fileno())
        assert asked == [(file.fileno(), 51)]

        def refuse(*_):
            raise OSError(25, "Inappropriate ioctl for device")

        macos.fcntl = refuse
        monkeypatch.setattr(os, "fsync", lambda handle: asked.append("fsync"))
        system.flush(file.fileno())
        assert asked[1:] == ["fsync"]


def test_memory_is_unknown_where_the_system_tells_something_else(tmp_path, monkeypatch):
    monkeypatch.setattr(system, "PROC", tmp_path)
    (tmp_path / "self").mkdir()
    (tmp_path / "self" / "status").write_text("VmRSS:\t     7 kB\n")
    assert (system.memory("VmRSS"), system.memory("VmHWM")) == (7168, None)


@pytest.fixture
def without_proc(monkeypatch, tmp_path):
    monkeypatch.setattr(system, "PROC", tmp_path / "proc")


def test_a_processor_has_a_name_everywhere(without_proc):
    assert system.processor() == platform.processor()


@pytest.mark.skipif(sys.platform != "linux", reason="what Linux tells")
def test_linux_tells_name_and_memory():
    assert min(system.memory("VmHWM"), system.memory("VmRSS")) > 1 << 20
    assert system.half_of_memory() > 1 << 28
    assert system.can_limit_memory()


@pytest.mark.parametrize("lacking", ["proc", "resource"])
def test_where_memory_is_not_limited_a_limit_is_refused(lacking, monkeypatch, tmp_path):
    if lacking == "proc":  # as on macOS
        monkeypatch.setattr(system, "PROC", tmp_path / "proc")
        assert system.memory("VmRSS") is None
    else:  # as on Windows
        monkeypatch.setattr(system, "resource", None)
        system.leave_no_core_file()
    assert running.Settings().memory is None
    with pytest.raises(InputError, match="memory: limits work only on Linux; omit it"):
        Isolated(list, title="it", memory=1 << 30)
    with Isolated(list, title="it", memory=running.Settings().memory) as there:
        assert there.call("count", 1) == 0


def test_ends_of_processes_are_told_by_name_or_number():
    assert system.how_it_ended(-signal.SIGSEGV) == "SIGSEGV"
    assert system.how_it_ended(3) == "exit code 3"
    assert system.how_it_ended(3221225477) == "exit code 0xc0000005"


def test_paths_can_be_too_long(monkeypatch, tmp_path):
    part = pathlib.Path("a" * 255)
    assert system.takes_path(tmp_path / part / part)
    assert not system.takes_path(tmp_path / ("a" * 256))
    assert not system.takes_path(tmp_path / ("\u00e9" * 128))
    monkeypatch.setattr(system.os, "name", "nt")
    assert not system.takes_path(part.absolute())


def opens_text(call: ast.Call) -> bool:
    """Whether a call opens a text file in the encoding of the system's own."""
    if any(keyword.arg == "encoding" for keyword in call.keywords):
        return False
    given = [a.value for a in call.args if isinstance(a, ast.Constant)]
    match call.func:
        case ast.Attribute(attr="read_text"):
            return not call.args
        case ast.Attribute(attr="write_text"):
            return len(call.args) < 2
        case ast.Name(id="open"):
            return not any("b" in str(mode) for mode in given)
    return False


def test_text_files_are_utf8_whatever_the_system_takes():
    calls = [
        f"{path.name}:{node.lineno}"
        for path in pathlib.Path(system.__file__).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and opens_text(node)
    ]
    assert calls == []
