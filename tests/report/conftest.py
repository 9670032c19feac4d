import pytest
from made_run import write_run


@pytest.fixture
def full_run(tmp_path):
    """A run directory that has every table."""
    return write_run(tmp_path / "digits-lenet-published")
