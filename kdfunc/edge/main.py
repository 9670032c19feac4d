"""The command `kdfunc-edge`, also `python -m kdfunc.edge`."""

import argparse
import json
import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

from kdfunc.commands import Parser
from kdfunc.comparison import options
from kdfunc.errors import exit_code

DESCRIPTION = """\
What is in a .tflite file, how fast it is, and whether it still computes the function
of the model it came from. Needs numpy and ai-edge-litert, no TensorFlow.
"""
INSPECT = """\
Inputs, outputs, operators, tensors, how it was quantized, and the zeros and
bytes of each layer's weights. The file is read, not run.

example: kdfunc-edge inspect model.tflite
         kdfunc-edge inspect model.tflite --json | jq .quantization.name
"""
BENCHMARK = """\
Latency of one run (median, 90th and 99th percentile), images a second and peak
memory, with random images, for every batch size with every number of threads.

example: kdfunc-edge benchmark model.tflite --batch-sizes=1,32 --threads=1,4
"""
PREDICT = """\
Writes what the model gives for images as float32 [n, classes]. uint8 images are
divided by 255, floating point is taken as it is; integer inputs and outputs are
scaled as the file says. Files may be larger than memory.

example: kdfunc-edge predict model.tflite --data=images.npz --output=softmax.npy
"""
COMPARE = """\
Every functional measure between two models (.tflite; .keras or the folder of a
SavedModel where TensorFlow is installed) with intervals, the images whose class
changes, the classes hit hardest, size and speed. Without labels, the measures
that need none.

example: kdfunc-edge compare base.tflite small.tflite --data=images.npz
         kdfunc-edge compare base.tflite small.tflite --data=images.npz \\
             --independent=other.tflite --limit 'agreement>=99% at 95%' \\
             --limit 'preserved.jensen_shannon>=80' --limit 'bytes<=30%'

What a model gives (probabilities, logits, a class at each pixel, numbers) is
recognised and told; each output is compared by what fits it.

Limits are on the measures as the output names them, on `accuracy`, on tails
such as `jensen_shannon.p99`, on `bytes`, `gzip_bytes` and `latency_ms` (with %:
of the reference's), and on `preserved.MEASURE`, the function preserved in
percent. A limit judges the value on these very examples; with `at 95%` it is
met only where the end of the 95 % interval is, and may be undecided. Exit
code: 0, or 1 where a limit is missed, 2 for bad input, 3 where one is
undecided.
"""
BLAME = """\
Which layers of a compressed model cost it how much of the function. Each layer
is restored alone, as the reference has it in floating point, in the candidate's
file: what that gives back, with intervals, and the bytes it costs. With limits,
the layers to restore for them with the fewest bytes.

example: kdfunc-edge blame float32.tflite int8.tflite --data=images.npz
         kdfunc-edge blame float32.tflite int8.tflite --data=images.npz \\
             --limit 'agreement>=99%' --output=mixed.tflite --node-data=nodes.json

--node-data writes JSON that Model Explorer loads beside the candidate's graph.
Exit code: 0, or 1 where no set of layers meets the limits, or 2 for bad input.
"""
DATA = ".npz with images [n, ...] as `images` and perhaps true classes [n] as `labels`"


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
      Exit code: 0, 1 where a limit is missed, 2 for bad input, 3 where one is
      undecided, 130 after Ctrl-C.
    """
    asked = _parser().parse_args(arguments)
    return exit_code("kdfunc-edge", lambda: asked.run(asked))


def _parser() -> argparse.ArgumentParser:
    parser = Parser("kdfunc-edge", description=DESCRIPTION)
    commands = parser.add_subparsers(metavar="command", required=True)

    def command(run, title, text) -> argparse.ArgumentParser:
        added = commands.add_parser(
            run.__name__.lstrip("_"),
            help=title,
            description=text,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        added.set_defaults(run=run)
        return added

    one = command(_inspect, "what is in a .tflite file", INSPECT)
    one.add_argument("model", help="a .tflite file")
    _add_json(one)

    one = command(_benchmark, "latency, throughput and memory", BENCHMARK)
    one.add_argument("model", help="a .tflite file")
    one.add_argument("--batch-sizes", type=_counts, default=[1], metavar="N,N")
    one.add_argument("--threads", type=_counts, default=[1], metavar="N,N")
    one.add_argument("--runs", type=_count, default=100, help="timed; default 100")
    one.add_argument("--warm-up", type=_count, default=10, help="before; default 10")
    _add_limits(one)
    _add_json(one)

    one = command(_predict, "the outputs for a file of images", PREDICT)
    one.add_argument("model", help="a .tflite file")
    one.add_argument("--data", required=True, help=f"{DATA}, or .npy of images")
    one.add_argument("--output", required=True, help=".npy file to write")
    _add_running(one)

    one = command(_compare, "is it still the same function", COMPARE)
    one.add_argument("reference", help="the model to be faithful to")
    one.add_argument("candidate", help="the model that is judged")
    one.add_argument("--data", required=True, help=f"{DATA}, or .npy of images")
    options.add(one, "model")
    _add_running(one)

    one = command(_blame, "which layer costs how much of the function", BLAME)
    one.add_argument("reference", help="a .tflite file in floating point")
    one.add_argument("candidate", help="a compressed .tflite file of the same model")
    one.add_argument("--data", required=True, help=f"{DATA}, or .npy of images")
    options.add_comparing(one, "model")
    one.add_argument("--output", metavar="FILE", help="to write, with those layers")
    one.add_argument("--node-data", metavar="FILE", help="to write, as JSON")
    _add_running(one)
    _add_json(one)
    return parser


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for machines")


def _add_running(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--batch-size", type=_count, default=100, help="images a run; default 100"
    )
    parser.add_argument(
        "--threads", type=_count, default=1, help="of the interpreter; default 1"
    )
    _add_limits(parser)


def _add_limits(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--timeout",
        type=_seconds,
        default=60,
        metavar="SECONDS",
        help="for loading and for each step; default 60",
    )
    parser.add_argument(
        "--memory",
        type=_count,
        metavar="MB",
        help="the model may take, on Linux; default half of the machine's",
    )


def _number(kind: type, text: str, allowed: str) -> Any:
    try:
        value = kind(text)
    except ValueError:
        value = 0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"got {text!r}; give {allowed}")
    return value


def _count(text: str) -> int:
    return _number(int, text, "a whole number of at least 1")


def _counts(text: str) -> list[int]:
    return [
        _number(int, part, "whole numbers of at least 1 with commas between")
        for part in text.split(",")
    ]


def _seconds(text: str) -> float:
    return _number(float, text, "a number of seconds above 0")


def _settings(asked: argparse.Namespace, **others: int):
    from kdfunc.edge.settings import Settings

    if asked.memory:
        others["memory"] = asked.memory << 20
    return Settings(seconds=asked.timeout, **others)


def _print(found: Any, asked: argparse.Namespace, as_text: Callable[[Any], str]):
    print(json.dumps(found, indent=2) if asked.json else as_text(found))


def _inspect(asked: argparse.Namespace) -> int:
    from kdfunc.edge.inspection import inspect
    from kdfunc.edge.inspection_text import as_text

    _print(inspect(asked.model), asked, as_text)
    return 0


def _benchmark(asked: argparse.Namespace) -> int:
    from kdfunc.edge import timing

    found = timing.benchmark(
        asked.model,
        asked.batch_sizes,
        asked.threads,
        asked.runs,
        asked.warm_up,
        _settings(asked),
    )
    _print(found, asked, timing.as_text)
    return 0


def _predict(asked: argparse.Namespace) -> int:
    from kdfunc.edge.running import predict_file

    settings = _settings(asked, batch_size=asked.batch_size, threads=asked.threads)
    predict_file(asked.model, asked.data, asked.output, settings)
    return 0


def _compare(asked: argparse.Namespace) -> int:
    from kdfunc.edge import comparison

    compared = comparison.compare(
        asked.reference,
        asked.candidate,
        asked.data,
        asked.independent,
        **options.given(asked),
        settings=_settings(asked, batch_size=asked.batch_size, threads=asked.threads),
    )
    return options.show(compared, asked)


def _blame(asked: argparse.Namespace) -> int:
    from kdfunc.edge import blame

    found = blame.costly_layers(
        asked.reference,
        asked.candidate,
        asked.data,
        asked.independent,
        asked.limit,
        asked.outputs,
        asked.resamples,
        asked.confidence,
        asked.output,
        _settings(asked, batch_size=asked.batch_size, threads=asked.threads),
    )
    if asked.node_data:
        with open(asked.node_data, "w") as file:
            json.dump(blame.node_data(found), file, indent=2)
    _print(found, asked, str)
    return 1 if found["limits"] and found["best"] is None else 0


if __name__ == "__main__":
    sys.exit(main())
