import errno
import pathlib
import shutil
import socket

import numpy as np
import pytest

from kdfunc import datasets
from kdfunc.errors import InputError


def test_digits_are_all_of_scikit_learns_images(digits):
    from sklearn.datasets import load_digits

    assert digits.train_images.shape == (898, 28, 28, 1)
    assert digits.test_images.shape == (899, 28, 28, 1)
    images = np.concatenate([digits.train_images, digits.test_images])
    labels = np.concatenate([digits.train_labels, digits.test_labels])
    assert (images.dtype, images.max()) == (np.uint8, 255)
    small = np.rint(images[:, 2:-2:3, 2:-2:3, 0].astype(float) * 16 / 255)
    original = load_digits()
    ours = {(label, *image.ravel()) for label, image in zip(labels, small, strict=True)}
    theirs = zip(original.target, original.images, strict=True)
    assert ours == {(label, *image.ravel()) for label, image in theirs}


def test_the_split_of_digits_is_stratified_and_fixed(digits):
    shares = np.bincount(digits.test_labels) / 899
    whole = np.bincount(np.concatenate([digits.train_labels, digits.test_labels]))
    np.testing.assert_allclose(shares, whole / 1797, atol=0.002)
    again = datasets.load("digits")
    np.testing.assert_array_equal(again.test_images, digits.test_images)
    assert list(digits.test_labels[:5]) == list(again.test_labels[:5])


@pytest.fixture(scope="module")
def tfds_dir(tmp_path_factory):
    """Data sets of our own, prepared as TFDS prepares any other."""
    import tensorflow_datasets as tfds

    class TinyImages(tfds.core.GeneratorBasedBuilder):
        VERSION = tfds.core.Version("1.0.0")
        SHAPE = (6, 5, 3)
        SPLITS = ("train", "test")

        def _info(self):
            return tfds.core.DatasetInfo(
                builder=self,
                features=tfds.features.FeaturesDict(
                    {
                        "image": tfds.features.Image(shape=self.SHAPE),
                        "label": tfds.features.ClassLabel(names=["cat", "dog", "eel"]),
                    }
                ),
            )

        def _split_generators(self, dl_manager):
            return {split: self._generate_examples(split) for split in self.SPLITS}

        def _generate_examples(self, split):
            for i in range(12 if split == "train" else 5):
                yield i, {"image": np.full((6, 5, 3), i, np.uint8), "label": i % 3}

    class UnsizedImages(TinyImages):
        VERSION = tfds.core.Version("1.0.0")
        SHAPE = (None, None, 3)

    class TrainOnlyImages(TinyImages):
        VERSION = tfds.core.Version("1.0.0")
        SPLITS = ("train",)

    folder = tmp_path_factory.mktemp("tfds")
    for builder in (TinyImages, TrainOnlyImages):
        builder(data_dir=folder).download_and_prepare()
    UnsizedImages(data_dir=folder)
    return str(folder)


def test_a_tfds_data_set_is_described_without_reading_it(tfds_dir):
    about = datasets.describe("tiny_images", tfds_dir)
    assert about == datasets.Description((6, 5, 3), ("cat", "dog", "eel"), 12, 5)


def check(data):
    assert data.class_names == ("cat", "dog", "eel")
    assert data.train_images.shape == (12, 6, 5, 3)
    values = data.train_images[:, 0, 0, 0]
    np.testing.assert_array_equal(data.train_labels, values % 3)
    assert sorted(values) == list(range(12))
    assert len(data.test_labels) == 5


def test_a_split_is_decoded_once_and_memory_mapped_from_then_on(tfds_dir, monkeypatch):
    check(datasets.load("tiny_images", tfds_dir))
    monkeypatch.setattr(datasets, "_decode", None)
    again = datasets.load("tiny_images", tfds_dir)
    check(again)
    assert isinstance(again.train_images, np.memmap)


def test_a_damaged_cache_is_made_again(tfds_dir):
    datasets.load("tiny_images", tfds_dir)
    (path,) = pathlib.Path(tfds_dir).rglob("train_images.npy")
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    check(datasets.load("tiny_images", tfds_dir))


