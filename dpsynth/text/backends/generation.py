"""Texts of a public model, drawn many rows at a time.

    texts = generate(model, [model.tokens("Dear")] * 500, most=100, temperature=1.0, rng=rng)

Randomness is `rng` alone. Rows that ended leave the batch once they are half of it. With a `structure` only tokens that
its automaton allows are drawn.

Not guaranteed: privacy of anything. Models and prompts here are public, or were released.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.core.progress import Progress, silent
from dpsynth.text.backends.prompts import finite
from dpsynth.text.backends.protocol import Decoding, LanguageModel, Tokens

if TYPE_CHECKING:
    from dpsynth.text.structure.protocol import Automaton, Structure

ROWS = 128
"""Texts drawn at a time."""


def generate(
    model: LanguageModel,
    prompts: Sequence[Tokens],
    *,
    most: int,
    temperature: float = 1.0,
    top_k: int | None = None,
    structure: Structure | None = None,
    rng: np.random.Generator,
    progress: Progress = silent,
    name: str = "writing texts",
    rows: int = ROWS,
) -> list[str]:
    """One text for each prompt, the prompt left out.

    Args:
        model: public, or released.
        prompts: ids; what they hold may be seen in the texts.
        most: tokens of a text, at most.
        temperature: logits are divided by it; 0 takes the likeliest token.
        top_k: how many of the likeliest tokens may be drawn; None for all.
        structure: a form that texts must have.
        rng: of the draws.
        progress: receives texts that are done, and tokens per second.
        name: of the step, for `progress`.
        rows: texts drawn at a time.

    Raises:
        ParameterError: a setting outside its range.
    """
    if most < 1 or not temperature >= 0 or (top_k is not None and top_k < 1) or rows < 1:
        raise ParameterError(
            "Expected most >= 1, temperature >= 0, top_k >= 1 and rows >= 1.", "Change the setting that is not."
        )
    width = max((len(prompt) for prompt in prompts), default=0)
    texts: list[str] = []
    drawn, began = 0, time.monotonic()
    for at in range(0, len(prompts), rows):
        batch = prompts[at : at + rows]
        started = model.start(batch, width=width, room=most)
        automata = None if structure is None else [structure.begin(model) for _ in batch]
        written = _written(model, started, automata, most, temperature, top_k, rng)
        texts += [model.text(ids) for ids in written]
        drawn += sum(len(ids) + 1 for ids in written)
        progress(name, len(texts), len(prompts), f"{drawn / max(time.monotonic() - began, 1e-9):,.0f} tokens/s")
    return texts


def draw(
    logits: NDArray[np.float32],
    *,
    temperature: float,
    top_k: int | None,
    allowed: NDArray[np.bool_] | None,
    rng: np.random.Generator,
) -> NDArray[np.int64]:
    """A token for each row by its softmax, in float64, shape (rows,).

    Args:
        logits: shape (rows, V).
        temperature: 0 for the likeliest.
        top_k: ties at the k-th place all stay.
        allowed: shape (rows, V), at least one a row.
        rng: of the draws.

    Raises:
        ModelError: a logit is not finite.
    """
    scores = finite(logits).astype(np.float64)
    if allowed is not None:
        scores[~allowed] = -np.inf
    if temperature == 0:
        likeliest: NDArray[np.int64] = scores.argmax(axis=1)
        return likeliest
    if top_k is not None and top_k < scores.shape[1]:
        least = np.partition(scores, -top_k, axis=1)[:, -top_k, None]
        scores[scores < least] = -np.inf
    drawn: NDArray[np.int64] = (scores / temperature + rng.gumbel(size=scores.shape)).argmax(axis=1)
    return drawn


def _written(
    model: LanguageModel,
    decoding: Decoding,
    automata: list[Automaton] | None,
    most: int,
    temperature: float,
    top_k: int | None,
    rng: np.random.Generator,
) -> list[list[int]]:
    """Ids of each row up to its end."""
    written: list[list[int]] = [[] for _ in range(decoding.rows)]
    row_of, open_rows = np.arange(decoding.rows), np.ones(decoding.rows, dtype=bool)
    for step in range(most):
        allowed = None
        if automata is not None:
            allowed = np.ones((decoding.rows, model.vocabulary), dtype=bool)
            for at in np.flatnonzero(open_rows).tolist():
                allowed[at] = automata[row_of[at]].allowed()
        chosen = draw(decoding.logits(), temperature=temperature, top_k=top_k, allowed=allowed, rng=rng)
        for at in np.flatnonzero(open_rows).tolist():
            if chosen[at] == model.end:
                open_rows[at] = False
                continue
            written[row_of[at]].append(int(chosen[at]))
            if automata is not None:
                automata[row_of[at]].advance(int(chosen[at]))
        if not open_rows.any() or step == most - 1:
            break
        decoding.append(chosen)
        if 2 * open_rows.sum() <= decoding.rows:
            left = np.flatnonzero(open_rows)
            decoding, row_of, open_rows = decoding.fork(left), row_of[left], np.ones(len(left), dtype=bool)
    return written
