"""An n-gram model holds what models must, needs no learning library, and counts right."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from itertools import pairwise

import numpy as np
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.text.backends import load
from dpsynth.text.backends.ngram import NgramBackend
from tests.conformance.backend import BackendConformance
from tests.text.small_models import LINES


@cache
def made(extra: str = "") -> NgramBackend:
    return NgramBackend.of([*LINES, extra], pieces=80)


class TestNgram(BackendConformance):
    def make(self):
        return made()


class TestEmbedded(BackendConformance):
    def make(self):
        return load("ngram")


def test_probabilities_add_up_and_all_are_positive():
    model = made()
    decoding = model.start([model.tokens(line)[:9] for line in LINES], width=9, room=1)
    chances = np.exp(decoding.logits().astype(np.float64))
    assert np.allclose(chances.sum(axis=1), 1, atol=1e-5) and (chances > 0).all()


def test_chances_are_witten_and_bells():
    """Tokens 0, 1, 2: "a b" was followed by c twice and by a once, in texts of bytes alone."""
    model = NgramBackend.of(["abcabcaba"], pieces=0)
    stream = [256, *b"abcabcaba", 256]
    size, single = 257, np.bincount([256, *b"abcabcaba", 256], minlength=257)
    kinds = np.count_nonzero(single)
    alone = (single + kinds / size) / (len(stream) + kinds)
    after_b = {after for before, after in pairwise(stream) if before == ord("b")}
    follows = np.bincount([b for a, b in pairwise(stream) if a == ord("b")], minlength=size)
    two = (follows + len(after_b) * alone) / (follows.sum() + len(after_b))
    three = np.bincount([ord("c"), ord("c"), ord("a")], minlength=size)
    expected = (three + 2 * two) / (3 + 2)
    told = model.start([np.array([*b"ab"])], width=2, room=0).logits()[0]
    assert np.allclose(told, np.log(expected), atol=1e-6)


def test_one_more_text_is_another_fingerprint():
    assert made().fingerprint != made("One more line.").fingerprint


def test_no_text_is_refused():
    with pytest.raises(ParameterError, match="some public text"):
        NgramBackend.of(["", ""])


def test_nothing_heavy_is_imported():
    probe = (
        "from dpsynth.text.backends import load\n"
        "from dpsynth.text.backends.ngram import NgramBackend\n"
        "import sys, numpy as np\n"
        "model = NgramBackend.of(['some text']); model.start([model.tokens('a')], width=9, room=1).logits()\n"
        "print([m for m in ('torch', 'transformers', 'tokenizers', 'scipy', 'pandas', 'pyarrow') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"
