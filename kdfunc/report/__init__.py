"""What a person looks at: tables, figures, the page."""

from kdfunc.extras import require

require("kdfunc.report", "jinja2", "matplotlib", "plotly")
