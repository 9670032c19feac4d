"""Outputs of every kind through the command, with models of a few bytes."""

import json

import nets
import numpy as np
import pytest

from kdfunc.edge.main import main


@pytest.fixture
def compare(tmp_path, capsys):
    """A function: exit code, result and errors of a comparison."""

    def run(reference, candidate, data, *options):
        np.save(tmp_path / "data.npy", np.asarray(data, np.float32))
        arguments = ["compare", reference, candidate, f"--data={tmp_path / 'data.npy'}"]
        arguments += ["--json", "--resamples=50", *options]
        code = main([str(argument) for argument in arguments])
        out, err = capsys.readouterr()
        return code, json.loads(out) if out else None, err

    return run


def test_certainty_of_four_images(compare, tmp_path, rng):
    """4 of 4: the interval starts at 39.8 %, so nothing is decided of 99 %."""
    model = nets.softmax(tmp_path / "m.tflite", [1, 4])
    data = rng.normal(size=(4, 4))
    code, found, _ = compare(model, model, data, "--limit=agreement>=99% at 95%")
    agreement = found["outputs"][0]["measures"]["agreement"]
    assert round(100 * agreement["low"], 1) == 39.8
    assert code == 3
    assert found["limits"][0]["examples_to_decide"] == 368
    assert "about 368 examples in all would show that it is met" in found["outcome"]
    code, *_ = compare(model, model, data, "--limit=agreement>=99%")
    assert code == 0  # these very images keep their class
    code, _, err = compare(model, model, data, "--limit=agreement>=99")
    assert code == 2 and "did you mean agreement>=99%?" in err


def test_what_is_said_of_outputs_is_checked_before_a_model_is_run(compare, tmp_path):
    missing = tmp_path / "missing.tflite"
    for option in ("--outputs=logit", "--candidate-outputs=a=logit"):
        code, _, err = compare(missing, missing, [[0]], option)
        assert code == 2 and "outputs cannot be 'logit'; choose from auto" in err


def test_logits_of_probabilities_are_refused(compare, tmp_path, rng):
    """A softmax of a softmax shrinks distances, and limits that should fail are met."""
    reference = nets.softmax(tmp_path / "a.tflite", [1, 4])
    candidate = nets.softmax(tmp_path / "b.tflite", [1, 4], beta=1.5)
    data = 1.5 * rng.normal(size=(50, 4))
    limit = "--limit=jensen_shannon<=0.001"
    code, found, _ = compare(reference, candidate, data, limit)
    assert code == 1
    assert found["outputs"][0]["measures"]["jensen_shannon"]["value"] > 0.005
    code, found, err = compare(reference, candidate, data, limit, "--logits")
    assert (code, found) == (2, None)
    assert "a.tflite cannot be logits, since every value lies between 0 and 1" in err


def test_logits_and_probabilities_compare(compare, tmp_path, rng):
    reference = nets.softmax(tmp_path / "a.tflite", [1, 4])
    candidate = nets.scaled(tmp_path / "b.tflite", [1, 4], 1.0)
    for options in [(), ("--candidate-outputs=logits",)]:
        code, found, _ = compare(
            reference, candidate, rng.normal(size=(50, 4)), *options
        )
        (output,) = found["outputs"]
        assert code == 0
        assert output["forms"] == {"reference": "probabilities", "candidate": "logits"}
        assert output["measures"]["jensen_shannon"]["value"] < 1e-9


def test_segmentation_is_compared_by_pixel(compare, tmp_path, rng):
    model = nets.softmax(tmp_path / "s.tflite", [1, 8, 8, 4])
    other = nets.negative(tmp_path / "n.tflite", [1, 8, 8, 4])
    data = rng.normal(size=(20, 8, 8, 4))
    code, found, _ = compare(model, other, data, "--limit=pixel_agreement>=90%")
    (output,) = found["outputs"]
    assert (code, output["kind"]) == (1, "positions")
    expected = (data.argmax(axis=-1) == data.argmin(axis=-1)).mean()
    assert output["measures"]["pixel_agreement"]["value"] == expected
    code, _, err = compare(model, model, data, "--logits")
    assert code == 2 and "cannot be logits" in err
    code, _, err = compare(model, model, data, "--limit=agreement>=90%")
    assert code == 2 and "compared as positions, without agreement;" in err


