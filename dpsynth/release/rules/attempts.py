"""How often somebody tried: drafts and attack runs since the last release, read from the ledger."""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class Attempts:
    """Attempts within the limit; each stays charged and listed."""

    name: Final = "attempts"
    on_fail: OnFail = "reject"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        attempt = need(evidence.ledger, "the ledger's commit").attempt
        limit = policy.attempts.max_attempts
        return finding(
            self, value=attempt, limit=limit, passed=1 <= attempt <= limit,
            ok="The number of attempts is within the limit.",
            failed="Too many attempts: with enough of them some draft passes by luck. Find out why drafts fail, "
            "and have the policy's owner decide.",
        )  # fmt: skip


RULE = Attempts()
