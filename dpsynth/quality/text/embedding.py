"""Texts as points for the report: latent semantics of all sets alike, or a sentence encoder that is at hand.

Without an encoder, words are weighed and projected as in `attacks.text.embedding`, in a space fitted on equally many
real, held-out and synthetic texts: fitted on the real ones alone it would be blind to words that are made up, and
closer to the texts it was fitted on than to the holdout.

`SentenceEncoder` reads a local folder in the format of Hugging Face (an encoder such as MiniLM), averages the last
layer over the tokens of a text, and asks no network. `Cached` keeps points in a file by digest of text and model:
points of private texts are private.

Not guaranteed: word order counts for nothing in the fallback, and for little in sentence encoders.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, final

import numpy as np
from numpy.typing import NDArray

from attacks.text.embedding import Embedding, LatentSemantic, Remembered
from attacks.text.tokens import Texts, joined
from dpsynth.core.errors import DataError
from dpsynth.quality.text.sets import Sets

Points = NDArray[np.float32]
FITTED_ON = 2_000
"""Most texts of each of the three sets that the fallback is fitted on."""
FALLBACK = "latent semantic analysis (100 directions), fitted on equal parts of real, held-out and synthetic texts"


class Space(Protocol):
    """Turns texts into unit vectors."""

    def points(self, texts: Texts, /) -> Points:
        """Float32 (n, d)."""


def space_of(embedding: Embedding | None, sets: Sets) -> Space:
    """The encoder that was given, asked once a text, or the fallback."""
    if embedding is not None:
        return Remembered(embedding=embedding)
    parts = [part.first(min(len(sets.held), FITTED_ON)).encoded for part in (sets.real, sets.held, sets.synthetic)]
    return LatentSemantic.fitted(joined(joined(parts[0], parts[1]), parts[2]))


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SentenceEncoder:
    """A local encoder; the mean of its last layer over a text's tokens.

    Attributes:
        folder: with `config.json`, weights and tokenizer.
        most: tokens of a text that are read; the rest is left out.
        batch: texts at once.
    """

    folder: Path
    most: int = 256
    batch: int = 64
    _loaded: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """The folder's own name and the digest of its weights."""
        if "name" not in self._loaded:
            weights = self.folder / "model.safetensors"
            if not weights.is_file():
                raise DataError("The encoder's folder lacks model.safetensors.", "Name a folder with a local model.")
            with weights.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._loaded["name"] = f"{self.folder.name} (SHA-256 {digest})"
        return str(self._loaded["name"])

    def encode(self, texts: list[str], /) -> Points:
        """Mean of the last layer over a text's tokens, float32 (n, d)."""
        import torch
        from transformers import AutoModel, AutoTokenizer

        if "model" not in self._loaded:
            self._loaded["model"] = AutoModel.from_pretrained(self.folder, local_files_only=True).eval()
            self._loaded["tokenizer"] = AutoTokenizer.from_pretrained(self.folder, local_files_only=True)
        model, tokenizer = self._loaded["model"], self._loaded["tokenizer"]
        by_length = sorted(range(len(texts)), key=lambda i: len(texts[i]))
        rows: dict[int, Points] = {}
        for at in range(0, len(texts), self.batch):
            some = by_length[at : at + self.batch]
            read = tokenizer(
                [texts[i] for i in some], padding=True, truncation=True, max_length=self.most, return_tensors="pt"
            )
            with torch.inference_mode():
                last = model(**read).last_hidden_state
            seen = read["attention_mask"][..., None].to(last.dtype)
            means = (last * seen).sum(dim=1) / seen.sum(dim=1).clamp(min=1)
            rows.update(zip(some, means.float().numpy(), strict=True))
        return np.stack([rows[i] for i in range(len(texts))])


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Cached:
    """An embedding whose points are kept in one file; as private as the texts are.

    Attributes:
        embedding: that is asked for what the file lacks.
        file: ends in .npz; written anew, then renamed.
    """

    embedding: Embedding
    file: Path

    @property
    def name(self) -> str:
        """The embedding's own."""
        return self.embedding.name

    def encode(self, texts: list[str], /) -> Points:
        """Points from the file, and of the others, which it then holds."""
        salt = hashlib.blake2b(self.name.encode(), digest_size=16).digest()
        keys = [hashlib.blake2b(t.encode("utf-8", "surrogatepass"), digest_size=16, key=salt).digest() for t in texts]
        known = self._read()
        fresh = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if fresh:
            known.update(zip(fresh, np.asarray(self.embedding.encode(list(fresh.values())), np.float32), strict=True))
            self._write(known)
        return np.stack([known[key] for key in keys])

    def _read(self) -> dict[bytes, Points]:
        if not self.file.is_file():
            return {}
        try:
            with np.load(self.file, allow_pickle=False) as stored:
                keys, rows = stored["keys"], stored["rows"]
        except (OSError, ValueError, KeyError):
            raise DataError("The file of cached points cannot be read.", "Delete it; it is made anew.") from None
        return {key.tobytes(): row for key, row in zip(keys, rows, strict=True)}

    def _write(self, known: dict[bytes, Points]) -> None:
        part = self.file.with_suffix(".part.npz")
        keys = np.frombuffer(b"".join(known), dtype=np.uint8).reshape(len(known), 16)
        np.savez(part, keys=keys, rows=np.stack(list(known.values())))
        part.chmod(0o600)
        part.replace(self.file)
