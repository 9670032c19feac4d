"""Data sets that are not there yet, fetched as a user's are: by TFDS, over HTTP."""

import errno
import io
import logging
import os
import pathlib
import signal
import socket
import subprocess
import sys
import threading
import time

import filelock
import mirror
import numpy as np
import pytest
import requests

import kdfunc.runtime  # noqa: F401  (TFDS alone imports TensorFlow noisily)
from kdfunc import cli, datasets, downloads
from kdfunc.errors import InputError
from kdfunc.runs.directory import RunDirectory

import tensorflow_datasets as tfds

NAMES = {
    "mnist": [str(i) for i in range(10)],
    "cifar10": mirror.CIFAR10_NAMES,
    "cifar100": mirror.CIFAR100_NAMES,
}
SMALLEST = (
    "--epochs=1",
    "--independents=1",
    "--alphas=",
    "--controls=",
    "--quantization=",
    "--pruning_levels=0.5",
)


@pytest.fixture(scope="module")
def server():
    server = mirror.Mirror()
    yield server
    server.close()


@pytest.fixture
def internet(server, monkeypatch):
    """TFDS's builders download from the mirror, which is in no trouble yet."""
    mirror.send_builders_to(server.url, monkeypatch.setattr)
    server.trouble = ""
    server.asked.clear()
    return server


def check(name, data_dir):
    """A data set is all there, for kdfunc and for TFDS; returns what was loaded."""
    data = datasets.load(name, str(data_dir))
    train, test = mirror.SIZES[name]
    for labels, images, count in (
        (data.train_labels, data.train_images, train),
        (data.test_labels, data.test_images, test),
    ):
        assert images.shape == (count, *datasets.describe(name, data_dir).image_shape)
        classes = len(NAMES[name])
        expected = np.bincount(np.arange(count) % classes, minlength=classes)
        np.testing.assert_array_equal(np.bincount(labels, minlength=classes), expected)
    assert list(data.class_names) == NAMES[name]
    theirs = tfds.load(name, split="test", data_dir=data_dir, download=False)
    assert len(theirs) == test
    assert left_over(data_dir) == []
    return data


def left_over(data_dir) -> list[pathlib.Path]:
    """What is neither a file of a data set nor a download that is whole."""
    paths = pathlib.Path(data_dir).rglob("*")
    return [path for path in paths if ".tmp." in path.name or "incomplete" in path.name]


@pytest.mark.parametrize("name", NAMES)
def test_what_is_not_there_is_downloaded_and_prepared(name, internet, tmp_path):
    data = check(name, tmp_path)
    count = mirror.SIZES[name][0]
    if name == "mnist":
        images, _ = mirror.pixels(count, 28, 28)
    else:
        images = mirror.pixels(count, 3, 32, 32)[0].transpose(0, 2, 3, 1)
    ours = sorted(image.tobytes() for image in data.train_images)
    assert ours == sorted(image.tobytes() for image in images)
    internet.asked.clear()
    check(name, tmp_path)
    assert internet.asked == []


TROUBLES = {
    "closes": "127.0.0.1 dropped the connection",
    "404": "127.0.0.1 answered 404 Not Found for http://127.0.0.1:.*/t",
    "503": "127.0.0.1 answered 503 Service Unavailable for http",
    "wrong": r"the file from http.*gz is not the one that TFDS expects \(checksum\)",
    "hangs": "127.0.0.1 sent nothing for 0.3 seconds",
    "hangs half way": "127.0.0.1 sent nothing for 0.3 seconds",
}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_trouble_is_told_in_a_sentence_and_harms_nothing(
    trouble, internet, tmp_path, monkeypatch, caplog
):
    monkeypatch.setattr(downloads, "SILENCE", 0.3)
    internet.trouble = trouble
    with pytest.raises(InputError) as raised:
        datasets.load("mnist", str(tmp_path))
    told = f"^dataset: mnist could not be downloaded: {TROUBLES[trouble]}"
    raised.match(told)
    assert "\n" not in str(raised.value)
    raised.match(r"again later.* data_dir in which")
    assert left_over(tmp_path) == []
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]
    internet.trouble = ""
    check("mnist", tmp_path)


