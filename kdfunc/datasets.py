"""Image-classification data: the embedded digits, or any TFDS data set by name.

A TFDS split is decoded once a machine; the arrays are kept beside the data set and
memory-mapped from then on.
"""

import contextlib
import dataclasses
import json
import logging
import pathlib
import threading
import urllib.request

import numpy as np

from kdfunc.errors import InputError
from kdfunc.runs import records

#: What tells that there is a network: TFDS's own bucket, which holds many data sets.
NETWORK_PROBE = "https://storage.googleapis.com/tfds-data"
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclasses.dataclass(frozen=True)
class Description:
    """What can be known of a data set without reading its images."""

    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images `[n, height, width, channels]` uint8 and labels `[n]` of two splits."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]


def describe(name: str, data_dir: str | None = None) -> Description:
    """Shape and classes of a data set; fast, and does not import TensorFlow.

    Args:
      name: `digits` or a TFDS name.
      data_dir: where TFDS keeps its data sets; None for TFDS's own default.

    Raises:
      InputError: no such data set, none of image classification, or not prepared
        while there is no network.
    """
    if name == "digits":
        return Description((28, 28, 1), tuple("0123456789"))
    builder = _builder(name, data_dir)
    return Description(
        builder.info.features["image"].shape,
        tuple(builder.info.features["label"].names),
    )


def load(name: str, data_dir: str | None = None) -> Dataset:
    """The arrays of a data set, in an order that never changes.

    Downloads and prepares what is not there yet. Arguments and errors are those of
    `describe`.
    """
    if name == "digits":
        return _digits()
    import filelock

    builder = _builder(name, data_dir)
    cache = pathlib.Path(builder.data_dir) / "kdfunc"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        logging.warning("Images are decoded anew each time: %s.", error)
        arrays = _decode(builder)
    else:
        with filelock.FileLock(cache / ".lock"):
            if records.damages(cache):
                _fill(cache, builder)
        arrays = {key: np.load(cache / f"{key}.npy", mmap_mode="r") for key in ARRAYS}
    return Dataset(**arrays, class_names=tuple(builder.info.features["label"].names))


def _digits() -> Dataset:
    """scikit-learn's 1,797 handwritten digits (8x8, UCI), as 28x28x1 images.

    Each pixel becomes 3x3, framed by 2 pixels of background. Half of the images,
    stratified by class, is the test split.
    """
    from sklearn.datasets import load_digits
    from sklearn.model_selection import train_test_split

    digits = load_digits()
    images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
    images = np.kron(images, np.ones((1, 3, 3), np.uint8))
    images = np.pad(images, ((0, 0), (2, 2), (2, 2)))[..., np.newaxis]
    train_images, test_images, train_labels, test_labels = train_test_split(
        images, digits.target, test_size=0.5, stratify=digits.target, random_state=0
    )
    return Dataset(
        train_images, train_labels, test_images, test_labels, tuple("0123456789")
    )


def _builder(name: str, data_dir: str | None):
    """TFDS's builder, once it is sure that the data can be had."""
    import kdfunc.runtime  # noqa: F401  (TFDS alone imports TensorFlow noisily)

    import tensorflow_datasets as tfds

    logging.getLogger("absl").addFilter(_NotInteresting())
    try:
        builder = tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except tfds.core.DatasetNotFoundError:
        raise InputError(
            f"--dataset: got {name!r}; allowed: digits, or the TFDS name of an "
            "image-classification data set, such as mnist, cifar10, cifar100, "
            "fashion_mnist, kmnist or svhn_cropped."
        ) from None
    except (ValueError, AssertionError) as error:
        reason = str(error).strip().splitlines()[0].rstrip(".")
        raise InputError(f"--dataset: {name!r} cannot be used: {reason}.") from error
    if not builder.is_prepared() and not _online():
        raise InputError(
            f"--dataset: {name} is not prepared in {builder.data_dir} and there is no "
            "network to download it from; prepare it where there is one and point "
            "--data_dir at it, or use --dataset=digits, which needs no download."
        )
    _check_image_classification(name, builder)
    return builder


def _check_image_classification(name: str, builder) -> None:
    import tensorflow_datasets as tfds

    def refuse(reason: str) -> InputError:
        return InputError(
            f"--dataset: {name} {reason}; needed are images of one size in `image` "
            "(uint8), a class in `label`, and the splits train and test."
        )

    features = builder.info.features
    image, label = (
        features[key] if key in features else None for key in ("image", "label")
    )
    if not isinstance(image, tfds.features.Image):
        raise refuse("has no images")
    if not isinstance(label, tfds.features.ClassLabel) or label.num_classes < 2:
        raise refuse("has no classes")
    if None in image.shape or image.np_dtype != np.uint8:
        raise refuse(f"has images of {image.shape} {image.np_dtype}")
    splits = set(builder.info.splits)
    if builder.is_prepared() and not {"train", "test"} <= splits:
        raise refuse(f"has the splits {', '.join(sorted(splits))}")


def _online(timeout: float = 3.0) -> bool:
    """Whether the network answers; name servers that hang are not waited for."""
    answered = threading.Event()

    def ask():
        with contextlib.suppress(OSError):
            try:
                urllib.request.urlopen(NETWORK_PROBE, timeout=timeout).close()
            except urllib.error.HTTPError:
                pass  # any answer is one
            answered.set()

    asker = threading.Thread(target=ask, daemon=True)
    asker.start()
    asker.join(timeout)
    return answered.is_set()


def _decode(builder) -> dict[str, np.ndarray]:
    import tensorflow_datasets as tfds

    builder.download_and_prepare()
    arrays = {}
    for split in ("train", "test"):
        if split not in builder.info.splits:
            _check_image_classification(builder.name, builder)
        whole = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
        arrays[f"{split}_images"] = whole["image"]
        arrays[f"{split}_labels"] = whole["label"]
    return arrays


def _fill(cache: pathlib.Path, builder) -> None:
    for name, array in _decode(builder).items():
        np.save(cache / f"{name}.npy", array)
    records.seal(cache, [f"{name}.npy" for name in ARRAYS])


class _NotInteresting(logging.Filter):
    """Drops TFDS's notice that a data set is not prepared: kdfunc says so itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "has no dataset_info.json" not in record.getMessage()


def write_test_split(data: Dataset, folder: pathlib.Path) -> list[str]:
    """Leaves what analysis needs of the data; returns the names of the files."""
    np.save(folder / "labels.npy", data.test_labels)
    np.save(folder / "images.npy", data.test_images)
    (folder / "class_names.json").write_text(json.dumps(data.class_names), "utf-8")
    return ["labels.npy", "images.npy", "class_names.json"]
