"""Ends runs at every step that writes, and shows that the bytes come out the same.

    python tests/runs/crash_points.py
    python tests/runs/crash_points.py --how=power --every=10
    python tests/runs/crash_points.py --how=full,error --first=100 --last=120

The smallest experiment is run once without disturbance, and the steps that change the
disk are counted: folders made, files opened to be written, the first write to each,
syncs, renames, removals. Then, for n = 1 to the last, a run is disturbed at its n-th
step and run again to its end, and every result is compared. Where it left the very
bytes that an earlier one left, what became of those counts for it as well.

    kill    the process ends before the step, or half way through it where it is a write
    power   the process ends before the step, and what was written and not synced is
            empty afterwards
    full    the step and all later ones fail, as on a full disk; the run has to end by
            itself, with exit code 1 or 2 and a sentence
    error   the step alone fails, as on a disk with a bad block; the same

What a process that ends at a step leaves of the disk is copied from one run that goes
on, at each of its steps; with --real, a process of its own ends at each, which takes
three times as long. Processes are forked from one that has imported TensorFlow, so this
needs Linux.
"""

import argparse
import builtins
import collections
import contextlib
import errno
import hashlib
import importlib
import io
import itertools
import json
import os
import pathlib
import re
import shutil
import signal
import sys
import tempfile
import time

import kill

from kdfunc import checksums

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
IMPORTED = ("kdfunc.runs.experiment", "kdfunc.runs.worker", "sklearn.datasets")
IMPORTED += ("ai_edge_litert.interpreter", "scipy.stats")
ENDS = ("kill", "power")  # kinds of disturbance in which the process ends
ENDED = 86  # exit code of a process that was ended on purpose


