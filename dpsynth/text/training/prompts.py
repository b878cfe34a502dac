"""What stands before a text: the words of its topic on a line of their own (CTCL's pattern), or nothing.

A topic's words are released; they are cut to `MOST` tokens, a public number, so that whether prompt and text fit the
model's context is known before anything private is read.

Not guaranteed: that two topics whose words agree in their first `MOST` tokens are told apart.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dpsynth.text.backends.protocol import Tokens, Trainable

MOST = 48


def prompts(model: Trainable, topics: Sequence[str]) -> list[Tokens]:
    """What a model is given to write about each topic; it puts its begin token, if it has one, in front itself."""
    lead = [] if model.begin is not None else [model.end]
    return [
        np.array([*lead, *(model.tokens(f"{topic}\n")[:MOST] if topic else ())], dtype=np.int64) for topic in topics
    ]


def as_seen(model: Trainable, prompt: Tokens) -> Tokens:
    """What its network sees of a prompt, at least one token."""
    return prompt if model.begin is None else np.concatenate([[model.begin], prompt]).astype(np.int64)
