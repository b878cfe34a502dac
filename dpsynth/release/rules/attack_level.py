"""Attempt k is judged at level alpha_k = alpha / (k (k + 1)): trying again buys no luck.

Levels of all attempts sum to alpha (union bound), so a leak passes at some attempt with probability alpha
at most, however often somebody tries. Attack reports state upper bounds at 5 %; a bound at a smaller level
is wider by

    (upper - estimate) * ln(alpha_k) / ln(0.05)

at most: with a rate function I that is convex and I(0) = 0 (Chernoff), I(t) = ln(1 / level) gives a deviation t that
is concave in ln(1 / level) and so grows no faster than it. Exact for Poisson tails, generous for Gaussian
ones.
"""

from __future__ import annotations

import math
from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need, row_title

REPORT_LEVEL: Final = 0.05


@final
class AttackLevel:
    """Upper bounds, widened to the level of this attempt, are within the policy's limits."""

    name: Final = "attack_level"
    on_fail: OnFail = "regenerate"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        attempt = max(1, need(evidence.ledger, "the ledger's commit").attempt)
        rows = need(need(evidence.attack, "attack.json").report.attacks or None, "a single attack")
        known = policy.judged()
        level = float(policy.alpha_at(attempt))
        widening = max(1.0, math.log(level) / math.log(REPORT_LEVEL)) if level > 0 else math.inf
        worst, worst_margin = rows[0], -math.inf
        for row in rows:
            estimate = need(row.estimate, f"the estimate of {row_title(row)}")
            upper = need(row.ci_high, f"the upper bound of {row_title(row)}")
            limit = need(known.get(row.limit_id), f"the limit {row.limit_id}")
            margin = estimate + (upper - estimate) * widening - float(limit)
            if margin > worst_margin:
                worst, worst_margin = row, margin
        return finding(
            self, value=worst_margin, limit=0.0, passed=worst_margin <= 0,
            ok=f"At the level of attempt {attempt}, every attack is within its limit.",
            failed=f"This is attempt {attempt}: at its level {level:g}, {row_title(worst)} is not within its limit. "
            "Give the attack more holdout rows, or synthesize with a smaller epsilon.",
            confidential=True,
        )  # fmt: skip


RULE = AttackLevel()
