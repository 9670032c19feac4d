import pytest

from kdfunc.analysis.keep import without_places


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (
            "run --data_dir=/a/b --epochs=2",
            "run --data_dir=DIR --epochs=2",
        ),
        (
            "run --output-dir '/my runs' --seed=1",
            "run --output-dir DIR --seed=1",
        ),
        (
            "run --data_dir= --data_dirs=x",
            "run --data_dir=DIR --data_dirs=x",
        ),
        ("run_experiments.py --dataset=mnist", "run_experiments.py --dataset=mnist"),
        (
            "run --alphas=0.1 --data-dir",
            "run --alphas=0.1 --data-dir DIR",
        ),
        (
            "python -m kdfunc corruptions --workers 1 '/a b/digits-lenet-published/'",
            "python -m kdfunc corruptions --workers 1 DIR/digits-lenet-published",
        ),
        (
            "kdfunc corruptions 'C:\\my runs\\digits' -data_dir=/a --flagfile=/a/b.txt",
            "kdfunc corruptions DIR/digits -data_dir=DIR --flagfile=DIR/b.txt",
        ),
        ("kdfunc corruptions runs/digits", "kdfunc corruptions runs/digits"),
    ],
)
def test_a_command_is_kept_without_the_folders_of_its_machine(given, kept):
    assert without_places(given) == kept
