"""What the runs found, as tables, each a function of the way to the root."""

import dataclasses
import re
from collections.abc import Callable, Iterable, Iterator
from typing import get_args

import numpy as np
import pandas as pd

from kdfunc.analysis import corruptions as corrupted
from kdfunc.analysis import setups
from kdfunc.analysis.figures import fidelity as fidelity_figure
from kdfunc.catalog import CONTROLS, FORMATS
from kdfunc.config import ARCHITECTURE_NAMES
from kdfunc.similarity.claims import CLAIMS, Outcome
from kdfunc.similarity.effects import p_text
from kdfunc.similarity.meta_analysis import FEWEST
from kdfunc.similarity.outcomes import OUTCOMES
from kdfunc.similarity.rank_tests import LEVEL, holm
from kdfunc.similarity.scale import score
from kdfunc.text import listed, number
from rebuilding.runs import Result, markdown, results

#: Models of the paper, and what they are held against.
FAMILIES = ("independent", "control", "student", "quantized", "pruned")
#: What each preset follows.
PRACTICES = {"published": "the paper's protocol", "standard": "common practice"}


def preserved(root: str) -> str:
    """Function preserved and distance ratio in each run, seeds together."""
    rows = []
    for result in results():
        table = result.preserved
        if table is None:
            rows.append((result.cited(root), {"independent": "not measured"}))
            continue
        table = table[table["family"].isin(FAMILIES)]
        groups = {task.name: task.group for task in result.models}
        group = table["model"].map(groups)
        ratios = table.groupby(group, sort=False)["ratio"].mean()
        cells = {_called(name): _scored(ratio) for name, ratio in ratios.items()}
        rows.append((result.cited(root), cells))
    return _crossed(rows)


def _called(group: str) -> str:
    """What readers call models that differ by chance."""
    if group in CONTROLS:
        return CONTROLS[group].name
    if group in FORMATS:
        return FORMATS[group].published
    if alpha := re.fullmatch(r"student-alpha(.*)", group):
        return f"students, alpha {alpha[1]}"
    if level := re.fullmatch(r"pruned-(.*)", group):
        return f"pruned by {level[1]} %"
    return group


def _crossed(rows: list[tuple[str, dict[str, str]]]) -> str:
    """A table with a row for each run and a column for whatever some run has."""
    columns = dict.fromkeys(name for _, cells in rows for name in cells)
    return markdown(
        ["run", *columns],
        ([link, *(cells.get(name, "") for name in columns)] for link, cells in rows),
    )


def _having(name: str) -> Iterator[tuple[Result, pd.DataFrame]]:
    """The runs that have a table, with it."""
    for result in results():
        if (table := result.table(name)) is not None:
            yield result, table


def _all_runs(
    root: str,
    name: str,
    rows_of: Callable[[pd.DataFrame], Iterator[list[object]]],
    header: Iterable[str],
    none: str,
) -> str:
    """The rows of a table of every run that has it, or what no run has."""
    rows = [
        [result.cited(root), *cells]
        for result, table in _having(name)
        for cells in rows_of(table)
    ]
    if not rows:
        return f"No run in `results/` has {none}.\n"
    return markdown(["run", *header], rows)


#: In place of verdicts that no run has.
NOT_JUDGED = "No run in `results/` has been judged yet.\n"


def _asked(root: str) -> dict[Result, setups.Setup]:
    """The runs that have been judged, as they are asked together."""
    return {
        result: dataclasses.replace(result.setup, name=result.link(root))
        for result in results()
        if result.setup
    }


