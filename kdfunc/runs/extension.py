"""What a run can be asked for after it has begun: more, less, or something else."""

import dataclasses
from typing import Any

from kdfunc import catalog
from kdfunc.config import ExperimentConfig

#: Fields of which a run can be asked for more or less: what it has done stays as it is.
EXTENDABLE = (
    "base_models",
    "distillation_seeds",
    "quantization",
    "pruning_levels",
    "compressions",
    "controls",
    "variants",
)

#: Those, and alphas, of which more can be asked for if what is there stays as it is.
JOINED = ("alphas", *EXTENDABLE)

#: Fields of which a run can be asked for less, but not always for more: controls and
#: variants that are there follow from all of them.
REDUCIBLE = ("alphas", "independents")


def conflicts(
    there: ExperimentConfig, wanted: ExperimentConfig
) -> dict[str, tuple[Any, Any]]:
    """The fields that keep a run from continuing as another one.

    More or less of an `EXTENDABLE` field is no conflict, nor is less of a `REDUCIBLE`
    one, nor are more alphas if controls and variants keep theirs.

    Args:
      there: the config of the run.
      wanted: the config with which it is to continue.

    Returns:
      For each such field the value there and the wanted one, as JSON types.
    """
    mine, theirs = there.to_dict(), wanted.to_dict()
    return {
        field: (mine[field], theirs[field])
        for field in mine
        if mine[field] != theirs[field]
        and field not in EXTENDABLE
        and not (field in REDUCIBLE and _holds(mine[field], theirs[field]))
        and not (field == "alphas" and _leans_alike(there, wanted))
    }


def joined(there: ExperimentConfig, wanted: ExperimentConfig) -> ExperimentConfig:
    """The config of a run, extended by what is wanted beyond it.

    If what is wanted includes everything that is there, its own order is used, as if
    the run had been given it from the start. Seeds keep their places, which decide
    whose student a student of other teachers is.

    Args:
      there: the config of the run.
      wanted: one without `conflicts`.
    """
    together = {field: _together(field, there, wanted) for field in JOINED}
    return dataclasses.replace(there, **together)


def asks_for(config: ExperimentConfig, field: str, value: Any) -> bool:
    """Whether a list of a config contains the value, or a count reaches it.

    Args:
      config: the experiment.
      field: the field's name.
      value: a list's item, or a count.
    """
    return _holds(getattr(config, field), value)


def _leans_alike(there: ExperimentConfig, wanted: ExperimentConfig) -> bool:
    """Whether controls and variants keep their alpha beside the wanted alphas."""
    taught = any(catalog.CONTROLS[name].teacher for name in there.controls)
    alphas = _together("alphas", there, wanted)
    return (
        not there.alphas
        or not (taught or there.variants)
        or dataclasses.replace(there, alphas=alphas).leaning_alpha
        == there.leaning_alpha
    )


def _together(field: str, there: ExperimentConfig, wanted: ExperimentConfig) -> Any:
    """A field's value, extended by the wanted one's."""
    mine, theirs = getattr(there, field), getattr(wanted, field)
    if _holds(theirs, mine) and field != "distillation_seeds":
        return theirs
    if isinstance(mine, tuple):
        return (*mine, *(value for value in theirs if value not in mine))
    return mine


def _holds(more: Any, less: Any) -> bool:
    """Whether a list contains a value or all of a list, or a count reaches a count."""
    if not isinstance(more, list | tuple):
        return less <= more
    return {*less} <= {*more} if isinstance(less, list | tuple) else less in more
