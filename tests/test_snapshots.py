import numpy as np

from kdfunc.snapshots import SoftmaxFile


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
