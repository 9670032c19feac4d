"""The notebooks run top to bottom, and what is stored of them reads well."""

import os
import pathlib
import re
import shutil

import nbformat
import pytest
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

REPOSITORY = pathlib.Path(__file__).parents[1]
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
MACHINE_PATH = re.compile(
    r"(?<![\w.])/(?:home|root|tmp|work|usr|opt|var|private|Users)/|\b[A-Z]:\\"
)
LARGEST_IMAGE = 150_000 * 4 / 3  # bytes in base64


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_top_to_bottom(path, tmp_path):
    folder = tmp_path / "notebooks"
    folder.mkdir()
    shutil.copytree(REPOSITORY / "results", tmp_path / "results")
    notebook = nbformat.read(path, as_version=4)
    paths = [str(REPOSITORY), os.environ.get("PYTHONPATH", "")]
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "TMPDIR": str(tmp_path),  # the run directories lie there
    }
    # Without folders there is one kernel left: ipykernel in this very interpreter.
    kernels = KernelSpecManager(kernel_dirs=[])
    client = NotebookClient(
        notebook,
        km=KernelManager(kernel_name="python3", kernel_spec_manager=kernels),
        timeout=600,
        resources={"metadata": {"path": str(folder)}},
    )
    client.execute(env=environment, cleanup_kc=True)  # ends the kernel, too


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stored_and_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    assert not MACHINE_PATH.search(path.read_text("utf-8"))
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    for cell in cells:
        assert "execution" not in cell.metadata  # times of the last execution
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr"
            assert len(output.get("data", {}).get("image/png", "")) < LARGEST_IMAGE


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_ends_with_something_to_try(path):
    last = nbformat.read(path, as_version=4).cells[-1]
    assert last.cell_type == "markdown"
    assert re.findall("^#+ .*", last.source, re.MULTILINE)[-1] == "## Try"


def test_there_are_eight():
    assert [path.name[:2] for path in NOTEBOOKS] == [f"{i}_" for i in range(1, 9)]
