"""A tier is the default policy for other recipients: other limits on attacks, reviewers, and nothing else."""

from __future__ import annotations

from typing import Any

import pytest

from attacks.limits import DEFAULT_LIMITS
from dpsynth.release.policy import TIERS, Policy, default_policy, tier_text

HELD_TO = {"public": "public", "restricted": "restricted", "internal": "restricted"}


def _body(policy: Policy) -> dict[str, Any]:
    return policy.model_dump(mode="json")


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_asks_all_that_the_default_asks(tier: str) -> None:
    found, default = _body(Policy.from_yaml(tier_text(tier))), _body(default_policy())
    own = {"name", "recipient", "review"}
    for section in ("attacks", "text"):
        del found[section]["limits"], default[section]["limits"]
    assert {k: v for k, v in found.items() if k not in own} == {k: v for k, v in default.items() if k not in own}


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_limits_every_attack_as_the_attacks_limit_its_recipients(tier: str) -> None:
    policy = Policy.from_yaml(tier_text(tier))
    assert policy.judged().keys() == default_policy().judged().keys()
    for name, value in policy.judged().items():
        assert float(value) == DEFAULT_LIMITS[HELD_TO[tier]][name].value


def test_privacy_is_never_waivable() -> None:
    for tier in TIERS:
        review = Policy.from_yaml(tier_text(tier)).review
        assert review is not None
        assert set(review.waivable) <= {"quality", "utility", "tail_recall", "diversity", "attempts", "real_anchor"}
