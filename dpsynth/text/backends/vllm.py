"""Models on a GPU through vLLM: one row in the engine at a time, whole rows of log probabilities back.

    model = load("vllm:Qwen/Qwen3-0.6B")

**This adapter was never run**: no machine of this project has both vLLM and a model. It is written after vLLM's
documentation, and `tests/text/backends/test_vllm.py` holds it to the conformance suite wherever vLLM is installed.

vLLM orders its rows as it likes and shares work between them. So that no row can feel another, the engine takes one
sequence at a time (`max_num_seqs=1`), keeps no prefixes between requests (a hit depends on what other rows held) and
works in float32. Each step asks for one token with the log probability of every id (`max_logprobs=-1`), which is the
row's logits up to a constant that no softmax sees.

Not guaranteed: speed. A prefix is read again for each of its tokens, and a whole row of log probabilities travels
through Python objects; transformers with its cache may well be faster. What vLLM does well, many rows in one pass, is
what independence to the last bit forbids.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.text.backends.model_folder import fingerprint_of_files, folder_of, read_tokenizer
from dpsynth.text.backends.plain_tokenizer import (
    begin_of,
    end_of,
    plain_tokenizer,
    shared_vocabulary,
    text_of,
    tokens_of,
)
from dpsynth.text.backends.prompts import checked_prompts, checked_tokens, room_left, with_begin
from dpsynth.text.backends.protocol import Tokens
from dpsynth.text.backends.spelling import tokenizer_spelling


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class VLLMBackend:
    """A model inside vLLM; make it with `load`.

    Attributes:
        name: folder or hub id.
        engine: a `vllm.LLM`.
        tokenizer: the `tokenizers.Tokenizer`.
        vocabulary: ids that the tokenizer has.
        begin: id that stands before every prompt; None if the model knows none.
        end: id that ends a text.
        context: most tokens of prompt and text, the begin token not counted.
        fingerprint: SHA-256 over weights, configuration and tokenizer.
        spelling: bytes of each id.
    """

    name: str
    engine: Any
    tokenizer: Any
    vocabulary: int
    begin: int | None
    end: int
    context: int
    fingerprint: str
    spelling: tuple[bytes, ...] = field(repr=False)

    @classmethod
    def load(cls, model: str, *, local_files_only: bool = True, end_token: str | None = None) -> Self:
        """A model from files.

        Args:
            model: a folder, or an id on the hub.
            local_files_only: whether an id must be in the local cache already.
            end_token: the token that ends a text, for tokenizers that name none.

        Raises:
            ParameterError: vLLM is not installed.
            ModelError: files are missing or do not belong together.
        """
        if find_spec("vllm") is None:
            raise ParameterError(
                "Models of vLLM need vllm, which is not installed.",
                "Install it on a machine with a GPU: pip install 'dpsynth-release[vllm]', or use transformers.",
            )
        import vllm

        folder = folder_of(model, local_files_only=local_files_only)
        read = read_tokenizer(folder)
        encoder = plain_tokenizer(read)
        engine = vllm.LLM(
            model=str(folder),
            dtype="float32",
            load_format="safetensors",
            trust_remote_code=False,
            max_num_seqs=1,
            max_logprobs=-1,
            enable_prefix_caching=False,
            enforce_eager=True,
            seed=0,
        )
        config = engine.llm_engine.model_config
        vocabulary = shared_vocabulary(encoder, int(config.get_vocab_size()))
        return cls(
            name=model,
            engine=engine,
            tokenizer=encoder,
            vocabulary=vocabulary,
            begin=begin_of(read, vocabulary),
            end=end_of(read, vocabulary, end_token),
            context=int(config.max_model_len) - 2,  # the begin token, and the one that a step asks for
            fingerprint=fingerprint_of_files([*folder.glob("*.safetensors"), folder / "config.json"], encoder),
            spelling=tokenizer_spelling(encoder, vocabulary),
        )

    def tokens(self, text: str) -> Tokens:
        """Ids of a text, no special token among them."""
        return tokens_of(self.tokenizer, text)

    def text(self, tokens: Sequence[int] | Tokens) -> str:
        """The text of ids, special tokens left out."""
        return text_of(self.tokenizer, tokens)

    def start(self, prompts: Sequence[Tokens], *, width: int, room: int) -> VLLMDecoding:
        """Rows that begin with these prompts."""
        return VLLMDecoding(
            model=self, prefixes=with_begin(self, checked_prompts(self, prompts, width, room)), left=room
        )


@final
@dataclass(slots=True, kw_only=True, eq=False)
class VLLMDecoding:
    """Prefixes, each read anew when its logits are asked for."""

    model: VLLMBackend
    prefixes: list[list[int]] = field(repr=False)
    left: int
    _told: NDArray[np.float32] | None = field(default=None, repr=False)

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.prefixes)

    def logits(self) -> NDArray[np.float32]:
        """Log probabilities of the next token, shape (rows, V); one that vLLM left out is no number."""
        if self._told is None:
            self._told = np.stack([self._row(prefix) for prefix in self.prefixes])
        return self._told.copy()

    def append(self, tokens: Tokens) -> None:
        """One token to each row."""
        checked = checked_tokens(tokens, self.rows, self.model.vocabulary)
        self.left = room_left(self.left)
        for prefix, token in zip(self.prefixes, checked.tolist(), strict=True):
            prefix.append(token)
        self._told = None

    def fork(self, rows: NDArray[np.int64]) -> VLLMDecoding:
        """Copies of these rows."""
        chosen = [list(self.prefixes[int(row)]) for row in rows]
        told = None if self._told is None else self._told[rows]
        return VLLMDecoding(model=self.model, prefixes=chosen, left=self.left, _told=told)

    def _row(self, prefix: list[int]) -> NDArray[np.float32]:
        from vllm import SamplingParams

        asked = SamplingParams(max_tokens=1, temperature=0.0, logprobs=-1, detokenize=False)
        answer = self.model.engine.generate([{"prompt_token_ids": prefix}], asked, use_tqdm=False)
        found = answer[0].outputs[0].logprobs[0]
        row = np.full(self.model.vocabulary, np.nan, dtype=np.float32)
        for token, value in found.items():
            if token < self.model.vocabulary:
                row[token] = value.logprob
        return row
