"""Times kdfunc and the direct way side by side, stage by stage.

    python benchmarks/run.py --data_dir=DIR > benchmarks/results.md

Every measurement runs in a separate process, direct and kdfunc in turn; medians over
`--repeats` and their ratio are printed as a table. Needs MNIST and CIFAR-10 prepared in
`--data_dir`, and an otherwise idle machine. `--stages` selects stages.
"""

import argparse
import contextlib
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import tempfile
import threading
import time

import numpy as np
import psutil

HERE = pathlib.Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]
from kdfunc import machine  # noqa: E402

LEVELS = (0.1, 0.3, 0.5, 0.7, 0.9)
PERPLEXITIES = (60, 30, 15, 15)
#: Epochs of the protocol stage, where the paper has 25.
PROTOCOL_EPOCHS = 1
#: Images of one throughput measurement.
THROUGHPUT_IMAGES = {"mobilenet": 8192, "resnet50": 2048}


def load(name, data_dir, limit=None):
    """The data set as a notebook has it: float32 images and one-hot labels."""
    import tf_keras as keras

    from kdfunc import datasets

    data = datasets.load(name, data_dir)
    return data, tuple(
        (
            np.asarray(images[:limit], np.float32) / 255,
            keras.utils.to_categorical(labels[:limit], 10),
        )
        for images, labels in (
            (data.train_images, data.train_labels),
            (data.test_images, data.test_labels),
        )
    )


def timed(function, warm_up=True):
    """Seconds that a function takes, after one call that is not counted."""
    if warm_up:
        function()
    begin = time.perf_counter()
    function()
    return time.perf_counter() - begin


def distillation_epoch(way, data_dir, folder):
    """A distillation epoch of LeNet on MNIST, record included, all cores."""
    return _distillation_epoch(way, data_dir, folder, os.cpu_count())


def distillation_epoch_one_core(way, data_dir, folder):
    """The same, kdfunc on one core."""
    return _distillation_epoch(way, data_dir, folder, threads=1)


def _distillation_epoch(way, data_dir, folder, threads):
    if way == "kdfunc":
        from kdfunc import runtime

        runtime.set_up(threads)
    from kdfunc import models, training
    from kdfunc.distillation import Distiller
    from kdfunc.runtime import keras

    data, (train, test) = load("mnist", data_dir)
    teacher = models.build("lenet", (28, 28, 1), 10, 1)
    student = models.build("lenet", (28, 28, 1), 10, 2)
    if way == "direct":
        import direct

        model = direct.Distiller(student, teacher)
        return timed(lambda: direct.epoch(model, student, train, test, folder))
    distiller = Distiller(student)
    distiller.compile(keras.optimizers.legacy.Adamax(), metrics=["accuracy"])
    logits = keras.Model(teacher.inputs, models.logits_of(teacher))
    targets = {
        "labels": data.train_labels,
        "teacher_logits": training.predictor(logits)(data.train_images),
    }
    moments = []

    def report(epochs_done, **_):
        if epochs_done == int(epochs_done):
            moments.append(time.perf_counter())

    training.train(
        distiller,
        student,
        data.train_images,
        targets,
        data.test_images,
        data.test_labels,
        folder,
        epochs=3,
        batch_size=64,
        order_seed=0,
        report=report,
    )
    return moments[2] - moments[1]  # from the end of one epoch's steps to the next


def protocol(way, data_dir, folder):
    """The whole LeNet / MNIST protocol, 12 trainings, one epoch."""
    if way == "kdfunc":
        command = [sys.executable, HERE.parent / "run_experiments.py"]
        flags = [
            "--dataset=mnist",
            f"--data_dir={data_dir}",
            f"--output_dir={folder}",
            f"--epochs={PROTOCOL_EPOCHS}",
            "--controls=",
        ]
        return timed(lambda: subprocess.check_output([*command, *flags]), False)
    import direct

    from kdfunc import models, quantization

    import tensorflow as tf

    begin = time.perf_counter()
    _, (train, test) = load("mnist", data_dir)
    records = []

    def run(model, network):
        snapshots = [network.predict(test[0], verbose=0)]
        for _ in range(PROTOCOL_EPOCHS):
            direct.epoch(model, network, train, test, folder)
            snapshots.append(network.predict(test[0], verbose=0))
        records.append(np.stack(snapshots))

    trained = []
    for seed in range(3):
        network = models.build("lenet", (28, 28, 1), 10, seed)
        initial = network.get_weights()
        network.compile("adam", "categorical_crossentropy", ["accuracy"])
        run(network, network)
        trained.append((initial, network))
    initial, base = trained[0]
    for alpha in (0.1, 0.5, 0.9):
        for _ in range(3):
            student = models.build("lenet", (28, 28, 1), 10, 0)
            student.set_weights(initial)
            run(direct.Distiller(student, base, alpha), student)
    for mode in ("float16", "dynamic-range"):
        rows = direct.tflite(quantization.convert(base, mode), test[0])
        records.append(rows.to_numpy()[None])
    direct.prune(base, LEVELS)
    records += [base.predict(test[0], verbose=0)[None] for _ in LEVELS]
    panels = (
        range(12),
        (0, 1, 2, 12, 13),
        (0, 1, 2, *range(14, 19)),
        (*range(4), 6, 9),
    )
    direct.landscape(records, panels, (5, 5, 5, 5))
    assert tf.executing_eagerly()
    return time.perf_counter() - begin


