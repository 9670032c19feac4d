"""Damages models in many ways and sees what `kdfunc-edge` says of them.

example: python tests/edge/fuzz.py --mutations=5000 model.tflite other.tflite

Every command must end with exit code 0, or with 2 and one line on stderr, in time. The
commands run in this process, so a crash or a traceback of theirs would end it.
"""

import argparse
import contextlib
import io
import pathlib
import re
import sys
import tempfile
import time
from collections import Counter

import numpy as np

from kdfunc.edge.main import main
from kdfunc.edge.reading import read

TIMEOUT = 5  # seconds that a step of a command may take
NOTE = "kdfunc-edge: note: "
EXTREMES = [0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF]


class Mutator:
    """Damaged versions of a model, most of them in what is no weight."""

    def __init__(self, content: bytes):
        self.content = np.frombuffer(content, np.uint8)
        is_weight = np.zeros(len(content), bool)
        for subgraph in read(content).subgraphs:
            for tensor in subgraph.tensors:
                begin = tensor.data.ctypes.data - self.content.ctypes.data
                if tensor.constant and tensor.data.size > 64:
                    is_weight[begin : begin + tensor.data.size] = True
        self.structure = np.flatnonzero(~is_weight)

    def mutate(self, rng: np.random.Generator) -> tuple[str, bytes]:
        """The kind of damage, and the damaged content."""
        kind = rng.choice(
            ["bytes", "bits", "word", "offset", "weights", "cut", "hole", "insert"],
            p=[0.25, 0.15, 0.2, 0.1, 0.1, 0.1, 0.05, 0.05],
        )
        content = self.content.copy()
        places = rng.choice(self.structure, size=rng.integers(1, 5))
        if kind == "weights":
            places = rng.integers(len(content), size=rng.integers(1, 1000))
        if kind in ("bytes", "weights"):
            content[places] = rng.integers(256, size=len(places))
        elif kind == "bits":
            content[places] ^= 1 << rng.integers(8, size=len(places), dtype=np.uint8)
        elif kind in ("word", "offset"):
            at = min(places[0] & ~3, len(content) - 4)
            word = content[at : at + 4].view("<u4")
            if kind == "word":
                word[0] = rng.choice(EXTREMES)
            else:
                word += np.uint32(rng.integers(-64, 65) % 2**32)
        elif kind == "cut":
            content = content[: rng.integers(len(content))]
        elif kind == "hole":
            content = np.delete(content, slice(places[0], places[0] + len(places)))
        else:
            content = np.insert(content, places[0], places.astype(np.uint8))
        return kind, content.tobytes()


def run(arguments: list[str]) -> tuple[int, str]:
    """Exit code and outcome of a command; fails unless it is as it should be."""
    out, err = io.StringIO(), io.StringIO()
    begin = time.monotonic()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(arguments)
    took = time.monotonic() - begin
    said = err.getvalue()
    assert took < 60 * TIMEOUT, f"it took {took:.0f} s"
    if code == 0:
        assert all(line.startswith(NOTE) for line in said.splitlines()), said
        return code, "runs"
    assert code == 2 and out.getvalue() == "", (code, said)
    assert said.startswith("kdfunc-edge: ") and said.count("\n") == 1, said
    return code, outcome(said)


def outcome(said: str) -> str:
    """What kind of error a line tells."""
    kinds = {
        "is not a TFLite model": r"is not a TFLite model",
        "is damaged": r"is damaged or cut short",
        "refused by the interpreter": r"cannot be run by the interpreter",
        "other inputs, outputs or types": r"inputs but|takes \[n|without a scale",
        "crash: ": r"made the interpreter crash \((\w+)",
        "failed: ": r"failed with (\w+)",
        "stopped after the time limit": r"was stopped",
        "no layer to restore": r"nothing to restore|from the same model",
        "no softmax comes out": r"the output of|has \d+ classes",
    }
    for kind, pattern in kinds.items():
        if match := re.search(pattern, said):
            return kind + (match[1] if match.groups() else "")
    raise AssertionError(f"an error of no known kind: {said}")


def fuzz(
    model: pathlib.Path,
    mutations: range,
    seed: int,
    folder: pathlib.Path,
    every: int = 1,
) -> Counter:
    """Counts of (command, kind of damage, outcome) for mutations by number.

    All of them are inspected, every n-th is run, and every 20th of those is compared
    and timed.
    """
    content = model.read_bytes()
    mutator = Mutator(content)
    main_graph = read(content).subgraphs[0]
    shape = main_graph.tensors[main_graph.inputs[0]].shape
    images = np.random.default_rng(0).random((3, *shape[1:]), np.float32)
    np.savez(folder / "images.npz", images=images)
    damaged = folder / "damaged.tflite"
    limits = [f"--timeout={TIMEOUT}", "--memory=1000"]
    data = [f"--data={folder / 'images.npz'}", "--batch-size=2", *limits]
    found = Counter()
    for number in mutations:
        rng = np.random.default_rng([seed, number])
        kind, content = mutator.mutate(rng)
        damaged.write_bytes(content)
        path = str(damaged)
        commands = [["inspect", path]]
        if number % every == 0:
            commands += [["predict", path, f"--output={folder / 'out.npy'}", *data]]
        if number % (20 * every) == 0:
            commands += [["benchmark", path, "--runs=2", "--warm-up=1", *limits]]
            commands += [["compare", str(model), path, "--resamples=10", *data]]
            commands += [["blame", str(model), path, *data]]
        for command in commands:
            try:
                _, what = run(command)
            except BaseException:
                print(f"mutation {number} of {model}, seed {seed}: {command[0]}")
                raise
            found[command[0], kind, what] += 1
        left = {file.name for file in folder.iterdir()}
        assert left <= {"images.npz", "damaged.tflite", "out.npy"}, left
    return found


def report(found: Counter) -> str:
    """The counts, summed over kinds of damage."""
    totals = Counter()
    for (command, _, what), count in found.items():
        totals[command, what] += count
    lines = [
        f"{count:6} {command:10} {what}"
        for (command, what), count in sorted(
            totals.items(), key=lambda item: (item[0][0], -item[1])
        )
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="+", type=pathlib.Path)
    parser.add_argument("--mutations", type=int, default=1000, help="of each model")
    parser.add_argument(
        "--every", type=int, default=1, help="run every n-th, inspect all (1)"
    )
    parser.add_argument("--first", type=int, default=0, help="number of the first")
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    for path in asked.models:
        with tempfile.TemporaryDirectory() as folder:
            numbers = range(asked.first, asked.first + asked.mutations)
            counts = fuzz(path, numbers, asked.seed, pathlib.Path(folder), asked.every)
        print(f"{path}: {asked.mutations} mutations\n{report(counts)}", flush=True)
    sys.exit(0)
