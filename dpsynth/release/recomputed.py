"""The price of what was committed, computed anew by whoever verifies; and what to say where a library is missing.

    recompute(events, guarantee)    the whole report of the events, if its epsilon is the recorded one
    bounded(events, guarantee)      without dp-accounting, for sampled steps: what Renyi DP alone proves, in words

Steps on Poisson samples (DP-SGD) are priced by dp-accounting's loss distribution. Where it is not installed, as beside
`verify_bundle.py`, the second accountant still runs: its own recorded figure must be what it finds, the claim may not
be above it, and the sentence returned names the claim as unchecked and the bound as proved.

Not guaranteed by `bounded`: the claimed epsilon, which lies below the bound.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from accounting.crosscheck import DIGITS, RDP
from accounting.decimals import decimal_text, decimal_up
from accounting.errors import UnsupportedEventError
from accounting.event import EventTree, PoissonSampled
from accounting.guarantee import Guarantee
from accounting.losses import can_sample
from accounting.privacy_report import PrivacyReport, report
from dpsynth.release.documents import Refusal

TOLERANCE: Final = Decimal("1e-4")


def recompute(tree: EventTree, recorded: Guarantee, *, claim: str = "as claimed") -> PrivacyReport | None:
    """The report of the events, in relation and unit of the tree; None where only `bounded` can say something.

    Raises:
        Refusal: `guarantee_wrong` if they cost another epsilon than was recorded.
        AccountingError: if no two accountants can price them.
    """
    try:
        found = report(tree, recorded.delta)
    except UnsupportedEventError:
        if can_sample() or not any(isinstance(event, PoissonSampled) for event in tree.events):
            raise
        return None
    _same(found.guarantee.epsilon, recorded.epsilon, claim)
    return found


def bounded(tree: EventTree, recorded: Guarantee) -> str:
    """What was not checked and what is proved instead, in a sentence.

    Raises:
        Refusal: `guarantee_wrong` if the recorded figures contradict what Renyi DP finds.
        AccountingError: if it has no proof for the events.
    """
    found = RDP.opinion(tree, float(recorded.delta)).epsilon
    bound = decimal_up(max(0.0, found * (1 - 1e-12)), DIGITS)
    stated = recorded.all.get(RDP.name)
    if stated is not None:
        _same(bound, Decimal(stated), "as recorded")
    if recorded.epsilon > bound * (1 + TOLERANCE):
        raise Refusal("guarantee_wrong", f"The committed events cost epsilon {bound} at most, not "
                      f"{recorded.epsilon} as claimed.")  # fmt: skip
    return (
        f"epsilon {decimal_text(recorded.epsilon)} of sampled steps and what the card derives from it, which need "
        f"dp-accounting. Proved here, by Renyi DP: epsilon at most {decimal_text(bound)} at delta "
        f"{decimal_text(recorded.delta)}."
    )


def _same(computed: Decimal, recorded: Decimal, claim: str) -> None:
    if abs(computed - recorded) > TOLERANCE * max(computed, recorded):
        raise Refusal("guarantee_wrong", f"The committed events cost epsilon {computed}, not {recorded} {claim}.")
