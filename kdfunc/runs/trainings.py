"""The trainings of a plan: base models, students, their controls and variants."""

import itertools
from collections.abc import Iterable, Mapping
from typing import Any

from kdfunc.catalog import CONTROLS
from kdfunc.config import (
    ARCHITECTURE_NAMES,
    CHOICES,
    ExperimentConfig,
    parse_variant,
)
from kdfunc.runs.task import Task

#: Of the base and the independent models.
BASE_OPTIMIZER = "adam"
#: Variants that change the start or the length, and so have a control of their own.
OWN_CONTROL = ("student=", "epochs=")


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


def another_base(config: ExperimentConfig, name: str, number: int) -> Task:
    """A base model beyond the first and the independent ones.

    Args:
      config: the experiment.
      name: one of `base_models`.
      number: its place among them, from 1.
    """
    own = {"start": name, "order": _order(config, name), "base": name}
    settings = {"optimizer": BASE_OPTIMIZER, **own}
    asked_by = {"base_models": number}
    return _training(config, name, "train", "base", "B", settings, asked_by)


def base_and_independents(config: ExperimentConfig) -> Iterable[Task]:
    """The base model and the independent ones.

    Args:
      config: the experiment.
    """
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


def students(config: ExperimentConfig) -> Iterable[Task]:
    """Students of the base model, for each alpha and seed.

    Args:
      config: the experiment.
    """
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


def controls(config: ExperimentConfig) -> Iterable[Task]:
    """The controls for students; one that equals another model is left out.

    Args:
      config: the experiment.
    """
    optimizers = {"students": config.student_optimizer, "base": BASE_OPTIMIZER}
    (other,) = {*CHOICES["soft_targets"]} - {config.soft_targets}
    trained = [("own", {"optimizer": BASE_OPTIMIZER})]  # the independent models
    for name in config.controls:
        control = CONTROLS[name]
        settings = {"optimizer": optimizers[control.optimizer]}
        if control.teacher:
            if not config.alphas:
                continue
            settings = _student_settings(config, config.leaning_alpha) | settings
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


def variants(config: ExperimentConfig) -> Iterable[Task]:
    """Students with one setting changed; one that changes nothing is left out.

    Most variants are compared with the control `same-start`. If the start or the number
    of epochs changes, they have their own control: the same training without a teacher.

    Args:
      config: the experiment.
    """
    for variant in config.variants:
        setting, value = parse_variant(variant)
        if value == getattr(config, setting, None):
            continue
        settings = _student_settings(config, config.leaning_alpha)
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
        if variant.startswith(OWN_CONTROL):
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


def _training(
    config: ExperimentConfig,
    name: str,
    stage: str,
    family: str,
    label: str,
    settings: Mapping[str, Any],
    asked_by: Mapping[str, Any],
) -> Task:
    """A training, with the needs that its settings imply; see `worker.KINDS`."""
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
        asked_by=asked_by,
    )
