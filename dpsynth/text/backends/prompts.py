"""What every model checks before it starts or goes on: widths, rooms and ids, all of them public facts.

Not guaranteed: that a prompt makes sense to the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ModelError, ParameterError
from dpsynth.text.backends.protocol import LanguageModel, Tokens


class Begun(Protocol):
    """A model that may have a begin token."""

    @property
    def begin(self) -> int | None:
        """Stands before every prompt."""

    @property
    def end(self) -> int:
        """Ends a text."""


def checked_prompts(model: LanguageModel, prompts: Sequence[Tokens], width: int, room: int) -> list[Tokens]:
    """The prompts as int64 arrays.

    Raises:
        ParameterError: a width, room or id that the model does not have, or a prompt longer than `width`.
    """
    if width < 0 or room < 0 or width + room > model.context:
        raise ParameterError(
            f"Expected prompts of 0 to {model.context} tokens with the text to come: {model.name} reads no more than "
            f"that, and {width} + {room} were asked for.",
            "Ask for shorter prompts or texts, or use a model with a longer context.",
        )
    made = [np.asarray(prompt, dtype=np.int64).reshape(-1) for prompt in prompts]
    if not made:
        raise ParameterError("A model starts with at least one row.", "Give a prompt; an empty one will do.")
    for prompt in made:
        if len(prompt) > width:
            raise ParameterError(
                f"A prompt is longer than the {width} tokens that each prompt takes.",
                "Cut prompts to the public width before they are given to a model.",
            )
        _check_ids(prompt, model.vocabulary)
    return made


def with_begin(model: Begun, prompts: Sequence[Tokens]) -> list[list[int]]:
    """What a model really reads: its begin token before each prompt, or its end for an empty one if it has no such."""
    if model.begin is not None:
        return [[model.begin, *prompt.tolist()] for prompt in prompts]
    return [prompt.tolist() or [model.end] for prompt in prompts]


def checked_tokens(tokens: Tokens, rows: int, vocabulary: int) -> NDArray[np.int64]:
    """One id for each row.

    Raises:
        ParameterError: more or fewer of them, or an id that the model does not have.
    """
    made = np.asarray(tokens, dtype=np.int64)
    if made.shape != (rows,):
        raise ParameterError(f"Expected one token for each of {rows} rows.", "Append to all rows at once.")
    _check_ids(made, vocabulary)
    return made


def finite(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logits after public or released prefixes.

    Raises:
        ModelError: one is not finite.
    """
    if not np.isfinite(logits).all():
        raise ModelError("The model gave a logit that is not finite.", "Check its weights; nothing can be drawn.")
    return logits


def room_left(left: int) -> int:
    """What is left after one more token.

    Raises:
        ParameterError: nothing is left.
    """
    if left < 1:
        raise ParameterError("No token fits any more into the room that was asked for.", "Start with more room.")
    return left - 1


def _check_ids(ids: NDArray[np.int64], vocabulary: int) -> None:
    if len(ids) and (ids.min() < 0 or ids.max() >= vocabulary):
        raise ParameterError(
            f"A token's id is not among the model's {vocabulary}.", "Make tokens with this model's own tokenizer."
        )
