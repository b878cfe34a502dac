"""Points for the report: the fallback knows all sets alike, an encoder averages tokens, a cache asks once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dpsynth.core.errors import DataError
from dpsynth.quality.text import evaluate_text
from dpsynth.quality.text.embedding import Cached, SentenceEncoder
from tests.attacks.text.worlds import parts


class Letters:
    """Counts of letters; how often it was asked."""

    name = "letters"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def encode(self, texts: list[str]) -> np.ndarray:
        self.asked += texts
        return np.array([[t.count(c) + 0.1 for c in "abcdefgh"] for t in texts], dtype=np.float32)


def test_a_cached_text_is_encoded_once_and_its_points_are_the_same(tmp_path: Path) -> None:
    inner = Letters()
    file = tmp_path / "points.npz"
    first = Cached(embedding=inner, file=file).encode(["a b", "c", "a b"])
    again = Cached(embedding=inner, file=file).encode(["c", "d e", "a b"])
    assert inner.asked == ["a b", "c", "d e"]
    assert np.array_equal(first[[1, 0]], again[[0, 2]]) and file.stat().st_mode & 0o077 == 0
    file.write_bytes(b"broken")
    with pytest.raises(DataError):
        Cached(embedding=inner, file=file).encode(["a"])


def test_the_report_names_the_embedding_and_asks_each_text_once() -> None:
    inner = Letters()
    real, made, held = parts(60, 40, 40, seed=8)
    report = evaluate_text(real, made, held, embedding=inner)
    assert report.text.embedding == "letters" and len(inner.asked) == len(set(inner.asked))


def test_an_encoder_is_the_mean_of_its_tokens(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    transformers = pytest.importorskip("transformers")
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "a", "b", "c"]
    (tmp_path / "vocab.txt").write_text("\n".join(words), "utf-8")
    torch.manual_seed(0)
    config = transformers.BertConfig(vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2,
                                     intermediate_size=16, max_position_embeddings=16)  # fmt: skip
    model = transformers.BertModel(config).eval()
    model.save_pretrained(tmp_path)
    transformers.BertTokenizerFast(vocab_file=str(tmp_path / "vocab.txt")).save_pretrained(tmp_path)
    encoder = SentenceEncoder(folder=tmp_path, batch=2)
    found = encoder.encode(["a b c a b", "c", "b a"])
    with torch.inference_mode():
        ids = transformers.AutoTokenizer.from_pretrained(tmp_path)("c")["input_ids"]
        alone = model(torch.tensor([ids])).last_hidden_state.mean(dim=1).numpy()[0]
    assert found.shape == (3, 8) and found[1] == pytest.approx(alone, abs=1e-5)
    assert "SHA-256" in encoder.name
    with pytest.raises(DataError):
        _ = SentenceEncoder(folder=tmp_path / "none").name
