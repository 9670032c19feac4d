import math
import re

import numpy as np
import pytest

from kdfunc.comparison.limits import EXIT_CODES, judge, parse, worst
from kdfunc.comparison.quantities import Quantity, estimated, resampled, share
from kdfunc.errors import InputError
from kdfunc.similarity import Estimate
from kdfunc.similarity.shares import exact_interval


def outcome(text, quantity):
    (limit,) = parse([text])
    return limit.judge(quantity)


def test_limits_are_read():
    (limit,) = parse(["agreement>=99%"])
    assert (limit.name, limit.least, limit.bound) == ("agreement", True, 0.99)
    assert limit.confidence is None and limit.output is None
    (limit,) = parse([" kl_forward <= 1e-3 "])
    assert (limit.name, limit.least, limit.bound) == ("kl_forward", False, 0.001)
    (limit,) = parse(["preserved.disagreement>=80%"])
    assert limit.bound == 80  # it is in percent
    (limit,) = parse(["preserved.disagreement>=0.8%"])
    assert limit.bound == 0.8
    (limit,) = parse(["agreement>=99% at 97.5%"])
    assert (limit.bound, limit.confidence) == (0.99, 0.975)
    (limit,) = parse(["mean_absolute_difference[boxes:0]<=.5 at 95 %"])
    assert (limit.output, limit.bound, limit.confidence) == ("boxes:0", 0.5, 0.95)
    (limit,) = parse(["bytes<=30%"])
    assert limit.relative and limit.bound == 0.3
    (limit,) = parse(["bytes<=3e6"])
    assert not limit.relative and limit.bound == 3_000_000
    (limit,) = parse(["jensen_shannon.p99.9<=0.2"])
    assert limit.name == "jensen_shannon.p99.9"
    assert parse("agreement>=99%") == parse(["agreement>=99%"])  # not letter by letter


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("agreement", "give one in quotes"),
        ("agreement>0.9", "give one in quotes"),
        ("agreement>=x", "give one in quotes"),
        ("agreement>=1.2.3", "give one in quotes"),
        ("sameness>=1", "no measure 'sameness'. Choose from agreement"),
        ("preserved.accuracy_difference>=1", "no measure"),
        ("negative_flips<=0.1", "needs true classes"),
        ("accuracy>=90%", "needs true classes"),
        ("preserved.disagreement>=10", "needs an independently trained model"),
        ("latency_ms<=5", "is not measured here; use kdfunc-edge compare"),
        ("jensen_shannon.p99.9<=0.1", "needs at least 1,000 examples.*there are 999;"),
        ("jensen_shannon.p99<=0.1 at 95%", "has no interval"),
    ],
)
def test_limits_that_make_no_sense_are_told(text, told):
    with pytest.raises(InputError, match=told):
        parse([text], False, False, ["bytes"], 999)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("agreement>=99", r"can never be met.*did you mean agreement>=99%\?"),
        ("agreement<=99", r"is always met.*did you mean agreement<=99%\?"),
        ("disagreement<=1", r"is always met.*did you mean disagreement<=1%\?"),
        (
            "agreement>=1 at 95%",
            "may mean 1 % or 100 %.*give agreement>=1% at 95% or agreement>=100% at 95",
        ),
        ("agreement>=0", "is always met.*within that range"),
        ("agreement>=100 at 95%", "can never be met.*within that range"),
        ("agreement[a%] >= 99 at 95%", r"mean agreement\[a%\] >= 99% at 95%\?"),
        ("snr_db>=30%", "in dB, not in percent; give a bound in dB, without %"),
        ("kl_forward<=1%", "in nats, not in percent; give a bound in nats, without %"),
        ("agreement>=100% at 95%", "can never be met"),
        ("disagreement<=0 at 95%", "can never be met"),
        ("agreement>=-1", "is always met"),
        ("disagreement<=-0.1", "can never be met"),
        ("accuracy_difference>=-1", r"met.*did you mean accuracy_difference>=-1%\?"),
        (
            "preserved.jensen_shannon>=0.8",
            "may mean 0.8 % or 80 %, since preserved.jensen_shannon lies between -100 "
            "and 100 percent; give preserved.jensen_shannon>=0.8% or "
            "preserved.jensen_shannon>=80%",
        ),
        ("preserved.disagreement>=1", "may mean 1 % or 100 %"),
        ("preserved.jensen_shannon>=101", "can never be met.*100 percent"),
        ("preserved.jensen_shannon<=100", "is always met"),
        ("bytes>=0", "is always met"),
        ("latency_ms<=-1", "can never be met"),
        ("cosine_similarity>=98", r"can never .*did you mean cosine_similarity>=98%"),
        ("agreement>=99% at 95", r"between 50 and 100 %; did you mean at 95%\?"),
        ("agreement>=99% at 99", r"did you mean at 99%\?"),
        ("agreement>=99% at 0.9", r"did you mean at 90%\?"),
        ("agreement>=99% at 100%", "between 50 and 100 %; give one, such as at 95%"),
        ("bytes<=100 at 95%", "has no interval"),
    ],
)
def test_bounds_that_judge_nothing_are_refused(text, told):
    with pytest.raises(InputError, match=told):
        parse([text])


