"""The event model is closed: what it writes it reads, and nothing else."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.decimals import decimal_down, decimal_text, decimal_up
from accounting.errors import EventError, ParameterError
from accounting.event import (
    MAX_BYTES,
    MAX_EVENTS,
    ApproxDP,
    DiscreteGaussian,
    DiscreteLaplace,
    EventTree,
    Exponential,
    Gaussian,
    Laplace,
    PartitionSelection,
    PoissonSampled,
    PredictionTokens,
    PureDP,
    SparseVector,
    ZCDPFilter,
    event_from_json,
)
from accounting.relation import NeighboringRelation, PrivacyUnit

positive = st.decimals("0.001", "1000", places=6).map(lambda d: d + Decimal("0.000001"))
large = positive.map(lambda d: d + 1)
count = st.integers(1, 10**9)
noise = st.sampled_from(["exact", "seeded"])
plain = st.builds(Gaussian, sigma=positive, l2_sensitivity=positive)
events = st.one_of(
    st.builds(Gaussian, sigma=positive, l2_sensitivity=positive, count=count, noise=noise),
    st.builds(DiscreteGaussian, sigma=positive, l2_sensitivity=large, count=count, noise=noise),
    st.builds(Laplace, scale=positive, l1_sensitivity=positive, count=count),
    st.builds(DiscreteLaplace, scale=positive, l1_sensitivity=large, count=count),
    st.builds(Exponential, bounded_range=positive, count=count),
    st.builds(PureDP, epsilon=positive, count=count),
    st.builds(ApproxDP, epsilon=positive, delta=st.sampled_from(["1e-9", "0.5"]), count=count),
    st.builds(
        PartitionSelection,
        sigma=positive,
        threshold=positive.map(lambda d: d + 2000),
        l2_sensitivity=large,
        max_keys=st.integers(1, 1000),
        count=count,
    ),
    st.builds(PoissonSampled, probability=st.sampled_from(["0.01", "1"]), event=plain, count=count),
    st.builds(ZCDPFilter, rho=positive, count=count, noise=noise),
    st.builds(
        SparseVector,
        threshold_scale=positive,
        query_scale=positive,
        sensitivity=positive,
        positives=st.integers(1, 99),
        monotonic=st.booleans(),
        count=count,
    ),
)
tokens = st.builds(
    PredictionTokens,
    relation=st.just(NeighboringRelation.ADD_REMOVE),
    clip=positive,
    batch_size=st.integers(1, 999),
    temperature=positive,
    batch=st.sampled_from(["summed", "truncated", "averaged"]),
    rows_per_unit=st.integers(1, 9),
    count=count,
)
units = st.one_of(
    st.just(PrivacyUnit()),
    st.builds(PrivacyUnit, kind=st.just("user"), column=st.just("id"), max_records=st.integers(1, 99)),
)
trees = st.builds(
    EventTree,
    relation=st.sampled_from(list(NeighboringRelation)),
    unit=units,
    events=st.lists(events, max_size=5).map(tuple),
)
written = st.builds(
    EventTree,
    relation=st.just(NeighboringRelation.ADD_REMOVE),
    unit=units,
    events=st.lists(tokens, min_size=1, max_size=3).map(tuple),
)


@given(st.one_of(trees, written))
@settings(max_examples=200, deadline=None, derandomize=True)
def test_json_round_trip_keeps_tree_and_digest(tree):
    text = json.dumps(tree.to_json())
    again = EventTree.parse(text)
    assert again == tree
    assert again.digest() == tree.digest()


def test_digest_ignores_spelling_and_nothing_else():
    def digest(sigma, **extra):
        event = Gaussian(sigma=sigma, l2_sensitivity=1, **extra)
        return EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(), events=(event,)).digest()

    assert digest("10") == digest("10.000") == digest("1e1") == digest(10) == digest(Decimal("10"))
    assert len({digest("10"), digest("10.1"), digest("10", count=2), digest("10", noise="seeded")}) == 4


GOOD = {
    "schema": "dpsynth.events/1",
    "relation": "add_remove",
    "unit": "record",
    "events": [{"type": "gaussian", "sigma": "10", "l2_sensitivity": "1", "count": 2}],
}


def test_the_documented_example_is_read():
    example = {
        **GOOD,
        "events": [
            {"type": "laplace", "scale": "10", "l1_sensitivity": "1"},
            {"type": "gaussian", "sigma": "10", "l2_sensitivity": "1", "count": 20},
            {"type": "exponential", "bounded_range": "0.05", "count": 50},
            {
                "type": "poisson_sampled",
                "probability": "0.01",
                "count": 1000,
                "event": {"type": "gaussian", "sigma": "1", "l2_sensitivity": "1"},
            },
        ],
    }
    tree = EventTree.from_json(example)
    assert [event.count for event in tree.events] == [1, 20, 50, 1000]


def with_event(**changes):
    event = {key: value for key, value in {**GOOD["events"][0], **changes}.items() if value is not None}
    return {**GOOD, "events": [event]}


MALFORMED = {
    "float sigma": (with_event(sigma=10.0), "decimal string, got float"),
    "bool sigma": (with_event(sigma=True), "decimal string, got bool"),
    "null sigma": (with_event(sigma=None), "Missing or unknown fields"),
    "nan": (with_event(sigma="nan"), "finite, non-negative decimal"),
    "infinity": (with_event(sigma="Infinity"), "finite, non-negative decimal"),
    "negative": (with_event(sigma="-1"), "finite, non-negative decimal"),
    "zero": (with_event(sigma="0"), "> 0"),
    "underscore": (with_event(sigma="1_0"), "finite, non-negative decimal"),
    "blank": (with_event(sigma=" 1"), "finite, non-negative decimal"),
    "other digits": (with_event(sigma="١"), "finite, non-negative decimal"),
    "too many digits": (with_event(sigma="1" * 61), "at most 60 digits"),
    "absurd exponent": (with_event(sigma="1e99"), "between 1e-40 and 1e30"),
    "long exponent": (with_event(sigma="1e999999999"), "finite, non-negative decimal"),
    "tiny": (with_event(sigma="1e-41"), "between 1e-40 and 1e30"),
    "count zero": (with_event(count=0), "integer from 1"),
    "count string": (with_event(count="2"), "integer from 1"),
    "count bool": (with_event(count=True), "integer from 1"),
    "count huge": (with_event(count=10**10), "integer from 1"),
    "count float": (with_event(count=2.0), "integer from 1"),
    "unknown type": (with_event(type="gaussain"), "whose type is one of"),
    "type not text": (with_event(type=["gaussian"]), "whose type is one of"),
    "unknown field": (with_event(mu="1"), "Missing or unknown fields in gaussian: mu"),
    "import path": (with_event(module="os"), "Missing or unknown fields"),
    "noise": (with_event(noise="none"), "'exact' or 'seeded'"),
    "event not object": ({**GOOD, "events": ["gaussian"]}, "event object"),
    "events not list": ({**GOOD, "events": {}}, "list of at most"),
    "too many events": ({**GOOD, "events": GOOD["events"] * (MAX_EVENTS + 1)}, "list of at most"),
    "schema": ({**GOOD, "schema": "dpsynth.events/2"}, "Expected schema"),
    "extra top field": ({**GOOD, "epsilon": "1"}, "unknown fields in the event tree: epsilon"),
    "relation": ({**GOOD, "relation": "add-remove"}, "Expected relation"),
    "relations mixed": ({**GOOD, "relation": ["add_remove", "replace_one"]}, "Expected relation"),
    "relation inside an event": (with_event(relation="replace_one"), "Missing or unknown fields in gaussian"),
    "unit": ({**GOOD, "unit": "row"}, "Expected unit"),
    "unit number": ({**GOOD, "unit": 1}, "Expected unit"),
    "unit record object": ({**GOOD, "unit": {"kind": "record", "column": "a", "max_records": 1}}, "kind to be 'user'"),
    "unit bound": ({**GOOD, "unit": {"kind": "user", "column": "a", "max_records": 0}}, "max_records"),
    "unit column": ({**GOOD, "unit": {"kind": "user", "column": "", "max_records": 1}}, "names its id column"),
    "not an object": ([], "Expected the event tree to be an object"),
}


@pytest.mark.parametrize("case", MALFORMED)
def test_malformed_documents_are_refused(case):
    document, message = MALFORMED[case]
    with pytest.raises(EventError, match=message):
        EventTree.from_json(document)


INNER = {"type": "gaussian", "sigma": "1", "l2_sensitivity": "1"}
MALFORMED_EVENTS = {
    "probability above one": ({"type": "poisson_sampled", "probability": "1.1", "event": INNER}, "probability <= 1"),
    "probability zero": ({"type": "poisson_sampled", "probability": "0", "event": INNER}, "> 0"),
    "inner count": ({"type": "poisson_sampled", "probability": "1", "event": {**INNER, "count": 1}}, "sampled event"),
    "inner type": (
        {
            "type": "poisson_sampled",
            "probability": "1",
            "event": {"type": "laplace", "scale": "1", "l1_sensitivity": "1"},
        },
        "gaussian event inside",
    ),
    "nested sampling": (
        {
            "type": "poisson_sampled",
            "probability": "1",
            "event": {"type": "poisson_sampled", "probability": "1", "event": INNER},
        },
        "gaussian event inside",
    ),
    "integer query that moves less than one": (
        {"type": "discrete_gaussian", "sigma": "1", "l2_sensitivity": "0.5"},
        "changes by at least one",
    ),
    "threshold that one unit reaches": (
        {"type": "partition_selection", "sigma": "1", "threshold": "1", "l2_sensitivity": "1", "max_keys": 1},
        "threshold > l2_sensitivity",
    ),
    "sparse vector without a word on monotony": (
        {"type": "sparse_vector", "threshold_scale": "1", "query_scale": "2", "sensitivity": "1", "positives": 1},
        "unknown fields in sparse_vector: monotonic",
    ),
    "sparse vector by epsilon": ({"type": "sparse_vector", "epsilon": "1"}, "unknown fields in sparse_vector"),
    "monotony as a word": (
        {
            "type": "sparse_vector",
            "threshold_scale": "1",
            "query_scale": "2",
            "sensitivity": "1",
            "positives": 1,
            "monotonic": "no",
        },
        "monotonic to be true or false",
    ),
    "tokens by range": ({"type": "prediction_tokens", "bounded_range": "0.25"}, "unknown fields in prediction_tokens"),
    **{
        f"tokens with {name} {value!r}": (
            {
                "type": "prediction_tokens",
                "relation": "add_remove",
                "clip": "1",
                "batch_size": 8,
                "temperature": "1",
                "batch": "summed",
                "rows_per_unit": 1,
                name: value,
            },
            message,
        )
        for name, value, message in (
            ("relation", "both", "relation to be one of"),
            ("relation", None, "relation to be one of"),
            ("batch", "padded", "batch to be one of"),
            ("batch_size", 0, "batch_size to be an integer from 1"),
            ("batch_size", "8", "batch_size to be an integer from 1"),
            ("rows_per_unit", True, "rows_per_unit to be an integer"),
            ("temperature", "0", "temperature > 0"),
            ("clip", 1.5, "clip as a decimal string"),
        )
    },
    "filter that bounds nothing": ({"type": "zcdp_filter", "rho": "0"}, "rho > 0"),
    "filter without bound": ({"type": "zcdp_filter"}, "Missing or unknown fields in zcdp_filter: rho"),
    "filter with a float": ({"type": "zcdp_filter", "rho": 0.5}, "rho as a decimal string"),
    "filter that lists steps": ({"type": "zcdp_filter", "rho": "1", "events": []}, "unknown fields in zcdp_filter"),
}


@pytest.mark.parametrize("case", MALFORMED_EVENTS)
def test_malformed_events_are_refused(case):
    document, message = MALFORMED_EVENTS[case]
    with pytest.raises(EventError, match=message):
        event_from_json(document)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (json.dumps(GOOD)[:-1] + ', "relation": "replace_one"}', "same field twice"),
        ('{"schema": NaN}', "not decimal strings"),
        ("[" * 100_000, "does not parse|to be an object"),
        ("{", "does not parse"),
        (b"\xff\xfe\x00", "does not parse"),
        (" " * (MAX_BYTES + 1), "at most"),
    ],
)
def test_hostile_text_is_refused(text, message):
    with pytest.raises(EventError, match=message):
        EventTree.parse(text)


def test_objects_of_other_kinds_do_not_enter_a_tree():
    unit, relation = PrivacyUnit(), NeighboringRelation.ADD_REMOVE
    with pytest.raises(EventError, match="closed set"):
        EventTree(relation=relation, unit=unit, events=("gaussian",))
    with pytest.raises(EventError, match="Expected relation"):
        EventTree(relation="add_remove", unit=unit, events=())
    with pytest.raises(EventError, match="PrivacyUnit"):
        EventTree(relation=relation, unit="record", events=())
    with pytest.raises(EventError, match="neither a column nor a bound"):
        PrivacyUnit(kind="record", column="a")


@settings(derandomize=True)
@given(st.floats(1e-12, 1e12), st.integers(0, 12))
def test_rounding_never_crosses_the_double(value, digits):
    assert decimal_down(value, digits) <= Decimal(value) <= decimal_up(value, digits)
    assert decimal_up(value, digits) - decimal_down(value, digits) <= Decimal(1).scaleb(-digits)
    assert Decimal(decimal_text(decimal_up(value, digits))) == decimal_up(value, digits)


def test_rounding_refuses_what_is_no_number():
    with pytest.raises(ParameterError, match="finite number"):
        decimal_up(float("nan"), 3)
    with pytest.raises(ParameterError, match="decimals"):
        decimal_up(1.0, 99)


@pytest.mark.parametrize("written", ["1.41421357", "1.41421356", "1.4142136", "1.4142135623730951"])
def test_root_two_means_two_whichever_way_it_was_rounded(written):
    assert DiscreteGaussian(sigma=1, l2_sensitivity=written).squared_change == 2
