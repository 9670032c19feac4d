import errno
import re

import numpy as np
import pytest

import kdfunc
from kdfunc import cli
from kdfunc.comparison import limits, page, result
from kdfunc.comparison.outputs import Said
from kdfunc.comparison.quantities import Quantity


@pytest.fixture
def softmax(rng):
    p = rng.dirichlet(np.full(4, 0.5), 150)
    return p, 0.8 * p + 0.2 * rng.dirichlet(np.full(4, 0.5), 150), p[::-1]


def test_the_page_has_what_came_out(softmax, rng):
    p, q, other = softmax
    found = kdfunc.compare(
        p,
        q,
        rng.integers(4, size=150),
        [other],
        ["agreement>=99.9%", "agreement>=1%", "agreement>=80% at 99.9%"],
        resamples=30,
    )
    html = page.render(found)
    assert found["outcome"].replace(">", "&gt;") in html
    for text in ("Missed", "Met", "Function preserved", "Jensen-Shannon divergence"):
        assert text in html
    flips = found["outputs"][0]["flips"]
    assert f">{len(flips)} examples change class" in html
    assert html.count("<svg") > 10


def test_every_kind_of_output_has_a_page(softmax, rng):
    p, q, _ = softmax
    numbers, maps = rng.normal(size=(150, 3, 4)), rng.integers(3, size=(150, 5, 5))
    tags = rng.random((150, 6))
    given = [
        {"classes": x, "numbers": numbers, "maps": maps, "tags": tags} for x in (p, q)
    ]
    html = page.render(kdfunc.compare(*given, resamples=20))
    for name in ("classes", "numbers", "maps", "tags"):
        assert f"<h2>Output {name}</h2>" in html


def test_it_says_how_models_were_run_and_what_may_be_wrong(rng):
    numbers = rng.normal(size=(40, 3))
    arrays = [{"": numbers}, {"": numbers + 1e-4}, {"": -numbers}]
    told = {"inputs": {"x": "bytes as 0 to 1 (the default)"}, "how": "2 threads"}
    note = "x got bytes as 0 to 1 but was likely made for -1 to 1"
    models = [
        {"file": f"{i}.tflite", "bytes": 1234567, "run": {**told, "notes": [note]}}
        for i in range(3)
    ]
    sizes = {"bytes": Quantity(1234567)}
    wanted = limits.parse(["bytes<=1000000", "cosine_similarity>=0.99999999"])
    found = result.compare(arrays, models, None, wanted, Said(), 5, 0.95, sizes)
    html = page.render(found)
    assert html.count("x: bytes as 0 to 1 (the default)") == 3
    assert html.count(note) == 1
    assert "The function preserved is defined for classes only." in html
    assert "<td>1,234,567</td>" in html and "1000000 (1,234,567)" in found["outcome"]
    value = found["limits"][1]["value"]
    assert f"<td>{value:.6g}</td>" in html


def test_what_came_out_is_printed_though_the_page_cannot_be_written(
    softmax, tmp_path, monkeypatch, capsys
):
    def full(path, content):
        raise OSError(errno.ENOSPC, "No space left on device", f".{path}.partial")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(page, "write_atomic", full)
    np.save("p.npy", softmax[0])
    arguments = ["compare", "p.npy", "p.npy", "--resamples=20", "--report=page.html"]
    assert cli.main(arguments) == 2
    out, error = capsys.readouterr()
    assert "gives the same class" in out
    assert error == (
        "kdfunc: --report: page.html cannot be written (No space left on device); give "
        "a file in a folder that exists, is writable and has enough space.\n"
    )


def test_it_needs_nothing_else_and_escapes_names(softmax, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    p, q, _ = softmax
    names = ["<script>alert(1)<", "b.npy"]
    for name, array in zip(names, (p, q), strict=True):
        np.save(tmp_path / f"{name.removesuffix('.npy')}.npy", array)
    arguments = ["compare", f"{names[0]}.npy", "b.npy", "--resamples=20"]
    assert cli.main([*arguments, "--report=page.html"]) == 0
    html = (tmp_path / "page.html").read_text("utf-8")
    assert "<script" not in html and "&lt;script&gt;alert(1)&lt;" in html
    assert "Content-Security-Policy" in html
    assert not re.search(r"(?:src|href)\s*=", html)
