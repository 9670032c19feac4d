"""Corrupted images, by what can be checked by hand."""

import numpy as np
import pytest

from kdfunc import corruptions
from kdfunc.errors import InputError


def image(channels, size=16):
    """A smooth image with an edge."""
    ramp = np.add.outer(4 * np.arange(size), 6 * np.arange(size)).astype(np.uint8)
    ramp[: size // 2] += 60
    return np.repeat(ramp[..., None], channels, axis=2)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", corruptions.CORRUPTIONS)
def test_what_is_stronger_changes_more(name, channels):
    clean = image(channels)
    changes = []
    for strength in (1, 2, 3):
        found = [
            corruptions.corrupt(clean, name, strength, np.random.default_rng(0))
            for _ in range(2)
        ]
        assert found[0].dtype == np.uint8 and found[0].shape == clean.shape
        np.testing.assert_array_equal(*found)  # the same seed, the same bytes
        changes.append(np.abs(found[0].astype(float) - clean).mean())
    assert 0 < changes[0] < changes[1] < changes[2]


def test_the_sets_are_all_kinds_at_three_strengths():
    assert len(corruptions.SETS) == 3 * len(corruptions.CORRUPTIONS) == 12
    assert corruptions.SETS[:4] == [("noise", 1), ("noise", 2), ("noise", 3)] + [
        ("blur", 1)
    ]


def test_noise_has_the_deviation_that_it_is_said_to_have():
    grey = np.full((100, 100, 1), 128, np.uint8)
    found = corruptions.noise(grey, 0.1, np.random.default_rng(0))
    assert found.std() == pytest.approx(25.5, rel=0.03)
    assert found.mean() == pytest.approx(128, abs=1)
    white = np.full((100, 100, 1), 255, np.uint8)  # what is beyond white is white
    found = corruptions.noise(white, 0.1, np.random.default_rng(0))
    assert np.mean(found == 255) == pytest.approx(0.5, abs=0.03)


def test_contrast_shrinks_towards_the_mean_of_each_channel(rng):
    pixels = np.array([[[0, 10], [100, 30]]], np.uint8)
    found = corruptions.contrast(pixels, 0.4, rng)
    np.testing.assert_array_equal(found, [[[30, 16], [70, 24]]])


@pytest.mark.parametrize("name", ["blur", "contrast"])
def test_an_even_image_stays_as_it_is(name, rng):
    even = np.full((8, 8, 3), [200, 30, 90], np.uint8)
    np.testing.assert_array_equal(corruptions.corrupt(even, name, 3, rng), even)


def test_blur_spreads_a_point_to_all_sides_alike(rng):
    point = np.zeros((11, 11, 1), np.uint8)
    point[5, 5] = 255
    found = corruptions.blur(point, 1.0, rng)[..., 0].astype(int)
    np.testing.assert_array_equal(found, found[::-1])
    np.testing.assert_allclose(found, found.T, atol=1)  # rounded after each pass
    assert 0 < found[5, 6] < found[5, 5] < 255
    # 1 / (2 pi) of a point stays in the middle of a Gaussian of deviation 1.
    assert found[5, 5] == pytest.approx(255 / (2 * np.pi), abs=6)


def test_jpeg_of_high_quality_is_nearly_the_image(rng):
    clean = image(3)
    found = corruptions.jpeg(clean, 95, rng)
    assert np.abs(found.astype(int) - clean).mean() < 2


def test_images_of_other_channels_are_refused(rng):
    with pytest.raises(InputError, match="images have 4 channels; allowed: 1 or 3"):
        corruptions.corrupt(image(4), "blur", 1, rng)
