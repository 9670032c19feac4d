"""The measures on arrays: whole, by class, along a trajectory, for all pairs.

Arrays are softmax outputs `[examples, classes]`, in memory or memory-mapped; they are
read and checked once, in blocks. Every function raises `InputError` for an unknown
measure, missing labels, shapes that differ, and rows that are not distributions.
"""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from kdfunc.errors import InputError, refuse_string, refuse_unknown
from kdfunc.similarity.labels import check_labels
from kdfunc.similarity.measures import MEASURES
from kdfunc.similarity.softmax import blocks, entropy, listed

Pair = tuple[str, str]


def select(names: Sequence[str] | None, labels: np.ndarray | None) -> list[str]:
    """Checks names of measures; None is all or, without labels, those that need none.

    Args:
      names: of measures in `MEASURES`, or None.
      labels: `[examples]` true classes, or None.

    Returns:
      the names of the chosen measures.

    Raises:
      InputError: an unknown measure, or one that needs labels without any.
    """
    refuse_string("names", names)
    if names is None:
        return [
            m.name
            for m in MEASURES.values()
            if labels is not None or not m.needs_labels
        ]
    for name in names:
        refuse_unknown("measure", name, MEASURES)
        if MEASURES[name].needs_labels and labels is None:
            raise InputError(f"measure {name!r} needs labels; give the true classes.")
    return list(dict.fromkeys(names))


def components(
    models: Mapping[str, np.ndarray],
    wanted: Mapping[Pair, Sequence[str]],
    labels: np.ndarray | None = None,
) -> Iterator[tuple[slice, Pair, str, np.ndarray]]:
    """Per-example components of measures for pairs of models, block by block.

    Args:
      models: `[examples, classes]` by the name that errors use.
      wanted: Names of measures by (reference, candidate).
      labels: `[examples]` true classes, or None.

    Yields:
      Rows of the block, pair, name of the measure, components `[rows, k]` float64.
    """
    for rows, outputs in blocks(models, labels):
        for pair, names in wanted.items():
            p, q = (outputs[model] for model in pair)
            for name in names:
                values = MEASURES[name].components(p, q).astype(np.float64)
                yield rows, pair, name, values.reshape(len(values), -1)


def per_example(name: str, p: np.ndarray, q: np.ndarray) -> np.ndarray:
    """Components of one measure for each example, `[examples, k]` float64.

    Args:
      name: Key in `MEASURES`, of a measure that needs no labels.
      p: `[examples, classes]` softmax of the reference.
      q: The same of the candidate.
    """
    found = components({"p": p, "q": q}, {("p", "q"): select([name], None)}, None)
    return np.concatenate([values for *_, values in found])


def _evaluate(models, wanted, labels, classes=None):
    """Values `[1]` or `[classes]` by (name, pair); NaN for a class without examples."""
    totals = {}
    for rows, pair, name, values in components(models, wanted, labels):
        if classes is None:
            members = np.ones((1, len(values)))
        else:
            members = labels[rows] == np.arange(classes)[:, None]
        counted = np.column_stack([values, np.ones(len(values))])
        totals[name, pair] = totals.get((name, pair), 0) + members @ counted
    with np.errstate(invalid="ignore"):
        return {
            (name, pair): MEASURES[name].combine(total[:, :-1] / total[:, -1:])
            for (name, pair), total in totals.items()
        }


def measure(
    name: str, p: np.ndarray, q: np.ndarray, labels: np.ndarray | None = None
) -> float:
    """Value of one measure.

    Args:
      name: Key in `MEASURES`.
      p: `[examples, classes]` softmax of the reference.
      q: The same of the candidate.
      labels: `[examples]` true classes, for the measures that need them.
    """
    values = _evaluate({"p": p, "q": q}, {("p", "q"): select([name], labels)}, labels)
    return float(values[name, ("p", "q")][0])


def all_measures(
    p: np.ndarray, q: np.ndarray, labels: np.ndarray | None = None
) -> dict[str, float]:
    """Value of every measure.

    Args:
      p: `[examples, classes]` softmax of the reference.
      q: The same of the candidate.
      labels: `[examples]` true classes; None leaves out the measures that need them.

    Returns:
      The value by the measure's name.

    Raises:
      InputError: An array is not a softmax, or shapes differ.
    """
    values = _evaluate({"p": p, "q": q}, {("p", "q"): select(None, labels)}, labels)
    return {name: float(value[0]) for (name, _), value in values.items()}