@pytest.mark.parametrize("text", ["agreement>=100%", "disagreement<=0"])
def test_all_examples_may_be_asked_for(text):
    """The end of the range that can be missed."""
    (limit,) = parse([text])
    assert limit.judge(share(int(limit.least) * 10, 10, 10)) == "met"


def test_a_share_on_its_bound_meets_it():
    """99.9 / 100 is more than 999 / 1000 as a float."""
    for count in range(1, 1000):
        same, changed = share(count, 1000, 1000), share(1000 - count, 1000, 1000)
        assert outcome(f"agreement>={count / 10}%", same) == "met"
        assert outcome(f"disagreement<={100 - count / 10:.1f}%", changed) == "met"


def test_a_limit_without_confidence_judges_the_value_alone():
    assert outcome("agreement>=90%", share(9, 10, 10)) == "met"
    assert outcome("agreement>=90.01%", share(9, 10, 10)) == "missed"
    assert outcome("agreement<=90%", Quantity(math.nan)) == "missed"
    assert outcome("bytes<=100", Quantity(100)) == "met"


def test_certainty_is_met_where_the_end_of_the_interval_is():
    assert outcome("agreement>=99%", share(4, 4, 4)) == "met"
    assert outcome("agreement>=99% at 95%", share(4, 4, 4)) == "undecided"
    assert outcome("agreement>=99% at 95%", share(367, 367, 367)) == "undecided"
    assert outcome("agreement>=99% at 95%", share(368, 368, 368)) == "met"
    assert outcome("agreement>=99% at 95%", share(90, 100, 100)) == "missed"
    assert outcome("disagreement<=1% at 95%", share(0, 368, 368)) == "met"
    assert outcome("disagreement<=1% at 99%", share(0, 368, 368)) == "undecided"


@pytest.mark.parametrize(("count", "of"), [(0, 100), (3, 600), (29, 600)])
def test_examples_that_would_decide(count, of):
    """With as many as that, and the same share, it is decided; with fewer, it isn't."""
    bound = 0.01 if count < 10 else 0.06
    (entry,) = judge(
        parse([f"disagreement<={bound} at 95%"]),
        {"": {"disagreement": share(count, of, of)}},
        {"": "classes"},
    )
    assert entry["outcome"] == "undecided"
    needed = entry["examples_to_decide"]
    more, fewer = round(1.2 * needed), round(0.8 * needed)
    assert exact_interval(round(more * count / of), more, 0.95)[1] < bound
    assert exact_interval(round(fewer * count / of), fewer, 0.95)[1] > bound


def test_a_value_on_the_bound_is_decided_by_no_number_of_examples():
    quantity = share(5, 100, 100)
    (entry,) = judge(
        parse(["disagreement<=5% at 95%"]),
        {"": {"disagreement": quantity}},
        {"": "classes"},
    )
    assert entry["outcome"] == "undecided" and entry["examples_to_decide"] is None


