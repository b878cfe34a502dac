"""Attacks on synthetic data: what was tried, what it would have caught, and what it found.

The package knows data only: no epsilon, no generator. `run` attacks a release with a named suite, `audit` does the
same for anybody's three tables, and both return an `AttackReport` of verdicts `pass`, `fail` or `inconclusive`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

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
    "Limits": "attacks.limits",
    "Roles": "attacks.protocol",
    "SUITES": "attacks.suite",
    "audit": "attacks.audit",
    "make_canaries": "attacks.canary",
    "run": "attacks.suite",
}

__all__ = [  # noqa: PLE0604, RUF022
    *_LAZY,
]


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'attacks' has no attribute {name!r}")
    value = getattr(import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)


if TYPE_CHECKING:
    from attacks.audit import audit
    from attacks.canary import Canaries, make_canaries
    from attacks.errors import AttackError, AttackInputError, AttackParameterError, AttackReportError
    from attacks.limits import DEFAULT_LIMITS, Limit, Limits
    from attacks.protocol import Roles
    from attacks.report import AttackReport, AttackResult
    from attacks.suite import SUITES, run
