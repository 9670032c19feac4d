"""What is built and installed: whole, declared, and no more than is needed."""

import ast
import configparser
import importlib.metadata
import json
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
import zipfile

import numpy as np
import pytest
from packaging.requirements import Requirement

from kdfunc import edge

ROOT = pathlib.Path(__file__).parents[1]
PROGRAMS = "Scripts" if os.name == "nt" else "bin"
#: What lies in a checkout and belongs to no distribution.
LEFT_OUT = {".git", ".gitattributes", ".github", ".gitignore", ".nox", ".venv"}
LEFT_OUT |= {"build", "dist", "runs"}
LEFT_OUT |= {"PKG-INFO", "kdfunc.egg-info"}
#: Modules and packages that need the extra `train`.
TRAINING = {
    "analysis",
    "compression",
    "corruptions",
    "datasets",
    "depthwise",
    "distillation",
    "downloads",
    "models",
    "pruning",
}
TRAINING |= {"quantization", "report", "runs", "runtime", "training"}
#: Imported where somebody has it; keras comes with TensorFlow.
OPTIONAL = {"tflite_runtime", "keras"}


def run(*command, code=0, **settings):
    """What a command writes: to stderr where it is to fail, else to stdout."""
    outside = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [str(part) for part in command],
        capture_output=True,
        text=True,
        env=outside,
        **settings,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stderr if code else done.stdout


def left_out(folder, names):
    hidden = {n for n in names if n == "__pycache__" or n.endswith("_cache")}
    return hidden | {".hypothesis"} | (LEFT_OUT if folder == str(ROOT) else set())


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The folder of a checkout and the paths of its sdist and its wheel."""
    folder = tmp_path_factory.mktemp("built") / "kdfunc"
    shutil.copytree(ROOT, folder, ignore=left_out)
    files = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    run(sys.executable, "-m", "build", "--no-isolation", cwd=folder)
    (sdist,) = (folder / "dist").glob("*.tar.gz")
    (wheel,) = (folder / "dist").glob("*.whl")
    return files, sdist, wheel


@pytest.fixture(scope="module")
def device(built, tmp_path_factory):
    """The programs of a fresh virtual environment after `pip install kdfunc`."""
    folder = tmp_path_factory.mktemp("device")
    run(sys.executable, "-m", "venv", folder)
    run(folder / PROGRAMS / "pip", "install", "-q", built[-1])
    return folder / PROGRAMS


def test_the_sdist_has_every_file(built):
    files, sdist, _ = built
    with tarfile.open(sdist) as archive:
        names = {m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()}
    made = {name for name in names if name.partition("/")[0] in LEFT_OUT}
    assert names - made == files
    assert {
        "CHANGELOG.md",
        "CITATION.cff",
        "docs/guide.md",
        "tests/conftest.py",
    } < names


def test_the_wheel_has_the_package_and_nothing_beside_it(built):
    files, _, wheel = built
    names = set(zipfile.ZipFile(wheel).namelist())
    inside = {name for name in names if not name.startswith("kdfunc-")}
    assert inside == {name for name in files if name.startswith("kdfunc/")}


def test_a_package_index_takes_what_is_built(built):
    _, sdist, wheel = built
    run(sys.executable, "-m", "twine", "check", "--strict", sdist, wheel)


@pytest.fixture(scope="module")
def metadata(built):
    wheel = zipfile.ZipFile(built[-1])
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    return wheel.read(name).decode()


def test_metadata_name_author_and_pages(metadata):
    citation = (ROOT / "CITATION.cff").read_text("utf-8")
    author = re.search(r"authors:\n  - name: (.*)", citation)[1]
    source = re.search(r"^repository-code: (\S+)$", citation, re.M)[1]
    assert f"\nAuthor: {author}\n" in metadata
    assert f"\nHome-page: {source}\n" in metadata
    assert f"\nProject-URL: Changelog, {source}/blob/main/CHANGELOG.md\n" in metadata


def test_the_readme_of_a_package_index_links_to_the_repository(metadata):
    source = re.search(r"^Home-page: (\S+)$", metadata, re.M)[1]
    links = re.findall(r"(!?)\[[^\]]*\]\(([^)\s]+)\)", metadata)
    assert any(picture for picture, _ in links)
    for picture, link in links:
        assert re.match(r"https?://|#", link), link
        if link.startswith(source):
            kind = "raw" if picture else "blob"
            begin = f"{source}/{kind}/main/"
            assert link.startswith(begin)
            assert (ROOT / link.removeprefix(begin).partition("#")[0]).exists(), link


def test_a_device_has_what_it_needs_and_no_more(device):
    run(device / "pip", "check")
    run(device / "python", "-c", "import tensorflow", code=1)
    listed = json.loads(run(device / "pip", "list", "--format=json"))
    names = {package["name"].lower().replace("_", "-") for package in listed}
    assert {"kdfunc", "ai-edge-litert", "numpy", "scipy", "pandas"} < names
    assert not names & {"keras", "matplotlib", "distributed", "plotly", "absl-py"}


def commands_of_the_guide():
    """What the guide has readers type on a device and for outputs of any library."""
    text = (ROOT / "docs" / "guide.md").read_text("utf-8")
    section = text[text.index("## On a device") : text.index("## Many processes")]
    blocks = re.findall(r"^```sh\n(.*?)^```", section, re.M | re.S)
    lines = "".join(blocks).replace("\\\n", " ").splitlines()
    return [line for line in lines if line.startswith("kdfunc")]


def test_the_commands_of_the_guide_work_where_no_tensorflow_is(
    device, tensorflow, digits, tmp_path
):
    from kdfunc import models, quantization

    model = models.build("lenet", (28, 28, 1), 10, seed=0)
    other = models.build("lenet", (28, 28, 1), 10, seed=1)
    images, labels = digits.test_images[:20], digits.test_labels[:20]
    base = quantization.convert(model, "float32")
    (tmp_path / "base.tflite").write_bytes(base)
    (tmp_path / "small.tflite").write_bytes(
        quantization.convert(model, "dynamic-range")
    )
    independent = quantization.convert(other, "float32")
    (tmp_path / "other.tflite").write_bytes(independent)
    np.savez(tmp_path / "images.npz", images=images, labels=labels)
    np.save(tmp_path / "labels.npy", labels)
    outputs = edge.predict(independent, images / np.float32(255))
    np.save(tmp_path / "other.npy", outputs)
    commands = commands_of_the_guide()
    assert len(commands) == 15
    settings = {"cwd": tmp_path, "capture_output": True, "text": True, "timeout": 300}
    for command in commands:
        program, *arguments = shlex.split(command, comments=True)
        if program == "kdfunc-edge" and arguments[0] == "benchmark":
            arguments += ["--runs=3", "--warm-up=1"]
        if arguments[0] in ("compare", "blame"):
            arguments += ["--resamples=20"]
        done = subprocess.run([device / program, *arguments], **settings)
        limited = any(argument.startswith("--limit") for argument in arguments)
        assert done.returncode in ((0, 1, 3) if limited else (0,)), (command, done)
        assert done.stdout or arguments[0] == "predict"
        assert not done.stderr, command
    expected = edge.predict(base, images / np.float32(255))
    np.testing.assert_allclose(np.load(tmp_path / "base.npy"), expected, atol=1e-6)
    assert "<svg" in (tmp_path / "page.html").read_text("utf-8")
    assert json.loads((tmp_path / "nodes.json").read_text("utf-8"))["results"]
    model.save(tmp_path / "model.keras")
    told = run(
        device / "kdfunc-edge",
        "compare",
        tmp_path / "model.keras",
        tmp_path / "small.tflite",
        f"--data={tmp_path / 'images.npz'}",
        code=2,
    )
    assert "needs tensorflow, which is not installed" in told
    assert told.count("\n") == 1


def test_similarity_works_where_no_tensorflow_is(device):
    run(
        device / "python",
        "-c",
        "import numpy as np\n"
        "from kdfunc import similarity\n"
        "from kdfunc.similarity import claims, embedding, rank_tests\n"
        "p = np.random.default_rng(0).dirichlet(np.ones(3), 20)\n"
        "assert similarity.all_measures(p, p)['jensen_shannon'] == 0\n",
    )


IMPORT_ALL = """
import importlib, json, pathlib, kdfunc
found = {}
for path in sorted(pathlib.Path(kdfunc.__file__).parent.rglob("*.py")):
    name = ".".join(path.relative_to(path.parents[-2]).with_suffix("").parts)
    name = "kdfunc" + name.rpartition("kdfunc")[2].removesuffix(".__init__")
    if name.endswith("__main__"):
        continue
    try:
        importlib.import_module(name)
        found[name] = None
    except ImportError as error:
        found[name] = str(error)
