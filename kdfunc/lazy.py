"""Imports that wait until they are needed."""

import importlib
import sys
from collections.abc import Callable, Mapping
from typing import Any


def named(function: str) -> Callable:
    """The function named `module:function`; imports its module.

    Args:
      function: Its module and its name.
    """
    module, _, name = function.partition(":")
    return getattr(importlib.import_module(module), name)


def call(function: str, *arguments: Any) -> Any:
    """Calls the function named `module:function` in the process where this runs.

    Args:
      function: Its module and its name.
      *arguments: For the call.

    Returns:
      What the function returns.
    """
    return named(function)(*arguments)


def attach(
    package: str, homes: Mapping[str, str]
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """The `__getattr__` and `__dir__` by which a package offers names lazily.

    Args:
      package: Its `__name__`.
      homes: Where each public name comes from: `module:name`, or `module` for a module
        of that name.
    """

    def get(name: str) -> Any:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        home = homes[name]
        found = named(home) if ":" in home else importlib.import_module(home)
        setattr(sys.modules[package], name, found)
        return found

    def offered() -> list[str]:
        special = (name for name in vars(sys.modules[package]) if name[:2] == "__")
        return sorted({*special, *homes})

    return get, offered
