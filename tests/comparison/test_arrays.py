import json
import struct
import subprocess
import sys
import zipfile

import numpy as np
import pandas as pd
import pytest

import kdfunc
from kdfunc import cli
from kdfunc.comparison.arrays import compare_files, read
from kdfunc.edge.files import DataFile
from kdfunc.errors import InputError

RESAMPLES = 40


@pytest.fixture
def arrays(rng):
    z = 2 * rng.normal(size=(200, 4))
    softmax = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    return softmax, z + 0.2 * rng.normal(size=z.shape), rng.normal(size=z.shape)


@pytest.fixture
def files(arrays, tmp_path, monkeypatch):
    p, q, other = arrays
    monkeypatch.chdir(tmp_path)
    np.save("p.npy", p.astype(np.float32))
    np.savez("q.npz", logits=q)
    np.savetxt("other.csv", other, delimiter=",", header="a,b,c,d", comments="")
    np.savetxt("plain.csv", other, delimiter=",")
    np.save("y.npy", p.argmax(axis=1))
    np.savetxt("y.csv", p.argmax(axis=1), fmt="%d")
    return tmp_path


def test_softmax_and_logits_of_any_library(arrays):
    p, q, other = arrays
    labels = p.argmax(axis=1)
    found = kdfunc.compare(
        p, q, labels, other[None], ["agreement>=50% at 95%"], resamples=RESAMPLES
    )
    assert [model["role"] for model in found["models"]] == [
        "reference",
        "candidate",
        "independent",
    ]
    assert found["models"][1]["accuracy"] == (q.argmax(axis=1) == labels).mean()
    (output,) = found["outputs"]
    assert output["measures"]["agreement"]["value"] == found["models"][1]["accuracy"]
    assert "preserved" in output["measures"]["jensen_shannon"]
    assert found["limits"][0]["outcome"] == "met"
    text = str(found)
    assert text.startswith("reference    p\ncandidate    q\nindependent  independents")
    assert "every limit is met" in " ".join(text.split())


def test_several_outputs(arrays, rng):
    p, q, _ = arrays
    boxes = rng.normal(size=(200, 3, 4))
    found = kdfunc.compare(
        {"scores": p, "boxes": boxes},
        {"scores": q, "boxes": boxes},
        resamples=RESAMPLES,
        outputs="boxes=numbers",
    )
    assert [(o["name"], o["kind"]) for o in found["outputs"]] == [
        ("scores", "classes"),
        ("boxes", "numbers"),
    ]


def test_outputs_of_other_names_are_matched_by_position_which_is_told(arrays):
    p, q, _ = arrays
    found = kdfunc.compare({"a": p, "b": q}, {"c": p, "d": q}, resamples=RESAMPLES)
    (hint, other) = (output["hint"] for output in found["outputs"])
    assert hint == "matched by position with 'c' (candidate), since names differ"
    assert other.endswith(
        "matched by position with 'd' (candidate), since names differ"
    )


def test_outputs_of_the_same_name_belong_together(arrays):
    p, q = arrays[0], arrays[0][::-1]
    found = kdfunc.compare({"a": p, "b": q}, {"b": q, "c": p}, resamples=RESAMPLES)
    for output in found["outputs"]:
        assert output["measures"]["jensen_shannon"]["value"] == 0
    hints = [output["hint"] for output in found["outputs"]]
    assert "matched by position with 'c' (candidate)" in hints[0]
    assert "matched" not in hints[1]


def test_independent_models_must_differ(arrays):
    p, q, other = arrays
    with pytest.raises(InputError, match="models 1 and 2 give the same outputs"):
        kdfunc.compare(p, q, independents=[other, other])


def test_a_result_is_json_whatever_its_settings_are(arrays):
    p, q, _ = arrays
    json.dumps(kdfunc.compare(p, q, resamples=np.int64(RESAMPLES)))


def test_one_independent_model_decides_nothing_of_the_function_preserved(arrays):
    """How far trainings differ by chance is not known from one."""
    p, q, other = arrays
    limit = ["preserved.jensen_shannon>=1% at 95%"]
    (one,) = kdfunc.compare(p, q, None, [other], limit, resamples=200)["limits"]
    two = kdfunc.compare(p, q, None, [other, other[::-1]], limit, resamples=200)
    assert one["outcome"] == "undecided"
    assert two["limits"][0]["outcome"] == "met"
    assert "reference as\n2 independently trained models" in str(two)


def test_the_cosine_of_one_number_is_not_the_answer(rng):
    """It is 1 or -1."""
    given = rng.normal(size=200)
    found = kdfunc.compare(given, given + 0.1, resamples=RESAMPLES)
    assert "gives numbers with a signal-to-noise ratio of" in found["outcome"]
    found = kdfunc.compare(given[:, None], given[:, None], resamples=RESAMPLES)
    assert "gives the same numbers" in found["outcome"]


