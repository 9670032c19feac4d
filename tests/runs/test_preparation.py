"""What is asked for can be done in a fresh folder, or is refused in a sentence."""

import io
import itertools
import sys

import pytest

from kdfunc import writing
from kdfunc.config import ExperimentConfig
from kdfunc.errors import InputError
from kdfunc.runs import dry_run, plan, preparation

COMBINATIONS = [
    stages
    for length in range(1, len(plan.STAGES) + 1)
    for stages in itertools.combinations(plan.STAGES, length)
]


@pytest.mark.parametrize(
    "config",
    [
        ExperimentConfig(compressions=("full-int8", "prune90+finetune+sparse")),
        ExperimentConfig(independents=0, alphas=(), controls=(), quantization=()),
    ],
    ids=["much of everything", "little"],
)
def test_any_set_of_stages_can_be_done_in_a_fresh_folder_or_is_refused(
    config, tmp_path
):
    assert len(COMBINATIONS) == 2 ** len(plan.STAGES) - 1
    stages_of = {task.name: task.stage for task in plan.make(config)}
    for stages in COMBINATIONS:
        work = {*stages} & {*stages_of.values()}
        if not work:  # analyse alone, or stages that this experiment lacks
            with pytest.raises(InputError, match="^stages: .*nothing to ") as raised:
                preparation.prepare(config, tmp_path, stages=stages, workers=0)
            assert "\n" not in str(raised.value)
            continue
        prepared = preparation.prepare(config, tmp_path, stages=stages, workers=0)
        done = set()
        for task in prepared.tasks:  # in this order, each finds what it needs
            assert done.issuperset(task.needs), (stages, task.name)
            done.add(task.name)
        asked_for = {name for name, stage in stages_of.items() if stage in stages}
        assert asked_for <= done
        assert {"data", "base"} <= done  # so that there is something to analyse
        assert prepared.analyses == ("analyse" in stages)
    assert list(tmp_path.iterdir()) == []


class Piped(io.StringIO):
    """Of what is written, a reader sees what was flushed."""

    seen = ""

    def flush(self):
        self.seen = self.getvalue()


def test_the_home_folder_can_be_abbreviated(tmp_path, monkeypatch):
    """Shells expand `~` at the beginning of a word alone."""
    for variable in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(variable, str(tmp_path))
    config = ExperimentConfig()
    prepared = preparation.prepare(config, "~/my runs", workers=0)
    assert prepared.directory.path == tmp_path / "my runs" / config.name
    assert writing.output_path("~/page.html") == tmp_path.resolve() / "page.html"


@pytest.mark.parametrize("stages", [plan.STAGES, ["quantize"]])
def test_the_plan_is_shown_before_anything_is_measured(stages, tmp_path, monkeypatch):
    class Measuring(Exception):
        pass

    def measure(*_):
        raise Measuring

    prepared = preparation.prepare(
        ExperimentConfig(), tmp_path, stages=stages, workers=0
    )
    monkeypatch.setattr(dry_run.engine, "open", measure)
    monkeypatch.setattr(sys, "stdout", stream := Piped())
    with pytest.raises(Measuring):
        dry_run.show(prepared)
    assert stream.seen.count("\n") == 1 + len(prepared.tasks) + prepared.analyses
