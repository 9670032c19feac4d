"""Names of models for readers; trainings of one kind share a name."""

from kdfunc.catalog import CONTROLS, FORMATS
from kdfunc.config import ARCHITECTURE_NAMES, ExperimentConfig
from kdfunc.runs.task import Task

DATASET_NAMES = {
    "mnist": "MNIST",
    "cifar10": "CIFAR-10",
    "cifar100": "CIFAR-100",
}


def title(config: ExperimentConfig) -> str:
    """Architecture and data set: "LeNet on CIFAR-10".

    Args:
      config: the experiment.
    """
    architecture = ARCHITECTURE_NAMES.get(config.architecture, config.architecture)
    return f"{architecture} on {DATASET_NAMES.get(config.dataset, config.dataset)}"


def heading(says: str, config: ExperimentConfig) -> str:
    """The heading of a figure: what it shows and, below that, the run.

    Args:
      says: what the figure shows.
      config: the experiment; flags that change its preset's rules are named.
    """
    return f"{says}\n{title(config)}, {config.rules}"


def setting(task: Task) -> str:
    """The setting of a compressed model, as the paper writes it.

    Args:
      task: a student, or a quantized or pruned model.

    Raises:
      ValueError: it is a task of another kind.
    """
    match task.family:
        case "student":
            return f"alpha {task.settings['alpha']:g}"
        case "quantized":
            mode = task.settings["mode"]
            return FORMATS[mode].published or mode
        case "pruned":
            return f"{100 * task.settings['level']:g} %"
    raise ValueError(f"{task.name} is not a compressed model")


def name(task: Task) -> str:
    """The name of a model in tables, on the page and in figures with room for it.

    Args:
      task: that made the model.
    """
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
    """The name in figures where a colour shows the family.

    Args:
      task: that made the model.
    """
    if task.family == "control":
        return CONTROLS[task.settings["control"]].name.capitalize()
    return name(task)


def training(task: Task) -> str:
    """What distinguishes trainings of one name: their number or seed.

    Args:
      task: that made the model.

    Returns:
      the number or the seed; empty if only one training has the name.
    """
    if task.family in ("independent", "student", "control", "variant"):
        return task.name.rpartition("-")[2].removeprefix("seed")
    return ""
