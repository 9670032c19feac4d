"""The command `kdfunc-edge`, also `python -m kdfunc.edge`."""

import argparse
import functools
import json
import sys
from collections.abc import Callable, Sequence
from typing import Any

from kdfunc.commands import Parser, add_command, exit_code
from kdfunc.comparison import options
from kdfunc.edge import running_options
from kdfunc.writing import telling, write_atomic

DESCRIPTION = """\
What is in a .tflite file, how fast it is, and whether it still computes the function
of the model it came from. Needs the base install of kdfunc, but not TensorFlow.
"""
INSPECT = """\
Shows inputs, outputs, operators and tensors, how the model was quantized, and
the zeros and bytes of each layer's weights. The file is read but not run.

example: kdfunc-edge inspect model.tflite
         kdfunc-edge inspect model.tflite --json | jq .quantization.name
"""
BENCHMARK = """\
Measures the latency of one run (median, 90th and 99th percentile), images per
second and peak memory on random images, for every combination of batch size and
number of threads.

example: kdfunc-edge benchmark model.tflite --batch-sizes=1,32 --threads=1,4

The output names the kernels and delegates that ran. --delegate loads the
library of an external delegate; those for GPUs and NPUs have not been tested.
"""
PREDICT = """\
Writes the model's outputs for the examples in a file: a single output [n, ...]
to a .npy file, or all outputs by name to a .npz file. Files may be larger than
memory. A model with several inputs needs a .npz file with one array per input,
under the names that `inspect` shows.

A uint8 input takes uint8 images unchanged. For other inputs, bytes 0 to 255 are
mapped to --range, else to the range in the file's metadata, else to 0 to 1.
Floating-point data are used unchanged, as are arrays of the input's own integer
type, such as token ids. Inputs and outputs are scaled as the file specifies.

example: kdfunc-edge predict model.tflite --data=images.npz --output=softmax.npy
         kdfunc-edge predict detector.tflite --data=images.npz --range=-1,1 \\
             --signature=serving_default --output=all.npz
"""
COMPARE = """\
Compares two models (.tflite or, if TensorFlow is installed, .keras or the
folder of a SavedModel): every functional measure with its interval, the images
whose class changes, the classes that suffer most, size and speed. Without
labels, measures that need them are left out.

example: kdfunc-edge compare base.tflite small.tflite --data=images.npz
         kdfunc-edge compare base.tflite small.tflite --data=images.npz \\
             --independent=other.tflite --limit 'agreement>=99% at 95%' \\
             --limit 'preserved.jensen_shannon>=80' --limit 'bytes<=30%'

The output says how each model was run. --reference-options (which independent
models share) and --candidate-options change this, for example to run the same
file with other kernels or threads, or two models with different pixel ranges.

         kdfunc-edge compare m.tflite m.tflite --data=images.npz \\
             --candidate-options='kernels=reference threads=4'

The kind of each output (probabilities, logits, a class per pixel, numbers) is
detected and reported; each output is compared with suitable measures.

Limits apply to the measures by the names in the output, to `accuracy`, to tails
such as `jensen_shannon.p99`, to `bytes`, `gzip_bytes` and `latency_ms` (with %:
relative to the reference), and to `preserved.MEASURE`, the function preserved
in percent. By default a limit judges the value on the given examples; with
`at 95%` the whole 95 % interval must meet it, and the result may be undecided.
Exit code: 0; 1 if a limit is missed, 2 for bad input, 3 if one is undecided.
"""
BLAME = """\
Shows how much of the function each layer of a compressed model costs. One layer
at a time is restored to the reference's floating-point weights in the
candidate's file; the output lists what that gains, with intervals, and the
bytes it adds. With limits, it searches for the layers to restore so that they are
met at the lowest cost in bytes (the minimum, for up to six layers).

example: kdfunc-edge blame float32.tflite int8.tflite --data=images.npz
         kdfunc-edge blame float32.tflite int8.tflite --data=images.npz \\
             --limit 'agreement>=99%' --output=mixed.tflite --node-data=nodes.json

--node-data writes JSON that Model Explorer shows on the candidate's graph.
Exit code: 0; 1 if no set of layers meets the limits, 2 for bad input, 3 if the data
leave it undecided whether one does.
"""
DATA = (
    ".npz with images [n, ...] as `images`, or one array per input under its name, "
    "and optionally true classes [n] as `labels`"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
      arguments: of the command line; None for the process's own.

    Returns:
      Exit code: 0, 1 if a limit is missed, 2 for bad input, 3 if one is undecided, 130
      after Ctrl-C, 143 after SIGTERM.
    """

    def run_asked() -> int:
        asked = _parser().parse_args(arguments)
        return asked.run(asked)

    return exit_code("kdfunc-edge", run_asked)


def _parser() -> argparse.ArgumentParser:
    parser = Parser("kdfunc-edge", description=DESCRIPTION)
    commands = parser.add_subparsers(metavar="command", required=True)
    command = functools.partial(add_command, commands)

    one = command(_inspect, "show what is in a .tflite file", INSPECT)
    one.add_argument("model", help="a .tflite file")
    _add_json(one)

    one = command(_benchmark, "measure latency, throughput and memory", BENCHMARK)
    one.add_argument("model", help="a .tflite file")
    running_options.add_timing(one)
    _add_json(one)

    one = command(_predict, "write the outputs for a file of images", PREDICT)
    one.add_argument("model", help="a .tflite file")
    _add_data(one)
    one.add_argument(
        "--output",
        required=True,
        help="file to write: .npy for a single output, .npz for all outputs by name",
    )
    running_options.add(one)

    one = command(_compare, "compare two models as functions", COMPARE)
    one.add_argument("reference", help="the original model")
    one.add_argument("candidate", help="the model to judge")
    _add_data(one)
    options.add(one, "model")
    running_options.add(one)
    running_options.add_for_each(one)

    one = command(_blame, "find the layers that lose most of the function", BLAME)
    one.add_argument("reference", help="a .tflite file in floating point")
    one.add_argument("candidate", help="a compressed .tflite file of the same model")
    _add_data(one)
    options.add_comparing(one, "model")
    one.add_argument(
        "--output",
        metavar="FILE",
        help=".tflite file to write, with the layers restored",
    )
    one.add_argument(
        "--node-data", metavar="FILE", help="JSON file to write for Model Explorer"
    )
    running_options.add(one)
    _add_json(one)
    return parser


def _add_data(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--data", required=True, help=f"{DATA}; or .npy of images")


def _add_json(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


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
        **options.given(asked) | running_options.settings_for_each(asked),
    )
    return options.show(compared, asked)


def _blame(asked: argparse.Namespace) -> int:
    from kdfunc.comparison.limits import EXIT_CODES, MET
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
    _print(found, asked, str)
    if asked.node_data is not None:
        with telling(asked.node_data, "--node-data"):
            write_atomic(node_data, json.dumps(blame.node_data(found), indent=2))
    return EXIT_CODES[found["outcome"] or MET]
