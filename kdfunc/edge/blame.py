"""How much of its reference's function each layer of a candidate loses.

One layer at a time is restored: the candidate's file gets this layer from the reference
and is otherwise unchanged. Its outputs then show how much function the layer loses, and
its size shows what restoring the layer costs.
"""

import functools
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from kdfunc.comparison import CONFIDENCE, RESAMPLES, forms, limits
from kdfunc.comparison.result import check_resampling
from kdfunc.edge.files import DataFile
from kdfunc.edge.graphs import Layer
from kdfunc.edge.restoring import Restorer
from kdfunc.edge.settings import Settings
from kdfunc.errors import InputError, refuse_string
from kdfunc.text import count, listed, number, percent, short_names, table, wrapped
from kdfunc.writing import output_path, telling, write_atomic

#: Sets of layers up to which all are tried; beyond, the best is looked for greedily.
EXHAUSTIVE = 64
REST = 90  # percent, below which it is said that layers are not all
#: How Model Explorer colours layers that take from the function when restored, that
#: change nothing, and that give it back.
WORSE, NOTHING, BETTER = "#3d7dbf", "#ffffff", "#d1495b"


class Blame(dict):
    """The result, in a form that JSON can represent and that prints well."""

    def __str__(self) -> str:
        return as_text(self)

    __repr__ = __str__


def costly_layers(
    reference: str | os.PathLike,
    candidate: str | os.PathLike,
    data: str | os.PathLike,
    independents: Sequence[str | os.PathLike] = (),
    limit: Sequence[str] = (),
    outputs: str | None = None,
    resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    output: str | os.PathLike | None = None,
    settings: Settings | None = None,
) -> Blame:
    """Restores the layers of a candidate one at a time.

    Args:
      reference: `.tflite` file with weights in float32 or float16.
      candidate: `.tflite` file of the same model, quantized, pruned or otherwise
        compressed.
      data: `.npz` with `images` and optionally `labels`, or `.npy` of images.
      independents: Models trained like the reference from other initial weights, needed
        for the function preserved.
      limit: Limits to meet; then the layers to restore for them with the fewest bytes
        are found.
      outputs: Kinds of the outputs, instead of those detected.
      resamples: Bootstrap resamples of the examples.
      confidence: Confidence of the intervals, in (0, 1).
      output: `.tflite` file to write with these layers restored, or None.
      settings: How models are run.

    Returns:
      `agreement` and `divergence` (bits) of candidate and reference, and their bytes,
      the candidate's as this function writes it, so that sizes compare;
      `layers`, those that give back most first: each with the gain of restoring it
      alone in `function_percent` (of the divergence between candidate and reference),
      `agreement_points` and, with independents, `preserved_points`, with intervals from
      the same resamples; the `bytes` it would cost, and `percent_per_kib`, None if it
      costs none. `all`, the same with every layer restored. `left_out`, names of layers
      that cannot be restored, since their state is stored as integers. `best`, the set
      of layers that meets the limits, with `file_bytes` and `file_share`, the size of
      the file with these layers restored, also as a share of the reference's; or None.

    Raises:
      InputError: The models do not have the same layers, are not classifiers, or a
        limit makes no sense here.
    """
    check_resampling(resamples, confidence)
    refuse_string("independents", independents)
    if output is not None:
        read = [reference, candidate, data, *independents]
        written = output_path(output, read)
        if not limit:
            raise InputError(
                "--output is for the layers that meet a limit; give a --limit, too, or "
                "omit --output."
            )
    examples = DataFile(data)
    labelled = examples.labels is not None
    wanted = limits.parse(limit, labelled, bool(independents), ["bytes"], len(examples))
    work = Restorer(
        reference, candidate, examples, independents, outputs, settings or Settings()
    )
    options: dict[str, Any] = {"resamples": resamples, "confidence": confidence}
    single = [frozenset({layer}) for layer in work.layers]
    everything = frozenset(work.layers)
    gains = work.gains([*single, everything], **options)
    found = [
        {**_described(layer), **gain}
        for layer, gain in zip(work.layers, gains, strict=False)
    ]
    result = Blame(
        reference=os.fspath(reference),
        candidate=os.fspath(candidate),
        data=os.fspath(data),
        examples=len(work.p),
        confidence=confidence,
        divergence=work.divergence,
        agreement=work.agreement,
        reference_bytes=work.reference_bytes,
        candidate_bytes=work.size(frozenset()),
        layers=sorted(found, key=lambda x: -(x["function_percent"]["value"] or 0)),
        all=gains[-1],
        left_out=[layer.name for layer in work.left_out],
        limits=[each.text for each in wanted],
        outcome=None,
        best=None,
    )
    if wanted:
        order = [
            layer
            for _, layer in sorted(
                zip(gains, work.layers, strict=False),
                key=lambda pair: _worth(pair[0]),
                reverse=True,
            )
        ]

        @functools.cache
        def outcome(chosen: frozenset[Layer]) -> str:
            found = work.quantities(chosen, **options)
            judged = limits.judge(wanted, found, {work.name: forms.CLASSES})
            return limits.worst(judged)

        def meets(chosen: frozenset[Layer]) -> bool:
            return outcome(chosen) == limits.MET

        chosen, complete = least(order, work.cost, meets)
        if chosen is None:
            result["outcome"] = outcome(everything)
        else:
            result["outcome"] = limits.MET
            result["best"] = {
                "layers": [layer.name for layer in work.layers if layer in chosen],
                "file_bytes": work.size(chosen),
                "file_share": work.size(chosen) / work.reference_bytes,
                "complete": complete,
                **work.gains([chosen], **options)[0],
            }
            if output is not None:
                with telling(output):
                    write_atomic(written, work.content(chosen))
    return result


