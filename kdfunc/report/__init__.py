"""The report page, made from tables and figures."""

from kdfunc.extras import require

require("kdfunc.report", "jinja2", "matplotlib", "plotly")
