import re

import numpy as np
import pytest

import kdfunc
from kdfunc import cli
from kdfunc.comparison import page


@pytest.fixture
def softmax(rng):
    p = rng.dirichlet(np.full(4, 0.5), 150)
    return p, 0.8 * p + 0.2 * rng.dirichlet(np.full(4, 0.5), 150), p[::-1]


def test_the_page_has_what_came_out(softmax, rng):
    p, q, other = softmax
    result = kdfunc.compare(
        p,
        q,
        rng.integers(4, size=150),
        [other],
        ["agreement>=99.9%", "agreement>=1%", "agreement>=80% at 99.9%"],
        resamples=30,
    )
    html = page.render(result)
    assert result["outcome"].replace(">", "&gt;") in html
    for text in ("Missed", "Met", "Function preserved", "Jensen-Shannon divergence"):
        assert text in html
    flips = result["outputs"][0]["flips"]
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


def test_it_needs_nothing_else_and_escapes_names(softmax, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    p, q, _ = softmax
    names = ["<script>alert(1)<", "b.npy"]
    for name, array in zip(names, (p, q), strict=True):
        np.save(tmp_path / f"{name.removesuffix('.npy')}.npy", array)
    arguments = ["compare", f"{names[0]}.npy", "b.npy", "--resamples=20"]
    assert cli.main([*arguments, "--report=page.html"]) == 0
    html = (tmp_path / "page.html").read_text()
    assert "<script" not in html and "&lt;script&gt;alert(1)&lt;" in html
    assert "Content-Security-Policy" in html
    assert not re.search(r"(?:src|href)\s*=", html)
