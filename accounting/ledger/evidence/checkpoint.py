"""Checkpoints: the head of the chain, signed, for a place that the ledger's owner does not write to alone.

A hash chain shows that nothing inside it was changed. It cannot show that its end is missing: a backup restored after
a spend verifies perfectly. A head that was written down elsewhere can. So a checkpoint holds ledger, seq and hash, is
signed by the ledger's key, and is appended as one line to a file on another disk, in a repository or at a witness, who
may sign it too. A ledger that does not run through every checkpoint was cut, restored or replaced.

    signature = Ed25519("dpsynth.checkpoint/1" || canonical {ledger_id, seq, hash, time})

Not guaranteed: anything about entries after the last checkpoint, and the truth of `time`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import final

from accounting.ledger import signing
from accounting.ledger.entry import HEX32, HEX64, JSON, Head, canonical
from accounting.ledger.errors import LedgerTampered, LedgerUnavailable, Reason
from accounting.ledger.evidence.parsing import parse
from accounting.ledger.rotation import LedgerKey, key_at
from accounting.ledger.signing import Signer

CONTEXT = b"dpsynth.checkpoint/1"
MAX_LINE = 4_096
MAX_CHECKPOINTS = 100_000
_FIELDS = {"ledger_id", "seq", "hash", "time", "signature"}
_WITNESS = {"witness_key", "witness_signature"}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """One head, and who vouches for it.

    Attributes:
        ledger_id: random name of the ledger.
        head: its last entry then.
        time: as the ledger's machine claimed it.
        signature: of the ledger's key, hex.
        witness_key, witness_signature: of somebody else, hex; both or neither.
    """

    ledger_id: str
    head: Head
    time: str
    signature: str
    witness_key: str | None = None
    witness_signature: str | None = None

    @property
    def message(self) -> bytes:
        """What both sign."""
        facts: dict[str, JSON] = {
            "ledger_id": self.ledger_id,
            "seq": self.head.seq,
            "hash": self.head.hash,
            "time": self.time,
        }
        return CONTEXT + canonical(facts)

    def witnessed(self, witness: Signer) -> Checkpoint:
        """The same with a second signature."""
        signature = witness.sign(self.message).hex()
        return replace(self, witness_key=witness.public_bytes.hex(), witness_signature=signature)

    def check(self, ledger_key: bytes, *, witness_key: bytes | None = None) -> None:
        """Signatures; with `witness_key` the witness's too, which must be there.

        Raises:
            LedgerTampered: a signature is missing or was made by another key.
        """
        if not signing.verify(ledger_key, bytes.fromhex(self.signature), self.message):
            raise _bad(
                Reason.SIGNATURE_INVALID, f"The checkpoint of entry {self.head.seq} is not of this ledger's key."
            )
        if witness_key is None:
            return
        signed = self.witness_key == witness_key.hex() and self.witness_signature is not None
        if not signed or not signing.verify(witness_key, bytes.fromhex(self.witness_signature or ""), self.message):
            raise _bad(
                Reason.SIGNATURE_INVALID, f"The checkpoint of entry {self.head.seq} lacks the witness's signature."
            )

    def to_json(self) -> dict[str, JSON]:
        """One line of a checkpoint file."""
        body: dict[str, JSON] = {
            "ledger_id": self.ledger_id,
            "seq": self.head.seq,
            "hash": self.head.hash,
            "time": self.time,
            "signature": self.signature,
        }
        if self.witness_key is not None:
            body |= {"witness_key": self.witness_key, "witness_signature": self.witness_signature}
        return body

    @classmethod
    def from_json(cls, value: object) -> Checkpoint:
        """Read what `to_json` writes.

        Raises:
            LedgerTampered: for anything else.
        """
        if not isinstance(value, Mapping) or value.keys() - _WITNESS != _FIELDS or len(value.keys() & _WITNESS) == 1:
            raise _bad(Reason.MALFORMED, "A line is not a checkpoint.")
        hexes = [value["signature"], *(value[name] for name in ("witness_signature",) if name in value)]
        keys = [value["hash"], *(value[name] for name in ("witness_key",) if name in value)]
        wrong = not all(isinstance(item, str) and HEX64.fullmatch(item) for item in hexes)
        wrong = wrong or not all(isinstance(item, str) and HEX32.fullmatch(item) for item in keys)
        wrong = wrong or not isinstance(value["ledger_id"], str) or not isinstance(value["time"], str)
        if wrong or type(value["seq"]) is not int or value["seq"] < 0:
            raise _bad(Reason.MALFORMED, "A checkpoint's fields have the wrong type.")
        return cls(
            ledger_id=value["ledger_id"],
            head=Head(value["seq"], value["hash"]),
            time=value["time"],
            signature=value["signature"],
            witness_key=value.get("witness_key"),
            witness_signature=value.get("witness_signature"),
        )


def sign_head(ledger_id: str, head: Head, signer: Signer) -> Checkpoint:
    """A checkpoint of this head by the ledger's key."""
    time = datetime.now(UTC).replace(microsecond=0, tzinfo=None).isoformat() + "Z"
    unsigned = Checkpoint(ledger_id=ledger_id, head=head, time=time, signature="00" * 64)
    return replace(unsigned, signature=signer.sign(unsigned.message).hex())


