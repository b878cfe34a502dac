"""The decision and its policy, judged again from what a receiver holds; part of `verify`.

Rules whose evidence is the ledger are asked again; of the attacks, that the published rows agree with a policy under
which they passed. A rule may have failed if reviewers waived it, which `dpsynth.release.approvals` says.

Not guaranteed: figures that were not published. That the machine judged them is what the ledger records.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from decimal import Decimal
from typing import Final

from dpsynth.release.asked import IDENTIFIERS, IDENTIFIERS_LIMIT, NO_LIMITS, attacks_asked
from dpsynth.release.card import Card
from dpsynth.release.documents import JSON, Refusal, digest
from dpsynth.release.evidence import Evidence, LedgerFacts
from dpsynth.release.policy import Policy
from dpsynth.release.rules import RULES, load_rule
from dpsynth.release.statement import Predicate

_LATER_RULES: Final = ("guarantee_given", "recipient", "published_figures")  # not in old decisions; asked here
_FROM_LEDGER: Final = (*_LATER_RULES, "epsilon_per_release", "epsilon_total", "noise_exact", "attempts")


def check_decision(
    decision: Mapping[str, JSON],
    claims: Predicate,
    facts: LedgerFacts,
    card: Card,
    *,
    policy: Policy,
    waived: Set[str] = frozenset(),
) -> None:
    """The decision is the ledger's last on this draft and judged what the ledger recorded; what failed was waived.

    Args:
        decision: parsed `decision.json`.
        claims: of the signed statement.
        facts: what the verified chain says about this draft.
        card: parsed `card.yaml`.
        policy: parsed `policy.yaml`: rules that it asks nothing of need not have been asked.
        waived: rules that reviewers waived.

    Raises:
        Refusal: it is not, or something failed.
    """
    if digest(decision) != claims.decision_digest:
        raise Refusal("decision_mismatch", "decision.json is not the decision that the ledger records.")
    if facts.recorded["decision"][-1:] != (claims.decision_digest,):
        raise Refusal("decision_mismatch", "The ledger's last decision on this draft is another one.")
    if decision.get("decision") != claims.decision or (claims.decision != "ship" and not waived):
        raise Refusal("decision_not_ship", f"The gate's decision was {_word(decision.get('decision'))}.")
    rules = decision.get("rules")
    asked = {str(rule.get("name")): rule for rule in _objects(rules)}
    unasked = {*_LATER_RULES, *policy.unasked, *(() if card.lineage is not None else ("real_anchor",))}
    lacking = [name for name in RULES if name not in asked and name not in unasked]
    if lacking:
        raise Refusal("rule_missing", f"The decision was taken without the rule {lacking[0]}.")
    for name, rule in asked.items():
        if rule.get("passed") is not True and rule.get("on_fail") != "warn" and name not in waived:
            raise Refusal("rule_failed", f"The rule {_word(name)} failed, and nobody waived it.")
    recorded = {"draft": "attempt", "attack": "attack", "quality": "quality"}
    commitments = decision.get("commitments")
    for name, kind in recorded.items():
        last = facts.recorded[kind][-1:]
        judged = commitments.get(name) if isinstance(commitments, Mapping) else None
        if last != ((judged,) if judged is not None else ()):
            raise Refusal("stale_evidence", f"The decision judged another {name}.json than the ledger records last.")


def check_policy(
    policy: Policy,
    claims: Predicate,
    decision: Mapping[str, JSON],
    evidence: Mapping[str, JSON],
    facts: LedgerFacts,
    card: Card,
    *,
    waived: Set[str] = frozenset(),
) -> None:
    """The policy is the one that everybody names, and what can be judged again still holds under it.

    Args:
        policy: parsed `policy.yaml`.
        claims: of the signed statement.
        decision: parsed `decision.json`.
        evidence: parsed `evidence.json`.
        facts: what the verified chain says about this draft.
        card: parsed `card.yaml`.
        waived: rules that reviewers waived.

    Raises:
        Refusal: naming the rule.
    """
    applied = policy.digest()
    for who, other in (
        ("statement", claims.policy_digest),
        ("decision", decision.get("policy_digest")),
        ("reservation", facts.reserved_policy),
        ("card", card.policy.digest),
    ):
        if applied != other:
            raise Refusal("policy_mismatch", f"policy.yaml is not the policy that the {who} names.")
    ledger_only = Evidence(draft=None, attack=None, quality=None, ledger=facts, commitments={}, problems={})
    for name in (rule for rule in _FROM_LEDGER if rule not in waived):
        found = load_rule(name).check(ledger_only, policy)
        if not found.passed:
            raise Refusal(f"policy_{name}", found.reason)
    guarantee, limits = facts.guarantee, policy.guarantee
    if guarantee.delta > limits.max_delta or guarantee.delta * card.row_total > limits.max_delta_times_rows:
        raise Refusal("policy_delta", "Delta is above the policy's limit.")
    if guarantee.relation.value not in limits.relations or guarantee.unit.kind not in limits.units:
        raise Refusal("policy_relation_and_unit", "The policy does not accept this relation or unit.")
    if card.canaries.share > policy.attacks.max_canary_share:
        raise Refusal("policy_canary_share", "The share of canaries is above the policy's limit.")
    _check_attacks(policy, evidence, facts, card)


def _check_attacks(policy: Policy, evidence: Mapping[str, JSON], facts: LedgerFacts, card: Card) -> None:
    """What the public evidence shows of the attacks agrees with a policy under which they passed."""
    rows = _objects(evidence.get("attacks"))
    text = card.text
    if text is not None and policy.text is None:
        raise Refusal("attack_missing", NO_LIMITS)
    beside = [name for name in card.columns if text is None or name != text.column]
    wanted = attacks_asked(policy, columns=bool(beside), text=text is not None)
    ran = {str(row.get("name")).partition(":")[0] for row in rows}
    asked = {str(row.get("limit_id")) for row in rows}
    excused = wanted.excused
    lacking = [name for name in wanted.required if name not in ran.union(excused.values(), [IDENTIFIERS])]
    lacking += [limit for limit in wanted.limits if limit not in asked.union(excused, [IDENTIFIERS_LIMIT])]
    if lacking:
        raise Refusal("attack_missing", f"The required attack {lacking[0]} is not in the evidence.")
    for row in rows:
        limit, applied = wanted.limits.get(str(row.get("limit_id"))), row.get("limit")
        if row.get("verdict") != "pass" or limit is None or not _at_most(applied, limit):
            raise Refusal("attack_not_passed", "An attack in the evidence did not pass under this policy.")
    bound = evidence.get("epsilon_lower_bound")
    if not isinstance(bound, Mapping) or not _at_most(bound.get("value"), facts.guarantee.epsilon):
        raise Refusal("empirical_epsilon", "The canaries contradict the claimed epsilon, or are missing.")


def _objects(value: JSON) -> list[Mapping[str, JSON]]:
    return [item for item in value if isinstance(item, Mapping)] if isinstance(value, list) else []


def _at_most(value: JSON, limit: Decimal) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and Decimal(repr(value)) <= limit


def _word(value: object) -> str:
    return value if value in {"ship", "regenerate", "reject"} or value in RULES else "unknown"  # type: ignore[return-value]
