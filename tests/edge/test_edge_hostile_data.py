"""Data files that promise what they do not hold; `hostile_data.py` is the script."""

import hostile_data


def test_hostile_data_are_refused_or_read_with_little_memory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    paths = hostile_data.prepare(tmp_path)
    wrong = {path.name: hostile_data.problem(path, tmp_path) for path in paths}
    assert {name: found for name, found in wrong.items() if found} == {}
    assert len(paths) > 70
    assert not (tmp_path / "RAN").exists()
