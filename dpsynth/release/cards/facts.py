"""What a derived card may say: the signed card, the signed digests, the schema of the signed rows, and nothing else.

The bundle is verified first, and the documents are those that the verifier parsed, so nobody can exchange a file
between check and use. The rows are opened again for their schema alone and hashed again on the way.

Not guaranteed: that the schema says what a column means; names and types are published as they are.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from dpsynth.core.errors import VerificationError
from dpsynth.release.card import Card
from dpsynth.release.verify import examine

DATA: Final = "data.parquet"
_BLOCK: Final = 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class CardFacts:
    """Of one verified bundle.

    Attributes:
        card: the signed card.
        digests: SHA-256 by file, hexadecimal, as signed.
        types: Arrow type by column, in order.
        root: of all files, as the ledger recorded it.
        release_key: fingerprint of the key that signed.
        published: when the ledger recorded the release, ISO 8601.
        warnings: of the verification, such as that the key came from the bundle.
    """

    card: Card
    digests: Mapping[str, str]
    types: Mapping[str, Any]
    root: str
    release_key: str
    published: str
    warnings: tuple[str, ...]


def read_facts(bundle: str | Path, key: str | Path | bytes) -> CardFacts:
    """Verify, then read.

    Raises:
        VerificationError: the bundle does not verify, or was changed while it was read.
    """
    report, verifier = examine(bundle, key)
    if verifier is None or report.failure is not None:
        failed = report.failure
        why = "" if failed is None else f" ({failed.name}: {failed.reason})"
        raise VerificationError(f"The bundle does not verify{why}, so no card is derived from it.",
                                "See `dpsynth verify BUNDLE --key KEY`; fetch the bundle anew.")  # fmt: skip
    claims, digests = verifier.statement.predicate, verifier.statement.digests
    return CardFacts(
        card=verifier.card,
        digests=digests,
        types=_types(Path(bundle), digests[DATA]),
        root=claims.root,
        release_key=claims.release_key,
        published=str(verifier.release.body["time"]),
        warnings=report.warnings,
    )


def _types(bundle: Path, signed: str) -> dict[str, Any]:
    """Arrow types of the very bytes that were signed."""
    import pyarrow.parquet as pq

    with _rows(bundle) as file:
        found = hashlib.sha256()
        while block := file.read(_BLOCK):
            found.update(block)
        if found.hexdigest() != signed:
            raise VerificationError("The rows were changed while the bundle was read.", "Fetch the bundle anew.")
        file.seek(0)
        return {field.name: field.type for field in pq.read_schema(file)}


@contextmanager
def _rows(bundle: Path) -> Iterator[IO[bytes]]:
    if bundle.is_dir():
        with (bundle / DATA).open("rb") as file:
            yield file
    else:
        with zipfile.ZipFile(bundle) as archive, archive.open(DATA) as member:
            yield member