def throughput(way, data_dir, folder, architecture):
    """Seconds an image to train on CIFAR-10, all cores at work."""
    count = THROUGHPUT_IMAGES[architecture]
    if way == "direct":
        from kdfunc import models

        _, ((x, y), _) = load("cifar10", data_dir, count)
        model = models.build(architecture, (32, 32, 3), 10, 0)
        model.compile("adam", "categorical_crossentropy", ["accuracy"])
        return timed(lambda: model.fit(x, y, batch_size=64, verbose=0)) / count
    workers = os.cpu_count()
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                __file__,
                "--worker",
                architecture,
                "--data_dir",
                data_dir,
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(workers)
    ]
    for process in processes:
        process.stdout.readline()  # all are warm
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    seconds = [float(process.communicate()[0]) for process in processes]
    return max(seconds) / (workers * count)


def worker(architecture, data_dir):
    """One of the worker processes of `throughput`, with the threads of a worker."""
    from kdfunc import datasets, models, runtime, training
    from kdfunc.runtime import keras

    runtime.set_up(threads=1)
    count = THROUGHPUT_IMAGES[architecture]
    data = datasets.load("cifar10", data_dir)
    model = models.build(architecture, (32, 32, 3), 10, 0)
    optimizer = keras.optimizers.legacy.Adam()
    model.compile(optimizer, "categorical_crossentropy", ["accuracy"])
    images, labels = data.train_images[:count], data.train_labels[:count]
    part = 64 * training.CALL_STEPS
    pieces = [
        (images[i : i + part], {"labels": labels[i : i + part]})
        for i in range(0, count, part)
    ]
    steps = training._steps(model, *pieces[0], 10, 64)
    steps(images[:128], {"labels": labels[:128]})
    print("warm", flush=True)
    sys.stdin.readline()
    print(timed(lambda: [steps(*piece) for piece in pieces], warm_up=False))


def mobilenet_training(way, data_dir, folder):
    """Training of MobileNet on CIFAR-10, per image."""
    return throughput(way, data_dir, folder, "mobilenet")


def resnet50_training(way, data_dir, folder):
    """Training of ResNet-50 on CIFAR-10, per image."""
    return throughput(way, data_dir, folder, "resnet50")


def tflite(way, data_dir, folder):
    """10,000 MNIST images through LeNet's dynamic-range .tflite."""
    import direct

    return _tflite(way, data_dir, direct.tflite)


def tflite_list(way, data_dir, folder):
    """The same, the direct way with rows in a list."""
    import direct

    return _tflite(way, data_dir, direct.tflite_list)


def _tflite(way, data_dir, directly):

    from kdfunc import edge, models, quantization

    _, (_, (images, _)) = load("mnist", data_dir)
    lenet = models.build("lenet", (28, 28, 1), 10, 0)
    content = quantization.convert(lenet, "dynamic-range")
    if way == "direct":
        return timed(lambda: directly(content, images), warm_up=False)
    settings = edge.Settings(threads=1)  # as on the other side
    return timed(lambda: edge.predict(content, images, settings))


def pruning(way, data_dir, folder):
    """L1 global pruning of ResNet-50, five levels."""
    import direct

    from kdfunc import models
    from kdfunc.pruning import l1_global

    resnet = models.build("resnet50", (32, 32, 3), 100, 0)
    if way == "direct":
        return timed(lambda: direct.prune(resnet, LEVELS), warm_up=False)
    return timed(lambda: list(l1_global(resnet.get_weights(), LEVELS)), warm_up=False)


def walks(folder, classes, models=13, snapshots=26, images=10_000):
    """Memory-mapped records of random walks in softmax space, as trainings leave."""
    rng = np.random.default_rng(0)
    paths = []
    for number in range(models):
        logits = rng.normal(size=(images, classes)).astype(np.float32)
        paths.append(folder / f"{number}.npy")
        record = np.lib.format.open_memmap(
            paths[-1], "w+", np.float32, (snapshots, images, classes)
        )
        for snapshot in record:
            logits += 0.3 * rng.standard_normal(logits.shape, np.float32)
            e = np.exp(logits - logits.max(axis=1, keepdims=True))
            snapshot[:] = e / e.sum(axis=1, keepdims=True)
        record.flush()
    return [np.load(path, mmap_mode="r") for path in paths]


