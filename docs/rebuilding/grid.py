"""Which of the paper's runs are there, as tables: functions of the way to the root."""

from kdfunc import presets
from kdfunc.analysis import published, setups
from kdfunc.analysis.names import title
from kdfunc.config import ExperimentConfig
from rebuilding.runs import NOT_RUN, Result, markdown, pairs, results, results_of


def finished(root: str) -> str:
    """The finished runs."""
    rows = []
    for result in results():
        cells = published.load(result.config.dataset, result.config.architecture)
        theirs = "" if cells.empty else f"{cells['base_accuracy'].iloc[0]:.2f} %"
        ours = f"{100 * result.base_accuracy:.2f} %"
        there = result.trainings_left_out
        name = result.cited(root) + (f" ({'; '.join(there)})" if there else "")
        rows.append([name, ours, theirs, result.time])
    return markdown(["run", "accuracy of the base model", "the paper's", "time"], rows)


def grid(root: str) -> str:
    """The paper's pairs of data set and architecture: what is there of each."""
    rows = []
    for dataset, architecture in pairs():
        there = {r.config.preset: r for r in results_of(dataset, architecture)}
        name = title(ExperimentConfig(dataset=dataset, architecture=architecture))
        cells = (_there(there.get(preset), root) for preset in presets.RULES)
        rows.append([name, *cells])
    return markdown(["", *(f"`{preset}`" for preset in presets.RULES)], rows)


def _there(result: Result | None, root: str) -> str:
    """A link to a run and what it lacks, if it is there."""
    if result is None:
        return NOT_RUN
    config = result.config
    lacks = {
        f"{config.epochs} epochs instead of {setups.EPOCHS}": config.epochs
        < setups.EPOCHS,
        **dict.fromkeys(result.trainings_left_out, True),
        "one base model, no spread": result.table("spread") is None,
    }
    told = "; ".join(text for text, lacking in lacks.items() if lacking)
    return f"{result.cited(root)}: {told or 'all there'}"
