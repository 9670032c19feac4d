"""Gives flags that cannot be meant, and sees that each is refused in one sentence.

    python tests/bad_flags.py --number=30

Refused means: exit code 2 within seconds, one line that names the flag (the first of
the command, unless another is given after #), and nothing written. The commands run in
this process.
"""

import argparse
import contextlib
import io
import os
import pathlib
import shlex
import signal
import sys
import tempfile
import time

import numpy as np

SECONDS = 120  # generous: a busy machine takes its time
SMALL = ("--workers=0", "--epochs=1", "--independents=0", "--alphas=0.9")
RUN = """
    --epochs=0
    --epochs=-1
    --epochs=2.5
    --epochs=many
    --epochs=
    --epochs=99999999999999999999
    --epochs=1e3
    --batch_size=0
    --batch_size=-64
    --batch_size=99999999999
    --batch_size=x
    --independents=-1
    --independents=100000000
    --independents=0.5
    --alphas=1.5
    --alphas=-0.1
    --alphas=nan
    --alphas=inf
    --alphas=a,b
    --alphas=0.1,0.1
    --alphas=0.1,0.1000000001
    --alphas=0.1,,0.2
    --alphas=0.1;0.5
    --temperature=0
    --temperature=-3
    --temperature=inf
    --temperature=nan
    --temperature=warm
    --distillation_seeds=-2
    --distillation_seeds=2,2
    --distillation_seeds=1.5
    --distillation_seeds=4294967296
    --distillation_seeds=two
    --quantization=int3
    --quantization=float16,float16
    --quantization=float16,int3
    --quantization=FLOAT16
    --pruning_levels=1
    --pruning_levels=1.5
    --pruning_levels=-0.1
    --pruning_levels=nan
    --pruning_levels=0.1,0.1000000001
    --pruning_levels=90
    --pruning_levels=a
    --compressions=nonsense
    --compressions=prune90+
    --compressions=prune100
    --compressions=prune90,prune90
    --compressions=finetune+nonsense
    --compressions=not_there:step
    --compressions=math:pi
    --compressions=int8+prune90
    --finetune_epochs=0
    --finetune_epochs=99999999999999999999
    --controls=none
    --controls=same-start,same-start
    --variants=temperature
    --variants=temperature=0
    --variants=temperature=nan
    --variants=epochs=1.5
    --variants=epochs=99999999999999999999
    --variants=student=vgg
    --variants=student=../x:build
    --variants=teacher=bert
    --variants=alpha=0.1
    --variants=temperature=10,temperature=1e1
    --variants=teacher=ensemble
    --variants=epochs=50 --alphas=
    --perplexities=60,30
    --perplexities=60,30,15,0
    --perplexities=60,30,15,nan
    --perplexities=60,30,15,-1
    --perplexities=a,b,c,d
    --seed=-1
    --seed=4294967296
    --seed=1.5
    --seed=x
    --preset=papers
    --preset=Published
    --alpha_convention=students
    --soft_targets=softmax
    --pruning_scope=biases
    --student_optimizer=sgd
    --data_order=random
    --dataset=
    --dataset=no_such_data_set
    --dataset=../mnist
    --dataset=huggingface:x
    --dataset=digits/3.0.0
    --dataset=mnist --data_dir=FILE  # mnist
    --architecture=
    --architecture=vgg
    --architecture=LeNet
    --architecture=../../x:build
    --architecture=:build
    --architecture=.x:build
    --architecture=not_there:build
    --architecture=math:pi
    --architecture=os:getcwd
    --architecture=mobilenet:
    --stages=
    --stages=train,dance
    --stages=Train
    --workers=-1
    --workers=1.5
    --workers=all
    --workers=1000000
    --threads=0
    --threads=-1
    --threads=1000000
    --threads=x
    --scheduler=nowhere
    --scheduler=tcp://127.0.0.1:9
    --scheduler=tcp://127.0.0.1:999999
    --scheduler=http://127.0.0.1:9
    --output_dir=  # --output_dir
    --output_dir=FILE
    --output_dir=FILE/below
    --output_dir=LOOP/a
    --output_dir=LONG
    --output_dir=DEEP
    --tensorboard=perhaps
    --dry_run=perhaps
    --verify --output_dir=EMPTY  # EMPTY
    --no_such_flag  # no_such_flag
    --epoch=3  # epoch
    --epochs 3 4  # '4'
    25  # '25'
    -x  # x
"""
EDGE = """
    inspect MISSING.tflite  # MISSING.tflite
    inspect  # model
    dance  # dance
    predict MODEL --output=OUT  # --data
    predict MODEL --data=MISSING.npz --output=OUT  # MISSING.npz
    predict MODEL --data=DATA --output=  # --output
    predict MODEL --data=DATA --output=MODEL  # --output
    predict MODEL --data=DATA --output=DATA  # --output
    predict MODEL --data=DATA --output=EMPTY  # --output
    predict MODEL --data=DATA --output=OUT --batch-size=0  # --batch-size
    predict MODEL --data=DATA --output=OUT --batch-size=x  # --batch-size
    predict MODEL --data=DATA --output=OUT --threads=0  # --threads
    predict MODEL --data=DATA --output=OUT --threads=100000  # --threads
    predict MODEL --data=DATA --output=OUT --timeout=0  # --timeout
    predict MODEL --data=DATA --output=OUT --timeout=nan  # --timeout
    predict MODEL --data=DATA --output=OUT --timeout=1e300  # --timeout
    predict MODEL --data=DATA --output=OUT --memory=-1  # --memory
    predict MODEL --data=DATA --output=OUT --memory=99999999999999999999  # --memory
    benchmark MODEL --runs=0  # --runs
    benchmark MODEL --runs=-1  # --runs
    benchmark MODEL --warm-up=-1  # --warm-up
    benchmark MODEL --batch-sizes=99999999999999  # --batch-sizes
    benchmark MODEL --threads=x  # --threads
    compare MODEL MODEL  # --data
    compare MODEL MODEL --data=DATA --resamples=-1  # --resamples
    compare MODEL MODEL --data=DATA --resamples=99999999999  # --resamples
    compare MODEL MODEL --data=DATA --limit=  # --limit
    compare MODEL MODEL --data=DATA --limit=beauty<1  # --limit
    compare MODEL MODEL --data=DATA --limit=agreement>=much  # --limit
    compare MODEL MODEL --data=DATA --report=DATA  # --report
    compare MODEL MODEL --data=DATA --report=EMPTY  # --report
    compare MODEL MISSING.keras --data=DATA  # MISSING.keras
"""
OTHERS = """
    report MISSING  # MISSING
    report EMPTY  # EMPTY
    report  # DIR
    report EMPTY --output=  # EMPTY
    compare MISSING.npy MISSING.npy  # MISSING.npy
    compare DATA  # candidate
    compare DATA DATA --labels=MISSING.npy  # MISSING.npy
    compare DATA DATA --limit=agreement  # --limit
    compare DATA DATA --confidence=2  # --confidence
    dance  # dance
"""


