"""Fast training of depthwise convolutions on images smaller than their kernel.

The last layers of MobileNet see 2x2 and 1x1 pixels of a 32x32 image. oneDNN has no fast
kernel for the filter gradient of such an image if the padding is implicit: these layers
alone then take a seventh (AVX-512) to over a third (AVX2) of a training step. Padding
the image with zeros first gives the same outputs and gradients through a fast kernel.
"""

import contextlib
from collections.abc import Iterator

from kdfunc.runtime import keras, tf


@contextlib.contextmanager
def padded_first(model: keras.Model) -> Iterator[None]:
    """Makes depthwise convolutions pad explicitly while a model's training is traced.

    Afterwards its layers are as before, so its files do not show it.

    Args:
      model: the model, which is changed in the meantime.
    """
    found = [
        layer
        for layer in model.submodules
        if isinstance(layer, keras.layers.DepthwiseConv2D)
        and layer.padding == "same"
        and layer.data_format == "channels_last"
        and set(layer.dilation_rate) == {1}
    ]
    for layer in found:
        layer.call = _padding(layer)
    try:
        yield
    finally:
        for layer in found:
            del layer.call


def _padding(layer):
    def call(images):
        sizes = images.shape[1:3]
        if not any(n < k for n, k in zip(sizes, layer.kernel_size, strict=True)):
            return type(layer).call(layer, images)
        margins = map(_margin, sizes, layer.kernel_size, layer.strides)
        layer.padding = "valid"
        try:
            padded = tf.pad(images, [(0, 0), *margins, (0, 0)])
            return type(layer).call(layer, padded)
        finally:
            layer.padding = "same"

    return call


def _margin(size: int, kernel: int, stride: int) -> tuple[int, int]:
    """Number of zeros that `same` adds before and after an axis, the odd one after."""
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2
