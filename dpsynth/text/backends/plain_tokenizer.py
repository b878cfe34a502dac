"""A tokenizer of the `tokenizers` library as this package uses one: it neither cuts nor pads, and reads text as text.

Special tokens that stand in a text are spelled with ordinary ones, so no text can end itself or begin another.

Not guaranteed: that all text has an encoding with tokenizers that know neither bytes nor an unknown token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dpsynth.core.errors import ModelError
from dpsynth.text.backends.protocol import Tokens

LEAST_COVERED = 0.75
"""Models round their vocabulary up, by some percent; a tokenizer that covers less belongs to another model."""


def plain_tokenizer(tokenizer: Any) -> Any:
    """A copy of the `tokenizers.Tokenizer` inside a `PreTrainedTokenizerFast`.

    Raises:
        ModelError: there is none inside.
    """
    from tokenizers import Tokenizer

    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise ModelError(
            "This tokenizer has no tokenizer.json form, so what it does cannot be recorded.",
            "Use a model with a fast tokenizer.",
        )
    copy = Tokenizer.from_str(backend.to_str())
    copy.no_truncation()
    copy.no_padding()
    copy.encode_special_tokens = True
    return copy


def shared_vocabulary(encoder: Any, size: int) -> int:
    """How many ids a tokenizer shares with a model of `size` of them.

    Raises:
        ModelError: they do not belong together.
    """
    special = {at for at, token in encoder.get_added_tokens_decoder().items() if token.special}
    plain = [at for at in encoder.get_vocab(with_added_tokens=True).values() if at not in special]
    highest = max(plain, default=-1)
    everything: int = max([highest, *(at for at in special if at < size)]) + 1
    if highest >= size or everything < LEAST_COVERED * size:
        raise ModelError(
            f"The tokenizer's {highest + 1} ids do not match the {size} of the model's vocabulary, so it would be "
            "fed or read as other words.",
            "Put the tokenizer that the model was trained with into its folder.",
        )
    return everything


def end_of(tokenizer: Any, vocabulary: int, end_token: str | None) -> int:
    """The id that ends a text.

    Args:
        tokenizer: a `PreTrainedTokenizerFast`.
        vocabulary: ids 0 … vocabulary-1 exist.
        end_token: its name, for tokenizers that name none.

    Raises:
        ModelError: there is none.
    """
    end = tokenizer.eos_token_id if end_token is None else tokenizer.convert_tokens_to_ids(end_token)
    if end is None or not 0 <= end < vocabulary:
        raise ModelError(
            "The tokenizer names no token that ends a text, or one that the model does not have.",
            "Name one with end_token=..., or set eos_token in tokenizer_config.json.",
        )
    return int(end)


def begin_of(tokenizer: Any, vocabulary: int) -> int | None:
    """The id that stands before every text; None if the tokenizer names none."""
    begin = tokenizer.bos_token_id
    return begin if begin is not None and 0 <= begin < vocabulary else None


def tokens_of(encoder: Any, text: str) -> Tokens:
    """Ids of a text, no special token among them; a lone surrogate becomes a question mark."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return np.array(encoder.encode(clean, add_special_tokens=False).ids, dtype=np.int64)


def text_of(encoder: Any, tokens: Sequence[int] | Tokens) -> str:
    """The text of ids, special tokens left out."""
    return str(encoder.decode([int(token) for token in tokens], skip_special_tokens=True))
