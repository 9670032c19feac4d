"""Optional dependencies, and the error if they are missing.

`pip install kdfunc` brings what `kdfunc.edge`, `kdfunc.comparison` and
`kdfunc.similarity` need. Training, analysis and reports need the extra `train`.
"""

import importlib.util

from kdfunc.errors import InputError


class NotInstalled(InputError, ImportError):
    """A part of kdfunc needs packages that are not installed."""


def require(part: str, *modules: str) -> None:
    """Checks that the packages that a part of kdfunc imports are installed.

    Args:
      part: name of the part, for the error.
      *modules: the modules that it imports from the extra `train`.

    Raises:
      NotInstalled: one of them cannot be found.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise NotInstalled(
            f"{part} needs packages that are not installed ({', '.join(missing)}); run "
            'pip install "kdfunc[train]".'
        )
