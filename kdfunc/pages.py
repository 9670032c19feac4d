"""What all HTML pages have in common: their templates, style and escaping."""

import pathlib

import jinja2


def environment() -> jinja2.Environment:
    """What renders the templates of this package, named from its root.

    Whatever a template is given is escaped, since names of models and classes may hold
    anything; a name that it is not given is an error.
    """
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(pathlib.Path(__file__).parent),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
