"""The plan: the tasks of an experiment, as data that can be printed and run."""

import dataclasses
import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from kdfunc import pipelines
from kdfunc.catalog import CONTROLS, FORMATS
from kdfunc.config import (
    ARCHITECTURE_NAMES,
    CHOICES,
    ExperimentConfig,
    parse_variant,
)
from kdfunc.errors import InputError, refuse_string

#: Of the base and the independent models.
BASE_OPTIMIZER = "adam"

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


@dataclasses.dataclass(frozen=True)
class Task:
    """One piece of work that writes one record.

    Attributes:
      name: name of the task and of its record's folder.
      kind: what to do, a key of `tasks.KINDS`.
      stage: its stage; None if it is done only because others need it.
      needs: names of the tasks whose records it reads.
      settings: what distinguishes it from other tasks of its kind.
      family: `base`, `independent`, `student`, `control`, `variant`, `quantized`,
        `pruned` or `compressed` for models.
      label: short name in tables and figures.
      cost: expected work, in training epochs.
      asked_by: the values of extendable or reducible config fields that ask for it;
        none for tasks that every run has or others need.
    """

    name: str
    kind: str
    stage: str | None = None
    needs: tuple[str, ...] = ()
    settings: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    family: str | None = None
    label: str = ""
    cost: float = 0.2
    asked_by: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def is_asked_for(self, config: ExperimentConfig) -> bool:
        """Whether a smaller config asks for this task of a larger plan.

        Args:
          config: the smaller experiment.
        """
        return all(config.asks_for(*asked) for asked in self.asked_by.items())

    @property
    def replicate(self) -> bool:
        """Whether it is a further base model or made from one; see `base_models`."""
        return self.settings.get("base", "base") != "base"

    @property
    def group(self) -> str:
        """The name without its random part: trainings that share it differ by chance.

        The random part is the seed, or the number of an independent model.
        """
        if self.family in ("independent", "student", "control", "variant"):
            return re.sub(r"(-\d+)?(-seed\d+)?$", "", self.name)
        return self.name


