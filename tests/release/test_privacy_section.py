"""A card's privacy section may claim less privacy than its events give, never more, and nothing besides."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounting import DiscreteGaussian, EventTree, NeighboringRelation, PrivacyUnit
from accounting.privacy_report import report
from dpsynth.release.privacy import ceiling_of, flattery, privacy_section

EVENTS = EventTree(
    events=(DiscreteGaussian(sigma="40", l2_sensitivity="1", count=9),),
    relation=NeighboringRelation.ADD_REMOVE,
    unit=PrivacyUnit(),
)
FIELDS = ("deltas", "rho", "mu", "failure", "attacker")


@pytest.fixture(scope="module")
def section() -> dict[str, Any]:
    return privacy_section(report(EVENTS, Decimal("1e-6")))


def _numbers(section: dict[str, Any]) -> dict[str, list[Any]]:
    """Where each number stands."""
    found: dict[str, list[Any]] = {"rho": ["rho"], "mu": ["mu"], "failure": ["failure"],
                                   "attacker": ["attacker", "tpr_at_most"]}  # fmt: skip
    return found | {f"deltas {at}": ["deltas", at, "epsilon"] for at in range(len(section["deltas"]))}


def _with(section: dict[str, Any], path: list[Any], value: Any) -> dict[str, Any]:
    changed = copy.deepcopy(section)
    place: Any = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    return changed


def _at(section: dict[str, Any], path: list[Any]) -> Decimal:
    place: Any = section
    for key in path:
        place = place[key]
    return Decimal(place)


def test_the_section_has_these_fields_and_flatters_nobody(section: dict[str, Any]) -> None:
    assert tuple(section) == FIELDS and flattery(section, section) is None
    assert ceiling_of(section) == float(section["attacker"]["tpr_at_most"])


@given(share=st.decimals("1.001", "50", places=3), data=st.data())
def test_more_is_a_modest_claim_and_less_is_flattery(section: dict[str, Any], share: Decimal, data: Any) -> None:
    name, path = data.draw(st.sampled_from(sorted(_numbers(section).items())))
    truth = _at(section, path)
    assert flattery(_with(section, path, str(truth * share)), section) is None
    less = truth / share - Decimal("0.0002") - truth / 100
    assert flattery(_with(section, path, str(less)), section) == name.split()[0]


@pytest.mark.parametrize("wrong", ["nan", "sNaN", "-Infinity", "", "much", 9, 9.0, True, [], {}])
def test_what_cannot_be_read_is_flattery(section: dict[str, Any], wrong: Any) -> None:
    for name, path in _numbers(section).items():
        assert flattery(_with(section, path, wrong), section) == name.split()[0]


def test_every_field_is_there_and_no_other(section: dict[str, Any]) -> None:
    for name in FIELDS:
        assert flattery({key: value for key, value in section.items() if key != name}, section) == name
    assert flattery(section | {"anonymous": "yes"}, section) == "anonymous"
    assert flattery(_with(section, ["attacker", "fpr"], "0.001"), section) == "attacker"
    assert flattery(_with(section, ["deltas", 0, "delta"], "0.3"), section) == "deltas"


def test_a_measure_that_the_card_leaves_open_is_no_claim(section: dict[str, Any]) -> None:
    """`rho` and `mu` exist for some events only; a number where the events have none is flattery."""
    for name in ("rho", "mu"):
        assert flattery(section | {name: None}, section) is None
        assert flattery(section, section | {name: None}) == name
    for name in ("failure", "deltas", "attacker"):
        assert flattery(section | {name: None}, section) == name
