"""Writes data files that promise what they do not hold, and has them predicted.

    python tests/edge/hostile_data.py --number=20

Each has to end with exit code 2 and one sentence, or with 0 where it can be read after
all; within seconds and with little memory. The commands run in this process.
"""

import argparse
import contextlib
import io
import os
import pathlib
import pickle
import struct
import sys
import tempfile
import time
import tracemalloc
import warnings
import zipfile

import nets
import numpy as np

from kdfunc.edge.main import main as kdfunc_edge

SECONDS, MEGABYTES = 60, 100  # that one of them may take
EXAMPLES = np.random.default_rng(0).random((6, 4)).astype("<f4")
MAGIC = b"\x93NUMPY\x01\x00"


def array(header: str, content: bytes = b"") -> bytes:
    """A `.npy` file of a header as text."""
    text = header.encode() + b" " * (-(len(header) + 11) % 64) + b"\n"
    return MAGIC + struct.pack("<H", len(text)) + text + content


def described(shape="(6, 4)", descr="'<f4'", order="False", content=None) -> bytes:
    """A `.npy` file of a header in parts."""
    header = f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}"
    return array(header, EXAMPLES.tobytes() if content is None else content)


def saved(values, **settings) -> bytes:
    """A `.npy` file as numpy writes it."""
    file = io.BytesIO()
    np.save(file, values, **settings)
    return file.getvalue()


