"""The experiment's settings: one frozen dataclass, checked when it is created."""

import dataclasses
import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kdfunc import catalog, pipelines, presets, system
from kdfunc.errors import InputError, refuse_string, refuse_unknown
from kdfunc.text import did_you_mean

#: Allowed values of the fields that name one of a few choices.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "preset": tuple(presets.RULES),
    "alpha_convention": ("labels", "teacher"),
    "soft_targets": ("probabilities", "logits"),
    "pruning_scope": ("all", "kernels"),
    "student_optimizer": ("adam", "adamax"),
    "data_order": ("fixed", "reshuffled"),
    "quantization": tuple(catalog.modes()),
    "controls": tuple(catalog.CONTROLS),
}

#: The built-in architectures, as tables call them; `models.ARCHITECTURES` has their
#: builders.
ARCHITECTURE_NAMES = {
    "lenet": "LeNet",
    "lenet-half": "half LeNet",
    "mobilenet": "MobileNet",
    "resnet50": "ResNet-50",
}
ARCHITECTURES = tuple(ARCHITECTURE_NAMES)

#: The landscape panels, in the order of `ExperimentConfig.perplexities`.
PANELS = ("distillation", "quantization", "pruning", "all")


#: What counts above which nobody means it: `--epochs=99999999999999999999` is a slip.
MOST_EPOCHS = MOST_IMAGES = 1_000_000
MOST_MODELS = 1000

#: A function in a module that can be imported.
_OWN = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*")


def parse_variant(text: str) -> tuple[str, float | int | str]:
    """The setting that a variant changes and its value, as `("temperature", 10.0)`.

    Args:
      text: such as `temperature=10`.

    Raises:
      InputError: there is no such variant.
    """
    setting, _, value = str(text).partition("=")
    try:
        match setting:
            case "temperature" if 0 < float(value) < math.inf:
                return setting, float(value)
            case "epochs" if 1 <= int(value) <= MOST_EPOCHS:
                return setting, int(value)
            case "student" if value in ARCHITECTURES or _OWN.fullmatch(value):
                return setting, value
            case "teacher" if value == "ensemble":
                return setting, value
    except ValueError:
        pass
    raise InputError(
        f"--variants: got {text!r}; allowed: temperature=10 (any number above 0), "
        f"epochs=50 (1, 2, 3, ...), student={'|'.join(ARCHITECTURES)}|my_module:build "
        "and teacher=ensemble."
    )


