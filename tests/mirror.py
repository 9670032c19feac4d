"""A server on this machine with the files of TFDS's data sets, made small.

TFDS's own builders and download manager fetch from it; they are changed in nothing but
addresses, checksums and, for MNIST, the number of images.

`python tests/mirror.py URL [flag ...]` is run_experiments.py with such builders.
"""

import gzip
import hashlib
import http.server
import io
import sys
import tarfile
import threading

import numpy as np

#: Images of the train and of the test split.
SIZES = {"mnist": (40, 20), "cifar10": (50, 20), "cifar100": (200, 100)}
CIFAR10_NAMES = [f"thing {i}" for i in range(10)]
CIFAR100_NAMES = [f"fine {i}" for i in range(100)]


def pixels(count: int, *shape: int) -> tuple[np.ndarray, np.ndarray]:
    """Images with noise that is brighter the higher their class, and their classes."""
    rng = np.random.default_rng(count)
    labels = np.arange(count, dtype=np.uint8) % 10
    images = rng.integers(0, 100, (count, *shape)).astype(np.uint8)
    return images + (15 * labels).reshape(count, *[1] * len(shape)), labels


def mnist_files() -> dict[str, bytes]:
    """MNIST's four files in the IDX format."""
    files = {}
    for prefix, count in zip(("train", "t10k"), SIZES["mnist"], strict=True):
        images, labels = pixels(count, 28, 28)
        head = np.array([2051, count, 28, 28], ">i4").tobytes()
        files[f"{prefix}-images-idx3-ubyte.gz"] = head + images.tobytes()
        head = np.array([2049, count], ">i4").tobytes()
        files[f"{prefix}-labels-idx1-ubyte.gz"] = head + labels.tobytes()
    return {name: gzip.compress(content, mtime=0) for name, content in files.items()}


def cifar10_archive() -> bytes:
    train, test = SIZES["cifar10"]
    records = _cifar_records(train)
    fifth = len(records) // 5
    files = {
        f"data_batch_{i + 1}.bin": records[i * fifth : (i + 1) * fifth]
        for i in range(5)
    }
    files["test_batch.bin"] = _cifar_records(test)
    files["batches.meta.txt"] = "\n".join(CIFAR10_NAMES).encode()
    return _archive("cifar-10-batches-bin", files)


def cifar100_archive() -> bytes:
    train, test = SIZES["cifar100"]
    return _archive(
        "cifar-100-binary",
        {
            "train.bin": _cifar_records(train, classes=100),
            "test.bin": _cifar_records(test, classes=100),
            "coarse_label_names.txt": "\n".join(map(str, range(20))).encode(),
            "fine_label_names.txt": "\n".join(CIFAR100_NAMES).encode(),
        },
    )


def _cifar_records(count: int, classes: int = 10) -> bytes:
    images, labels = pixels(count, 3, 32, 32)
    labels = labels[:, None]
    if classes == 100:
        fine = np.arange(count, dtype=np.uint8)[:, None] % 100
        labels = np.hstack([fine // 5, fine])
    return np.hstack([labels, images.reshape(count, -1)]).tobytes()


def _archive(folder: str, files: dict[str, bytes]) -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(f"{folder}/{name}")
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return packed.getvalue()


FILES = {
    **mnist_files(),
    "cifar-10-binary.tar.gz": cifar10_archive(),
    "cifar-100-binary.tar.gz": cifar100_archive(),
}
WRONG = b"<html>Please log in.</html>"


def send_builders_to(url: str, setattr) -> None:
    """Makes TFDS's builders download from another address.

    Args:
      url: of a mirror, with a slash at the end.
      setattr: pytest's, which can be undone, or Python's.
    """
    from tensorflow_datasets.core import utils
    from tensorflow_datasets.core.download import checksums
    from tensorflow_datasets.image_classification import cifar, mnist

    registered = {
        url + path: checksums.UrlInfo(
            utils.Size(len(content)), hashlib.sha256(content).hexdigest(), path
        )
        for path, content in FILES.items()
    }
    for builder in (mnist.MNIST, cifar.Cifar10, cifar.Cifar100):
        setattr(builder, "url_infos", registered)
    setattr(mnist.MNIST, "URL", url)
    train, test = SIZES["mnist"]
    setattr(mnist, "_TRAIN_EXAMPLES", train)
    setattr(mnist, "_TEST_EXAMPLES", test)
    for builder in (cifar.Cifar10, cifar.Cifar100):
        setattr(builder, "_cifar_info", _moved(builder._cifar_info, url))


def _moved(original: property, url: str) -> property:
    def moved(builder):
        info = original.fget(builder)
        return info._replace(url=url + info.url.rpartition("/")[2])

    return property(moved)


class Mirror:
    """The server.

    Attributes:
      url: its address, with a slash at the end.
      trouble: `closes`, `404`, `503`, `wrong`, `hangs`, `hangs half way`, or none.
      asked: the files that were asked for.
    """

    def __init__(self):
        self.trouble = ""
        self.asked: list[str] = []
        self._closed = threading.Event()
        handler = self._handler()
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._closed.set()
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type:
        mirror = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.rpartition("/")[2]
                mirror.asked.append(name)
                trouble, content = mirror.trouble, FILES.get(name)
                if content is None or trouble in ("404", "503"):
                    self.send_error(int(trouble or 404))
                    return
                if trouble == "hangs":
                    mirror._closed.wait()
                    return
                if trouble == "wrong":
                    content = WRONG
                self.send_response(200)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                half = len(content) // 2
                self.wfile.write(content[:half])
                if trouble == "hangs half way":
                    mirror._closed.wait()
                elif trouble != "closes":
                    self.wfile.write(content[half:])

            def log_message(self, *_):
                pass

        return Handler


if __name__ == "__main__":  # workers import this file, too, and keep TFDS's addresses
    from kdfunc import cli

    send_builders_to(sys.argv[1], setattr)
    sys.exit(cli.run(sys.argv[2:], command="run_experiments.py"))
