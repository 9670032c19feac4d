"""Several runs side by side, for the report page."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from kdfunc.analysis import setups
from kdfunc.report import charts, tables
from kdfunc.report.results import Results

#: Outcomes of a claim, each with its mark on the page.
ICONS = {"supported": "✓", "contradicted": "✗", "undecided": "?"}


def compare(runs: Sequence[Results]) -> dict[str, Any]:
    """Several runs side by side.

    Args:
      runs: two or more.

    Returns:
      what `page.html.jinja` shows as `comparison`, by its names there.
    """
    judged = [run for run in runs if run.verdicts is not None]
    asked = [run.setup for run in judged if run.setup]
    together = setups.answers(asked)
    claims = list(dict.fromkeys(c for run in judged for c in run.verdicts["claim"]))
    by_run = {run.name: run.verdicts.set_index("claim") for run in judged}
    grid = [
        (
            claim,
            [
                by_run[run.name].loc[claim]
                if run.name in by_run and claim in by_run[run.name].index
                else None
                for run in runs
            ],
        )
        for claim in claims
    ]
    measured = [run for run in runs if run.preserved is not None]
    methods = list(dict.fromkeys(n for run in measured for n in run.preserved["name"]))
    ratios = pd.DataFrame(
        {run.name: run.preserved.groupby("name")["ratio"].mean() for run in measured}
    ).reindex(methods)
    told = [run for run in runs if run.accuracy is not None]
    climbed = [run for run in runs if run.ladder is not None]
    low = min((run.ladder["preserved_low"].min() for run in climbed), default=0.0)
    return {
        "grid": grid,
        "together": together,
        "marks": {setup.name: setup.marks for setup in asked},
        "claims_downloads": [
            tables.download("claims", setups.table(asked)),
            tables.download("claims_over_all", setups.answers_table(together)),
        ],
        "answers": [_answer(claim, cells, runs) for claim, cells in grid],
        "accuracy": tables.accuracy(told, "all") if told else None,
        "meanings": tables.meanings(runs),
        "preserved": tables.preserved_by_run(
            "all-preserved",
            "Function preserved (%), and the distance ratio in brackets",
            ratios,
        ),
        "ladders": [
            (
                run,
                charts.to_page(charts.ladder(run.ladder, low), f"all-{run.id}-ladder"),
            )
            for run in climbed
        ],
    }


def _answer(
    claim: str, cells: Sequence[pd.Series | None], runs: Sequence[Results]
) -> tuple[str, str]:
    """A claim, and a sentence on whether it holds across the runs."""
    told: dict[str, list[str]] = {outcome: [] for outcome in (*ICONS, "not judged")}
    for run, cell in zip(runs, cells, strict=True):
        told["not judged" if cell is None else cell.outcome].append(run.name)
    decided = ("supported", "contradicted")
    counts = "; ".join(
        f"{outcome} in {len(names)} of {len(runs)}"
        + (f" ({', '.join(names)})" if outcome in decided else "")
        for outcome, names in told.items()
        if names
    )
    if told["supported"] and told["contradicted"]:
        reading = "Depends on the run"
    elif len(told["supported"]) == len(runs):
        reading = "Holds in all"
    elif len(told["contradicted"]) == len(runs):
        reading = "Fails in all"
    elif told["supported"]:
        reading = "Holds where it is decided"
    elif told["contradicted"]:
        reading = "Fails where it is decided"
    else:
        reading = "Open"
    return claim, f"{reading}: {counts}."
