"""What only some parts of kdfunc need, and the sentence where it is missing.

`pip install kdfunc` brings what `kdfunc.edge`, `kdfunc.comparison` and
`kdfunc.similarity` need. All that trains, analyses and reports needs the extra `train`.
"""

import importlib.util

from kdfunc.errors import InputError


class NotInstalled(InputError, ImportError):
    """A part of kdfunc needs packages that are not installed."""


def require(part: str, *modules: str) -> None:
    """Makes sure that what a part of kdfunc imports is installed.

    Args:
      part: name of the part, for the error.
      *modules: what it imports of the packages in the extra `train`.

    Raises:
      NotInstalled: one of them cannot be found.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise NotInstalled(
            f"{part} needs packages that are not installed ({', '.join(missing)}); run "
            "pip install 'kdfunc[train]'."
        )