def commands() -> list[tuple[str, list[str], str]]:
    """Command, arguments and what the refusal has to name, of each that is tried."""
    found = []
    for command, lines in (("run", RUN), ("edge", EDGE), ("kdfunc", OTHERS)):
        for line in lines.strip().splitlines():
            text, _, named = line.strip().partition("  # ")
            arguments = shlex.split(text)
            flag = arguments[0].lstrip("-").partition("=")[0]
            found.append((command, arguments, named or f"--{flag}"))
    return found


def prepare(folder: pathlib.Path) -> dict[str, str]:
    """Makes what the arguments name; their words and what to put in their place."""
    (folder / "file").write_text("a file", "utf-8")
    (folder / "empty").mkdir()
    (folder / "loop").symlink_to("loop")
    np.savez(folder / "data.npz", images=np.zeros((3, 4), np.float32))
    sys.path.append(f"{pathlib.Path(__file__).parent / 'edge'}")
    import nets

    nets.softmax(folder / "model.tflite", [1, 4])
    return {
        **{"FILE": f"{folder / 'file'}", "EMPTY": f"{folder / 'empty'}"},
        **{"LOOP": f"{folder / 'loop'}", "LONG": f"{folder / ('x' * 300)}"},
        **{"DEEP": f"{folder}{'/deep' * 1000}", "DATA": f"{folder / 'data.npz'}"},
        **{"MODEL": f"{folder / 'model.tflite'}", "OUT": f"{folder / 'out.npy'}"},
    }


def problem(
    command: str, arguments: list[str], named: str, words: dict[str, str]
) -> str:
    """What is wrong with how a command refuses its arguments; empty if nothing is."""
    from kdfunc import cli
    from kdfunc.edge import main as edge

    before = _listing(words)
    for word, value in words.items():
        arguments = [argument.replace(word, value) for argument in arguments]
        named = named.replace(word, value)
    if command == "run":
        given = any(text.startswith("--output_dir") for text in arguments)
        inside = [] if given else [f"--output_dir={words['EMPTY']}/runs"]
        arguments = ["run", *SMALL, *arguments, *inside]
    out, err = io.StringIO(), io.StringIO()
    begin = time.monotonic()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            with _stopped_after(SECONDS):
                code = (edge.main if command == "edge" else cli.main)(arguments)
    except SystemExit as stop:
        code = stop.code
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    told = err.getvalue().strip()
    sentence = told.splitlines()[-1] if told else ""
    if code != 2:
        return f"exit code {code}: {told or out.getvalue()[-300:]}"
    if time.monotonic() - begin > SECONDS:
        return "it took long"
    lines = [line for line in told.splitlines() if not line.startswith("usage:")]
    if len([line for line in lines if not line.startswith(" ")]) != 1:
        return f"not one sentence: {told}"
    plain = named.lower().replace("_", "-")
    if plain not in sentence.lower().replace("_", "-"):
        return f"{named} is not named: {told}"
    written = _listing(words) - before
    return f"it wrote {written}" if written else ""


def _listing(words: dict[str, str]) -> set[str]:
    folder = pathlib.Path(words["EMPTY"]).parent
    return {os.fspath(path) for path in folder.rglob("*")}


@contextlib.contextmanager
def _stopped_after(seconds: int):
    def stop(*_):
        raise TimeoutError(f"not ended after {seconds} s")

    if not hasattr(signal, "SIGALRM"):
        yield
        return
    before = signal.signal(signal.SIGALRM, stop)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def main() -> None:
    """Tries the flags from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--number", type=int, help="how many of them (all)")
    options = parser.parse_args()
    tried = commands()
    tried = tried[:: max(1, len(tried) // (options.number or len(tried)))]
    wrong = 0
    with tempfile.TemporaryDirectory() as folder:
        words = prepare(pathlib.Path(folder))
        for command, arguments, named in tried:
            if found := problem(command, arguments, named, words):
                wrong += 1
                print(f"{command} {shlex.join(arguments)}: {found}", flush=True)
    print(
        f"{len(tried)} commands with bad flags, {wrong} not refused as they should be."
    )
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
