"""`README.txt` of a bundle: what this is, and the one command that checks it."""

from __future__ import annotations

from typing import Final

from dpsynth.release.card import NOT_STATED, Card
from dpsynth.release.layout import MEMBERS

_TEXT: Final = """\
SYNTHETIC DATA ({release})

These rows were artificially generated from a private table with differential privacy.

  {sentence}

Licence: {licence}

Check before use, offline, with the publisher's public key:

  pip install dpsynth-release
  dpsynth verify THIS_FOLDER --key release.pub

Take the public key from the publisher over a channel that you trust, not from this bundle: the file release.pub
here can be exchanged by whoever exchanges the rest. Its fingerprint should be

  {key_id}

Files
{files}
CSV: {csv}
Exact values are in data.parquet.

What this does not protect
{limits}
"""


def readme(card: Card, key_id: str) -> bytes:
    """Deterministic text."""
    width = max(map(len, MEMBERS))
    return _TEXT.format(
        release=card.release,
        sentence=card.guarantee_in_words,
        licence=card.licence or NOT_STATED,
        key_id=key_id,
        files="".join(f"  {name:<{width}}  {member.what}\n" for name, member in MEMBERS.items()),
        csv=card.csv,
        limits="".join(f"  - {limit}\n" for limit in card.limits),
    ).encode()
