"""Measures a model's speed and memory."""

import contextlib
import itertools
import os
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kdfunc.edge.isolation import Isolated
from kdfunc.edge.ports import ANY, Port
from kdfunc.edge.running import isolated
from kdfunc.edge.settings import Settings
from kdfunc.errors import InputError
from kdfunc.text import number, table, wrapped

RUNS = 20  # of each model that `latencies` times, if they fit into half its time limit
TURNS = 4  # in which they are made


def benchmark(
    model: str | os.PathLike,
    batch_sizes: Sequence[int] = (1,),
    threads: Sequence[int] = (1,),
    runs: int = 100,
    warm_up: int = 10,
    settings: Settings | None = None,
) -> list[dict[str, Any]]:
    """Times a model with random images, each setting in a separate process.

    A run includes everything that a prediction needs: images are converted to the
    input's type, the interpreter is invoked, its outputs are read and dequantized. A
    model that does not take batches is invoked with the input sizes of its file; the
    state of a model is not reset between runs.

    Args:
      model: path of the model.
      batch_sizes: images per invocation.
      threads: of the interpreter.
      runs: number of timed runs per setting.
      warm_up: runs before these.
      settings: signature, kernels, delegate and limits.

    Returns:
      For each setting `threads`, `batch_size`, `median_ms`, `p90_ms` and `p99_ms` of
      one run, `images_per_second` at the median, and `peak_memory_bytes`, the peak
      memory for loading and running the model and its interpreter (None if the system
      does not tell); `how`, `kernels` and `delegates`, what ran it, as in
      `Model.told`; and `notes`, one sentence for each possible problem.

    Raises:
      InputError: there is no such model, or it cannot be run within the limits.
    """
    settings = settings or Settings()
    if runs < 1 or warm_up < 0:
        raise InputError(
            f"runs, warm_up: got {runs} and {warm_up}; give at least one timed run."
        )
    ways = [
        replace(settings, threads=count, batch_size=size)
        for count, size in itertools.product(threads, batch_sizes)
    ]
    found = []
    for way in ways:
        with isolated(model, way) as runner:
            runner.call("seconds", way.batch_size, warm_up)
            times = runner.call("seconds", way.batch_size, runs)
            memory = runner.call("memory")
            told = runner.call("told")
            notes = _notes(runner.call("inputs"), os.fspath(model))
            if told["alone"] and way.batch_size > 1:
                notes.append(
                    f"{model} was given {way.batch_size} images one at a time, since "
                    "with these kernels a batch has other last digits or does not fit."
                )
        median, p90, p99 = np.quantile(times, [0.5, 0.9, 0.99]) * 1000
        found.append(
            {
                "threads": way.threads,
                "batch_size": way.batch_size,
                "median_ms": float(median),
                "p90_ms": float(p90),
                "p99_ms": float(p99),
                "images_per_second": float(1000 * way.batch_size / median),
                "peak_memory_bytes": memory,
                **{key: told[key] for key in ("how", "kernels", "delegates")},
                "notes": notes,
            }
        )
    return found


def latencies(
    runners: Sequence[Isolated], settings: Sequence[Settings]
) -> list[float | None]:
    """Median time of one random example by each of several models, in milliseconds.

    The models take turns, so that what changes meanwhile, such as a processor that
    slows down while it gets warm, changes all of them.

    Args:
      runners: hold the models.
      settings: of each model.

    Returns:
      None for a model that does not take random numbers, or whose run takes longer than
      the time limit.
    """
    firsts = [_seconds(runner, 1) for runner in runners]
    runs = [
        min(RUNS, max(1, int(way.seconds / 2 // max(*first, 1e-6)))) if first else 0
        for way, first in zip(settings, firsts, strict=True)
    ]
    times: list[list[float]] = [[] for _ in runners]
    for turn, model in itertools.product(range(TURNS), range(len(runners))):
        now = runs[model] // TURNS + (turn < runs[model] % TURNS)
        times[model] += _seconds(runners[model], now) if now else []
    return [1000 * float(np.median(found)) if found else None for found in times]


def _seconds(runner: Isolated, runs: int) -> list[float]:
    """Times of runs with one example; none if it cannot be run."""
    with contextlib.suppress(InputError):
        return runner.call("seconds", 1, runs)
    return []


def as_text(found: list[dict[str, Any]]) -> str:
    """The times as text in 80 columns.

    Args:
      found: from `benchmark`.
    """
    header = [
        "threads",
        "batch",
        "median ms",
        "p90 ms",
        "p99 ms",
        "images/s",
        "peak MB",
    ]
    rows = []
    for entry in found:
        peak = entry["peak_memory_bytes"]
        rows.append(
            [
                entry["threads"],
                entry["batch_size"],
                *(number(entry[key], 3) for key in ("median_ms", "p90_ms", "p99_ms")),
                number(round(entry["images_per_second"])),
                number(peak and peak / 2**20, 1),
            ]
        )
    ran = [entry["how"] for entry in found]
    notes = [wrapped(note, rest="  ") for entry in found for note in entry["notes"]]
    return "\n".join([table(header, rows, left=0), *dict.fromkeys(ran + notes)])


def _notes(inputs: Sequence[Port], model: str) -> list[str]:
    return [
        f"{port.name} of {model} takes any size in some dimensions, where it was timed "
        "with 1; `kdfunc-edge compare` times the size of your data."
        for port in inputs
        if ANY in (port.shape[1:] or port.shape)
    ]
