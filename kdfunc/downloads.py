"""Downloads and prepares a data set with TFDS, under time limits, with plain messages.

By itself, TFDS waits forever for a server that hangs, retries for minutes behind walls
of warnings if there is no internet connection, leaves partial files behind, never
checks a file again once it is downloaded, and shows several progress bars at once.
"""

import contextlib
import errno
import io
import json
import logging
import pathlib
import shutil
import socket
import sys
import threading
import time
import urllib.parse
from collections.abc import Iterable, Iterator
from typing import Any

from kdfunc import (
    checksums,
    runtime,  # noqa: F401  (quiet, and says what is not installed)
)
from kdfunc.errors import InputError, causes, first_line

# isort: split
import requests
import requests.adapters
import tqdm.std

import tensorflow_datasets as tfds
from tensorflow_datasets.core.download import download_manager, downloader
from tensorflow_datasets.core.utils import file_utils, tqdm_utils

#: Seconds to wait for the address of a name, for a connection, for the next bytes, and
#: for downloads to end once they are stopped.
NAME, CONNECTION, SILENCE, LAST = 5, 10, 30, 1
#: A server that has no time is asked again at once and after a second.
RETRIES = requests.adapters.Retry(
    total=2,
    read=False,
    status_forcelist=(500, 502, 503, 504),
    backoff_factor=0.5,
    respect_retry_after_header=False,  # which may say hours
    raise_on_status=False,
)


class NotServed(RuntimeError):
    """A server did not deliver a file: which server, and what it did instead."""


def prepare(name: str, builder: tfds.core.DatasetBuilder) -> None:
    """Downloads and prepares a data set, and shows progress.

    Args:
      name: what the user calls it.
      builder: of a data set that is not prepared and that no other process is
        preparing.

    Raises:
      InputError: that failed. Nothing is left behind that would make it fail again.
    """
    fetching = _Downloader(builder.MAX_SIMULTANEOUS_DOWNLOADS)
    status = Status(
        f"{name} is not prepared in {builder.data_dir} yet{_other_versions(builder)}; "
        "downloading and preparing it now (only once)."
    )
    try:
        try:
            with (
                _replaced(download_manager, "get_downloader", lambda **_: fetching),
                _replaced(tqdm_utils, "tqdm_lib", status),
                _errors_only("urllib3"),
                contextlib.redirect_stdout(io.StringIO()),  # "Unknown size", four times
            ):
                builder.download_and_prepare()
        finally:  # before its files are looked at
            status.clear()
            fetching.stop()
    except Exception as error:
        if any(isinstance(link, KeyboardInterrupt) for link in causes(error)):
            raise KeyboardInterrupt from error  # a second Ctrl-C met its handling
        if is_full(error):
            raise InputError(f"--dataset: {disk_is_full(builder)}") from error
        _discard_unverified(builder)
        raise InputError(f"--dataset: {name} {_what_failed(error)}") from error
    finally:
        _discard_half_extracted(builder)


def is_full(error: BaseException) -> bool:
    """Whether a full disk caused an error.

    Args:
      error: what was raised.
    """
    return any(
        getattr(link, "errno", None) in (errno.ENOSPC, errno.EDQUOT)
        or "No space left on device" in str(link)  # in TensorFlow's errors
        or "not enough space on the disk" in str(link)  # on Windows
        or " requested and " in str(link)  # in numpy's: so many written
        for link in causes(error)
    )


def disk_is_full(builder: tfds.core.DatasetBuilder) -> str:
    """The clause for a data set that does not fit on its disk.

    Args:
      builder: of the data set.
    """
    return (
        f"{builder.name} does not fit on the disk of {builder.data_dir_root}; free "
        "some space and run the same command again, or choose a different --data_dir."
    )


def _other_versions(builder: tfds.core.DatasetBuilder) -> str:
    versions = file_utils.list_dataset_versions(builder.data_path.parent)
    if not versions:
        return ""
    name, _, _ = builder.info.full_name.rpartition("/")
    return f" (only version {versions[-1]}, which --dataset={name}:{versions[-1]} uses)"


