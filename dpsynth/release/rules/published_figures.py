"""What noisy counts that were bought prove about copies: the one rule on real people whose answer may be published.

If the lower bounds show more copies of trained than of held-out people than the policy tolerates, the draft does not
leave. Counts are noisy and paid for, so value and limit are no secret, unlike those of the exact attacks. Where nothing
was bought there is nothing to judge: the exact attacks decide as ever.

The k-th figure, in the ledger's order, is judged at the share 1 / (k (k + 1)) of the level, which add up to one:
whoever buys more cannot dilute the level of a figure that condemned the draft.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.figures import ALPHA, LIKENESSES, Figure
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need

LIMIT_ID: Final = "membership.verbatim.all"


@final
class PublishedFigures:
    """No bought figure demonstrates copies beyond the policy's limit."""

    name: Final = "published_figures"
    on_fail: OnFail = "regenerate"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        sold = need(evidence.ledger, "the ledger's commit").figures
        figures = [figure for figure in sold if isinstance(figure, Figure)]  # those of quality show no copies
        limit = policy.attacks.limits.get(LIMIT_ID, Decimal("0.05"))
        bounds = [
            figure.excess(kinds, ALPHA / (number * (number + 1) * len(LIKENESSES)))[1]
            for number, figure in enumerate(figures, start=1)
            for kinds in LIKENESSES.values()
        ]
        worst = round(max(bounds), 6) if bounds else None
        return finding(
            self, value=worst, limit=limit, passed=worst is None or Decimal(str(worst)) <= limit,
            ok="No copies beyond the limit in the figures that were bought." if bounds else "No such figure is there.",
            failed="The figures that were bought show copies of people in training beyond the limit. Synthesize anew; "
            "what was charged stays charged.",
        )  # fmt: skip


RULE = PublishedFigures()
