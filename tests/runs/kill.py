"""Kills runs at random moments and shows that the bytes come out the same.

    python tests/runs/kill.py --kills=20

An experiment on the digits is run once without disturbance. Then it is run again and
again in another directory, each time killed (SIGKILL) after a random time: the whole
process group as by a power cut, the main process alone, or one worker. Last of all it
is allowed to finish, and every record, model, table and figure is compared.
"""

import argparse
import hashlib
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time

import psutil

ROOT = pathlib.Path(__file__).parents[2]
COMMAND = (
    sys.executable,
    str(ROOT / "run_experiments.py"),
    "--epochs=6",
    "--independents=1",
    "--alphas=0.9",
    "--distillation_seeds=2,24",
    "--pruning_levels=0.9",
    "--controls=",
)
IGNORED = {"manifest.json", "provenance.json", "report.html", "latency.csv", ".lock"}
IGNORED |= {"analysis.json"}  # has the checksum of latency.csv


def start(output_dir: pathlib.Path, workers: int) -> subprocess.Popen:
    """Starts the experiment in a process group of its own."""
    return subprocess.Popen(
        [*COMMAND, f"--output_dir={output_dir}", f"--workers={workers}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(output_dir: pathlib.Path, workers: int) -> str:
    """Runs the experiment to its end; returns what it printed."""
    process = start(output_dir, workers)
    output, _ = process.communicate()
    if process.returncode:
        raise SystemExit(f"the run failed with {process.returncode}:\n{output}")
    return output


def kill(process: subprocess.Popen, how: str, rng: random.Random) -> None:
    """Kills the group, the main process or one of its workers."""
    if how == "worker":
        workers = [
            child
            for child in psutil.Process(process.pid).children(recursive=True)
            if "spawn_main" in " ".join(child.cmdline())
        ]
        if workers:
            rng.choice(workers).kill()
            return
    if how == "main":
        process.kill()
    else:
        os.killpg(process.pid, signal.SIGKILL)


def checksums(folder: pathlib.Path) -> dict[str, str]:
    """SHA-256 of all results below a folder that must not depend on how they came."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in IGNORED and path.suffix != ".lock"
    }


def crash_test(kills: int, workers: int, seed: int, folder: pathlib.Path) -> list[str]:
    """Runs, kills and compares.

    Returns:
      The names of the results that differ; none if all is well.
    """
    rng = random.Random(seed)
    begin = time.monotonic()
    finish(folder / "undisturbed", workers)
    seconds = time.monotonic() - begin
    print(f"undisturbed: {seconds:.0f} s", flush=True)
    for number in range(1, kills + 1):
        process = start(folder / "killed", workers)
        how = rng.choice(["group", "main", "worker"] if workers else ["group"])
        delay = rng.uniform(0.2, 0.8) * seconds
        try:
            process.wait(timeout=delay)
            print(f"kill {number}: came too late, the run had ended", flush=True)
        except subprocess.TimeoutExpired:
            kill(process, how, rng)
            print(f"kill {number}: {how} after {delay:.1f} s", flush=True)
        if how == "worker":
            process.wait()
        process.stdout.close()
    finish(folder / "killed", workers)
    expected = checksums(folder / "undisturbed")
    found = checksums(folder / "killed")
    return sorted(
        name
        for name in expected.keys() | found.keys()
        if expected.get(name) != found.get(name)
    )


def main() -> None:
    """Runs the crash test from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10, help="how many (10)")
    parser.add_argument("--workers", type=int, default=2, help="worker processes (2)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments (0)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        different = crash_test(
            options.kills, options.workers, options.seed, pathlib.Path(folder)
        )
    if different:
        sys.exit(f"DIFFERENT after {options.kills} kills: {', '.join(different)}")
    print(f"After {options.kills} kills every result has the same bytes.")


if __name__ == "__main__":
    main()
