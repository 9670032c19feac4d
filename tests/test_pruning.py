import types

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as st_np

from kdfunc.errors import InputError

pytestmark = pytest.mark.usefixtures("tensorflow")

# Few different values, so that ties are the rule.
ARRAYS = st.lists(
    st_np.arrays(
        np.float32,
        st_np.array_shapes(max_dims=3, max_side=5),
        elements=st.sampled_from([-2.0, -1.0, 0.5, 1.0, 2.0]),
    ),
    min_size=1,
    max_size=4,
)
LEVELS = st.lists(st.floats(0, 0.999), min_size=1, max_size=4)


def l1_global(arrays, levels):
    from kdfunc.pruning import l1_global

    return list(l1_global(arrays, levels))


@given(arrays=ARRAYS, levels=LEVELS)
def test_exactly_the_smallest_entries_become_zero(arrays, levels):
    flat = np.concatenate([array.ravel() for array in arrays])
    for level, pruned in zip(levels, l1_global(arrays, levels), strict=True):
        new = np.concatenate([array.ravel() for array in pruned])
        zeros = new == 0
        assert zeros.sum() == round(level * flat.size)
        np.testing.assert_array_equal(new[~zeros], flat[~zeros])
        if zeros.any() and not zeros.all():
            assert np.abs(flat[zeros]).max() <= np.abs(flat[~zeros]).min()
        assert [a.shape for a in pruned] == [a.shape for a in arrays]
        assert all(array.dtype == np.float32 for array in pruned)


def test_of_ties_the_first_go():
    (pruned,) = l1_global([np.array([1.0, -1, 2]), np.array([[1.0], [-1]])], [0.6])
    np.testing.assert_array_equal(pruned[0], [0, 0, 2])
    np.testing.assert_array_equal(pruned[1], [[0], [-1]])


@pytest.mark.parametrize("level", [-0.1, 1.0, float("nan")])
def test_a_level_that_is_not_allowed_is_refused(level):
    with pytest.raises(InputError, match="from 0 to below 1"):
        l1_global([np.ones(3)], [level])


@pytest.fixture(scope="module")
def lenet():
    from kdfunc import models

    return models.build("lenet", (28, 28, 1), 10, seed=0)


@pytest.fixture(scope="module")
def depthwise():
    """A small network with a depthwise convolution and batch norm, as MobileNet's."""
    from kdfunc import models
    from kdfunc.runtime import keras

    keras.utils.set_random_seed(0)
    image = keras.Input((28, 28, 1), name="image")
    x = keras.layers.Conv2D(8, 3, strides=2)(image)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.DepthwiseConv2D(3)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    return models._with_softmax(image, keras.layers.Dense(10)(x), "depthwise")


def zeros(model, variables=None):
    variables = model.weights if variables is None else variables
    return sum(int(np.count_nonzero(v.numpy() == 0)) for v in variables)


def test_scope_all_ranks_every_array_as_the_notebooks_do(depthwise):
    from kdfunc import pruning

    pruned = pruning.prune(depthwise, 0.5, "all")
    assert zeros(pruned) == round(0.5 * depthwise.count_params())
    means = [w for w in pruned.weights if "moving_mean" in w.name]
    assert zeros(pruned, means) == 8  # zero from the start, so the first to be ranked


def test_scope_kernels_leaves_the_rest_alone(depthwise):
    from kdfunc import pruning

    pruned = pruning.prune(depthwise, 0.5, "kernels")
    kernels = pruning.kernels(pruned)
    assert len(kernels) == 3
    size = sum(int(np.prod(k.shape)) for k in kernels)
    assert zeros(pruned, kernels) == round(0.5 * size)
    names = {k.name for k in kernels}
    for old, new in zip(depthwise.weights, pruned.weights, strict=True):
        if new.name not in names:
            np.testing.assert_array_equal(old, new)


