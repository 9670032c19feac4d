"""The numbers of a comparison, by the names that limits use."""

from dataclasses import dataclass
from functools import cache

from kdfunc.comparison.values import MEASURES as VALUE_MEASURES
from kdfunc.similarity import MEASURES
from kdfunc.similarity.tails import TAILED, TAILS, fewest

PRESERVED = "preserved."
RELATIVE = "relative."  # to the reference's
SIZES = {
    "bytes": "Bytes",
    "gzip_bytes": "Bytes after gzip",
    "latency_ms": "Latency in ms",
}
#: Units of numbers that have one, so that a limit cannot be in percent.
UNITS = {
    "snr_db": "dB",
    **dict.fromkeys(("kl_forward", "kl_reverse", "log_loss_difference"), "nats"),
    **dict.fromkeys(
        ("mean_absolute_difference", "max_absolute_difference"), "the output's unit"
    ),
}


@dataclass(frozen=True)
class Named:
    """A number that can be limited.

    Attributes:
      name: Name in limits and in the output.
      label: Name in tables.
      low: Lower end of its range.
      high: Upper end.
      needs: Which of `labels` and `independents` it requires.
      fewest: The number of examples that it requires.
      in_percent: Whether the value is already in percent.
      has_interval: Whether it has an interval.
    """

    name: str
    label: str
    low: float = 0.0
    high: float = 1.0
    needs: frozenset[str] = frozenset()
    fewest: int = 1
    in_percent: bool = False
    has_interval: bool = True

    @property
    def is_share(self) -> bool:
        """Whether it is a share, so that people think of it in percent."""
        return (self.low, self.high) == (0.0, 1.0)


@cache
def catalog() -> dict[str, Named]:
    """Every number by name, shares first since they are used most."""
    labels, independents = frozenset({"labels"}), frozenset({"independents"})
    rows = [
        Named("agreement", "Agreement"),
        Named("accuracy", "Accuracy of the candidate", needs=labels),
    ]
    for measure in MEASURES.values():
        needs = labels if measure.needs_labels else frozenset()
        rows.append(
            Named(measure.name, measure.label, measure.low, measure.high, needs)
        )
        if measure.identity is not None:
            name, label = PRESERVED + measure.name, f"Preserved by {measure.label}"
            rows.append(
                Named(name, label, -100.0, 100.0, needs | independents, in_percent=True)
            )
    for tail in TAILS:
        label = f"{MEASURES[TAILED].label}, {tail[1:]} % of examples below"
        name = f"{TAILED}.{tail}"
        rows.append(Named(name, label, fewest=fewest(tail), has_interval=False))
    rows += [
        Named(m.name, m.label, m.low, m.high, has_interval=m.combine is not None)
        for m in VALUE_MEASURES.values()
    ]
    rows += [
        Named(name, label, 0.0, float("inf"), has_interval=False)
        for name, label in SIZES.items()
    ]
    return {row.name: row for row in rows}
