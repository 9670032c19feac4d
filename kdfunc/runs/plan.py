"""The plan: the tasks of an experiment, as data that can be printed and run."""

from collections.abc import Iterable, Sequence

from kdfunc import pipelines
from kdfunc.catalog import FORMATS
from kdfunc.config import ExperimentConfig
from kdfunc.errors import refuse_string, refuse_unknown
from kdfunc.runs import trainings
from kdfunc.runs.task import Task

#: The parts of an experiment that `--stages` chooses from, in their order.
STAGES = (
    "train",
    "distill",
    "control",
    "quantize",
    "prune",
    "compress",
    "analyse",
)


def make(config: ExperimentConfig) -> list[Task]:
    """All tasks of an experiment, each after those that it needs.

    Args:
      config: the experiment.
    """
    later = [
        *trainings.students(config),
        *trainings.controls(config),
        *trainings.variants(config),
    ]
    return [
        Task("data", "data", label="test split"),
        *trainings.base_and_independents(config),
        *_teachers(config, later),
        *later,
        *_post_hoc(config, 1, "base"),
        *_compressed(config),
        *_replicates(config),
    ]


def _post_hoc(config: ExperimentConfig, number: int, base: str) -> Iterable[Task]:
    """What the paper does to a trained base model, for the first, second, ... one."""
    of = "" if base == "base" else f"-of-{base}"
    for mode in config.quantization:
        yield Task(
            mode + of,
            "quantize",
            stage="quantize",
            needs=("data", base),
            settings={"mode": mode, "base": base},
            asked_by={"quantization": mode, "base_models": number},
            family="quantized",
            label=FORMATS[mode].label,
        )
    for level in config.pruning_levels:
        yield Task(
            f"pruned-{100 * level:g}{of}",
            "prune",
            stage="prune",
            needs=("data", base),
            settings={"level": level, "base": base},
            asked_by={"pruning_levels": level, "base_models": number},
            family="pruned",
            label=f"P{100 * level:g}",
        )


def _replicates(config: ExperimentConfig) -> Iterable[Task]:
    """Additional base models, and what is made from each."""
    for number, name in enumerate(trainings.base_models(config)[1:], 2):
        if number > config.independents + 1:
            yield trainings.another_base(config, name, number)
        yield from _post_hoc(config, number, name)


def _teachers(config: ExperimentConfig, taught: Iterable[Task]) -> Iterable[Task]:
    """The teachers that some training uses."""
    independents = [f"independent-{k + 1}" for k in range(config.independents)]
    members = {name: (name,) for name in ("base", *independents)}
    members["ensemble"] = ("base", *independents)
    wanted = {task.settings.get("teacher") for task in taught}
    for teacher, networks in members.items():
        if teacher in wanted:
            yield Task(
                trainings.teacher_task(teacher),
                "teacher",
                needs=("data", *networks),
                settings={"members": networks},
                label="teacher's logits",
            )


def _compressed(config: ExperimentConfig) -> Iterable[Task]:
    """Pipelines, each after the fine-tunings that it starts with."""
    tuned = {"": "base"}  # by pipeline, the tasks whose models others start from
    for pipeline in config.compressions:
        done = ""
        for stem in pipelines.stems(pipeline):
            if stem not in tuned:
                tuned[stem] = f"tuned-{stem}"
                yield Task(
                    tuned[stem],
                    "tune",
                    needs=("data", tuned[done]),
                    settings={"pipeline": stem, "done": done, "start": tuned[done]},
                    label=f"weights of {stem}",
                    cost=config.finetune_epochs,
                )
            done = stem
        left = pipelines.trainings(pipeline) - pipelines.trainings(done)
        yield Task(
            pipeline.replace(":", "."),  # a name of a folder on Windows, too
            "compress",
            stage="compress",
            needs=("data", tuned[done]),
            settings={"pipeline": pipeline, "done": done, "start": tuned[done]},
            family="compressed",
            label=pipeline,
            cost=0.2 + config.finetune_epochs * left,
            asked_by={"compressions": pipeline},
        )


def check_stages(stages: Sequence[str]) -> None:
    """Refuses unknown stages and an empty list.

    Args:
      stages: the given names.

    Raises:
      InputError: a stage is unknown, or none is given.
    """
    refuse_string("--stages", stages)
    for stage in stages or ("",):
        refuse_unknown("--stages", stage, STAGES)


def select(
    tasks: Sequence[Task],
    stages: Sequence[str] = STAGES,
    wanted: ExperimentConfig | None = None,
) -> list[Task]:
    """The tasks of the given stages and all that they need, in the order of the plan.

    Args:
      tasks: a plan.
      stages: of `STAGES`.
      wanted: a config that asks for part of the plan; None for all of it.
    """
    by_name = {task.name: task for task in tasks}
    chosen: set[str] = set()

    def choose(name: str) -> None:
        if name not in chosen:
            chosen.add(name)
            for need in by_name[name].needs:
                choose(need)

    for task in tasks:
        if task.stage in stages and (wanted is None or task.is_asked_for(wanted)):
            choose(task.name)
    return [task for task in tasks if task.name in chosen]
