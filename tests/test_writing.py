import os

import pytest

from kdfunc.errors import InputError
from kdfunc.writing import output_path, replacing, write_atomic


@pytest.fixture
def special(tmp_path):
    """What is not a regular file, as /dev/null is none."""
    path = tmp_path / "pipe"
    if not hasattr(os, "mkfifo"):
        pytest.skip("Windows has no such files")
    os.mkfifo(path)
    return path


def test_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "file"
    write_atomic(path, "text")
    with pytest.raises(KeyboardInterrupt), replacing(path) as file:
        file.write(b"half")
        raise KeyboardInterrupt
    assert path.read_text("utf-8") == "text"
    assert os.listdir(path.parent) == ["file"]


def test_an_atomic_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "table.csv"
    write_atomic(path, "old")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, "new")
    assert path.read_text("utf-8") == "old"


def test_files_with_predictable_names_are_left_alone(tmp_path):
    """A link that somebody laid in the way is not written through."""
    victim = tmp_path / "victim"
    victim.write_text("precious", "utf-8")
    (tmp_path / "file.partial").symlink_to(victim)
    write_atomic(tmp_path / "file", "text")
    assert victim.read_text("utf-8") == "precious"
    assert (tmp_path / "file.partial").is_symlink()
    assert not (tmp_path / "file").is_symlink()


def test_what_is_no_regular_file_stays(special, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(special)
    for path in (special, link):
        with pytest.raises(InputError, match="page: .* is not a regular file"):
            output_path(path, option="--page")
    with pytest.raises(InputError, match="is not a regular file"):
        write_atomic(special, "text")
    assert special.is_fifo()
    with pytest.raises(InputError, match="is a folder"):
        output_path(tmp_path)
    with pytest.raises(InputError, match="output is empty"):
        output_path("")


def test_inputs_are_not_overwritten(tmp_path):
    read, folder = tmp_path / "read", tmp_path / "folder"
    read.write_text("precious", "utf-8")
    folder.mkdir()
    (folder / "part").write_text("precious", "utf-8")
    (tmp_path / "link").symlink_to(read)
    os.link(read, tmp_path / "same")
    for path in (read, tmp_path / "link", tmp_path / "same", folder / "part"):
        with pytest.raises(
            InputError, match="is also an input and would be overwritten"
        ):
            output_path(path, [read, folder, tmp_path / "missing"])
    assert output_path(tmp_path / "link", [folder]) == read  # a link is followed
    assert output_path(tmp_path / "new", [read, folder]) == tmp_path / "new"
