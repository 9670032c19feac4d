"""The variants for macOS and Windows, tried by taking away what they lack."""

import ast
import errno
import io
import os
import pathlib
import platform
import shlex
import signal
import stat
import sys
import tempfile
import types

import pandas as pd
import pytest

from kdfunc import checksums, commands, system, writing
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
    assert (tmp_path / "config.json").read_text("utf-8") == "{}"
    of_files = True
    with pytest.raises(OSError, match=os.strerror(number)):
        writing.write_atomic(tmp_path / "config.json", "[]")
    assert (tmp_path / "config.json").read_text("utf-8") == "{}"


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

    monkeypatch.setattr(os, "replace", replace)
    named = types.SimpleNamespace(**{**vars(os), "name": name})
    monkeypatch.setattr(system, "os", named)
    monkeypatch.setattr(system, "HELD", 0.3)
    path = tmp_path / "checkpoint.npz"
    if is_written:
        writing.write_atomic(path, "new")
        assert path.read_text("utf-8") == "new"
    else:
        with pytest.raises(PermissionError):
            writing.write_atomic(path, "new")
        assert [*tmp_path.iterdir()] == []
    assert (len(tried) > 1) == (name == "nt")


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_what_a_scanner_holds_is_removed_later(tmp_path, monkeypatch, kind):
    path = tmp_path / "record"
    path.mkdir() if kind == "folder" else path.touch()
    refusals = iter([PermissionError(13, "Access is denied")] * 2)

    def rename_or_remove(call):
        def held(*arguments, **settings):
            for refusal in refusals:
                raise refusal
            return call(*arguments, **settings)

        return held

    monkeypatch.setattr(os, "rmdir", rename_or_remove(os.rmdir))
    monkeypatch.setattr(os, "unlink", rename_or_remove(os.unlink))
    monkeypatch.setattr(pathlib.Path, "unlink", rename_or_remove(pathlib.Path.unlink))
    windows = types.SimpleNamespace(**{**vars(os), "name": "nt"})
    monkeypatch.setattr(system, "os", windows)
    writing.remove(path)
    assert not path.exists() and next(refusals, None) is None


@pytest.fixture
def windows(monkeypatch):
    named = types.SimpleNamespace(**{**vars(os), "name": "nt"})
    monkeypatch.setattr(system, "os", named)


class Left(io.StringIO):
    """A pipe on Windows after its reader has left."""

    def write(self, text=""):
        raise OSError(errno.EINVAL, "Invalid argument")

    flush = write

    def fileno(self):
        return os.open(os.devnull, os.O_WRONLY)


def test_a_reader_who_leaves_changes_no_exit_code(monkeypatch):
    def run():
        print("agreement 99.2 %")
        return 0

    for name, code in (("nt", 0), ("posix", 2)):
        monkeypatch.setattr(sys, "stdout", Left())
        named = types.SimpleNamespace(**{**vars(os), "name": name})
        monkeypatch.setattr(system, "os", named)
        assert commands.exit_code("kdfunc compare", run) == code


@pytest.mark.usefixtures("windows")
def test_paths_of_windows_stay_whole():
    given = r"delegate=C:\edge\vx.dll 'input=a name' threads=2"
    assert system.words(given) == [
        r"delegate=C:\edge\vx.dll",
        "input=a name",
        "threads=2",
    ]
    settings = running.Settings().changed(r"delegate=C:\edge\vx.dll")
    assert settings.delegate == r"C:\edge\vx.dll"
    folder = r"--output_dir=C:\Users\O'Neil\my runs"
    assert system.quoted(["kdfunc", "run", "--alphas=0.1", folder]) == (
        r"kdfunc run --alphas=0.1 '--output_dir=C:\Users\O''Neil\my runs'"
    )


def test_words_are_those_of_a_shell_elsewhere():
    text = r"a\ b 'c d' \'e # f"
    assert system.words(text) == shlex.split(text) == ["a b", "c d", "'e", "#", "f"]
    with pytest.raises(ValueError, match="No closing quotation"):
        system.words("a 'b")


@pytest.mark.usefixtures("windows")
def test_workers_of_windows_are_started_deaf_to_ctrl_c(monkeypatch):
    heard = []
    kernel = types.SimpleNamespace(SetConsoleCtrlHandler=lambda *of: heard.append(of))
    windll = types.SimpleNamespace(kernel32=kernel)
    monkeypatch.setattr(system.ctypes, "windll", windll, raising=False)
    with system.interrupts_put_off():
        assert heard == [(None, True)]
    assert heard == [(None, True), (None, False)]


@pytest.mark.skipif(sys.platform != "linux", reason="containers are Linux's")
@pytest.mark.parametrize("file", ["memory.max", "memory/memory.limit_in_bytes"])
def test_half_of_a_containers_memory(file, tmp_path, monkeypatch):
    monkeypatch.setattr(system, "CGROUP", tmp_path)
    whole = system.half_of_memory()
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text("max\n", "utf-8")
    assert system.half_of_memory() == whole
    (tmp_path / file).write_text("268435456\n", "utf-8")
    assert system.half_of_memory() == 1 << 27


def test_tables_have_the_same_bytes_on_all_systems(monkeypatch):
    monkeypatch.setattr(os, "linesep", "\r\n")
    assert writing.as_csv(pd.DataFrame({"a": [1, 2]})) == "a\n1\n2\n"


def test_names_that_a_system_may_take_for_one_are_refused():
    nets = ("student=m:Net", "student=m:net")
    for given in ({"compressions": ("m:Step", "m:step")}, {"variants": nets}):
        with pytest.raises(InputError, match="differ in more than upper and lower"):
            ExperimentConfig(**given)
    name = ExperimentConfig(dataset="mnist:3.*.*").name
    assert name == "mnist.3....-lenet-published"


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
    (tmp_path / "self" / "status").write_text("VmRSS:\t     7 kB\n", "utf-8")
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


@pytest.mark.parametrize("of", [system.__file__, __file__])
def test_text_files_are_utf8_whatever_the_system_takes(of):
    calls = [
        f"{path.name}:{node.lineno}"
        for path in pathlib.Path(of).parent.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call) and opens_text(node)
    ]
    assert calls == []
