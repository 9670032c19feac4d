"""Compares `kdfunc-edge blame` with files that were quantized without a layer.

    python benchmarks/blame.py [--architecture=mobilenet --data=cifar10 --data_dir=DIR]

A network is trained briefly and quantized to int8 and int4 by ai-edge-quantizer. Each
layer is restored in that file, as in `blame`, and also left out of the quantization by
a recipe. The outputs of both are compared to the last bit, as is the function that they
give back, computed here from the outputs of the real files.
"""

import argparse
import contextlib
import io
import pathlib
import re
import tempfile

import numpy as np
from ai_edge_quantizer import quantizer, recipe

from kdfunc import datasets, models, quantization
from kdfunc.edge import costly_layers, predict
from kdfunc.edge.graphs import Graph, common_layers
from kdfunc.edge.surgery import restored
from kdfunc.runtime import keras
from kdfunc.similarity import measure
from kdfunc.text import short_names, table

MODES = {"int8": "dynamic_wi8_afp32", "int4": "dynamic_wi4_afp32"}


def trained(architecture: str, data: datasets.Dataset, images: int, epochs: int):
    """A network after a few epochs on a part of the training split."""
    x = data.train_images[:images].astype(np.float32) / 255
    y = np.asarray(data.train_labels[:images])
    classes = len(data.class_names)
    model = models.build(architecture, x.shape[1:], classes, seed=0)
    loss = "sparse_categorical_crossentropy"
    model.compile(keras.optimizers.legacy.Adam(), loss, ["accuracy"])
    model.fit(x, y, batch_size=64, epochs=epochs, verbose=2)
    return model


def quantized(reference: pathlib.Path, mode: str, without: str | None = None) -> bytes:
    """The file by ai-edge-quantizer, perhaps without the layer of an output."""
    tool = quantizer.Quantizer(str(reference), getattr(recipe, MODES[mode])())
    with contextlib.redirect_stdout(io.StringIO()):
        if without:
            tool.update_quantization_recipe(
                re.escape(without) + ".*", "*", algorithm_key="no_quantize"
            )
        return bytes(tool.quantize().quantized_model)


def check(reference: pathlib.Path, mode: str, data: pathlib.Path) -> str:
    """A table: each layer as blame has it, and as the real file has it."""
    candidate = reference.with_name(f"{mode}.tflite")
    candidate.write_bytes(quantized(reference, mode))
    said = costly_layers(reference, candidate, data, resamples=100)
    told = {entry["output"]: entry for entry in said["layers"]}
    images = np.load(data)["images"]
    p = predict(reference, images)
    q = predict(candidate, images)
    lost = measure("jensen_shannon", p, q)
    graphs = Graph(candidate), Graph(reference)
    layers = common_layers(*graphs)
    rows = []
    for name, layer in zip(short_names([x.name for x in layers]), layers, strict=True):
        real = quantized(reference, mode, layer.output)
        r = predict(real, images)
        ours = restored(*graphs, [layer])
        rows.append(
            [
                name,
                f"{told[layer.output]['function_percent']['value']:.3f}",
                f"{100 * (1 - measure('jensen_shannon', p, r) / lost):.3f}",
                "yes" if np.array_equal(predict(ours, images), r) else "NO",
                f"{len(ours) - len(real):+d}",
            ]
        )
    alike = (p.argmax(axis=1) == q.argmax(axis=1)).mean()
    head = f"{mode}: divergence {lost:.6f}, agreement {100 * alike:.2f} %"
    header = ["layer", "blame %", "real file %", "same bits", "bytes more"]
    return f"{head}\n{table(header, rows)}"


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", default="digits", help="data set; default digits")
    parser.add_argument("--data_dir", help="data folder of TFDS")
    parser.add_argument("--architecture", default="lenet", help="default lenet")
    parser.add_argument(
        "--train", type=int, default=5000, help="training images; default 5000"
    )
    parser.add_argument(
        "--test", type=int, default=500, help="test images; default 500"
    )
    parser.add_argument(
        "--epochs", type=int, default=3, help="of the training; default 3"
    )
    asked = parser.parse_args()
    data = datasets.load(asked.data, asked.data_dir)
    model = trained(asked.architecture, data, asked.train, asked.epochs)
    with tempfile.TemporaryDirectory() as folder:
        reference = pathlib.Path(folder, "float32.tflite")
        reference.write_bytes(quantization.convert(model, "float32"))
        images = data.test_images[: asked.test].astype(np.float32) / 255
        labels = np.asarray(data.test_labels[: asked.test])
        found = predict(reference, images).argmax(axis=1)
        print(f"{asked.architecture}, {100 * (found == labels).mean():.1f} % accuracy")
        np.savez(pathlib.Path(folder, "images.npz"), images=images, labels=labels)
        for mode in MODES:
            print(check(reference, mode, pathlib.Path(folder, "images.npz")))


if __name__ == "__main__":
    main()