def claims(root: str) -> str:
    """Each claim with one answer over the runs, and in how many each verdict holds."""
    asked = [*_asked(root).values()]
    if not asked:
        return NOT_JUDGED
    rows = []
    for place, (claim, answer) in enumerate(setups.answers(asked).items(), 1):
        found: dict[str, list[str]] = {}
        for setup in asked:
            for row in setup.verdicts.query("claim == @claim").itertuples():
                name = ARCHITECTURE_NAMES[setup.config.architecture]
                found.setdefault(row.outcome, []).append(name)
        told = (
            f"{outcome} in {len(of)} ({listed([*dict.fromkeys(of)])})"
            for outcome in get_args(Outcome)
            if (of := found.get(outcome))
        )
        rows.append([f"{place}. {claim}", f"**{answer.outcome}**", ", ".join(told)])
    return markdown(["claim", "over the runs", "in single runs"], rows)


def verdicts(root: str) -> str:
    """Each claim in each run with its effect, and one answer over all of them."""
    told = _asked(root)
    if not told:
        return NOT_JUDGED
    asked = [*told.values()]
    together = setups.answers(asked)
    texts = {
        f"{setup.name}{_marked(setup, result)}": {
            row.claim: judged(row)
            + _over_bases(setup.over_bases.get(row.claim), row.claim)
            for row in setup.verdicts.itertuples()
        }
        for result, setup in told.items()
    }
    rows = (
        [f"{number}. {claim}"]
        + [*(cells.get(claim, "") for cells in texts.values()), answer.outcome]
        for number, (claim, answer) in enumerate(together.items(), 1)
    )
    answered = {"all": together}
    for preset, practice in PRACTICES.items():
        alone = [setup for setup in asked if setup.config.preset == preset]
        answered[practice] = setups.answers(alone)
    over_all = (
        [number, which, *_cells(found[claim])]
        for number, claim in enumerate(together, 1)
        for which, found in answered.items()
        if claim in found
    )
    return (
        markdown(["claim", *texts, "all set-ups"], rows)
        + _over_all_runs(pd.concat([setup.verdicts for setup in asked]))
        + "\nOver several set-ups:\n\n"
        + markdown(["claim", "set-ups", *ANSWER], over_all)
    )


def _over_all_runs(verdicts: pd.DataFrame) -> str:
    """How many verdicts of single runs stand if corrected for all of them."""
    tested = verdicts[verdicts["p"].notna()]
    stand = np.array(holm(tested["p"])) < LEVEL
    decided = (tested["outcome"] != "undecided").to_numpy()
    return (
        "\nVerdicts are corrected for the claims of their own run. If corrected "
        f"for all {len(tested)} tests of this table, {(decided & stand).sum()} of the "
        f"{decided.sum()} decided ones stand.\n"
    )


def _over_bases(each: np.ndarray | None, claim: str) -> str:
    """With how many base models a claim on compression holds."""
    if each is None:
        return ""
    low, high = next(rule.holds for rule in CLAIMS.values() if rule.text == claim)
    holding = ((low < each) & (each < high)).sum()
    return f"; holds for {holding} of {len(each)} base models"


#: What `_cells` gives.
ANSWER = (
    *("runs averaged", "mean [95 %]", "expected of another set-up (95 %)"),
    *("p, after Holm", "I²", "answer"),
)


def _cells(answer: setups.Answer) -> list[object]:
    """One answer over several set-ups."""
    if answer.pooled is None:
        return [f"fewer than {FEWEST}", "", "", "", "", answer.outcome]
    pooled = answer.pooled
    p = p_text(answer.p).removeprefix("p = ").removeprefix("p ")
    heterogeneity = f"{pooled.i2:.0f} %"
    told = [answer.mean, answer.expected, p, heterogeneity, answer.outcome]
    return [pooled.setups, *told]


def _marked(setup: setups.Setup, result: Result) -> str:
    """What a reader must know of a run, in brackets."""
    marks = [setup.marks] if setup.marks else []
    marks += result.trainings_left_out
    return f" ({'; '.join(marks)})" if marks else ""


