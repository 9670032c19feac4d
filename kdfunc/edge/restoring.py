"""Runs a candidate with layers restored, and measures what that gives back."""

import os
import pathlib
import tempfile
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from kdfunc.comparison import classes, forms
from kdfunc.comparison.catalog import RELATIVE
from kdfunc.comparison.limits import FILES
from kdfunc.comparison.outputs import Said, roles, settle_all
from kdfunc.comparison.quantities import Quantity
from kdfunc.edge.files import DataFile
from kdfunc.edge.graphs import Graph, Layer, common_layers
from kdfunc.edge.running import is_tflite, outputs_of
from kdfunc.edge.settings import Settings
from kdfunc.edge.surgery import restored
from kdfunc.errors import InputError
from kdfunc.similarity import Estimate, bootstrap_measures, measure
from kdfunc.similarity.groups import MEASURE
from kdfunc.similarity.scale import score

Chosen = frozenset[Layer]


class Restorer:
    """A candidate whose layers can be restored.

    Args:
      reference: `.tflite` file with weights in floating point.
      candidate: `.tflite` file of the same model.
      data: The file of examples.
      independents: Paths of independently trained models.
      outputs: Kinds of the outputs, instead of those detected.
      settings: How models are run.

    Attributes:
      layers: Layers that can be restored.
      left_out: Layers that cannot, since they keep their state in integers.
      reference_bytes: Size of the reference's file.
      labels: `[n]` true classes, or None.
      name: The reference's name of the output with classes.
      p: `[n, classes]` softmax of the reference.
      divergence: Mean Jensen-Shannon divergence between it and the candidate.
      agreement: Share of the examples in which both give the same class.

    Raises:
      InputError: The models do not have the same layers, or are not classifiers.
    """

    def __init__(
        self,
        reference: str | os.PathLike,
        candidate: str | os.PathLike,
        data: DataFile,
        independents: Sequence[str | os.PathLike],
        outputs: str | None,
        settings: Settings,
    ):
        for path in (reference, candidate):
            if not is_tflite(path):
                raise InputError(
                    f"{path} is not a .tflite file, so its layers cannot be restored; "
                    "convert it to .tflite first."
                )
        self._graphs = Graph(candidate), Graph(reference)
        layers = common_layers(*self._graphs)
        self.layers = [layer for layer in layers if not self._keeps_integers(layer)]
        self.left_out = [layer for layer in layers if self._keeps_integers(layer)]
        if not self.layers:
            raise InputError(
                f"{candidate} keeps the state of every layer that could be restored in "
                "integers, which cannot be changed one layer at a time; quantize it "
                "with its state in floating point."
            )
        self.reference_bytes = os.path.getsize(reference)
        self._settings, self._said = settings, Said(outputs)
        self._examples, self.labels = data, data.labels
        paths = [reference, candidate, *independents]
        names = roles(len(paths))
        self._titles = [
            f"{r} {os.fspath(x)}" for r, x in zip(names, paths, strict=True)
        ]
        self._given = [self._outputs_of(path) for path in paths]
        self.name, softmax = self._classes_of(self._given)
        self.p, candidate_softmax, *self._others = softmax
        classes.check_yardstick(self.p, self._others)
        self._softmax: dict[Chosen, np.ndarray] = {frozenset(): candidate_softmax}
        self._sizes: dict[Chosen, int] = {}
        self.divergence = measure(MEASURE, self.p, candidate_softmax)
        self.agreement = 1 - measure("disagreement", self.p, candidate_softmax)

    def content(self, chosen: Chosen) -> bytes:
        """The candidate's file with these layers restored.

        Args:
          chosen: The layers.
        """
        return restored(*self._graphs, chosen)

    def size(self, chosen: Chosen) -> int:
        """Bytes of the file with these layers restored.

        Args:
          chosen: The layers.
        """
        if chosen not in self._sizes:
            self._sizes[chosen] = len(self.content(chosen))
        return self._sizes[chosen]

    def cost(self, chosen: Chosen) -> int:
        """Bytes by which the file grows; less than 0 if it shrinks.

        Args:
          chosen: The layers.
        """
        none: Chosen = frozenset()  # written alike, so that sizes compare
        return self.size(chosen) - self.size(none)

    def softmax(self, chosen: Chosen) -> np.ndarray:
        """`[n, classes]` of the candidate with these layers restored.

        Args:
          chosen: The layers.
        """
        if chosen not in self._softmax:
            with tempfile.TemporaryDirectory() as folder:
                path = pathlib.Path(folder, "restored.tflite")
                path.write_bytes(self.content(chosen))
                arrays = self._outputs_of(path, self._title(chosen))
            _, softmax = self._classes_of([*self._given, arrays])
            self._softmax[chosen] = softmax[-1]
        return self._softmax[chosen]

    def gains(
        self, sets: Sequence[Chosen], resamples: int, confidence: float
    ) -> list[dict[str, Any]]:
        """What each set of layers gives back when it is restored.

        Args:
          sets: Sets of layers that are restored together.
          resamples: Number of bootstrap resamples.
          confidence: Confidence of the intervals, in (0, 1).

        Returns:
          `bytes`, `function_percent`, `agreement_points`, with independent models
          `preserved_points`, and `percent_per_kib`, None for what costs no bytes.
        """
        models = [self.softmax(frozenset()), *map(self.softmax, sets)]
        options: dict[str, Any] = {"resamples": resamples, "confidence": confidence}
        names = [MEASURE, "disagreement"]
        found = bootstrap_measures(
            self.p, [*models, *self._others], names=names, **options
        )
        count = len(models)
        columns = {
            "function_percent": found[MEASURE].derive(
                lambda x: _percent_back(x[..., :count])
            ),
            "agreement_points": found["disagreement"].derive(
                lambda x: 100 * (x[..., :1] - x[..., 1:count])
            ),
        }
        if self._others:
            columns["preserved_points"] = found[MEASURE].derive(
                lambda x: _points_back(x, count)
            )
        gains = []
        for i, chosen in enumerate(sets):
            entry: dict[str, Any] = {"bytes": self.cost(chosen)}
            entry |= {name: _told(e, i) for name, e in columns.items()}
            percent, kib = entry["function_percent"]["value"], entry["bytes"] / 1024
            known = percent is not None and kib > 0
            entry["percent_per_kib"] = percent / kib if known else None
            gains.append(entry)
        return gains

    def quantities(
        self, chosen: Chosen, resamples: int, confidence: float
    ) -> Mapping[str | None, Mapping[str, Quantity]]:
        """Every number that can be limited, with these layers restored.

        Args:
          chosen: The layers.
          resamples: Number of bootstrap resamples.
          confidence: Confidence of the intervals, in (0, 1).
        """
        found, _ = classes.compare(
            self.p,
            self.softmax(chosen),
            self._others,
            self.labels,
            resamples,
            confidence,
        )
        size = self.size(chosen)
        sizes = {"bytes": size, RELATIVE + "bytes": size / self.reference_bytes}
        return {
            self.name: found,
            FILES: {name: Quantity(x) for name, x in sizes.items()},
        }

    def _keeps_integers(self, layer: Layer) -> bool:
        candidate = self._graphs[0]
        return candidate.keeps_integers(candidate.graph.operators[layer.here])

    def _title(self, chosen: Chosen) -> str:
        """What the progress of a run with restored layers is called."""
        if len(chosen) > 1:
            return f"{len(chosen)} of {len(self.layers)} layers restored"
        (layer,) = chosen
        return f"layer {self.layers.index(layer) + 1} of {len(self.layers)} restored"

    def _outputs_of(
        self, path: str | os.PathLike, title: str = ""
    ) -> dict[str, np.ndarray]:
        return outputs_of(path, self._examples, self._settings, title).arrays

    def _classes_of(
        self, given: Sequence[Mapping[str, np.ndarray]]
    ) -> tuple[str, list[np.ndarray]]:
        """Name and softmax of the output with classes, the reference's first."""
        titles = [*self._titles, "restored candidate"][: len(given)]
        settled = settle_all(given, titles, self._said, self.labels)
        of_classes = [
            (name, list(output.arrays.values()))
            for name, output in zip(given[0], settled, strict=True)
            if output.kind == forms.CLASSES
        ]
        if len(of_classes) != 1:
            kinds = ", ".join(output.kind for output in settled)
            hint = next((f"; {o.hint}" for o in settled if o.hint), "")
            raise InputError(
                f"{self._titles[1]} gives outputs that are taken for {kinds}, but "
                f"blame needs a single output with classes{hint}."
            )
        return of_classes[0]


def _percent_back(values: np.ndarray) -> np.ndarray:
    """How much smaller than the first the other `[..., 1 + sets]` distances are."""
    first = np.where(values[..., :1] > 0, values[..., :1], np.nan)
    return 100 * (1 - values[..., 1:] / first)


def _points_back(values: np.ndarray, count: int) -> np.ndarray:
    """Gain in function preserved by sets over none, from `[..., models]` distances.

    The first `count` belong to the candidate with none and with each set restored, the
    others to the independent models.
    """
    unit = values[..., count:].mean(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = np.where(unit > 0, values[..., :count] / unit, np.nan)
    kept = np.vectorize(score, otypes=[float])(ratio)
    return kept[..., 1:] - kept[..., :1]


def _told(estimate: Estimate, i: int) -> dict[str, float | None]:
    ends = {end: float(getattr(estimate, end)[i]) for end in ("value", "low", "high")}
    return {end: None if np.isnan(x) else x for end, x in ends.items()}
