"""What noisy counts that were bought prove about copies: the one rule on real people whose answer may be published.

If the lower bounds show more copies of trained than of held-out people than the policy tolerates, the draft does not
leave. Counts are noisy and paid for, so value and limit are no secret, unlike those of the exact attacks. Where nothing
was bought there is nothing to judge: the exact attacks decide as ever.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.figures import ALPHA, LIKENESSES
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
        figures = need(evidence.ledger, "the ledger's commit").figures
        limit = policy.attacks.limits.get(LIMIT_ID, Decimal("0.05"))
        asked = len(figures) * len(LIKENESSES)
        bounds = [figure.excess(kinds, ALPHA / asked)[1] for figure in figures for kinds in LIKENESSES.values()]
        worst = round(max(bounds), 6) if bounds else None
        return finding(
            self, value=worst, limit=limit, passed=worst is None or Decimal(str(worst)) <= limit,
            ok="No copies beyond the limit in the figures that were bought." if bounds else "No figure was bought.",
            failed="The figures that were bought show copies of people in training beyond the limit. Synthesize anew; "
            "what was charged stays charged.",
        )  # fmt: skip


RULE = PublishedFigures()
