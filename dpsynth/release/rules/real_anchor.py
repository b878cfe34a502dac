"""A draft made from what generators made has real rows in its training data too.

Rounds that replace the data they were trained on lose their tails and collapse (Shumailov et al., Nature 2024); rounds
that keep the real rows do not (Gerstgrasser et al., 2024; `dpsynth.quality.collapse`). Who registers data that hold
synthetic rows declares their parents, and whether real rows are there as well. Without a declaration nothing is
judged. A policy may accept such rounds: `lineage: {require_real_anchor: false}`.

Not guaranteed: that everybody declares. Synthetic rows that nobody called so pass.
"""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need


@final
class RealAnchor:
    """Declared parents come with real rows."""

    name: Final = "real_anchor"
    on_fail: OnFail = "reject"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:
        """See `Rule`."""
        lineage = need(evidence.draft, "draft.json").lineage
        required = policy.lineage is None or policy.lineage.require_real_anchor
        if lineage is None:
            value, passed, ok = "no parents declared", True, "No synthetic parents are declared."
        else:
            value = "real rows and synthetic ones" if lineage.real_anchor else "synthetic rows alone"
            passed = lineage.real_anchor or not required
            ok = "The policy accepts this mix." if not required else "Real rows are in the training data."
        return finding(
            self, value=value, limit="real rows among them" if required else "any", passed=passed, ok=ok,
            failed="The training data are synthetic rows alone: rounds without real rows narrow and collapse. Register "
            "the real rows together with them (`--real-anchor`), or make the release from the real rows.",
        )  # fmt: skip


RULE = RealAnchor()
