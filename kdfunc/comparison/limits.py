"""Limits that a release must meet, such as `agreement>=99% at 95%`.

A limit without a confidence compares the value itself with the bound. That suits a test
in every build: the same test set and the same files give the same answer each time. A
release makes a stronger claim: that the limit holds for what the model will see. `at
95%` asks for that: the limit is met only if the whole 95 % interval meets it, missed if
the whole interval misses it, and otherwise undecided.
"""

import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kdfunc.comparison.catalog import RELATIVE, SIZES, UNITS, Named, catalog
from kdfunc.comparison.quantities import Quantity
from kdfunc.errors import InputError

NUMBER = r"[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?"
PATTERN = re.compile(
    rf"\s*([\w.]+)(?:\[(.+)\])?\s*(>=|<=)\s*({NUMBER})\s*(%?)"
    rf"(?:\s+at\s+({NUMBER})\s*(%?))?\s*",
    re.IGNORECASE,
)
MET, MISSED, UNDECIDED = "met", "missed", "undecided"
FILES = None  # in the place of an output, for sizes and speed


@dataclass(frozen=True)
class Limit:
    """A bound for a number of a comparison.

    Attributes:
      text: The limit as given.
      name: Name of the number, as in `catalog`.
      output: The output to which it applies; None for all that have the number.
      least: Whether the value must be at least the bound, rather than at most.
      bound: In the unit of the value, or relative to the reference's value.
      relative: Whether the bound is relative to the reference's value.
      confidence: The requested confidence, or None to judge the value alone.
    """

    text: str
    name: str
    output: str | None
    least: bool
    bound: float
    relative: bool = False
    confidence: float | None = None

    def judge(self, quantity: Quantity) -> str:
        """`met`, `missed` or `undecided`; NaN misses every limit.

        Args:
          quantity: The number to judge.
        """
        low = high = quantity.value
        if self.confidence and not math.isnan(quantity.value):
            if quantity.is_open(self.bound, self.confidence, quantity.examples):
                return UNDECIDED
            low, high = quantity.interval(self.confidence)
        is_met = low >= self.bound if self.least else high <= self.bound
        return MET if is_met else MISSED


def parse(
    texts: str | Sequence[str],
    labels: bool = True,
    independents: bool = True,
    files: bool = True,
) -> list[Limit]:
    """Reads limits such as `agreement>=99%`, `bytes<=30%`, `agreement>=99% at 95%`.

    Args:
      texts: One or several limits.
      labels: Whether there are true classes.
      independents: Whether there are independently trained models.
      files: Whether the models are files, which have a size and a speed.

    Raises:
      InputError: It is not a limit, there is no such number, it is always or never met,
        or something that it needs is missing.
    """
    texts = [texts] if isinstance(texts, str) else texts
    there = {"labels": labels, "independents": independents, "files": files}
    return [_parse(text, there) for text in texts]


def _parse(text: str, there: Mapping[str, bool]) -> Limit:
    match = PATTERN.fullmatch(text)
    if not match:
        raise InputError(
            f"--limit: {text!r} is not a limit; give one in quotes, such as --limit "
            "'agreement>=99%' or --limit 'agreement>=99% at 95%'."
        )
    name, output, sign, bound, percent, confidence, in_percent = match.groups()
    named = _named(name)
    for need, advice in _NEEDS.items():
        if need in named.needs and not there[need]:
            raise InputError(f"--limit: {name} needs {advice}.")
    if percent and name in UNITS:
        raise InputError(
            f"--limit: {name} is in {UNITS[name]}, not in percent; did you mean "
            f"{(text[: match.start(5)] + text[match.end(5) :]).strip()}?"
        )
    value, least = float(bound), sign == ">="
    relative = name in SIZES and bool(percent)
    if percent and not named.in_percent:
        value /= 100
    limit = Limit(
        text.strip(),
        name,
        output,
        least,
        value,
        relative,
        _confidence(text, named, confidence, in_percent),
    )
    _check_range(limit, named, bound, bool(percent))
    return limit


_NEEDS = {
    "labels": "true classes; give a .npz file that contains them as `labels`",
    "independents": "an independently trained model; give one with --independent",
    "files": "model files; use kdfunc-edge compare",
}


