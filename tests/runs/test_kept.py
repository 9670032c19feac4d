"""The final outputs that stand in for the records of a published run."""

import numpy as np
import pytest

from kdfunc.analysis import everything
from kdfunc.errors import InputError
from kdfunc.runs import kept
from kdfunc.runs.directory import RunDirectory


def softmax(rng, examples=50):
    logits = rng.normal(size=(examples, 10)) * 4
    exp = np.exp(logits - logits.max(axis=1, keepdims=True))
    return (exp / exp.sum(axis=1, keepdims=True)).astype(np.float32)


def save(path, models, needed=(), limit=kept.LIMIT):
    names = [f"class {k}" for k in range(10)]
    return kept.save(path, models.items(), np.arange(50) % 10, names, needed, limit)


def test_what_is_kept_reads_back_as_float16(tmp_path, rng):
    models = {"base": softmax(rng), "pruned-90": softmax(rng)}
    assert save(tmp_path / kept.FILE, models) == []
    found = kept.load(tmp_path / kept.FILE)
    assert list(found["class_names"][:2]) == ["class 0", "class 1"]
    np.testing.assert_array_equal(found["labels"], np.arange(50) % 10)
    for name, p in models.items():
        assert found[name].dtype == np.float16
        np.testing.assert_allclose(found[name], p, rtol=2**-11, atol=2**-25)


def test_a_tie_of_float16_keeps_the_answer():
    p = np.array([[0.30001, 0.30002, 0.39997], [0.45001, 0.45002, 0.09997]], np.float32)
    assert p.astype(np.float16).argmax(axis=1).tolist() == [2, 0]
    rounded = kept.rounded(p)
    assert rounded.argmax(axis=1).tolist() == [2, 1]
    np.testing.assert_allclose(rounded, p, rtol=2**-10)


def test_the_least_important_models_are_left_out_where_not_all_fit(tmp_path, rng):
    models = {f"model-{k}": softmax(rng) for k in range(8)}
    left_out = save(tmp_path / kept.FILE, models, limit=4000)
    assert 0 < len(left_out) < 8
    assert left_out == list(models)[8 - len(left_out) :]
    assert (tmp_path / kept.FILE).stat().st_size <= 4000
    assert set(kept.load(tmp_path / kept.FILE)) == (
        {*models, "labels", "class_names"} - {*left_out}
    )


def test_nothing_is_written_without_the_models_that_are_needed(
    tmp_path, rng, monkeypatch
):
    models = {f"model-{k}": softmax(rng) for k in range(8)}
    path, written = tmp_path / kept.FILE, []
    monkeypatch.setattr(kept, "write_atomic", lambda *args: written.append(args))
    assert save(path, models, needed=["model-7"], limit=4000) == list(models)
    assert not written
    left_out = save(path, models, needed=["model-0"], limit=4000)
    assert 0 < len(left_out) < 8 and len(written) == 1


def test_a_copy_tells_which_models_it_does_not_have(tmp_path, rng):
    models = {name: softmax(rng) for name in ("base", "independent-1", "base-4")}
    save(tmp_path / kept.FILE, models)
    run = RunDirectory(tmp_path)
    assert everything.left_out(run) == []  # nothing is known of others
    (tmp_path / "tables").mkdir()
    rows = "".join(f"{name},{epoch},0.5\n" for name in models for epoch in (0, 1))
    (tmp_path / "tables" / "metrics.csv").write_text(
        f"model,epoch,accuracy\n{rows}", "utf-8"
    )
    assert everything.left_out(run) == []
    save(tmp_path / kept.FILE, {"base": models["base"]})
    run = RunDirectory(tmp_path)
    assert everything.left_out(run) == ["independent-1", "base-4"]


def test_damage_is_told_in_a_sentence(tmp_path):
    path = tmp_path / kept.FILE
    path.write_bytes(b"nothing")
    with pytest.raises(
        InputError, match=r"outputs.npz.xz cannot be read .* get a new copy"
    ):
        kept.load(path)
