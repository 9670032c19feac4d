"""Measures the training speed of kdfunc, plain Keras and PyTorch side by side.

    python benchmarks/training.py [--architectures=lenet] [--processes=2 --threads=1]

Every measurement runs in one or several separate processes, with the same threads on
each side and random images in batches of 64. The libraries take turns. Images per
second are for all processes together; images per second of processor time are per
thread, and hold on a machine that does other work, too. PyTorch is left out if it is
not installed (`pip install torch --index-url https://download.pytorch.org/whl/cpu`).

The last column is kdfunc's speed relative to that of a large matrix product, in
floating-point operations per second of processor time. A training step counts as three
forward passes, whose operations TensorFlow's profiler counts. --profile shows the
kernels that take the most time instead.
"""

import argparse
import collections
import importlib.util
import itertools
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).parents[1]))
WAYS = ("keras", "kdfunc", "torch")
#: Of one timed pass.
IMAGES = {"lenet": 8192, "mobilenet": 1024, "resnet50": 512}
BATCH = 64
SIZE, PRODUCTS = 2048, 10  # of the matrices, and how many products a pass has


def data(architecture: str) -> tuple[np.ndarray, np.ndarray]:
    """Random images `[n, height, width, channels]` uint8 and labels `[n]`."""
    rng = np.random.default_rng(0)
    shape = (28, 28, 1) if architecture == "lenet" else (32, 32, 3)
    count = IMAGES[architecture]
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    return images, rng.integers(0, 10, count)


def kdfunc(architecture: str, threads: int):
    """A function that trains for one pass as a kdfunc worker does."""
    from kdfunc import models, runtime, training
    from kdfunc.runtime import keras

    runtime.set_up(threads)
    images, labels = data(architecture)
    model = models.build(architecture, images.shape[1:], 10, 0)
    optimizer = keras.optimizers.legacy.Adam()
    model.compile(optimizer, "categorical_crossentropy", ["accuracy"])
    batches = training.run_epochs(
        model,
        model,
        images,
        {"labels": labels},
        last=10**6,
        batch_size=BATCH,
        order_seed=0,
        report=lambda **_: None,
    )
    return lambda: next(batches)


def plain_keras(architecture: str, threads: int):
    """The same by `fit`, with float32 images and one-hot labels."""
    from kdfunc import models
    from kdfunc.runtime import keras, tf

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(threads)
    images, labels = data(architecture)
    x, y = images.astype(np.float32) / 255, keras.utils.to_categorical(labels, 10)
    model = models.build(architecture, images.shape[1:], 10, 0)
    model.compile("adam", "categorical_crossentropy", ["accuracy"])
    return lambda: model.fit(x, y, batch_size=BATCH, verbose=0)


def pytorch(architecture: str, threads: int):
    """The same by a loop in PyTorch."""
    import torch_networks

    return torch_networks.trainer(architecture, threads, *data(architecture), BATCH)


def product(architecture: str, threads: int):
    """Multiplies large float32 matrices, whatever the architecture."""
    from kdfunc import runtime
    from kdfunc.runtime import tf

    runtime.set_up(threads)
    matrix = tf.reshape(tf.linspace(0.0, 1.0, SIZE**2), [SIZE, SIZE])

    @tf.function
    def multiply():
        return tf.add_n([tf.linalg.matmul(matrix + i, matrix) for i in range(PRODUCTS)])

    return lambda: multiply().numpy()


def operations(architecture: str) -> float:
    """Floating-point operations of a training step for each of its images."""
    from kdfunc import models
    from kdfunc.runtime import tf

    images, _ = data(architecture)
    network = models.build(architecture, images.shape[1:], 10, 0)
    forward = tf.function(network).get_concrete_function(
        tf.TensorSpec([1, *images.shape[1:]])
    )
    profiler = tf.compat.v1.profiler
    options = profiler.ProfileOptionBuilder.float_operation()
    options["output"] = "none"
    return 3 * profiler.profile(forward.graph, options=options).total_float_ops


