"""What a language model must offer: tokens, logits of the next one, and prefixes that grow.

    started = model.start([model.tokens("Dear"), model.tokens("To whom")], width=8, room=100)
    logits  = started.logits()                  # float32 (2, V): of the next token of each row
    started.append(chosen)                      # one token a row
    copies  = started.fork(np.array([0, 0, 1])) # three rows that go on from these prefixes

Proofs of private prediction need more than the right numbers: a row's logits must be a function of that row's own
prefix, to the last bit. So every prompt is padded to `width`, a public number, and what stands in other rows, or in
which place a row stands, changes nothing (`tests/conformance/backend.py` asks for 0 ulp in float32 on a CPU).

Not guaranteed: that a model was trained on public text. Whoever names a model declares that.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Tokens = NDArray[np.int64]
"""Token ids, shape (tokens,)."""


class Decoding(Protocol):
    """Rows of prefixes, with whatever a model keeps to go on from them."""

    @property
    def rows(self) -> int:
        """How many."""

    def logits(self) -> NDArray[np.float32]:
        """Of the next token of each row, shape (rows, V).

        What is not finite is handed on: a prefix may be private, and an error would tell of it. `finite` refuses it
        where prefixes are public; private prediction hears nothing of such a row.
        """

    def append(self, tokens: Tokens) -> None:
        """One token to each row, shape (rows,)."""

    def fork(self, rows: NDArray[np.int64]) -> Decoding:
        """Copies of these rows' prefixes, repeats allowed; this one stays as it is."""


class LanguageModel(Protocol):
    """A public model with its tokenizer."""

    @property
    def name(self) -> str:
        """For cards and logs."""

    @property
    def vocabulary(self) -> int:
        """V: ids are 0 … V-1."""

    @property
    def end(self) -> int:
        """The id that ends a text; an empty prompt is this token alone, or `begin` where a model has one."""

    @property
    def context(self) -> int:
        """Most tokens of prompt and text together."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) over weights, configuration and tokenizer."""

    @property
    def spelling(self) -> Sequence[bytes]:
        """What each id adds to a text, V entries; empty for special tokens and for ids beyond the tokenizer.

        `text(ids)` is these bytes joined and read as UTF-8 (what is no UTF-8 becomes U+FFFD; a tokenizer may drop one
        leading space). `tokenizer_spelling` derives them; forms (`text/structure`) are held to them.
        """

    def tokens(self, text: str) -> Tokens:
        """Ids of a text, without any special token; every text has some encoding."""

    def text(self, tokens: Sequence[int] | Tokens) -> str:
        """The text of ids; special tokens are left out."""

    def start(self, prompts: Sequence[Tokens], *, width: int, room: int) -> Decoding:
        """Rows that begin with these prompts.

        Args:
            prompts: one a row; at most `width` tokens each.
            width: positions that each prompt takes, a public number.
            room: most tokens that will be appended to a row.

        Raises:
            ParameterError: a prompt is longer than `width`, or width and room together exceed the context.
        """


class Trainable(LanguageModel, Protocol):
    """A model whose weights can be fine-tuned (`dpsynth.text.dpsgd`): a causal language model of transformers."""

    @property
    def begin(self) -> int | None:
        """The id that `start` puts before every prompt, so that sequences to train on begin with it; None for none."""

    @property
    def module(self) -> Any:
        """A torch module: `module(input_ids=, position_ids=, use_cache=False).logits`; whoever trains copies it."""

    def with_module(self, module: Any, *, name: str) -> Trainable:
        """This tokenizer, end and context over other weights of the same architecture."""
