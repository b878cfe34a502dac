"""Seal, judge, release, verify: what stops a file from leaving, and what lets a stranger check one that left.

    seal -> evidence -> gate(policy) -> export -> verify

Names load on first use: `import dpsynth.release` costs nothing. Functions named like their module are imported from
it (`from dpsynth.release.gate import gate`), because a package attribute can be only one of the two.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_EXPORTS = {
    "Card": "dpsynth.release.card:Card",
    "Decision": "dpsynth.release.gate:Decision",
    "Documents": "dpsynth.release.export:Documents",
    "DraftDocument": "dpsynth.release.evidence:DraftDocument",
    "Evidence": "dpsynth.release.evidence:Evidence",
    "Finding": "dpsynth.release.rules.protocol:Finding",
    "Policy": "dpsynth.release.policy:Policy",
    "Release": "dpsynth.release.export:Release",
    "ReportInputs": "dpsynth.release.export:ReportInputs",
    "SealedFacts": "dpsynth.release.seal:SealedFacts",
    "Vault": "dpsynth.release.seal:Vault",
    "VerificationReport": "dpsynth.release.verification:VerificationReport",
    "bind": "dpsynth.release.evidence:bind",
    "card_json_schema": "dpsynth.release.card:card_json_schema",
    "default_policy": "dpsynth.release.policy:default_policy",
    "default_policy_text": "dpsynth.release.policy:default_policy_text",
    "encode_parquet": "dpsynth.release.formats:encode_parquet",
    "gather": "dpsynth.release.export:gather",
    "judge": "dpsynth.release.export:judge",
    "next_attempt": "dpsynth.release.entries:next_attempt",
    "policy_json_schema": "dpsynth.release.policy:policy_json_schema",
    "record_attempt": "dpsynth.release.entries:record_attempt",
    "record_recall": "dpsynth.release.entries:record_recall",
    "record_report": "dpsynth.release.entries:record_report",
}

__all__ = list(_EXPORTS)


def __getattr__(name: str) -> Any:
    if name not in _EXPORTS:
        raise AttributeError(f"module 'dpsynth.release' has no attribute {name!r}")
    module, attribute = _EXPORTS[name].split(":")
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *_EXPORTS})