def test_the_model_itself_is_left_as_it_is(lenet):
    from kdfunc import pruning

    before = lenet.get_weights()
    pruning.prune(lenet, 0.9, "all")
    for old, new in zip(before, lenet.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_layerwise_takes_the_same_share_of_each_kernel(depthwise):
    from kdfunc import pruning

    for kernel in pruning.kernels(pruning.prune(depthwise, 0.3, "layerwise")):
        assert np.count_nonzero(kernel == 0) == round(0.3 * kernel.shape.num_elements())


def test_two_of_four_input_channels_become_zero(lenet):
    from kdfunc import pruning

    pruned = pruning.kernels(pruning.prune_2_of_4(lenet))
    for old, new in zip(pruning.kernels(lenet), pruned, strict=True):
        old, new = (np.moveaxis(k.numpy(), -2, -1) for k in (old, new))
        if old.shape[-1] == 1:  # the image's one channel
            np.testing.assert_array_equal(new, old)
            continue
        blocks, kept = (k.reshape(-1, 4) for k in (old, new))
        assert (np.count_nonzero(kept, axis=1) == 2).all()
        largest = np.sort(np.abs(blocks), axis=1)[:, 2:]
        np.testing.assert_array_equal(np.sort(np.abs(kept), axis=1)[:, 2:], largest)


def test_two_of_four_leaves_every_depthwise_kernel_dense():
    from kdfunc import pruning
    from kdfunc.runtime import keras

    layers = keras.layers
    both = [keras.Input((5, 5, 8)), layers.DepthwiseConv2D(3)]
    model = keras.Sequential([*both, layers.SeparableConv2D(4, 3)])
    zeros = {
        kernel.name.rsplit("/")[-1]: np.mean(kernel == 0)
        for kernel in pruning.kernels(pruning.prune_2_of_4(model))
    }
    assert zeros == {"depthwise_kernel:0": 0, "pointwise_kernel:0": 0.5}


@pytest.fixture
def odd(tensorflow):
    """Models that people give: nested, subclassed, of Keras 3, and none at all."""
    import keras as keras_3

    from kdfunc.runtime import keras

    layers = keras.layers

    class Subclassed(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(4)

        def call(self, x):
            return self.dense(x)

    subclassed = Subclassed()
    subclassed(np.zeros((1, 8), np.float32))
    inner = keras.Sequential([keras.Input((8,)), layers.Dense(6)], name="inner")
    return {
        "nested": keras.Sequential([keras.Input((8,)), inner, layers.Dense(4)]),
        "subclassed": subclassed,
        "keras_3": keras_3.Sequential([keras_3.Input((8,)), keras_3.layers.Dense(4)]),
        "none": None,
    }


ODD = {
    "subclassed": "got a subclassed or unbuilt .*Subclassed; give a functional or",
    "keras_3": "got a keras.*Sequential, which is Keras 3; give a functional or",
    "none": "got a builtins.NoneType; give a functional or",
}


@pytest.mark.parametrize("kind", ODD)
@pytest.mark.parametrize("function", ["prune", "prune_2_of_4", "prunable"])
def test_models_that_cannot_be_pruned_are_told(odd, kind, function):
    from kdfunc import pruning

    arguments = (0.5, "kernels") if function == "prune" else ()
    with pytest.raises(InputError, match=f"model: {ODD[kind]}"):
        getattr(pruning, function)(odd[kind], *arguments)


def test_nested_models_are_pruned_or_told(odd):
    from kdfunc import pruning

    pruned = pruning.prune(odd["nested"], 0.5, "kernels")
    zeros = [np.count_nonzero(v.numpy() == 0) for v in pruning.kernels(pruned)]
    assert sum(zeros) == round(0.5 * (8 * 6 + 6 * 4))
    for function in (pruning.prunable, pruning.prune_2_of_4):
        with pytest.raises(InputError, match="the model inner; .* without nested"):
            function(pruned)


def test_an_unknown_scope_is_told(odd):
    from kdfunc import pruning

    with pytest.raises(InputError, match="'global'; allowed: all, kernels, layerwise"):
        pruning.prune(odd["nested"], 0.5, "global")


def test_a_model_whose_outputs_are_no_numbers_is_told_and_not_kept(
    lenet, monkeypatch, tmp_path
):
    """As where no epsilon protects batch normalization from a variance of zero."""
    from kdfunc.runs import compressing
    from kdfunc.runs.task import Task
    from kdfunc.runs.workplace import Work

    monkeypatch.setattr(compressing, "trained", lambda run, base: lenet)
    nothing = np.full((4, 10), np.nan, "float32")
    monkeypatch.setattr(
        compressing.training, "predictor", lambda model: lambda images: nothing
    )
    config = types.SimpleNamespace(pruning_scope="all")
    data = types.SimpleNamespace(test_images=None)
    place = types.SimpleNamespace(config=config, data=data, run=None)
    task = Task("pruned", "prune", settings={"base": "base", "level": 0.5})
    written = compressing.prune(Work(task, place, tmp_path, print))
    assert written == [file.name for file in tmp_path.iterdir()]
    (told,) = written
    assert told == "not_possible.txt"
    assert "some of its outputs are not numbers" in (tmp_path / told).read_text("utf-8")


def test_scopes_rank_kernels_together_or_each_by_itself():
    from kdfunc import pruning
    from kdfunc.runtime import keras

    layers = keras.layers
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.Dense(4)])
    small = np.arange(1.0, 17).reshape(4, 4)
    kernels = (small, 100 + small)
    for layer, kernel in zip(model.layers, kernels, strict=True):
        layer.set_weights([kernel, np.zeros(4)])
    for scope, cut in (("kernels", (16, 0)), ("layerwise", (8, 8))):
        found = pruning.prune(model, 0.5, scope).layers
        for layer, kernel, count in zip(found, kernels, cut, strict=True):
            expected = np.where(kernel - kernel.min() < count, 0, kernel)
            np.testing.assert_array_equal(layer.get_weights()[0], expected)
