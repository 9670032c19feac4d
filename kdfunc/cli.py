"""The command `kdfunc`, also `python -m kdfunc`."""

import argparse
import contextlib
import functools
import os
import sys
from collections.abc import Callable, Sequence

from kdfunc.commands import VERSION, Heard, Parser, add_command, code_of, exit_code
from kdfunc.comparison import options
from kdfunc.errors import InputError, RunError

DESCRIPTION = """\
Does a compressed network still compute the function of the network it came from?
`kdfunc-edge` compares .tflite files, also on a device.
"""
RUN = """\
Runs the experiments of Neural Network Compression: The Functional Perspective.

With no flags: the paper's full protocol with LeNet on scikit-learn's handwritten
digits, which need no download. With flags: the paper itself, e.g.

  kdfunc run --dataset=cifar10 --architecture=mobilenet

`python run_experiments.py` does the same as `kdfunc run`. To resume a run that was
stopped, run the same command again. Flag names may be written with - or _.

flags:
"""
REPORT = """\
Writes the report page: a single HTML file that needs no internet connection. For one
run directory it is DIR/report.html; for several, ./report.html shows the runs side by
side and links to the page of each; for a folder of runs, it shows all of them. Missing
tables are first made from the run's records.

example: kdfunc report runs/digits-lenet-published
         kdfunc report runs/ --output=all.html
"""
CORRUPTIONS = """\
Do models that keep the function on clean images keep it on corrupted ones? Corrupts the
first 2,000 test images of a run (noise, blur, contrast and JPEG at three strengths),
has all its models classify them, and adds the results to its tables, figures and
report page. To resume after a stop, run the same command again.

example: kdfunc corruptions runs/digits-lenet-published
"""
COMPARE = """\
Compares the outputs of two models for the same examples: softmax or logits from
PyTorch, ONNX, JAX, scikit-learn or anything else; the models are not needed. Files are
.npy, .npz or .csv (one row per example); each array of a .npz file is an output.

example: kdfunc compare base.npy small.npy --labels=labels.npy
         kdfunc compare base.npy small.npy --independent=other.npy \\
             --limit 'agreement>=99% at 95%' --report=page.html

Outputs, limits and exit codes are as in `kdfunc-edge compare`, but without bytes,
gzip_bytes and latency_ms.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
      arguments: of the command line; None for the process's own.

    Returns:
      Exit code: 0, 1 if a task failed or a limit is missed, 2 for bad input, 3 if a
      limit is undecided, 130 after Ctrl-C, 143 after SIGTERM.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if arguments[:1] == ["run"]:  # whose flags are absl's
        return run(arguments[1:])

    def run_asked() -> int:
        asked = _parser().parse_args(arguments)
        return asked.run(asked)

    return exit_code("kdfunc", run_asked)


def run(arguments: Sequence[str], command: str = "kdfunc run") -> int:
    """Runs the experiment that the flags describe, also for `run_experiments.py`.

    Args:
      arguments: the flags.
      command: the command's name in messages.

    Returns:
      Exit code, as of `main`.
    """

    def run_asked() -> int:
        with contextlib.redirect_stdout(Heard(sys.stdout)):
            return _run(arguments, command)

    return exit_code(command, run_asked)


def _parser() -> argparse.ArgumentParser:
    parser = Parser("kdfunc", description=DESCRIPTION)
    commands = parser.add_subparsers(metavar="command", required=True)
    commands.add_parser("run", help="run an experiment, from training to its report")
    command = functools.partial(add_command, commands)

    one = command(_report, "write one page with the results of runs", REPORT)
    one.add_argument(
        "directories",
        nargs="+",
        metavar="DIR",
        help="a run directory, or a folder of them",
    )
    one.add_argument("--output", metavar="FILE", help="where to write the page")
    one.add_argument(
        "--recompute",
        action="store_true",
        help="first rebuild all tables, verdicts and figures: from the records, or "
        "from the final outputs that published results have instead",
    )

    says = "check whether the function is kept on corrupted images"
    one = command(_corruptions, says, CORRUPTIONS)
    one.add_argument("directory", metavar="DIR", help="a run directory")
    one.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help="worker processes; 0 runs everything in this process",
    )

    one = command(_compare, "compare two models by their outputs", COMPARE)
    one.add_argument("reference", help="outputs of the model to compare with")
    one.add_argument("candidate", help="outputs of the model to judge")
    one.add_argument("--labels", metavar="FILE", help="the true classes")
    options.add(one, "outputs of a model")
    return parser


def _run(arguments: Sequence[str], command: str) -> int:
    from kdfunc.runs import flags

    values = flags.parse(arguments)
    if values.help:
        print(RUN + flags.explained())
        return 0
    if values.version:
        print(VERSION)
        return 0
    config = flags.config(values)
    chosen = {
        "data_dir": values.data_dir,
        "stages": values.stages,
        "workers": values.workers,
        "threads": values.threads,
        "log_tensorboard": values.tensorboard,
    }

    def work() -> int:
        if values.dry_run:
            from kdfunc.runs import dry_run, preparation

            prepared = preparation.prepare(config, values.output_dir, **chosen)
            dry_run.show(prepared, values.scheduler)
            return 0
        if values.verify:
            from kdfunc.runs import verification

            return verification.verify(config, values.output_dir)
        from kdfunc.runs import experiment

        experiment.run(config, values.output_dir, scheduler=values.scheduler, **chosen)
        return 0

    return _resumable(command, work)


def _resumable(command: str, work: Callable[[], int]) -> int:
    """Runs work that the same command resumes after a failure or Ctrl-C."""
    from absl import logging

    logging.set_verbosity(logging.ERROR)
    try:
        return work()
    except RunError as error:
        print(f"{command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt as interrupt:
        print("\nStopped. Finished work is kept; the same command resumes.")
        sys.stdout.flush()
        os._exit(code_of(interrupt))


def _corruptions(asked: argparse.Namespace) -> int:
    from kdfunc import text
    from kdfunc.runs import experiment

    def work() -> int:
        with contextlib.redirect_stdout(Heard(sys.stdout)):
            told = experiment.corrupt(asked.directory, asked.workers)
            report = os.path.join(asked.directory, "report.html")
            print(f"\n{text.wrapped(told)}\n\nReport: {report}")
        return 0

    return _resumable("kdfunc corruptions", work)


def _compare(asked: argparse.Namespace) -> int:
    from kdfunc.comparison.arrays import compare_files

    compared = compare_files(
        asked.reference,
        asked.candidate,
        asked.labels,
        asked.independent,
        **options.given(asked),
    )
    return options.show(compared, asked)


def _report(asked: argparse.Namespace) -> int:
    from kdfunc.analysis import everything
    from kdfunc.report import overview, page
    from kdfunc.runs.directory import RunDirectory

    given = [path for folder in asked.directories for path in overview.found(folder)]
    found = list({path.resolve(): path for path in given}.values())  # each run once
    runs = []
    for path in found:
        run = RunDirectory(path)
        try:
            reasons = everything.outdated(run)
            if reasons:
                print(f"{path}: {'; '.join(reasons)}; repeating the analysis.")
            recomputable = run.record("base").exists
            if asked.recompute and not recomputable:
                print(
                    f"kdfunc: note: {path} has neither records nor outputs.npz.xz, so "
                    "its tables stay as they are.",
                    file=sys.stderr,
                )
            if reasons or asked.recompute and recomputable:
                # A copy has no run that could use it.
                with contextlib.nullcontext() if run.kept else run.locked():
                    everything.write(run)
            page.check(run)
        except InputError as error:
            if len(found) == 1:
                raise
            print(f"kdfunc: left out: {error}", file=sys.stderr)
        else:
            runs.append(run)
    if not runs:
        raise InputError(
            "none of these is a run directory; give a run directory, or a "
            "folder of them."
        )
    default = runs[0].path / "report.html" if len(runs) == 1 else "report.html"
    print(page.write(runs, default if asked.output is None else asked.output))
    return 0
