"""What holds for every command: its help, its version, how flags are spelled."""

import pathlib
import subprocess
import sys

import pytest

import kdfunc
from kdfunc import cli
from kdfunc.commands import spelled
from kdfunc.edge import main as edge
from kdfunc.errors import InputError
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


def test_an_unknown_flag_is_named():
    with pytest.raises(InputError, match="'batch_sizes'.*batch_size"):
        flags.parse(["--batch-sizes=3"])


def test_the_installed_command_runs_what_the_script_runs(capsys):
    assert cli.main(["run", "--dry-run", "--stages=quantize"]) == 0
    by_command = capsys.readouterr().out
    assert cli.run(["--dry_run", "--stages=quantize"], "run_experiments.py") == 0
    assert capsys.readouterr().out == by_command
    assert "dynamic-range" in by_command
    assert cli.main(["run", "--epochs=0"]) == 2
    assert capsys.readouterr().err.startswith("kdfunc run: --epochs: got 0;")
