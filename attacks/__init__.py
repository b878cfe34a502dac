"""Attacks on synthetic data: what was tried, what it would have caught, and what it found.

The package knows data only: no epsilon, no generator. `run` attacks a release with a named suite, `audit` does the
same for anybody's three tables, and both return an `AttackReport` of verdicts `pass`, `fail` or `inconclusive`.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_LAZY = {
    "AttackError": "attacks.errors",
    "AttackInputError": "attacks.errors",
    "AttackParameterError": "attacks.errors",
    "AttackReport": "attacks.report",
    "AttackReportError": "attacks.errors",
    "AttackResult": "attacks.report",
    "Canaries": "attacks.canary",
    "DEFAULT_LIMITS": "attacks.limits",
    "Limit": "attacks.limits",
    "GeneratorAudit": "attacks.generators.auditing",
    "Released": "attacks.released",
    "Roles": "attacks.protocol",
    "SUITES": "attacks.suite",
    "TextCanaries": "attacks.text.canaries",
    "audit": "attacks.auditing",
    "audit_generator": "attacks.generators.auditing",
    "audit_likelihood": "attacks.generators.rmia",
    "plan_audit": "attacks.generators.auditing",
    "audit_text": "attacks.text.auditing",
    "canaries_needed": "attacks.power",
    "most_isolated": "attacks.isolation",
    "make_canaries": "attacks.canary",
    "make_text_canaries": "attacks.text.canaries",
    "read_canaries": "attacks.text.canary_file",
    "run": "attacks.suite",
    "two_world": "attacks.dp_audit.two_world",
    "write_canaries": "attacks.text.canary_file",
}

__all__ = list(_LAZY)


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'attacks' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
