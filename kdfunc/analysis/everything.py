"""Every table and figure of a run."""

from kdfunc.analysis import accuracy, files, landscapes, similarity, summary
from kdfunc.runs import plan
from kdfunc.runs.records import RunDirectory


def write(run: RunDirectory) -> bool:
    """Writes tables and figures of what a run directory holds; prints some.

    A part of the plan that has not been run is left out, and so are models that a
    library cannot make.

    Returns:
      Whether there is a base model, without which there is nothing to analyse.
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
        return False
    accuracies = accuracy.write(run, tasks)
    similarity.write(run, tasks)
    print(f"\n{summary.of_run(run, tasks)}\n\n{accuracies}\n")
    files.write(run, tasks)
    landscapes.write(run, tasks)
    return True