def test_an_early_end_is_told_where_urllib3_takes_it_for_the_end():
    class Cut:
        headers = {"Content-Length": "10"}
        raw = io.BytesIO(b"half")

        def iter_content(self, size):
            yield self.raw.read()

    blocks = downloads._Downloader(1)._blocks(Cut(), "here")
    assert next(blocks) == b"half"
    with pytest.raises(downloads.NotServed, match="here dropped the connection"):
        next(blocks)


def test_a_download_that_begins_after_the_stop_asks_nobody(internet, tmp_path):
    late = downloads._Downloader(1)
    late.stop()
    with pytest.raises(downloads.NotServed, match="was stopped"):
        late._sync_download(internet.url + "t10k-labels-idx1-ubyte.gz", tmp_path)
    assert internet.asked == []


class EvenOrOdd(tfds.core.GeneratorBasedBuilder):
    """A user's own data set, whose checksums are not registered."""

    VERSION = tfds.core.Version("1.0.0")
    url = ""

    def _info(self):
        return tfds.core.DatasetInfo(
            builder=self,
            features=tfds.features.FeaturesDict(
                {
                    "image": tfds.features.Image(shape=(28, 28, 1)),
                    "label": tfds.features.ClassLabel(names=["even", "odd"]),
                }
            ),
        )

    def _split_generators(self, dl_manager):
        files = [
            f"{self.url}{split}-images-idx3-ubyte.gz" for split in ("train", "t10k")
        ]
        train, test = dl_manager.download_and_extract(files)
        return {
            "train": self._generate_examples(train),
            "test": self._generate_examples(test),
        }

    def _generate_examples(self, path):
        content = np.frombuffer(path.read_bytes()[16:], np.uint8)
        for i, image in enumerate(content.reshape(-1, 28, 28, 1)):
            yield i, {"image": image, "label": i % 2}


def test_a_download_that_had_its_last_bytes_is_waited_for(tmp_path):
    """Its file would be put in place after all others were looked at and removed."""
    fetching, begun = downloads._Downloader(1), threading.Event()

    def put_in_place():
        begun.set()
        time.sleep(0.2)
        (tmp_path / "file").touch()

    fetching._executor.submit(put_in_place)
    begun.wait()
    fetching.stop()
    assert (tmp_path / "file").exists()


@pytest.mark.parametrize("content", [b"<html>Please log in.</html>", "page.gz"])
def test_wrong_bytes_that_no_checksum_tells_are_not_kept(
    content, internet, tmp_path, monkeypatch
):
    monkeypatch.setattr(EvenOrOdd, "url", internet.url + "own/")
    if content == "page.gz":  # can be extracted, and then cannot be read
        content = mirror.FILES["t10k-labels-idx1-ubyte.gz"]
    monkeypatch.setattr(mirror, "WRONG", content)
    internet.trouble = "wrong"
    with pytest.raises(InputError, match="dataset: even_or_odd could not be prep"):
        datasets.load("even_or_odd", str(tmp_path))
    internet.trouble = ""
    data = datasets.load("even_or_odd", str(tmp_path))
    assert (data.class_names, len(data.test_labels)) == (("even", "odd"), 20)