def least(
    order: Sequence[Layer],
    cost: Callable[[frozenset[Layer]], int],
    meets: Callable[[frozenset[Layer]], bool],
) -> tuple[frozenset[Layer] | None, bool]:
    """The set of layers that meets the limits with the fewest bytes.

    Args:
      order: The layers, those first that give back most per byte.
      cost: Bytes of a set.
      meets: Whether a set meets the limits.

    Returns:
      The set, or None if even all layers do not meet them; and whether all sets were
      tried. If there are too many, layers are added in order until the limits are met;
      then those that are not needed are dropped.
    """
    if 2 ** len(order) <= EXHAUSTIVE:
        sets = [
            frozenset(chosen)
            for size in range(len(order) + 1)
            for chosen in itertools.combinations(order, size)
        ]
        return next(filter(meets, sorted(sets, key=cost)), None), True
    chosen: frozenset[Layer] = frozenset()
    left = list(order)
    while not meets(chosen):
        if not left:
            return None, False
        chosen |= {left.pop(0)}
    for layer in sorted(chosen, key=lambda layer: -cost(frozenset({layer}))):
        if meets(chosen - {layer}):
            chosen -= {layer}
    return chosen, False


def _worth(gain: Mapping[str, Any]) -> tuple[bool, float]:
    """Key by which what gives function back for no bytes precedes what has a price."""
    back = gain["function_percent"]["value"] or 0.0
    return gain["bytes"] <= 0 < back, gain["percent_per_kib"] or back


def _described(layer: Layer) -> dict[str, Any]:
    return {
        "layer": layer.name,
        "operator": layer.operator,
        "output": layer.output,
        "shape": list(layer.shape),
    }


def node_data(found: Mapping[str, Any]) -> dict[str, Any]:
    """What each layer gives back, as node data for Model Explorer.

    Args:
      found: From `costly_layers`.

    Returns:
      Data to write as JSON and load beside the candidate's graph: values in percent of
      the lost function, by the name of the operator's output tensor; red if a layer
      gives function back, blue if restoring it alone takes some away.
    """
    values = {
        entry["output"]: entry["function_percent"]["value"]
        for entry in found["layers"]
        if entry["function_percent"]["value"] is not None
    }
    return {
        "results": {name: {"value": value} for name, value in values.items()},
        "gradient": _gradient(
            min(values.values(), default=0), max(values.values(), default=0)
        ),
    }


def _gradient(least: float, most: float) -> list[dict[str, Any]]:
    """Colours from the smallest value (stop 0) to the largest (1).

    White means no effect, or the value nearest to it if all are on one side.
    """
    if least >= 0:
        return [{"stop": 0, "bgColor": NOTHING}, {"stop": 1, "bgColor": BETTER}]
    if most <= 0:
        return [{"stop": 0, "bgColor": WORSE}, {"stop": 1, "bgColor": NOTHING}]
    return [
        {"stop": 0, "bgColor": WORSE},
        {"stop": -least / (most - least), "bgColor": NOTHING},
        {"stop": 1, "bgColor": BETTER},
    ]


