"""What holds for every command: its help, its version, how flags are spelled."""

import errno
import io
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import numpy as np
import pytest

import kdfunc
from kdfunc import cli
from kdfunc.commands import exit_code, spelled
from kdfunc.edge import main as edge
from kdfunc.errors import InputError
from kdfunc.report import page
from kdfunc.runs import flags

ROOT = pathlib.Path(__file__).parents[1]
COMMANDS = [
    ["run_experiments.py"],
    ["-m", "kdfunc"],
    ["-m", "kdfunc", "run"],
    ["-m", "kdfunc", "report"],
    ["-m", "kdfunc.edge"],
    ["-m", "kdfunc.edge", "benchmark"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
@pytest.mark.parametrize(
    ("flag", "told"), [("--version", f"kdfunc {kdfunc.__version__}"), ("--help", "")]
)
def test_help_and_version_are_told_and_are_no_failure(command, flag, told):
    done = subprocess.run(
        [sys.executable, *command, flag], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip().endswith(told)
    assert done.stdout.strip()


def test_help_of_an_experiment_has_every_flag(capsys):
    assert cli.main(["run", "-h"]) == 0
    text = capsys.readouterr().out
    for name in (*flags.FIELDS, *flags.OTHERS):
        assert f"--{name}:" in text or f"--[no]{name}:" in text


@pytest.mark.parametrize("mark", "-_")
def test_words_of_flags_are_joined_by_either_mark(mark, tmp_path, capsys):
    def joined(*arguments):
        return [argument.replace("~", mark) for argument in arguments]

    values = flags.parse(joined("--batch~size=3", "--output~dir=a-b_c", "--dry~run"))
    assert (values.batch_size, values.output_dir, values.dry_run) == (3, "a-b_c", True)
    benchmark = joined("benchmark", str(tmp_path / "none"), "--batch~sizes", "0")
    with pytest.raises(SystemExit):
        edge.main(benchmark)
    assert "--batch-sizes: got '0'" in capsys.readouterr().err


def test_only_names_of_flags_are_respelled():
    given = ["run", "--a-b=c-d_e", "-x-y", "f_g", "--h_i"]
    assert spelled(given, "_") == ["run", "--a_b=c-d_e", "-x-y", "f_g", "--h_i"]
    assert spelled(given, "-") == ["run", "--a-b=c-d_e", "-x-y", "f_g", "--h-i"]


def test_it_is_told_what_cannot_be_recomputed(tmp_path, monkeypatch, capsys):
    """Most published results keep tables alone."""
    run = tmp_path / "run"
    ignored = shutil.ignore_patterns("figures", "outputs.*")
    shutil.copytree(ROOT / "results" / "mnist-lenet-published", run, ignore=ignored)
    monkeypatch.setattr(page, "write", lambda runs, path: path)
    assert cli.main(["report", "--recompute", str(run)]) == 0
    told = capsys.readouterr().err
    assert "run has neither records nor outputs.npz.xz, so its tables st" in told


def test_an_unknown_flag_is_named():
    with pytest.raises(InputError, match="'batch_sizes'.*batch_size"):
        flags.parse(["--batch-sizes=3"])


def test_the_installed_command_runs_what_the_script_runs(capsys):
    assert cli.main(["run", "--dry-run", "--stages=quantize"]) == 0
    by_command, forecast = capsys.readouterr().out.split("\n\n")
    assert cli.run(["--dry_run", "--stages=quantize"], "run_experiments.py") == 0
    assert capsys.readouterr().out.startswith(f"{by_command}\n\n{forecast[:11]}")
    assert "dynamic-range" in by_command
    assert cli.main(["run", "--epochs=0"]) == 2
    assert capsys.readouterr().err.startswith("kdfunc run: --epochs: got 0;")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("--stages=", "--stages: got ''; allowed: train,"),
        ("--controls=none", "--controls: got 'none'; give `--controls=` for none."),
        ("--perplexities=none", "--perplexities: got 'none'; give whole numbers"),
        ("--alphas=None", "--alphas: got 'None'; give `--alphas=` for none."),
        ("--controls=same_start", "other-targets; did you mean same-start?"),
        ("--architecture=ResNet50", "of your own; did you mean resnet50?"),
        ("--quantization=int8", "allowed: float16, dynamic-range."),
        ("--stages=analyse", "holds no base model, so there is nothing to analyse"),
        ("--stages=compress", "--stages: compress has nothing to do in this exp"),
        ("--threads=1000000", "--threads: got 1000000; allowed: 1, 2, ... 1024."),
        ("--workers=1000000", "--workers: got 1000000; allowed: 0, 1, ... 1024."),
        ("--alphas=low", "--alphas: got 'low'; give numbers separated by commas"),
        (f"--compressions={'a' * 300}:f", "does not allow a path as long as"),
        ("--epoch=2", "Unknown command line flag 'epoch'"),
        ("epochs=2", "'epochs=2' is not a flag"),
        (f"--output_dir={'a' * 300}", "cannot be written (File name too long)"),
        (f"--output_dir={'a/' * 2500}a", "cannot be written (File name too long)"),
        (
            "--output_dir=loop/a",
            "cannot be written (Too many levels of symbolic links)",
        ),
    ],
)
def test_flags_that_cannot_work_are_refused_before_anything_is_done(
    given, told, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    assert cli.main(["run", *given.split()]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("kdfunc run: ") and told in err
    assert err.count("\n") == 1 and len(err) < 600
    assert [path.name for path in tmp_path.iterdir()] == ["loop"]


def shell(command, cwd):
    """Runs a line of bash; `kdfunc` in it is the command."""
    line = command.replace("kdfunc", f"{sys.executable} -m kdfunc", 1)
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=cwd,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("kdfunc run --help | true", 0),
        ("kdfunc run --epochs=0 >&-", 2),
        ("kdfunc run --epochs=0 2>&-", 2),
        ("kdfunc run --help >&- 2>&- <&-", 0),
        ("kdfunc report --help >&-", 0),
        ("kdfunc.edge inspect none.tflite >&-", 2),
    ],
)
def test_nobody_need_listen(command, code, tmp_path):
    done = shell(command, tmp_path)
    assert done.returncode == code
    assert "Traceback" not in done.stderr and "ignored" not in done.stderr


@pytest.mark.parametrize(
    ("limit", "code"), [("", 0), ("--limit 'agreement<=50%'", 1), ("--limit=x", 2)]
)
def test_limits_are_judged_though_the_reader_has_left(limit, code, tmp_path):
    np.save(tmp_path / "p.npy", np.eye(40))
    done = shell(f"kdfunc compare p.npy p.npy {limit} 2>&1 | true", tmp_path)
    assert (done.returncode, done.stderr) == (code, "")


def test_output_that_does_not_fit_is_an_error(monkeypatch, capsys):
    """Unlike a reader that leaves, who wants no more."""

    class Full(io.StringIO):
        def write(self, text):
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(sys, "stdout", Full())
    assert exit_code("kdfunc", lambda: print("text") or 0) == 2
    assert capsys.readouterr().err == (
        "kdfunc: the output cannot be written (No space left on device); free some "
        "space.\n"
    )


def test_text_that_a_terminal_cannot_show_is_escaped(monkeypatch):
    """Such as the path of a run directory, on Windows or in an old locale."""
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(shown, "cp1252"))
    assert exit_code("kdfunc", lambda: print("runs/Łódź") or 0) == 0
    assert shown.getvalue().strip() == b"runs/\\u0141\xf3d\\u017a"


def test_a_run_goes_on_when_its_reader_has_left(tmp_path):
    flags = "--epochs=1 --independents=0 --stages=train --workers=0"
    done = shell(f"kdfunc run {flags} | head -1", tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("\n") == 1
    base = tmp_path / "runs/digits-lenet-published/records/base"
    assert (base / "manifest.json").exists()


def test_sigterm_is_an_exit_code_of_its_own_and_cleans_up(capsys):
    cleaned = []

    def run():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            cleaned.append(True)

    assert exit_code("kdfunc", run) == 143
    assert cleaned and capsys.readouterr().err == "kdfunc: stopped.\n"
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
