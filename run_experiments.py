"""Runs the experiments of Neural Network Compression: The Functional Perspective.

With no flags: the paper's full protocol with LeNet on scikit-learn's handwritten
digits, which need no download. With flags: the paper itself, e.g.

  python run_experiments.py --dataset=cifar10 --architecture=mobilenet

A run that was stopped goes on where it was when the same command is given again.
"""

import dataclasses
import os
import signal
import sys

from absl import app, flags, logging

from kdfunc.config import CHOICES, PANELS, ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.runs.plan import STAGES, check_stages, make, select

DEFAULTS = ExperimentConfig()


def _list(name: str, help: str) -> None:
    default = [f"{v:g}" if isinstance(v, float) else str(v) for v in _default(name)]
    flags.DEFINE_list(name, default, help)


def _default(name: str):
    return getattr(DEFAULTS, name)


flags.DEFINE_string(
    "dataset",
    DEFAULTS.dataset,
    "digits (embedded), mnist, cifar10, cifar100 or the TFDS name of any other "
    "image-classification data set.",
)
flags.DEFINE_string(
    "architecture",
    DEFAULTS.architecture,
    "lenet, mobilenet, resnet50, or my_module:build for a builder of your own, "
    "build(input_shape, classes) -> tf_keras model with softmax output.",
)
flags.DEFINE_string(
    "preset",
    DEFAULTS.preset,
    "published: as the paper's notebooks did it; standard: as the field does it. Sets "
    "the flags --alpha_convention, --soft_targets, --pruning_scope, "
    "--student_optimizer and --data_order where they are not given.",
)
flags.DEFINE_string(
    "data_dir", None, "Where TFDS keeps its data sets. Default: TFDS's own."
)
flags.DEFINE_string("output_dir", "runs", "Folder for the run directories.")
flags.DEFINE_integer("epochs", DEFAULTS.epochs, "Epochs of every training.")
flags.DEFINE_integer("batch_size", DEFAULTS.batch_size, "Images a step.")
flags.DEFINE_integer(
    "independents", DEFAULTS.independents, "Models trained beside the base model."
)
_list("alphas", "Distillation weights, from 0 to 1.")
flags.DEFINE_float(
    "temperature", DEFAULTS.temperature, "Softens teacher and student outputs."
)
_list("distillation_seeds", "Seeds of the students' data order, one student each.")
_list("quantization", f"TFLite modes, of {', '.join(CHOICES['quantization'])}.")
_list("pruning_levels", "Shares of the weights to set to zero, from 0 to below 1.")
_list(
    "compressions",
    "Pipelines of compression steps joined by +, such as prune90+finetune+sparse; all "
    "stands for a list of every mode (the steps: kdfunc/pipelines.py).",
)
flags.DEFINE_integer(
    "finetune_epochs",
    DEFAULTS.finetune_epochs,
    "Epochs of each training inside of these pipelines.",
)
_list("controls", f"Of {', '.join(CHOICES['controls'])}; empty for none.")
_list(
    "variants",
    "More students, each with one setting changed at the alpha that leans most on the "
    "teacher: temperature=10, epochs=50, student=mobilenet (or lenet, resnet50, "
    "my_module:build), teacher=ensemble; with commas between. A student of another "
    "architecture or length brings a control without a teacher.",
)
_list("perplexities", f"Of the t-SNE panels {', '.join(PANELS)}.")
flags.DEFINE_integer("seed", DEFAULTS.seed, "Of initial weights, data order and t-SNE.")
flags.DEFINE_string(
    "alpha_convention",
    None,
    "The loss that alpha multiplies: labels (the paper's notebooks) or teacher (its "
    "text).",
)
flags.DEFINE_string(
    "soft_targets",
    None,
    "What is softened by the temperature: probabilities (the notebooks) or logits "
    "(Hinton et al.).",
)
flags.DEFINE_string(
    "pruning_scope",
    None,
    "What is ranked: all arrays, batch norm included (the notebooks), or kernels.",
)
flags.DEFINE_string("student_optimizer", None, "adam or adamax.")
flags.DEFINE_string(
    "data_order",
    None,
    "fixed: the same in all epochs, as in the notebooks; reshuffled: anew in each.",
)
flags.DEFINE_list("stages", list(STAGES), "The parts to run, with what they need.")
flags.DEFINE_integer(
    "workers",
    None,
    "Worker processes; 0 runs everything in this one. Default: one a core, as far as "
    "memory goes.",
)
flags.DEFINE_string(
    "scheduler",
    None,
    "Address of a Dask scheduler, such as tcp://host:8786, whose workers are used "
    "instead of local ones; they must see --output_dir and --data_dir.",
)
flags.DEFINE_integer(
    "threads",
    1,
    "Threads of one operation. Sums are taken in another order with another number, "
    "which changes last digits.",
)
flags.DEFINE_bool(
    "tensorboard",
    False,
    "Also write the learning curves to <run directory>/tensorboard, for `tensorboard "
    "--logdir`.",
)
flags.DEFINE_bool("dry_run", False, "Print the plan and stop.")
flags.DEFINE_bool(
    "verify", False, "Check every file of the run directory by its checksum and stop."
)


