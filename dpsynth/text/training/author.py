"""The fitted author: a public model, trained tensors, released shares of topics. As many texts as one likes.

Everything here was released or is public, so writing is post-processing. What is kept is what noisy steps moved; the
public model is named, and put together with it again at the first text.

Not guaranteed: good texts. Temperature 1 without `top_k` draws from what was learnt, noise and all.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from accounting.event import Event
from dpsynth.core.errors import ModelError
from dpsynth.sgd.device import device
from dpsynth.text.backends.generation import generate
from dpsynth.text.backends.protocol import Trainable
from dpsynth.text.protocol import Written
from dpsynth.text.structure.protocol import Structure
from dpsynth.text.training.prompts import prompts
from dpsynth.text.training.trainable import Arrays, with_arrays

STILL = 1e-5
"""Change of logits, relative, that other memory layouts of the same weights make."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How texts are drawn.

    Attributes:
        length: tokens of a text at most.
        temperature: logits are divided by it.
        top_k: how many of the likeliest tokens may be drawn; None for all.
        structure: a form that texts must have.
    """

    length: int
    temperature: float
    top_k: int | None
    structure: Structure | None


@final
@dataclass(slots=True, kw_only=True, eq=False, repr=False)
class FineTuned:
    """See `protocol.Author`.

    Attributes:
        events: what was spent.
        base: the public model.
        method, rank: full or lora, and the rank of its factors.
        trained: name -> trained tensor.
        topics, shares: words and released part of each topic.
        sampling: how texts are drawn.
        place: name of the device that writes.
        facts: public, for `describe`.
    """

    events: tuple[Event, ...]
    base: Trainable
    method: str
    rank: int
    trained: Arrays
    topics: tuple[str, ...]
    shares: NDArray[np.float64]
    sampling: Sampling
    place: str
    facts: dict[str, Any]
    _model: Trainable | None = field(default=None, init=False)

    @property
    def most(self) -> None:
        """No bound: what was learnt is released, texts are drawn from it."""
        return

    @property
    def model(self) -> Trainable:
        """The public model with what was trained.

        Raises:
            ModelError: trained tensors do not fit it, or change nothing that it says.
        """
        if self._model is None:
            own = with_arrays(self.base.module, self.method, self.trained, rank=self.rank, device=device(self.place))
            made = self.base.with_module(own, name=f"{self.base.name}, fine-tuned")
            asked = [np.array([self.base.end], dtype=np.int64)]
            then, now = (model.start(asked, width=1, room=1).logits() for model in (self.base, made))
            # with `not`, so that what is not a number is refused too
            if not np.abs(then - now).max() > STILL * np.abs(then).max():
                raise ModelError(
                    "The trained tensors change nothing that the model says, so it was not trained.",
                    "Report this model; train it by another method.",
                )
            self._model = made
        return self._model

    def write(self, count: int, rng: np.random.Generator) -> Written:
        """`count` texts, topics drawn by their released shares."""
        return self.write_on(rng.choice(len(self.topics), size=count, p=self.shares).astype(np.int64), rng)

    def write_on(self, topics: NDArray[np.int64], rng: np.random.Generator) -> Written:
        """A text on each topic."""
        if not len(topics):
            return Written(texts=(), topics=topics)
        given = prompts(self.base, self.topics)
        texts = generate(
            self.model,
            [given[topic] for topic in topics.tolist()],
            most=self.sampling.length,
            temperature=self.sampling.temperature,
            top_k=self.sampling.top_k,
            structure=self.sampling.structure,
            rng=rng,
        )
        return Written(texts=tuple(texts), topics=topics)

    def describe(self) -> dict[str, Any]:
        """Model, method, what was trained and what each step spent."""
        return dict(self.facts)