def _what_failed(error: Exception) -> str:
    match error:
        case NotServed():
            return (
                f"could not be downloaded: {error}; try again later, or give a "
                "--data_dir in which it is already prepared. --dataset=digits needs no "
                "download."
            )
        case download_manager.NonMatchingChecksumError():
            url = str(error).removeprefix("Artifact ").partition(", downloaded")[0]
            return (
                f"could not be downloaded: the file from {url} is not the one that "
                "TFDS expects (checksum); try again later or from another network, or "
                "give a --data_dir in which the data set is already prepared."
            )
    return f"could not be prepared: {type(error).__name__}: {first_line(error)}."


class Status:
    """A line that shows progress: rewritten in place on a terminal, rare in a log.

    It replaces the module `tqdm` inside TFDS, whose bars report to it.
    """

    EVERY = {True: 0.2, False: 30}  # seconds: on a terminal, in a log

    def __init__(self, title: str):
        self._stream = sys.stdout
        self._live = self._stream.isatty()
        self._shown = time.monotonic()
        self._width = 0
        self.tqdm = type("Bar", (_Bar,), {"show": self.show})
        print(title, file=self._stream, flush=True)

    def show(self, text: str) -> None:
        """Shows progress, unless it did so a moment ago.

        Args:
          text: what to show.
        """
        if time.monotonic() - self._shown < self.EVERY[self._live]:
            return
        self._shown = time.monotonic()
        text = f"  {text}"
        if self._live:
            self._stream.write("\r" + text.ljust(self._width))
            self._width = len(text)
        else:
            self._stream.write(text + "\n")
        self._stream.flush()

    def clear(self) -> None:
        """Erases the line on a terminal."""
        if self._width:
            self._stream.write("\r" + " " * self._width + "\r")
            self._stream.flush()


class _Bar(tqdm.std.tqdm):
    """A progress bar that reports its state instead of drawing itself."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **{**kwargs, "file": io.StringIO()})

    def display(self, *_, **__) -> None:
        done, of = f"{self.n:,.0f}", f"of {self.total or 0:,.0f}"
        match self.desc.split():
            case ["Dl", "Size..."]:
                type(self).show(f"downloaded {done} {of} MiB")
            case ["Extraction", _]:
                type(self).show(f"unpacked {done} {of} files")
            case ["Generating", split, "examples..."]:
                type(self).show(f"read {done} images of the split {split}")
            case ["Shuffling", *_]:
                type(self).show(f"wrote {done} {of} images")


class _Downloader(downloader._Downloader):
    """TFDS's downloader, with time limits; can be stopped, leaves no partial files."""

    def __init__(self, at_once: int | None):
        super().__init__(max_simultaneous_downloads=at_once)
        self._folders: list[Any] = []
        self._stopped = threading.Event()

    def download(self, url, destination_path, verify=True):
        self._folders.append(destination_path)  # some may never come to be begun
        return super().download(url, destination_path, verify)

    def _sync_download(self, url, destination_path, verify=True):
        _at_work.downloader = self
        return super()._sync_download(url, destination_path, verify)

    def stop(self) -> None:
        """Stops running downloads and removes the folders of partial files."""
        self._stopped.set()
        # A download that had its last bytes is put in place yet; one that hangs is not
        # waited for, and comes to nothing.
        end = threading.Thread(
            target=self._executor.shutdown,
            kwargs={"cancel_futures": True},
            daemon=True,
        )
        end.start()
        end.join(LAST)
        for folder in self._folders:
            shutil.rmtree(folder, ignore_errors=True)

    @contextlib.contextmanager
    def open(self, url: str, **kwargs) -> Iterator[tuple[Any, Iterable[bytes]]]:
        """Opens a URL, replacing TFDS's own function; yields response and blocks."""
        if self._stopped.is_set():
            raise NotServed("the download was stopped")
        if downloader._DRIVE_URL.match(url) or not url.startswith("http"):
            with _open_url(url, **kwargs) as opened:
                yield opened
            return
        host = urllib.parse.urlsplit(url).hostname
        with _told_plainly(host), requests.Session() as session:
            _find(url, host)
            for scheme in ("http://", "https://"):
                adapter = requests.adapters.HTTPAdapter(max_retries=RETRIES)
                session.mount(scheme, adapter)
            response = session.get(
                url, stream=True, timeout=(CONNECTION, SILENCE), **kwargs
            )
            if response.status_code != 200:
                raise NotServed(
                    f"{host} answered {response.status_code} {response.reason} for "
                    f"{url}"
                )
            yield response, self._blocks(response, host)

    def _blocks(self, response: requests.Response, host: str) -> Iterator[bytes]:
        for block in response.iter_content(1 << 16):
            if self._stopped.is_set():
                raise NotServed(f"the download from {host} was stopped")
            yield block
        if self._stopped.is_set():
            raise NotServed(f"the download from {host} was stopped")
        # Old versions of urllib3 take an early end for the end.
        if response.raw.tell() < int(response.headers.get("Content-Length", 0)):
            raise NotServed(f"{host} dropped the connection")