def profile(architecture: str, threads: int) -> None:
    """Prints the kernels that take most of the time of a pass, and their shares."""
    from kdfunc.runtime import tf

    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    run = kdfunc(architecture, threads)
    run()
    taken = collections.Counter()
    with tempfile.TemporaryDirectory() as folder:
        with tf.profiler.experimental.Profile(folder):
            run()
        (path,) = pathlib.Path(folder).rglob("*.xplane.pb")
        planes = xplane_pb2.XSpace.FromString(path.read_bytes()).planes
    for plane in planes:
        if not plane.name.startswith("/host:CPU"):
            continue
        names = {key: event.name for key, event in plane.event_metadata.items()}
        for event in itertools.chain.from_iterable(line.events for line in plane.lines):
            _, _, kernel = names[event.metadata_id].partition(":")  # of `name:Kernel`
            if kernel and kernel[0] not in ": ":
                taken[kernel.partition("#")[0]] += event.duration_ps
    told = [
        f"{kernel} {duration / taken.total():.0%}"
        for kernel, duration in taken.most_common(6)
    ]
    print(f"{architecture}: {', '.join(told)}", flush=True)


def measure(way: str, architecture: str, threads: int) -> None:
    """Prints seconds of a pass and its processor time, once told to begin."""
    makers = dict(zip(WAYS, (plain_keras, kdfunc, pytorch), strict=True))
    makers["product"] = product
    run = makers[way](architecture, threads)
    run()
    print("warm", flush=True)
    sys.stdin.readline()
    wall, processor = time.perf_counter(), time.process_time()
    run()
    seconds = time.perf_counter() - wall, time.process_time() - processor
    print(json.dumps(seconds), flush=True)


def together(way: str, architecture: str, processes: int, threads: int):
    """Images, or products, per second and per second of processor time, at once."""
    command = [sys.executable, __file__, "--measure", way, architecture]
    started = [
        subprocess.Popen(
            [*command, f"--threads={threads}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for _ in range(processes)
    ]
    for process in started:
        process.stdout.readline()
    for process in started:
        process.stdin.write("\n")
        process.stdin.flush()
    found = [json.loads(process.communicate()[0]) for process in started]
    walls, processor = zip(*found, strict=True)
    done = processes * (PRODUCTS if way == "product" else IMAGES[architecture])
    return done / max(walls), done / sum(processor)


def main() -> None:
    """Runs the measurements asked for and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--architectures", default=",".join(IMAGES), help="default: all"
    )
    parser.add_argument("--processes", type=int, default=1, help="at once; default 1")
    parser.add_argument("--threads", type=int, default=1, help="per process; default 1")
    parser.add_argument(
        "--repeats", type=int, default=3, help="for the median; default 3"
    )
    parser.add_argument(
        "--profile", action="store_true", help="show the slowest kernels"
    )
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.profile:
        for architecture in options.architectures.split(","):
            profile(architecture, options.threads)
        return
    if options.measure:
        measure(*options.measure, options.threads)
        return
    from kdfunc import machine

    there = importlib.util.find_spec("torch") is not None
    ways = WAYS if there else WAYS[:2]
    print(
        f"{machine.describe()}, Python {platform.python_version()}, {os.cpu_count()} "
        f"cores; {options.processes} x {options.threads} threads\n"
    )
    columns = ["network", *ways, "kdfunc / keras", "kdfunc / torch", "of a product"]
    print(f"| {' | '.join(columns)} |\n{'| --- ' * len(columns)}|")
    for architecture in options.architectures.split(","):
        found = {way: [] for way in (*ways, "product")}
        for _ in range(options.repeats):
            for way, results in found.items():
                results.append(
                    together(way, architecture, options.processes, options.threads)
                )
        wall, processor = (
            {
                way: statistics.median(r[i] for r in results)
                for way, results in found.items()
            }
            for i in (0, 1)
        )
        cells = [f"{wall[way]:.0f} ({processor[way]:.0f})" for way in ways]
        for other in ("keras", "torch"):
            told = "-"
            if other in ways:
                ratio, cost = (x["kdfunc"] / x[other] for x in (wall, processor))
                told = f"{ratio:.2f} ({cost:.2f})"
            cells.append(told)
        reached = processor["kdfunc"] * operations(architecture)
        cells.append(f"{reached / (processor['product'] * 2 * SIZE**3):.0%}")
        print(f"| {architecture} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
