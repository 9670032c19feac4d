"""The flags of an experiment, defined with absl and read into an `ExperimentConfig`."""

import dataclasses
from collections.abc import Sequence

from absl import flags

from kdfunc.catalog import CONTROLS, FORMATS, STEPS
from kdfunc.commands import spelled
from kdfunc.config import CHOICES, PANELS, ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.presets import MORE_TRAININGS, PAPERS_TRAININGS, RULES
from kdfunc.runs.plan import STAGES
from kdfunc.text import wrapped


def _by_preset(field: str) -> str:
    papers, more = (
        ",".join(map(str, value)) if isinstance(value, tuple) else value
        for value in (PAPERS_TRAININGS[field], MORE_TRAININGS[field])
    )
    return f"Default: {papers} under published; {more} under standard and for digits."


def _rule(axis: str) -> str:
    """The default of a rule in which the presets differ."""
    by_preset = (f"{rules[axis]} under {preset}" for preset, rules in RULES.items())
    return f"Default: {', '.join(by_preset)}."


#: What each field of an `ExperimentConfig` is; its flag has its name and default.
FIELDS = {
    "dataset": "digits (embedded), mnist, cifar10, cifar100 or the TFDS name of any "
    "other image-classification data set.",
    "architecture": "lenet, lenet-half (half as wide), mobilenet, resnet50, or "
    "my_module:build for your own builder, build(input_shape, classes) -> tf_keras "
    "model with softmax output.",
    "preset": "published follows the paper's notebooks, standard follows common "
    "practice. Sets the defaults of --alpha_convention, --soft_targets, "
    "--pruning_scope, --student_optimizer, --data_order, --independents and "
    "--distillation_seeds.",
    "epochs": "Epochs of every training.",
    "batch_size": "Images per step.",
    "independents": "Number of independently trained models besides the base model. "
    f"{_by_preset('independents')}",
    "base_models": "How many base models to quantize and prune, to measure the spread "
    "of results on quantization and pruning: the base model, the independent models, "
    "and as many more as needed, trained in the same way.",
    "alphas": "Weights, from 0 to 1, of one of the two losses of distillation "
    "(--alpha_convention says which); students are trained with each weight.",
    "temperature": "Temperature that softens the outputs of teacher and student.",
    "distillation_seeds": "Seeds of the students' data order; one student is trained "
    "per alpha and seed. "
    f"{_by_preset('distillation_seeds')}",
    "quantization": f"TFLite modes: any of {', '.join(CHOICES['quantization'])}.",
    "pruning_levels": "Shares of the weights to set to zero, from 0 to below 1.",
    "compressions": "Pipelines of compression steps joined by +, such as "
    "prune90+finetune+sparse; all means a list that covers every mode. "
    f"Steps: {', '.join(row.form for row in STEPS.values())}, and any of "
    f"{', '.join(FORMATS)}; sparse, at the end, stores only what is not zero.",
    "finetune_epochs": "Epochs of each training in the --compressions pipelines.",
    "controls": "Models that show what each ingredient of distillation adds, besides "
    "the independent ones; empty for none, as in the paper. "
    + "; ".join(f"{name}: {row.about}" for name, row in CONTROLS.items())
    + ". Default: all of them.",
    "variants": "More students, each with one setting changed, at the alpha that gives "
    "the teacher most weight: temperature=10, epochs=50, student=lenet-half (or any "
    "other --architecture), teacher=ensemble; separated by commas. For another "
    "architecture or number of epochs, a control without a teacher is trained, too.",
    "perplexities": f"Perplexities of the t-SNE panels {', '.join(PANELS)}.",
    "seed": "Seed of initial weights and data order. A different seed makes "
    "a different experiment; for the spread over trainings, see --base_models.",
    "alpha_convention": "The loss that alpha multiplies: labels (the paper's "
    f"notebooks) or teacher (its text). {_rule('alpha_convention')}",
    "soft_targets": "What the temperature softens: probabilities (the notebooks) or "
    f"logits (Hinton et al.). {_rule('soft_targets')}",
    "pruning_scope": "Which weights are ranked: all arrays, including batch norm (the "
    f"notebooks), or kernels. {_rule('pruning_scope')}",
    "student_optimizer": f"adam or adamax. {_rule('student_optimizer')}",
    "data_order": "fixed: one order for all epochs and models, except students of "
    "other seeds, as in the notebooks; reshuffled: a new order in each epoch. "
    f"{_rule('data_order')}",
}

