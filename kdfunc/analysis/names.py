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
