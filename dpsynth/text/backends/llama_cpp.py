"""GGUF files through llama.cpp: each row is read alone, so that it knows of no other by construction.

    model = load("llama.cpp:models/qwen3-0.6b-q8_0.gguf")

One context with room for one sequence does all the work. A row between two steps is a string of bytes, the context's
own copy of its state; a step puts the string back, decodes one token, and takes the state out again. So a fork costs
nothing, and the bits of a row cannot depend on its neighbours, its place or their number. One thread, keys and values
in float32, no flash attention. Logits come out in float32 whatever the weights are stored in.

Not guaranteed: speed. States are copied at every step, and rows do not share a pass; small numbers of rows are what
this is for. The extra `llama-cpp` installs `llama-cpp-python`, which is built from source. Tested with 0.3.36 on a CPU
and a GPT-2 that the tests convert; other architectures and quantized files were not tried.
"""

from __future__ import annotations

import ctypes
import logging
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ModelError, ParameterError
from dpsynth.text.backends.model_folder import fingerprint_of_files
from dpsynth.text.backends.prompts import checked_prompts, checked_tokens, room_left, with_begin
from dpsynth.text.backends.protocol import Tokens

FLOAT32 = 0
"""`GGML_TYPE_F32`."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LlamaCppBackend:
    """A GGUF model; make it with `load`.

    Attributes:
        name: of the file.
        vocabulary: ids that the file has.
        begin: id that stands before every prompt; None if the file asks for none.
        end: id that ends a text.
        context: most tokens of prompt and text, the begin token not counted.
        spelling: bytes of each id.
        fingerprint: SHA-256 over the file.
    """

    name: str
    vocabulary: int
    begin: int | None
    end: int
    context: int
    spelling: tuple[bytes, ...]
    fingerprint: str
    _model: Any

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """A model from a file.

        Raises:
            ParameterError: llama-cpp-python is not installed.
            ModelError: no such file, or none that llama.cpp reads, or one that names no end of a text.
        """
        library, file = _library(), Path(path)
        if not file.is_file():
            raise ModelError(f"There is no file {file}.", "Give the path of a .gguf file.")
        with file.open("rb") as opened:
            if opened.read(4) != b"GGUF":
                raise ModelError(f"{file.name} is no GGUF file.", "Convert the model with llama.cpp's own script.")
        settings = library.llama_model_default_params()
        settings.n_gpu_layers = 0
        model = library.llama_model_load_from_file(str(file).encode(), settings)
        if not model:
            raise ModelError(f"llama.cpp cannot read {file.name}.", "Convert the model again with this version of it.")
        words = library.llama_model_get_vocab(model)
        vocabulary, end = library.llama_vocab_n_tokens(words), library.llama_vocab_eos(words)
        if not 0 <= end < vocabulary:
            raise ModelError(f"{file.name} names no token that ends a text.", "Convert it with its eos_token_id.")
        begin = library.llama_vocab_bos(words) if library.llama_vocab_get_add_bos(words) else -1
        return cls(
            name=file.name,
            vocabulary=vocabulary,
            begin=begin if 0 <= begin < vocabulary else None,
            end=end,
            context=library.llama_model_n_ctx_train(model) - 1,
            spelling=tuple(_piece(library, words, token) for token in range(vocabulary)),
            fingerprint=fingerprint_of_files([file]),
            _model=_Freed(library, library.llama_model_free, model),
        )

    def tokens(self, text: str) -> Tokens:
        """Ids of a text, no special token among them; a lone surrogate becomes a question mark."""
        library = _library()
        raw = text.encode("utf-8", "replace")
        words, most = library.llama_model_get_vocab(self._model.pointer), len(raw) + 8
        buffer = (library.llama_token * most)()
        found = library.llama_tokenize(words, raw, len(raw), buffer, most, False, False)
        if found < 0:
            raise ModelError("llama.cpp found no tokens for a text.", "Use another model.")
        return np.array(buffer[:found], dtype=np.int64)

    def text(self, tokens: Sequence[int] | Tokens) -> str:
        """The text of ids, special tokens left out."""
        return b"".join(self.spelling[int(token)] for token in tokens).decode("utf-8", "replace")

    def start(self, prompts: Sequence[Tokens], *, width: int, room: int) -> LlamaCppDecoding:
        """Rows that begin with these prompts."""
        whole = with_begin(self, checked_prompts(self, prompts, width, room))
        engine = _Engine(self._model, self.vocabulary, width + 1 + room)
        read = [engine.step(None, 0, prompt) for prompt in whole]
        return LlamaCppDecoding(
            engine=engine,
            states=[state for state, _ in read],
            lengths=[len(prompt) for prompt in whole],
            told=[logits for _, logits in read],
            left=room,
        )


@final
@dataclass(slots=True, kw_only=True, eq=False)
class LlamaCppDecoding:
    """Rows as saved states, how many tokens each holds, and the logits after them."""

    engine: _Engine
    states: list[bytes] = field(repr=False)
    lengths: list[int] = field(repr=False)
    told: list[NDArray[np.float32]] = field(repr=False)
    left: int

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.states)

    def logits(self) -> NDArray[np.float32]:
        """Of the next token, shape (rows, V)."""
        return np.stack(self.told)

    def append(self, tokens: Tokens) -> None:
        """One token to each row."""
        checked = checked_tokens(tokens, self.rows, self.engine.vocabulary)
        self.left = room_left(self.left)
        for row, token in enumerate(checked.tolist()):
            self.states[row], self.told[row] = self.engine.step(self.states[row], self.lengths[row], [token])
            self.lengths[row] += 1

    def fork(self, rows: NDArray[np.int64]) -> LlamaCppDecoding:
        """Copies of these rows."""
        chosen = [int(row) for row in rows]
        return LlamaCppDecoding(
            engine=self.engine,
            states=[self.states[row] for row in chosen],
            lengths=[self.lengths[row] for row in chosen],
            told=[self.told[row] for row in chosen],
            left=self.left,
        )


class _Freed:
    """A pointer that llama.cpp frees when nobody holds it any more."""

    def __init__(self, library: Any, free: Any, pointer: Any, owner: _Freed | None = None) -> None:
        self.library, self.pointer, self.owner = library, pointer, owner
        weakref.finalize(self, free, pointer)


class _Engine:
    """A context of one sequence.

    Args:
        model: the weights.
        vocabulary: logits of a token.
        positions: of the sequence.
    """

    def __init__(self, model: _Freed, vocabulary: int, positions: int) -> None:
        self.library, self.vocabulary = model.library, vocabulary
        settings = self.library.llama_context_default_params()
        settings.n_ctx = settings.n_batch = positions
        settings.n_seq_max = settings.n_threads = settings.n_threads_batch = 1
        settings.type_k = settings.type_v = FLOAT32
        settings.flash_attn_type, settings.swa_full, settings.offload_kqv = 0, True, False
        context = self.library.llama_init_from_model(model.pointer, settings)
        if not context:
            raise ModelError("llama.cpp made no context for the model.", "Ask for fewer tokens.")
        self._context = _Freed(self.library, self.library.llama_free, context, model)
        self._batch = self.library.llama_batch_init(positions, 0, 1)
        weakref.finalize(self, self.library.llama_batch_free, self._batch)

    def step(self, state: bytes | None, length: int, tokens: Sequence[int]) -> tuple[bytes, NDArray[np.float32]]:
        """Put a row back, decode tokens at positions `length` …, and take it out again with the logits of the last."""
        library, context, batch = self.library, self._context.pointer, self._batch
        library.llama_memory_clear(library.llama_get_memory(context), True)
        if state is not None:
            held = (ctypes.c_uint8 * len(state)).from_buffer_copy(state)
            if library.llama_state_seq_set_data(context, held, len(state), 0) == 0:
                raise ModelError("llama.cpp did not take back a state of its own.", "Report it with its version.")
        batch.n_tokens = len(tokens)
        for at, token in enumerate(tokens):
            batch.token[at], batch.pos[at], batch.n_seq_id[at] = token, length + at, 1
            batch.seq_id[at][0], batch.logits[at] = 0, at == len(tokens) - 1
        if library.llama_decode(context, batch) != 0:
            raise ModelError("llama.cpp could not decode a token.", "Ask for fewer tokens.")
        found = library.llama_get_logits_ith(context, len(tokens) - 1)
        logits = np.ctypeslib.as_array(found, shape=(self.vocabulary,)).copy()
        kept = (ctypes.c_uint8 * library.llama_state_seq_get_size(context, 0))()
        size = library.llama_state_seq_get_data(context, kept, len(kept), 0)
        return bytes(kept)[:size], logits


def _piece(library: Any, words: Any, token: int) -> bytes:
    """Bytes that a token adds to a text; none for special ones."""
    if library.llama_vocab_is_control(words, token):
        return b""
    buffer = ctypes.create_string_buffer(512)
    size = library.llama_token_to_piece(words, token, buffer, len(buffer), 0, False)
    return buffer.raw[: max(size, 0)]


def _library() -> Any:
    """The bindings.

    Raises:
        ParameterError: they are not installed.
    """
    if find_spec("llama_cpp") is None:
        raise ParameterError(
            "Models of llama.cpp need llama-cpp-python, which is not installed.",
            "Install it: pip install 'dpsynth-release[llama-cpp]' (built from source), or use transformers.",
        )
    import llama_cpp

    logging.getLogger("llama-cpp-python").setLevel(logging.CRITICAL)  # it takes warnings for errors
    return llama_cpp