def test_intervals_of_means_narrow_with_the_root_of_examples(rng):
    components = rng.gamma(0.5, 0.01, (400, 1))
    estimate = resampled(components, lambda means: means[..., 0], 500, 0.95)
    quantity = estimated(estimate, 400)
    low, high = quantity.interval(0.95)
    assert low < quantity.value < high
    bound = quantity.value + (high - quantity.value) / 3
    assert quantity.is_open(bound, 0.95, 400)
    assert quantity.examples_to_decide(bound, 0.95) == pytest.approx(3600, rel=0.02)
    # The same examples in another form of interval: that of the standard error.
    error = components.std() / 20
    assert high - low == pytest.approx(2 * 1.96 * error, rel=0.15)


def test_few_examples_decide_nothing_of_a_mean():
    estimate = resampled(np.zeros((499, 1)), lambda means: means[..., 0], 200, 0.95)
    assert (
        outcome("jensen_shannon<=0.001 at 95%", estimated(estimate, 499)) == "undecided"
    )
    estimate = resampled(np.zeros((500, 1)), lambda means: means[..., 0], 200, 0.95)
    assert outcome("jensen_shannon<=0.001 at 95%", estimated(estimate, 500)) == "met"


def test_a_handful_of_resamples_decides_no_limit():
    def judged(confidence, resamples):
        quantity = estimated(Estimate(np.zeros(1), np.zeros((resamples, 1)), 0.95), 500)
        wanted = parse([f"jensen_shannon<=0.001 at {confidence}%"])
        (entry,) = judge(wanted, {"": {"jensen_shannon": quantity}}, {"": "classes"})
        return entry["outcome"], entry.get("resamples_to_decide")

    # at least five beyond each end of the interval
    assert judged(95, 199) == ("undecided", 200)
    assert judged(95, 200) == ("met", None)
    assert judged(99, 999) == ("undecided", 1000)
    assert judged(99.9, 2000) == ("undecided", 10000)
    assert judged(99.999, 2000) == ("undecided", 1_000_000)


def test_intervals_of_counting_measures_reach_as_far_as_the_unseen():
    estimate = resampled(np.ones((4, 1)), lambda means: means[..., 0], 200, 0.95)
    low, high = estimated(estimate, 4, (-1.0, 1.0)).interval(0.95)
    assert (low, high) == (pytest.approx(1 - 2 * (1 - 0.025**0.25)), 1)


def test_limits_pick_outputs():
    found = {
        "a": {"cosine_similarity": Quantity(0.9)},
        "b": {"tag_agreement": Quantity(1.0)},
        "c": {"cosine_similarity": Quantity(0.8)},
        None: {"bytes": Quantity(9), "relative.bytes": Quantity(0.5)},
    }
    kinds = {"a": "numbers", "b": "tags", "c": "numbers"}
    entries = judge(parse(["cosine_similarity>=85%"]), found, kinds)
    assert [(e["output"], e["outcome"]) for e in entries] == [
        ("a", "met"),
        ("c", "missed"),
    ]
    (entry,) = judge(parse(["cosine_similarity[c]>=75%"]), found, kinds)
    assert entry["outcome"] == "met"
    # A number relative to the reference's is not listed: it is written bytes<=50%.
    for text, told in [
        ("cosine_similarity[d]>=75%", "not compared; choose from 'a', 'b', 'c'."),
        (
            "cosine_similarity[b]>=75%",
            "output 'b' is compared as tags, without cosine_similarity; choose from "
            "tag_agreement.",
        ),
        (
            "accuracy>=75%",
            "the outputs are compared as numbers and tags, without accuracy; choose "
            "from cosine_similarity, tag_agreement, bytes.",
        ),
    ]:
        with pytest.raises(InputError, match=f"{re.escape(told)}$"):
            judge(parse([text]), found, kinds)


def test_a_single_output_may_be_named():
    found = {"": {"agreement": Quantity(1.0)}, None: {}}
    text = ["agreement[probs]>=99%"]
    (entry,) = judge(parse(text), found, {"probs": "classes"})
    assert (entry["output"], entry["outcome"]) == ("", "met")
    for name, told in [("p", "choose from 'p'"), ("", r"omit \[probs\]")]:
        with pytest.raises(InputError, match=f"not compared; {told}[.]$"):
            judge(parse(text), found, {name: "classes"})


def test_exit_codes():
    def code(*outcomes):
        return EXIT_CODES[worst({"outcome": outcome} for outcome in outcomes)]

    assert code() == code("met") == 0
    assert code("met", "undecided") == 3
    assert code("undecided", "missed", "met") == 1
