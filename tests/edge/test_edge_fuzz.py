import fuzz
import numpy as np
import pytest


@pytest.mark.parametrize(("mode", "mutations"), [("full", 25), ("dynamic", 20)])
def test_damaged_models_never_crash_the_commands(lenet, tmp_path, mode, mutations):
    found = fuzz.fuzz(getattr(lenet, mode), range(mutations), 1, tmp_path)
    outcomes = {what for _, _, what in found}
    assert {"runs", "is damaged"} <= outcomes
    assert sum(found[key] for key in found if key[0] == "predict") == mutations


@pytest.mark.parametrize("mode", ["float16", "int4", "int16x8", "sparse"])
def test_thousands_of_damaged_models_are_described_or_refused(lenet, tmp_path, mode):
    mutator = fuzz.Mutator(getattr(lenet, mode).read_bytes())
    damaged = tmp_path / "damaged.tflite"
    outcomes = set()
    for number in range(500):
        _, content = mutator.mutate(np.random.default_rng(number))
        damaged.write_bytes(content)
        outcomes.add(fuzz.run(["inspect", str(damaged)])[1])
    assert outcomes <= {"runs", "is damaged", "is not a TFLite model"}
    assert {"runs", "is damaged"} <= outcomes


def test_mutations_are_the_same_again(lenet):
    mutator = fuzz.Mutator(lenet.full.read_bytes())
    first, again = (mutator.mutate(np.random.default_rng(5)) for _ in range(2))
    assert first == again
    kinds = {mutator.mutate(np.random.default_rng(i))[0] for i in range(100)}
    assert len(kinds) == 8
