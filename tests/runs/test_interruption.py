"""Killed for real, at random moments; `tests/runs/kill.py` does so more often."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import crash_points
import kill
import pytest

from kdfunc.runs import provenance

pytestmark = pytest.mark.skipif(
    not hasattr(os, "killpg"), reason="kills groups of processes"
)


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """The folder of a crash test: the runs `undisturbed` and `killed`."""
    folder = tmp_path_factory.mktemp("crash_test")
    kill.crash_test(kills=3, workers=2, seed=1, folder=folder)
    return folder


def test_a_run_that_was_killed_ends_with_the_same_bytes(killed):
    assert kill.checksums(killed / "killed") == kill.checksums(killed / "undisturbed")


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
        address = json.loads(file.read_text("utf-8"))["address"]
        worker = ("worker", address, "--nthreads", "1", "--no-dashboard")
        yield (
            address,
            [stack.enter_context(command(*worker, cwd=tmp_path)) for _ in range(2)],
        )


def test_a_run_on_a_cluster_survives_the_death_of_a_worker(cluster, killed, tmp_path):
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
    assert kill.checksums(tmp_path / "on") == kill.checksums(killed / "undisturbed")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
@pytest.mark.usefixtures("heard_interrupts")
def test_ctrl_c_and_sigterm_stop_in_seconds_and_keep_what_is_done(
    tmp_path, number, code
):
    process = subprocess.Popen(
        [*kill.COMMAND, "--epochs=2000", "--workers=2", f"--output_dir={tmp_path}"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    checkpoint = tmp_path / "digits-lenet-published/records/base/checkpoint.npz"
    for _ in range(600):
        time.sleep(0.1)
        if checkpoint.exists():
            break
    begin = time.monotonic()
    # As a terminal, `timeout` or Slurm does: to every process of the group.
    os.killpg(process.pid, number)
    output, _ = process.communicate(timeout=60)
    assert time.monotonic() - begin < 30
    assert process.returncode == code, output
    assert output.splitlines()[-1].startswith("Stopped. Finished work is kept")
    assert "Traceback" not in output
    assert checkpoint.exists()
    (session,) = provenance.read(checkpoint.parents[2])  # its time counts, too
    assert "--epochs=2000" in session["command"]


@pytest.mark.skipif(sys.platform != "linux", reason="finds open files in /proc")
def test_a_step_that_writes_may_be_the_last():
    """One of those that the script disturbs, in every way."""
    command = [sys.executable, crash_points.__file__, "--first=60", "--last=60"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    for how in ("kill", "power", "full", "error"):
        assert f"{how}: 1 of " in done.stdout
    assert done.stdout.count("steps disturbed, 0 went wrong.") == 4


def test_the_script_tells_how_to_use_it():
    done = subprocess.run(
        [sys.executable, kill.__file__, "--help"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "--kills" in done.stdout