def by_class(
    p: np.ndarray,
    q: np.ndarray,
    labels: np.ndarray,
    *,
    names: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """Measures over the examples of each true class.

    Args:
      p: `[examples, classes]` softmax of the reference.
      q: The same of the candidate.
      labels: `[examples]` true classes.
      names: Measures; by default all.

    Returns:
      `[classes]` by measure, NaN for a class without examples.
    """
    labels = check_labels(labels, len(p))
    wanted = {("p", "q"): select(names, labels)}
    values = _evaluate({"p": p, "q": q}, wanted, labels, classes=np.shape(p)[-1])
    return {name: value for (name, _), value in values.items()}


def trajectory(
    reference: np.ndarray,
    records: np.ndarray | Sequence[np.ndarray],
    labels: np.ndarray | None = None,
    *,
    names: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """Measures of each snapshot of a model against one reference.

    Args:
      reference: `[examples, classes]` softmax.
      records: `[snapshots, examples, classes]` softmax.
      labels: `[examples]` true classes, or None.
      names: Measures; by default all, without labels those that need none.

    Returns:
      `[snapshots]` by measure.
    """
    names, records = select(names, labels), listed(records, "records")
    snapshots = {f"records[{i}]": record for i, record in enumerate(records)}
    values = _evaluate(
        {"reference": reference, **snapshots},
        {("reference", snapshot): names for snapshot in snapshots},
        labels,
    )
    return {
        name: np.array([values[name, ("reference", s)][0] for s in snapshots])
        for name in names
    }


def pairwise(
    models: Sequence[np.ndarray],
    labels: np.ndarray | None = None,
    *,
    names: Sequence[str] | None = None,
) -> dict[str, np.ndarray]:
    """Measures of every model against every other.

    Args:
      models: `[examples, classes]` softmax of each.
      labels: `[examples]` true classes, or None.
      names: Measures; by default all, without labels those that need none.

    Returns:
      `[models, models]` by measure: the reference is the row, the candidate the column.
    """
    models = listed(models, "models")
    names = select(names, labels)
    one_way = [name for name in names if not MEASURES[name].symmetric]
    titles = [f"models[{i}]" for i in range(len(models))]
    wanted = {
        (p, q): names if i <= j else one_way
        for i, p in enumerate(titles)
        for j, q in enumerate(titles)
    }
    values = _evaluate(dict(zip(titles, models, strict=True)), wanted, labels)

    def value(name, p, q):
        return values.get((name, (p, q)), values.get((name, (q, p))))[0]

    return {
        name: np.array([[value(name, p, q) for q in titles] for p in titles])
        for name in names
    }


def ambiguity(models: Sequence[np.ndarray]) -> float:
    """Share of examples for which the models do not all predict the same class.

    Source: Marx et al. 2020, arXiv 1909.06677, in the form of Klabunde et al. 2023.

    Args:
      models: `[examples, classes]` softmax of each.
    """
    changed = []
    models = listed(models, "models")
    for _, outputs in blocks({f"models[{i}]": p for i, p in enumerate(models)}):
        predicted = np.array([model.predicted for model in outputs.values()])
        changed.extend((predicted != predicted[0]).any(axis=0))
    return float(np.mean(changed))


def rashomon_capacity(models: Sequence[np.ndarray], tolerance: float = 1e-4) -> float:
    """How much the output for an example reveals about which model gave it, in bits.

    The mean over examples of `max_w sum_m w_m KL(p_m || sum_k w_k p_k)`, the capacity
    of the channel from models to classes: 0 if all models give the same output, at most
    `log2(min(models, classes))`. For two models with equal weights instead of the best
    ones, it is the Jensen-Shannon divergence.

    Args:
      models: `[examples, classes]` softmax of each.
      tolerance: Largest error for an example, in bits.

    Source: Hsu and Calmon 2022, arXiv 2206.01295, who give 2 to the power of it for
    each example; found by the algorithm of Blahut and Arimoto 1972.
    """
    capacities: list[float] = []
    models = listed(models, "models")
    for _, outputs in blocks({f"models[{i}]": p for i, p in enumerate(models)}):
        p = np.stack([model.p for model in outputs.values()], axis=1)
        capacities.extend(_capacity(p, tolerance))
    return float(np.mean(capacities))


def _capacity(p: np.ndarray, tolerance: float) -> np.ndarray:
    """Capacities `[n]` in bits of channels `[n, inputs, outputs]`."""
    capacity = np.empty(len(p))
    rows = np.arange(len(p))
    weights = np.full(p.shape[:2], 1 / p.shape[1])
    own = -entropy(p)  # [n, inputs]
    while len(rows):
        mixture = np.einsum("nm,nmc->nc", weights, p)
        log = np.log2(np.maximum(mixture, np.finfo(np.float64).tiny))
        told = own - np.einsum("nmc,nc->nm", p, log)  # KL to the mixture
        gain = weights * np.exp2(told)
        low, high = np.log2(gain.sum(axis=1)), told.max(axis=1)
        weights = gain / gain.sum(axis=1, keepdims=True)
        done = high - low <= tolerance  # the capacity lies between them
        capacity[rows[done]] = low[done]
        rows, p, own, weights = (x[~done] for x in (rows, p, own, weights))
    return capacity.clip(min=0)
