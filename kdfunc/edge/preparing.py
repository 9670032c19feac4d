"""Converts arrays of a data file to what an input takes.

An array of the input's own integer type is used unchanged: bytes for a uint8 input,
token ids for an int32 input. For any other input, uint8 images are pixels: they become
real numbers by the range or the mean and standard deviation that the user gives, else
by the metadata of the file, else 0 to 1. Floating-point arrays are real numbers
already. Real numbers are quantized with the input's scale and zero point if it has
them.
"""

import math

import numpy as np

from kdfunc.edge.metadata import Described
from kdfunc.edge.ports import Port
from kdfunc.edge.ranges import PIXELS, Range
from kdfunc.edge.settings import Settings
from kdfunc.errors import InputError

DIM = 64  # images in bytes rarely have no brighter pixel in all of a data file
SUSPICIOUS = 16  # a float model that takes no pixels rarely takes images beyond this
CHANNELS = (1, 3, 4)
DEFAULT = "the default"


class Preparation:
    """Converts arrays to what one input takes, and notes what looks wrong.

    Args:
      port: the input.
      settings: of the model.
      said: the input's metadata in the file.
      likely: the range for which the input was likely made.
      model: its name in errors.
    """

    def __init__(
        self,
        port: Port,
        settings: Settings,
        said: Described,
        likely: Range | None,
        model: str,
    ):
        self._port, self._likely, self._model = port, likely, model
        self._mean, self._std, self._source = _normalization(settings, said)
        self._low, self._high = math.inf, -math.inf
        self._brightest = -1  # of all bytes that stand for real numbers
        self._took_default = False
        self.told = ""  # what was done, once something was

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The values in the input's type.

        Raises:
          InputError: the input does not accept values of that type.
        """
        port = self._port
        if port.kind in "iub" and (values.dtype == port.dtype or not port.scales.any()):
            self.told = f"{values.dtype} unchanged"
            return self._whole_numbers(values)
        if port.kind not in "fiu":
            raise InputError(
                f"{self._model} takes {port.dtype} for {port.name}, which a file of "
                "numbers cannot hold; choose another signature or model."
            )
        if values.dtype == np.uint8:
            real = self._pixels(values)
            self._took_default = self._source == DEFAULT
            self.told = f"bytes as {self._span()} ({self._source})"
        elif values.dtype.kind == "f":
            real = values.astype(np.float32, copy=False)
            self._low = min(self._low, float(np.min(real, initial=math.inf)))
            self._high = max(self._high, float(np.max(real, initial=-math.inf)))
            self.told = "floating point unchanged"
        else:
            raise InputError(
                f"{port.name} of {self._model} takes {port.dtype}, but the data have "
                f"type {values.dtype}; give uint8 images, floating point, or "
                f"{port.dtype}."
            )
        if port.kind == "f":
            return real.astype(port.dtype, copy=False)
        self.told += ", quantized"
        return self._codes(real)

    def notes(self) -> list[str]:
        """What looks wrong with the values so far, one sentence each."""
        likely, name = self._likely, f"{self._port.name} of {self._model}"
        if 0 <= self._brightest < DIM:
            return [
                f"{name} got bytes of at most {self._brightest} where 255 is the "
                "brightest; if they have another scale, give floating point in the "
                "value range that it was trained on."
            ]
        if self._took_default:
            if not likely or likely.is_like(0, 1):
                return []
            return [
                f"{name} got bytes as 0 to 1 but was likely made for {likely} (judging "
                f"by {likely.why}); if so, give "
                f"--range={likely.low:.4g},{likely.high:.4g}."
            ]
        if self._low > self._high:  # no floating point was given
            return []
        found = f"{self._low:.4g} to {self._high:.4g}"
        if likely and not likely.covers(self._low, self._high):
            return [
                f"{name} got values from {found} but was likely made for {likely} "
                f"(judging by {likely.why}); give images in that range."
            ]
        shape = self._port.shape
        is_image = len(shape) >= 3 and shape[-1] in CHANNELS
        reach = max(-self._low, self._high)
        if not likely and is_image and reach > SUSPICIOUS:
            return [
                f"{name} got values from {found}, but most image models take 0 to 1 or "
                "-1 to 1; give images in the value range that it was trained on, or "
                "uint8 images and --range."
            ]
        return []

    def _whole_numbers(self, values: np.ndarray) -> np.ndarray:
        port = self._port
        if values.dtype == port.dtype:
            return values
        if values.dtype.kind not in "iub":
            raise InputError(
                f"{port.name} of {self._model} takes {port.dtype} without a scale, "
                f"which is not an image, but the data have type {values.dtype}; give "
                "whole numbers, such as token ids."
            )
        converted = values.astype(port.dtype)
        if not np.array_equal(converted.astype(values.dtype), values):
            raise InputError(
                f"{port.name} of {self._model} takes {port.dtype}, but the data range "
                f"from {values.min()} to {values.max()}; give numbers of that type."
            )
        return converted

    def _pixels(self, values: np.ndarray) -> np.ndarray:
        for numbers in (self._mean, self._std):
            if numbers.size > 1 and values.shape[-1:] != numbers.shape:
                raise InputError(
                    f"{self._source} has {numbers.size} channels, but the images "
                    f"{list(values.shape)} have another number; give one number, or "
                    "one per channel."
                )
        if self._source == DEFAULT:
            self._brightest = max(self._brightest, int(values.max(initial=0)))
        values = values.astype(np.float32)
        if self._mean.any():
            values -= self._mean
        return values / self._std

    def _span(self) -> str:
        if max(self._mean.size, self._std.size) == 1:
            ends = [(x - self._mean[0]) / self._std[0] for x in (0, PIXELS)]
            return f"{ends[0]:.4g} to {ends[1]:.4g}"
        mean, std = (
            ",".join(f"{x:.4g}" for x in numbers) for numbers in (self._mean, self._std)
        )
        return f"(byte - mean) / std with mean {mean} and std {std}"

    def _codes(self, real: np.ndarray) -> np.ndarray:
        if self._port.scales.size > 1:
            raise InputError(
                f"{self._port.name} of {self._model} is quantized per channel, which "
                f"no interpreter supports; give {self._port.dtype}."
            )
        if np.isnan(real).any():
            raise InputError(
                f"{self._port.name} of {self._model} takes {self._port.dtype}, but the "
                "data have NaN, for which it has no code; give finite numbers."
            )
        limits = np.iinfo(self._port.dtype)
        zero = int(self._port.zero_points.sum())
        codes = np.rint(real / self._port.scales[0]) + zero
        return codes.clip(limits.min, limits.max).astype(self._port.dtype)


def _normalization(settings: Settings, said: Described):
    """Mean and standard deviation of pixels, and their source."""
    mean: tuple[float, ...]
    std: tuple[float, ...]
    if settings.range:
        low, high = settings.range
        scale = PIXELS / (high - low)
        mean, std, source = (-low * scale,), (scale,), "the range given"
    elif settings.mean or settings.std:
        mean, std = settings.mean or (0.0,), settings.std or (1.0,)
        source = "the mean and std given"
    elif said.mean:
        mean, std, source = said.mean, said.std, "the metadata of the file"
    else:
        mean, std, source = (0.0,), (float(PIXELS),), DEFAULT
    return np.asarray(mean, np.float32), np.asarray(std, np.float32), source
