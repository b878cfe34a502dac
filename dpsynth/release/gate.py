"""The gate: a pure function from evidence and policy to ship, regenerate or reject.

No file, clock, network or random number is read here: the same evidence and policy give the same decision on every
machine, and an auditor can run it again. The rules of order, each held by a test:

* An empty set of rules rejects: nothing asked is nothing shown.
* Every rule is asked; none is skipped because another failed.
* A rule that finds no evidence fails; it never passes and never raises out of the gate.
* The decision is the worst finding: reject before regenerate before ship. There is no average and no override.
* The order of rules and of documents does not matter.
* Removing any piece of evidence never yields ship; tightening any limit never turns another decision into ship.
* A warning is printed on the decision and decides nothing.

>>> from dpsynth.release.policy import default_policy
>>> nothing = Evidence.assemble(draft=None, attack=None, quality=None, ledger=None)
>>> gate(nothing, default_policy()).decision
'regenerate'

Not guaranteed: that passing attacks means no attack exists. The DP guarantee covers those; the gate covers mistakes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, Final

from dpsynth.core.errors import GateRefused
from dpsynth.release.documents import JSON
from dpsynth.release.evidence import Evidence
from dpsynth.release.policy import Policy
from dpsynth.release.rules import load_rules
from dpsynth.release.rules.protocol import Effect, EvidenceMissing, Finding, Rule

_ORDER: Final[tuple[Effect, ...]] = ("ship", "regenerate", "reject")


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What was decided, by which rules, about which draft, under which policy.

    Attributes:
        decision: the worst finding's effect.
        rules: every finding, failed ones first, then by name.
        policy_digest: SHA-256 of the policy's canonical form.
        draft: id of the draft; None if there was no readable draft.json.
        draft_digest: keyed commitment of its rows.
        at: the ledger's head that the decision was taken at, as "seq:hash"; order is by seq, never by time.
        commitments: keyed commitments of the documents that were judged.
    """

    decision: Effect
    rules: tuple[Finding, ...]
    policy_digest: str
    draft: str | None
    draft_digest: str | None
    at: str | None
    commitments: tuple[tuple[str, str], ...]

    @property
    def failed(self) -> tuple[Finding, ...]:
        """Findings that did not pass, warnings included."""
        return tuple(found for found in self.rules if not found.passed)

    def to_json(self) -> dict[str, JSON]:
        """`dpsynth.decision/1`, with confidential figures: for the workspace only."""
        return {
            "schema": "dpsynth.decision/1",
            "decision": self.decision,
            "draft": self.draft,
            "draft_digest": self.draft_digest,
            "policy_digest": self.policy_digest,
            "at": self.at,
            "commitments": dict(self.commitments),
            "rules": [found.to_json() for found in self.rules],
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Decision:
        """A decision as `to_json` wrote it; whether it is the one that was taken is for the ledger's digest to say.

        Raises:
            GateRefused: it cannot be read.
        """
        try:
            return cls(
                decision=body["decision"],
                rules=tuple(Finding(**found) for found in body["rules"]),
                policy_digest=body["policy_digest"],
                draft=body["draft"],
                draft_digest=body["draft_digest"],
                at=body["at"],
                commitments=tuple(sorted(body["commitments"].items())),
            )
        except (KeyError, TypeError, AttributeError) as error:
            raise GateRefused("The stored decision cannot be read.", "Run `dpsynth gate` again.") from error

    def require_ship(self, waived: Set[str] = frozenset()) -> None:
        """Return for `ship`, or if all that stands against it was waived.

        Args:
            waived: rules that reviewers waived (`dpsynth.release.approvals`).

        Raises:
            GateRefused: otherwise, with the first reasons.
        """
        against = [found for found in self.failed if found.effect != "ship"]
        if self.decision != "ship" and (not against or any(found.name not in waived for found in against)):
            reasons = dict.fromkeys(found.reason for found in self.failed if found.effect == self.decision)
            raise GateRefused(f"The gate says {self.decision}.", " ".join(reasons), decision=self.decision)

    def __str__(self) -> str:
        lines = [f"{self.decision}: draft {self.draft}, policy {self.policy_digest[:12]}"]
        for found in self.rules:
            mark = "ok  " if found.passed else ("warn" if found.on_fail == "warn" else "FAIL")
            lines.append(f"  {mark} {found.name:<20} {found.reason}")
        return "\n".join(lines)


def gate(evidence: Evidence, policy: Policy, *, rules: Sequence[Rule] | None = None) -> Decision:
    """Judge `evidence` by `policy`.

    Args:
        evidence: what `Evidence.assemble` made of the documents and the ledger.
        policy: the limits.
        rules: rules to ask instead of all built-in ones; an empty sequence rejects.

    Returns:
        The decision with every rule's value, limit and reason. Never raises for anything in the evidence.
    """
    asked = load_rules() if rules is None else tuple(rules)
    findings = tuple(sorted((_ask(rule, evidence, policy) for rule in asked), key=_failed_first))
    decision: Effect = max((found.effect for found in findings), key=_ORDER.index, default="reject")
    draft, ledger = evidence.draft, evidence.ledger
    return Decision(
        decision=decision,
        rules=findings,
        policy_digest=policy.digest(),
        draft=None if draft is None else draft.draft,
        draft_digest=None if draft is None else draft.draft_digest,
        at=None if ledger is None else f"{ledger.head_seq}:{ledger.head_hash}",
        commitments=tuple(sorted(evidence.commitments.items())),
    )


def _ask(rule: Rule, evidence: Evidence, policy: Policy) -> Finding:
    try:
        return rule.check(evidence, policy)
    except EvidenceMissing as missing:
        return Finding(
            name=rule.name,
            value=None,
            limit=None,
            passed=False,
            reason=f"Nothing to judge: {missing} is missing. Run the step that makes it.",
            on_fail="warn" if rule.on_fail == "warn" else "regenerate",
        )


def _failed_first(found: Finding) -> tuple[int, bool, str]:
    return (-_ORDER.index(found.effect), found.passed, found.name)
