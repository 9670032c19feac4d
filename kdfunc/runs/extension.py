"""What a run can be asked for after it has begun: more, less, or something else."""

import dataclasses
from typing import Any

from kdfunc.config import ExperimentConfig
from kdfunc.runs import plan

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

#: Fields of which a run can be asked for less, but not always for more: controls,
#: variants and further base models follow from all of them.
REDUCIBLE = ("alphas", "independents")


def conflicts(
    there: ExperimentConfig, wanted: ExperimentConfig
) -> dict[str, tuple[Any, Any]]:
    """The fields that keep a run from continuing as another one.

    More or less of an `EXTENDABLE` field is no conflict, nor is less of a `REDUCIBLE`
    one, nor is more of it if all tasks of the run stay as they are.

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
        and not (field in REDUCIBLE and _tasks_stay(there, wanted, field))
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
    together = {
        field: _together(field, there, wanted) for field in (*REDUCIBLE, *EXTENDABLE)
    }
    return dataclasses.replace(there, **together)


def _tasks_stay(there: ExperimentConfig, wanted: ExperimentConfig, field: str) -> bool:
    """Whether a run keeps all of its tasks if a field is extended by what is wanted."""
    together = {field: _together(field, there, wanted)}
    after = plan.make(dataclasses.replace(there, **together))
    return all(task in after for task in plan.make(there))


def _together(field: str, there: ExperimentConfig, wanted: ExperimentConfig) -> Any:
    """A field's value, extended by the wanted one's."""
    mine, theirs = getattr(there, field), getattr(wanted, field)
    if not isinstance(mine, tuple):
        return max(mine, theirs)
    if {*mine} <= {*theirs} and field != "distillation_seeds":
        return theirs
    return (*mine, *(value for value in theirs if value not in mine))
