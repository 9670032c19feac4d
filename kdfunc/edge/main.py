"""The command `kdfunc-edge`, also `python -m kdfunc.edge`."""

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from kdfunc.commands import Parser, exit_code
from kdfunc.comparison import options
from kdfunc.edge import running_options
from kdfunc.writing import write_atomic

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

Which kernels and delegates ran is told. The library of an external delegate can
be given with --delegate; those of GPUs and NPUs are untried here.
"""
PREDICT = """\
Writes what the model gives for the examples of a file: one output [n, ...] to a
.npy file, all outputs by their names to a .npz file. Files may be larger than
memory. A model of several inputs takes a .npz file with an array for each by
its name, as `inspect` shows them.

uint8 images go into a uint8 input as they are. For other inputs bytes 0 to 255
stand for --range, or for what the metadata of the file says, or for 0 to 1.
Floating point is taken as it is, and so is an array of the input's own integer
type, such as token ids. Inputs and outputs are scaled as the file says.

example: kdfunc-edge predict model.tflite --data=images.npz --output=softmax.npy
         kdfunc-edge predict detector.tflite --data=images.npz --range=-1,1 \\
             --signature=serving_default --output=all.npz
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

How each model is run is told, and --reference-options and --candidate-options
change it for one of them: the same file with other kernels or threads, or two
models that take pixels of different ranges.

         kdfunc-edge compare m.tflite m.tflite --data=images.npz \\
             --candidate-options='kernels=reference threads=4'

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
DATA = (
    ".npz with images [n, ...] as `images`, or an array for each input by its name, "
    "and perhaps true classes [n] as `labels`"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
      arguments: of the command line; None for the process's own.

    Returns:
      Exit code: 0, 1 where a limit is missed, 2 for bad input, 3 where one is
      undecided, 130 after Ctrl-C, 143 after SIGTERM.
    """

    def run_asked() -> int:
        asked = _parser().parse_args(arguments)
        return asked.run(asked)

    return exit_code("kdfunc-edge", run_asked)


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
    running_options.add_timing(one)
    _add_json(one)

    one = command(_predict, "the outputs for a file of images", PREDICT)
    one.add_argument("model", help="a .tflite file")
    one.add_argument("--data", required=True, help=f"{DATA}, or .npy of images")
    one.add_argument(
        "--output",
        required=True,
        help=".npy file to write for one output; .npz for all outputs by their names",
    )
    running_options.add(one)

    one = command(_compare, "is it still the same function", COMPARE)
    one.add_argument("reference", help="the model to be faithful to")
    one.add_argument("candidate", help="the model that is judged")
    one.add_argument("--data", required=True, help=f"{DATA}, or .npy of images")
    options.add(one, "model")
    running_options.add(one)
    running_options.add_for_each(one)

    one = command(_blame, "which layer costs how much of the function", BLAME)
    one.add_argument("reference", help="a .tflite file in floating point")
    one.add_argument("candidate", help="a compressed .tflite file of the same model")
    one.add_argument("--data", required=True, help=f"{DATA}, or .npy of images")
    options.add_comparing(one, "model")
    one.add_argument("--output", metavar="FILE", help="to write, with those layers")
    one.add_argument("--node-data", metavar="FILE", help="to write, as JSON")
    running_options.add(one)
    _add_json(one)
    return parser


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="for machines")


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
        running_options.settings(asked),
    )
    _print(found, asked, timing.as_text)
    return 0


def _predict(asked: argparse.Namespace) -> int:
    from kdfunc.edge.running import predict_file

    settings = running_options.settings(asked)
    told = predict_file(asked.model, asked.data, asked.output, settings)
    for note in told["notes"]:
        print(f"kdfunc-edge: note: {note}", file=sys.stderr)
    return 0


def _compare(asked: argparse.Namespace) -> int:
    from kdfunc.edge import comparison

    compared = comparison.compare(
        asked.reference,
        asked.candidate,
        asked.data,
        asked.independent,
        **options.given(asked),
        **running_options.settings_for_each(asked),
    )
    return options.show(compared, asked)


def _blame(asked: argparse.Namespace) -> int:
    from kdfunc.edge import blame

    if asked.node_data is not None:
        node_data = options.checked_output(asked.node_data, asked, "--node-data")
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
        running_options.settings(asked),
    )
    if asked.node_data is not None:
        write_atomic(node_data, json.dumps(blame.node_data(found), indent=2))
    _print(found, asked, str)
    return 1 if found["limits"] and found["best"] is None else 0


if __name__ == "__main__":
    sys.exit(main())
