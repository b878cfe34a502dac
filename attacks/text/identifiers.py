"""Identifiers in text, recognised by their form and, where they carry one, by their checksum.

    card    13 to 19 digits with spaces or dashes that satisfy Luhn's check (ISO/IEC 7812-1)
    iban    country code and length of the registry, remainder 1 modulo 97 (ISO 13616)
    email   local part, @, domain with a dot
    phone   + and 8 to 15 digits (E.164), or ten digits of the North American plan, in the usual groupings

A checksum keeps order numbers and other digits out: nine in ten random digit strings fail Luhn, 96 in 97 the IBAN
check. Values are normalised (digits only, upper case, lower case), so another grouping is the same value. They stay
inside this package: nothing that is printed, raised or returned by an attack holds one.

>>> {kind: len(values) for kind, values in identifiers(["pay 4111 1111 1111 1111 or ask A.B@example.org"]).items()}
{'card': 1, 'iban': 0, 'email': 1, 'phone': 0}

Not guaranteed: names, addresses and numbers without a known form are not recognised here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import numpy as np

_IBAN_LENGTHS = (
    "AD24 AE23 AT20 BE16 BG22 BR29 CH21 CY28 CZ24 DE22 DK18 EE20 ES24 FI18 FR27 GB22 GR27 HR21 HU28 IE22 IL23 IS26 "
    "IT27 LI21 LT20 LU20 LV21 MC27 MT31 NL18 NO15 PL28 PT25 RO24 SA24 SE24 SI19 SK24 TR26"
)
IBAN_LENGTH: Mapping[str, int] = MappingProxyType({item[:2]: int(item[2:]) for item in _IBAN_LENGTHS.split()})

_CARD = re.compile(r"(?<![\d.])\d(?:[ -]?\d){12,18}(?![\d])")
_IBAN = re.compile(r"(?<![A-Za-z0-9])[A-Za-z]{2}\d{2}(?:[ -]?[A-Za-z0-9]){11,27}")
_EMAIL = re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@(?:[A-Za-z0-9-]{1,63}\.){1,8}[A-Za-z]{2,24}(?![\w-])")
_PHONE = re.compile(
    r"(?<![\w+])(?:\+\d(?:[ .()/-]{0,2}\d){7,14}|\(?[2-9]\d{2}\)?[ .-]{0,2}[2-9]\d{2}[ .-]?\d{4})(?![\w])"
)


def luhn(digits: str) -> bool:
    """Luhn's check of a string of digits."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) * (1 + place % 2)
        total += value - 9 * (value > 9)
    return total % 10 == 0


def iban_valid(value: str) -> bool:
    """Country, length and remainder 1 modulo 97 of an IBAN without spaces, upper case."""
    if IBAN_LENGTH.get(value[:2]) != len(value):
        return False
    return int("".join(str(int(c, 36)) for c in value[4:] + value[:4])) % 97 == 1


def _ascii_digits(text: str) -> str:
    return "".join(str(int(c)) for c in text if c.isdecimal())


def _card(found: str) -> str | None:
    digits = _ascii_digits(found)
    return digits if luhn(digits) and len(set(digits)) > 1 else None


def _iban(found: str) -> str | None:
    packed = "".join(c for c in found if c.isalnum()).upper()
    value = packed[: IBAN_LENGTH.get(packed[:2], 0)]  # what follows without a stop belongs to the sentence
    return value if value.isascii() and value and iban_valid(value) else None


def _email(found: str) -> str | None:
    return found.casefold()


def _phone(found: str) -> str | None:
    digits = _ascii_digits(found)
    national = found.lstrip().startswith("+") is False
    value = f"1{digits}" if national else digits
    return value if len(set(value[-7:])) > 1 else None


_DIGIT = re.compile(r"\d")
_AT = re.compile("@")
_KINDS: Mapping[str, tuple[re.Pattern[str], re.Pattern[str], Callable[[str], str | None]]] = MappingProxyType(
    {
        "card": (_DIGIT, _CARD, _card),
        "iban": (_DIGIT, _IBAN, _iban),
        "email": (_AT, _EMAIL, _email),
        "phone": (_DIGIT, _PHONE, _phone),
    }
)
"""Kind -> a sign that costs nothing to look for and without which there is none, its form, its normal form."""
KINDS: tuple[str, ...] = tuple(_KINDS)


def identifiers(texts: Iterable[str]) -> dict[str, set[str]]:
    """Distinct normalised values of each kind; confidential, as the texts are."""
    found: dict[str, set[str]] = {kind: set() for kind in KINDS}
    for text in texts:
        seen = {sign: sign.search(text) is not None for sign in (_DIGIT, _AT)}
        for kind, (sign, pattern, normalise) in _KINDS.items():
            for match in pattern.finditer(text) if seen[sign] else ():
                value = normalise(match.group())
                if value is not None:
                    found[kind].add(value)
    return found


def rewritten(kind: str, value: str, rng: np.random.Generator) -> str:
    """The value as somebody else might type it: other grouping, other case. For positive controls."""
    if kind == "email":
        return value.upper() if rng.random() < 0.5 else value.capitalize()
    if kind == "phone":
        if value.startswith("1") and len(value) == 11 and rng.random() < 0.5:
            return f"({value[1:4]}) {value[4:7]}-{value[7:]}"
        return "+" + value[:2] + " " + " ".join(value[i : i + 3] for i in range(2, len(value), 3))
    return (" " if kind == "iban" or rng.random() < 0.5 else "-").join(
        value[i : i + 4] for i in range(0, len(value), 4)
    )
