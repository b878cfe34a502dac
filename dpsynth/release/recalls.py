"""Recall notices: a release that was called back after its bundle had left, for receivers who hold only the bundle.

A notice is one JSON object, signed by a release key over ledger, release, root of its files, reason and time; it is
published under the release's own id, and a file may hold one or many. A notice about this release is believed if the
receiver's key signed it, or a key that the ledger in the bundle knows as a release key, revoked or not: the holder of a
stolen key can say less by calling back than by releasing. One about this release that nobody known signed is refused
too, since somebody wants it to be read.

>>> notices(b'{"schema": "dpsynth.recalls/1", "notices": []}', name="recalls.json")
()

Not guaranteed: that you hold the latest notices. Ask the publisher.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from accounting.ledger.errors import KeyRefused
from accounting.ledger.review import RECALL_SCHEMA, recall_holds
from dpsynth.release.documents import JSON, Refusal, parse_json

LIST_SCHEMA: Final = "dpsynth.recalls/1"
MAX_NOTICES: Final = 10_000
_FIELDS: Final = {"schema", "ledger_id", "release", "root", "reason", "issued", "key_id", "signature"}


def read_notices(path: str | Path) -> tuple[Mapping[str, JSON], ...]:
    """Notices in a file.

    Raises:
        Refusal: `recalls_unreadable`, `recalls_malformed`, or as `parse_json`.
    """
    try:
        with Path(path).open("rb") as file:
            raw = file.read(2**24 + 1)
    except OSError as error:
        raise Refusal(
            "recalls_unreadable", f"The notices cannot be read: {error.strerror}.", "Check --recalls."
        ) from None
    return notices(raw, name=Path(path).name)


def notices(raw: bytes, *, name: str) -> tuple[Mapping[str, JSON], ...]:
    """Notices in the bytes of a file: one, or a list of them.

    Raises:
        Refusal: `recalls_malformed`, or as `parse_json`.
    """
    body = parse_json(raw, name=name, limit=2**24)
    found: Sequence[JSON] = [body]
    if body.get("schema") == LIST_SCHEMA:
        listed = body.get("notices")
        if set(body) != {"schema", "notices"} or not isinstance(listed, list) or len(listed) > MAX_NOTICES:
            raise _malformed(name)
        found = listed
    for one in found:
        if not isinstance(one, Mapping) or set(one) != _FIELDS or one["schema"] != RECALL_SCHEMA:
            raise _malformed(name)
        if not all(isinstance(value, str) for value in one.values()):
            raise _malformed(name)
    return tuple(one for one in found if isinstance(one, Mapping))


def check_not_recalled(
    found: Iterable[Mapping[str, JSON]], *, ledger_id: str, release: str, root: str, keys: Sequence[bytes]
) -> None:
    """Return if no notice is about this release.

    Args:
        found: notices.
        ledger_id: of the ledger that recorded the release.
        release: its id.
        root: digest of its files.
        keys: raw release keys, the receiver's first.

    Raises:
        Refusal: `recalled`, or `recall_not_signed` for a notice about it that none of the keys signed.
    """
    for notice in found:
        if (notice["ledger_id"], notice["release"]) != (ledger_id, release):
            continue
        try:
            signed = any(recall_holds({k: str(v) for k, v in notice.items()}, key) for key in keys)
        except KeyRefused:
            signed = False
        if not signed or notice["root"] != root:
            raise Refusal("recall_not_signed", "A notice calls this release back, but no release key signed it for "
                          "these files.", "Ask the publisher; until then do not use these rows.")  # fmt: skip
        raise Refusal("recalled", "The publisher called this release back.", "Do not use these rows.")


def _malformed(name: str) -> Refusal:
    return Refusal("recalls_malformed", f"{name} is not a recall notice, nor a list of them.",
                   "Fetch it from the publisher again.")  # fmt: skip
