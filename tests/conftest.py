import signal

import hypothesis
import numpy as np
import pytest

hypothesis.settings.register_profile("kdfunc", deadline=None)
hypothesis.settings.load_profile("kdfunc")

#: Files that take a minute or more, the slowest first. They begin first, so that no
#: process is left with one of them when the others have nothing to do any more.
SLOW = (
    *("test_interruption.py", "test_experiment.py", "test_notebooks.py"),
    *("test_docs.py", "test_downloads.py", "test_damage.py", "test_quantization.py"),
    *("test_everything.py", "test_page.py", "test_catalog.py", "test_install.py"),
)


def pytest_collection_modifyitems(items):
    last = len(SLOW)
    places = {name: place for place, name in enumerate(SLOW)}
    items.sort(key=lambda item: places.get(item.path.name, last))


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


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def heard_interrupts():
    """Ctrl-C is heard, to which a shell makes its background jobs deaf."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)
