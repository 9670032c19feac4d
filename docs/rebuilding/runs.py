"""The finished runs in `results/`, as the documentation speaks of them."""

import pathlib
from collections.abc import Iterable, Iterator, Sequence
from functools import cache, cached_property

import pandas as pd

from kdfunc import presets
from kdfunc.analysis import keep, published, setups
from kdfunc.analysis.names import DATASET_NAMES
from kdfunc.report.results import Results
from kdfunc.runs import plan
from kdfunc.runs.directory import RunDirectory
from kdfunc.text import duration

ROOT = pathlib.Path(__file__).resolve().parents[2]
#: Families of trained models that a run may have few of, in the plural.
PLURALS = {
    "independent": "independent models",
    "student": "students",
    "control": "controls",
}
#: In place of what no run in `results/` has.
NOT_RUN = "not run yet"


class Result(Results):
    """A finished run in `results/`, as the documentation speaks of it."""

    @property
    def path(self) -> pathlib.Path:
        """Its folder."""
        return self.directory.path

    @cached_property
    def times(self) -> pd.DataFrame:
        """What each task took."""
        return pd.read_csv(self.path / keep.TIMES)

    @property
    def time(self) -> str:
        """Of all tasks together, or else of all sessions, and the machine."""
        machine = self.sessions[-1]["machine"]
        processor = machine["processor"].replace("(R)", "")
        whole = sum(session["seconds"] for session in self.sessions)
        spent = (self.times["seconds"] * self.times["threads"]).sum()
        if spent < whole:  # the clock of a task that was stopped began anew
            return f"{duration(whole)} on {machine['cores']} cores of an {processor}"
        return f"{duration(spent)} of one core of an {processor}"

    @property
    def deviations(self) -> str:
        """The flags that tell it from its preset, but for parts left out or added."""
        different = setups.differences(self.config)
        return "".join(f" `--{flag}={text}`" for flag, text in different.items())

    @property
    def trainings_left_out(self) -> list[str]:
        """How many of its preset's trainings it has, by kind, where not all."""
        return [told for family in PLURALS if (told := self.few(family))]

    def few(self, family: str) -> str:
        """How many of its preset's models of a family it has; empty if all."""
        planned = plan.make(setups.preset_of(self.config))
        wanted = {task.name for task in planned if task.family == family}
        found = len(wanted & {task.name for task in self.models})
        if found == len(wanted):
            return ""
        plural = PLURALS[family]
        return f"{found} of {len(wanted)} {plural}" if found else f"no {plural}"

    def cited(self, root: str) -> str:
        """A link to the run's folder, with what tells it from its preset."""
        return self.link(root) + self.deviations

    def link(self, root: str, file: str = "", text: str = "") -> str:
        """A Markdown link to the run's folder or one of its files."""
        return f"[{text or self.path.name}]({root}results/{self.path.name}/{file})"


@cache
def results() -> list[Result]:
    """The finished runs: the data sets in the paper's order, `published` first."""
    found = [
        Result(RunDirectory(path.parent), path.parent.name, path.parent.name)
        for path in sorted((ROOT / "results").glob("[!.]*/config.json"))
    ]
    rules = list(presets.RULES)
    order = list(DATASET_NAMES)
    return sorted(
        found,
        key=lambda r: (
            order.index(r.config.dataset) if r.config.dataset in order else len(order),
            rules.index(r.config.preset),
        ),
    )


def results_of(dataset: str, architecture: str) -> list[Result]:
    """The finished runs of a data set and architecture."""
    return [
        result
        for result in results()
        if (result.config.dataset, result.config.architecture)
        == (dataset, architecture)
    ]


@cache
def paper() -> pd.DataFrame:
    """The paper's Tables 3 to 5."""
    return published.load()


def pairs() -> Iterator[tuple[str, str]]:
    """The paper's pairs of data set and architecture, in its order."""
    found = paper()[["dataset", "architecture"]].drop_duplicates()
    return found.itertuples(index=False)


def markdown(header: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "".join(f"| {' | '.join(map(str, line))} |\n" for line in lines)
