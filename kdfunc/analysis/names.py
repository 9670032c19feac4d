"""What models are called where people read; trainings of one kind share a name."""

from kdfunc.analysis.accuracy import setting
from kdfunc.catalog import CONTROLS
from kdfunc.runs.plan import Task


def name(task: Task) -> str:
    """The name of a model in tables, on the page and in figures with room for it."""
    match task.family:
        case "student":
            return f"Distilled, {setting(task)}"
        case "quantized":
            return f"Quantized, {setting(task)}"
        case "pruned":
            return f"Pruned by {setting(task)}".replace(" %", "\u00a0%")
        case "control":
            return f"Control: {CONTROLS[task.settings['control']].name}"
        case "variant":
            alone = "" if "teacher" in task.settings else ", no teacher"
            return f"Variant: {task.settings['variant']}{alone}"
        case "independent":
            return "Independent"
        case "base":
            return "Base model"
    return task.label


def in_figures(task: Task) -> str:
    """The same where a colour tells the family."""
    if task.family == "control":
        return CONTROLS[task.settings["control"]].name.capitalize()
    return name(task)


def training(task: Task) -> str:
    """What tells a training from others of its name: its number or its seed."""
    match task.family:
        case "independent":
            return task.name.rpartition("-")[2]
        case "student" | "control" | "variant":
            order = task.settings["order"]
            own = task.name.rpartition("-")[2]
            return order.removeprefix("seed") if own.startswith("seed") else own
    return ""
