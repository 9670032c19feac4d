"""What there is, as data: families of models, formats, controls, steps, methods.

One row holds all that is known of an entry: what it is called in tables and figures,
how it is drawn, what the paper calls it, and what makes it. A row and the function
that it names, where it names one, are all that an addition takes. Nothing here imports
TensorFlow.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kdfunc.lazy import named


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
      method: What the paper's tables call it; empty where they do not have it.
      plural: What its models are called at the start of a sentence.
      by: What the base model is compressed by to get them; empty where it is not.
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
        plural="Quantized models",
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
        "Compressed",
        "#ca9161",
        "p",
        "pentagon",
        "⬟",
        plural="Models that went through a pipeline of steps",
        by="pipelines of several steps",
    ),
}


@dataclass(frozen=True)
class Format:
    """How a `.tflite` file stores numbers.

    Attributes:
      makes: `module:function`, called with a Keras model, `[n, ...]` float32 images
        that stand for the data, and whether to store zeros sparsely; returns the file.
      about: What is stored in which numbers.
      label: Short name in tables and figures; a format that has one is a mode of
        `--quantization`.
      published: What the paper calls it.
      saves: The share of a float32 file's bytes that it saves.
      calibrated: Whether the ranges of activations are learnt from images.
      floats: Whether it is computed in floating point, as the base model is.
    """

    makes: str
    about: str
    label: str = ""
    published: str = ""
    saves: float = 0.0
    calibrated: bool = False
    floats: bool = False

    def function(self) -> Callable:
        """The function that makes such files; importing it imports TensorFlow."""
        return named(self.makes)


#: All formats, in which the pipelines of `kdfunc.pipelines` can end.
FORMATS: dict[str, Format] = {
    "float32": Format("kdfunc.quantization:float32", "float32 weights", floats=True),
    "float16": Format(
        "kdfunc.quantization:float16",
        "float16 weights, computed with in float32",
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
    """Models that students are held against.

    Attributes:
      label: Short name in tables and figures.
      name: What people read where there is room.
      about: What its models are.
      rung: What the ladder calls it; empty for the one with the other soft targets,
        which the ladder calls by these.
      over: Of a rung beside the ladder, the group that it is compared with; None for a
        rung of the ladder itself, which adds one thing to the rung before it.
      start: Whose initial weights they have: the base model's, or their own as the
        independent models have.
      optimizer: The students', or that of the base and independent models.
      teacher: None for no teacher; `base`, the base model; `independents`, which take
        turns; or the `module:function` that stands in for a teacher's answers, called
        with the classes `[n]` of the training images, the number of classes and a seed;
        it returns logits `[n, classes]`, float32.
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
        "same start and optimizer, no teacher",
        "the base model's initial weights and optimizer, no teacher",
        rung="Initial weights alone",
        over="independent",
        optimizer="base",
    ),
    "no-knowledge": Control(
        "Random",
        "teacher knows nothing",
        "students of fixed random soft targets",
        rung="Teacher of no knowledge",
        over="same-start",
        teacher="kdfunc.distillation:random_logits",
    ),
    "other-teacher": Control(
        "D of I",
        "independent teacher",
        "students of independent models instead of the base model",
        rung="Another teacher",
        over="same-start",
        teacher="independents",
    ),
    "other-targets": Control(
        "Other",
        "other soft targets",
        "students of the other preset's soft targets",
        teacher="base",
        soft_targets="other",
    ),
}

#: Controls with a part of their own in tables and verdicts: whose distance is the fair
#: zero, what tells the teacher's part from that of the initial weights, and what tells
#: this teacher's from any teacher's.
FAIR_ZERO = "independent-optimizer"
NO_TEACHER = "same-start"
ANOTHER_TEACHER = "other-teacher"


@dataclass(frozen=True)
class Step:
    """A step of a pipeline, which makes one model of another.

    Attributes:
      pattern: A regular expression for its names.
      form: Its names as people write them.
      makes: `module:function`, called with a Keras model, which it leaves as it is,
        and the `kdfunc.compression.Context` of the step; returns the new model.
      trains: Whether it trains.
      tuned: Whether a fine-tuning may follow that is part of it.
      format: The one format that may follow; empty for any.
    """

    pattern: str
    form: str
    makes: str
    trains: bool = False
    tuned: bool = False
    format: str = ""


#: In the order that the steps of a pipeline have.
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
    """What a pipeline of compression does to the weights, in figures.

    Attributes:
      steps: The kinds of steps, keys of `STEPS`, that make it this method.
      color: `#rrggbb`, of seaborn's palette "colorblind".
      marker: Matplotlib's letter.
    """

    steps: frozenset[str]
    color: str
    marker: str


#: By what legends call them; a pipeline's is the first whose steps it has. Marks and
#: colours of a family mean the same as in `FAMILIES`.
METHODS: dict[str, Method] = {
    "With a step of one's own": Method(frozenset({"own"}), "#ca9161", "p"),
    "Quantization-aware": Method(frozenset({"qat"}), "#cc78bc", "h"),
    "Pruned and clustered": Method(frozenset({"prune", "cluster"}), "#ca9161", "d"),
    "Pruned": Method(frozenset({"prune"}), "#d55e00", "v"),
    "Clustered": Method(frozenset({"cluster"}), "#ca9161", "o"),
    "Stored as trained": Method(frozenset(), "#cc78bc", "D"),
}
