"""What is public, and that it is documented: names, imports, docstrings."""

import ast
import importlib
import json
import pathlib
import pickle
import re
import subprocess
import sys

import pytest

import kdfunc
from kdfunc import cli
from kdfunc.errors import InputError

ROOT = pathlib.Path(__file__).parents[1]
#: Packages whose `__all__` says what is public; a public module is public as a whole.
PACKAGES = ("kdfunc", "kdfunc.analysis", "kdfunc.edge", "kdfunc.similarity")
SOURCES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(
        ".__init__"
    ): path
    for path in sorted((ROOT / "kdfunc").rglob("*.py"))
}
FENCED = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)


def code(path: pathlib.Path) -> list[ast.Module]:
    """The Python of a notebook's cells or a page's blocks."""
    text = path.read_text("utf-8")
    if path.suffix == ".md":
        return [ast.parse(block) for block in FENCED.findall(text)]
    cells = json.loads(text)["cells"]
    return [
        ast.parse(re.sub(r"^\s*[%!].*$", "", "".join(cell["source"]), flags=re.M))
        for cell in cells
        if cell["cell_type"] == "code"
    ]


def is_public(module: str, name: str = "") -> bool:
    """Whether `from module import name`, or `import module`, is public."""
    package, _, last = module.rpartition(".")
    if not name:
        return module in PACKAGES or is_public(package, last)
    if module in PACKAGES:
        return name in importlib.import_module(module).__all__
    return bool(package) and is_public(package, last) and not name.startswith("_")


@pytest.mark.parametrize(
    "path",
    [
        ROOT / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
        *sorted((ROOT / "notebooks").glob("*.ipynb")),
    ],
    ids=lambda path: path.name,
)
def test_docs_and_notebooks_import_what_is_public(path):
    hidden = []
    for node in (node for block in code(path) for node in ast.walk(block)):
        if isinstance(node, ast.ImportFrom) and node.module.startswith("kdfunc"):
            names = [(node.module, alias.name) for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
            names = [(name, "") for name in modules if name.startswith("kdfunc")]
        else:
            continue
        hidden += [found for found in names if not is_public(*found)]
    assert hidden == []


@pytest.mark.parametrize("package", PACKAGES)
def test_public_names_are_offered_and_there(package):
    module = importlib.import_module(package)
    assert {*module.__all__} <= {*dir(module)}
    assert all(getattr(module, name) is not None for name in module.__all__)


def test_what_is_not_there_is_told_as_python_does():
    with pytest.raises(AttributeError, match="'kdfunc' has no attribute 'runn'"):
        kdfunc.runn  # noqa: B018


def test_python_is_told_of_arguments_and_a_command_of_flags(capsys):
    with pytest.raises(InputError, match="^batch_size: got 0; allowed"):
        kdfunc.ExperimentConfig(batch_size=0)
    assert cli.main(["run", "--batch-size=0"]) == 2
    assert "kdfunc run: --batch_size: got 0; allowed" in capsys.readouterr().err
    quoted = InputError("--a-b: start `dask worker --nthreads 1`")
    assert str(quoted) == "a_b: start `dask worker --nthreads 1`"
    assert str(pickle.loads(pickle.dumps(quoted))) == str(quoted)
    assert quoted.with_flags.startswith("--a-b: ")


def test_names_wait_until_they_are_used():
    script = (
        "import sys, kdfunc; before = {*sys.modules}; kdfunc.ExperimentConfig; "
        "print('numpy' in before, 'tensorflow' in sys.modules, 'run' in dir(kdfunc))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True
    )
    assert done.stdout.split() == ["False", "False", "True"], done.stderr


def imports(name: str) -> set[str]:
    """The modules of kdfunc that a module imports, those in its functions included."""
    tree, found = ast.parse(SOURCES[name].read_text("utf-8")), set()
    tree.body = [
        node
        for node in tree.body
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test))
    ]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in SOURCES else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return (found & SOURCES.keys()) - {name, "kdfunc"}


def test_no_module_imports_itself_by_way_of_others():
    graph = {name: imports(name) for name in SOURCES}
    while leaves := {name for name, needs in graph.items() if not needs}:
        graph = {
            name: needs - leaves for name, needs in graph.items() if name not in leaves
        }
    assert graph == {}


def documented() -> list[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    """All functions and classes with a public name, and what they are called."""

    def within(node, prefix):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.FunctionDef, ast.ClassDef)):
                if not child.name.startswith("_"):
                    yield f"{prefix}.{child.name}", child
                    if isinstance(child, ast.ClassDef):
                        yield from within(child, f"{prefix}.{child.name}")

    return [
        found
        for name, path in SOURCES.items()
        for found in within(ast.parse(path.read_text("utf-8")), name)
    ]


def arguments(node: ast.FunctionDef) -> list[str]:
    """The names of a function's arguments, without self, those that begin with _."""
    given = node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    every += [argument for argument in (given.vararg, given.kwarg) if argument]
    names = [argument.arg for argument in every]
    return [n for n in names if n not in ("self", "cls") and not n.startswith("_")]


def test_every_argument_of_a_public_function_is_documented():
    lacking = []
    for name, node in documented():
        if isinstance(node, ast.ClassDef) or not arguments(node):
            continue
        text = ast.get_docstring(node) or ""
        section = re.search(r"^Args:\n((?:(?: .*)?\n?)*)", text, re.MULTILINE)
        told = re.findall(r"^ +\*{0,2}(\w+):", section[1] if section else "", re.M)
        missing = [argument for argument in arguments(node) if argument not in told]
        if missing:
            lacking.append(f"{name}: {', '.join(missing)}")
    assert lacking == []


def test_no_docstring_speaks_of_what_is_not_in_the_repository():
    for path in (ROOT / "kdfunc").rglob("*.py"):
        assert not re.search(r"\bPROTOCOL\b", path.read_text("utf-8")), path
