"""From records to tables, figures and the report page; never imports TensorFlow."""

from kdfunc import plan
from kdfunc.records import RunDirectory
from kdfunc.report import compression, functions, landscapes, page, tables


def analyse(run: RunDirectory) -> None:
    """Writes tables, figures and report of what a run directory holds; prints some.

    A part of the plan that has not been run is left out, and so are models that a
    library cannot make.
    """
    tasks = [
        task
        for task in plan.make(run.config)
        if task.family
        and run.record(task.name).exists
        and not run.record(task.name).not_possible
    ]
    if not any(task.name == "base" for task in tasks):
        print("There is no base model yet, so there is nothing to analyse.")
        return
    tables.write(run, tasks)
    functions.write(run, tasks)
    compression.write(run, tasks)
    landscapes.write(run, tasks)
    page.write([run], run.path / "report.html")