#: The other flags, which change no result: kind, default, and what it is.
OTHERS = {
    "data_dir": (str, None, "Where TFDS keeps its data sets. Default: TFDS's own."),
    "output_dir": (str, "runs", "Folder for the run directories."),
    "stages": (tuple, STAGES, "The parts to run; whatever they need is run, too."),
    "workers": (
        int,
        None,
        "Worker processes; 0 runs everything in this process. Default: one per core, "
        "as far as memory allows.",
    ),
    "scheduler": (
        str,
        None,
        "Address of a Dask scheduler, such as tcp://host:8786, whose workers are used "
        "instead of local ones; they must see --output_dir and --data_dir.",
    ),
    "threads": (
        int,
        1,
        "Threads per operation. A different number changes the order of summation and "
        "therefore the last digits of results.",
    ),
    "tensorboard": (
        bool,
        False,
        "Also write the learning curves to <run directory>/tensorboard, for "
        "`tensorboard --logdir`.",
    ),
    "dry_run": (bool, False, "Print the plan, estimate time and disk space, and stop."),
    "verify": (
        bool,
        False,
        "Check the checksum of every file in the run directory and stop.",
    ),
    "version": (bool, False, "Show the version of kdfunc and stop."),
    "help": (bool, False, "Show this help and stop."),
}

_DEFINE = {
    str: flags.DEFINE_string,
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    tuple: flags.DEFINE_list,
}


def parse(arguments: Sequence[str]) -> flags.FlagValues:
    """The values of all flags.

    Args:
      arguments: of the command, without its name.

    Raises:
      InputError: there is no such flag, or its value is of another kind.
    """
    values = _defined()
    arguments = ["--help" if text == "-h" else text for text in arguments]
    try:
        _, *rest = values(["", *spelled(arguments, "_")])
    except flags.Error as error:
        raise InputError(str(error)) from None
    if rest:
        raise InputError(f"{rest[0]!r} is not a flag; flags look like --epochs=25.")
    return values


def explained() -> str:
    """All flags with their meanings and defaults."""
    values = _defined()
    return "\n".join(_explained(values[name]) for name in sorted(values))


def _explained(flag: flags.Flag) -> str:
    """A flag with its meaning and default."""
    sign = "--[no]" if flag.boolean else "--"
    text = f"{sign}{flag.name}: {flag.help}"
    if flag.default not in (None, False, []) and "Default:" not in text:
        text += f" Default: {flag.default_as_str.strip(chr(39))}."
    return wrapped(text, "  ", "    ")


def config(values: flags.FlagValues) -> ExperimentConfig:
    """The experiment that the flags describe.

    Args:
      values: absl's parsed flags.

    Raises:
      InputError: a value is not allowed.
    """
    given = {}
    for field in dataclasses.fields(ExperimentConfig):
        value = getattr(values, field.name)
        example = PAPERS_TRAININGS.get(field.name, field.default)
        if isinstance(example, tuple) and value is not None:
            kind = type(example[0]) if example else str
            value = tuple(_parse(field.name, text, kind) for text in value)
        given[field.name] = value
    return ExperimentConfig(**given)


def _parse(name: str, text: str, kind: type):
    if text.casefold() == "none" and name != "perplexities":
        raise InputError(f"--{name}: got {text!r}; give `--{name}=` for none.")
    try:
        return kind(text)
    except ValueError:
        raise InputError(
            f"--{name}: got {text!r}; give {'whole ' if kind is int else ''}numbers "
            "separated by commas."
        ) from None


def _defined() -> flags.FlagValues:
    values = flags.FlagValues()
    for field in dataclasses.fields(ExperimentConfig):
        example = PAPERS_TRAININGS.get(field.name, field.default)
        kind = str if example is None else type(example)
        _define(values, field.name, kind, field.default, FIELDS[field.name])
    for name, (kind, default, meaning) in OTHERS.items():
        _define(values, name, kind, default, meaning)
    return values


def _define(values, name: str, kind: type, default, meaning: str) -> None:
    if kind is tuple and default is not None:
        default = [f"{v:g}" if isinstance(v, float) else str(v) for v in default]
    _DEFINE[kind](name, default, meaning, flag_values=values)
