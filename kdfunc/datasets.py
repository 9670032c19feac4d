"""Image-classification data: the embedded digits, or any TFDS data set by name.

A TFDS split is decoded once per machine; the arrays are stored beside the data set and
memory-mapped from then on.
"""

import contextlib
import dataclasses
import io
import json
import logging
import os
import pathlib
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from kdfunc import checksums, system, writing
from kdfunc.errors import InputError, causes, first_line
from kdfunc.extras import require
from kdfunc.text import did_you_mean

require("kdfunc.datasets", "tensorflow_datasets")

if TYPE_CHECKING:
    import tensorflow_datasets as tfds

#: Folder of the decoded images, in that of the prepared data set.
CACHE = "kdfunc"
ARRAYS = ("train_images", "train_labels", "test_images", "test_labels")


@dataclasses.dataclass(frozen=True)
class Description:
    """What is known about a data set without reading its images."""

    image_shape: tuple[int, int, int]
    class_names: tuple[str, ...]
    #: How many images there are; None for what was not downloaded yet.
    train_images: int | None
    test_images: int | None


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images `[n, height, width, channels]` uint8 and labels `[n]` of two splits."""

    train_images: np.ndarray
    train_labels: np.ndarray
    test_images: np.ndarray
    test_labels: np.ndarray
    class_names: tuple[str, ...]


def describe(name: str, data_dir: str | None = None) -> Description:
    """Shape and classes of a data set; fast, since no images are read.

    Args:
      name: `digits` or a TFDS name.
      data_dir: where TFDS keeps its data sets; None for TFDS's own default.

    Raises:
      InputError: there is no such data set, or it is not for image classification.
    """
    if name == "digits":
        return Description((28, 28, 1), tuple("0123456789"), 898, 899)
    builder = _builder(name, data_dir)
    return Description(
        builder.info.features["image"].shape,
        tuple(builder.info.features["label"].names),
        *(
            builder.info.splits[split].num_examples if builder.is_prepared() else None
            for split in ("train", "test")
        ),
    )


def prepare(name: str, data_dir: str | None = None) -> None:
    """Downloads, prepares and decodes a data set, unless that is already done.

    `load` does so, too. This is for the process that a person watches, before the work
    begins: it shows progress and reports a failure at once. Only one process at a time
    prepares a data set; others wait for it.

    Args:
      name: `digits`, or the name of a TFDS data set.
      data_dir: where TFDS keeps its data; None for TFDS's own default.

    Raises:
      InputError: as for `describe`, or the data set could not be downloaded or
        prepared.
    """
    if name == "digits":
        return
    builder, kept = _ready(name, data_dir)
    if not kept:
        print(
            f"{builder.data_dir} cannot be written, so each task decodes its images "
            "anew."
        )


def load(name: str, data_dir: str | None = None) -> Dataset:
    """The arrays of a data set, in a fixed order.

    Arguments and errors are those of `prepare`.

    Args:
      name: `digits`, or the name of a TFDS data set.
      data_dir: where TFDS keeps its data; None for TFDS's own default.
    """
    if name == "digits":
        return _digits()
    builder, kept = _ready(name, data_dir)
    if kept:
        cache = _cache(builder)
        arrays = {key: np.load(cache / f"{key}.npy", mmap_mode="r") for key in ARRAYS}
    else:
        arrays = _decode(builder)
    return Dataset(**arrays, class_names=tuple(builder.info.features["label"].names))


def _digits() -> Dataset:
    """scikit-learn's 1,797 handwritten digits (8x8, UCI), as 28x28x1 images.

    Each pixel becomes 3x3 pixels, with a frame of 2 pixels of background. Half of the
    images, stratified by class, is the test split.
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


def _builder(name: str, data_dir: str | None) -> "tfds.core.DatasetBuilder":
    """TFDS's builder of an image-classification data set, prepared or not."""
    import kdfunc.runtime  # noqa: F401  (TFDS alone imports TensorFlow noisily)

    import tensorflow_datasets as tfds

    logging.getLogger("absl").addFilter(_not_interesting)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # notices in frames of stars
            builder = tfds.builder(name, data_dir=data_dir, try_gcs=False)
    except tfds.core.DatasetNotFoundError:
        raise InputError(
            f"--dataset: got {name!r}; allowed: digits, or the TFDS name of an "
            "image-classification data set, such as mnist, cifar10, cifar100, "
            f"fashion_mnist, kmnist or svhn_cropped{_meant(name)}"
        ) from None
    except Exception as error:
        reason = first_line(error).rpartition('}": ')[2]  # which TFDS puts before it
        if any(isinstance(cause, json.JSONDecodeError) for cause in causes(error)):
            place = data_dir or tfds.core.constants.DATA_DIR
            raise InputError(
                f"--data_dir: the data set {name} in {place} is damaged ({reason}); "
                "remove it, and it will be prepared again."
            ) from error
        raise InputError(
            f"--dataset: {name!r} cannot be used: {reason}{_meant(name)}"
        ) from error
    _check_image_classification(name, builder)
    return builder


