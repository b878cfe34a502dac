"""How likely a public language model finds texts: the scorer behind the report's perplexity.

    scorer = scorer_of(load("tiny"))
    evaluate_text(real, synthetic, holdout, scorer=scorer)

Texts are read from their beginning, at most `most` tokens of each; the first is judged after the model's begin (or end)
token. Models of transformers take batches of texts of like length in one forward each; any other model is asked
token by token for all rows at once. What was scored is remembered, for the same real texts are asked for often.

>>> from dpsynth.text.backends import load
>>> totals, tokens = scorer_of(load("ngram"))(["The value of the array.", ""])
>>> bool(totals[0] < 0), float(totals[1]), int(tokens[1])
(True, 0.0, 0)

The likelihoods are un-noised functions of the texts: those of private texts are as private.

Not guaranteed: that two models compare; a token of one is not a token of another.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.text.backends.protocol import LanguageModel, Tokens

MOST = 256
"""Tokens of a text that are judged."""
POSITIONS = 16_384
"""Of one forward: texts times tokens of the longest."""
ROWS = 64


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ModelScorer:
    """Texts -> log-likelihoods in nats and numbers of tokens.

    Attributes:
        model: public.
        most: tokens of each text that are judged.
    """

    model: LanguageModel
    most: int = MOST
    _known: dict[bytes, tuple[float, int]] = field(default_factory=dict, repr=False)

    @property
    def name(self) -> str:
        """For the report: the model's name and fingerprint."""
        return f"{self.model.name} (SHA-256 {self.model.fingerprint})"

    def __call__(self, texts: Sequence[str], /) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Log-likelihood of each text in nats, and its number of tokens; shape (texts,) each."""
        keys = [hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest() for text in texts]
        fresh = {key: text for key, text in zip(keys, texts, strict=True) if key not in self._known}
        if fresh:
            ids = [self.model.tokens(text)[: self.most] for text in fresh.values()]
            module = getattr(self.model, "module", None)
            found = self._stepped(ids) if module is None else self._read(module, ids)
            self._known.update(zip(fresh, zip(found.tolist(), map(len, ids), strict=True), strict=True))
        totals, tokens = zip(*(self._known[key] for key in keys), strict=True) if keys else ((), ())
        return np.array(totals, dtype=np.float64), np.array(tokens, dtype=np.int64)

    def _read(self, module: Any, ids: Sequence[Tokens]) -> NDArray[np.float64]:
        """One forward a batch; texts of like length together, padding on the right, which a causal model never sees."""
        import torch

        lead = getattr(self.model, "begin", None)
        lead = self.model.end if lead is None else lead
        device, size = next(module.parameters()).device, self.model.vocabulary
        totals = np.zeros(len(ids))
        order = sorted((i for i in range(len(ids)) if len(ids[i])), key=lambda i: len(ids[i]))
        while order:
            longest = len(ids[order[-1]])
            some = [order.pop() for _ in range(min(len(order), max(1, POSITIONS // longest)))]
            given = np.full((len(some), longest + 1), lead, dtype=np.int64)
            for row, i in enumerate(some):
                given[row, 1 : len(ids[i]) + 1] = ids[i]
            sequence = torch.from_numpy(given).to(device)
            with torch.inference_mode():
                logits = module(input_ids=sequence[:, :-1], use_cache=False).logits[..., :size].float()
                picked = torch.nn.functional.cross_entropy(
                    logits.transpose(1, 2), sequence[:, 1:], reduction="none"
                ).double()
            for row, i in enumerate(some):
                totals[i] = -float(picked[row, : len(ids[i])].sum())
        return totals

    def _stepped(self, ids: Sequence[Tokens]) -> NDArray[np.float64]:
        """Token by token, `ROWS` texts at once."""
        totals = np.zeros(len(ids))
        order = sorted((i for i in range(len(ids)) if len(ids[i])), key=lambda i: len(ids[i]), reverse=True)
        for at in range(0, len(order), ROWS):
            rows = np.array(order[at : at + ROWS])
            longest = len(ids[rows[0]])
            started = self.model.start([np.zeros(0, dtype=np.int64)] * len(rows), width=1, room=longest)
            for step in range(longest):
                here = np.array([len(ids[i]) > step for i in rows])
                if not here.all():  # shorter texts are done; they come last
                    started, rows = started.fork(np.flatnonzero(here)), rows[here]
                logits = started.logits().astype(np.float64)
                chosen = np.array([ids[i][step] for i in rows], dtype=np.int64)
                top = logits.max(axis=1)
                norm = top + np.log(np.exp(logits - top[:, None]).sum(axis=1))
                totals[rows] += logits[np.arange(len(rows)), chosen] - norm
                if step + 1 < longest:
                    started.append(chosen)
        return totals


def scorer_of(model: LanguageModel, *, most: int = MOST) -> ModelScorer:
    """A scorer of texts by a public language model.

    Args:
        model: of `dpsynth.text.backends`.
        most: tokens of each text that are judged; cut to the model's context.

    Raises:
        ParameterError: `most` below 1.
    """
    if most < 1:
        raise ParameterError(f"Expected most={most} >= 1 (tokens of a text).")
    return ModelScorer(model=model, most=min(most, model.context - 1))
