"""A comparison as text in 80 columns."""

import math
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

from kdfunc.comparison.quantities import FEWEST
from kdfunc.text import count, number, percent, table, wrapped

LIMIT_DIGITS = 6  # of values beside a limit, from which a few digits may not differ


#: What outputs of each kind are compared as.
KINDS = {
    "classes": "classes",
    "tags": "independent tags, present from 0.5",
    "positions": "a class at each position",
    "numbers": "numbers",
}

#: Below intervals that rest on one independent model.
_ONE = (
    "\n(intervals allow for other examples only: one independent model does not show\n"
    "how much another would differ; give two or more)"
)

#: How many of the examples whose class changes are listed.
FLIPS = 10


def as_text(result: Mapping[str, Any]) -> str:
    """The comparison for people.

    Args:
      result: From `result.compare`.
    """
    sections = [_models(result), *_runs(result["models"])]
    for output in result["outputs"]:
        sections += _output(output, result)
    if result["limits"]:
        sections.append(_limits(result["limits"]))
    sections.append(wrapped(result["outcome"]))
    return "\n\n".join(sections)


def _models(result: Mapping[str, Any]) -> str:
    models = result["models"]
    titles = {
        "kind": "kind",
        "bytes": "bytes",
        "gzip_bytes": "gzip",
        "latency_ms": "ms per example",
        "accuracy": "accuracy",
    }
    keys = [key for key in titles if key in models[0]]
    names = "\n".join(f"{model['role']:<12} {model['file']}" for model in models)
    if not keys:
        return names
    rows = [[model["role"], *(_cell(model[key]) for key in keys)] for model in models]
    return f"{names}\n{table(['model', *(titles[k] for k in keys)], rows, left=2)}"


def _runs(models) -> Iterable[str]:
    """How the models were run, and possible problems."""
    lines, notes = [], []
    for model in models:
        told = model.get("run")
        if told:
            inputs = [f"{name}: {how}" for name, how in told["inputs"].items()]
            lines.append(f"{model['role']:<12} {'; '.join([*inputs, told['how']])}")
            notes += told["notes"]
    if lines:
        yield _titled("run", lines, " " * 13)
    if notes:
        yield _titled("notes", dict.fromkeys(notes), "  ")


def _titled(title: str, texts: Iterable[str], rest: str) -> str:
    return "\n".join([title, *(wrapped(text, rest=rest) for text in texts)])


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else number(value)


def _output(output: Mapping[str, Any], result: Mapping[str, Any]):
    """The sections for one output."""
    measures, name = output["measures"], output["name"]
    of = f" of output {name}" if name else ""
    lines = [_forms(output, of)]
    if output["hint"]:
        lines.append(output["hint"])
    lines += [f"note: {note}" for note in output["notes"]]
    yield "\n".join(map(wrapped, lines))
    yield (
        f"measures{of} on {count(result['examples'], 'example')} with "
        f"{100 * result['confidence']:g} % intervals\n"
        + _intervals(measures, significant)
        + _caution(result["examples"])
    )
    preserved = {k: m["preserved"] for k, m in measures.items() if "preserved" in m}
    if preserved:
        roles = [model["role"] for model in result["models"]]
        independents = count(roles.count("independent"), "independently trained model")
        yield (
            "function preserved in percent; 0 is as far from the reference as\n"
            f"{independents}\n"
            + _intervals(preserved, lambda value: number(value, 1))
            + (_ONE if roles.count("independent") == 1 else "")
        )
    if "tails" in output:
        yield (
            "Jensen-Shannon divergence that this share of the examples does not "
            "exceed\n"
        ) + (
            table(
                ["all" if k == "max" else f"{k[1:]} %" for k in output["tails"]],
                [[significant(value) for value in output["tails"].values()]],
                left=0,
            )
        )
    if output.get("flips"):
        yield from _flips(output, result)
    if output["kind"] == "positions":
        rows = [[e["class"], percent(e["iou"])] for e in output["classes"][:5]]
        yield f"classes{of} with the least overlap\n" + table(
            ["class", "IoU"], rows, left=0
        )


def _forms(output: Mapping[str, Any], of: str) -> str:
    told = taken(output)
    text = f"outputs{of}: {'x'.join(map(str, output['shape'])) or 'one number'}"
    if told != output["kind"]:
        text += f", {told}"
    return f"{text}; compared as {KINDS[output['kind']]}"


def taken(output: Mapping[str, Any]) -> str:
    """What each model's output is taken for, such as logits.

    Args:
      output: An entry of the result's `outputs`.
    """
    forms = dict(output["forms"])
    if output["kind"] == "classes" and output["shape"] == [1]:
        forms = {
            model: "logit of class 1" if form == "logits" else "probability of class 1"
            for model, form in forms.items()
        }
    if len(set(forms.values())) == 1:
        return next(iter(forms.values()))
    return ", ".join(f"{form} ({model})" for model, form in forms.items())


