"""Finished fits in a folder, so that a run which was cut off goes on; what lies there is sealed with the real tables.

A fit is kept as its release, coded and small: the positive control plants leaks in releases, so scores alone would not
do. A release of a generator that leaks holds real rows, therefore nothing is written in the clear: files are encrypted
(AES-256-GCM) under a key that is a digest of the very tables that were fitted, which whoever goes on has anyway and
nobody else. Tables, rows and coins themselves are never written.

A folder belongs to one request: tables, coins, settings and the name of the procedure. Another one is refused. A file
that was cut off, damaged, changed or moved to another number does not decrypt, and its fit is made again.

>>> KeptFits.SCHEMA
'dpsynth.kept_fits/1'

Not guaranteed: secrecy from somebody who can guess the whole table.
"""

from __future__ import annotations

import hashlib
import io
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from attacks.errors import AttackParameterError
from attacks.generators.coded import Codebook, Coded
from attacks.generators.worlds import Worlds

_NONCE = 12


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class KeptFits:
    """The fits of one request in one folder."""

    SCHEMA: ClassVar[str] = "dpsynth.kept_fits/1"
    place: Path
    key: bytes
    request: bytes

    @classmethod
    def of(cls, place: Path, worlds: Worlds, book: Codebook, identity: str | None) -> KeptFits:
        """Opens the folder for this request, or makes it.

        Raises:
            AttackParameterError: nothing says which procedure it is, or the folder is of another request.
        """
        if not identity:
            raise AttackParameterError(
                "Fits are to be kept in a folder, but nothing says which procedure they are of.",
                "Pass identity=..., a text that changes whenever the procedure does.",
            )
        tables = f"{worlds.digest()}\0{book.digest()}"
        said = {"tables, coins or settings": _digest("tables", tables), "procedure": _digest("procedure", identity)}
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        label = place / "request.json"
        document = json.dumps({"schema": cls.SCHEMA, **said}, indent=1, sort_keys=True)
        if label.is_file():
            _check(label, said)
        else:
            label.write_text(document, "utf-8")
        key = hashlib.sha256(f"dpsynth kept fits: key\0{tables}".encode()).digest()
        return cls(place=place, key=key, request=document.encode())

    def found(self, worlds: int) -> tuple[dict[int, Coded], int]:
        """Fits by number, and how many files were no good; these are deleted."""
        fits, broken = {}, 0
        for world in range(worlds):
            path = self._path(world)
            if not path.is_file():
                continue
            try:
                sealed = path.read_bytes()
                plain = AESGCM(self.key).decrypt(sealed[:_NONCE], sealed[_NONCE:], self._about(world))
                with np.load(io.BytesIO(plain), allow_pickle=False) as arrays:
                    fits[world] = Coded(numbers=arrays["numbers"], categories=arrays["categories"])
            except (InvalidTag, ValueError):
                path.unlink()
                broken += 1
        return fits, broken

    def keep(self, world: int, release: Coded) -> None:
        """Writes one fit, whole or not at all."""
        plain, nonce = io.BytesIO(), secrets.token_bytes(_NONCE)
        np.savez_compressed(plain, numbers=release.numbers, categories=release.categories)
        scratch = self.place / f".{world:06d}.fit"
        with scratch.open("wb") as out:
            scratch.chmod(0o600)
            out.write(nonce + AESGCM(self.key).encrypt(nonce, plain.getvalue(), self._about(world)))
        scratch.replace(self._path(world))

    def _path(self, world: int) -> Path:
        return self.place / f"{world:06d}.fit"

    def _about(self, world: int) -> bytes:
        return self.request + str(world).encode()


def _digest(name: str, text: str) -> str:
    return hashlib.sha256(f"dpsynth kept fits: {name}\0{text}".encode("utf-8", "surrogatepass")).hexdigest()


def _check(label: Path, said: dict[str, str]) -> None:
    try:
        kept = json.loads(label.read_text("utf-8"))
    except ValueError:
        kept = {}
    if not isinstance(kept, dict) or kept.get("schema") != KeptFits.SCHEMA:
        raise AttackParameterError("The folder's request.json is not one of ours.", "Name another folder.")
    other = [name for name, digest in said.items() if kept.get(name) != digest]
    if other:
        raise AttackParameterError(
            f"The folder keeps fits of another request: the {' and the '.join(other)} differ.",
            "Repeat the request that it was made for, or name another folder.",
        )
