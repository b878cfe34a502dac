r"""Text that the fonts of typst can show: an archive file may not hold a character without a shape.

PDF/A refuses a document with a missing glyph, and the bundled fonts know the European scripts, Hebrew, basic Arabic and
symbols, but neither Chinese nor emoji. Such a character becomes its number, so that nothing is lost or mistaken.

>>> printable("Z\u00fcrich \u2265 2 \u8868")
'Zürich ≥ 2 ⟨U+8868⟩'

Not guaranteed: that another version of typst bundles the same fonts; a test compiles every range.
"""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from typing import Final

from dpsynth.report.views import clean

RANGES: Final[tuple[tuple[int, int], ...]] = (
    (0x0020, 0x007E), (0x00A0, 0x00AC), (0x00AE, 0x0241), (0x0250, 0x02E9), (0x038E, 0x03A1), (0x03A3, 0x03CE),
    (0x03D0, 0x03E1), (0x03F0, 0x045F), (0x0470, 0x0477), (0x0490, 0x04C4), (0x04CF, 0x04F9), (0x0531, 0x0556),
    (0x0561, 0x0587), (0x05D0, 0x05EA), (0x0621, 0x063A), (0x0640, 0x064A), (0x0660, 0x066D), (0x06F0, 0x06F9),
    (0x10D0, 0x10FC), (0x1E00, 0x1E9B), (0x1E9E, 0x1EF9), (0x1F00, 0x1F15), (0x1F20, 0x1F45), (0x1F50, 0x1F57),
    (0x1F5F, 0x1F7D), (0x1F80, 0x1FB4), (0x1FB6, 0x1FC4), (0x2000, 0x200A), (0x2010, 0x2027), (0x202F, 0x2037),
    (0x2044, 0x204B), (0x2074, 0x208E), (0x2090, 0x209C), (0x20A0, 0x20B5), (0x2153, 0x2184), (0x2190, 0x2220),
    (0x2223, 0x222D), (0x2234, 0x223D), (0x2241, 0x226B), (0x226D, 0x228B), (0x228D, 0x22A5), (0x2308, 0x2315),
    (0x2500, 0x262F), (0x270C, 0x2727), (0x2729, 0x274B), (0x27E8, 0x27E9), (0xFFFD, 0xFFFD),
)  # fmt: skip
_STARTS: Final = tuple(first for first, _ in RANGES)


def shown(character: str) -> bool:
    """Whether the bundled fonts have a shape for it."""
    code = ord(character)
    place = bisect_right(_STARTS, code) - 1
    return place >= 0 and code <= RANGES[place][1]


def printable(text: object) -> str:
    """Cleaned, composed text in which each character without a shape is its number."""
    composed = unicodedata.normalize("NFC", clean(text))
    return "".join(c if shown(c) else f"\u27e8U+{ord(c):04X}\u27e9" for c in composed)
