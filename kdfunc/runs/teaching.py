"""How models are trained, with a teacher or without: task kinds, see `runs.worker`."""

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

from kdfunc import distillation, models, training
from kdfunc.lazy import named
from kdfunc.runs import tensorboard
from kdfunc.runs.directory import RunDirectory
from kdfunc.runs.trainings import teacher_task
from kdfunc.runs.workplace import Work
from kdfunc.runtime import derive_seed, keras

#: The optimizers with fused kernels; learning rate 0.001, as everywhere in the paper.
OPTIMIZERS = {
    "adam": keras.optimizers.legacy.Adam,
    "adamax": keras.optimizers.legacy.Adamax,
}


def trained(run: RunDirectory, name: str) -> keras.Model:
    """A model after its last epoch.

    Args:
      run: the run directory.
      name: of the task that trained it.
    """
    return models.load(run.record(name).path / "final.keras")


def teacher(work: Work) -> list[str]:
    """A teacher's logits for the training images, for all students and epochs.

    Settings: `members`, the names of the models that make up the teacher.

    Args:
      work: the task, and what it takes to do it.
    """
    images = work.data.train_images
    logits = []
    for member in work.settings["members"]:
        model = trained(work.run, member)
        network = keras.Model(model.inputs, models.logits_of(model))
        logits.append(training.predictor(network)(images))
    np.save(work.folder / "logits.npy", distillation.ensemble_logits(logits))
    return ["logits.npy"]


def train(work: Work) -> list[str]:
    """Trains from new initial weights or the base model's, with or without a teacher.

    Settings: `optimizer`; `order`, what the seed of the data order is derived from;
    `start`, the same for the initial weights, which are the base model's without it;
    `teacher`, `base`, `independent-N`, `ensemble` or `module:function`
    (`catalog.Control`), with `alpha` and `soft_targets`; `changes`, settings that
    differ from the config.

    Args:
      work: the task, and what it takes to do it.
    """
    settings, data = work.settings, work.data
    config = dataclasses.replace(work.config, **settings.get("changes", {}))
    if "start" not in settings:
        network = models.load(work.run.record("base").path / "initial.keras")
    else:
        network = models.build(
            config.architecture,
            data.train_images.shape[1:],
            len(data.class_names),
            derive_seed(config.seed, settings["start"], "weights"),
        )
    optimizer = OPTIMIZERS[settings["optimizer"]]()
    targets = {"labels": data.train_labels}
    if "teacher" in settings:
        targets["teacher_logits"] = _teacher_logits(work)
        model = distillation.Distiller(network)
        model.compile(
            optimizer,
            metrics=["accuracy"],
            alpha=settings["alpha"],
            temperature=config.temperature,
            alpha_convention=config.alpha_convention,
            soft_targets=settings["soft_targets"],
        )
    else:
        # A model of its own, so that files of the network hold no optimizer.
        model = keras.Model(network.inputs, network.outputs)
        model.compile(optimizer, "categorical_crossentropy", ["accuracy"])
    return training.train(
        model,
        network,
        data.train_images,
        targets,
        data.test_images,
        data.test_labels,
        work.folder,
        epochs=config.epochs,
        batch_size=config.batch_size,
        order_seed=derive_seed(config.seed, settings["order"], "order"),
        reshuffle=config.data_order == "reshuffled",
        report=work.report,
        log=_log(work),
    )


def _log(work: Work) -> Callable[[Mapping[str, float]], None]:
    if not work.place.tensorboard:
        return lambda row: None
    folder = work.place.directory / tensorboard.FOLDER / work.task.name
    return tensorboard.Curves(folder).add


def _teacher_logits(work: Work) -> np.ndarray:
    """Logits `[n_train, classes]` of a teacher, or of its replacement."""
    teacher, data = work.settings["teacher"], work.data
    if ":" not in teacher:
        path = work.run.record(teacher_task(teacher)).path / "logits.npy"
        return np.load(path, mmap_mode="r")
    seed = derive_seed(work.config.seed, work.settings["control"])
    return named(teacher)(data.train_labels, len(data.class_names), seed)
