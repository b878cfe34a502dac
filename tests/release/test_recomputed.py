"""A guarantee computed again: by two accountants where they are at hand, else bounded by one, and never believed."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from accounting import EventTree, Gaussian, NeighboringRelation, PoissonSampled, PrivacyUnit, ZCDPFilter
from accounting.errors import UnsupportedEventError
from accounting.guarantee import Guarantee
from accounting.privacy_report import report
from dpsynth.release import recomputed
from dpsynth.release.documents import Refusal
from dpsynth.release.recomputed import TOLERANCE, bounded, recompute

TERMS: dict[str, Any] = {"relation": NeighboringRelation.ADD_REMOVE, "unit": PrivacyUnit()}
DELTA = Decimal("1e-6")
SAMPLED = EventTree(
    events=(PoissonSampled(probability="0.01", event=Gaussian(sigma="1", l2_sensitivity="1"), count=100),), **TERMS
)


@pytest.fixture(scope="module")
def recorded() -> Guarantee:
    return report(SAMPLED, DELTA).guarantee


def _wrong(call: Any) -> str:
    with pytest.raises(Refusal) as refused:
        call()
    assert refused.value.code == "guarantee_wrong"
    return str(refused.value)


def test_what_was_recorded_is_found_again_within_the_tolerance(recorded: Guarantee) -> None:
    found = recompute(SAMPLED, recorded)
    assert found is not None and found.guarantee.epsilon == recorded.epsilon
    for share, fine in (("1.00009", True), ("0.99991", True), ("1.0002", False), ("0.9998", False)):
        other = replace(recorded, epsilon=recorded.epsilon * Decimal(share))
        if fine:
            assert recompute(SAMPLED, other) is not None
        else:
            assert "as charged for a figure" in _wrong(
                lambda other=other: recompute(SAMPLED, other, claim="as charged for a figure")
            )
    assert Decimal("1e-4") == TOLERANCE


def test_where_sampling_cannot_be_priced_nothing_is_claimed_and_nothing_else_excused(
    recorded: Guarantee, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: Any) -> Any:
        raise UnsupportedEventError("No proof.", "Install dp-accounting.")

    monkeypatch.setattr(recomputed, "report", unsupported)
    with pytest.raises(UnsupportedEventError):
        recompute(SAMPLED, recorded)
    monkeypatch.setattr(recomputed, "can_sample", lambda: False)
    assert recompute(SAMPLED, recorded) is None
    with pytest.raises(UnsupportedEventError):
        recompute(EventTree(events=(ZCDPFilter(rho="0.01"),), **TERMS), recorded)


def test_the_bound_of_renyi_dp_holds_the_claim_from_below(recorded: Guarantee) -> None:
    name = next(one for one in recorded.all if one.startswith("rdp"))
    stated = Decimal(recorded.all[name])
    said = bounded(SAMPLED, recorded)
    assert f"epsilon at most {stated} at delta 1e-6" in said and str(recorded.epsilon) in said
    assert bounded(SAMPLED, replace(recorded, epsilon=stated)).startswith("epsilon ")
    assert "as claimed" in _wrong(lambda: bounded(SAMPLED, replace(recorded, epsilon=stated * Decimal("1.001"))))
    for share in ("1.001", "0.999"):
        other = replace(recorded, all={**recorded.all, name: str(stated * Decimal(share))})
        assert "as recorded" in _wrong(lambda other=other: bounded(SAMPLED, other))
    without = {one: value for one, value in recorded.all.items() if one != name}
    assert bounded(SAMPLED, replace(recorded, all=without)) == said
