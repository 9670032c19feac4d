"""The tables of the documentation, each a function of the way to the repository."""

from collections.abc import Callable
from functools import partial

from kdfunc.similarity import MEASURES
from rebuilding import findings, grid, published_tables
from rebuilding.runs import markdown


def measures(root: str) -> str:
    """What the registry knows of every measure."""

    def bound(value: float) -> str:
        named = {2**0.5: "√2", float("inf"): "∞", -float("inf"): "-∞"}
        return named.get(value, f"{value:.3g}")

    return markdown(
        [
            "measure",
            "key",
            "range",
            "same function",
            "wanted",
            "symmetric",
            "labels",
            "source",
        ],
        (
            [
                f"[{m.label}](#{m.name})",
                f"`{m.name}`",
                f"{bound(m.low)} to {m.high_formula or bound(m.high)}",
                "" if m.identity is None else f"{m.identity:g}",
                m.better,
                "yes" if m.symmetric else "",
                "needed" if m.needs_labels else "",
                m.source,
            ]
            for m in MEASURES.values()
        ),
    )


TABLES: dict[str, Callable[[str], str]] = {
    "measures": measures,
    "finished": grid.finished,
    "grid": grid.grid,
    "claims": findings.claims,
    "table-1": published_tables.table_1,
    "table-2": published_tables.table_2,
    "table-3": partial(published_tables.deviations, 3),
    "table-4": partial(published_tables.deviations, 4),
    "table-5": partial(published_tables.deviations, 5),
    "independents": published_tables.independents,
    "figures": published_tables.figures,
    "preserved": findings.preserved,
    "ladder": findings.ladder,
    "variants": findings.variants,
    "corruptions": findings.corruptions,
    "verdicts": findings.verdicts,
    "compression": findings.compression,
    "scopes": findings.scopes,
    "initialization": findings.initialization,
    "restored": findings.restored,
    "statistics": findings.statistics,
    "spread": findings.spread,
    "fidelity": findings.fidelity,
}
