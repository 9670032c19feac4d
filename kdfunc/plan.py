"""The plan: what an experiment consists of, as data that can be printed and run."""

import dataclasses
import pathlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from kdfunc.config import CHOICES, ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.records import RunDirectory

#: Of the base and the independent models.
BASE_OPTIMIZER = "adam"

CONTROL_LABELS = {
    "independent-optimizer": "I opt",
    "same-start": "Start",
    "same-start-base-optimizer": "Start B",
    "no-knowledge": "Random",
    "other-targets": "Other",
}

#: The parts of an experiment that `--stages` chooses from, in their order.
STAGES = ("train", "distill", "control", "quantize", "prune", "analyse")


@dataclasses.dataclass(frozen=True)
class Task:
    """One piece of work that leaves one record.

    Attributes:
      name: of the task and of its record's folder.
      kind: what is to be done, a key of `tasks.KINDS`.
      stage: the stage it belongs to; None for what others need.
      needs: names of the tasks whose records it reads.
      settings: what tells it from other tasks of its kind.
      family: `base`, `independent`, `student`, `control`, `quantized` or `pruned` for
        models.
      label: short name in tables and figures.
      cost: expected work, in trainings' epochs.
    """

    name: str
    kind: str
    stage: str | None = None
    needs: tuple[str, ...] = ()
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    family: str | None = None
    label: str = ""
    cost: float = 0.2


@dataclasses.dataclass(frozen=True)
class Workplace:
    """Where and how tasks are done; has no state and travels between processes.

    Attributes:
      directory: the run directory.
      config: the experiment.
      data_dir: where TFDS keeps its data sets; None for its default.
      threads: threads of one operation, which the results' last digits depend on.
    """

    directory: pathlib.Path
    config: ExperimentConfig
    data_dir: str | None = None
    threads: int = 1

    @property
    def run(self) -> RunDirectory:
        """The run directory."""
        return RunDirectory(self.directory)

    def check(self) -> None:
        """Tries whether the architecture suits the data.

        Raises:
          InputError: it does not.
        """
        from kdfunc import tasks

        tasks.check(self)

    def perform(self, task: Task, report: Callable[..., None]) -> dict[str, float]:
        """Does a task in this process, which loads TensorFlow for it."""
        from kdfunc import tasks

        return tasks.perform(task, self, report)


def make(config: ExperimentConfig) -> list[Task]:
    """All tasks of an experiment, each after the ones that it needs."""
    return [
        Task("data", "data", label="test split"),
        *_trained(config),
        Task("teacher", "teacher", needs=("data", "base"), label="teacher's logits"),
        *_students(config),
        *_controls(config),
        *(
            Task(
                mode,
                "quantize",
                stage="quantize",
                needs=("data", "base"),
                settings={"mode": mode},
                family="quantized",
                label={"float16": "Q16", "int8": "Q8"}[mode],
            )
            for mode in config.quantization
        ),
        *(
            Task(
                f"pruned-{100 * level:g}",
                "prune",
                stage="prune",
                needs=("data", "base"),
                settings={"level": level},
                family="pruned",
                label=f"P{100 * level:g}",
            )
            for level in config.pruning_levels
        ),
    ]


def _trained(config: ExperimentConfig) -> Iterable[Task]:
    for number in range(config.independents + 1):
        name = f"independent-{number}" if number else "base"
        yield Task(
            name,
            "train",
            stage="train",
            needs=("data",),
            settings={"optimizer": BASE_OPTIMIZER, "order": name},
            family="independent" if number else "base",
            label=f"I{number}" if number else "B",
            cost=config.epochs,
        )


def _students(config: ExperimentConfig) -> Iterable[Task]:
    for alpha in config.alphas:
        for seed in config.distillation_seeds:
            yield Task(
                f"student-alpha{alpha:g}-seed{seed}",
                "train",
                stage="distill",
                needs=("data", "base", "teacher"),
                settings={
                    "optimizer": config.student_optimizer,
                    "order": f"seed{seed}",
                    "same_start": True,
                    "teacher": "base",
                    "soft_targets": config.soft_targets,
                    "alpha": alpha,
                },
                family="student",
                label=f"D {alpha:g}",
                cost=config.epochs,
            )


def _controls(config: ExperimentConfig) -> Iterable[Task]:
    """What students are held against; a control that is another model is left out."""
    same_optimizer = config.student_optimizer == BASE_OPTIMIZER
    redundant = {"independent-optimizer", "same-start-base-optimizer"}
    leaning = max if config.alpha_convention == "teacher" else min
    for control in config.controls:
        settings = {"control": control, "optimizer": config.student_optimizer}
        if same_optimizer and control in redundant:
            continue
        if control == "independent-optimizer":
            for number in range(1, config.independents + 1):
                name = f"{control}-{number}"
                yield _control(config, name, {**settings, "order": name})
            continue
        settings["same_start"] = True
        if control == "same-start-base-optimizer":
            settings["optimizer"] = BASE_OPTIMIZER
        if control in ("no-knowledge", "other-targets"):
            if not config.alphas:
                continue
            settings["alpha"] = leaning(config.alphas)
            settings["soft_targets"] = config.soft_targets
            settings["teacher"] = "random"
        if control == "other-targets":
            (other,) = {*CHOICES["soft_targets"]} - {config.soft_targets}
            settings |= {"teacher": "base", "soft_targets": other}
        for seed in config.distillation_seeds:
            order = f"seed{seed}"
            yield _control(config, f"{control}-{order}", {**settings, "order": order})


def _control(config: ExperimentConfig, name: str, settings: Mapping[str, Any]) -> Task:
    needs = ["data"]
    if settings.get("same_start"):
        needs.append("base")
    if settings.get("teacher") == "base":
        needs.append("teacher")
    return Task(
        name,
        "train",
        stage="control",
        needs=tuple(needs),
        settings=settings,
        family="control",
        label=CONTROL_LABELS[settings["control"]],
        cost=config.epochs,
    )


def check_stages(stages: Sequence[str]) -> None:
    """Refuses what is no stage.

    Raises:
      InputError: it names the stage.
    """
    for stage in stages:
        if stage not in STAGES:
            raise InputError(f"--stages: got {stage!r}; allowed: {', '.join(STAGES)}.")


def select(tasks: Sequence[Task], stages: Sequence[str]) -> list[Task]:
    """The tasks of the given stages and all that they need, in the plan's order."""
    by_name = {task.name: task for task in tasks}
    chosen: set[str] = set()

    def choose(name: str) -> None:
        if name not in chosen:
            chosen.add(name)
            for need in by_name[name].needs:
                choose(need)

    for task in tasks:
        if task.stage in stages:
            choose(task.name)
    return [task for task in tasks if task.name in chosen]
