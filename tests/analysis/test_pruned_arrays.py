"""Batch-norm statistics that pruning sets to zero."""

import pandas as pd

from kdfunc.analysis import pruned_arrays


def test_moving_variances_are_found_in_the_files_of_models(tensorflow, tmp_path):
    from kdfunc import models
    from kdfunc.runtime import keras

    layers = keras.layers
    inputs = layers.Input((4, 4, 1))
    x = layers.BatchNormalization()(layers.Conv2D(3, 3)(inputs))
    x = layers.BatchNormalization(scale=False)(layers.Conv2D(5, 2)(x))
    model = keras.Model(inputs, layers.Dense(2)(layers.Flatten()(x)))
    first, second = (
        layer for layer in model.layers if isinstance(layer, layers.BatchNormalization)
    )
    first.moving_variance.assign([1.0, 0.0, 2.0])
    second.moving_mean.assign([7.0] * 5)
    second.moving_variance.assign([0.0, 3.0, 0.0, 4.0, 5.0])
    models.save(model, tmp_path / "model.keras")
    found = pruned_arrays.moving_variances(tmp_path / "model.keras")
    assert sorted(found.tolist()) == [0, 0, 0, 1, 2, 3, 4, 5]


def made(rows):
    columns = ["level", "scope", "model", "deviation", "moving_variances", "zero"]
    return pd.DataFrame(rows, columns=columns)


def test_the_sentence_says_what_each_scope_does():
    every = (0.1, "all arrays", "pruned-10", -82.0, 10944, 4221)
    kernels = (0.1, "kernels alone", "prune10", -1.4, 10944, 0)
    told = pruned_arrays.sentence(made([every, kernels]))
    assert "Pruning 10 % of all arrays changes the accuracy by -82.0 %" in told
    assert "4,221 of 10,944 moving variances" in told
    assert told.endswith("of kernels alone changes the accuracy by -1.4 %.")
    assert "The pipeline prune10, which this run lacks" in pruned_arrays.sentence(
        made([every])
    )
    assert pruned_arrays.sentence(made([kernels])) == ""
    whole = (0.5, "all arrays", "pruned-50", -1.0, 10944, 0)
    told = pruned_arrays.sentence(made([whole, kernels]))
    assert "up to 50 % of all arrays sets none of the 10,944 moving" in told


def test_a_network_without_batch_normalization_has_none(tensorflow, tmp_path):
    from kdfunc import models

    model = models.build("lenet", (28, 28, 1), 10, seed=0)
    models.save(model, tmp_path / "model.keras")
    assert pruned_arrays.moving_variances(tmp_path / "model.keras").shape == (0,)
