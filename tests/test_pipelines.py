import pytest
from hypothesis import given
from hypothesis import strategies as st

from kdfunc import pipelines
from kdfunc.errors import InputError


@pytest.mark.parametrize(
    ("pipeline", "steps", "storage", "sparse"),
    [
        ("float32", [], "float32", False),
        ("prune90+sparse", ["prune90"], "float32", True),
        (
            "prune5-layerwise+dynamic-range",
            ["prune5-layerwise"],
            "dynamic-range",
            False,
        ),
        ("prune2of4+finetune", ["prune2of4", "finetune"], "float32", False),
        (
            "prune50+finetune+cluster16+finetune+int4+sparse",
            ["prune50", "finetune", "cluster16", "finetune"],
            "int4",
            True,
        ),
        (
            "prune30+mine.module:f+dynamic-range",
            ["prune30", "mine.module:f"],
            "dynamic-range",
            False,
        ),
        ("cluster256+qat+full-int8", ["cluster256", "qat"], "full-int8", False),
    ],
)
def test_a_pipeline_is_taken_apart(pipeline, steps, storage, sparse):
    assert pipelines.parse(pipeline) == (steps, storage, sparse)


@pytest.mark.parametrize(
    ("pipeline", "told"),
    [
        ("", "the step ''; allowed: pruneN"),
        ("prune90+sparce", "the step 'sparce'; allowed: pruneN"),
        ("prune0", "the step 'prune0'; allowed: pruneN"),
        ("prune100", "N from 1 to 99"),
        ("cluster2", "N from 3 to 256"),
        ("cluster257", "N from 3 to 256"),
        ("dynamic-range+prune90", "the order is prune, a step of your own, finetune"),
        ("prune30+prune90", "each at most once"),
        ("prune90+dynamic-range+float16", "each at most once"),
        ("qat", "give qat+full-int8"),
        ("qat+int4", "give qat+full-int8"),
        ("dynamic-range+sparse", "prune first"),
        ("dynamic-range", "quantization=dynamic-range makes"),
        ("prune90+float32", "omit it"),
    ],
)
def test_what_is_no_pipeline_is_told_in_one_sentence(pipeline, told):
    with pytest.raises(InputError) as error:
        pipelines.expand([pipeline])
    assert str(error.value).startswith(f"compressions: got {pipeline!r}")
    assert told in str(error.value)


@given(st.lists(st.sampled_from(["prune90", "finetune", "cluster16", "qat", "sparse"])))
def test_any_words_are_taken_or_refused(words):
    try:
        steps, _, sparse = pipelines.parse("+".join(words))
    except InputError:
        return
    assert steps == [word for word in words if word != "sparse"]
    assert sparse == ("sparse" in words)


def test_all_has_every_mode_and_can_be_added_to():
    assert pipelines.expand(["all", "prune30"]) == (*pipelines.ALL, "prune30")
    assert pipelines.expand(pipelines.ALL) == pipelines.ALL  # as config.json reads back
    stored = {pipelines.parse(pipeline)[1] for pipeline in pipelines.ALL}
    assert stored == set(pipelines.FORMATS)
