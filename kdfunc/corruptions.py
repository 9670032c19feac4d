"""Corrupted images: noise, blur, reduced contrast and JPEG, each at three strengths.

The kinds of corruption are from CIFAR-10-C (Hendrycks and Dietterich 2019, arXiv
1903.12261). The strengths differ from theirs, and blur is Pillow's, which approximates
a Gaussian by box filters, so results are not comparable with published ones.
"""

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kdfunc.errors import InputError
from kdfunc.extras import require

require("kdfunc.corruptions", "PIL")

from PIL import Image, ImageFilter  # noqa: E402


@dataclass(frozen=True)
class Corruption:
    """A kind of corruption.

    Attributes:
      label: Name for people.
      strengths: What strength 1, 2 and 3 mean to the function.
      of: Called with an image `[height, width, channels]` uint8, one of these and a
        random generator; returns the corrupted image.
    """

    label: str
    strengths: tuple[float, float, float]
    of: Callable[[np.ndarray, float, np.random.Generator], np.ndarray]


def noise(image: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Adds Gaussian noise of a standard deviation, as a share of the full range.

    Args:
      image: `[height, width, channels]` uint8.
      deviation: As a share of 255.
      rng: Draws the noise.
    """
    return _rounded(image + 255 * deviation * rng.standard_normal(image.shape))


def blur(image: np.ndarray, radius: float, rng: np.random.Generator) -> np.ndarray:
    """Blurs by a Gaussian of a radius, its standard deviation in pixels.

    Args:
      image: `[height, width, channels]` uint8.
      radius: In pixels.
      rng: Not needed here.
    """
    return _array(_picture(image).filter(ImageFilter.GaussianBlur(radius)), image)


def contrast(image: np.ndarray, kept: float, rng: np.random.Generator) -> np.ndarray:
    """Reduces each pixel's distance from the mean of its channel to a given share.

    Args:
      image: `[height, width, channels]` uint8.
      kept: The share, in [0, 1].
      rng: Not needed here.
    """
    mean = image.mean(axis=(0, 1))
    return _rounded(mean + kept * (image - mean))


def jpeg(image: np.ndarray, quality: float, rng: np.random.Generator) -> np.ndarray:
    """Compresses an image as JPEG of a quality from 1 to 95, and decodes it again.

    Args:
      image: `[height, width, channels]` uint8.
      quality: As Pillow defines it.
      rng: Not needed here.
    """
    file = io.BytesIO()
    _picture(image).save(file, "jpeg", quality=int(quality))
    return _array(Image.open(file), image)


#: All kinds. A row and its function are all that another one takes.
CORRUPTIONS: dict[str, Corruption] = {
    "noise": Corruption("Gaussian noise", (0.04, 0.08, 0.12), noise),
    "blur": Corruption("Gaussian blur", (0.5, 1.0, 1.5), blur),
    "contrast": Corruption("Contrast", (0.7, 0.4, 0.2), contrast),
    "jpeg": Corruption("JPEG", (60, 30, 10), jpeg),
}

#: Sets of corrupted images, by kind and strength, in the order of their arrays.
SETS = [(name, strength) for name in CORRUPTIONS for strength in (1, 2, 3)]


def corrupt(image: np.ndarray, name: str, strength: int, rng: np.random.Generator):
    """An image with a corruption of the given strength.

    Args:
      image: `[height, width, channels]` uint8, of 1 or 3 channels.
      name: Key in `CORRUPTIONS`.
      strength: 1, 2 or 3.
      rng: Draws the noise.

    Returns:
      The same shape and type.

    Raises:
      InputError: The image has another number of channels.
    """
    if image.shape[-1] not in (1, 3):
        raise InputError(
            f"corruptions: images have {image.shape[-1]} channels; allowed: 1 or 3."
        )
    row = CORRUPTIONS[name]
    return row.of(image, row.strengths[strength - 1], rng)


def _rounded(values: np.ndarray) -> np.ndarray:
    return np.clip(np.rint(values), 0, 255).astype(np.uint8)


def _picture(image: np.ndarray) -> Image.Image:
    return Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)


def _array(picture: Image.Image, image: np.ndarray) -> np.ndarray:
    return np.asarray(picture).reshape(image.shape)
