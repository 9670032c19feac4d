"""What holds for the package as a whole."""

import importlib
import inspect
import pkgutil

import pytest

import kdfunc

PACKAGES = ["kdfunc"] + [
    module.name
    for module in pkgutil.walk_packages(kdfunc.__path__, "kdfunc.")
    if module.ispkg
]


@pytest.mark.parametrize("name", PACKAGES)
def test_no_public_name_hides_a_module(name):
    package = importlib.import_module(name)
    for module in pkgutil.iter_modules(package.__path__):
        found = getattr(package, module.name, None)
        assert found is None or inspect.ismodule(found), module.name