def test_another_address_or_a_user_of_a_proxy(internet, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", internet.url)
    mirror.send_builders_to("http://nowhere.invalid/mnist/", monkeypatch.setattr)
    check("mnist", tmp_path)


@pytest.mark.parametrize("answer", ["none", "hangs"])
def test_without_a_network_it_is_said_at_once_what_to_do(
    answer, tmp_path, monkeypatch, caplog
):
    over = threading.Event()

    def look_up(*_, **__):
        if answer == "hangs":
            over.wait()
        raise socket.gaierror("Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    monkeypatch.setattr(downloads, "NAME", 0.1)
    with pytest.raises(InputError) as raised:
        datasets.load("kmnist", str(tmp_path))
    over.set()
    raised.match(
        r"kmnist could not be downloaded: codh.rois.ac.jp cannot be found \(is"
    )
    raised.match(
        r"internet connection\?\).* a data_dir .* dataset=digits needs no download"
    )
    assert not [r for r in caplog.records if r.levelno >= logging.WARNING]


def test_a_server_that_takes_no_connection(internet, tmp_path, monkeypatch):
    with socket.socket() as port:  # bound, but nobody listens
        port.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{port.getsockname()[1]}/"
        mirror.send_builders_to(url, monkeypatch.setattr)
        with pytest.raises(InputError, match="127.0.0.1 cannot be reached"):
            datasets.load("mnist", str(tmp_path))


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (requests.exceptions.ProxyError("407"), "the proxy refuses or .* HTTPS_PROXY"),
        (requests.exceptions.SSLError("self-signed"), "is not trusted .* REQUESTS_CA_"),
        (
            requests.exceptions.InvalidSchema(
                "Missing dependencies for SOCKS support."
            ),
            r"Missing dependencies for SOCKS support. \(pip install pysocks\)",
        ),
    ],
)
def test_a_proxy_or_certificate_is_not_taken_for_a_missing_connection(
    internet, tmp_path, monkeypatch, error, told
):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(requests.Session, "get", refuse)
    with pytest.raises(InputError, match=told):
        datasets.load("mnist", str(tmp_path))


def no_room(*_, **__):
    raise OSError(errno.ENOSPC, "No space left on device")


def no_room_for_tensorflow(*_, **__):
    raise kdfunc.runtime.tf.errors.ResourceExhaustedError(
        None, None, "a.tfrecord; No space left on device"
    )


def no_room_for_numpy(*_, **__):
    raise OSError("47040 requested and 8192 written")


@pytest.mark.parametrize(
    ("where", "full"),
    [
        ("core.download.downloader._Downloader._sync_download", no_room),
        ("core.download.extractor._copy", no_room_for_tensorflow),
        ("core.writer.ExampleWriter.write", no_room_for_tensorflow),
        ("numpy.save", no_room_for_numpy),
    ],
)
def test_a_full_disk_is_told_and_harms_nothing(
    where, full, internet, tmp_path, monkeypatch
):
    where = where if where == "numpy.save" else f"tensorflow_datasets.{where}"
    with monkeypatch.context() as patched:
        patched.setattr(where, full)
        with pytest.raises(InputError) as raised:
            datasets.load("cifar10", str(tmp_path))
    raised.match(f"^dataset: cifar10 does not fit on the disk of {tmp_path}; free some")
    assert left_over(tmp_path) == []
    internet.asked.clear()
    check("cifar10", tmp_path)
    assert len(internet.asked) == (1 if full is no_room else 0)


