import fuzz
import pytest


@pytest.mark.parametrize(("mode", "mutations"), [("full", 25), ("dynamic", 20)])
def test_damaged_models_never_crash_the_commands(lenet, tmp_path, mode, mutations):
    found = fuzz.fuzz(getattr(lenet, mode), range(mutations), 1, tmp_path)
    outcomes = {what for _, _, what in found}
    assert {"runs", "is damaged"} <= outcomes
    assert sum(found[key] for key in found if key[0] == "predict") == mutations


def test_mutations_are_the_same_again(lenet):
    import numpy as np

    mutator = fuzz.Mutator(lenet.full.read_bytes())
    first, again = (mutator.mutate(np.random.default_rng(5)) for _ in range(2))
    assert first == again
    kinds = {mutator.mutate(np.random.default_rng(i))[0] for i in range(100)}
    assert len(kinds) == 8
