"""The tests on every Python, and with the lowest versions that setup.cfg admits.

    pip install nox
    nox                      # all that are installed; or nox -s tests-3.12

Each session makes an environment of its own and runs what the README says.
"""

import configparser
import pathlib

import nox

PYTHONS = ("3.10", "3.11", "3.12", "3.13")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """The newest versions of everything."""
    _check(session)


@nox.session(python=PYTHONS[0])
def lowest(session: nox.Session) -> None:
    """The lowest versions of all that the base install and `train` name."""
    constraints = pathlib.Path(session.create_tmp()) / "lowest.txt"
    constraints.write_text("\n".join(_lowest()), "utf-8")
    _check(session, "-c", str(constraints))


def _check(session: nox.Session, *constraints: str) -> None:
    # The pip that comes with Python 3.10 may search for versions without end.
    session.install("--upgrade", "pip")
    session.install("-e", ".[test]", *constraints)
    session.run("python", "-m", "pip", "check")
    arguments = session.posargs or ["-n", "auto"]
    session.run("python", "-m", "pytest", *arguments)


def _lowest() -> list[str]:
    settings = configparser.ConfigParser()
    settings.read("setup.cfg", encoding="utf-8")
    wanted = (
        settings["options"]["install_requires"]
        + settings["options.extras_require"]["train"]
    )
    return [
        line.partition(",")[0].replace(">=", "==").replace(" ", "")
        for line in wanted.splitlines()
        if ">=" in line
    ]