def test_two_at_once_download_once(internet, tmp_path):
    threads = [
        threading.Thread(target=datasets.load, args=("mnist", str(tmp_path)))
        for _ in range(3)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(internet.asked) == 4
    check("mnist", tmp_path)


@pytest.mark.usefixtures("internet")
def test_who_has_to_wait_is_told_so(tmp_path, capsys):
    (tmp_path / "downloads").mkdir()
    with filelock.FileLock(tmp_path / "downloads" / "mnist-3.0.1.lock"):
        thread = threading.Thread(target=datasets.load, args=("mnist", str(tmp_path)))
        thread.start()
        told = ""
        while not told:
            time.sleep(0.01)
            told = capsys.readouterr().out
        assert told == "Waiting for another process that is preparing mnist.\n"
        assert not (tmp_path / "mnist").exists()
    thread.join()
    check("mnist", tmp_path)


@pytest.mark.usefixtures("internet")
def test_what_an_earlier_version_damaged_is_mended(tmp_path):
    cache = tmp_path / "mnist" / "3.0.1" / "kdfunc"
    cache.mkdir(parents=True)
    (cache / ".lock").touch()
    check("mnist", tmp_path)


@pytest.mark.usefixtures("internet")
def test_half_of_a_data_set_is_neither_used_nor_removed(tmp_path):
    folder = tmp_path / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    (folder / "mnist-train.tfrecord-00000-of-00001").touch()
    with pytest.raises(InputError, match="no dataset_info.json.*; remove that folder"):
        datasets.load("mnist", str(tmp_path))
    assert len(list(folder.iterdir())) == 1


@pytest.mark.parametrize("live", [True, False])
def test_progress_is_shown(live, internet, tmp_path, monkeypatch):
    shown = io.StringIO()
    shown.isatty = lambda: live
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(downloads.Status, "EVERY", {True: 0, False: 0})
    datasets.load("mnist", str(tmp_path))
    first, *lines = shown.getvalue().replace("\r", "\n").splitlines()
    assert first.startswith(f"mnist is not prepared in {tmp_path}")
    lines = [line.strip() for line in lines]
    for line in (
        "downloaded 0 of 0 MiB",
        "unpacked 4 of 4 files",
        "read 0 images of the split train",
        "wrote 0 of 40 images",
        "mnist: decoding the images (only once).",
    ):
        assert line in lines


@pytest.mark.usefixtures("internet")
def test_a_version_that_is_there_is_pointed_to(tmp_path, capsys):
    datasets.load("mnist", str(tmp_path))
    old = tmp_path / "mnist" / "3.0.0"
    (tmp_path / "mnist" / "3.0.1").rename(old)
    info = (old / "dataset_info.json").read_text("utf-8")
    (old / "dataset_info.json").write_text(info.replace("3.0.1", "3.0.0"), "utf-8")
    capsys.readouterr()
    check("mnist", tmp_path)
    told = "yet (only version 3.0.0, which --dataset=mnist:3.0.0 uses); downloading and"
    assert told in capsys.readouterr().out
    assert len(datasets.load("mnist:3.0.0", str(tmp_path)).test_labels) == 20


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.usefixtures("internet")
def test_from_an_empty_folder_to_the_report(name, tmp_path):
    folders = [f"--data_dir={tmp_path / 'data'}", f"--output_dir={tmp_path / 'runs'}"]
    flags = [f"--dataset={name}", *SMALLEST, *folders, "--workers=0"]
    assert cli.run(flags, command="run_experiments.py") == 0
    run = RunDirectory(tmp_path / "runs" / f"{name}-lenet-published")
    assert run.class_names == list(NAMES[name])
    assert "<title>" in (run.path / "report.html").read_text("utf-8")


def test_ones_own_data_set_from_its_url_to_the_report(internet, tmp_path, monkeypatch):
    monkeypatch.setattr(EvenOrOdd, "url", internet.url)
    folders = [f"--data_dir={tmp_path / 'data'}", f"--output_dir={tmp_path / 'runs'}"]
    flags = ["--dataset=even_or_odd", *SMALLEST, *folders, "--workers=0"]
    assert cli.main(["run", *flags]) == 0
    run = RunDirectory(tmp_path / "runs" / "even_or_odd-lenet-published")
    assert (run.class_names, len(run.labels)) == (["even", "odd"], 20)
    assert "<title>" in (run.path / "report.html").read_text("utf-8")


def script(server, tmp_path, *flags):
    return subprocess.Popen(
        [
            sys.executable,
            mirror.__file__,
            server.url,
            "--dataset=mnist",
            f"--data_dir={tmp_path / 'data'}",
            f"--output_dir={tmp_path / 'runs'}",
            *SMALLEST,
            *flags,
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.mark.usefixtures("heard_interrupts")
def test_what_stops_a_download_is_told_and_then_the_same_command_works(
    internet, tmp_path
):
    internet.trouble = "hangs half way"
    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, 143)):
        internet.asked.clear()
        stopped = script(internet, tmp_path, "--stages=prune", "--workers=0")
        while len(internet.asked) < 4:
            assert stopped.poll() is None, stopped.stdout.read()
            time.sleep(0.1)
        for _ in range(2):  # as `timeout` sends it, and impatient people
            os.killpg(stopped.pid, number)
        told, _ = stopped.communicate(timeout=60)
        assert stopped.returncode == code, told
        assert told.splitlines()[-1].startswith("Stopped.")
        assert "Traceback" not in told and "leaked" not in told
        assert left_over(tmp_path) == []
        assert not (tmp_path / "runs").exists()

    internet.trouble = ""
    done = script(internet, tmp_path, "--stages=prune", "--workers=0")
    told, _ = done.communicate(timeout=300)
    assert done.returncode == 0, told
    run = RunDirectory(tmp_path / "runs" / "mnist-lenet-published")
    assert run.record("pruned-50").exists
    check("mnist", tmp_path / "data")
