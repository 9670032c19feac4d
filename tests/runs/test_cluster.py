"""A cluster that somebody started by hand; one of its workers dies half-way."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import kill
import pytest

pytestmark = pytest.mark.skipif(
    not hasattr(os, "killpg"), reason="kills groups of processes"
)


@contextlib.contextmanager
def command(*arguments, cwd):
    """A `dask` command in a process group of its own, killed at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "dask", *arguments],
        cwd=cwd,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(kill.ROOT)},
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def cluster(tmp_path):
    """The scheduler's address and two worker processes."""
    file = tmp_path / "scheduler.json"
    with contextlib.ExitStack() as stack:
        scheduler = ("scheduler", "--port", "0", "--no-dashboard")
        stack.enter_context(
            command(*scheduler, "--scheduler-file", str(file), cwd=tmp_path)
        )
        for _ in range(300):
            time.sleep(0.1)
            if file.exists():
                break
        address = json.loads(file.read_text())["address"]
        worker = ("worker", address, "--nthreads", "1", "--no-dashboard")
        yield (
            address,
            [stack.enter_context(command(*worker, cwd=tmp_path)) for _ in range(2)],
        )


def test_a_run_on_a_cluster_survives_the_death_of_a_worker(cluster, tmp_path):
    address, workers = cluster
    process = subprocess.Popen(
        [*kill.COMMAND, f"--scheduler={address}", f"--output_dir={tmp_path / 'on'}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    records = tmp_path / "on" / "digits-lenet-published" / "records"
    for _ in range(1800):
        time.sleep(0.1)
        if (records / "base" / "manifest.json").exists() or process.poll() is not None:
            break
    os.killpg(workers[0].pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=1200)
    assert process.returncode == 0, output
    kill.finish(tmp_path / "alone", workers=0)
    assert kill.checksums(tmp_path / "on") == kill.checksums(tmp_path / "alone")
