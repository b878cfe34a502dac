"""The bytes that each token of a Hugging Face tokenizer adds to a text, read off its decoder.

Three families cover what causal models use, and a file `tokenizer.json` says which one it is:

    ByteLevel      GPT-2, Llama 3, Qwen: each character of a token stands for one byte, by GPT-2's public table
    ByteFallback   Llama 2, Gemma: U+2581 stands for a space, "<0x0A>" for one byte
    Metaspace      U+2581 stands for a space

>>> table = byte_level_table()
>>> bytes(table[c] for c in "ĠcafÃ©").decode()
' café'

Not guaranteed: that text(ids) begins with the first token's space; some decoders of the last two families drop it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from dpsynth.core.errors import ParameterError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

_ONE_BYTE = re.compile(r"<0x([0-9A-F]{2})>")


def byte_level_table() -> dict[str, int]:
    """GPT-2's table: the byte that each character of a token stands for."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    rest = [byte for byte in range(256) if byte not in set(plain)]
    return {chr(byte): byte for byte in plain} | {chr(256 + place): byte for place, byte in enumerate(rest)}


def tokenizer_spelling(tokenizer: Tokenizer, vocabulary: int) -> tuple[bytes, ...]:
    """Bytes of ids 0 … `vocabulary`-1; empty for special tokens and for ids that the tokenizer does not have.

    Raises:
        ParameterError: a decoder of another family, whose tokens do not spell bytes of their own.
    """
    families = _decoders(json.loads(tokenizer.to_str()).get("decoder"))
    added = tokenizer.get_added_tokens_decoder()
    spelled = [b""] * vocabulary
    table = byte_level_table() if "ByteLevel" in families else None
    if table is None and not families & {"ByteFallback", "Metaspace"}:
        raise ParameterError(
            f"Tokens of a decoder {', '.join(sorted(families)) or 'without a name'} do not spell bytes of their own.",
            "Use a model with a byte-level, byte-fallback or Metaspace tokenizer.",
        )
    for token, number in tokenizer.get_vocab(with_added_tokens=True).items():
        if number >= vocabulary or (number in added and added[number].special):
            continue
        if number in added:
            spelled[number] = token.encode()
        elif table is not None:
            spelled[number] = b"".join(bytes([table[c]]) if c in table else c.encode() for c in token)
        elif "ByteFallback" in families and (one := _ONE_BYTE.fullmatch(token)):
            spelled[number] = bytes([int(one.group(1), 16)])
        else:
            spelled[number] = token.replace("\u2581", " ").encode()
    return tuple(spelled)


def _decoders(decoder: dict[str, Any] | None) -> set[str]:
    """Types of a decoder and of those inside it; a Replace of U+2581 counts as Metaspace."""
    if decoder is None:
        return set()
    if decoder["type"] == "Sequence":
        return set[str]().union(*(_decoders(inner) for inner in decoder["decoders"]))
    if decoder["type"] == "Replace" and decoder.get("pattern", {}).get("String") == "\u2581":
        return {"Metaspace"}
    return {decoder["type"]}
