import os
import struct
import tracemalloc
import zipfile

import numpy as np
import pytest

from kdfunc.edge.files import DataFile
from kdfunc.edge.output_file import OutputFile
from kdfunc.errors import InputError

IMAGES = np.random.default_rng(0).integers(256, size=(23, 4, 5, 3), dtype=np.uint8)
LABELS = np.arange(23) % 7


@pytest.fixture(params=["npy", "npz", "compressed"])
def write(request, tmp_path):
    """A function that writes images in one of the ways."""

    def written(images, **others):
        path = tmp_path / "images.np"
        if request.param == "npy":
            with open(path, "wb") as file:
                np.save(file, images)
        else:
            save = np.savez if request.param == "npz" else np.savez_compressed
            with open(path, "wb") as file:
                save(file, images=images, **others)
        return path

    return written


@pytest.mark.parametrize("size", [1, 5, 23, 100])
@pytest.mark.parametrize("dtype", ["uint8", "float32", ">f8"])
def test_batches_are_the_images_in_order(write, size, dtype):
    images = IMAGES.astype(dtype)
    file = DataFile(write(images))
    assert file.shapes == {"images": images.shape}
    assert len(file) == 23 and file.labels is None
    for _ in range(2):  # again and again
        batches = [batch for (batch,) in file.batches(["images"], size)]
        assert [len(batch) for batch in batches[:-1]] == [size] * (len(batches) - 1)
        found = np.concatenate(batches)
        np.testing.assert_array_equal(found, images)
        assert batches[0].dtype == images.dtype


def test_labels(tmp_path):
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    np.testing.assert_array_equal(DataFile(tmp_path / "a.npz").labels, LABELS)
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=LABELS[1:])
    with pytest.raises(InputError, match=r"23 examples but labels \[22\]; give a .npy"):
        DataFile(tmp_path / "a.npz")
    np.savez(tmp_path / "a.npz", images=IMAGES, labels=np.eye(7)[LABELS % 7])
    with pytest.raises(InputError, match=r"give labels.argmax\(1\)"):
        DataFile(tmp_path / "a.npz")


def test_memory_stays_small(write):
    path = write(np.zeros((1000, 64, 1024), np.uint8))  # 64 MB
    tracemalloc.start()
    batches = DataFile(path).batches(["images"], 10)
    assert sum(len(batch) for (batch,) in batches) == 1000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_what_is_expected_is_told(tmp_path, write):
    path = tmp_path / "x.npz"
    np.savez(path, x_test=IMAGES, y_test=LABELS)
    with pytest.raises(InputError, match="x_test, y_test, but .* takes x; give"):
        DataFile(path).names_for(["x"], "model.tflite")
    with pytest.raises(InputError, match="No such file"):
        DataFile(tmp_path / "missing.npy")
    path.write_text("no array at all", "utf-8")
    with pytest.raises(InputError, match="cannot be read"):
        DataFile(path)
    with pytest.raises(InputError, match="cannot be read"):
        DataFile(tmp_path)
    with pytest.raises(InputError, match=r"images \[\], which are not examples"):
        DataFile(write(np.float32(3)))
    with pytest.raises(InputError, match=r"images \[0, 4, 5, 3\], which are no"):
        DataFile(write(IMAGES[:0]))
    with pytest.raises(InputError, match="cannot be read"):
        DataFile(write(np.array([[None, "x"]])))


def test_files_cut_short_or_changed_are_told(write):
    path = write(np.random.default_rng(0).random((23, 100)))
    content = path.read_bytes()
    for size in (0, 5, 50, 1000, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:size])
        with pytest.raises(InputError, match="cannot be read"):
            list(DataFile(path).batches(["images"], 5))


def test_an_archive_whose_bytes_were_changed_is_told(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, images=IMAGES)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="CRC"):
        list(DataFile(path).batches(["images"], 5))


def test_a_header_that_promises_too_much_is_told(tmp_path):
    path = tmp_path / "a.npz"
    np.save(tmp_path / "a.npy", IMAGES)
    content = (tmp_path / "a.npy").read_bytes().replace(b"(23,", b"(99,")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("images.npy", content)
    with pytest.raises(InputError, match=r"takes 6,\d+ bytes, but there are 1,508"):
        list(DataFile(path).batches(["images"], 5))


