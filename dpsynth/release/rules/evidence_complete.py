"""All four documents are there and parse: missing evidence fails here, and again in each rule that needs it."""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding


@final
class EvidenceComplete:
    """Draft, attack report, quality report and ledger facts are present."""

    name: Final = "evidence_complete"
    on_fail: OnFail = "regenerate"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        wanted = {"draft", "attack", "ledger"} | ({"quality"} if policy.quality.required else set())
        lacking = sorted(name for name in wanted if getattr(evidence, name) is None)
        problems = "; ".join(evidence.problems.get(name, f"{name} is missing") for name in lacking)
        return finding(
            self, value=len(wanted) - len(lacking), limit=len(wanted), passed=not lacking,
            ok="All evidence is present.",
            failed=f"Evidence is incomplete: {problems}. Run `dpsynth attack` and `dpsynth evaluate` on this draft.",
        )  # fmt: skip


RULE = EvidenceComplete()
