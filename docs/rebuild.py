"""Rebuilds the tables of the documentation from `results/` and from the code.

    python docs/rebuild.py [RUN ...]

Run directories that are given are copied into `results/` first, with the final softmax
outputs in place of records and models. Whatever is in `results/` is taken up; what is
not there yet, the tables say. A table stands between `<!-- begin NAME -->` and
`<!-- end -->`, where NAME is a key of `rebuilding.tables.TABLES`; the page of each run
in `results/` is made as a whole.
"""

import argparse
import os
import re

from matplotlib.figure import Figure
from rebuilding import run_page
from rebuilding.runs import ROOT, results
from rebuilding.tables import TABLES

from kdfunc.analysis import keep
from kdfunc.analysis.figures import style
from kdfunc.analysis.figures.preserved import preserved_by_method
from kdfunc.analysis.names import heading
from kdfunc.report.results import Results
from kdfunc.runs.directory import RunDirectory
from kdfunc.writing import write_atomic

FILES = ("README.md", "docs/measures.md", "docs/REPRODUCTION.md")
TABLE = re.compile(r"(<!-- begin (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
#: The README's picture, and the run in `results/` that it shows.
PICTURE = "docs/function_preserved.png"
PICTURED = "cifar10-lenet-published"


def rebuilt(file: str) -> str:
    """The text of a file with its tables made anew.

    Args:
      file: one of `FILES`.
    """
    path = ROOT / file
    root = os.path.relpath(ROOT, path.parent).replace(os.sep, "/") + "/"
    root = "" if root == "./" else root
    return TABLE.sub(lambda m: m[1] + TABLES[m[2]](root) + m[3], path.read_text())


def pages() -> dict[str, str]:
    """The text of each file with its tables made anew, by its path from the root."""
    found = {file: rebuilt(file) for file in FILES}
    for result in results():
        found[f"results/{result.path.name}/README.md"] = run_page.page(result)
    return found


def picture() -> Figure:
    """The README's: how much of the function each method preserves."""
    run = Results(RunDirectory(ROOT / "results" / PICTURED), "run1", PICTURED)
    shown = run.preserved[run.preserved["family"] != "compressed"]
    return preserved_by_method(
        shown, heading("Function preserved, by method", run.config)
    )


def main() -> None:
    """Takes up runs, then writes the files that are out of date."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("runs", nargs="*", metavar="RUN", help="a run directory")
    for path in parser.parse_args().runs:
        left_out = keep.keep(RunDirectory(path), ROOT / "results")
        print(f"{path}: copied; final outputs of {len(left_out)} models left out")
    write_atomic(ROOT / PICTURE, style.contents(picture())["png"])
    for file, text in pages().items():
        path = ROOT / file
        if not path.exists() or text != path.read_text():
            path.write_text(text)
            print(f"{file}: rebuilt")


if __name__ == "__main__":
    main()