def test_output_is_there_whole_or_not_at_all(tmp_path):
    path = tmp_path / "out.npy"
    rows = np.random.default_rng(0).random((7, 3)).astype(np.float32)
    with OutputFile(path, 7) as file:
        for start in range(0, 7, 2):
            file.append({"p": rows[start : start + 2]})
            assert not path.exists()
    np.testing.assert_array_equal(np.load(path), rows)
    with pytest.raises(KeyboardInterrupt), OutputFile(path, 9) as file:
        file.append({"p": rows})
        raise KeyboardInterrupt
    np.testing.assert_array_equal(np.load(path), rows)
    assert [file.name for file in tmp_path.iterdir()] == ["out.npy"]
    with pytest.raises(InputError, match="cannot be written"):
        OutputFile(tmp_path / "no" / "out.npy", 7)


def test_the_last_bytes_that_cannot_be_written_are_told(tmp_path):
    """They wait in memory until the file is closed."""
    resource = pytest.importorskip("resource")
    path = tmp_path / "out.npy"
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, hard))
    try:
        with (
            pytest.raises(InputError, match=r"out.npy cannot be written \(File too"),
            OutputFile(path, 100) as file,
        ):
            file.append({"p": np.zeros((100, 3), np.float32)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(tmp_path.iterdir())


def header(shape, dtype="|u1", version=1):
    """Of an array, with whatever shape."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    padded = text.encode() + b" " * (64 - (len(text) + 11) % 64) + b"\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(padded)) + padded


DEEP = b"\x93NUMPY\x01\x00" + struct.pack("<H", 9000) + b"(" * 8999 + b"\n"
HEADERS = {
    "more than there is": (header("(1000000000000, 28, 28, 1)"), "takes 784,000"),
    "more than a machine": (header(f"({1 << 40}, {1 << 40})"), "bytes, but there are"),
    "negative": (header("(-1, 28, 28, 1)"), "shape"),
    "a truth value": (header("(True, 28, 28, 1)") + b"0" * 784, "shape"),
    "no number": (header("(1.5, 28)"), "header is damaged"),
    "deep": (DEEP, "header is damaged"),
    "text": (header("(2, 2)", "<U9") + bytes(144), "not numbers"),
    "no array at all": (b"nothing", "header is damaged"),
    "a version to come": (b"\x93NUMPY\x09" + bytes(99), "header is damaged"),
}


@pytest.mark.parametrize("archive", [False, True])
@pytest.mark.parametrize("kind", HEADERS)
def test_headers_are_held_against_the_size_of_the_file(tmp_path, kind, archive):
    """What they promise is never allocated, nor counted through."""
    content, told = HEADERS[kind]
    path = tmp_path / "data"
    path.write_bytes(content)
    if archive:
        with zipfile.ZipFile(path, "w") as file:
            file.writestr("images.npy", content)
    tracemalloc.start()
    with pytest.raises(InputError, match=told) as error:
        DataFile(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert "give a .npy file" in str(error.value) and "\n" not in str(error.value)
    assert peak < 64 << 20


def test_labels_are_not_read_before_their_number_is_right(tmp_path):
    """250,000,000 labels are 2 MB of a compressed file and 2 GB of memory."""
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", header("(6, 2)") + bytes(12))
        archive.writestr("labels.npy", header("(99000000,)") + bytes(99_000_000))
    tracemalloc.start()
    with pytest.raises(InputError, match=r"6 examples but labels \[99000000\]"):
        DataFile(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_labels_may_be_a_column_or_floats(tmp_path):
    """Keras's own CIFAR-10 has labels `[n, 1]`."""
    for labels in (LABELS[:, None].astype(np.uint8), LABELS.astype(np.float32)):
        np.savez(tmp_path / "a.npz", images=IMAGES, labels=labels)
        found = DataFile(tmp_path / "a.npz").labels
        np.testing.assert_array_equal(found, LABELS)
        assert found.dtype == np.int64


def test_labels_are_whole_numbers(tmp_path):
    for labels in (LABELS / 2, LABELS - 1):
        np.savez(tmp_path / "a.npz", images=IMAGES, labels=labels)
        with pytest.raises(InputError, match="whole numbers from 0"):
            _ = DataFile(tmp_path / "a.npz").labels


def test_a_batch_is_not_larger_than_memory(tmp_path):
    path = tmp_path / "large.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("images.npy", header("(1, 99000000)") + bytes(99_000_000))
    (batches,) = [DataFile(path).batches(["images"], 100, most_bytes=1 << 20)]
    tracemalloc.start()
    with pytest.raises(InputError, match="take 94 MB, but 1 MB are allowed"):
        next(batches)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 << 20


def test_what_is_no_file_is_not_read():
    """Without an end, it would take all memory."""
    with pytest.raises(
        InputError, match="/dev/zero cannot be read .*not a regular file"
    ):
        DataFile("/dev/zero")


def test_arrays_that_nobody_needs_do_not_matter(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, images=IMAGES, names=np.array(["a", "b"]), sizes=np.arange(3))
    file = DataFile(path)
    assert len(file) == 23 and file.names_for(["x"], "m") == ["images"]
    with pytest.raises(InputError, match="names: it holds <U1, not numbers"):
        file.names_for(["names", "sizes"], "m")
    with pytest.raises(InputError, match=r"images \[23, .*but sizes \[3\]; give"):
        file.names_for(["sizes"], "m")


def test_arrays_for_several_inputs(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, left=IMAGES, right=IMAGES[:, 0], labels=LABELS)
    file = DataFile(path)
    assert file.names_for(["right", "left"], "m") == ["right", "left"]
    ((right, left), *_) = file.batches(["right", "left"], 5)
    np.testing.assert_array_equal(left, IMAGES[:5])
    np.testing.assert_array_equal(right, IMAGES[:5, 0])
    with pytest.raises(InputError, match="has left, right, but m takes left, middle"):
        file.names_for(["left", "middle"], "m")
    np.savez(path, left=IMAGES, right=IMAGES[1:])
    with pytest.raises(InputError, match="which are not examples"):
        DataFile(path)


def test_several_outputs_go_into_one_archive(tmp_path):
    path = tmp_path / "out.npz"
    scores, boxes = np.random.default_rng(0).random((2, 7, 3)).astype(np.float32)
    with OutputFile(path, 7) as file:
        for start in range(0, 7, 2):
            part = slice(start, start + 2)
            file.append({"scores": scores[part], "a/b:0": boxes[part].astype(int)})
        assert not path.exists()
    with np.load(path) as found:
        assert found.files == ["scores", "a/b:0"]
        np.testing.assert_array_equal(found["scores"], scores)
        np.testing.assert_array_equal(found["a/b:0"], boxes.astype(int))
    one = tmp_path / "out.npy"
    with pytest.raises(InputError, match="2 outputs .scores, boxes.*give a .npz"):
        with OutputFile(one, 7) as file:
            file.append({"scores": scores, "boxes": boxes})
    with pytest.raises(InputError, match=r"shape \[2\] for some .* \[3\] for others"):
        with OutputFile(one, 7) as file:
            file.append({"scores": scores[:3]})
            file.append({"scores": scores[3:, :2]})
    with pytest.raises(InputError, match="text whose length differs between batches"):
        with OutputFile(one, 7) as file:
            file.append({"texts": np.array([b"a", b"bc"])})
            file.append({"texts": np.array([b"def"])})
    with pytest.raises(InputError, match="out.csv; give a .npy file"):
        OutputFile(tmp_path / "out.csv", 7)
    assert [file.name for file in tmp_path.iterdir()] == ["out.npz"]


def test_outputs_take_no_name_that_somebody_foresees(tmp_path):
    """Nor do two that are written at once disturb each other."""
    victim, path = tmp_path / "victim", tmp_path / "out.npy"
    victim.write_text("precious", "utf-8")
    (tmp_path / "out.npy.partial").symlink_to(victim)
    (tmp_path / "mine").write_text("mine", "utf-8")
    rows = np.eye(3, dtype=np.float32)
    with OutputFile(path, 3) as first, OutputFile(path, 3) as second:
        first.append({"p": 2 * rows})
        second.append({"p": rows})
    assert victim.read_text("utf-8") == "precious"
    assert (tmp_path / "out.npy.partial").is_symlink()
    np.testing.assert_array_equal(np.load(path), 2 * rows)  # it was finished last
    (tmp_path / "link.npy").symlink_to(path)
    with OutputFile(tmp_path / "link.npy", 3) as file:
        file.append({"p": rows})
    np.testing.assert_array_equal(np.load(path), rows)  # where the link leads
    assert path.stat().st_mode & 0o777 == 0o666 & ~_umask()


def _umask():
    mask = os.umask(0)
    os.umask(mask)
    return mask