class Disturbance:
    """Counts the steps that change files below a folder, and disturbs one of them."""

    def __init__(self, folder: pathlib.Path, how: str, at: int | range):
        self.folder = os.path.realpath(folder)
        self.copies = os.path.join(os.path.dirname(self.folder), "copies")
        self.how, self.at, self.steps = how, at, 0
        self.unsynced: set[str] = set()
        self.real = {name: getattr(os, name) for name in _PATCHED}
        self.open = builtins.open

    def install(self) -> None:
        """Puts itself in the place of the functions that write."""
        for name in _PATCHED:
            setattr(os, name, getattr(self, f"_{name}"))
        builtins.open = io.open = self._open

    def step(self, half: tuple[str, str | bytes] | None = None) -> None:
        """To be called before a step; `half` is a file and what half of it writes."""
        self.steps += 1
        if self.how == "full" and self.steps >= self.at:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if self.how == "error" and self.steps == self.at:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        if self.how in ENDS and self.steps == self.at:
            self._leave(self.folder, self.how, half)
            os._exit(ENDED)
        if self.how == "copy" and self.steps in self.at:
            for how in ENDS:
                copy = os.path.join(self.copies, f"{how}-{self.steps}")
                shutil.copytree(self.folder, copy)
                self._leave(copy, how, half)

    def _leave(self, folder: str, how: str, half) -> None:
        """Makes of a folder, this one or a copy, what is left where a process ends."""
        if how == "kill" and half is not None:
            path, content = half
            with self.open(
                path.replace(self.folder, folder, 1),
                "a" if isinstance(content, str) else "ab",
            ) as file:
                file.write(content)
        if how == "power":
            for path in self.unsynced:
                with contextlib.suppress(OSError):
                    os.truncate(path.replace(self.folder, folder, 1), 0)

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

        path = os.path.realpath(self._file.name)
        self._disturbance.unsynced.add(path)
        if not self._written:  # later ones only make what is there longer
            self._written = True
            self._disturbance.step((path, content[: len(content) // 2]))
        return self._file.write(content)


def run(folder: pathlib.Path, arguments, how: str = "count", at: int | range = 0):
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
        signal.alarm(3600)  # hangs
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
    steps = int(counted.read_text("utf-8")) if counted.exists() else 0
    return os.waitstatus_to_exitcode(status), told.read_text("utf-8"), steps


class CrashTest:
    """Disturbs runs of one experiment, runs them again and compares.

    Args:
      folder: to work in.
      arguments: the experiment.
      wanted: the steps that will be disturbed.
      real: whether a process ends at each step, where one does; see above.

    Attributes:
      steps: how many steps of the experiment change the disk.
      tried: how many disturbances of each kind there were.
      ends: for the state of the disk that a disturbance left, what went wrong when the
        command was given again.
      wrong: a line for each disturbance that went wrong.
    """

    def __init__(
        self, folder: pathlib.Path, arguments, wanted: range, real: bool = False
    ):
        for module in IMPORTED:  # before the processes are forked
            importlib.import_module(module)
        self.folder, self.arguments, self.real = folder, arguments, real
        how = "count" if real else "copy"
        code, output, self.steps = run(folder / "undisturbed", arguments, how, wanted)
        if code:
            raise SystemExit(f"the run failed with {code}:\n{output}")
        self.expected = kill.checksums(folder / "undisturbed")
        self.tried = collections.Counter()
        self.ends: dict[str, str] = {}
        self.wrong: list[str] = []

    def disturb(self, how: str, at: int) -> None:
        """Disturbs one step, and gives the same command again."""
        problem = ""
        if how in ENDS and not self.real:
            disturbed = self.folder / "copies" / f"{how}-{at}"
        else:
            disturbed = self.folder / "disturbed"
            code, output, _ = run(disturbed, self.arguments, how, at)
            # Without what is not needed for the work, the run may go on.
            right = code == ENDED if how in ENDS else code in (0, 1, 2)
            if not right or "Traceback" in output:
                problem = f"ended with {code}: {output[-500:]}; "
        state = state_of(disturbed)
        if state not in self.ends:
            self.ends[state] = self._resume(disturbed)
        problem += self.ends[state]
        if problem:
            self.wrong.append(f"{how} {at}: {problem}")
            print(self.wrong[-1], flush=True)
        self.tried[how] += 1
        shutil.rmtree(disturbed)

    def _resume(self, disturbed: pathlib.Path) -> str:
        code, output, _ = run(disturbed, self.arguments)
        if code:
            return f"then failed with {code}: {output[-500:]}"
        found = kill.checksums(disturbed)
        different = sorted(
            name
            for name in self.expected.keys() | found.keys()
            if self.expected.get(name) != found.get(name)
            and "/logs/" not in name  # tell of what went wrong, and stay
        )
        return f"then differed in {', '.join(different)}" if different else ""


def state_of(folder: pathlib.Path) -> str:
    """Checksum of all that lies below a folder, but for random names and times."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        name = re.sub(r"[.][0-9a-f]{8}[.]partial$", ".partial", name)
        content = b"a folder" if path.is_dir() else path.read_bytes()
        if path.name == checksums.MANIFEST and (
            facts := checksums.read_manifest(path.parent)
        ):
            content = json.dumps(facts | {"made": "some time"}).encode()
        digest.update(f"{name} {hashlib.sha256(content).hexdigest()}\n".encode())
    return digest.hexdigest()


def main() -> None:
    """Runs the crash test from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    kinds = (*ENDS, "full", "error")
    parser.add_argument("--how", default=",".join(kinds), help="with commas between")
    parser.add_argument("--every", type=int, default=1, help="every n-th step (1)")
    parser.add_argument("--first", type=int, default=1, help="first step (1)")
    parser.add_argument("--last", type=int, help="last step (of all)")
    parser.add_argument(
        "--analyse", action="store_true", help="tables and figures, too"
    )
    parser.add_argument(
        "--real", action="store_true", help="end a process at each step"
    )
    options = parser.parse_args()
    hows = options.how.split(",")
    if not {*hows} <= {*kinds}:
        parser.error(f"--how: got {options.how}; allowed: {', '.join(kinds)}")
    arguments = ARGUMENTS if options.analyse else (*ARGUMENTS, TRAININGS)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        wanted = range(options.first, (options.last or sys.maxsize) + 1, options.every)
        test = CrashTest(pathlib.Path(folder), arguments, wanted, options.real)
        for at in itertools.takewhile(lambda at: at <= test.steps, wanted):
            for how in hows:
                test.disturb(how, at)
            minutes = (time.monotonic() - begin) / 60
            print(f"step {at} of {test.steps}, {minutes:.0f} minutes", flush=True)
    for how in hows:
        wrong = sum(line.startswith(f"{how} ") for line in test.wrong)
        print(
            f"{how}: {test.tried[how]} of {test.steps} steps disturbed, {wrong} went "
            "wrong."
        )
    print(f"The disk was in {len(test.ends)} different states.")
    sys.exit(bool(test.wrong))


if __name__ == "__main__":
    main()
