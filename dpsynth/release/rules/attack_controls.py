"""A pass without power is not a pass: each attack caught a planted leak and acquitted rows that nobody leaked.

Positive control: caught in at least eight of ten plantings. Negative control: run, and passed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, final

from dpsynth.release.asked import is_shown
from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need, row_title

if TYPE_CHECKING:
    from attacks.report import AttackResult


def is_caught(row: AttackResult) -> bool:
    """The positive control has run, and was caught in at least eight of ten plantings."""
    control = row.positive_control
    return control is not None and 0 < 8 * control.trials <= 10 * control.detected


@final
class AttackControls:
    """Controls that the policy requires have run and came out as they must."""

    name: Final = "attack_controls"
    on_fail: OnFail = "regenerate"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        rows = need(need(evidence.attack, "attack.json").report.attacks or None, "a single attack")
        wanted = policy.attacks

        def holds(row: AttackResult) -> bool:
            acquitted = row.negative_control is not None and row.negative_control.passed
            return (is_caught(row) or not wanted.require_positive_control) and (
                acquitted or not wanted.require_negative_control
            )

        broken = [row_title(row) for row in rows if not holds(row)]
        shown = sum(is_shown(row.name) for row in rows)  # this count is published
        return finding(
            self, value=max(shown - len(broken), 0), limit=shown, passed=not broken,
            ok="Every attack caught its planted leak and acquitted its null.",
            failed=f"{', '.join(broken[:3])}: a control failed, so a pass would mean nothing. "
            "Give the attack more holdout rows or canaries.",
        )  # fmt: skip


RULE = AttackControls()