def config_from_flags(values: flags.FlagValues) -> ExperimentConfig:
    """The experiment that the flags ask for."""
    given = {}
    for field in dataclasses.fields(ExperimentConfig):
        value = getattr(values, field.name)
        default = _default(field.name)
        if isinstance(default, tuple):
            kind = type(default[0]) if default else str
            value = tuple(_parse(field.name, text, kind) for text in value)
        given[field.name] = value
    return ExperimentConfig(**given)


def _parse(name: str, text: str, kind: type):
    try:
        return kind(text)
    except ValueError:
        raise InputError(
            f"--{name}: got {text!r}; give {'whole ' if kind is int else ''}numbers "
            "with commas between."
        ) from None


def main(argv) -> None:
    """Runs what the flags ask for."""
    logging.set_verbosity(logging.ERROR)
    values = flags.FLAGS
    try:
        check_stages(values.stages)
        if len(argv) > 1:
            raise InputError(f"{argv[1]!r} is no flag; flags look like --epochs=25.")
        config = config_from_flags(values)
        if values.dry_run:
            _print_plan(config, values.stages)
            return
        from kdfunc.runs import experiment

        if values.verify:
            sys.exit(experiment.verify(config, values.output_dir))
        experiment.run(
            config,
            values.output_dir,
            data_dir=values.data_dir,
            stages=values.stages,
            workers=values.workers,
            scheduler=values.scheduler,
            threads=values.threads,
            log_tensorboard=values.tensorboard,
        )
    except InputError as error:
        sys.exit(_told(error, 2))
    except RuntimeError as error:
        sys.exit(_told(error, 1))
    except KeyboardInterrupt:
        print("\nStopped. What is done is kept; the same command goes on.")
        sys.stdout.flush()
        os._exit(128 + signal.SIGINT)


def _told(error: Exception, code: int) -> int:
    print(f"run_experiments.py: {error}", file=sys.stderr)
    return code


def _parse_flags(argv: list[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except flags.Error as error:
        sys.exit(_told(error, 2))


def _print_plan(config: ExperimentConfig, stages: list[str]) -> None:
    tasks = select(make(config), stages)
    print(f"{config.name}: {len(tasks)} tasks")
    for task in tasks:
        needs = f"needs {', '.join(task.needs)}" if task.needs else ""
        epochs = f"{task.cost:.0f} epochs" if task.cost >= 1 else ""
        print(f"  {task.name:<41} {epochs:<10} {needs}".rstrip())
    if "analyse" in stages:
        print("  then tables and landscapes")


if __name__ == "__main__":
    app.run(main, flags_parser=_parse_flags)
