"""An embedding that encodes a text once, and is trusted with nothing.

A public text that it fails on is an error that says so. A private one must not be: whether a run stops would tell
something about a record. Such a text gets no direction and casts no vote. Private texts are encoded one a call, so that
no encoder, whatever it does with a batch, can let one record move another's point.

What is kept, in memory alone, is keyed by a digest of the text, public and private apart: a candidate that equals a
private text must not get its point from there, or the point, to the last bit, would depend on that record.

What an encoder raises on a private text goes no further, as its words may hold the text.

Not guaranteed: that an encoder of the user's does not log what it is given, or take longer over one text than another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import final

import numpy as np

from dpsynth.core.errors import ModelError
from dpsynth.text.embeddings.protocol import Embedding, Points

_PROBE = "a text"


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Remembered:
    """See the module.

    Attributes:
        embedding: what encodes.
        dimension: of its points.
    """

    embedding: Embedding
    dimension: int
    known: dict[bytes, Points] = field(default_factory=dict, repr=False)
    secret: dict[bytes, Points] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, embedding: Embedding) -> Remembered:
        """Tried on a probe first.

        Raises:
            ModelError: it does not return finite points.
        """
        probe = np.asarray(embedding.encode([_PROBE]))
        if probe.ndim != 2 or len(probe) != 1 or not probe.shape[1]:
            raise ModelError(
                f"The embedding {embedding.name!r} returned an array of shape {probe.shape} for one text.",
                "Return float32 of shape (texts, dimensions).",
            )
        made = cls(embedding=embedding, dimension=probe.shape[1])
        made.public([_PROBE])
        return made

    def public(self, texts: Sequence[str]) -> Points:
        """Points of public texts, float32, shape (texts, d).

        Raises:
            ModelError: one row a text was expected, of one dimension, all finite.
        """
        keys = [_digest(text) for text in texts]
        fresh = {key: text for key, text in zip(keys, texts, strict=True) if key not in self.known}
        if fresh:
            rows = np.asarray(self.embedding.encode(list(fresh.values())), dtype=np.float32)
            if rows.shape != (len(fresh), self.dimension) or not np.isfinite(rows).all():
                raise ModelError(
                    f"The embedding {self.embedding.name!r} returned an array of shape {rows.shape} for {len(fresh)} "
                    f"texts of which {self.dimension} finite coordinates each were expected.",
                    "Return float32 of shape (texts, dimensions), the same dimensions each time.",
                )
            self.known.update(zip(fresh, rows, strict=True))
        return self._rows(self.known, keys)

    def private(self, texts: Sequence[str]) -> Points:
        """Points of private texts, each encoded alone; zero for one that is empty or that the embedding fails on."""
        keys = [_digest(text) for text in texts]
        for key, text in zip(keys, texts, strict=True):
            if key not in self.secret:
                self.secret[key] = self._alone(text)
        return self._rows(self.secret, keys)

    def _alone(self, text: str) -> Points:
        nothing: Points = np.zeros(self.dimension, dtype=np.float32)
        if not text.strip():
            return nothing
        row: Points = nothing
        with _Hushed():
            row = np.asarray(self.embedding.encode([text]), dtype=np.float32)
        return row[0] if row.shape == (1, self.dimension) and bool(np.isfinite(row).all()) else nothing

    def _rows(self, points: dict[bytes, Points], keys: list[bytes]) -> Points:
        empty = np.zeros((0, self.dimension), dtype=np.float32)
        return np.stack([points[key] for key in keys]) if keys else empty


class _Hushed:
    """What their code raises on a private text goes no further: neither its words nor that it failed."""

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        return isinstance(error, Exception)


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
