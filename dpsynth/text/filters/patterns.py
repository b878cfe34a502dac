"""Identifiers beyond those that the attacks look for: forms, with their checksums where they have one.

    ssn     US social security number 123-45-6789, area, group and serial as issued since 2011
    nhs     ten digits of the UK's health service as 3-3-4, remainder modulo 11
    cpf     Brazil's 000.000.000-00, two remainders modulo 11
    dni     Spain's eight digits (NIE: X, Y or Z and seven) and the letter of the remainder modulo 23
    nir     France's fifteen digits, key 97 minus the remainder modulo 97
    cf      Italy's codice fiscale, sixteen characters with a check letter
    pesel   Poland's eleven digits, a date and a weighted check digit
    ip      IPv4 and IPv6 addresses that the standard library reads, the latter with two groups and a digit
    url     a scheme and a host, or www. and a host

>>> sorted(kind for kind in EXTRA if has(kind, "mail 078-05-1120 from 192.168.0.7"))
['ip', 'ssn']

Not guaranteed: names, addresses, dates of birth, and numbers of other countries.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from types import MappingProxyType

_SSN = re.compile(r"(?<![\w-])(?!000|666|9)\d{3}-(?!00)\d{2}-(?!0000)\d{4}(?![\w-])", re.ASCII)
_NHS = re.compile(r"(?<![\w-])\d{3}[ -]\d{3}[ -]\d{4}(?![\w-])", re.ASCII)
_CPF = re.compile(r"(?<![\w.])\d{3}\.\d{3}\.\d{3}-\d{2}(?!\w)", re.ASCII)
_DNI = re.compile(r"(?<!\w)(?:\d{8}|[XYZ]\d{7})-?[A-Z](?!\w)", re.ASCII)
_NIR = re.compile(r"(?<!\w)[12] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}(?!\w)", re.ASCII)
_CF = re.compile(r"(?<!\w)[A-Z]{6}\d{2}[A-EHLMPRST]\d{2}[A-Z]\d{3}[A-Z](?!\w)", re.ASCII)
_PESEL = re.compile(r"(?<![\w-])\d{11}(?![\w-])", re.ASCII)
_IP = re.compile(
    r"(?<![\w.:])(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9A-Fa-f:]{2,39}(?:\d{1,3}(?:\.\d{1,3}){3})?)(?![\w:])", re.ASCII
)
_URL = re.compile(r"(?<!\w)(?:[a-z][a-z0-9+.-]{1,15}://[^\s/?#]{1,255}|www\.[\w-]{1,63}\.[\w.-]{2,190})", re.IGNORECASE)

_DNI_LETTERS = "TRWAGMYFPDXBNJZSQVHLCKE"
_CF_DIGITS = (1, 0, 5, 7, 9, 13, 15, 17, 19, 21)
_CF_LETTERS = (*_CF_DIGITS, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23)
_CF_ODD = dict(zip("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ", (*_CF_DIGITS, *_CF_LETTERS), strict=True))


def _digits(found: str) -> list[int]:
    return [int(letter) for letter in found if letter.isdecimal()]


def _nhs(found: str) -> bool:
    digits = _digits(found)
    check = -sum(digit * weight for digit, weight in zip(digits, range(10, 1, -1), strict=False)) % 11
    return check == digits[9]


def _cpf(found: str) -> bool:
    digits = _digits(found)
    checks = [
        -sum(digit * weight for digit, weight in zip(digits, range(size + 1, 1, -1), strict=False)) % 11 % 10
        for size in (9, 10)
    ]
    return checks == digits[9:] and len(set(digits)) > 1


def _dni(found: str) -> bool:
    packed = found.replace("-", "")
    number = int(packed[:-1].translate(str.maketrans("XYZ", "012")))
    return _DNI_LETTERS[number % 23] == packed[-1]


def _nir(found: str) -> bool:
    packed = found.replace(" ", "")
    number = int(packed[:-2].replace("2A", "19").replace("2B", "18"))
    return 97 - number % 97 == int(packed[-2:])


def _cf(found: str) -> bool:
    even = [int(letter) if letter.isdecimal() else ord(letter) - ord("A") for letter in found[1:15:2]]
    return chr(ord("A") + (sum(_CF_ODD[letter] for letter in found[0:15:2]) + sum(even)) % 26) == found[15]


def _pesel(found: str) -> bool:
    digits = _digits(found)
    month, day = (digits[2] * 10 + digits[3]) % 20, digits[4] * 10 + digits[5]
    check = -sum(digit * weight for digit, weight in zip(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3), strict=False)) % 10
    return 1 <= month <= 12 and 1 <= day <= 31 and check == digits[10]


def _ip(found: str) -> bool:
    try:
        ipaddress.ip_address(found)
    except ValueError:
        return False
    groups = [group for group in found.split(":") if group]
    return "." in found or (len(groups) > 1 and any(letter.isdecimal() for letter in found))  # a::b is C++


def _always(found: str) -> bool:  # noqa: ARG001
    return True


EXTRA: Mapping[str, tuple[re.Pattern[str], Callable[[str], bool]]] = MappingProxyType(
    {
        "ssn": (_SSN, _always),
        "nhs": (_NHS, _nhs),
        "cpf": (_CPF, _cpf),
        "dni": (_DNI, _dni),
        "nir": (_NIR, _nir),
        "cf": (_CF, _cf),
        "pesel": (_PESEL, _pesel),
        "ip": (_IP, _ip),
        "url": (_URL, _always),
    }
)


def has(kind: str, text: str) -> bool:
    """Whether the text holds an identifier of that kind of `EXTRA`."""
    pattern, valid = EXTRA[kind]
    return any(valid(found.group()) for found in pattern.finditer(text))
