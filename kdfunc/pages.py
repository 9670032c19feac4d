"""What all HTML pages share: templates, style and escaping."""

import pathlib

import jinja2


def environment() -> jinja2.Environment:
    """The renderer of this package's templates, which are named from its root.

    All values given to a template are escaped, since names of models and classes may
    contain anything; a missing value is an error.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