#: Whose thread this is. One that begins after its downloader was stopped must not fall
#: back on TFDS's own way, so the function stays replaced for good.
_at_work = threading.local()
_open_url = downloader._open_url


def _open(url: str, **kwargs):
    ours = getattr(_at_work, "downloader", None)
    return ours.open(url, **kwargs) if ours else _open_url(url, **kwargs)


downloader._open_url = _open


@contextlib.contextmanager
def _told_plainly(host: str) -> Iterator[None]:
    try:
        yield
    except requests.RequestException as error:
        if "timed out" in str(error) and not isinstance(error, requests.ConnectTimeout):
            what = f"{host} sent nothing for {SILENCE} seconds"
        elif "broken" in str(error) or "aborted" in str(error):
            what = f"{host} dropped the connection"
        elif isinstance(error, requests.exceptions.ProxyError):
            what = (
                f"the proxy refuses or cannot be reached on the way to {host} (see the "
                "environment variable HTTPS_PROXY)"
            )
        elif isinstance(error, requests.exceptions.SSLError):
            what = (
                f"the certificate of {host} is not trusted (behind a proxy that reads "
                "along, set REQUESTS_CA_BUNDLE to its certificate)"
            )
        elif isinstance(error, requests.exceptions.InvalidSchema):
            what = f"the way to {host} is closed: {error} (pip install pysocks)"
        else:
            what = f"{host} cannot be reached (is there an internet connection?)"
        raise NotServed(what) from error


def _find(url: str, host: str) -> None:
    """Looks up the host without waiting for name servers that hang."""
    proxies = requests.utils.get_environ_proxies(url)
    if requests.utils.select_proxy(url, proxies):
        return
    found = threading.Event()

    def look_up():
        with contextlib.suppress(OSError, UnicodeError):
            socket.getaddrinfo(host, None)
            found.set()

    thread = threading.Thread(target=look_up, daemon=True)
    thread.start()
    thread.join(NAME)
    if not found.is_set():
        raise NotServed(f"{host} cannot be found (is there an internet connection?)")


def _discard_unverified(builder: tfds.core.DatasetBuilder) -> None:
    """Removes downloads without a known checksum, since they may be the cause.

    TFDS keeps downloaded and extracted files and never checks them again.
    """
    downloads = _downloads(builder)
    known = builder.url_infos or {}
    for info in (downloads / builder.name).rglob("*.INFO"):
        file = info.with_suffix("")
        with contextlib.suppress(OSError, ValueError, KeyError):
            urls = json.loads(info.read_text("utf-8"))["urls"]
            expected = {known[url].checksum for url in urls if url in known}
            if checksums.sha256(file) in expected:
                continue
        for path in (info, file, *(downloads / "extracted").glob(f"*.{file.name}")):
            _remove(path)


def _discard_half_extracted(builder: tfds.core.DatasetBuilder) -> None:
    downloads = _downloads(builder)
    for archive in (downloads / builder.name).rglob("*.*"):
        for half in (downloads / "extracted").glob(f"incomplete.*.{archive.name}"):
            _remove(half)


def _remove(path: pathlib.Path) -> None:
    with contextlib.suppress(OSError):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def _downloads(builder: tfds.core.DatasetBuilder) -> pathlib.Path:
    return pathlib.Path(builder.data_dir_root) / "downloads"


@contextlib.contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    original = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, original)


@contextlib.contextmanager
def _errors_only(logger: str) -> Iterator[None]:
    level = logging.getLogger(logger).level
    logging.getLogger(logger).setLevel(logging.ERROR)
    try:
        yield
    finally:
        logging.getLogger(logger).setLevel(level)