print(json.dumps(found))
"""


def test_a_module_works_without_the_extra_or_says_that_it_needs_it(device):
    found = json.loads(run(device / "python", "-c", IMPORT_ALL))
    assert found["kdfunc.edge.main"] is None and len(found) > 50
    for name, told in found.items():
        if name.split(".")[1:2] and name.split(".")[1] in TRAINING:
            assert told and re.fullmatch(
                r"kdfunc\.\w+ needs packages that are not installed \([^)]*\); run "
                r'pip install "kdfunc\[train\]"\.',
                told,
            ), (name, told)
        else:
            assert told is None, (name, told)


@pytest.mark.parametrize("command", ["run", "report"])
def test_a_command_that_needs_the_extra_says_so(device, command, tmp_path):
    told = run(device / "kdfunc", command, *["x"] * (command == "report"), code=2)
    assert 'pip install "kdfunc[train]"' in told
    assert told.count("\n") == 1


def declared(*extras: str) -> set[str]:
    """The distributions that setup.cfg names for the base install and these extras."""
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg", encoding="utf-8")
    wanted = settings["options"]["install_requires"].splitlines()
    for extra in extras:
        wanted += settings["options.extras_require"][extra].splitlines()
    return {plain(Requirement(line).name) for line in wanted if line.strip()}


def plain(name: str) -> str:
    return name.lower().replace("_", "-")


def imported(path: pathlib.Path) -> set[str]:
    """The top packages that a file imports, wherever in it, but for Python's own."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add(node.module)
    return {name.partition(".")[0] for name in names} - sys.stdlib_module_names


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="does not find every package's distribution"
)
@pytest.mark.parametrize(
    ("folder", "extras"),
    [("kdfunc", ("train", "tensorboard")), ("tests", ("train", "tensorboard", "test"))],
)
def test_every_package_that_is_imported_is_declared(folder, extras):
    homes = importlib.metadata.packages_distributions()
    own = {path.stem for path in (ROOT / folder).rglob("*.py")} | {"kdfunc"}
    own |= {path.name for path in (ROOT / "docs").iterdir()}  # packages of its scripts
    known = declared(*extras)
    for path in (ROOT / folder).rglob("*.py"):
        for name in imported(path) - own - OPTIONAL:
            assert known & set(map(plain, homes[name])), f"{path}: {name}"
