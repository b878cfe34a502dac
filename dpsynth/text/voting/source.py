"""Where texts come from: an interface that writes at random, and writes variations of texts that it is given.

Both are public acts. A `Source` is shown topics, and texts that it wrote itself; the protocol has no argument through
which a private text could reach it, which is what makes an interface of somebody else's usable at all. A model behind
it needs no logits.

>>> source = CallableSource(write=lambda topics: [f"about {t}" for t in topics],
...                         rewrite=lambda texts, topics, degree: [text + "!" for text in texts])
>>> asked = Asked(source, tries=2)
>>> asked.vary(asked.random(["fees"], rng := np.random.default_rng(1)), ["fees"], 0.5, rng)
['about fees!']

Not guaranteed: that whoever runs the interface keeps its answers, or the survivors of a round, to himself. The latter
are released with noise and paid for, and yet confidential until the run is committed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, final

import numpy as np

from dpsynth.core.errors import ParameterError, SourceError


class Source(Protocol):
    """Writes public texts."""

    @property
    def name(self) -> str:
        """For cards."""

    def random(self, topics: Sequence[str], rng: np.random.Generator) -> list[str]:
        """A text for each topic, in words; "" is no topic."""

    def vary(self, texts: Sequence[str], topics: Sequence[str], degree: float, rng: np.random.Generator) -> list[str]:
        """A variation of each text within its topic; `degree` from 0 (nearly the same) to 1 (another text)."""

    def describe(self) -> dict[str, Any]:
        """Public settings, ready for JSON: `model`, and its `fingerprint` where it is here to be read."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class CallableSource:
    """Two functions of the user's, such as calls of a hosted model.

    Args:
        write: topics in, a text for each out.
        rewrite: texts, their topics and a degree in, a variation of each out.
        name: of the model behind them, for cards.
        tries: how often a call that raises one of `retry` is made.
        retry: errors that are worth another call; any other passes through.
        batch: most texts of a call.
    """

    write: Callable[[list[str]], list[str]]
    rewrite: Callable[[list[str], list[str], float], list[str]]
    name: str = "callable"
    tries: int = 3
    retry: tuple[type[Exception], ...] = (OSError, TimeoutError)
    batch: int = 32

    def __post_init__(self) -> None:
        if self.tries < 1 or self.batch < 1:
            raise ParameterError(f"Expected tries={self.tries} >= 1 and batch={self.batch} >= 1.")
        if not 1 <= len(self.name) <= 200:
            raise ParameterError("Expected a name of 1 to 200 characters: cards say who wrote.")

    def random(self, topics: Sequence[str], rng: np.random.Generator) -> list[str]:  # noqa: ARG002
        """By `write`, in batches."""
        return self._called(len(topics), lambda at: self.write(list(topics[at])))

    def vary(
        self,
        texts: Sequence[str],
        topics: Sequence[str],
        degree: float,
        rng: np.random.Generator,  # noqa: ARG002
    ) -> list[str]:
        """By `rewrite`, in batches."""
        return self._called(len(texts), lambda at: self.rewrite(list(texts[at]), list(topics[at]), degree))

    def describe(self) -> dict[str, Any]:
        """What is known of an interface of the user's."""
        return {"source": "callable", "model": self.name}

    def _called(self, rows: int, call: Callable[[slice], list[str]]) -> list[str]:
        made: list[str] = []
        for at in range(0, rows, self.batch):
            made += self._tried(call, slice(at, min(at + self.batch, rows)))
        return made

    def _tried(self, call: Callable[[slice], list[str]], at: slice) -> list[str]:
        wanted, told, cause = at.stop - at.start, "", None
        for _ in range(self.tries):
            try:
                answer: Any = call(at)
            except self.retry as failure:
                told, cause = type(failure).__name__, failure
                continue
            if isinstance(answer, list) and len(answer) == wanted:
                return answer
            told, cause = f"it returned {kind(answer)} where {wanted} texts were expected", None
        raise SourceError(
            f"The source {self.name!r} failed {self.tries} times: {told}.",
            "See that it answers with a list of one string a text. A run that failed is closed, and what it reserved "
            "stays spent; raise `tries` for an interface that is often away.",
        ) from cause


@final
class Asked:
    """A source that is trusted with nothing: checks what comes back, and asks again for texts that are empty.

    Args:
        source: what is asked; `written` counts the texts it was asked for.
        tries: how often it is asked for one text.
    """

    def __init__(self, source: Source, *, tries: int = 3) -> None:
        self.source, self.tries, self.written = source, tries, 0

    def random(self, topics: Sequence[str], rng: np.random.Generator) -> list[str]:
        """A text for each topic, none empty: what stays empty after `tries` is another text of the topic again.

        Raises:
            SourceError: a topic has no text at all.
        """
        made = self._filled(len(topics), lambda at: self.source.random([topics[i] for i in at], rng))
        for i in [i for i, text in enumerate(made) if not text]:
            others = [text for text, topic in zip(made, topics, strict=True) if text and topic == topics[i]]
            if not others:
                raise SourceError(
                    f"The source {self.source.name!r} left all texts of a topic empty, {self.tries} times.",
                    "See what it writes for your topics; topics are written as `column: value`.",
                )
            made[i] = others[int(rng.integers(len(others)))]
        return made

    def vary(self, texts: Sequence[str], topics: Sequence[str], degree: float, rng: np.random.Generator) -> list[str]:
        """A variation of each text; the text itself where the source has none."""
        made = self._filled(
            len(texts),
            lambda at: self.source.vary([texts[i] for i in at], [topics[i] for i in at], degree, rng),
        )
        return [new or old for new, old in zip(made, texts, strict=True)]

    def _filled(self, rows: int, ask: Callable[[list[int]], list[str]]) -> list[str]:
        made = [""] * rows
        for _ in range(self.tries):
            at = [i for i, text in enumerate(made) if not text]
            if not at:
                break
            answer: Any = ask(at)
            self.written += len(at)
            right = isinstance(answer, list) and len(answer) == len(at) and all(isinstance(t, str) for t in answer)
            if not right:
                raise SourceError(
                    f"The source {self.source.name!r} returned {kind(answer)} where {len(at)} texts were expected.",
                    "Return a list with one string a text.",
                )
            for i, text in zip(at, answer, strict=True):
                made[i] = text.strip()
        return made


def kind(answer: Any) -> str:
    """What came back, without its words."""
    if not isinstance(answer, list):
        return f"a {type(answer).__name__}"
    kinds = sorted({type(text).__name__ for text in answer})
    return f"a list of {len(answer)}" + (f" ({', '.join(kinds)})" if kinds else "")
