"""Upper confidence bounds of every attack, held against the limits of the policy and not those of the report.

The bound counts, not the estimate: a small sample with a lucky estimate has a wide interval. A report that was run
against laxer limits than the policy's, or against a limit that the policy does not name, does not count.
"""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need, row_title


@final
class AttackLimits:
    """ci_high <= the policy's limit for each row, and no row ran against a laxer one."""

    name: Final = "attack_limits"
    on_fail: OnFail = "reject"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        rows = need(need(evidence.attack, "attack.json").report.attacks or None, "a single attack")
        known = policy.judged()
        unknown = sorted({row.limit_id for row in rows if row.limit_id not in known})
        if unknown:
            return finding(
                self, value=None, limit=None, passed=False, ok="",
                failed=f"The policy names no limit {', '.join(unknown)}. Add it, then synthesize anew.",
                on_fail="regenerate",
            )  # fmt: skip
        judged = [(row, need(row.ci_high, f"the upper bound of {row_title(row)}"),
                   float(known[row.limit_id])) for row in rows]  # fmt: skip
        lax = [row_title(row) for row, _, limit in judged if row.limit > limit]
        worst, bound, limit = max(judged, key=lambda item: item[1] - item[2])
        beyond = bound > limit
        return finding(
            self, value=bound, limit=limit, passed=not lax and not beyond,
            ok="The upper bound of every attack is within the policy's limit.",
            failed=(
                f"{row_title(worst)}: expected an upper bound of at most {limit:g}, found {bound:.4g}. "
                "Synthesize with a smaller epsilon or other settings."
                if beyond
                else f"{', '.join(lax[:1])} was judged by a laxer limit than the policy's. Run `dpsynth attack` again."
            ),
            on_fail="reject" if worst.verdict == "fail" else "regenerate", confidential=True,
        )  # fmt: skip


RULE = AttackLimits()
