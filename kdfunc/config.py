"""What is wanted: one frozen dataclass, checked when it is made."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kdfunc import catalog, pipelines
from kdfunc.errors import InputError, refuse_string

#: The settings on which the paper's text and its notebooks disagree, and the
#: students' optimizer. `published` is what the notebooks did, `standard` is what
#: the field does.
PRESETS: Mapping[str, Mapping[str, str]] = {
    "published": {
        "alpha_convention": "labels",
        "soft_targets": "probabilities",
        "pruning_scope": "all",
        "student_optimizer": "adamax",
        "data_order": "fixed",
    },
    "standard": {
        "alpha_convention": "teacher",
        "soft_targets": "logits",
        "pruning_scope": "kernels",
        "student_optimizer": "adam",
        "data_order": "reshuffled",
    },
}

#: Seeds of the students' data order. The first three are the paper's; the others are
#: the smallest numbers left, so that nobody need ask what they were picked for.
SEEDS = (2, 24, 42, 0, 1)

#: How often each kind of model is trained, where a config does not say. The paper's
#: numbers are too few for narrow intervals; `standard` has more, and so have the
#: embedded digits, which train in seconds, under both presets.
PAPERS_TRAININGS: Mapping[str, Any] = {
    "independents": 2,
    "distillation_seeds": SEEDS[:3],
}
MORE_TRAININGS: Mapping[str, Any] = {"independents": 5, "distillation_seeds": SEEDS}

#: Allowed values of the fields that name one of a few choices.
CHOICES: Mapping[str, tuple[str, ...]] = {
    "preset": tuple(PRESETS),
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
    "mobilenet": "MobileNet",
    "resnet50": "ResNet-50",
}
ARCHITECTURES = tuple(ARCHITECTURE_NAMES)

#: The landscape panels, in the order of `ExperimentConfig.perplexities`.
PANELS = ("distillation", "quantization", "pruning", "all")


#: Fields that a run can be given more of later: what it has done stays as it is.
EXTENDABLE = (
    "base_models",
    "distillation_seeds",
    "quantization",
    "pruning_levels",
    "compressions",
    "controls",
    "variants",
)


def parse_variant(text: str) -> tuple[str, float | int | str]:
    """What a variant changes and to what, as `("temperature", 10.0)`.

    Raises:
      InputError: there is no such variant.
    """
    setting, _, value = str(text).partition("=")
    try:
        match setting:
            case "temperature" if 0 < float(value) < math.inf:
                return setting, float(value)
            case "epochs" if int(value) >= 1:
                return setting, int(value)
            case "student" if value in ARCHITECTURES or ":" in value:
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

    Two runs with equal configs (and the same library versions, machine and
    threads a task) leave the same bytes. Where to write, where the data lies and
    how many workers run are no part of it.

    Attributes:
      dataset: `digits` (embedded) or the name of a TFDS image-classification data set.
      architecture: `lenet`, `mobilenet`, `resnet50` or `module:function`, a builder
        `(input_shape, classes) -> tf_keras.Model` with softmax output.
      preset: `published` or `standard`; sets the five axes below where they are None,
        and with the data set how many models are trained.
      epochs: epochs of every training.
      batch_size: images a step.
      independents: how many models are trained beside the base model. None takes 2
        under `published` and 5 under `standard` and for `digits`.
      base_models: how many base models are quantized and pruned, to know the spread
        of what comes out. The base model is the first, the independent models are the
        next ones, and further ones are trained as these are. The paper has 1.
      alphas: distillation weights in [0, 1].
      temperature: softening of teacher and student outputs, > 0.
      distillation_seeds: seeds of the students' data order, one student each. None
        takes 2, 24 and 42 under `published`; under `standard` and for `digits` also
        0 and 1.
      quantization: TFLite modes.
      pruning_levels: shares of weights set to zero, in [0, 1).
      compressions: pipelines of compression steps (not in the paper), see
        `kdfunc.pipelines`; `all` becomes the list `pipelines.ALL`.
      finetune_epochs: epochs of the trainings inside of these pipelines.
      controls: what students are held against beside the independents (not in the
        paper): `independent-optimizer` (independents with the students' optimizer),
        `same-start` (the base model's initial weights, the students' data order and
        optimizer, no teacher), `same-start-base-optimizer`, `no-knowledge` (students
        of fixed random soft targets), `other-teacher` (students of the independent
        models, in turn, instead of the base model) and `other-targets` (students of
        the other kind of soft targets). The last three have the alpha that leans most
        on the teacher.
      variants: students with one setting changed, also at that alpha (not in the
        paper): `temperature=10`, `epochs=50`, `student=lenet` (another architecture,
        with initial weights of its own) or `teacher=ensemble` (the mean of the base
        and independent models' probabilities).
      perplexities: of the t-SNE panels distillation, quantization, pruning, all.
      seed: of initial weights and data order (with the task's name) and of t-SNE.
      alpha_convention: the loss that alpha multiplies: `labels` or `teacher`.
      soft_targets: what is softened by the temperature: `probabilities` (softmax
        outputs) or `logits`.
      pruning_scope: what is ranked: `all` arrays of the model or `kernels` alone.
      student_optimizer: `adam` or `adamax`.
      data_order: `reshuffled` in each epoch, and different in each of the base and
        independent models, or `fixed`: the same in all epochs, and in all models but
        for those students that have another seed.

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
        _choice("preset", self.preset)
        for axis, value in PRESETS[self.preset].items():
            if getattr(self, axis) is None:
                object.__setattr__(self, axis, value)
            _choice(axis, getattr(self, axis))
        papers = self.preset == "published" and self.dataset != "digits"
        trainings = PAPERS_TRAININGS if papers else MORE_TRAININGS
        for field, value in trainings.items():
            if getattr(self, field) is None:
                object.__setattr__(self, field, value)
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, list):
                object.__setattr__(self, field.name, tuple(value))
        if not isinstance(self.dataset, str) or not self.dataset.strip():
            raise InputError(
                f"--dataset: got {self.dataset!r}; name one, such as digits."
            )
        if self.architecture not in ARCHITECTURES and ":" not in self.architecture:
            raise InputError(
                f"--architecture: got {self.architecture!r}; allowed: "
                f"{', '.join(ARCHITECTURES)}, or my_module:build for a builder of your "
                "own."
            )
        self._number("epochs", int, lambda v: v >= 1, "1, 2, 3, ...")
        self._number("batch_size", int, lambda v: v >= 1, "1, 2, 3, ...")
        self._number("finetune_epochs", int, lambda v: v >= 1, "1, 2, 3, ...")
        self._number("independents", int, lambda v: v >= 0, "0, 1, 2, ...")
        self._number("base_models", int, lambda v: v >= 1, "1, 2, 3, ...")
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
            refuse_string(f"--{field}", getattr(self, field))
        for field in ("quantization", "controls"):
            for value in getattr(self, field):
                _choice(field, value)
        self._check_variants()
        object.__setattr__(self, "compressions", pipelines.expand(self.compressions))
        for field in ("alphas", *EXTENDABLE):
            values = getattr(self, field)
            if isinstance(values, tuple) and len(set(values)) != len(values):
                given = ", ".join(map(str, values))
                raise InputError(f"--{field}: got {given}; give each value once.")

    def _check_variants(self) -> None:
        parsed = [parse_variant(variant) for variant in self.variants]
        alike = tuple(  # 10 and 10.0 are one temperature
            f"{setting}={value if isinstance(value, str) else format(value, 'g')}"
            for setting, value in parsed
        )
        object.__setattr__(self, "variants", alike)
        if alike and not self.alphas:
            raise InputError(
                f"--variants: got {', '.join(alike)} without any --alphas; give the "
                "alpha that the students are to have, or no variants."
            )
        if "teacher=ensemble" in alike and not self.independents:
            raise InputError(
                "--variants: got teacher=ensemble with --independents=0; give "
                "--independents=1 or more, or leave it out."
            )

    def _number(self, field, kind, good, allowed) -> None:
        checked = _checked(field, getattr(self, field), kind, good, allowed)
        object.__setattr__(self, field, checked)

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
        return name.replace("/", ".").replace(":", ".")  # Windows takes no colons

    def to_dict(self) -> dict[str, Any]:
        """The fields as JSON types; `ExperimentConfig(**d)` reads them back."""
        return {
            key: list(value) if isinstance(value, tuple) else value
            for key, value in dataclasses.asdict(self).items()
        }

    def conflicts(self, wanted: "ExperimentConfig") -> dict[str, tuple[Any, Any]]:
        """The fields that keep a run of this config from going on as the wanted one.

        More of what is `EXTENDABLE` is no conflict.

        Returns:
          For each such field this config's value and the wanted one's.
        """
        mine, theirs = self.to_dict(), wanted.to_dict()
        return {
            field: (mine[field], theirs[field])
            for field in mine
            if mine[field] != theirs[field]
            and not (field in EXTENDABLE and _adds(mine[field], theirs[field]))
        }


def _adds(there: Any, wanted: Any) -> bool:
    """Whether all that is there is wanted."""
    if isinstance(there, list):
        return set(there) <= set(wanted)
    return there <= wanted


def _is_seed(value: int) -> bool:
    return 0 <= value < 2**32


def _choice(field: str, value: Any) -> None:
    if value not in CHOICES[field]:
        allowed = ", ".join(CHOICES[field])
        raise InputError(f"--{field}: got {value!r}; allowed: {allowed}.")


def _checked(
    field: str, value: Any, kind: type, good: Callable[[Any], bool], allowed: str
) -> Any:
    """The value as the kind of number it should be."""
    kinds = (int,) if kind is int else (int, float)
    number = isinstance(value, kinds) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or not good(value):
        raise InputError(f"--{field}: got {value!r}; allowed: {allowed}.")
    return kind(value)