def _caution(examples: int) -> str:
    """What to know of intervals from few examples."""
    if examples >= FEWEST:
        return ""
    few = f"with fewer than {FEWEST} examples"
    return f"\n({few}, intervals of divergences are too narrow)"


def _intervals(found: Mapping[str, Mapping[str, float]], cell) -> str:
    rows = [
        [name, *(cell(entry[end]) for end in ("value", "low", "high"))]
        for name, entry in found.items()
    ]
    return table(["measure", "value", "low", "high"], rows)


def _flips(output: Mapping[str, Any], result: Mapping[str, Any]):
    found = output["flips"]
    changes = "changes" if len(found) == 1 else "change"
    examples = count(result["examples"], "example")
    head = f"{len(found):,} of {examples} {changes} class"
    more = (
        f", showing the {FLIPS} most confident"
        if len(found) > FLIPS
        else (", most confident first")
    )
    rows = [
        [
            flip["index"],
            f"{flip['reference']} ({flip['reference_confidence']:.2f})",
            f"{flip['candidate']} ({flip['candidate_confidence']:.2f})",
            *([flip["label"]] if "label" in flip else []),
        ]
        for flip in found[:FLIPS]
    ]
    header = ["index", "reference", "candidate"]
    header += ["label"] if "label" in found[0] else []
    yield f"{head}{more}\n{table(header, rows, left=0)}"
    by = "true class" if "label" in found[0] else "class of the reference"
    rows = [
        [entry["class"], number(entry["examples"]), percent(entry["disagreement"])]
        for entry in output["classes"][:5]
        if entry["disagreement"]
    ]
    header = ["class", "examples", "changed"]
    yield f"hit hardest, by {by}\n{table(header, rows, left=0)}"


def _limits(judged: Iterable[Mapping[str, Any]]) -> str:
    """A line for each, since a limit that is shortened for a table tells nothing."""
    lines = []
    for entry in judged:
        title = entry["limit"]
        if entry["output"]:
            title += f" ({entry['output']})"
        found = limited(entry, entry["value"])
        if entry["interval"]:
            ends = (limited(entry, end) for end in entry["interval"])
            found += f" ({' to '.join(ends)})"
        lines.append(f"{entry['outcome']:<12} {title}: {found}")
    return _titled("limits", lines, " " * 13)


def model_names(result: Mapping[str, Any]) -> list[str]:
    """What to call reference and candidate: by the ends of their paths that differ.

    Args:
      result: From `result.compare`.
    """
    paths = [pathlib.PurePath(model["file"]).parts for model in result["models"][:2]]
    for length in range(1, max(map(len, paths)) + 1):
        names = [pathlib.PurePath(*parts[-length:]).as_posix() for parts in paths]
        if len(set(names)) > 1 and all(names):
            return names
    return ["the reference", "the candidate"]


def limited(entry: Mapping[str, Any], value: float | None) -> str:
    """A number beside its limit, in percent if the limit is.

    Args:
      entry: The result on the limit, from `limits.judge`.
      value: The number or an end of its interval, as `entry` has it.
    """
    if value is None or not entry["in_percent"] or not math.isfinite(value):
        return significant(value, LIMIT_DIGITS)
    return f"{significant(100 * value, LIMIT_DIGITS)} %"


def what_would_decide(entry: Mapping[str, Any]) -> str:
    """What it takes to decide an undecided limit, and which way, after a colon.

    Args:
      entry: The result on the limit, from `limits.judge`.
    """
    if "resamples_to_decide" in entry:
        return f"it takes --resamples={entry['resamples_to_decide']} or more"
    if "examples_to_decide" not in entry:
        return "more examples or more independently trained models may decide it"
    needed = entry["examples_to_decide"]
    if needed is None:
        return "no number of examples would decide it"
    fewest = entry.get("fewest_examples", 0)
    if needed <= 1.01 * fewest:  # it is found to within half a percent
        return f"a reliable interval takes at least {fewest:,} examples"
    return (
        f"about {needed:,} examples in all would show that it is {entry['by_value']}, "
        "if the value stayed the same"
    )


def significant(value: float | None, digits: int = 4) -> str:
    """A number with significant digits, whole numbers in full; `-` if there is none.

    Args:
      value: A number of a comparison, or None.
      digits: How many of a number that is not whole.
    """
    if value is None or isinstance(value, int):
        return number(value)
    return f"{value:.{digits}g}"
