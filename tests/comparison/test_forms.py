import numpy as np
import pytest

from kdfunc.comparison.forms import settle
from kdfunc.errors import InputError


def softmax(z):
    e = np.exp(z - z.max(axis=-1, keepdims=True))
    return (e / e.sum(axis=-1, keepdims=True)).astype(np.float32)


@pytest.fixture
def logits(rng):
    return (3 * rng.normal(size=(60, 5))).astype(np.float32)


def settled(*arrays, said=(), labels=None):
    models = ("reference", "candidate", "independent")[: len(arrays)]
    said = dict.fromkeys(models, "auto") | dict(said)
    return settle("", dict(zip(models, arrays, strict=True)), said, labels)


def test_probabilities_and_logits_are_told_apart_for_each_model(logits):
    p = softmax(logits)
    found = settled(p, logits, p)
    assert found.kind == "classes" and found.classes == 5
    assert [*found.forms.values()] == ["probabilities", "logits", "probabilities"]
    for array in found.arrays.values():
        np.testing.assert_allclose(array, p, atol=1e-6)


def test_the_whole_file_decides(logits):
    """Logits that look like probabilities in all rows but the last."""
    rows = softmax(logits)
    rows[-1] = [5, -1, 0, 0, 0]
    found = settled(softmax(logits), rows)
    assert found.forms["candidate"] == "logits"


def test_logits_on_both_sides_need_a_sign_of_classes(logits, rng):
    found = settled(logits, logits)
    assert found.kind == "numbers" and "--outputs=logits" in found.hint
    labels = logits.argmax(axis=1)
    labels[::4] = rng.integers(5, size=15)
    found = settled(logits, logits, labels=labels)
    assert found.kind == "classes" and set(found.forms.values()) == {"logits"}
    assert found.hint.startswith("taken for logits, since the largest number of a row")
    found = settled(logits, logits, said={"reference": "logits"})
    assert found.kind == "classes"
    found = settled(logits, logits, labels=rng.integers(5, size=60))
    assert found.kind == "numbers"  # labels that have nothing to do with the outputs


@pytest.mark.parametrize(
    ("convert", "told"),
    [
        (lambda p: 100 * p, "percentages of probabilities.* divided by 100"),
        (lambda p: (255 * p).round().astype(np.uint8), r"8-bit codes.* \* scale"),
        (lambda p: ((256 * p).round() - 128).clip(-128, 127).astype(np.int8), "8-bit"),
        (lambda p: ((256 * p).round() - 128).clip(-128, 127), "8-bit codes"),
    ],
)
def test_percentages_and_codes_are_not_taken_for_logits(logits, convert, told):
    p = softmax(logits)
    for pair in ((p, convert(p)), (convert(p), p), (convert(p), convert(p))):
        with pytest.raises(InputError, match=told):
            settled(*pair)
    assert settled(p, convert(p), said={"candidate": "numbers"}).kind == "numbers"


@pytest.mark.parametrize(
    "make",
    [
        lambda rng: rng.normal(size=(200, 512)).clip(0),  # an embedding after a ReLU
        lambda rng: rng.integers(2, size=(200, 300), dtype=np.uint8),  # tags
        lambda rng: 30 * rng.random((200, 7)),
    ],
)
def test_other_numbers_of_one_sign_are_no_percentages(make, rng):
    array = make(rng)
    assert settled(array, array).kind in ("numbers", "positions")


def test_what_is_said_of_outputs_must_be_so(logits):
    p = softmax(logits)
    with pytest.raises(InputError, match="of reference cannot be logits.*sums to 1"):
        settled(p, p, said={"reference": "logits"})
    with pytest.raises(
        InputError, match="of candidate cannot be logits, since every value lies"
    ):
        settled(p, p * 0.5, said={"candidate": "logits"})
    with pytest.raises(InputError, match="cannot be probabilities"):
        settled(p, logits, said={"candidate": "probabilities"})
    assert settled(p, p, said={"reference": "numbers"}).kind == "numbers"


def test_a_model_that_has_collapsed_is_compared_all_the_same(logits):
    """All of its logits are 0, which lies between 0 and 1."""
    for models in (["reference"], ["reference", "candidate"]):
        said = dict.fromkeys(models, "logits")
        found = settled(logits, np.zeros_like(logits), said=said)
        assert found.kind == "classes"
        assert set(found.forms.values()) == {"logits"}