def test_maps_of_numbers_are_no_classes(compare, tmp_path, rng):
    model = nets.negative(tmp_path / "m.tflite", [1, 8, 8, 2])
    other = nets.scaled(tmp_path / "o.tflite", [1, 8, 8, 2], -1.01)
    data = rng.normal(size=(20, 8, 8, 2)).astype(np.float32)
    code, found, _ = compare(model, other, data, "--limit=snr_db>=39")
    (output,) = found["outputs"]
    assert (code, output["kind"]) == (0, "numbers")
    assert output["measures"]["snr_db"]["value"] == pytest.approx(40, abs=0.01)
    assert (
        "classes" not in found["outcome"] and "give --outputs=logits" in output["hint"]
    )


def test_one_sigmoid_is_a_classifier(compare, tmp_path, rng):
    model = nets.sigmoid(tmp_path / "s.tflite", [1, 1])
    other = nets.scaled(tmp_path / "o.tflite", [1, 1], 1.0)
    data = rng.normal(size=(20, 1))
    code, found, _ = compare(model, other, data, "--candidate-outputs=logits")
    measures = found["outputs"][0]["measures"]
    assert code == 0 and measures["agreement"]["value"] == 1
    assert measures["total_variation"]["value"] < 1e-6


def test_independent_sigmoids_are_tags(compare, tmp_path, rng):
    model = nets.sigmoid(tmp_path / "s.tflite", [1, 5])
    code, found, _ = compare(model, model, rng.normal(size=(20, 5)))
    (output,) = found["outputs"]
    assert (code, output["kind"]) == (0, "tags")
    assert output["measures"]["same_tags"]["value"] == 1


def test_very_many_outputs(compare, tmp_path, rng):
    """By index: an identity matrix of 60,000 classes would take 26.8 GiB."""
    model = nets.softmax(tmp_path / "s.tflite", [1, 60_000])
    code, found, _ = compare(model, model, rng.random((2, 60_000)))
    assert code == 0 and found["outputs"][0]["kind"] == "classes"
    model = nets.negative(tmp_path / "m.tflite", [1, 200, 300, 1])
    code, found, _ = compare(model, model, rng.random((2, 200, 300, 1)))
    assert code == 0 and found["outputs"][0]["kind"] == "numbers"


def test_what_does_not_fit_memory_is_no_missed_limit(compare, tmp_path, monkeypatch):
    from kdfunc.comparison import result

    def compared(*arguments):
        raise MemoryError("Unable to allocate 26.8 GiB")

    monkeypatch.setattr(result, "compare", compared)
    model = nets.softmax(tmp_path / "s.tflite", [1, 4])
    code, _, err = compare(model, model, np.zeros((2, 4)))
    assert code == 2 and err.count("\n") == 1
    assert "memory" in err and "Traceback" not in err


def test_several_outputs_are_compared_each_by_what_fits(compare, tmp_path, rng):
    """Whatever their names, which converters choose as they like."""
    paths = []
    for name, factor in (("a", 1.0), ("b", 1.01)):
        net = nets.Net()
        x, scores = net.tensor([1, 4], "x"), net.tensor([1, 4], f"{name}/scores")
        features = net.tensor([1, 4], f"{name}/features")
        k = net.tensor([1], "k", data=np.array([factor], "f4"))
        options = nets.schema.SoftmaxOptionsT()
        options.beta = factor
        net.add(nets.OPERATORS.SOFTMAX, [x], [scores], options)
        net.add(nets.OPERATORS.MUL, [x, k], [features], nets.schema.MulOptionsT())
        path = tmp_path / f"{name}.tflite"
        paths.append(net.save(path, [x], [scores, features]))
    code, found, _ = compare(
        *paths,
        rng.normal(size=(30, 4)),
        "--limit=snr_db>=39.9",
        "--limit=jensen_shannon[a/scores]<=0.001",
    )
    scores, features = found["outputs"]
    assert code == 0
    assert (scores["name"], scores["kind"]) == ("a/scores", "classes")
    assert (features["name"], features["kind"]) == ("a/features", "numbers")
    assert features["measures"]["snr_db"]["value"] == pytest.approx(40, abs=0.01)
    assert scores["measures"]["agreement"]["value"] == 1
    judged = [entry["output"] for entry in found["limits"]]
    assert judged == ["a/features", "a/scores"]
