"""Measures how often intervals cover a known truth and how often verdicts are wrong.

    python benchmarks/coverage.py [--repetitions=1000]

Trainings and test images are drawn from known distributions and judged by the same code
as a run (`kdfunc.similarity`); only the softmax outputs are left out. A model's
divergence from the base model on an image is the product of three factors: one for the
training, one for the image in all models, and one for the image in this model.
"""

import argparse
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from unittest import mock

import numpy as np

from kdfunc.catalog import ANOTHER_TEACHER
from kdfunc.similarity import Estimate
from kdfunc.similarity.claims import CLAIMS, Finding
from kdfunc.similarity.claims.transfer import COPIES
from kdfunc.similarity.distances import Distances, turn_taking
from kdfunc.similarity.gains import Gain
from kdfunc.similarity.groups import Evidence
from kdfunc.similarity.intervals import TEstimate, Trainings
from kdfunc.similarity.rank_tests import LEVEL
from kdfunc.similarity.scale import ratio_at

NOTHING = np.zeros((1, 2))  # instead of softmax outputs


@dataclass(frozen=True)
class Setting:
    """Where trainings and images come from.

    Attributes:
      name: For the table.
      images: Number of test images.
      common: Shape of the gamma distribution of what an image brings to all models; the
        smaller, the more a few images decide.
      own: The same of what it brings to each model.
      independent: Standard deviation between independent trainings, of the mean.
      student: The same between students of one start.
    """

    name: str
    images: int
    common: float
    own: float
    independent: float
    student: float


SETTINGS = (
    Setting("10,000 images, 2.5 % / 3 %", 10_000, 0.6, 2.0, 0.025, 0.03),
    Setting("10,000 images, 5 % / 5 %", 10_000, 0.6, 2.0, 0.05, 0.05),
    Setting("10,000 images, 10 % / 5 %", 10_000, 0.6, 2.0, 0.10, 0.05),
    Setting("899 images, 45 % / 12 %", 899, 0.08, 1.0, 0.45, 0.12),
)
TRAININGS = ((2, 2), (2, 3), (5, 3), (5, 5))  # independent models, seeds


def log_sd(relative: float) -> float:
    """Of the lognormal distribution with this relative standard deviation."""
    return math.sqrt(math.log1p(relative**2))


def draw(
    setting: Setting,
    independents: int,
    seeds: int,
    ratios: list[float],
    single: list[float],
    rng: np.random.Generator,
) -> Distances:
    """Distances of groups of students, of single models and of independent ones.

    Args:
      setting: Where they come from.
      independents: How many independent models there are.
      seeds: How many students are in each group; groups have their seeds in common.
      ratios: True distance ratio of each group of students.
      single: True distance ratio of each model that has no chance in training.
      rng: What draws.
    """
    spread = log_sd(setting.independent)
    # Half of what makes distances differ is of the models, half of their pairs.
    models = rng.normal(0, spread * math.sqrt(0.5), independents + 1)
    pairs = np.triu(rng.normal(0, spread * math.sqrt(0.5), [independents + 1] * 2), 1)
    among = np.exp(models + models[:, None] + pairs + pairs.T)
    mean = math.exp(models[0] + spread**2 / 2)  # of independent models, for this base
    half = log_sd(setting.student) * math.sqrt(0.5)
    common = rng.normal(-(half**2) / 2, half, seeds)
    trained = [
        mean * ratio * np.exp(common + rng.normal(-(half**2) / 2, half, seeds))
        for ratio in ratios
    ]
    truths = np.concatenate([*trained, mean * np.array(single), among[0, 1:]])
    n = setting.images
    shared = rng.gamma(setting.common, 1 / setting.common, (n, 1))
    drawn = rng.gamma(setting.own, 1 / setting.own, (n, len(truths)))
    drawn = shared * drawn * truths
    values = drawn.mean(axis=0)
    # Of a mean over images, what the bootstrap gives with all resamples.
    images = np.cov(drawn / values, rowvar=False, ddof=0) / n
    among[0, 1:] = among[1:, 0] = values[-independents:]
    others = np.triu_indices(independents + 1, 1)
    own = math.sqrt(1 / setting.own * (1 + 1 / setting.common) / n)
    noise = np.zeros_like(among)
    noise[others] = rng.normal(0, own, len(others[0]))
    noise[0] = 0
    among *= np.exp(noise + noise.T)
    places = range(len(values) - independents, len(values))
    return Distances(values, images, tuple(places), *turn_taking(among))


