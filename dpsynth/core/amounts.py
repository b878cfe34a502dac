"""Bytes and seconds in words, for plans and messages.

Not guaranteed: more than three digits.
"""

from __future__ import annotations

DAY = 86_400.0


def size(count: float) -> str:
    """Bytes in words.

    >>> size(3 * 2**30), size(700)
    ('3 GiB', '700 B')
    """
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1024
    return f"{count:,.3g} PiB"


def duration(seconds: float) -> str:
    """Seconds in words.

    >>> duration(50), duration(7200), duration(2_592_000)
    ('50 s', '2 h', '30 days')
    """
    for unit, length in (("days", DAY), ("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * length or (unit != "days" and seconds >= length):
            return f"{seconds / length:.3g} {unit}"
    return f"{seconds:.3g} s"