def as_text(found: Mapping[str, Any]) -> str:
    """The layers for people, in 80 columns.

    Args:
      found: From `costly_layers`.
    """
    names = short_names([entry["layer"] for entry in found["layers"]])
    entries = [*zip(names, found["layers"], strict=True), ("all of them", found["all"])]
    columns = [("function_percent", "function", 1), ("agreement_points", "agree", 2)]
    sections = [
        f"reference    {found['reference']}\ncandidate    {found['candidate']}",
        wrapped(_answer(found, names)),
        wrapped(
            f"each layer restored alone, on {count(found['examples'], 'example')} with "
            f"{100 * found['confidence']:g} % intervals: bytes, by how much the file "
            "grows; function, how much of the Jensen-Shannon divergence between "
            "candidate and reference this removes, in %; %/KiB, the same per KiB; "
            "agree, the points of agreement gained"
        )
        + "\n"
        + _gains(entries, columns),
    ]
    if "preserved_points" in found["all"]:
        sections.append(
            "the same in points of the function preserved, by Jensen-Shannon divergence"
            + "\n"
            + _gains(entries, [("preserved_points", "preserved", 3)])
        )
    whole = found["candidate_bytes"] + found["all"]["bytes"]
    if whole > found["reference_bytes"]:
        sections.append(
            wrapped(
                "restored weights are stored in float32: with all of them, the file "
                f"has {whole:,} bytes, more than the reference's "
                f"{found['reference_bytes']:,}."
            )
        )
    back = found["all"]["function_percent"]["value"]
    if back is not None and back < REST:
        sections.append(
            wrapped(
                f"all layers together give back {back:.1f} %; the rest is lost "
                "elsewhere, such as in activations or outputs stored as integers."
            )
        )
    worse = [entry["function_percent"]["high"] for entry in found["layers"]]
    if sum(high is not None and high < 0 for high in worse) > len(worse) / 2:
        sections.append(
            wrapped(
                "most layers take function away when restored alone, so the "
                "candidate's weights are not those of the reference, as after "
                "quantization-aware training, and this table does not show what a "
                "layer costs; give the floating-point model that was quantized."
            )
        )
    if found["left_out"]:
        sections.append(
            wrapped(
                "not restored, since their state is stored as integers: "
                f"{', '.join(found['left_out'])}."
            )
        )
    if found["limits"]:
        sections.append(wrapped(_best(found)))
    return "\n\n".join(sections)


def _answer(found: Mapping[str, Any], names: Sequence[str]) -> str:
    """Which layers matter, in words."""
    told = (
        "the candidate gives the reference's class in "
        f"{100 * found['agreement']:.2f} % of {count(found['examples'], 'example')}; "
        "the Jensen-Shannon divergence between them is "
        f"{number(found['divergence'])} bits."
    )
    back = found["layers"][0]["function_percent"]
    if back["value"] is not None:
        told += (
            f" Restored alone, {names[0]} helps most: it removes {back['value']:.1f} % "
            f"of this divergence ({back['low']:.1f} to {back['high']:.1f})."
        )
    better = [
        name
        for name, entry in zip(names, found["layers"], strict=True)
        if (entry["agreement_points"]["low"] or 0) > 0
    ]
    if not better:
        return f"{told} No layer alone is shown to raise the agreement."
    raises = "raises" if len(better) == 1 else "raise"
    return f"{told} Alone, {listed(better)} {raises} the agreement."


def _gains(entries, columns) -> str:
    """A table of gains with their intervals: key, title and digits of each."""
    header = ["restored", "bytes", "%/KiB"]
    header += [text for _, title, _ in columns for text in (title, "low", "high")]
    rows = [
        [
            name,
            f"{entry['bytes']:,}",
            number(entry["percent_per_kib"], 3),
            *(
                number(entry[key][end], digits)
                for key, _, digits in columns
                for end in ("value", "low", "high")
            ),
        ]
        for name, entry in entries
    ]
    return table(header, rows)


def _best(found: Mapping[str, Any]) -> str:
    wanted, best = " and ".join(found["limits"]), found["best"]
    if found["outcome"] == limits.UNDECIDED:
        return (
            f"with every layer restored, {wanted} is undecided; more examples may "
            "decide it."
        )
    if best is None:
        return f"even with every layer restored, {wanted} is not met."
    if not best["layers"]:
        return f"{wanted} is met with no layer restored."
    how = (
        "the smallest of all sets"
        if best["complete"]
        else "found by adding and dropping layers"
    )
    cost = best["bytes"]
    costs = f"costs {cost:,} bytes" if cost >= 0 else f"also saves {-cost:,} bytes"
    share = percent(best["file_share"])
    return (
        f"for {wanted}, restore {', '.join(best['layers'])}, which {costs} ({how}); "
        f"the file then has {best['file_bytes']:,} bytes, {share} of the reference's."
    )
