"""The policy file: strict, explained, stable in its digest, and in step with the attacks."""

from __future__ import annotations

from decimal import Decimal

import jsonschema
import pytest
import yaml

from attacks.limits import DEFAULT_LIMITS
from attacks.protocol import Roles
from attacks.suite import ATTACKS, SUITES, build
from dpsynth.core.errors import PolicyError
from dpsynth.release.policy import Policy, default_policy, default_policy_text, policy_json_schema

SECTIONS = ("guarantee", "attempts", "attacks", "quality", "text")


def test_default_policy_holds_the_public_limit_of_all_that_standard_asks():
    standard = SUITES["standard"]
    attacks, _ = build(standard, Roles(sensitive=("secret",)), 12)
    asked = {e.limit_id for attack in attacks for e in attack.endpoints(Roles()) if standard.asks(e)}
    limits = {name: DEFAULT_LIMITS["public"][name].value for name in {*asked, "canary.auc"}}
    judged = default_policy().attack_limits()
    assert {name: value for name, value in judged.items() if not name.startswith("text.")} == limits


def test_default_policy_requires_attacks_that_exist():
    assert set(default_policy().attacks.required) <= {*ATTACKS, "canary"}
    assert set(default_policy().attacks.may_be_not_applicable) <= set(default_policy().attacks.limits)


def test_default_text_explains_every_limit():
    for line in default_policy_text().splitlines():
        if line.startswith("  ") and not line.startswith("    ") and ":" in line and not line.startswith("  limits"):
            key = line.split(":")[0].strip()
            assert "#" in line or key in {
                "max_epsilon_per_release", "max_delta", "required", "units", "allow_seeded_noise",
            }, line  # fmt: skip


def test_yaml_round_trip_keeps_the_digest():
    policy = default_policy()
    assert Policy.from_yaml(policy.to_yaml()).digest() == policy.digest()


def test_comments_order_and_spelling_of_numbers_do_not_change_the_digest():
    text = default_policy_text().replace("max_epsilon_per_release: 3 ", "max_epsilon_per_release: 3.00 ")
    lines = [line.split("  #")[0] for line in text.splitlines()]
    assert Policy.from_yaml("\n".join(lines)).digest() == default_policy().digest()
    body = yaml.safe_load(text)
    reordered = {key: body[key] for key in reversed(body)}
    assert Policy.from_yaml(yaml.safe_dump(reordered)).digest() == default_policy().digest()


def test_every_limit_changes_the_digest():
    body = default_policy().model_dump(mode="json")
    seen = {default_policy().digest()}
    for section in SECTIONS:
        for key, value in body[section].items():
            changed = default_policy().model_dump(mode="json")
            if isinstance(value, bool):
                changed[section][key] = not value
            elif isinstance(value, (str, int)):
                changed[section][key] = 1 if isinstance(value, int) else str(Decimal(value) / 2)
            elif isinstance(value, list):
                changed[section][key] = value[:1] if len(value) > 1 else ["zero_out"]
            elif section == "quality":  # its own sections
                inner = {
                    name: not one if isinstance(one, bool) else str(Decimal(one) / 2) for name, one in value.items()
                }
                changed[section][key] = inner
            else:
                changed[section][key] = dict(list(value.items())[1:])
            seen.add(Policy.model_validate(changed).digest())
    assert len(seen) == 1 + sum(len(body[s]) for s in SECTIONS)


@pytest.mark.parametrize(
    ("old", "new", "match"),
    [
        ("  max_delta: 1e-5", "  max_detla: 1e-5", "no key 'guarantee.max_detla'.*Did you mean 'guarantee.max_delta'"),
        ("quality:", "qualty:", "no key 'qualty'.*Did you mean 'quality'"),
        ("  max_attempts: 5 ", "  max_tries: 5 ", "no key 'attempts.max_tries'.*Did you mean 'attempts.max_attempts'"),
        ("max_epsilon_total: 10 ", "max_epsilon_total: -1 ", "guarantee.max_epsilon_total"),
        ("max_epsilon_total: 10 ", "max_epsilon_total: .inf ", "not finite"),
        ("max_epsilon_total: 10 ", "max_epsilon_total: much ", "guarantee.max_epsilon_total"),
        ("max_epsilon_total: 10 ", "max_epsilon_total: true ", "guarantee.max_epsilon_total"),
        ("  alpha: 0.1 ", "  alpha: 1 ", "attempts.alpha"),
        ("version: 1", "version: 2", "version"),
        ("[add_remove]", "[]", "guarantee.relations"),
        ("[add_remove]", "[swap]", "guarantee.relations"),
        ("version: 1", "version: 1\nversion: 1", "names a key twice"),
        ("version: 1", "version: &v 1", "anchor"),
        ("  max_attempts: 5 ", "  # max_attempts: 5 ", "lacks 'attempts.max_attempts'"),
    ],
)
def test_a_policy_that_cannot_be_applied_is_refused_by_name(old, new, match):
    text = default_policy_text()
    assert old in text
    with pytest.raises(PolicyError, match=match):
        Policy.from_yaml(text.replace(old, new, 1))


@pytest.mark.parametrize("text", [b"", b"- a", b"\xff\xfe", b"a: [", b"{" * 500, b"x: 1\n" * 100_000])
def test_no_text_crashes_the_reader(text):
    with pytest.raises(PolicyError):
        Policy.from_yaml(text)


def test_alpha_over_all_attempts_never_exceeds_alpha():
    policy = default_policy()
    assert sum(policy.alpha_at(k) for k in range(1, 2000)) <= policy.attempts.alpha
    assert policy.alpha_at(1) == Decimal("0.05")
    assert all(policy.alpha_at(k + 1) < policy.alpha_at(k) for k in range(1, 100))


def test_json_schema_accepts_the_default_and_refuses_the_unknown():
    schema = policy_json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    body = yaml.safe_load(default_policy_text())
    jsonschema.validate(body, schema)
    body["guarantee"]["waive"] = True
    with pytest.raises(jsonschema.ValidationError, match="waive"):
        jsonschema.validate(body, schema)
