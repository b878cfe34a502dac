"""The whole privacy report on a card: epsilon at three deltas, rho, mu, and the attacker's ceiling.

    privacy_section(report(events, delta))    what the card says beside the guarantee
    flattery(stated, report(events, delta))   which stated figure is better than what the events give

The sentence on the card quotes the ceiling of the whole profile, which is tighter than that of one (epsilon, delta)
point. A receiver computes the report again from the committed events: composition of the run is needed to check the
guarantee anyway, and the other deltas read the same composed loss. A stated figure may be worse than the computed one,
so that a better accountant does not make old cards wrong; never better.

>>> attacker = {"fpr": "0.01", "tpr_at_most": "0.02"}
>>> made = {"deltas": [], "rho": "0.0278", "mu": None, "failure": "0", "attacker": attacker}
>>> flattery({**made, "rho": "0.0177"}, made), flattery({**made, "rho": "0.0281"}, made)
('rho', None)

Not guaranteed: anything about other releases of the same data; that is the budget's grant.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from accounting.privacy_report import FPR, PrivacyReport

TOLERANCE: Final = Decimal("1e-4")  # two machines' floats; relative
_FIELDS: Final = ("deltas", "rho", "mu", "failure", "attacker")


def privacy_section(found: PrivacyReport) -> dict[str, Any]:
    """The card's section; decimal strings, in relation and unit of the guarantee."""
    body = found.to_json()
    return {name: body[name] for name in _FIELDS}


def ceiling_of(section: Mapping[str, Any]) -> float:
    """The attacker's ceiling that the section states."""
    return float(Decimal(section["attacker"]["tpr_at_most"]))


def flattery(stated: Mapping[str, Any], computed: Mapping[str, Any]) -> str | None:
    """The first stated field that claims more privacy than the computed section, or cannot be read; None if none does.

    Args:
        stated: `privacy_section` as it stands on a card; untrusted.
        computed: `privacy_section` of the committed events.
    """
    for name in _FIELDS:
        try:
            if not _sound(name, stated[name], computed[name]):
                return name
        except (KeyError, TypeError, AttributeError, ValueError, InvalidOperation):
            return name
    return next((name for name in stated if name not in _FIELDS), None)


def _sound(name: str, stated: Any, computed: Any) -> bool:
    if name == "deltas":
        known = {Decimal(row["delta"]): row["epsilon"] for row in computed}
        return all(_no_better(row["epsilon"], known.get(Decimal(row["delta"]))) for row in stated)
    if name == "attacker":
        # The ceiling has four places, of which two machines may round the last one apart.
        return Decimal(stated["fpr"]) == FPR and _no_better(stated["tpr_at_most"], computed["tpr_at_most"], "0.0001")
    if name == "failure":
        return _no_better(stated, computed, str(Decimal(computed) / 100))  # four digits, rounded up
    return stated is None or _no_better(stated, computed)


def _no_better(stated: str, computed: str | None, last_place: str = "0.000001") -> bool:
    if computed is None or not isinstance(stated, str):
        return False
    claim, truth = Decimal(stated), Decimal(computed)
    return claim.is_finite() and claim >= truth * (1 - TOLERANCE) - Decimal(last_place)