@pytest.mark.parametrize("between", [(1,), (1, 1)])
def test_dimensions_of_one_are_no_positions(logits, between):
    p = softmax(logits).reshape(60, *between, 5)
    found = settled(p, p)
    assert found.kind == "classes" and found.arrays["reference"].shape == (60, 5)
    assert found.shape == (*between, 5)


def test_one_number_in_0_to_1_is_the_probability_of_class_1(logits):
    p = softmax(logits)[:, :1]
    found = settled(p, p)
    assert found.kind == "classes" and found.classes == 2
    expected = np.concatenate([1 - p.astype(float), p], axis=1)
    np.testing.assert_array_equal(found.arrays["reference"], expected)
    z = logits[:, :1]
    assert settled(z, z).kind == "numbers"
    found = settled(z, z, said={"reference": "logits"})
    expected = 1 / (1 + np.exp(-z[:, 0].astype(float)))
    np.testing.assert_allclose(found.arrays["reference"][:, 1], expected)
    np.testing.assert_allclose(found.arrays["reference"].sum(axis=1), 1)
    found = settled(z, z, labels=(z[:, 0] > 0).astype(int))
    assert found.kind == "classes"


def test_independent_probabilities_are_tags(rng):
    p = rng.random((20, 5)).astype(np.float32)
    assert settled(p, p).kind == "tags"
    with pytest.raises(InputError, match="do not sum to 1, unlike those of reference"):
        settled(softmax(p), p)


def test_sums_that_are_nearly_1_are_an_error(logits):
    """A damaged softmax is neither tags nor logits."""
    p = softmax(logits)
    for factor, told in [(0.98, "sums to 0.98 in row 0"), (1.02, "has 1.0")]:
        with pytest.raises(InputError, match=f"of candidate {told}"):
            settled(p, p * np.float32(factor))


def test_positions(rng):
    z = rng.normal(size=(6, 4, 3, 5))
    p = softmax(z)
    found = settled(p, p)
    assert found.kind == "positions"
    np.testing.assert_array_equal(found.arrays["reference"], z.argmax(axis=-1))
    found = settled(p, z.astype(np.float32))
    assert found.forms["candidate"] == "logits"
    found = settled(z, z)
    assert found.kind == "numbers" and "at each position" in found.hint
    indices = z.argmax(axis=-1)
    found = settled(indices, indices)
    assert found.kind == "positions"


def test_masks_are_numbers_until_it_is_said(rng):
    mask = rng.random((6, 4, 3, 1))
    found = settled(mask, mask)
    assert found.kind == "numbers" and "--outputs=probabilities" in found.hint
    found = settled(mask, mask, said={"reference": "probabilities"})
    assert found.kind == "positions"
    np.testing.assert_array_equal(found.arrays["candidate"], mask[..., 0] >= 0.5)


def test_what_is_no_number_is_told_with_its_row(logits):
    broken = logits.copy()
    broken[7, 2] = np.nan
    with pytest.raises(InputError, match="output of candidate is nan in row 7"):
        settled(logits, broken)
    with pytest.raises(
        InputError, match=r"shape \[4\] .*, but that of reference has \[5\]"
    ):
        settled(logits, logits[:, :4])


def test_a_softmax_of_many_classes_in_8_bits_is_one(rng):
    """Small probabilities are rounded off, so rows sum to 0.8; none is a tag."""
    p = softmax(3 * rng.normal(size=(60, 1001)))
    rounded = (np.rint(256 * p) / 256).astype(np.float32)
    assert rounded.sum(axis=1).min() < 0.9
    found = settled(p, rounded)
    assert found.kind == "classes"
    assert set(found.forms.values()) == {"probabilities"}
    assert settled(rounded, rounded).kind == "classes"
    tags = np.rint(256 * rng.beta(0.02, 2, size=(60, 1001))) / 256
    assert settled(tags, tags).kind == "tags"
    scores = 0.019 + 0.01 * rng.random((60, 40))  # of a detector that sees nothing
    scores = np.rint(256 * scores) / 256
    assert np.abs(scores.sum(axis=1) - 1).min() < 0.1
    assert settled(scores, scores).kind == "tags"
    few = np.zeros((60, 1001))
    few[np.arange(60), rng.integers(1001, size=60)] = np.rint(rng.random(60) * 256)
    assert settled(few / 256, few / 256).kind == "tags"
