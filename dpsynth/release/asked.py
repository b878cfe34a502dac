"""What a policy asks of one draft: by the columns that it has.

A draft with columns beside its text is held to the sections `attacks` and `quality`, one with a text to the section
`text`, one with both to all of them. Canaries of texts are asked for by name in `text.required` and limited, like those
of tables, by `canary.auc` in `attacks.limits`.

>>> from dpsynth.release.policy import default_policy
>>> asked = attacks_asked(default_policy(), columns=False, text=True)
>>> "text_verbatim" in asked.required, "verbatim" in asked.required, "canary.auc" in asked.limits
(True, False, True)

Not guaranteed: anything for a policy without a section `text`; its rules refuse drafts with one (`NO_LIMITS`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, final

from dpsynth.release.policy import Policy

NO_LIMITS: Final = (
    "The policy names no text limits, and this draft has a column of text. Add the section `text` to the policy (the "
    "default has one), then reserve anew: a changed policy is a new decision."
)
IDENTIFIERS: Final = "identifiers"
"""Asked kind by kind, and which kinds occur often enough to ask is a fact about private texts: no bundle shows them,
nor how many there were. That they passed is what the decision says."""
IDENTIFIERS_LIMIT: Final = "text.identifiers"
CANARY: Final = "canary"
CANARY_LIMIT: Final = "canary.auc"


def is_shown(attack: str) -> bool:
    """Whether a bundle may tell that the attack of this name was run."""
    return attack.partition(":")[0] != IDENTIFIERS


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Attacks that must have run, limits that must have been asked for, and limit -> attack that may not apply."""

    required: tuple[str, ...]
    limits: Mapping[str, Decimal]
    excused: Mapping[str, str]


def attacks_asked(policy: Policy, *, columns: bool, text: bool) -> Asked:
    """What must have run on a draft with columns beside a text, with a text, or with both."""
    required: dict[str, None] = {}
    limits: dict[str, Decimal] = {}
    excused: dict[str, str] = {}
    if columns:
        required |= dict.fromkeys(policy.attacks.required)
        limits |= policy.attacks.limits
        excused |= policy.attacks.may_be_not_applicable
    if text and policy.text is not None:
        required |= dict.fromkeys(policy.text.required)
        limits |= policy.text.limits
        excused |= policy.text.may_be_not_applicable
        if CANARY in policy.text.required and CANARY_LIMIT in policy.attacks.limits:
            limits[CANARY_LIMIT] = policy.attacks.limits[CANARY_LIMIT]
    return Asked(required=tuple(required), limits=limits, excused=excused)
