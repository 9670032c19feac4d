"""Ends runs at every step that writes, and shows that the bytes come out the same.

    python tests/runs/crash_points.py --how=kill
    python tests/runs/crash_points.py --how=power --every=10
    python tests/runs/crash_points.py --how=full --analyse

The smallest experiment is run once without disturbance, and the steps that change the
disk are counted: folders made, files opened to be written, the first write to each,
syncs, renames, removals. Then, for n = 1 to the last, a run is disturbed at its n-th
step and run again to its end, and every result is compared.

    kill    the process ends before the step, or half way through it where it is a write
    power   the same, and what was written and not synced is empty afterwards
    full    the step and all later ones fail, as on a full disk; the run has to end by
            itself, with exit code 1 or 2 and a sentence

Processes are forked from one that has imported TensorFlow, so this needs Linux.
"""

import argparse
import builtins
import contextlib
import errno
import io
import os
import pathlib
import shutil
import signal
import sys
import tempfile

import kill

ARGUMENTS = (
    "run",
    "--epochs=1",
    "--independents=0",
    "--alphas=0.9",
    "--distillation_seeds=2",
    "--quantization=dynamic-range",
    "--pruning_levels=0.9",
    "--controls=",
    "--workers=0",
)
TRAININGS = "--stages=train,distill,quantize,prune"
ENDED = 86  # exit code of a process that was ended on purpose


class Disturbance:
    """Counts the steps that change files below a folder, and disturbs one of them."""

    def __init__(self, folder: pathlib.Path, how: str = "count", at: int = 0):
        self.folder = os.path.realpath(folder)
        self.how, self.at, self.steps = how, at, 0
        self.unsynced: set[str] = set()
        self.real = {name: getattr(os, name) for name in _PATCHED}
        self.open = builtins.open

    def install(self) -> None:
        """Puts itself in the place of the functions that write."""
        for name in _PATCHED:
            setattr(os, name, getattr(self, f"_{name}"))
        builtins.open = io.open = self._open

    def step(self, half=None) -> None:
        """To be called before a step; `half` does it by half."""
        self.steps += 1
        if self.how == "full" and self.steps >= self.at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.how in ("kill", "power") and self.steps == self.at:
            if half is not None:
                half()
            if self.how == "power":
                for path in self.unsynced:
                    with contextlib.suppress(OSError):
                        os.truncate(path, 0)
            os._exit(ENDED)

    def inside(self, path) -> bool:
        """Whether a path is of this run; locks do not count."""
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        path = os.path.realpath(os.fspath(path))
        return path.startswith(self.folder) and not path.endswith(".lock")

    def _open(self, file, mode="r", *arguments, **keywords):
        writes = isinstance(file, str | os.PathLike) and set(mode) & set("wax+")
        if not writes or not self.inside(file):
            return self.open(file, mode, *arguments, **keywords)
        self.step()
        return _File(self.open(file, mode, *arguments, **keywords), self)

    def _fsync(self, handle):
        path = os.readlink(f"/proc/self/fd/{handle}")
        if self.inside(path):
            self.step()
            self.unsynced.discard(path)
        return self.real["fsync"](handle)

    def _replace(self, before, after, **keywords):
        if self.inside(after):
            self.step()
            old = os.path.realpath(before)
            if old in self.unsynced:
                self.unsynced.remove(old)
                self.unsynced.add(os.path.realpath(after))
        return self.real["replace"](before, after, **keywords)


def _before(name: str):
    def function(self, path, *arguments, **keywords):
        if "dir_fd" in keywords or self.inside(path):
            self.step()
        return self.real[name](path, *arguments, **keywords)

    return function


_PATCHED = ("fsync", "replace", "mkdir", "unlink", "remove", "rmdir")
for _name in _PATCHED[2:]:
    setattr(Disturbance, f"_{_name}", _before(_name))


