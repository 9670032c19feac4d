import hashlib
import pathlib

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("kdfunc", deadline=None)
hypothesis.settings.load_profile("kdfunc")


@pytest.fixture(scope="session")
def tensorflow():
    """Sets TensorFlow up as every task does."""
    from kdfunc import runtime

    runtime.set_up(threads=1)
    return runtime.tf


@pytest.fixture(scope="session")
def digits():
    from kdfunc import datasets

    return datasets.load("digits")


@pytest.fixture(scope="session")
def checksums():
    """A function: SHA-256 of every file below a folder, by relative path."""

    def of(folder: pathlib.Path) -> dict[str, str]:
        return {
            str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(pathlib.Path(folder).rglob("*"))
            if path.is_file() and path.suffix != ".lock"
        }

    return of


@pytest.fixture
def rng():
    return np.random.default_rng(0)
