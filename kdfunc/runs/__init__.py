"""Runs an experiment: plan, tasks, engine, records."""

from kdfunc.extras import require

require("kdfunc.runs", "absl", "dask", "distributed", "filelock", "psutil")