def spread(root: str) -> str:
    """Of each run, the paper's numbers that lie outside the range over base models."""
    none = "more than one base model yet; `--base_models=5` adds them to a run"
    table = _all_runs(root, "spread", _outside, ["inside the range", *SPREAD], none)
    compared = [
        table[table["notebook_where"].notna()]
        for result, table in _having("spread")
        if result.is_papers
    ]
    return table + (_by_chance(pd.concat(compared)) if compared else "")


def _by_chance(compared: pd.DataFrame) -> str:
    """How many of the numbers lie outside, and how many would by chance."""
    where = compared["notebook_where"]
    chance = (2 / (compared["base_models"] + 1)).sum()
    predicted = compared["predicted_low"].notna()
    beyond = where.str.contains("outside the prediction interval").sum()
    return (
        f"\nUnder `published`, {where.str.startswith('outside').sum()} of "
        f"{len(compared)} numbers lie outside the range, where chance alone puts "
        f"{chance:.0f}; of the {predicted.sum()} that have a prediction interval, "
        f"{beyond} lie outside it, where chance alone puts "
        f"{0.05 * predicted.sum():.1f}.\n"
    )


def _outside(table: pd.DataFrame) -> Iterator[list[str]]:
    """The rows of a run of which the notebook's number lies outside the range."""
    compared = table["notebook_where"].dropna().astype(str)
    inside = compared.str.startswith("inside")
    told = f"{inside.sum()} of {len(compared)}"
    outside = table.loc[compared.index[~inside]]
    if outside.empty:
        yield [told, *[""] * len(SPREAD)]
    for cells in spread_of(outside):
        yield [told, *cells]


#: What `spread_of` gives.
SPREAD = (
    *("accuracy of the base model or deviation from it, %", "own base model"),
    *("mean", "range", "the paper's", "the paper's lies"),
    *("the notebook's", "the notebook's lies", "function preserved"),
)


def spread_of(table: pd.DataFrame) -> Iterator[list[str]]:
    """The rows of a run."""
    for row in table.itertuples():
        yield [
            f"{row.method}, {row.setting}",
            *(number(value, 2) for value in (row.own, row.mean)),
            f"{row.least:.2f} to {row.most:.2f}",
            "" if pd.isna(row.published) else f"{row.published:g}",
            "" if pd.isna(row.where) else row.where,
            "" if pd.isna(row.notebook) else number(row.notebook, 2),
            "" if pd.isna(row.notebook_where) else row.notebook_where,
            _kept_over(row),
        ]


def _kept_over(row) -> str:
    """Mean and range of the function preserved over base models."""
    if pd.isna(row.preserved):
        return ""
    low, high = row.preserved_low, row.preserved_high
    return f"{row.preserved:.1f} ({low:.1f} to {high:.1f})"


def fidelity(root: str) -> str:
    """How cheap measures on few images rank the compressed models of each run."""
    header = ["models (number)", *fidelity_figure.NAMES.values()]
    return _all_runs(root, "fidelity", fidelity_of, header, "the table yet")


def fidelity_of(table: pd.DataFrame) -> Iterator[list[object]]:
    """The rows of a run, one for each group of models."""
    few = table[table["examples"] == table["examples"].min()]
    for (group, count), each in few.groupby(["group", "models"], sort=False):
        by = each.set_index("measure").loc[list(fidelity_figure.NAMES)]
        yield [
            f"{fidelity_figure.GROUPS[group]} ({count})",
            *map(_ranked, by.itertuples()),
        ]


def _ranked(row) -> str:
    """A rank correlation with its interval; empty for too few models."""
    if pd.isna(row.correlation):
        return ""
    return f"{row.correlation:.2f} [{row.low:.2f}, {row.high:.2f}]"


def judged(row) -> str:
    """A verdict with its effect and what else keeps it open."""
    if pd.isna(row.effect):
        return f"{row.outcome} ({row.sentence.removeprefix('The run ').rstrip('.')})"
    told = f"{row.outcome}, {interval(row.effect, row.low, row.high)}"
    if np.isinf(row.error):
        once = "Trained once" in row.sentence
        return f"{told} ({'trained once' if once else 'conditions not met'})"
    if row.p < LEVEL <= row.adjusted_p:
        return f"{told} (not after Holm's correction)"
    return told