class _File:
    """A file whose writes are steps."""

    def __init__(self, file, disturbance: Disturbance):
        self._file, self._disturbance = file, disturbance
        self._written = False

    def __getattr__(self, name):
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __iter__(self):
        return iter(self._file)

    def write(self, content):
        """Writes, or does not."""

        def half():
            self._file.write(content[: len(content) // 2])
            self._file.flush()

        if not self._written:  # later ones only make what is there longer
            self._written = True
            self._disturbance.step(half)
        self._disturbance.unsynced.add(os.path.realpath(self._file.name))
        return self._file.write(content)


def run(folder: pathlib.Path, arguments, how: str = "none", at: int = 0):
    """Runs the experiment in a process of its own.

    Returns:
      Its exit code, what it printed, and how many steps it took.
    """
    folder.mkdir(exist_ok=True)
    told, counted = folder.with_suffix(".out"), folder.with_suffix(".steps")
    sys.stdout.flush()
    child = os.fork()
    if child == 0:
        out = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(out, 1)
        os.dup2(out, 2)
        signal.alarm(300)
        disturbance = Disturbance(folder, how, at)
        code = 1
        try:
            from kdfunc import cli

            disturbance.install()
            code = cli.main([*arguments, f"--output_dir={folder}"])
        except SystemExit as error:
            code = error.code
        except BaseException:
            import traceback

            traceback.print_exc()
        finally:
            with disturbance.open(counted, "w") as file:
                file.write(str(disturbance.steps))
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code or 0)
    _, status = os.waitpid(child, 0)
    steps = int(counted.read_text()) if counted.exists() else 0
    return os.waitstatus_to_exitcode(status), told.read_text(), steps


def crash_test(
    how: str, every: int, analyse: bool, folder: pathlib.Path, first: int = 1
) -> tuple[int, list[str]]:
    """Disturbs, runs again and compares.

    Returns:
      How many steps were disturbed, and a line for each that went wrong.
    """
    import kdfunc.runs.experiment  # noqa: F401  (before the processes are forked)
    import kdfunc.runs.tasks  # noqa: F401

    arguments = ARGUMENTS if analyse else (*ARGUMENTS, TRAININGS)
    code, output, steps = run(folder / "undisturbed", arguments, "count")
    if code:
        raise SystemExit(f"the run failed with {code}:\n{output}")
    expected = kill.checksums(folder / "undisturbed")
    wrong, tried = [], range(first, steps + 1, every)
    print(f"{steps} steps, {len(tried)} to be disturbed by {how}", flush=True)
    for at in tried:
        disturbed = folder / f"{how}-{at}"
        code, output, _ = run(disturbed, arguments, how, at)
        problem = ""
        if how == "full":
            # What is not needed for the work may be missing, and the run go on.
            if code not in (0, 1, 2) or "Traceback" in output:
                problem = f"ended with {code}: {output[-500:]}"
        elif code != ENDED:
            problem = f"was to be ended and returned {code}: {output[-500:]}"
        code, output, _ = run(disturbed, arguments)
        if code:
            problem += f" then failed with {code}: {output[-500:]}"
        else:
            found = kill.checksums(disturbed)
            different = sorted(
                name
                for name in expected.keys() | found.keys()
                if expected.get(name) != found.get(name)
            )
            if different:
                problem += f" then differed in {', '.join(different)}"
        if problem:
            wrong.append(f"step {at}: {problem}")
            print(wrong[-1], flush=True)
        shutil.rmtree(disturbed)
    return len(tried), wrong


def main() -> None:
    """Runs the crash test from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--how", choices=["kill", "power", "full"], default="kill")
    parser.add_argument("--every", type=int, default=1, help="every n-th step (1)")
    parser.add_argument("--first", type=int, default=1, help="first step (1)")
    parser.add_argument(
        "--analyse", action="store_true", help="tables and figures, too"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        tried, wrong = crash_test(
            options.how,
            options.every,
            options.analyse,
            pathlib.Path(folder),
            options.first,
        )
    print(f"{options.how}: {tried} steps disturbed, {len(wrong)} went wrong.")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
