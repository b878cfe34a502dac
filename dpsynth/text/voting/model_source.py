"""A language model as a source: samples from a prompt, and variations that fill a blank again.

A variation keeps a text but for one run of its tokens, `degree` of all, at a place drawn at random: the model reads
what stands before the blank, writes as many tokens as were taken, and what stood behind follows. A causal model does
not see what follows, so the seam behind the blank is rough; Aug-PE fills blanks with instruction models.

Not guaranteed: that a weak model's variations are any better than its samples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Self, final

import numpy as np

from dpsynth.core.errors import ParameterError
from dpsynth.text.backends.generation import draw, generate
from dpsynth.text.backends.protocol import LanguageModel, Tokens

PROMPT = 48
"""Most tokens before a text; what is longer is cut."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSource:
    """Samples and fills blanks.

    Args:
        model: public.
        prompt: before each text; `{topic}` stands for the topic in words, which else stand on a line before it.
        most: tokens of a text.
        temperature: of sampling.
        top_k: tokens that may be chosen from, the likeliest; None for all.
        batch: rows of a call.
    """

    model: LanguageModel
    prompt: str = ""
    most: int = 64
    temperature: float = 1.0
    top_k: int | None = 100
    batch: int = 64

    def __post_init__(self) -> None:
        if not (self.temperature > 0 and min(self.most, self.batch, 1 if self.top_k is None else self.top_k) >= 1):
            raise ParameterError("Expected temperature > 0, and most, batch and top_k to be 1 or more.")
        if self.model.context < PROMPT + self.most:
            raise ParameterError(
                f"Texts of {self.most} tokens and prompts of up to {PROMPT} do not fit the model's context of "
                f"{self.model.context}.",
                "Ask for shorter texts.",
            )

    @classmethod
    def of(cls, model: LanguageModel | str) -> Self:
        """Defaults over a model, or over one that `backends.load` finds."""
        return cls(model=_loaded(model) if isinstance(model, str) else model)

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.name

    def random(self, topics: Sequence[str], rng: np.random.Generator) -> list[str]:
        """Samples from the prompt of each topic."""
        return generate(
            self.model,
            [self._prompted(topic) for topic in topics],
            most=self.most,
            temperature=self.temperature,
            top_k=self.top_k,
            rng=rng,
            rows=self.batch,
        )

    def vary(self, texts: Sequence[str], topics: Sequence[str], degree: float, rng: np.random.Generator) -> list[str]:
        """Each text with one blank filled again."""
        prompts, before, after, blanks = [], [], [], []
        for text, topic in zip(texts, topics, strict=True):
            tokens = self.model.tokens(text)[: self.most]
            blank = min(len(tokens), max(1, round(degree * len(tokens))))
            at = int(rng.integers(0, len(tokens) - blank + 1))
            before.append(tokens[:at])
            after.append(tokens[at + blank :])
            blanks.append(max(blank, 1))
            prompts.append(np.concatenate([self._prompted(topic), tokens[:at]]))
        filled = self._written(prompts, blanks, rng)
        parts = zip(before, filled, after, strict=True)
        return [self.model.text(np.concatenate(part)) for part in parts]

    def describe(self) -> dict[str, Any]:
        """The model by its fingerprint, and how it is sampled."""
        return {
            "source": "model",
            "model": self.model.name,
            "fingerprint": self.model.fingerprint,
            "prompt": self.prompt,
            "most": self.most,
            "temperature": self.temperature,
            "top_k": self.top_k,
        }

    def _prompted(self, topic: str) -> Tokens:
        lead = f"{topic}\n" if topic and "{topic}" not in self.prompt else ""
        return self.model.tokens(lead + self.prompt.replace("{topic}", topic))[:PROMPT]

    def _written(self, prompts: Sequence[Tokens], lengths: Sequence[int], rng: np.random.Generator) -> list[Tokens]:
        """Up to so many tokens behind each prompt, until the text ends."""
        made: list[Tokens] = []
        for at in range(0, len(prompts), self.batch):
            made += self._batch(prompts[at : at + self.batch], lengths[at : at + self.batch], rng)
        return made

    def _batch(self, prompts: Sequence[Tokens], lengths: Sequence[int], rng: np.random.Generator) -> list[Tokens]:
        room, rows = max(lengths), np.arange(len(prompts))
        started = self.model.start(prompts, width=max(1, *(len(p) for p in prompts)), room=room)
        tokens = np.full((len(prompts), room), self.model.end, dtype=np.int64)
        going = np.ones(len(prompts), dtype=bool)
        for place in range(room):
            going &= place < np.asarray(lengths)
            if not going.any():
                break
            drawn = draw(started.logits(), temperature=self.temperature, top_k=self.top_k, allowed=None, rng=rng)
            chosen = np.where(going, drawn, self.model.end)
            going &= chosen != self.model.end
            tokens[rows, place] = chosen
            started.append(chosen)
        return [row[: int(np.argmax(ended)) if (ended := row == self.model.end).any() else room] for row in tokens]


@lru_cache(maxsize=1)
def _loaded(name: str) -> LanguageModel:
    """A model by name, read once for plan, run and card."""
    from dpsynth.text.backends import load

    return load(name)