def interval(value: float, low: float, high: float) -> str:
    """A value and its interval, if that is known."""
    return f"{value:.1f}" + ("" if pd.isna(low) else f" [{low:.1f}, {high:.1f}]")


def ladder(root: str) -> str:
    """What each ingredient of distillation adds in each run."""
    rows = []
    for result in results():
        if result.ladder is None:
            continue
        steps = result.ladder[result.ladder["step"].notna()]
        cells = {
            row.rung.removesuffix(", other order"): _step(row)
            for row in steps.itertuples()
        }
        rows.append((result.cited(root), cells))
    return _crossed(rows)


def _step(row) -> str:
    """A step with its interval, and whether that rests on a single training."""
    told = interval(row.step, row.step_low, row.step_high)
    return f"{told} (trained once)" if row.step_rests_on.startswith("1 ") else told


def variants(root: str) -> str:
    """What students with one setting changed preserve in each run."""
    return _all_runs(root, "variants", variants_of, VARIANTS, "such students yet")


#: What `variants_of` gives.
VARIANTS = (
    *("students", "trainings", "function preserved, %"),
    *("points more than unchanged students", "verdict on that"),
    *("points more than without a teacher", "accuracy minus the base model's, points"),
)


def variants_of(table: pd.DataFrame) -> Iterator[list[object]]:
    """The rows of a run, one for each setting that is changed, with and without."""
    numbers = {
        name: [
            "" if pd.isna(value) else interval(value, low, high)
            for value, low, high in table[[name, f"{name}_low", f"{name}_high"]].values
        ]
        for name in ("preserved", "change", "taught", "accuracy_difference")
    }
    for place, row in enumerate(table.itertuples()):
        name = "unchanged" if row.variant == "none" else f"`{row.variant}`"
        cells = {column: texts[place] for column, texts in numbers.items()}
        yield [
            name + (", no teacher" if row.teacher == "none" else ""),
            row.models,
            cells["preserved"],
            cells["change"],
            "" if pd.isna(row.outcome) else row.outcome,
            cells["taught"],
            cells["accuracy_difference"],
        ]


def corruptions(root: str) -> str:
    """How all corrupted images together rank the compressed models of each run."""
    none = "been given to `kdfunc corruptions` yet"
    return _all_runs(root, "corruption_ranking", _together, CORRUPTIONS[1:], none)


def _together(table: pd.DataFrame) -> Iterator[list[object]]:
    """The row of a run for all sets of corrupted images together."""
    for _, *cells in corruptions_of(table[table["corruption"] == corrupted.ALL]):
        yield cells


#: What `corruptions_of` gives.
CORRUPTIONS = (
    *("images", "accuracy of the base model, %", "rank correlation"),
    *OUTCOMES,
)


def corruptions_of(table: pd.DataFrame) -> Iterator[list[object]]:
    """The rows of a run, one for each set of corrupted images."""
    for _, row in table.iterrows():
        yield [
            corrupted.named(row["corruption"], row["strength"]),
            f"{100 * row['base_accuracy']:.1f}",
            _ranked(row),
            *row[list(OUTCOMES)],
        ]


def compression(root: str) -> str:
    """What every pipeline leaves: bytes, function preserved, distance ratio."""
    columns, pictures = {}, []
    for result in results():
        table = result.table("compression")
        if table is None or "compressed" not in set(table["family"]):
            continue
        figure = "figures/compression.png"
        columns[result.cited(root)] = {
            row.model: _kept(row) for row in table.itertuples() if row.family != "base"
        }
        if (result.path / figure).exists():
            pictures.append(result.link(root, figure))
    if not columns:
        return "No run in `results/` has `--compressions` yet.\n"
    modes = dict.fromkeys(mode for cells in columns.values() for mode in cells)
    shown = markdown(
        ["pipeline", *columns],
        (
            [f"`{mode}`", *(cells.get(mode, "") for cells in columns.values())]
            for mode in modes
        ),
    )
    drawn = f"\nAs a picture: {', '.join(pictures)}.\n" if pictures else ""
    return shown + drawn