def make(config: ExperimentConfig) -> list[Task]:
    """All tasks of an experiment, each after those that it needs.

    Args:
      config: the experiment.
    """
    later = [*_students(config), *_controls(config), *_variants(config)]
    return [
        Task("data", "data", label="test split"),
        *_trained(config),
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


def base_models(config: ExperimentConfig) -> list[str]:
    """The tasks that train the base models whose spread is measured.

    An independent model differs from the base model only in its seed, so the
    independent models come first.

    Args:
      config: the experiment.
    """
    names = ["base", *(f"independent-{k + 1}" for k in range(config.independents))]
    names += [f"base-{k + 1}" for k in range(len(names), config.base_models)]
    return names[: config.base_models]


def _replicates(config: ExperimentConfig) -> Iterable[Task]:
    """Additional base models, and what is made from each."""
    for number, name in enumerate(base_models(config)[1:], 2):
        if name.startswith("base-"):
            own = {"start": name, "order": _order(config, name), "base": name}
            settings = {"optimizer": BASE_OPTIMIZER, **own}
            asked_by = {"base_models": number}
            yield _training(config, name, "train", "base", "B", settings, asked_by)
        yield from _post_hoc(config, number, name)


def _trained(config: ExperimentConfig) -> Iterable[Task]:
    for number in range(config.independents + 1):
        name = f"independent-{number}" if number else "base"
        yield _training(
            config,
            name,
            "train",
            "independent" if number else "base",
            f"I{number}" if number else "B",
            {
                "optimizer": BASE_OPTIMIZER,
                "start": name,
                "order": _order(config, name),
            },
            asked_by={"independents": number},
        )


def teacher_task(teacher: str) -> str:
    """The task that writes the logits of a teacher with knowledge.

    Args:
      teacher: `base`, `independent-1` and so on, or `ensemble`.
    """
    return "teacher" if teacher == "base" else f"teacher-{teacher}"


def _teachers(config: ExperimentConfig, trainings: Iterable[Task]) -> Iterable[Task]:
    """The teachers that some training uses."""
    independents = [f"independent-{k + 1}" for k in range(config.independents)]
    members = {name: (name,) for name in ("base", *independents)}
    members["ensemble"] = ("base", *independents)
    wanted = {task.settings.get("teacher") for task in trainings}
    for teacher, networks in members.items():
        if teacher in wanted:
            yield Task(
                teacher_task(teacher),
                "teacher",
                needs=("data", *networks),
                settings={"members": networks},
                label="teacher's logits",
            )


def _students(config: ExperimentConfig) -> Iterable[Task]:
    for alpha in config.alphas:
        for seed in config.distillation_seeds:
            yield _training(
                config,
                f"student-alpha{alpha:g}-seed{seed}",
                "distill",
                "student",
                f"D {alpha:g}",
                _student_settings(config, alpha) | {"order": f"seed{seed}"},
                asked_by={"alphas": alpha, "distillation_seeds": seed},
            )


def _student_settings(config: ExperimentConfig, alpha: float) -> dict[str, Any]:
    return {
        "optimizer": config.student_optimizer,
        "teacher": "base",
        "soft_targets": config.soft_targets,
        "alpha": alpha,
    }


def _without_teacher(settings: Mapping[str, Any]) -> dict[str, Any]:
    taught = ("teacher", "soft_targets", "alpha")
    return {key: value for key, value in settings.items() if key not in taught}


def leaning_alpha(config: ExperimentConfig) -> float:
    """The alpha that gives the teacher most weight.

    Args:
      config: the experiment, with at least one alpha.
    """
    leaning = max if config.alpha_convention == "teacher" else min
    return leaning(config.alphas)


def _controls(config: ExperimentConfig) -> Iterable[Task]:
    """The controls for students; one that equals another model is left out."""
    optimizers = {"students": config.student_optimizer, "base": BASE_OPTIMIZER}
    (other,) = {*CHOICES["soft_targets"]} - {config.soft_targets}
    trained = [("own", {"optimizer": BASE_OPTIMIZER})]  # the independent models
    for name in config.controls:
        control = CONTROLS[name]
        settings = {"optimizer": optimizers[control.optimizer]}
        if control.teacher:
            if not config.alphas:
                continue
            settings = _student_settings(config, leaning_alpha(config)) | settings
            settings["teacher"] = control.teacher
            if control.soft_targets == "other":
                settings["soft_targets"] = other
        if (control.start, settings) in trained:
            continue
        trained.append((control.start, settings))
        settings = {"control": name} | settings
        if control.teacher == "independents":
            yield from _of_other_teachers(config, settings)
        elif control.start == "own":
            for number in range(1, config.independents + 1):
                own = f"{name}-{number}"
                order = {"start": own, "order": _order(config, own)}
                asked_by = {"independents": number}
                yield _control(config, own, settings | order, asked_by)
        else:
            for seed in config.distillation_seeds:
                order = f"seed{seed}"
                again = {"optimizer": BASE_OPTIMIZER, "order": _order(config, "base")}
                if settings | {"order": order} == {"control": name} | again:
                    continue  # it is the base model
                own = settings | {"order": order}
                asked_by = {"distillation_seeds": seed}
                if control.teacher:
                    asked_by["alphas"] = own["alpha"]
                yield _control(config, f"{name}-{order}", own, asked_by)


def _of_other_teachers(
    config: ExperimentConfig, settings: Mapping[str, Any]
) -> Iterable[Task]:
    """Students of the independent models, which alternate from seed to seed.

    So statements about "an independent teacher" do not rest on a single one if there
    are several. The name says whose student it is, since a seed's teacher depends on
    the seeds before it.
    """
    turns = itertools.cycle(range(1, config.independents + 1))
    for seed, number in zip(config.distillation_seeds, turns, strict=False):
        order = f"seed{seed}"
        own = {"teacher": f"independent-{number}", "order": order}
        name = f"{settings['control']}-{number}-{order}"
        asked_by = {"distillation_seeds": seed, "alphas": settings["alpha"]}
        asked_by["independents"] = 1
        yield _control(config, name, settings | own, asked_by)


def _order(config: ExperimentConfig, name: str) -> str:
    """What determines the data order of a model that is not a student."""
    return name if config.data_order == "reshuffled" else f"seed{config.seed}"


def _control(
    config: ExperimentConfig,
    name: str,
    settings: Mapping[str, Any],
    asked_by: Mapping[str, Any],
) -> Task:
    control = settings["control"]
    label = CONTROLS[control].label
    asked_by = {"controls": control, **asked_by}
    return _training(config, name, "control", "control", label, settings, asked_by)


def _variants(config: ExperimentConfig) -> Iterable[Task]:
    """Students with one setting changed; one that changes nothing is left out.

    Most variants are compared with the control `same-start`. If the start or the number
    of epochs changes, they have their own control: the same training without a teacher.
    """
    for variant in config.variants:
        setting, value = parse_variant(variant)
        if value == getattr(config, setting, None):
            continue
        settings = _student_settings(config, leaning_alpha(config))
        settings["variant"] = variant
        match setting:
            case "temperature":
                label = f"T {value:g}"
                settings["changes"] = {"temperature": value}
            case "epochs":
                label = f"{value} ep"
                settings["changes"] = {"epochs": value}
            case "student":
                label = ARCHITECTURE_NAMES.get(value, value)
                settings |= {"start": variant, "changes": {"architecture": value}}
            case "teacher":
                label = "Ensemble"
                settings["teacher"] = value
        kinds = {"": settings}
        if setting in ("student", "epochs"):
            kinds["-alone"] = _without_teacher(settings)
        for suffix, kind in kinds.items():
            for seed in config.distillation_seeds:
                yield _training(
                    config,
                    f"{variant.replace(':', '.')}{suffix}-seed{seed}",
                    "distill",
                    "variant",
                    label + suffix.replace("-", " "),
                    kind | {"order": f"seed{seed}"},
                    asked_by={"variants": variant, "distillation_seeds": seed},
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
        trainings = pipelines.trainings(pipeline) - pipelines.trainings(done)
        yield Task(
            pipeline.replace(":", "."),  # a name of a folder on Windows, too
            "compress",
            stage="compress",
            needs=("data", tuned[done]),
            settings={"pipeline": pipeline, "done": done, "start": tuned[done]},
            family="compressed",
            label=pipeline,
            cost=0.2 + config.finetune_epochs * trainings,
            asked_by={"compressions": pipeline},
        )


def _training(
    config: ExperimentConfig,
    name: str,
    stage: str,
    family: str,
    label: str,
    settings: Mapping[str, Any],
    asked_by: Mapping[str, Any] | None = None,
) -> Task:
    """A training, with the needs that its settings imply; see `tasks.KINDS`."""
    needs = ["data"]
    if "start" not in settings:
        needs.append("base")
    teacher = settings.get("teacher", ":")
    if ":" not in teacher:  # not the function that stands in for one
        needs.append(teacher_task(teacher))
    epochs = settings.get("changes", {}).get("epochs", config.epochs)
    return Task(
        name,
        "train",
        stage,
        tuple(needs),
        settings,
        family,
        label,
        cost=epochs,
        asked_by=asked_by or {},
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
        if stage not in STAGES:
            raise InputError(f"--stages: got {stage!r}; allowed: {', '.join(STAGES)}.")


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
