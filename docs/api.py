"""Writes the API reference, from the docstrings, with pdoc.

python docs/api.py [FOLDER]        # default: build/api
"""

import argparse
import os
import pathlib
import pkgutil
import warnings

import pdoc

import kdfunc
from kdfunc import edge


def main() -> None:
    """Documents every module, what a package's `__all__` leaves out included."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", nargs="?", default="build/api", help="where to")
    folder = parser.parse_args().folder
    for package in (kdfunc, edge):
        for name in package.__all__:
            getattr(package, name)  # imported when first asked for, which pdoc does not
    modules = (m.name for m in pkgutil.walk_packages(kdfunc.__path__, "kdfunc."))
    os.environ["PDOC_ALLOW_EXEC"] = "1"  # libraries ask for the processor on import
    # "kdfunc" brings most of them, but not what `__all__` hides.
    warnings.filterwarnings("ignore", "The module specification", UserWarning)
    pdoc.render.configure(docformat="google", math=True)
    pdoc.pdoc(
        "kdfunc",
        *(name for name in modules if not name.endswith("__main__")),
        output_directory=pathlib.Path(folder),
    )
    print(f"{folder}/index.html")


if __name__ == "__main__":
    main()
