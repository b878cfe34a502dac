"""The rules of the gate: one file a rule, one line each in this table.

`RULES` maps a rule's name to where it lives; strings keep imports lazy. A test holds the table against the
folder. To add a rule: a file here with `RULE`, a line below, a test that subclasses
`tests.conformance.rule`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Final, cast

from dpsynth.release.rules.protocol import Rule

RULES: Final[Mapping[str, str]] = {
    "evidence_complete": "dpsynth.release.rules.evidence_complete:RULE",
    "documents_bound": "dpsynth.release.rules.documents_bound:RULE",
    "policy_reserved": "dpsynth.release.rules.policy_reserved:RULE",
    "guarantee_recorded": "dpsynth.release.rules.guarantee_recorded:RULE",
    "relation_and_unit": "dpsynth.release.rules.relation_and_unit:RULE",
    "guarantee_given": "dpsynth.release.rules.guarantee_given:RULE",
    "noise_exact": "dpsynth.release.rules.noise_exact:RULE",
    "epsilon_per_release": "dpsynth.release.rules.epsilon_per_release:RULE",
    "epsilon_total": "dpsynth.release.rules.epsilon_total:RULE",
    "published_figures": "dpsynth.release.rules.published_figures:RULE",
    "recipient": "dpsynth.release.rules.recipient:RULE",
    "real_anchor": "dpsynth.release.rules.real_anchor:RULE",
    "delta": "dpsynth.release.rules.delta:RULE",
    "attempts": "dpsynth.release.rules.attempts:RULE",
    "attacks_required": "dpsynth.release.rules.attacks_required:RULE",
    "attack_verdicts": "dpsynth.release.rules.attack_verdicts:RULE",
    "attack_limits": "dpsynth.release.rules.attack_limits:RULE",
    "attack_level": "dpsynth.release.rules.attack_level:RULE",
    "attack_controls": "dpsynth.release.rules.attack_controls:RULE",
    "empirical_epsilon": "dpsynth.release.rules.empirical_epsilon:RULE",
    "canary_share": "dpsynth.release.rules.canary_share:RULE",
    "quality": "dpsynth.release.rules.quality:RULE",
    "utility": "dpsynth.release.rules.utility:RULE",
    "later": "dpsynth.release.rules.later:RULE",
    "tail_recall": "dpsynth.release.rules.tail_recall:RULE",
    "diversity": "dpsynth.release.rules.diversity:RULE",
    "tails": "dpsynth.release.rules.tails:RULE",
}


def load_rules() -> tuple[Rule, ...]:
    """All rules in the order of the table."""
    return tuple(load_rule(name) for name in RULES)


def load_rule(name: str) -> Rule:
    """One rule by name."""
    module, attribute = RULES[name].split(":")
    return cast("Rule", getattr(import_module(module), attribute))
