"""Tokens of the three families spell the bytes that their decoder writes."""

from __future__ import annotations

import numpy as np
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.text.backends.spelling import tokenizer_spelling

tokenizers = pytest.importorskip("tokenizers", reason="the extra `text` is not installed")
TEXTS = ["hello café 日本 🙂\n", "fees of 10% on 3 loans", "zß水🍌 end", " leading", ""]


def trained(family: str):
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

    if family == "ByteLevel":
        made = Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        made = Tokenizer(models.BPE(unk_token="<unk>"))
        made.normalizer = normalizers.Replace(" ", "▁")
        made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.Fuse()])
        alphabet = [c for text in TEXTS for c in text]
    special = ["<unk>", "<end>"]
    made.train_from_iterator(
        TEXTS[:2] * 9,
        trainers.BpeTrainer(vocab_size=700, special_tokens=special, initial_alphabet=alphabet, show_progress=False),
    )
    return made


@pytest.mark.parametrize("family", ["ByteLevel", "Metaspace"])
def test_joined_spelling_is_the_text_and_special_tokens_spell_nothing(family):
    made = trained(family)
    size = made.get_vocab_size()
    spelled = tokenizer_spelling(made, size + 5)
    assert len(spelled) == size + 5
    assert all(spelled[made.token_to_id(name)] == b"" for name in ("<unk>", "<end>"))
    assert spelled[size:] == (b"",) * 5
    for text in TEXTS:
        ids = made.encode(text, add_special_tokens=False).ids
        assert b"".join(spelled[i] for i in ids).decode() == text
    rng = np.random.default_rng(1)
    for _ in range(50):
        ids = rng.integers(2, size, size=6).tolist()
        joined = b"".join(spelled[i] for i in ids)
        assert joined.decode("utf-8", errors="replace") == made.decode(ids)


def test_byte_fallback_tokens_are_single_bytes():
    from tokenizers import Tokenizer, decoders, models

    vocabulary = {"<unk>": 0, "▁": 1, "a": 2, "▁a": 3} | {f"<0x{i:02X}>": 4 + i for i in range(256)}
    made = Tokenizer(models.BPE(vocab=vocabulary, merges=[("▁", "a")], byte_fallback=True, unk_token="<unk>"))
    made.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    spelled = tokenizer_spelling(made, 260)
    assert spelled[3] == b" a"
    assert spelled[4:] == tuple(bytes([i]) for i in range(256))
    ids = [vocabulary[f"<0x{byte:02X}>"] for byte in "é🙂".encode()]
    assert b"".join(spelled[i] for i in ids).decode() == made.decode(ids) == "é🙂"


def test_a_decoder_whose_tokens_spell_no_bytes_is_refused():
    from tokenizers import Tokenizer, decoders, models

    made = Tokenizer(models.WordPiece(vocab={"un": 0, "##do": 1}, unk_token="un"))
    made.decoder = decoders.WordPiece()
    with pytest.raises(ParameterError, match=r"WordPiece do not spell bytes.*byte-level"):
        tokenizer_spelling(made, 2)