def _scored(ratio: float) -> str:
    """The function preserved, in percent, and the distance ratio."""
    return f"{score(ratio):.1f} ({ratio:.3g})"


def _kept(row) -> str:
    """Bytes and function, or that a library cannot make the model."""
    if not pd.isna(row.not_possible):
        return "not possible"
    size = f"{row.bytes:,.0f}"
    if pd.isna(row.preserved):
        return size
    return f"{size}; {row.preserved:.1f} % ({row.ratio:.3g})"


def restored(root: str) -> str:
    """What giving back one kind of array does to models pruned in all arrays."""
    parts = []
    for result, table in _having("restored_arrays"):
        cells = table.pivot(
            index=["base_model", "level"], columns="restored", values="deviation"
        )
        kinds = list(dict.fromkeys(table["restored"]))
        rows = (
            [base, f"{100 * level:g} %"]
            + ["" if pd.isna(row[kind]) else number(row[kind], 2) for kind in kinds]
            for (base, level), row in cells.iterrows()
        )
        text = markdown(["base model", "pruned", *kinds], rows)
        parts.append(f"{result.cited(root)}:\n\n{text}")
    return "\n".join(parts) or "No run in `results/` has this table yet.\n"


def statistics(root: str) -> str:
    """Accuracies with moving statistics of the training and with fresh ones."""
    return _all_runs(
        root,
        "fresh_statistics",
        lambda table: (
            [row.model, f"{100 * row.accuracy:.1f}", f"{100 * row.fresh_accuracy:.1f}"]
            for row in table.itertuples()
        ),
        ["model", "accuracy as trained, %", "with fresh statistics, %"],
        "this table yet",
    )


def initialization(root: str) -> str:
    """How far pruned models are from the untrained and from the trained base model."""
    rows = []
    for result, table in _having("initialization"):
        by_model = table.set_index("model")
        start = by_model.loc["base", "to_initialization"]
        cells = {"trained, not pruned": number(start)}
        for row in table[table["family"] == "pruned"].itertuples():
            level = row.model.removeprefix("pruned-")
            told = f"{number(row.to_initialization)} ({number(row.to_base)})"
            cells[f"pruned by {level} %"] = told
        other = table[table["family"] == "independent"]["to_initialization"]
        if len(other):
            cells["another untrained network"] = number(other.iloc[0])
        rows.append((result.cited(root), cells))
    return _crossed(rows) if rows else "No run in `results/` has this table yet.\n"


#: What is pruned in `scopes`.
_SCOPES = ("all arrays", "kernels alone")


def scopes(root: str) -> str:
    """Pruning of all arrays beside pruning of kernels, where batch norm is pruned."""
    rows = []
    for result, table in _having("pruned_arrays"):
        if not table["zero"].any():
            continue
        for level, pair in table.groupby("level"):
            scope = pair.set_index("scope")
            everything, kernels = (scope.loc[which] for which in _SCOPES)
            rows.append(
                [
                    result.cited(root),
                    f"{100 * level:g} %",
                    f"{everything['zero']:,} of {everything['moving_variances']:,}",
                    *(f"{each['deviation']:.2f}" for each in (everything, kernels)),
                    *(_scored(each["ratio"]) for each in (everything, kernels)),
                ]
            )
    header = ["run", "pruned", "moving variances set to zero"]
    header += [f"deviation of accuracy, {which}, %" for which in _SCOPES]
    header += [f"function preserved, {which}, %" for which in _SCOPES]
    return markdown(header, rows)