def _meant(name: str) -> str:
    """The end of a sentence: the data set that was probably meant."""
    import tensorflow_datasets as tfds

    known = tfds.list_builders(with_community_datasets=False)
    return did_you_mean(name, ["digits", *known])


def _ready(name: str, data_dir: str | None) -> "tuple[tfds.core.DatasetBuilder, bool]":
    """The builder of a prepared data set, and whether its images are decoded, too.

    They are not if the folder cannot be written.
    """
    builder = _builder(name, data_dir)
    if builder.is_prepared() and not checksums.damages(_cache(builder)):
        return builder, True
    from kdfunc import downloads

    try:
        with _alone(name, builder):
            builder = _builder(name, data_dir)  # which another may have prepared
            if not builder.is_prepared():
                _remove_empty(builder)
                downloads.prepare(name, builder)
                builder = _builder(name, data_dir)
            if checksums.damages(_cache(builder)):
                print(f"{name}: decoding the images (only once).", flush=True)
                _fill(builder)
    except OSError as error:
        if downloads.is_full(error):
            raise InputError(f"--dataset: {downloads.disk_is_full(builder)}") from error
        if not builder.is_prepared():
            raise InputError(
                f"--data_dir: {builder.data_dir_root} cannot be written "
                f"({error.strerror}) and does not contain {name}; give another folder."
            ) from error
        return builder, False
    return builder, True


@contextlib.contextmanager
def _alone(name: str, builder: "tfds.core.DatasetBuilder") -> Iterator[None]:
    """Locks a data set for this process; the lock of a dead process does not count.

    The lock is not in the data set's own folder, since TFDS takes any such folder for a
    prepared data set.
    """
    import filelock

    folder = pathlib.Path(builder.data_dir_root) / "downloads"
    folder.mkdir(parents=True, exist_ok=True)
    file = f"{builder.info.full_name.replace('/', '-')}.lock"
    lock = filelock.FileLock(folder / file)
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        print(f"Waiting for another process that is preparing {name}.", flush=True)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _remove_empty(builder: "tfds.core.DatasetBuilder") -> None:
    """Removes a data set's folder without data, which earlier versions left.

    TFDS would take it for a prepared data set.

    Raises:
      InputError: the folder contains files that are not kdfunc's own.
    """
    folder = pathlib.Path(builder.data_dir)
    if not folder.exists():
        return
    others = sorted(path.name for path in folder.iterdir() if path.name != CACHE)
    if others:
        raise InputError(
            f"--data_dir: {folder} contains {others[0]} but no dataset_info.json, so "
            "it is not a complete data set; remove that folder, or give another "
            "--data_dir."
        )
    shutil.rmtree(folder)


def _cache(builder: "tfds.core.DatasetBuilder") -> pathlib.Path:
    return pathlib.Path(builder.data_dir) / CACHE


def _check_image_classification(name: str, builder) -> None:
    import tensorflow_datasets as tfds

    def refuse(reason: str) -> InputError:
        return InputError(
            f"--dataset: {name} {reason}; it must have images of one size in `image` "
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


def _decode(builder: "tfds.core.DatasetBuilder") -> dict[str, np.ndarray]:
    from kdfunc.runtime import tf

    import tensorflow_datasets as tfds

    arrays = {}
    try:
        for split in ("train", "test"):
            whole = tfds.as_numpy(builder.as_dataset(split=split, batch_size=-1))
            arrays[f"{split}_images"] = whole["image"]
            arrays[f"{split}_labels"] = whole["label"]
    except Exception as error:
        scarce = MemoryError, tf.errors.ResourceExhaustedError
        if any(isinstance(cause, scarce) for cause in causes(error)):
            raise InputError(
                f"--dataset: {builder.name} does not fit into memory, which must hold "
                "all images of a split; free some memory or choose a smaller data set."
            ) from error
        raise InputError(
            f"--data_dir: the data set in {builder.data_dir} is damaged "
            f"({first_line(error)}); remove it, and it will be prepared again."
        ) from error
    return arrays


def _fill(builder: "tfds.core.DatasetBuilder") -> None:
    """Stores the decoded images beside the prepared ones, either all or none."""
    cache = _cache(builder)
    partial = cache.with_name(f"{CACHE}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    try:
        for name, array in _decode(builder).items():
            np.save(partial / f"{name}.npy", array)
        checksums.seal(partial, [f"{name}.npy" for name in ARRAYS])
        if cache.exists():
            writing.remove(cache)
        system.insist(os.replace, partial, cache)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


class _NotInteresting(logging.Filter):
    """Drops TFDS's notice that a data set is not prepared: kdfunc says so itself."""

    def filter(self, record: logging.LogRecord) -> bool:
        return "has no dataset_info.json" not in record.getMessage()


_not_interesting = _NotInteresting()
