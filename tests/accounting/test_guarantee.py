"""A guarantee says what it means, without its relation and unit it does not exist."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.errors import EventError, ParameterError
from accounting.guarantee import Guarantee
from accounting.relation import NeighboringRelation, PrivacyUnit

RECORD = PrivacyUnit()


def guarantee(epsilon="1", delta="1e-9", relation=NeighboringRelation.ADD_REMOVE, unit=RECORD):
    return Guarantee(
        epsilon=epsilon, delta=delta, relation=relation, unit=unit, accountant="pld", all={"pld": epsilon, "rdp": "9"}
    )


@settings(derandomize=True)
@given(st.floats(0.01, 8), st.floats(0, 1e-3), st.floats(0, 1))
def test_ceiling_is_reached_by_randomized_response_and_not_exceeded(epsilon, delta, fpr):
    """The (epsilon, delta) mechanism of Kairouz, Oh and Viswanath, tested at every threshold and mixture."""
    claim = guarantee(str(round(epsilon, 6)), f"{delta:.12f}")
    eps, d = float(claim.epsilon), float(claim.delta)
    yes = (1 - d) * math.exp(eps) / (1 + math.exp(eps))
    p, q = [d, yes, 1 - d - yes, 0.0], [0.0, 1 - d - yes, yes, d]
    tpr, left = 0.0, fpr
    for hit, alarm in zip(p, q, strict=True):  # most suspicious outcome first
        share = min(1.0, left / alarm) if alarm > 0 else 1.0
        tpr, left = tpr + share * hit, left - share * alarm
    assert claim.attacker_ceiling(fpr) == pytest.approx(tpr, abs=1e-9)


def test_ceiling_of_a_huge_epsilon_is_certainty():
    assert guarantee("5000").attacker_ceiling(0.01) == pytest.approx(1)
    assert guarantee("0", "0").attacker_ceiling(0.25) == 0.25
    with pytest.raises(ParameterError, match="false-positive rate"):
        guarantee().attacker_ceiling(1.5)


def test_sentence_names_unit_relation_and_both_numbers():
    sentence = guarantee().sentence()
    assert sentence.startswith("For any one record (epsilon = 1, delta = 1e-9, add/remove: ")
    assert "at 1 % false alarms at most 2.72 % of the members are found." in sentence
    user = PrivacyUnit(kind="user", column="patient", max_records=4)
    sentence = guarantee(relation=NeighboringRelation.REPLACE_ONE, unit=user).sentence()
    assert "For any one user" in sentence and "replace/one" in sentence and "at most 4 rows each" in sentence


@pytest.mark.parametrize("unit", [PrivacyUnit(), PrivacyUnit(kind="user", column="id", max_records=3)])
def test_json_round_trip(unit):
    claim = guarantee(unit=unit)
    assert Guarantee.from_json(claim.to_json()) == claim
    assert claim.to_json()["epsilon"] == "1" and claim.to_json()["delta"] == "1e-9"


@pytest.mark.parametrize(
    "change", [{"epsilon": 1.0}, {"epsilon": "-1"}, {"relation": "both"}, {"unit": None}, {"extra": 1}, {"all": []}]
)
def test_other_json_is_refused(change):
    with pytest.raises(EventError):
        Guarantee.from_json({**guarantee().to_json(), **change})


def test_delta_of_one_is_no_guarantee():
    with pytest.raises(ParameterError, match="nothing is promised"):
        guarantee(delta="1")
