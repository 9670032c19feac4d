"""Records to tables and figures; never imports TensorFlow."""

from kdfunc.extras import require

require("kdfunc.analysis", "filelock", "matplotlib", "seaborn", "tabulate")