def append(path: str | Path, checkpoint: Checkpoint) -> None:
    """Add one line; on disk when this returns.

    Raises:
        LedgerUnavailable: the file cannot be written.
    """
    line = json.dumps(checkpoint.to_json(), sort_keys=True) + "\n"
    try:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise LedgerUnavailable(
            f"The checkpoint file cannot be written ({error.strerror}).", "Choose a place that is writable."
        ) from error


def read(path: str | Path) -> list[Checkpoint]:
    """All checkpoints of a file, signatures not yet checked.

    Raises:
        LedgerUnavailable: the file cannot be read.
        LedgerTampered: a line is no checkpoint, or there are too many.
    """
    found: list[Checkpoint] = []
    try:
        with Path(path).open("rb") as file:
            while line := file.readline(MAX_LINE + 1):
                if len(line) > MAX_LINE or len(found) == MAX_CHECKPOINTS:
                    raise _bad(Reason.TOO_LARGE, "The file is too large for checkpoints.")
                found.append(Checkpoint.from_json(parse(line, limit=MAX_LINE)))
    except OSError as error:
        raise LedgerUnavailable(f"The checkpoint file cannot be read ({error.strerror}).", "Check the path.") from error
    return found


def check_heads(
    heads: Iterable[Head],
    checkpoints: Sequence[Checkpoint],
    *,
    ledger_id: str,
    ledger_key: bytes | Sequence[LedgerKey],
    witness_key: bytes | None = None,
) -> None:
    """A chain runs through every checkpoint.

    Args:
        heads: seq and hash of every entry, in any order, of a chain that was checked itself.
        checkpoints: kept elsewhere.
        ledger_id: of that chain.
        ledger_key: raw Ed25519 public key of its ledger, 32 bytes; of a rotated one all its keys (`ledger_keys`), and
            each checkpoint must be signed by the one that was in force after its head.
        witness_key: if given, each checkpoint must carry this witness's signature.

    Raises:
        LedgerTampered: with the first checkpoint that is foreign, unsigned or not in the chain.
    """
    known, keys = set(heads), (LedgerKey(ledger_key, 0),) if isinstance(ledger_key, bytes) else tuple(ledger_key)
    for checkpoint in checkpoints:
        if checkpoint.ledger_id != ledger_id:
            raise _bad(Reason.FOREIGN_LEDGER, "A checkpoint is of another ledger.")
        checkpoint.check(key_at(keys, checkpoint.head.seq + 1), witness_key=witness_key)
        if checkpoint.head not in known:
            raise LedgerTampered(
                Reason.ROLLED_BACK,
                f"The chain does not run through the checkpoint of entry {checkpoint.head.seq} ({checkpoint.time}): "
                "it was cut, restored from a backup, or replaced.",
                "Find the copy that does, and go on from that one only.",
                seq=checkpoint.head.seq,
            )


def _bad(reason: Reason, message: str) -> LedgerTampered:
    return LedgerTampered(reason, message, "Take the file from the place where the checkpoints are kept.")
