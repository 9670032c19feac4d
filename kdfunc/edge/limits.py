"""Limits that a build pipeline sets, such as `agreement>=0.99`."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kdfunc.errors import InputError
from kdfunc.similarity import MEASURES

PATTERN = re.compile(r"\s*([\w.]+)\s*(>=|<=)\s*(-?[\d.]+(?:e-?\d+)?)\s*(%?)\s*", re.I)
PRESERVED = "preserved."
#: Agreement is what people ask for; the measure is its complement.
NAMES = {"agreement": False, **{m.name: m.needs_labels for m in MEASURES.values()}}
NAMES |= {
    PRESERVED + m.name: m.needs_labels
    for m in MEASURES.values()
    if m.identity is not None
}


@dataclass(frozen=True)
class Limit:
    """A bound for the value of a measure.

    Attributes:
      text: as it was given.
      name: `agreement`, a measure, or `preserved.` and a measure for the function
        preserved by it, in percent.
      least: whether the value is to be at least the bound, not at most.
      bound: in the unit of the value.
    """

    text: str
    name: str
    least: bool
    bound: float

    def is_met(self, value: float) -> bool:
        """Whether a value is within the limit; one that is not a number is not."""
        return value >= self.bound if self.least else value <= self.bound


def parse(
    texts: Iterable[str], labels: bool = True, independents: bool = True
) -> list[Limit]:
    """Reads limits such as `agreement>=0.99`, `agreement>=99%`, `preserved.x>=80`.

    Args:
      texts: one limit each.
      labels: whether there are true classes.
      independents: whether there are independently trained models.

    Raises:
      InputError: no limit, no such measure, or what it needs is not there.
    """
    return [_parse(text, labels, independents) for text in texts]


def _parse(text: str, labels: bool, independents: bool) -> Limit:
    match = PATTERN.fullmatch(text)
    if not match:
        raise InputError(
            f"--limit: {text!r} is no limit; give one in quotes for the shell's sake, "
            "such as --limit 'agreement>=0.99'."
        )
    name, sign, bound, percent = match.groups()
    if name not in NAMES:
        known = [known for known in NAMES if not known.startswith(PRESERVED)]
        raise InputError(
            f"--limit: there is no measure {name!r}; choose from {', '.join(known)}, "
            f"or {PRESERVED} and a measure, such as {PRESERVED}disagreement."
        )
    if NAMES[name] and not labels:
        raise InputError(
            f"--limit: {name} needs the true classes; give a .npz file that has them "
            "as the member `labels`."
        )
    if name.startswith(PRESERVED) and not independents:
        raise InputError(
            f"--limit: {name} needs a yardstick; give an independently trained model "
            "with --independent."
        )
    try:
        value = float(bound)
    except ValueError:
        raise InputError(f"--limit: {bound!r} in {text!r} is no number.") from None
    in_percent = name.startswith(PRESERVED)
    return Limit(
        text, name, sign == ">=", value / 100 if percent and not in_percent else value
    )


def judge(
    limits: Iterable[Limit], values: Mapping[str, float]
) -> list[dict[str, object]]:
    """Each limit with the value found, and whether it is met."""
    return [
        {
            "limit": limit.text,
            "value": values[limit.name],
            "met": bool(limit.is_met(values[limit.name])),
        }
        for limit in limits
    ]