def test_bad_arrays_are_told(arrays):
    p, q, _ = arrays
    for wrong, told in [
        ((p, q[:100]), "for 100 examples, but .* for 200;"),
        ((p, q[:, :3]), "give outputs of the same shape for the same"),
        ((p, q, np.zeros(3)), "give the 200 true classes"),
        ((np.float64(3), np.float64(3)), "give numbers"),
        ((p.astype(str), q), "give numbers"),
        (({}, q), "p has no outputs; give outputs"),
        ((p, q, None, p), r"give a list, such as \[independents\]"),
        ((p, q, None, {"a": p}), "independents is a dictionary; give a list"),
        ((p, q, p), r"one per example, for example labels.argmax\(axis=1\)"),
        ((p, q, p.argmax(1).astype(str)), "labels have type <U"),
        ((None, q), "got None in place of outputs"),
        (("p.npy", q), "give files to `kdfunc.compare_files`"),
        (([p, q], [p, q]), "several as a dictionary"),
    ]:
        with pytest.raises(InputError, match=told):
            kdfunc.compare(*wrong)
    for wrong, told in [
        ({"names": ["a"]}, "names: got 1 for 2 models"),
        ({"resamples": 2e3}, "resamples: got 2000.0; give a whole number"),
    ]:
        with pytest.raises(InputError, match=told):
            kdfunc.compare(p, q, **wrong)
    with pytest.raises(InputError, match="is not measured here"):
        kdfunc.compare(p, q, limit=["bytes<=50%"])


def test_files_are_the_arrays_in_them(files, arrays):
    p, q, other = arrays
    expected = kdfunc.compare(
        p.astype(np.float32), q, p.argmax(1), [other], resamples=RESAMPLES
    )
    for labels, third in [("y.npy", "other.csv"), ("y.csv", "plain.csv")]:
        found = compare_files("p.npy", "q.npz", labels, [third], resamples=RESAMPLES)
        assert found["outputs"] == expected["outputs"]
        assert found["models"][1]["file"] == "q.npz"


def test_csv_is_read_as_pandas_and_excel_write_it(tmp_path, arrays):
    """Neither a header of numbers nor an index is an output, no row is a header."""
    path, softmax = tmp_path / "p.csv", arrays[0]
    for written in (
        pd.DataFrame(softmax),
        pd.DataFrame(softmax, columns=list("abcd")),
    ):
        for index in (True, False):
            written.to_csv(path, index=index)
            np.testing.assert_array_equal(read(path)[""], softmax)
    for first in (0, 1):
        index = pd.RangeIndex(first, first + len(softmax), name="id")
        pd.DataFrame(softmax, index).to_csv(path)
        np.testing.assert_array_equal(read(path)[""], softmax)
    path.write_text("a,b\n0,1\n1,0\n", "utf-8")  # probabilities
    np.testing.assert_array_equal(read(path)[""], [[0, 1], [1, 0]])
    pd.Series(softmax[:, 0]).to_csv(path)
    np.testing.assert_array_equal(read(path)[""], softmax[:, 0])
    np.savetxt(path, softmax, delimiter=",", encoding="utf-8-sig")
    np.testing.assert_array_equal(read(path)[""], softmax)
    path.write_text("0,1,2\n1,1,2\n", "utf-8")  # classes of three positions
    np.testing.assert_array_equal(read(path)[""], [[0, 1, 2], [1, 1, 2]])
    for columns in (1, 2):
        pd.DataFrame(softmax[:, :columns]).to_csv(path, index=False)
        np.testing.assert_array_equal(
            read(path)[""].reshape(200, -1), softmax[:, :columns]
        )
    path.write_text("0\n-1\n-2\n", "utf-8")
    np.testing.assert_array_equal(read(path)[""], [0, -1, -2])
    path.write_text('"","V1","V2"\n"1",0.2,0.8\n"2",0.6,0.4\n', "utf-8")  # as R does
    np.testing.assert_array_equal(read(path)[""], [[0.2, 0.8], [0.6, 0.4]])
    upper = path.with_name("Q.CSV")
    np.savetxt(upper, softmax, delimiter=",")
    np.testing.assert_array_equal(read(upper)[""], softmax)
    path.write_text("0.5,0.S\n0.2,0.8\n", "utf-8")
    with pytest.raises(InputError, match="0.S"):
        read(path)


