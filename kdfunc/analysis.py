"""From records to tables and figures; never imports TensorFlow."""

from kdfunc import plan
from kdfunc.records import RunDirectory
from kdfunc.report import functions, landscapes, tables


def analyse(run: RunDirectory) -> None:
    """Writes tables and figures of what a run directory holds; prints the main ones.

    A part of the plan that has not been run is left out.
    """
    tasks = [t for t in plan.make(run.config) if t.family and run.record(t.name).exists]
    if not any(task.name == "base" for task in tasks):
        print("There is no base model yet, so there is nothing to analyse.")
        return
    tables.write(run, tasks)
    functions.write(run, tasks)
    landscapes.write(run, tasks)