def landscape(way, data_dir, folder, classes=10):
    """The four landscapes of 13 models x 26 snapshots x 10,000 x 10."""
    records = walks(folder, classes)
    panels = [range(12), range(5), range(8), range(13)]
    if way == "direct":
        import direct

        return timed(lambda: direct.landscape(records, panels, PERPLEXITIES), False)
    from joblib import Parallel, delayed

    from kdfunc.similarity import embedding

    rows = [np.arange(26 * len(panel)) for panel in panels]

    def embed():  # a t-SNE each; those from starts next to it have no direct way
        squared = embedding.squared_distances(records)
        starts = embedding.pca_starts(records, squared, rows)
        Parallel(n_jobs=-1, prefer="threads")(
            delayed(embedding.embed)(squared[np.ix_(row, row)], start, perplexity)
            for row, start, perplexity in zip(rows, starts, PERPLEXITIES, strict=True)
        )

    return timed(embed, False)


def landscape_100(way, data_dir, folder):
    """The same at 100 classes."""
    return landscape(way, data_dir, folder, classes=100)


def records_size(way, data_dir, folder):
    """Bytes of a record, 26 x 10,000 x 10, on the disk."""
    return _write_record(way, folder)


def records_reading(way, data_dir, folder):
    """Reading a record, 26 x 10,000 x 10, once through."""
    import pandas as pd

    _write_record(way, folder)
    if way == "direct":
        paths = sorted(folder.glob("*.csv"))
        return timed(lambda: np.stack([pd.read_csv(path) for path in paths]).max())
    from kdfunc.runs.records import Record

    return timed(lambda: Record(folder).softmax.max())


def _write_record(way, folder):
    import pandas as pd

    (record,) = walks(folder, 10, models=1)
    if way == "direct":
        for epoch, softmax in enumerate(record):
            pd.DataFrame(softmax).to_csv(folder / f"{epoch:02}.csv", index=False)
        return sum(path.stat().st_size for path in folder.glob("*.csv"))
    from kdfunc.runs.records import SoftmaxFile

    file = SoftmaxFile(folder / "softmax.npy", record.shape)
    file.start()
    for softmax in record:
        file.append(softmax)
    return (folder / "softmax.npy").stat().st_size


STAGES = {
    "distillation_epoch": distillation_epoch,
    "distillation_epoch_one_core": distillation_epoch_one_core,
    "protocol": protocol,
    "mobilenet_training": mobilenet_training,
    "resnet50_training": resnet50_training,
    "tflite": tflite,
    "tflite_list": tflite_list,
    "pruning": pruning,
    "landscape": landscape,
    "landscape_100": landscape_100,
    "records_size": records_size,
    "records_reading": records_reading,
}


@contextlib.contextmanager
def peak_memory():
    """Yields a list that will hold how much memory all processes took, in bytes.

    Pages that several processes share count once (PSS, Linux); looked at five times a
    second.
    """
    taken, over = [], threading.Event()

    def look():
        while True:
            me = psutil.Process()
            total = 0
            for process in (me, *me.children(recursive=True)):
                with contextlib.suppress(psutil.Error):  # it has just ended
                    total += process.memory_full_info().pss
            taken.append(total)
            if over.wait(0.2):
                return

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield taken
    finally:
        over.set()
        thread.join()


def measure(stage: str, way: str, data_dir: str) -> tuple[float, float]:
    """One measurement in a process of its own: its value, and peak memory in bytes."""
    done = subprocess.run(
        [sys.executable, __file__, "--measure", stage, way, "--data_dir", data_dir],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        sys.exit(f"{stage}, {way}: {done.stderr}")
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def main() -> None:
    """Runs the stages asked for and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data_dir", required=True, help="data folder of TFDS")
    parser.add_argument("--stages", default=",".join(STAGES), help="default: all")
    parser.add_argument("--repeats", type=int, default=3, help="of each way; default 3")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        worker(options.worker, options.data_dir)
        return
    if options.measure:
        stage, way = options.measure
        with tempfile.TemporaryDirectory() as folder, peak_memory() as peak:
            value = STAGES[stage](way, options.data_dir, pathlib.Path(folder))
        print(json.dumps([value, max(peak)]))
        return
    print(f"{machine.describe()}, Python {platform.python_version()}\n")
    print("| stage | direct | kdfunc | ratio | peak memory, direct | kdfunc |")
    print("| --- | --- | --- | --- | --- | --- |")
    for stage in options.stages.split(","):
        found = {"direct": [], "kdfunc": []}
        for _ in range(options.repeats):
            for way, results in found.items():
                results.append(measure(stage, way, options.data_dir))
        (direct, direct_peak), (ours, our_peak) = (
            [statistics.median(column) for column in zip(*results, strict=True)]
            for results in found.values()
        )
        print(
            f"| {STAGES[stage].__doc__.rstrip('.')} | {direct:.4g} | {ours:.4g} "
            f"| {direct / ours:.1f} | {direct_peak / 2**20:.0f} MiB "
            f"| {our_peak / 2**20:.0f} MiB |",
            flush=True,
        )


if __name__ == "__main__":
    main()