def test_labels_may_be_in_the_file(files, arrays):
    p, *_ = arrays
    np.savez("with.npz", softmax=p, labels=p.argmax(axis=1))
    limit = ["agreement[softmax]>=1%"]
    found = compare_files("with.npz", "q.npz", limit=limit, resamples=RESAMPLES)
    assert found["labels"] and found["models"][0]["accuracy"] == 1
    np.savez("other.npz", softmax=p[::-1], labels=p.argmax(axis=1)[::-1])
    with pytest.raises(InputError, match="labels in other.npz differ from .*with.npz"):
        compare_files("with.npz", "other.npz")
    found = compare_files("with.npz", "other.npz", "y.npy", resamples=RESAMPLES)
    assert found["models"][0]["accuracy"] == 1
    np.savez("column.npz", softmax=p, labels=p.argmax(axis=1)[:, None])
    assert compare_files("with.npz", "column.npz", resamples=RESAMPLES)["labels"]
    pd.Series(p.argmax(axis=1)).to_csv("header.csv", index=False)
    with pytest.raises(InputError, match="one per example, without a header"):
        compare_files("p.npy", "q.npz", "header.csv")
    with pytest.raises(InputError, match=r"give a list, such as \['other.csv'"):
        compare_files("p.npy", "q.npz", independents="other.csv")
    np.savez("unnamed.npz", x=p, y=p.argmax(axis=1))
    with pytest.raises(InputError, match="has the arrays x, y; call the one"):
        compare_files("p.npy", "q.npz", "unnamed.npz")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("missing.npy", None),
        ("text.npy", b"no array"),
        ("words.csv", b"a,b\nc,d\n"),
        ("empty.csv", b""),
        ("ragged.csv", b"1,2\n3\n"),
        ("broken.npz", b"PK\x03\x04"),
    ],
)
def test_files_that_cannot_be_read_are_told(name, content, tmp_path):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(InputError, match=f"{name} .*give outputs") as told:
        read(tmp_path / name)
    assert "Errno" not in str(told.value)


def test_an_archive_without_its_end_is_told(tmp_path):
    path = tmp_path / "cut.npz"
    np.savez(path, softmax=np.ones((30, 4)))
    content = path.read_bytes()
    for size in (4, len(content) // 2, len(content) - 30):
        path.write_bytes(content[:size])
        for reader in (read, DataFile):
            with pytest.raises(InputError, match="cut.npz .*archive that is cut short"):
                reader(path)


def test_headers_that_promise_too_much_are_told(tmp_path):
    """Before anything of that size is read."""
    header = b"{'descr': '<f8', 'fortran_order': False, 'shape': (%d, 10), }"
    for rows in (10**12, -1):
        text = header % rows
        text += b" " * (64 - (len(text) + 11) % 64) + b"\n"
        content = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text
        (tmp_path / "huge.npy").write_bytes(content)
        with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
            archive.writestr("softmax.npy", content)
        for name in ("huge.npy", "huge.npz"):
            with pytest.raises(InputError, match="cannot be read"):
                read(tmp_path / name)


def test_files_of_objects_or_of_nothing_are_told(tmp_path):
    np.save(tmp_path / "objects.npy", np.array([{}, {}]), allow_pickle=True)
    np.savez(tmp_path / "nothing.npz")
    np.save(tmp_path / "words.npy", np.array(["a", "b"]))
    labels = tmp_path / "labels.npz"
    np.savez(labels, labels=np.arange(3))
    with pytest.raises(InputError, match="labels.npz has no outputs; give outputs"):
        compare_files(labels, labels)
    for name in ("objects.npy", "nothing.npz", "words.npy"):
        with pytest.raises(InputError, match="give outputs"):
            read(tmp_path / name)


def test_command(files, capsys):
    arguments = ["compare", "p.npy", "q.npz", "--labels=y.npy", "--resamples=40"]
    assert cli.main([*arguments, "--independent=other.csv"]) == 0
    assert "q.npz gives the same class as p.npy" in capsys.readouterr().out
    assert cli.main([*arguments, "--json", "--limit=agreement>=99.9%"]) == 1
    assert json.loads(capsys.readouterr().out)["limits"][0]["outcome"] == "missed"
    close = "--limit=agreement>=92% at 99.9%"
    assert cli.main([*arguments, close]) == 3
    assert "is undecided" in capsys.readouterr().out
    assert cli.main([*arguments, "--limit=agreement>=92"]) == 2
    assert "did you mean agreement>=92%?" in capsys.readouterr().err
    assert cli.main([*arguments, "--logits"]) == 2
    assert "cannot be logits" in capsys.readouterr().err
    assert cli.main([*arguments, "--logits", "--outputs=numbers"]) == 2
    assert cli.main([*arguments, "--candidate_outputs=logits"]) == 0


def test_nothing_heavy_is_imported():
    code = """
import sys, kdfunc, numpy as np
p = np.array([[.2, .8], [.3, .7]])
kdfunc.compare(p, p, resamples=10)
print({"tensorflow", "pandas", "sklearn", "matplotlib"} & set(sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "set()\n", done.stderr