def test_a_name_that_tfds_does_not_know_is_refused(tmp_path):
    with pytest.raises(InputError, match="dataset: got 'mnits'; allowed: digits, or"):
        datasets.describe("mnits", str(tmp_path))
    for typed, meant in (("CIFAR10", "cifar10"), ("fashion-mnist", "fashion_mnist")):
        with pytest.raises(InputError, match=rf"did you mean {meant}\?$"):
            datasets.describe(typed, str(tmp_path))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("unsized_images", r"has images of \(None, None, 3\)"),
        ("train_only_images", "has the splits train"),
        ("imdb_reviews", "has no images"),
    ],
)
def test_what_is_no_image_classification_is_refused(tfds_dir, name, told):
    with pytest.raises(InputError, match=f"{name} {told}"):
        datasets.describe(name, tfds_dir)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("mnist:9.9.9", "version 9.9.9, only: 3.0.1"),
        ("mnist/none", "BuilderConfig none not found"),
        ("a b", "Parsing builder name string a b failed"),
        ("huggingface:x", "No module named"),
    ],
)
def test_a_name_that_cannot_be_used_is_refused_in_a_sentence(
    name, told, tmp_path, capfd
):
    with pytest.raises(
        InputError, match=f"^dataset: '{name}' cannot be used: .*{told}"
    ):
        datasets.describe(name, str(tmp_path))
    assert capfd.readouterr() == ("", "")


@pytest.fixture
def copied(tfds_dir, tmp_path):
    """The folder of tiny_images, as TFDS prepared it, to be changed."""
    folder = tmp_path / "tiny_images" / "1.0.0"
    ignored = shutil.ignore_patterns("kdfunc*")
    shutil.copytree(f"{tfds_dir}/tiny_images/1.0.0", folder, ignore=ignored)
    return folder


def test_a_folder_that_cannot_be_written_serves_what_is_prepared_in_it(
    copied, tmp_path, monkeypatch, capsys
):
    def read_only(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(pathlib.Path, "mkdir", read_only)
    datasets.prepare("tiny_images", str(tmp_path))
    check(datasets.load("tiny_images", str(tmp_path)))
    told = f"{copied} cannot be written, so each task decodes its images anew.\n"
    assert told in capsys.readouterr().out
    assert not (copied / "kdfunc").exists()
    with pytest.raises(InputError, match="^data_dir: .* cannot be written "):
        datasets.prepare("kmnist", str(tmp_path))


def test_images_that_are_decoded_are_read_where_nothing_can_be_written(
    copied, tmp_path, monkeypatch
):
    datasets.prepare("tiny_images", str(tmp_path))
    monkeypatch.setattr(pathlib.Path, "mkdir", None)
    monkeypatch.setattr(datasets, "_alone", None)
    data = datasets.load("tiny_images", str(tmp_path))
    check(data)
    assert isinstance(data.train_images, np.memmap)


@pytest.mark.parametrize("damage", ["shard is gone", "shard is cut", "info is cut"])
def test_prepared_data_that_is_damaged_is_told(copied, tmp_path, damage):
    (shard,) = copied.glob("*-train.tfrecord*")
    if damage == "shard is gone":
        shard.unlink()
    elif damage == "shard is cut":
        shard.write_bytes(shard.read_bytes()[:-20])
    else:
        info = copied / "dataset_info.json"
        info.write_text(info.read_text("utf-8")[:-20], "utf-8")
    with pytest.raises(InputError) as raised:
        datasets.load("tiny_images", str(tmp_path))
    assert "\n" not in str(raised.value)
    raised.match(
        f"^data_dir: the data set .*in {tmp_path}.* is damaged .*; remove it, and it"
    )
    assert not list(copied.glob("kdfunc*"))


@pytest.mark.parametrize("by", ["numpy", "tensorflow"])
def test_images_that_memory_cannot_hold_are_not_called_damaged(
    by, copied, tmp_path, monkeypatch
):
    from kdfunc.runtime import tf

    import tensorflow_datasets as tfds

    errors = {
        "numpy": MemoryError("Unable to allocate 7.2 GiB"),
        "tensorflow": tf.errors.ResourceExhaustedError(None, None, "OOM"),
    }

    def scarce(_):
        raise errors[by]

    monkeypatch.setattr(tfds, "as_numpy", scarce)
    with pytest.raises(InputError, match="tiny_images does not fit into memory"):
        datasets.load("tiny_images", str(tmp_path))
    assert copied.exists()


def test_ones_own_builder_that_downloads_nothing_needs_no_network(
    tfds_dir, tmp_path, monkeypatch
):
    monkeypatch.setattr(socket, "getaddrinfo", None)
    check(datasets.load("tiny_images", str(tmp_path)))


def test_a_split_that_is_missing_is_told_once_that_is_known(tfds_dir, tmp_path):
    for _ in range(2):
        with pytest.raises(InputError, match="train_only_images has the splits train"):
            datasets.load("train_only_images", str(tmp_path))
