"""The command `kdfunc`, also `python -m kdfunc`."""

import argparse
import sys
from collections.abc import Sequence

from kdfunc.errors import exit_code

DESCRIPTION = """\
Does a compressed network still compute the function of the network it came from?
Experiments are run by `run_experiments.py`, files on a device by `kdfunc-edge`.
"""
REPORT = """\
Writes the report page: one HTML file that opens from disk with no network. Of one
run directory it is DIR/report.html; of several, ./report.html with the runs side by
side. Missing tables are made from the run's records first.

example: kdfunc report runs/digits-lenet-published
         kdfunc report runs/* --output=all.html
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
      Exit code: 0, 2 for bad input, 130 after Ctrl-C.
    """
    asked = _parser().parse_args(arguments)
    return exit_code("kdfunc", lambda: asked.run(asked))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("kdfunc", description=DESCRIPTION)
    commands = parser.add_subparsers(metavar="command", required=True)
    one = commands.add_parser(
        "report",
        help="one page of what a run, or several, came to",
        description=REPORT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    one.add_argument("directories", nargs="+", metavar="DIR", help="a run directory")
    one.add_argument("--output", metavar="FILE", help="where to write the page")
    one.set_defaults(run=_report)
    return parser


def _report(asked: argparse.Namespace) -> int:
    from kdfunc.analysis import everything
    from kdfunc.report import page
    from kdfunc.runs.records import RunDirectory

    runs = [RunDirectory(path) for path in asked.directories]
    for run in runs:
        tables = run.path / "tables" / "accuracy.csv"
        if run.config and run.record("base").exists and not tables.exists():
            everything.write(run)
    default = runs[0].path / "report.html" if len(runs) == 1 else "report.html"
    print(page.write(runs, asked.output or default))
    return 0


if __name__ == "__main__":
    sys.exit(main())
