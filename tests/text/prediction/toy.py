"""A language model of a few letters whose logits are a hash of the prefix: every prefix says something different."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from dpsynth.text.backends.protocol import Tokens


@dataclass
class ToyDecoding:
    model: Toy
    prefixes: list[tuple[int, ...]]

    @property
    def rows(self) -> int:
        return len(self.prefixes)

    def logits(self) -> NDArray[np.float32]:
        return np.stack([self.model.of(prefix) for prefix in self.prefixes])

    def append(self, tokens: Tokens) -> None:
        self.prefixes = [(*prefix, int(token)) for prefix, token in zip(self.prefixes, tokens, strict=True)]

    def fork(self, rows: NDArray[np.int64]) -> ToyDecoding:
        return ToyDecoding(self.model, [self.prefixes[i] for i in rows])


@dataclass
class Toy:
    """Letters and an end; `spread` scales logits, `never_ends` pushes the end's down."""

    letters: str = "abcdefgh"
    spread: float = 2.0
    never_ends: bool = False
    name: str = "toy"
    context: int = 1000
    known: dict[tuple[int, ...], NDArray[np.float32]] = field(default_factory=dict)

    @property
    def vocabulary(self) -> int:
        return len(self.letters) + 1

    @property
    def end(self) -> int:
        return len(self.letters)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(f"{self.letters} {self.spread} {self.never_ends}".encode()).hexdigest()

    def tokens(self, text: str) -> Tokens:
        return np.array([i for c in text if (i := self.letters.find(c)) >= 0], dtype=np.int64)

    def text(self, tokens: Sequence[int] | Tokens) -> str:
        return "".join(self.letters[int(t)] for t in tokens if int(t) != self.end)

    def start(self, prompts: Sequence[Tokens], *, width: int, room: int) -> ToyDecoding:
        if any(len(prompt) > width for prompt in prompts) or width + room > self.context:
            raise ValueError("too long")
        return ToyDecoding(self, [(self.end, *prompt.tolist()) for prompt in prompts])

    def of(self, prefix: tuple[int, ...]) -> NDArray[np.float32]:
        if prefix not in self.known:
            seed = int.from_bytes(hashlib.sha256(repr(prefix).encode()).digest()[:8])
            logits = np.random.default_rng(seed).normal(0, self.spread, self.vocabulary).astype(np.float32)
            if self.never_ends:
                logits[self.end] = -30.0
            self.known[prefix] = logits
        return self.known[prefix]
