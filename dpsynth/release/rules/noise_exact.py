"""No event of the commit was drawn from a seed: whoever knows the seed can subtract the noise."""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class NoiseExact:
    """Noise came from the operating system's entropy."""

    name: Final = "noise_exact"
    on_fail: OnFail = "reject"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        seeded = need(evidence.ledger, "the ledger's commit").seeded_noise
        return finding(
            self, value="seeded" if seeded else "exact",
            limit="any" if policy.guarantee.allow_seeded_noise else "exact",
            passed=not seeded or policy.guarantee.allow_seeded_noise,
            ok="Noise meets the policy.",
            failed="The noise can be subtracted by whoever knows its seed. Synthesize again without a seed.",
        )  # fmt: skip


RULE = NoiseExact()
