"""The verdict of the worst attack, never an average: fail rejects, inconclusive sends back."""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need, row_title

_ORDER: Final = ("pass", "inconclusive", "fail")


@final
class AttackVerdicts:
    """The report's verdict and the worst row's verdict are both `pass`."""

    name: Final = "attack_verdicts"
    on_fail: OnFail = "reject"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:  # noqa: ARG002 - the protocol's
        """See `Rule`."""
        report = need(evidence.attack, "attack.json").report
        worst = need(report.worst_first[:1] or None, "a single attack")[0]
        verdict = max(worst.verdict, report.verdict, key=_ORDER.index)
        advice = {
            "pass": "",
            "inconclusive": "Give the attack more holdout rows or canaries, or synthesize again.",
            "fail": "The rows of this draft leak. Synthesize with a smaller epsilon or other settings.",
        }[verdict]
        return finding(
            self, value=verdict, limit="pass", passed=verdict == "pass",
            ok="Every attack passed.",
            failed=f"The worst attack, {row_title(worst)}, ended with {verdict}: {worst.reason} {advice}",
            on_fail="reject" if verdict == "fail" else "regenerate", confidential=True,
        )  # fmt: skip


RULE = AttackVerdicts()
