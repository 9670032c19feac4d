"""The README as a package index shows it, beside what setup.cfg says."""

import configparser
import pathlib
import re

from setuptools import setup

HERE = pathlib.Path(__file__).parent


def long_description() -> str:
    """README.md with links that lead somewhere from anywhere."""
    settings = configparser.ConfigParser()
    settings.read(HERE / "setup.cfg", encoding="utf-8")
    files = settings["metadata"]["url"] + "/raw/main/"
    pages = settings["metadata"]["url"] + "/blob/main/"
    text = (HERE / "README.md").read_text("utf-8")
    text = re.sub(r"(!\[[^\]]*\]\()(?![a-z]+:)", rf"\g<1>{files}", text)
    return re.sub(r"((?<!!)\[[^\]]*\]\()(?![a-z]+:|#)", rf"\g<1>{pages}", text)


setup(
    long_description=long_description(),
    long_description_content_type="text/markdown",
)