def summed(distances: Distances, members: list[int]) -> TEstimate:
    """The procedure that is not taken: the variances of images and trainings added up.

    Images are in both, and the independent models have one degree of freedom less.
    """
    groups = members, list(distances.independents)
    trainings = [
        Trainings(
            len(group), np.var(distances.logs[group], ddof=1), 0.0, len(group) - 1
        )
        for group in groups
    ]
    parts = [group.spread / group.number for group in trainings]
    variance = distances.over_images((1, groups[0]), (-1, groups[1])) + sum(parts)
    squares = sum(p**2 / g.freedom for p, g in zip(parts, trainings, strict=True))
    value = math.log(distances.ratio(members))
    return TEstimate(value, variance, max(1.0, variance**2 / squares))


def covered(
    setting: Setting, independents: int, seeds: int, repetitions: int
) -> tuple[np.ndarray, np.ndarray]:
    """Shares (%) of 95 % intervals that cover, and the intervals' median lengths.

    Of the function preserved, of a gain, and of the former with the variances added up.
    """
    truth, other = 0.7, 0.5
    rng = np.random.default_rng([1, independents, seeds])
    first, second = list(range(seeds)), list(range(seeds, 2 * seeds))
    hits, lengths = [], []
    for _ in range(repetitions):
        made = draw(setting, independents, seeds, [truth, other], [], rng)
        found = [
            (made.preserved(first).log_ratio, math.log(truth)),
            (made.gain(first, second, True).log_ratio, math.log(truth / other)),
            (summed(made, first), math.log(truth)),
        ]
        hits.append([e.low <= true <= e.high for e, true in found])
        lengths.append([e.high - e.low for e, _ in found])
    return 100 * np.mean(hits, axis=0), np.median(lengths, axis=0)


def coverage(repetitions: int) -> Iterator[str]:
    """Coverage and, in brackets, length of intervals of log ratios, as Markdown."""
    yield "| setting | independents + seeds | preserved | gain | variances added up |"
    yield "| --- | --- | --- | --- | --- |"
    for setting in SETTINGS:
        for independents, seeds in TRAININGS:
            both = covered(setting, independents, seeds, repetitions)
            cells = [f"{s:.1f} ({length:.2f})" for s, length in zip(*both, strict=True)]
            trained = f"{independents} + {seeds}"
            yield f"| {setting.name} | {trained} | {' | '.join(cells)} |"


@dataclass(frozen=True, eq=False)
class Simulated(Evidence):
    """Evidence whose numbers are drawn."""

    drawn: Distances | None = None
    copies: dict[str, Estimate] = field(default_factory=dict)

    def distances(self, measure: str = "") -> Distances:
        """The same by any measure."""
        return self.drawn

    @property
    def estimates(self) -> dict[str, Estimate]:
        """Of copies alone."""
        return self.copies

    def accuracy_deviation(self, group: str) -> TEstimate:
        """All models are as accurate as the base model."""
        return TEstimate(0.0, 0.0, math.inf)


def run_of(
    setting: Setting,
    trained: tuple[int, int],
    students: dict[float, float],
    quantized: dict[str, float],
    pruned: dict[float, float],
    rng: np.random.Generator,
) -> Simulated:
    """A run with these functions preserved by its models, in percent."""
    independents, seeds = trained
    scores = [*students.values()], [*quantized.values(), *pruned.values()]
    groups, single = ([ratio_at(score) for score in part] for part in scores)
    drawn = draw(setting, independents, seeds, groups, single, rng)
    # Evidence has the independent models first.
    order = [*drawn.independents, *range(len(drawn.values) - independents)]
    drawn = replace(
        drawn,
        values=drawn.values[order],
        images=drawn.images[np.ix_(order, order)],
        independents=tuple(range(independents)),
    )
    return Simulated(
        base=NOTHING,
        labels=np.zeros(1, int),
        leans_on_teacher=True,
        soft_targets="logits",
        independents=[NOTHING] * independents,
        students={alpha: dict.fromkeys(range(seeds), NOTHING) for alpha in students},
        quantized=dict.fromkeys(quantized, NOTHING),
        pruned=dict.fromkeys(pruned, NOTHING),
        drawn=drawn,
    )


def transfer_of(seeds: int, asymmetry: float, rng: np.random.Generator) -> Simulated:
    """A run of 10,000 images whose students adopt 30 % of the right answers."""
    counts = {"copied_errors": 3000, "copied_correct": 7000}
    adopted = {"copied_errors": 0.3 + asymmetry / 100, "copied_correct": 0.3}
    control = {"copied_errors": 0.3, "copied_correct": 0.8}
    copies = {}
    for name in COPIES:
        taught = control[name] + adopted[name] * (1 - control[name])
        shares = np.repeat([control[name], taught], seeds)
        shares = shares + rng.normal(0, 0.01, 2 * seeds)
        values = rng.binomial(counts[name], shares) / counts[name]
        noise = rng.normal(size=(200, 2 * seeds))
        deviations = np.sqrt(values * (1 - values) / counts[name])
        copies[name] = Estimate(values, values + noise * deviations, 0.95)
    both = dict.fromkeys(range(seeds), NOTHING)
    labels = np.repeat([0, 1], [7000, 3000])
    return Simulated(
        base=np.tile([1.0, 0.0], (10_000, 1)),
        labels=labels,
        leans_on_teacher=True,
        soft_targets="logits",
        controls={ANOTHER_TEACHER: both},
        students={0.9: both},
        copies=copies,
    )


