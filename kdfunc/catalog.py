"""The catalog, as data: families of models, formats, controls, steps, methods.

A row holds everything about an entry: its name in tables and figures, how it is drawn,
what the paper calls it, and the function that makes it. To add an entry, add a row and
the function that it names, if any. Nothing here imports TensorFlow.
"""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Family:
    """A family of models in tables, figures and on the page.

    Attributes:
      label: In legends.
      color: `#rrggbb`, of seaborn's palette "colorblind".
      marker: Matplotlib's letter.
      symbol: The same mark as plotly calls it.
      mark: The same as a character.
      size: Of the mark in figures, in points.
      method: What the paper's tables call it; empty if they lack it.
      plural: What its models are called at the start of a sentence.
      by: The method that compresses the base model to make them; empty for none.
    """

    label: str
    color: str
    marker: str
    symbol: str
    mark: str
    size: float = 8
    method: str = ""
    plural: str = ""
    by: str = ""


FAMILIES: dict[str, Family] = {
    "base": Family("Base", "#0173b2", "*", "star", "★", 11),
    "independent": Family("Independent", "#949494", "s", "square", "■"),
    "control": Family("Control", "#de8f05", "P", "cross", "✚"),
    "student": Family(
        "Distilled",
        "#029e73",
        "^",
        "triangle-up",
        "▲",
        method="Self-distillation",
        plural="Distilled models, the students,",
        by="distillation",
    ),
    "variant": Family("Variant", "#56b4e9", "X", "x", "✖"),
    "quantized": Family(
        "Quantized",
        "#cc78bc",
        "D",
        "diamond",
        "◆",
        6.5,
        method="Quantization",
        plural="Models quantized as in the paper",
        by="quantization",
    ),
    "pruned": Family(
        "Pruned",
        "#d55e00",
        "v",
        "triangle-down",
        "▼",
        method="L1 pruning",
        plural="Pruned models",
        by="pruning",
    ),
    "compressed": Family(
        "Other ways",
        "#ca9161",
        "p",
        "pentagon",
        "⬟",
        plural="Models compressed in other ways",
        by="other ways of compressing",
    ),
}


@dataclass(frozen=True)
class Format:
    """How a `.tflite` file stores numbers.

    Attributes:
      makes: `module:function`, called with a Keras model, representative `[n, ...]`
        float32 images, and whether to store zeros sparsely; returns the file.
      about: Which values are stored in which format.
      label: Short name in tables and figures; a format that has one is a mode of
        `--quantization`.
      published: What the paper calls it.
      saves: The share of a float32 file's bytes that it saves.
      calibrated: Whether images calibrate the ranges of activations.
      floats: Whether it computes in floating point, like the base model.
    """

    makes: str
    about: str
    label: str = ""
    published: str = ""
    saves: float = 0.0
    calibrated: bool = False
    floats: bool = False


#: All formats; the pipelines of `kdfunc.pipelines` can end in any of them.
FORMATS: dict[str, Format] = {
    "float32": Format("kdfunc.quantization:float32", "float32 weights", floats=True),
    "float16": Format(
        "kdfunc.quantization:float16",
        "float16 weights, float32 computation",
        label="Q16",
        published="16-bit",
        saves=0.5,
        floats=True,
    ),
    "dynamic-range": Format(
        "kdfunc.quantization:dynamic_range",
        "int8 weights, activations scaled to int8 at run time",
        label="Q8",
        published="8-bit",
        saves=0.75,
    ),
    "full-int8": Format(
        "kdfunc.quantization:full_int8",
        "int8 weights and activations, int8 in and out",
        saves=0.75,
        calibrated=True,
    ),
    "int16x8": Format(
        "kdfunc.quantization:int16x8",
        "int8 weights, int16 activations, int16 in and out",
        saves=0.75,
        calibrated=True,
    ),
    "int4": Format(
        "kdfunc.quantization:int4",
        "int4 weights, activations scaled to int8 at run time",
        saves=0.875,
    ),
}


def modes() -> dict[str, Format]:
    """The formats that an experiment quantizes the base model to (`--quantization`)."""
    return {name: row for name, row in FORMATS.items() if row.label}


