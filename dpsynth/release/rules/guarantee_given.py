"""Something protects the people in the rows: a draft without a guarantee never ships, whatever the policy says.

Such drafts are made by baselines, to compare with. The ledger has no commit for them; a draft that names somebody
else's commit, a commit of no events, and a run that the ledger knows as unprotected fail here too.
"""

from __future__ import annotations

from typing import Final, final

from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules.protocol import Finding, OnFail, finding, need
from dpsynth.tabular import BASELINES


@final
class GuaranteeGiven:
    """Events of mechanisms paid for the draft. No field of the policy is read."""

    name: Final = "guarantee_given"
    on_fail: OnFail = "reject"

    def check(self, evidence: Evidence, policy: Policy) -> Finding:  # noqa: ARG002 - the protocol's
        """See `Rule`."""
        draft = evidence.draft
        bare = draft is not None and (draft.guarantee is None or draft.generator.name in BASELINES)
        if not bare:
            bare = need(evidence.ledger, "the ledger's commit").unprotected
        return finding(
            self, value="none" if bare else "given", limit="given", passed=not bare,
            ok="Mechanisms made what the draft knows of the data.",
            failed="The draft has no guarantee: it may repeat anybody's row. It is there to compare with; synthesize "
            "with a generator of dpsynth to release.",
        )  # fmt: skip


RULE = GuaranteeGiven()
