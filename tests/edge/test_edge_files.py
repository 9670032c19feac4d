import tracemalloc
import zipfile

import numpy as np
import pytest

from kdfunc.edge.files import DataFile, OutputFile
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
    with pytest.raises(InputError, match=r"23 examples and labels \[22\]"):
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
    with pytest.raises(InputError, match="x_test, y_test and .* takes x; give"):
        DataFile(path).names_for(["x"], "model.tflite")
    with pytest.raises(InputError, match="No such file"):
        DataFile(tmp_path / "missing.npy")
    path.write_text("no array at all")
    with pytest.raises(InputError, match="cannot be read"):
        DataFile(path)
    with pytest.raises(InputError, match="cannot be read"):
        DataFile(tmp_path)
    with pytest.raises(InputError, match=r"images \[\], which are no examples"):
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
    with pytest.raises(InputError, match=r"takes 6,\d+ bytes and there are 1,508"):
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
