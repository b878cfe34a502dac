"""Dead Simple Signing Envelope, version 1: what exactly is signed, and by whom.

The signature covers the *pre-authentication encoding* of payload type and payload, so bytes signed as one
type cannot be presented as another, and no canonicalisation of the payload is needed. We are stricter than
the specification (https://github.com/secure-systems-lab/dsse, protocol.md): exactly one signature, one
payload type, and one byte sequence per envelope, so that no bit of the file can change without being
noticed.

>>> pae("http://example.com/HelloWorld", b"hello world")
b'DSSEv1 29 http://example.com/HelloWorld 11 hello world'

Not guaranteed: that the key belongs to whom you think. The receiver brings the key.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, Protocol

from accounting.ledger.signing import key_id, verify
from dpsynth.release.documents import JSON, Refusal, parse_json, pretty

PAYLOAD_TYPE: Final = "application/vnd.in-toto+json"


class AbstractSigner(Protocol):
    """What signing needs of a key; `accounting.ledger.signing.Signer` has it."""

    @property
    def key_id(self) -> str:
        """Short name of the key."""

    def sign(self, message: bytes) -> bytes:
        """Ed25519 signature of `message`, 64 bytes."""


def pae(payload_type: str, payload: bytes) -> bytes:
    """Pre-authentication encoding: lengths in bytes, so that no two pairs share an encoding."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %s %d %s" % (len(kind), kind, len(payload), payload)


def seal_envelope(payload: bytes, signer: AbstractSigner) -> bytes:
    """The signed envelope as the bytes of its file."""
    envelope: JSON = {
        "payload": base64.b64encode(payload).decode(),
        "payloadType": PAYLOAD_TYPE,
        "signatures": [
            {
                "keyid": signer.key_id,
                "sig": base64.b64encode(signer.sign(pae(PAYLOAD_TYPE, payload))).decode(),
            }
        ],
    }
    return pretty(envelope)


def open_envelope(raw: bytes, *, public_key: bytes, name: str = "statement.dsse.json") -> bytes:
    """The payload, after its signature under `public_key` (raw Ed25519, 32 bytes) was verified.

    Raises:
        Refusal: `envelope_malformed`, `payload_type`, `signature_count`, `wrong_key` or `signature_invalid`.
    """
    envelope = parse_json(raw, name=name)
    signatures = envelope.get("signatures")
    if set(envelope) != {"payload", "payloadType", "signatures"} or not isinstance(signatures, list):
        raise Refusal("envelope_malformed", f"{name} is not a DSSE envelope.")
    if envelope["payloadType"] != PAYLOAD_TYPE:
        raise Refusal("payload_type", f"{name} does not carry an in-toto statement.")
    if len(signatures) != 1:
        raise Refusal("signature_count", f"{name} has {len(signatures)} signatures; exactly one is accepted.")
    entry = signatures[0]
    if not isinstance(entry, dict) or set(entry) != {"keyid", "sig"}:
        raise Refusal("envelope_malformed", f"{name} is not a DSSE envelope.")
    payload = _base64(envelope["payload"], name)
    signature = _base64(entry["sig"], name)
    if not verify(public_key, signature, pae(PAYLOAD_TYPE, payload)):
        if entry["keyid"] != key_id(public_key):
            raise Refusal("wrong_key", "The statement was signed with another key than the one you gave.",
                          "Ask the publisher for the public key over a channel that you trust.")  # fmt: skip
        raise Refusal("signature_invalid", "The signature does not fit the statement: it was altered.")
    if entry["keyid"] != key_id(public_key) or pretty(envelope) != raw:
        raise Refusal("envelope_malformed", f"{name} was reformatted after signing.")
    return payload


def _base64(value: object, name: str) -> bytes:
    if isinstance(value, str):
        try:
            raw = base64.b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            raw = b""
        if raw and base64.b64encode(raw).decode() == value:
            return raw
    raise Refusal("envelope_malformed", f"{name} holds malformed base64.")
