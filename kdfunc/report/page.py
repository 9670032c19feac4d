"""The report page: one self-contained HTML file, made from a run's tables.

It reads what the analysis wrote (`config.json`, `provenance.json`, `tables/`,
`figures/`) but no records, so it can be made again from results published without
them. A section whose tables are missing is replaced by a sentence on what it needs.
"""

import hashlib
import os
import pathlib
from collections.abc import Mapping, Sequence
from urllib.parse import quote

from kdfunc import pages
from kdfunc.analysis import published, summary
from kdfunc.errors import InputError
from kdfunc.report import assets, overview, sections, side_by_side
from kdfunc.report.results import Results
from kdfunc.runs.directory import RunDirectory
from kdfunc.text import duration
from kdfunc.writing import output_path, write_atomic


def write(
    directories: Sequence[RunDirectory], path: str | os.PathLike[str]
) -> pathlib.Path:
    """Writes the page of one run, or of several side by side, atomically.

    Args:
      directories: the runs.
      path: the file to write.

    Returns:
      The file.

    Raises:
      InputError: a directory is not a run, one of its tables is damaged, or the page
        cannot be written to this path without losing something else.
    """
    read = ("config.json", "provenance.json", "records", "tables")
    inputs = [each.path / name for each in directories for name in read]
    written = output_path(path, inputs)
    links = {}
    if len(directories) > 1:
        for each in directories:
            own = each.path / "report.html"
            if not own.exists():
                try:
                    write_atomic(own, render([each]))
                except OSError:  # of someone else: without a link then
                    continue
            try:
                near = os.path.relpath(
                    own.resolve(), pathlib.Path(written).resolve().parent
                )
            except ValueError:  # on another drive of Windows
                links[each.path] = own.resolve().as_uri()
            else:
                links[each.path] = quote(near.replace(os.sep, "/"))
    write_atomic(written, render(directories, links))
    return pathlib.Path(path)


def damage(path: pathlib.Path) -> str | None:
    """What is wrong with a page that `write` wrote; None if it is intact.

    Args:
      path: of the page.
    """
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, ValueError) as error:
        return f"{path.name} cannot be read ({error})"
    if text != _sealed(text.rpartition("<!-- sha256 ")[0]):
        return f"{path.name} is not what was written (checksum)"
    return None


def _sealed(html: str) -> str:
    """A page with its checksum in a comment at its end."""
    html = html.rstrip() + "\n"
    digest = hashlib.sha256(html.encode()).hexdigest()
    return f"{html}<!-- sha256 {digest} -->\n"


def render(
    directories: Sequence[RunDirectory],
    links: Mapping[pathlib.Path, str] | None = None,
) -> str:
    """The page as HTML; arguments and errors as for `write`.

    Args:
      directories: the runs.
      links: for several runs, where the page of each is, by its directory's path.
    """
    paths = [directory.path.resolve() for directory in directories]
    names = [path.name for path in paths]
    runs = [
        Results(directory, f"run{number}", str(path) if names.count(name) > 1 else name)
        for number, (directory, path, name) in enumerate(
            zip(directories, paths, names, strict=True), 1
        )
    ]
    for directory in directories:
        check(directory)
    environment = pages.environment()
    environment.filters |= {
        "duration": duration,
        "first_sentence": summary.first_sentence,
    }
    html = environment.get_template("report/page.html.jinja").render(
        alone=sections.of_run(runs[0]) if len(runs) == 1 else None,
        comparison=side_by_side.compare(runs) if len(runs) > 1 else None,
        runs=runs,
        overview=overview.rows(runs, links or {}) if len(runs) > 1 else [],
        columns=overview.COLUMNS,
        plotly=assets.plotly(),
        icons=side_by_side.ICONS,
        rule=published.RULE,
        glossary=summary.GLOSSARY,
    )
    return _sealed(html)


def check(directory: RunDirectory) -> None:
    """Refuses a directory that is not a run or has no tables.

    Args:
      directory: the run directory.

    Raises:
      InputError: the directory is not a run or has no tables.
    """
    _ = directory.config
    if not any(
        (directory.path / "tables" / f"{name}.csv").exists()
        for name in ("accuracy", "metrics")
    ):
        raise InputError(
            f"{directory.path} has no tables and no records to make them from; "
            "give a run directory, such as runs/digits-lenet-published."
        )