@dataclasses.dataclass(frozen=True)
class ExperimentConfig:
    """An experiment: every number of the protocol, with the paper's as default.

    A field with the value implied by preset and data set follows them, also in
    `dataclasses.replace`; a field with another value keeps it.

    Two runs with equal configs (and the same library versions, machine and threads per
    task) write the same bytes. Where to write, where the data are and how many workers
    run are not part of it.

    Attributes:
      dataset: `digits` (embedded) or the name of a TFDS image-classification data set.
      architecture: `lenet`, `lenet-half`, `mobilenet`, `resnet50` or
        `module:function`, a builder `(input_shape, classes) -> tf_keras.Model` with
        softmax output.
      preset: `published` or `standard`; sets the five axes below where they are None,
        and with the data set how many models are trained.
      epochs: epochs of every training.
      batch_size: images per step.
      independents: how many models are trained besides the base model. None takes 2
        under `published` and 5 under `standard` and for `digits`.
      base_models: how many base models are quantized and pruned, to measure the spread
        of the results. The base model comes first, then the independent models; any
        more that are needed are trained in the same way. The paper has 1.
      alphas: distillation weights in [0, 1].
      temperature: softening of teacher and student outputs, > 0.
      distillation_seeds: seeds of the students' data order, one student each. None
        takes 2, 24 and 42 under `published`; under `standard` and for `digits` also
        0 and 1.
      quantization: TFLite modes.
      pruning_levels: shares of weights set to zero, in [0, 1).
      compressions: pipelines of compression steps (not in the paper), see
        `kdfunc.pipelines`; `all` becomes the list `pipelines.ALL`.
      finetune_epochs: epochs of the trainings inside these pipelines.
      controls: models with which students are compared besides the independents (not in
        the paper): `independent-optimizer` (independents with the students' optimizer),
        `same-start` (the base model's initial weights, the students' data order and
        optimizer, no teacher), `same-start-base-optimizer`, `no-knowledge` (students of
        fixed random soft targets), `other-teacher` (students of the independent models,
        in turn, instead of the base model) and `other-targets` (students of the other
        kind of soft targets). The last three have the alpha that leans most on the
        teacher.
      variants: students with one setting changed, also at that alpha (not in the
        paper): `temperature=10`, `epochs=50`, `student=lenet` (another architecture,
        with initial weights of its own) or `teacher=ensemble` (the mean of the base
        and independent models' probabilities).
      perplexities: of the t-SNE panels distillation, quantization, pruning, all.
      seed: of initial weights (with the task's name) and of the data order (with the
        task's name, too, if it is `reshuffled`).
      alpha_convention: the loss that alpha multiplies: `labels` or `teacher`.
      soft_targets: what the temperature softens: `probabilities` (softmax outputs) or
        `logits`.
      pruning_scope: what is ranked: `all` arrays of the model or only `kernels`.
      student_optimizer: `adam` or `adamax`.
      data_order: `reshuffled` in each epoch, and different in each of the base and
        independent models, or `fixed`: the same in all epochs and in all models, except
        students with another seed.

    Raises:
      InputError: a value is not allowed.
    """

    dataset: str = "digits"
    architecture: str = "lenet"
    preset: str = "published"
    epochs: int = 25
    batch_size: int = 64
    independents: int | None = None
    base_models: int = 1
    alphas: Sequence[float] = (0.1, 0.5, 0.9)
    temperature: float = 3.0
    distillation_seeds: Sequence[int] | None = None
    quantization: Sequence[str] = ("float16", "dynamic-range")
    pruning_levels: Sequence[float] = (0.1, 0.3, 0.5, 0.7, 0.9)
    compressions: Sequence[str] = ()
    finetune_epochs: int = 5
    controls: Sequence[str] = CHOICES["controls"]
    variants: Sequence[str] = ()
    perplexities: Sequence[float] = (60, 30, 15, 15)
    seed: int = 42
    alpha_convention: str | None = None
    soft_targets: str | None = None
    pruning_scope: str | None = None
    student_optimizer: str | None = None
    data_order: str | None = None

    def __post_init__(self):
        refuse_unknown("--preset", self.preset, CHOICES["preset"])
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))
        implied = presets.implied(self.preset, self.dataset)
        for field, value in implied.items():
            given = getattr(self, field)
            if given is None or isinstance(given, presets.Implied):
                object.__setattr__(self, field, value)
        for axis in presets.RULES[self.preset]:
            refuse_unknown(f"--{axis}", getattr(self, axis), CHOICES[axis])
        self._check_preset()
        if not isinstance(self.dataset, str) or not self.dataset.strip():
            raise InputError(
                f"--dataset: got {self.dataset!r}; give the name of a data set, such "
                "as digits."
            )
        if self.architecture not in ARCHITECTURES and not (
            isinstance(self.architecture, str) and _OWN.fullmatch(self.architecture)
        ):
            raise InputError(
                f"--architecture: got {self.architecture!r}; allowed: "
                f"{', '.join(ARCHITECTURES)}, or my_module:build for a builder of your "
                f"own{did_you_mean(self.architecture, ARCHITECTURES)}"
            )
        self._count("epochs", 1, MOST_EPOCHS)
        self._count("batch_size", 1, MOST_IMAGES)
        self._count("finetune_epochs", 1, MOST_EPOCHS)
        self._count("independents", 0, MOST_MODELS)
        self._count("base_models", 1, MOST_MODELS)
        self._number("temperature", float, lambda v: v > 0, "numbers above 0")
        self._number("seed", int, _is_seed, "0, 1, ... 2**32 - 1")
        self._numbers("alphas", float, lambda v: 0 <= v <= 1, "numbers from 0 to 1")
        self._numbers("distillation_seeds", int, _is_seed, "0, 1, ... 2**32 - 1")
        self._numbers(
            "pruning_levels",
            float,
            lambda v: 0 <= v < 1,
            "shares from 0 to below 1, such as 0.1 for 10 %",
        )
        self._numbers("perplexities", float, lambda v: v > 0, "numbers above 0")
        if len(self.perplexities) != len(PANELS):
            raise InputError(
                f"--perplexities: got {len(self.perplexities)} values; give four, for "
                f"the panels {', '.join(PANELS)}, such as 60,30,15,15."
            )
        for field in ("quantization", "controls", "variants", "compressions"):
            given = getattr(self, field)
            refuse_string(f"--{field}", given)
            if not (
                isinstance(given, tuple) and all(isinstance(v, str) for v in given)
            ):
                raise InputError(f"--{field}: got {given!r}; give a list of names.")
        for field in ("quantization", "controls"):
            for value in getattr(self, field):
                refuse_unknown(f"--{field}", value, CHOICES[field])
        self._check_variants()
        object.__setattr__(self, "compressions", pipelines.expand(self.compressions))
        for field, values in vars(self).items():
            if not isinstance(values, tuple) or field == "perplexities":
                continue
            # Names of models tell numbers apart by six digits.
            names = [f"{v:g}" if isinstance(v, float) else v for v in values]
            if len(set(names)) != len(names):
                given = ", ".join(map(str, values))
                raise InputError(f"--{field}: got {given}; give each value once.")
            if len({str(name).casefold() for name in names}) != len(names):
                given = ", ".join(map(str, values))
                raise InputError(
                    f"--{field}: got {given}; give names that differ in more than "
                    "upper and lower case, which some systems do not tell apart in "
                    "names of folders."
                )
        for field, value in implied.items():
            if getattr(self, field) == value:
                object.__setattr__(self, field, presets.marked(value))

    def _check_preset(self) -> None:
        """Rejects the rules of one preset under the name of another."""
        for preset, rules in presets.RULES.items():
            if preset != self.preset and all(
                getattr(self, axis) == value for axis, value in rules.items()
            ):
                raise InputError(
                    f"--preset: got {self.preset} with all rules of {preset} "
                    f"({', '.join(rules)}); give --preset={preset} instead."
                )

    def _check_variants(self) -> None:
        parsed = [parse_variant(variant) for variant in self.variants]
        alike = tuple(  # 10 and 10.0 are one temperature
            f"{setting}={value if isinstance(value, str) else format(value, 'g')}"
            for setting, value in parsed
        )
        object.__setattr__(self, "variants", alike)
        if alike and not self.alphas:
            raise InputError(
                f"--variants: got {', '.join(alike)} without any --alphas; give an "
                "alpha for the students, or no variants."
            )
        if "teacher=ensemble" in alike and not self.independents:
            raise InputError(
                "--variants: got teacher=ensemble with --independents=0; give "
                "--independents=1 or more, or omit this variant."
            )

    def _number(self, field, kind, good, allowed) -> None:
        checked = _checked(field, getattr(self, field), kind, good, allowed)
        object.__setattr__(self, field, checked)

    def _count(self, field: str, least: int, most: int) -> None:
        allowed = f"{least}, {least + 1}, {least + 2}, ... {most}"
        self._number(field, int, lambda v: least <= v <= most, allowed)

    def _numbers(self, field, kind, good, allowed) -> None:
        values = getattr(self, field)
        if not isinstance(values, tuple):
            raise InputError(f"--{field}: got {values!r}; give a list of {allowed}.")
        checked = tuple(_checked(field, v, kind, good, allowed) for v in values)
        object.__setattr__(self, field, checked)

    @property
    def name(self) -> str:
        """The name of the run directory: data set, architecture and preset."""
        name = f"{self.dataset}-{self.architecture}-{self.preset}"
        return re.sub(r'[<>:"/\\|?*]', ".", name)  # which Windows does not take

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON types; `ExperimentConfig(**d)` reads them back."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }

    def asks_for(self, field: str, value: Any) -> bool:
        """Whether a field's list contains the value, or its count reaches it.

        Args:
          field: the field's name.
          value: an item of a list, or a count.
        """
        there = getattr(self, field)
        return value in there if isinstance(there, tuple) else value <= there

    @property
    def leaning_alpha(self) -> float | None:
        """The alpha that gives the teacher most weight; None if there are no alphas."""
        leaning = max if self.alpha_convention == "teacher" else min
        return leaning(self.alphas, default=None)

    @property
    def rules(self) -> str:
        """The preset and what differs from it: `published, pruning_scope=all`."""
        changed = (
            f"{axis}={getattr(self, axis)}"
            for axis, value in presets.RULES[self.preset].items()
            if getattr(self, axis) != value
        )
        return ", ".join([self.preset, *changed])

    @property
    def command(self) -> str:
        """The command that runs the experiment, with all flags that are no defaults."""
        first = ExperimentConfig()
        alike = ExperimentConfig(dataset=self.dataset, preset=self.preset)
        defaults = alike.settings | {"dataset": first.dataset, "preset": first.preset}
        flags = [
            f"--{name}={text}"
            for name, text in self.settings.items()
            if text != defaults[name]
        ]
        return system.quoted(["kdfunc", "run", *flags])

    @property
    def settings(self) -> dict[str, str]:
        """All fields in the form that their flags take."""
        values = self.to_dict()
        if values["compressions"] == list(pipelines.ALL):
            values["compressions"] = ["all"]
        return {name: _text(value) for name, value in values.items()}


def _text(value: Any) -> str:
    if isinstance(value, list):
        return ",".join(map(_text, value))
    if isinstance(value, float) and float(f"{value:g}") == value:
        return f"{value:g}"
    return str(value)


def _is_seed(value: int) -> bool:
    return 0 <= value < 2**32


def _checked(
    field: str, value: Any, kind: type, good: Callable[[Any], bool], allowed: str
) -> Any:
    """The value as a number of the required kind."""
    kinds = (int,) if kind is int else (int, float)
    fits = isinstance(value, kinds) and not isinstance(value, bool)
    try:
        fits = fits and math.isfinite(value) and good(value)
    except OverflowError:  # an integer that no float can hold
        fits = False
    if not fits:
        raise InputError(f"--{field}: got {value!r}; allowed: {allowed}.")
    return kind(value)
