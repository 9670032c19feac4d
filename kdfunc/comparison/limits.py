"""Limits that a release must meet, such as `agreement>=99% at 95%`.

A limit without a confidence compares the value itself with the bound. That suits a test
in every build: the same test set and the same files give the same answer each time. A
release makes a stronger claim: that the limit holds for what the model will see. `at
95%` asks for that: the limit is met only if the whole 95 % interval meets it, missed if
the whole interval misses it, and otherwise undecided.
"""

import math
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from kdfunc.comparison.catalog import RELATIVE, SIZES, UNITS, Named, catalog
from kdfunc.comparison.quantities import Quantity, fewest_resamples
from kdfunc.errors import InputError
from kdfunc.text import did_you_mean

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
      in_percent: Whether the bound was given in percent of 1 or of the reference.
    """

    text: str
    name: str
    output: str | None
    least: bool
    bound: float
    relative: bool = False
    confidence: float | None = None
    in_percent: bool = False

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
    sizes: Collection[str] = tuple(SIZES),
    examples: float = math.inf,
) -> list[Limit]:
    """Reads limits such as `agreement>=99%`, `bytes<=30%`, `agreement>=99% at 95%`.

    Args:
      texts: One or several limits.
      labels: Whether there are true classes.
      independents: Whether there are independently trained models.
      sizes: Which of `SIZES` are measured.
      examples: Number of examples.

    Raises:
      InputError: It is not a limit, there is no such number, it is always or never met,
        or something that it needs is missing.
    """
    texts = [texts] if isinstance(texts, str) else texts
    limits = [_parse(text) for text in texts]
    there = {"labels": labels, "independents": independents}
    for limit in limits:
        _check_available(catalog()[limit.name], there, sizes, examples)
    return limits


def _check_available(
    named: Named, there: Mapping[str, bool], sizes: Collection[str], examples: float
) -> None:
    """Refuses a number that cannot be computed here."""
    name = named.name
    for need, advice in _NEEDS.items():
        if need in named.needs and not there[need]:
            raise InputError(f"--limit: {name} needs {advice}.")
    if name in SIZES and name not in sizes:
        raise InputError(
            f"--limit: {name} is not measured here; use kdfunc-edge compare."
        )
    if examples < named.fewest:
        raise InputError(
            f"--limit: {name} needs at least {named.fewest:,} examples, but there are "
            f"{examples:,}; give more examples or another limit."
        )


def _parse(text: str) -> Limit:
    match = PATTERN.fullmatch(text)
    if not match:
        raise InputError(
            f"--limit: {text!r} is not a limit; give one in quotes, such as --limit "
            "'agreement>=99%' or --limit 'agreement>=99% at 95%'."
        )
    name, output, sign, bound, percent, confidence, in_percent = match.groups()
    named = _named(name)
    if percent and name in UNITS:
        unit = UNITS[name]
        raise InputError(
            f"--limit: {name} is in {unit}, not in percent; give a bound in {unit}, "
            "without %."
        )
    least, relative = sign == ">=", name in SIZES and bool(percent)
    value = _hundredth(bound) if percent and not named.in_percent else float(bound)
    limit = Limit(
        text.strip(),
        name,
        output,
        least,
        value,
        relative,
        _confidence(text, named, confidence, in_percent),
        bool(percent) and not named.in_percent,
    )
    _check_bound(limit, named, match)
    return limit


def _hundredth(number: str) -> float:
    """The float nearest to a hundredth of it, as shares are: 99.9 % is 999 / 1000."""
    return float(Decimal(number) / 100)


_NEEDS = {
    "labels": "true classes; give an .npz file that contains them as `labels`, or, to "
    "kdfunc compare, --labels",
    "independents": "an independently trained model; give one with --independent",
}


def _named(name: str) -> Named:
    found = catalog()
    if name not in found:
        known = [known for known in found if "." not in known]
        raise InputError(
            f"--limit: there is no measure {name!r}{did_you_mean(name, found)} Choose "
            f"from {', '.join(known)}, preserved. followed by a measure, such as "
            "preserved.jensen_shannon, or a tail, such as jensen_shannon.p99."
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
        meant = [x for x in (value, 100 * value) if 50 <= x < 100]
        advice = "give one, such as at 95%."
        if meant:
            advice = f"did you mean at {meant[0]:g}%?"
        raise InputError(
            f"--limit: the confidence in {text!r} must lie between 50 and 100 %; "
            f"{advice}"
        )
    return _hundredth(given)


def _check_bound(limit: Limit, named: Named, match: re.Match) -> None:
    """Refuses a bound that is always or never met, or may mean two things."""

    def in_percent(bound: float) -> str:
        text = match.string
        return f"{text[: match.start(4)]}{bound:g}%{text[match.end(5) :]}".strip()

    low, high = (0.0, math.inf) if limit.relative else (named.low, named.high)
    given, percent = float(match[4]), bool(match[5])
    outcome = _foregone(limit, low, high)
    advice = "give a bound within that range."
    share_of_1 = named.is_share and limit.least and given == 1
    if not percent and (share_of_1 or named.in_percent and 0 < given <= 1):
        outcome = f"may mean {given:g} % or {100 * given:g} %"
        advice = f"give {in_percent(given)} or {in_percent(100 * given)}."
    elif not percent and high == 1:
        if not _foregone(replace(limit, bound=given / 100), low, high):
            advice = f"did you mean {in_percent(given)}?"
    if outcome:
        top = f"{high:.4g}" + (" percent" if named.in_percent else "")
        raise InputError(
            f"--limit: {limit.text!r} {outcome}, since {limit.name} lies between "
            f"{low:.4g} and {top}; {advice}"
        )


def _foregone(limit: Limit, low: float, high: float) -> str:
    """What is said of a bound that is always or never met in a range; else empty."""
    bound, certain = limit.bound, limit.confidence is not None
    if limit.least:
        always, never = bound <= low, bound > high or (certain and bound == high)
    else:
        always, never = bound >= high, bound < low or (certain and bound == low)
    return "is always met" if always else "can never be met" if never else ""


def judge(
    limits: Iterable[Limit],
    outputs: Mapping[str | None, Mapping[str, Quantity]],
    kinds: Mapping[str, str],
) -> list[dict[str, Any]]:
    """Judges the results by the limits.

    Args:
      limits: From `parse`.
      outputs: The numbers by name, for each output of the models; `FILES` for sizes.
      kinds: What each output is compared as, by the models' own name for it, which a
        limit may give. In `outputs`, the name of a single one is empty.

    Returns:
      For each limit and each output that has the number: `limit`, `output`, `value`,
      `in_percent`, whether the limit is, `interval` at the requested confidence or
      None, and `outcome`. If it is undecided: `by_value`, what it would be without a
      confidence; and `examples_to_decide` if more examples alone can decide it (None if
      no number would), with `fewest_examples` if there are fewer than it takes to rely
      on an interval, or `resamples_to_decide` if there are too few of these.

    Raises:
      InputError: No output has the number that a limit names.
    """
    return [entry for limit in limits for entry in _judge(limit, outputs, kinds)]


def _judge(limit: Limit, outputs, kinds: Mapping[str, str]) -> list[dict[str, Any]]:
    who, what = "the outputs are", list(dict.fromkeys(kinds.values()))
    if limit.output is not None:
        if limit.output not in kinds:
            names = ", ".join(map(repr, filter(None, kinds)))
            advice = f"choose from {names}" if names else f"omit [{limit.output}]"
            raise InputError(
                f"--limit: {limit.text!r} names an output that is not compared; "
                f"{advice}."
            )
        who, what = f"output {limit.output!r} is", [kinds[limit.output]]
        key = limit.output if limit.output in outputs else ""
        outputs = {key: outputs[key]}
    name = RELATIVE + limit.name if limit.relative else limit.name
    chosen = {
        output: quantities[name]
        for output, quantities in outputs.items()
        if name in quantities
    }
    if not chosen:
        there = dict.fromkeys(name for found in outputs.values() for name in found)
        known = [name for name in there if not name.startswith(RELATIVE)]
        raise InputError(
            f"--limit: {who} compared as {' and '.join(what)}, without {limit.name}; "
            f"choose from {', '.join(known)}."
        )
    entries = []
    for output, quantity in chosen.items():
        outcome = limit.judge(quantity)
        entry = {
            "limit": limit.text,
            "output": output,
            "value": quantity.value,
            "in_percent": limit.in_percent,
            "interval": None,
            "outcome": outcome,
        }
        if limit.confidence:
            entry["interval"] = list(quantity.interval(limit.confidence))
        if outcome == UNDECIDED and limit.confidence:  # only with one it can be
            entry |= _undecided(limit, limit.confidence, quantity)
        entries.append(entry)
    return entries


def _undecided(limit: Limit, confidence: float, quantity: Quantity) -> dict[str, Any]:
    """What an undecided limit's entry says of how it may be decided."""
    entry: dict[str, Any] = {
        "by_value": replace(limit, confidence=None).judge(quantity)
    }
    needed = fewest_resamples(confidence)
    if quantity.resamples < needed:
        entry["resamples_to_decide"] = needed
    elif quantity.narrows:
        if quantity.examples < quantity.fewest:
            entry["fewest_examples"] = quantity.fewest
        decided = quantity.examples_to_decide(limit.bound, confidence)
        entry["examples_to_decide"] = decided
    return entry


#: Of the commands.
EXIT_CODES = {MET: 0, MISSED: 1, UNDECIDED: 3}


def worst(entries: Iterable[Mapping[str, Any]]) -> str:
    """Missed if a limit is, else undecided if a limit is, else met.

    Args:
      entries: The results on limits, each with its `outcome`.
    """
    outcomes = {entry["outcome"] for entry in entries}
    return next((each for each in (MISSED, UNDECIDED) if each in outcomes), MET)