def _named(name: str) -> Named:
    found = catalog()
    if name not in found:
        known = [known for known in found if "." not in known]
        raise InputError(
            f"--limit: there is no measure {name!r}; choose from {', '.join(known)}, "
            "preserved. followed by a measure, such as preserved.jensen_shannon, or a "
            "tail, such as jensen_shannon.p99."
        )
    return found[name]


def _confidence(text, named: Named, given: str | None, in_percent: str) -> float | None:
    if given is None:
        return None
    if not named.has_interval:
        raise InputError(
            f"--limit: {named.name} has no interval; omit `at ...` in {text!r}."
        )
    value = float(given)
    if not in_percent or not 50 <= value < 100:
        meant = 100 * value if 0.5 <= value < 1 else 95
        raise InputError(
            f"--limit: the confidence in {text!r} must lie between 50 and 100 %; did "
            f"you mean at {meant:g}%?"
        )
    return value / 100


def _check_range(limit: Limit, named: Named, given: str, percent: bool) -> None:
    """Refuses a bound that is always or never met."""
    low, high = (0.0, math.inf) if limit.relative else (named.low, named.high)
    bound, certain = limit.bound, limit.confidence is not None
    if limit.least:
        always, never = bound <= low, bound > high or (certain and bound == high)
    else:
        always, never = bound >= high, bound < low or (certain and bound == low)
    if always or never:
        outcome = "is always met" if always else "can never be met"
    elif named.is_share and not percent and bound == 1:
        outcome = "may mean 1 % or 100 %"
    else:
        return
    sign = ">=" if limit.least else "<="
    advice = "give a bound within that range."
    if named.is_share and not percent and 1 <= bound <= 100:
        advice = f"did you mean {limit.name}{sign}{float(given):g}%?"
    top = f"{high:.4g}" + (" percent" if named.in_percent else "")
    raise InputError(
        f"--limit: {limit.text!r} {outcome}, since {limit.name} lies between {low:.4g} "
        f"and {top}; {advice}"
    )


def judge(
    limits: Iterable[Limit], outputs: Mapping[str | None, Mapping[str, Quantity]]
) -> list[dict[str, Any]]:
    """Judges the results by the limits.

    Args:
      limits: From `parse`.
      outputs: The numbers by name, for each output of the models; `FILES` for sizes.

    Returns:
      For each limit and each output that has the number: `limit`, `output`, `value`,
      `interval` at the requested confidence or None, `outcome`, and
      `examples_to_decide` if it is undecided and more examples alone can decide it
      (None if no number would).

    Raises:
      InputError: No output has the number that a limit names.
    """
    return [entry for limit in limits for entry in _judge(limit, outputs)]


def _judge(limit: Limit, outputs) -> list[dict[str, Any]]:
    name = RELATIVE + limit.name if limit.relative else limit.name
    chosen = {
        output: quantities[name]
        for output, quantities in outputs.items()
        if name in quantities and limit.output in (None, output)
    }
    if not chosen:
        if limit.output is not None and limit.output not in outputs:
            names = ", ".join(map(repr, filter(None, outputs))) or "but one"
            raise InputError(
                f"--limit: {limit.text!r} names an output that does not exist; the "
                f"models have {names}."
            )
        there = dict.fromkeys(name for found in outputs.values() for name in found)
        known = [name for name in there if not name.startswith(RELATIVE)]
        raise InputError(
            f"--limit: {limit.name} cannot be computed from these models' outputs; "
            f"choose from {', '.join(known)}."
        )
    entries = []
    for output, quantity in chosen.items():
        outcome = limit.judge(quantity)
        entry = {
            "limit": limit.text,
            "output": output,
            "value": quantity.value,
            "interval": None,
            "outcome": outcome,
        }
        if limit.confidence:
            entry["interval"] = list(quantity.interval(limit.confidence))
        if outcome == UNDECIDED and quantity.narrows:
            entry["examples_to_decide"] = quantity.examples_to_decide(
                limit.bound, limit.confidence
            )
        entries.append(entry)
    return entries


def exit_code(entries: Iterable[Mapping[str, Any]]) -> int:
    """0 if every limit is met, 1 if one is missed, else 3: undecided.

    Args:
      entries: The results on limits, each with its `outcome`.
    """
    outcomes = {entry["outcome"] for entry in entries}
    if MISSED in outcomes:
        return 1
    return 3 if UNDECIDED in outcomes else 0
