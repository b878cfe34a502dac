"""Identifiers: checksums decide, groupings do not, and no value ever leaves."""

from __future__ import annotations

import numpy as np
import pytest

from attacks.text.auditing import audit_text
from attacks.text.identifiers import IBAN_LENGTH, iban_valid, identifiers, luhn, rewritten
from tests.attacks.text.worlds import parts


def valid_card(rng) -> str:
    body = "4" + "".join(str(d) for d in rng.integers(0, 10, 14))
    return next(body + str(d) for d in range(10) if luhn(body + str(d)))


def valid_iban(rng) -> str:
    account = "".join(str(d) for d in rng.integers(0, 10, 18))
    return next(f"DE{k:02d}{account}" for k in range(2, 99) if iban_valid(f"DE{k:02d}{account}"))


def phone(rng) -> str:
    return (
        "1"
        + "".join(str(d) for d in [*rng.integers(2, 10, 1), *rng.integers(0, 10, 2), *rng.integers(2, 10, 1)])
        + ("".join(str(d) for d in rng.integers(0, 10, 6)))
    )


@pytest.mark.parametrize("value", ["4111111111111111", "378282246310005", "5555555555554444"])  # issuers' test numbers
def test_published_test_cards_satisfy_luhn_and_a_changed_digit_does_not(value):
    assert luhn(value)
    for at in range(len(value)):
        assert not luhn(value[:at] + str((int(value[at]) + 1) % 10) + value[at + 1 :])


@pytest.mark.parametrize(
    "value", ["GB82WEST12345698765432", "DE89370400440532013000", "NL91ABNA0417164300"]
)  # registry
def test_published_ibans_are_valid_and_a_swap_of_neighbours_is_not(value):
    assert iban_valid(value) and len(value) == IBAN_LENGTH[value[:2]]
    swaps = [value[:i] + value[i + 1] + value[i] + value[i + 2 :] for i in range(2, len(value) - 1)]
    assert not any(iban_valid(s) for s in swaps if s != value)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("card", "card 4111-1111-1111-1111."),
        ("iban", "to gb82 west 1234 5698 7654 32 today"),
        ("email", "(write to First.Last+x@mail.example.co.uk, please)"),
        ("phone", "call (212) 555-0187 now"),
        ("phone", "ring +44 20 7946 0958"),
    ],
)
def test_usual_writings_are_recognised(kind, text):
    assert len(identifiers([text])[kind]) == 1


@pytest.mark.parametrize(
    "text",
    [
        "order 4111111111111112",
        "0000 0000 0000 0000",
        "DE89 3704 0044 0532 0130 01",
        "a@b",
        "x@@y.com",
        "version 1.2.3",
    ],
)
def test_what_only_looks_like_one_is_not(text):
    assert not any(identifiers([text]).values())


def test_random_digits_pass_luhn_once_in_ten():
    rng = np.random.default_rng(4)
    texts = [" ".join(["no", "".join(str(d) for d in rng.integers(0, 10, 16))]) for _ in range(3000)]
    assert len(identifiers(texts)["card"]) == pytest.approx(300, abs=5 * np.sqrt(270))


@pytest.mark.parametrize(("kind", "make"), [("card", valid_card), ("iban", valid_iban), ("phone", phone)])
def test_a_value_typed_anew_is_the_same_value(kind, make):
    rng = np.random.default_rng(5)
    values = [make(rng) for _ in range(200)]
    for value in values:
        assert value in identifiers([f"call {rewritten(kind, value, rng)}, please"])[kind]


def test_a_hostile_line_is_scanned_in_linear_time():
    for text in ("a" * 300_000 + "@", "1 " * 200_000, "+" + "1-" * 200_000, "a.b" * 100_000, "DE12" * 100_000):
        identifiers([text])


def world(rng):
    members, holdout, release = parts(200, 200, 200, seed=5)
    own = [valid_card(rng) for _ in range(80)]
    other = [valid_card(rng) for _ in range(80)]
    hotline = "4111111111111111"
    members = [t + f" card {own[i]}" if i < 80 else t + f" help {hotline}" for i, t in enumerate(members)]
    holdout = [t + f" card {other[i]}" if i < 80 else t + f" help {hotline}" for i, t in enumerate(holdout)]
    return members, holdout, release, own, other, hotline


def row(report):
    return next(r for r in report.attacks if r.name == "identifiers:card")


def test_replayed_cards_fail_and_a_shared_hotline_or_chance_does_not():
    rng = np.random.default_rng(6)
    members, holdout, release, own, other, hotline = world(rng)
    clean = row(audit_text(members, [t + f" {hotline}" for t in release], holdout))
    assert (clean.verdict, clean.n_targets, clean.estimate) == ("pass", 80, 0.0)
    assert clean.positive_control.kind == "rewritten" and clean.detectable <= 0.35
    leaked = audit_text(members, release + [f"pay {rewritten('card', v, rng)}" for v in own[:16]], holdout)
    assert row(leaked).verdict == "fail" and row(leaked).estimate == 0.2
    both = row(audit_text(members, release + own[:8] + other[:8], holdout))
    assert both.verdict == "inconclusive"  # a generator that knows the holdout as well


def test_no_report_holds_a_value():
    rng = np.random.default_rng(7)
    members, holdout, release, own, other, hotline = world(rng)
    report = audit_text(members, release + own, holdout)
    shown = f"{report} {report.to_json()} {report._repr_html_()} {report!r}"
    assert not any(value in shown for value in (*own, *other, hotline))
    assert report.verdict == "fail"


def test_few_values_are_not_asked_unless_one_is_replayed():
    rng = np.random.default_rng(8)
    members, holdout, release = parts(150, 150, 150, seed=6)
    value = valid_iban(rng)
    members = [members[0] + " " + value, *members[1:]]
    quiet = audit_text(members, release, holdout)
    assert "identifiers:iban" in {item.name for item in quiet.not_applicable}
    loud = audit_text(members, [*release, value], holdout)
    assert next(r for r in loud.attacks if r.name == "identifiers:iban").verdict != "pass"