#: By claim, true values and what would be wrong to say of each, and the run's models.
Make = Callable[[Setting, tuple[int, int], float, np.random.Generator], Simulated]
QUESTIONS: dict[int, tuple[dict[float, str], Make]] = {
    1: (
        {0: "contradicted", 3: "contradicted", 7: "contradicted"}
        | {12: "supported", 16: "supported", 30: "supported"},
        lambda s, t, x, rng: run_of(s, t, {0.1: 30, 0.5: 30, 0.9: 30 + x}, {}, {}, rng),
    ),
    2: (
        {-30: "supported", -13: "supported", -7: "contradicted", 0: "contradicted"}
        | {7: "contradicted", 13: "supported", 30: "supported"},
        lambda s, t, x, rng: run_of(s, t, {0.9: x}, {}, {}, rng),
    ),
    3: (
        {-20: "supported", 3: "supported", 7: "supported"}
        | {13: "contradicted", 17: "contradicted", 40: "contradicted"},
        lambda s, t, x, rng: run_of(
            s, t, {0.9: 20}, {"dynamic-range": 75}, {0.75: 75 - x, 0.9: 20}, rng
        ),
    ),
    4: (
        {30: "supported", 47: "supported", 53: "contradicted", 70: "contradicted"},
        lambda s, t, x, rng: run_of(s, t, {}, {}, {0.5: x}, rng),
    ),
    5: (
        {0: "supported", 7: "supported", 13: "contradicted", 40: "contradicted"},
        lambda s, t, x, rng: run_of(
            s, t, {0.9: 99 - x}, {"dynamic-range": 99}, {}, rng
        ),
    ),
    6: (
        {-15: "supported", 0: "supported", 7: "supported"}
        | {13: "contradicted", 25: "contradicted"},
        lambda s, t, x, rng: transfer_of(t[1], x, rng),
    ),
}


def said(number: int, run: Simulated) -> str:
    """What a claim comes to by its own test, before Holm's correction."""
    # Tests decide, and the ends of intervals, which take most of the time, agree.
    with mock.patch.object(Gain, "_ends", (math.nan, math.nan)):
        found = CLAIMS[number].rule(run)
    if not isinstance(found, Finding):
        raise ValueError(f"claim {number} lacks {found}")
    if min(found.p_supported, found.p_contradicted) >= LEVEL:
        return "undecided"
    likelier = found.p_supported < found.p_contradicted
    return "supported" if likelier else "contradicted"


def errors(number: int, setting: Setting, trained: tuple[int, int], repetitions: int):
    """By true value, the shares of verdicts that are wrong and of those undecided."""
    wrong, make = QUESTIONS[number]
    for truth, mistake in wrong.items():
        rng = np.random.default_rng([2, number, *trained, round(truth) + 1000])
        verdicts = [
            said(number, make(setting, trained, truth, rng)) for _ in range(repetitions)
        ]
        shares = (verdicts.count(mistake), verdicts.count("undecided"))
        yield truth, *(100 * count / repetitions for count in shares)


def verdicts(repetitions: int) -> Iterator[str]:
    """The largest share of wrong verdicts of each claim, as Markdown."""
    claims = [f"claim {number}" for number in QUESTIONS]
    yield f"| setting | independents + seeds | {' | '.join(claims)} |"
    yield "|" + " --- |" * (2 + len(claims))
    for setting in SETTINGS:
        for trained in ((2, 3), (5, 5)):
            cells = []
            for number in QUESTIONS:
                found = list(errors(number, setting, trained, repetitions))
                truth, worst, _ = max(found, key=lambda row: row[1])
                cells.append(f"{worst:.1f} % (at {truth:g})")
            both = f"{trained[0]} + {trained[1]}"
            yield f"| {setting.name} | {both} | {' | '.join(cells)} |"


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--repetitions", type=int, default=1000, help="default 1000")
    repetitions = parser.parse_args().repetitions
    for line in coverage(repetitions):
        print(line, flush=True)
    print()
    for line in verdicts(repetitions):
        print(line, flush=True)


if __name__ == "__main__":
    main()