@dataclass(frozen=True)
class Control:
    """Models that students are compared with.

    Attributes:
      label: Short name in tables and figures.
      name: Longer name, where there is room.
      about: What its models are.
      rung: What the ladder calls it; empty for the control with the other soft targets,
        which the ladder names after these.
      over: For a rung beside the ladder, the group that it is compared with; None for a
        rung of the ladder itself, which adds one thing to the rung before it.
      start: Whose initial weights they have: the base model's, or their own, like the
        independent models.
      optimizer: The students', or that of the base and independent models.
      teacher: None for no teacher; `base` for the base model; `independents` for the
        independent models in turn; or the `module:function` that replaces a teacher's
        outputs, called with the classes `[n]` of the training images, the number of
        classes and a seed; it returns logits `[n, classes]`, float32.
      soft_targets: The students' kind, or the other one.
    """

    label: str
    name: str
    about: str
    rung: str = ""
    over: str | None = None
    start: Literal["base", "own"] = "base"
    optimizer: Literal["students", "base"] = "students"
    teacher: str | None = None
    soft_targets: Literal["students", "other"] = "students"


CONTROLS: dict[str, Control] = {
    "independent-optimizer": Control(
        "I opt",
        "independent, students' optimizer",
        "independent models with the students' optimizer",
        rung="+ optimizer",
        start="own",
    ),
    "same-start": Control(
        "Start",
        "same start, no teacher",
        "the base model's initial weights, students' optimizer, no teacher",
        rung="+ initial weights",
    ),
    "same-start-base-optimizer": Control(
        "Start B",
        "same start, base model's optimizer, no teacher",
        "the base model's initial weights and optimizer, no teacher",
        rung="Initial weights alone",
        over="independent",
        optimizer="base",
    ),
    "no-knowledge": Control(
        "Random",
        "teacher of no knowledge",
        "students trained on fixed random soft targets",
        rung="Teacher of no knowledge",
        over="same-start",
        teacher="kdfunc.distillation:random_logits",
    ),
    "other-teacher": Control(
        "D of I",
        "another teacher",
        "students of independent models instead of the base model",
        rung="Another teacher",
        over="same-start",
        teacher="independents",
    ),
    "other-targets": Control(
        "Other",
        "other soft targets",
        "students trained on the other preset's soft targets",
        teacher="base",
        soft_targets="other",
    ),
}

#: Controls with a special role in tables and verdicts: the fair zero; the one that
#: separates the effect of the teacher from that of the initial weights; and the one
#: that separates the effect of this teacher from that of any teacher.
FAIR_ZERO = "independent-optimizer"
NO_TEACHER = "same-start"
ANOTHER_TEACHER = "other-teacher"


@dataclass(frozen=True)
class Step:
    """A step of a pipeline, which turns one model into another.

    Attributes:
      pattern: A regular expression for its names.
      form: Its names as users write them.
      makes: `module:function`, called with a Keras model, which it does not change,
        and the `kdfunc.compression.Context` of the step; returns the new model.
      trains: Whether it trains.
      tuned: Whether fine-tuning may follow as part of it.
      format: The one format that may follow; empty for any.
    """

    pattern: str
    form: str
    makes: str
    trains: bool = False
    tuned: bool = False
    format: str = ""


#: In the order of the steps of a pipeline.
STEPS: dict[str, Step] = {
    "prune": Step(
        r"prune([1-9]\d?(-layerwise)?|2of4)",
        "pruneN or pruneN-layerwise (N from 1 to 99), prune2of4",
        "kdfunc.compression:pruned",
    ),
    "own": Step(
        r"[\w.]+:\w+",
        "my_module:function",
        "kdfunc.compression:changed",
    ),
    "finetune": Step("finetune", "finetune", "kdfunc.compression:tuned", trains=True),
    "cluster": Step(
        r"cluster([3-9]|[1-9]\d|1\d\d|2[0-4]\d|25[0-6])",
        "clusterN (N from 3 to 256)",
        "kdfunc.compression:clustered",
        tuned=True,
    ),
    "qat": Step(
        "qat",
        "qat",
        "kdfunc.compression:aware",
        trains=True,
        format="full-int8",
    ),
}


@dataclass(frozen=True)
class Method:
    """What a compression pipeline does to the weights, as figures show it.

    Attributes:
      steps: The kinds of steps, keys of `STEPS`, that a pipeline of the method has.
      color: `#rrggbb`, of seaborn's palette "colorblind".
      marker: Matplotlib's letter.
    """

    steps: frozenset[str]
    color: str
    marker: str


#: By their names in legends; a pipeline's method is the first whose steps it has. Marks
#: and colours of a family mean the same as in `FAMILIES`.
METHODS: dict[str, Method] = {
    "With a step of one's own": Method(frozenset({"own"}), "#ca9161", "p"),
    "Quantization-aware": Method(frozenset({"qat"}), "#cc78bc", "h"),
    "Pruned and clustered": Method(frozenset({"prune", "cluster"}), "#ca9161", "d"),
    "Pruned": Method(frozenset({"prune"}), "#d55e00", "v"),
    "Clustered": Method(frozenset({"cluster"}), "#ca9161", "o"),
    "Number format alone": Method(frozenset(), "#cc78bc", "D"),
}
