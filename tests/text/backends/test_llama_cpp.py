"""The adapter of llama.cpp on a GGUF file that is made here, where llama-cpp-python and gguf are installed."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest

from dpsynth.core.errors import ModelError, ParameterError
from dpsynth.text.backends import load
from tests.conformance.backend import BackendConformance


@cache
def made():
    for name in ("llama_cpp", "gguf"):
        pytest.importorskip(name, reason=f"{name} is not installed: llama.cpp's adapter is not tested here")
    pytest.importorskip("transformers", reason="the file is made of a transformers model")
    from dpsynth.text.backends.hugging_face import HFBackend
    from tests.text import small_models
    from tests.text.gguf_files import write_gguf

    tokenizer, network = small_models.tokenizer(), small_models.network("gpt2")
    path = write_gguf(network, tokenizer, Path(mkdtemp(prefix="dpsynth-model-")) / "small.gguf")
    same = HFBackend.of(network, tokenizer, name="same", device="cpu")
    return load(f"llama.cpp:{path}"), same


class TestLlamaCpp(BackendConformance):
    restart = 1e-3
    """llama.cpp looks the GELU up in a table of half precision, so a difference of one ulp before it may grow."""

    def make(self):
        return made()[0]


def test_logits_and_tokens_are_those_of_transformers():
    ours, same = made()
    assert (ours.vocabulary, ours.begin, ours.end, ours.context) == (same.vocabulary, same.begin, same.end, 127)
    for text in ("The bank charged a late fee", "naïve 価格", " 12 three"):
        assert ours.tokens(text).tolist() == same.tokens(text).tolist()
    prompts = [same.tokens("The bank"), same.tokens("I called the company and nobody")]
    one, two = ours.start(prompts, width=20, room=3), same.start(prompts, width=20, room=3)
    for token in (20, 30, 40):
        assert np.abs(one.logits() - two.logits()).max() < 5e-3  # its exp and GELU are tables and polynomials
        one.append(np.array([token, token]))
        two.append(np.array([token, token]))


def test_what_is_no_gguf_file_is_refused(tmp_path):
    if find_spec("llama_cpp") is None:
        pytest.skip("llama_cpp is not installed")
    wrong = tmp_path / "a.gguf"
    wrong.write_bytes(b"not a model")
    with pytest.raises(ModelError, match="no GGUF file"):
        load(f"llama.cpp:{wrong}")
    wrong.write_bytes(b"GGUF" + bytes(100))
    with pytest.raises(ModelError, match="cannot read"):
        load(f"llama.cpp:{wrong}")
    with pytest.raises(ModelError, match="no file"):
        load("llama.cpp:nowhere.gguf")


def test_without_it_the_error_says_what_to_install():
    if find_spec("llama_cpp") is not None:
        pytest.skip("llama_cpp is installed")
    with pytest.raises(ParameterError, match=r"need llama-cpp-python.*pip install"):
        load("llama.cpp:some.gguf")