def archive(compression=zipfile.ZIP_DEFLATED, **members) -> bytes:
    """A `.npz` file of members that may be anything."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as made:
        for name, content in members.items():
            made.writestr(f"{name}.npy", content)
    return file.getvalue()


def twice(content: bytes) -> bytes:
    """A `.npz` file with two members of one name."""
    file = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as made:
        warnings.simplefilter("ignore")
        for shape in ("(6, 4)", "(10000000000, 4)"):
            made.writestr("images.npy", described(shape, content=content))
    return file.getvalue()


def with_bytes(content: bytes, old: bytes, new: bytes) -> bytes:
    """A file with some bytes replaced wherever they are."""
    assert old in content and len(old) == len(new)
    return content.replace(old, new)


def files() -> dict[str, bytes]:
    """The content of each file by its name."""
    good = saved(EXAMPLES)
    packed = archive(images=good)
    plain = archive(zipfile.ZIP_STORED, images=good)
    labelled = {"images": good}
    shapes = {
        "negative": "(-1, 4)",
        "truth": "(True, 4)",
        "float": "(6.0, 4)",
        "text": "('6', 4)",
        "none": "None",
        "number": "6",
        "nothing": "()",
        "empty": "(0, 4)",
        "thin": "(6, 0)",
        "enormous": "(1000000000000, 4)",
        "beyond_64_bits": f"({10**30}, 4)",
        "product_wraps": f"({2**32}, {2**32}, 4)",
        "dimensions": f"({'1, ' * 100})",
        "one_more": "(7, 4)",
        "one_less": "(5, 4)",
        "wide": "(1, 24)",
        "flat": "(24,)",
    }
    types = {
        "objects": "'|O'",
        "words": "'<U8'",
        "bytes": "'|S8'",
        "dates": "'<M8[s]'",
        "fields": "[('a', '<f4'), ('b', '<i4')]",
        "of_no_size": "'|V0'",
        "unknown": "'<q99'",
        "complex": "'<c8'",
        "long": "'<U1000000000'",
    }
    found = {f"shape_{name}.npy": described(shape) for name, shape in shapes.items()}
    found |= {f"type_{n}.npy": described("(3, 4)", t) for n, t in types.items()}
    found |= {
        "empty.npy": b"",
        "empty.npz": b"",
        "text.npy": b"0.1,0.2,0.3,0.4\n" * 6,
        "magic_alone.npy": MAGIC,
        "version_9.npy": good[:6] + b"\x09\x09" + good[8:],
        "version_2.npy": good[:6] + b"\x02\x00" + good[8:],
        "header_cut.npy": good[:40],
        "header_longer_than_file.npy": MAGIC + b"\xff\xff" + good[10:],
        "header_of_parentheses.npy": array("(" * 8999),
        "header_of_minuses.npy": array("-" * 8999 + "1"),
        "header_of_a_call.npy": array("__import__('os').system('touch RAN')"),
        "header_of_zeros.npy": array("\0" * 100),
        "header_without_shape.npy": array("{'descr': '<f4', 'fortran_order': False}"),
        "header_with_more.npy": array(
            "{'descr': '<f4', 'fortran_order': False, 'shape': (6, 4), 'x': 1}"
        ),
        "order_of_text.npy": described(order="'yes'"),
        "content_cut.npy": good[:-8],
        "content_added.npy": good + bytes(1000),
        "big_endian.npy": saved(EXAMPLES.astype(">f4")),
        "fortran.npy": saved(np.asfortranarray(EXAMPLES)),
        "pickled.npy": saved(np.array([{}] * 6), allow_pickle=True),
        "pickle.npy": pickle.dumps(EXAMPLES),
        "not_a_number.npy": saved(EXAMPLES * np.float32(np.nan)),
        "infinite.npy": saved(EXAMPLES + np.float32(np.inf)),
        "huge_numbers.npy": saved(np.full((6, 4), 3e38, np.float32)),
        "no_members.npz": archive(),
        "other_member.npz": archive(weights=good),
        "enormous.npz": archive(images=described("(1000000000000, 4)")),
        "one_image_of_160_MB.npz": archive(
            images=described("(1, 40000000)", content=bytes(160_000_000))
        ),
        "labels_of_160_MB.npz": archive(
            **labelled,
            labels=described("(20000000,)", "'<i8'", content=bytes(160_000_000)),
        ),
        "labels_of_images.npz": archive(**labelled, labels=good),
        "labels_negative.npz": archive(**labelled, labels=saved(np.full(6, -1))),
        "labels_of_floats.npz": archive(**labelled, labels=saved(np.zeros(6))),
        "labels_too_few.npz": archive(**labelled, labels=saved(np.zeros(5, int))),
        "labels_beyond.npz": archive(**labelled, labels=saved(np.full(6, 2**62))),
        "labels_damaged.npz": archive(**labelled, labels=good[:30]),
        "no_array.npz": archive(images=b"nothing"),
        "nested.npz": archive(images=packed),
        "outside.npz": archive(**{"../../images": good}),
        "name_with_line.npz": archive(**{"ima\nges": good, "x\ry": good}),
        "name_of_65_KB.npz": archive(**{"x" * 65000: good, "y": good}),
        "many_members.npz": archive(**{f"array_{i}": good for i in range(2000)}),
        "twice.npz": twice(EXAMPLES.tobytes()),
        "cut.npz": packed[: len(packed) // 2],
        "end_cut.npz": packed[:-10],
        "checksum.npz": with_bytes(plain, EXAMPLES.tobytes()[:8], b"\0" * 8),
        "encrypted.npz": with_bytes(
            with_bytes(packed, b"PK\1\2\x14\3\x14\0\0", b"PK\1\2\x14\3\x14\0\1"),
            b"PK\3\4\x14\0\0",
            b"PK\3\4\x14\0\1",
        ),
        "method_99.npz": with_bytes(
            packed, b"PK\1\2\x14\3\x14\0\0\0\x08", b"PK\1\2\x14\3\x14\0\0\0\x63"
        ),
    }
    return found


def prepare(folder: pathlib.Path) -> list[pathlib.Path]:
    """Writes them, and what is no file, into a folder beside a model."""
    nets.softmax(folder / "model.tflite", [1, 4])
    paths = []
    for name, content in files().items():
        paths.append(folder / name)
        paths[-1].write_bytes(content)
    (folder / "folder.npz").mkdir()
    (folder / "loop.npz").symlink_to("loop.npz")
    (folder / "lost.npz").symlink_to("nowhere.npz")
    paths += [folder / name for name in ("folder.npz", "loop.npz", "lost.npz")]
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "fifo.npz")
        paths += [folder / "fifo.npz", pathlib.Path("/dev/zero")]
    return paths


def problem(path: pathlib.Path, folder: pathlib.Path) -> str:
    """What is wrong with how a file is taken; empty if nothing is."""
    model, out = folder / "model.tflite", folder / "out.npy"
    said, told = io.StringIO(), io.StringIO()
    command = ["predict", str(model), f"--data={path}", f"--output={out}"]
    begin = time.monotonic()
    tracemalloc.start()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(told):
            code = kdfunc_edge(command)
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        _, most = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    lines = told.getvalue().splitlines()
    errors = [line for line in lines if not line.startswith("kdfunc-edge: note: ")]
    if time.monotonic() - begin > SECONDS:
        return f"it took {time.monotonic() - begin:.0f} s"
    if most > MEGABYTES << 20:
        return f"it took {most >> 20} MB"
    if code not in (0, 2) or len(errors) != (code == 2):
        return f"exit code {code}: {told.getvalue()}"
    if code == 2 and not errors[0].startswith("kdfunc-edge: "):
        return errors[0]
    if code == 2 and out.exists():
        return "it left an output"
    if code == 0 and len(np.load(out)) > 7:
        return f"it predicted {len(np.load(out))} examples"
    out.unlink(missing_ok=True)
    return ""


def main() -> None:
    """Tries the files from the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--number", type=int, help="how many of them (all)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        tried = prepare(folder)
        tried = tried[:: max(1, len(tried) // (options.number or len(tried)))]
        wrong = {path: found for path in tried if (found := problem(path, folder))}
    for path, found in wrong.items():
        print(f"{path.name}: {found}")
    print(f"{len(tried)} hostile data files, {len(wrong)} not taken as they should be.")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
