"""Names and tables that fit a terminal."""

import pytest

from kdfunc.text import WIDTH, duration, short_names, table


def test_names_are_without_what_tells_none_apart():
    names = [f"Net/Net/Conv2d_{i}_depthwise/weights_quant/Fake" for i in range(3)]
    assert short_names([*names, "Net/Logits/Conv2d_1c/weights_quant/Fake;bias"]) == [
        "Conv2d_0_depthwise",
        "Conv2d_1_depthwise",
        "Conv2d_2_depthwise",
        "Conv2d_1c",
    ]
    assert short_names(["dense/MatMul", "dense_1/MatMul"]) == ["dense", "dense_1"]
    assert short_names(["lstm/kernel", "lstm/recurrent"]) == ["kernel", "recurrent"]
    assert short_names(["a", "a"]) == ["a", "a"]
    assert short_names([]) == []


def test_names_are_cut_where_most_of_them_stay_apart():
    wide = "x" * (WIDTH - 16)
    fronts = [[f"Conv2d_{i}_depthwise_of_all", wide] for i in range(5)]
    ends = [[f"a_long_name_with_number_{i}", wide] for i in range(5)]
    for rows in (fronts, ends):
        lines = table(["name", "value"], rows).split("\n")
        assert len(set(lines)) == 6 and max(map(len, lines)) <= WIDTH


def test_two_columns_of_text_make_room_and_numbers_never_do():
    rows = [[f"conv_dw_{i}_bn", "DEPTHWISE_CONV_2D", "1" * 44] for i in range(9, 12)]
    lines = table(["weights", "used by", "bytes"], rows, left=2).split("\n")
    assert max(map(len, lines)) == WIDTH
    assert [line.split() for line in lines[1:]] == [
        [row[0], "DEPTHWISE_C.._2D", row[2]] for row in rows
    ]
    numbers = [["1" * 50, "2" * 50]]
    assert table(["a", "b"], numbers, left=0).split("\n")[1].split() == numbers[0]


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0.4, "0 s"), (89.7, "1 min 30 s"), (119.6, "2 min 0 s"), (599.9, "10 min")],
)
def test_seconds_are_rounded_before_they_become_minutes(seconds, told):
    assert duration(seconds) == told
