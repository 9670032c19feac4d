import pytest

from kdfunc import checksums


@pytest.fixture
def sealed(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"12345")
    (tmp_path / "b.bin").write_bytes(b"67890")
    checksums.seal(tmp_path, ["a.bin", "b.bin"], made={"seconds": 1})
    return tmp_path


def change(path, before, after):
    path.write_text(path.read_text("utf-8").replace(before, after), "utf-8")


def test_what_was_sealed_is_whole(sealed):
    assert checksums.damages(sealed) == []
    assert checksums.read_manifest(sealed)["made"] == {"seconds": 1}


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda f: (f / "a.bin").write_bytes(b"1234"), "a.bin has 4 bytes, not 5"),
        (
            lambda f: (f / "a.bin").write_bytes(b"12x45"),
            "a.bin has changed since it was",
        ),
        (lambda f: (f / "a.bin").unlink(), "a.bin cannot be read"),
        (lambda f: (f / "manifest.json").unlink(), "manifest.json is missing"),
        (lambda f: (f / "manifest.json").write_text('{"files": ', "utf-8"), "damaged"),
        (lambda f: (f / "manifest.json").write_text("[]", "utf-8"), "damaged"),
        (
            lambda f: change(f / "manifest.json", '"seconds": 1', '"seconds": 2'),
            "damag",
        ),
    ],
)
def test_damage_is_found_and_named(sealed, damage, told):
    damage(sealed)
    (found,) = checksums.damages(sealed)
    assert told in found
