"""What every form of texts must keep. A form's test subclasses this and says what has the form and what has not.

    class TestDates(StructureConformance):
        def form(self): return Regex(r"20[0-9]{2}-[01][0-9]")
        whole = ("2024-01", "2099-19")
        broken = ("", "2024", "2024-01 ", "1999-01")

`whole` are texts that the automaton writes. Vocabularies are such as models have: all bytes, pieces beside all bytes,
words only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, ClassVar

import numpy as np
import pytest

from dpsynth.core.errors import ParameterError

STEPS = 60


@dataclass(frozen=True)
class Vocabulary:
    """As much of a model as a form asks for."""

    name: str
    spelling: tuple[bytes, ...]
    end: int
    complete: bool = field(default=True)  # every byte is spelled by a token of its own

    @property
    def vocabulary(self) -> int:
        return len(self.spelling)

    @property
    def fingerprint(self) -> str:
        return sha256(repr((self.spelling, self.end)).encode()).hexdigest()

    def text(self, tokens: Sequence[int]) -> str:
        return b"".join(self.spelling[token] for token in tokens).decode("utf-8", errors="replace")

    def readable(self, tokens: Sequence[int]) -> bool:
        """Whether the text ends at the end of a character."""
        return self.text(tokens).encode() == b"".join(self.spelling[token] for token in tokens)


BYTES = Vocabulary("bytes", (b"", *(bytes([i]) for i in range(256))), 0)
PIECES = (b"<", b"a", b"ab", b"abc", b"ba", b'{"', b'": ', b'", "', b"}", b"]", b"20", b"2024", b"-0", b" ", b"\xc3")
PIECES_TWICE = (*(bytes([i]) for i in range(256)), *PIECES, "é日".encode(), "🙂".encode(), b"", b"ab", b"", b"true")
MIXED = Vocabulary("pieces", PIECES_TWICE, PIECES_TWICE.index(b""))
WORDS = Vocabulary(
    "words", (b"ab", b"b", b"0", b"20", b"24", b"-", b'"', b'{"n', b'": ', b"}", b""), 10, complete=False
)


class StructureConformance:
    """Checks that each form inherits."""

    whole: ClassVar[tuple[str, ...]]
    broken: ClassVar[tuple[str, ...]]

    def form(self) -> Any:
        """A fresh form."""
        raise NotImplementedError

    def reach(self, automaton: Any, text: str, model: Vocabulary) -> bool:
        """Take the text byte by byte; whether the automaton let it."""
        for byte in text.encode():
            token = model.spelling.index(bytes([byte]))
            if not automaton.allowed()[token]:
                return False
            automaton.advance(token)
        return True

    @pytest.mark.parametrize("model", [BYTES, MIXED], ids=lambda m: m.name)
    def test_whole_texts_are_written_and_accepted_and_broken_ones_neither(self, model):
        form = self.form()
        for text in self.whole:
            automaton = form.begin(model)
            assert self.reach(automaton, text, model), text
            assert automaton.allowed()[model.end]
            assert form.accepts(text)
        for text in self.broken:
            automaton = form.begin(model)
            assert not (self.reach(automaton, text, model) and automaton.allowed()[model.end]), text
            assert not form.accepts(text)

    @pytest.mark.parametrize("model", [BYTES, MIXED, WORDS], ids=lambda m: m.name)
    def test_a_walk_never_stands_without_a_token_and_its_end_has_the_form(self, model):
        form = self.form()
        try:
            form.begin(model)
        except ParameterError:
            assert not model.complete
            return
        for seed in range(25):
            rng = np.random.default_rng(seed)
            automaton, tokens = form.begin(model), []
            for _ in range(STEPS):
                mask = automaton.allowed()
                assert mask.shape == (model.vocabulary,)
                assert mask.dtype == np.bool_
                assert mask.any()
                if model.complete:
                    assert mask[model.end] == (model.readable(tokens) and form.accepts(model.text(tokens)))
                token = int(rng.choice(np.flatnonzero(mask)))
                automaton.advance(token)
                if token == model.end:
                    break
                assert model.spelling[token], "a token that spells nothing was allowed"
                tokens.append(token)
            if model.complete and token == model.end:
                assert form.accepts(model.text(tokens))

    def test_a_token_is_allowed_exactly_where_its_bytes_are(self):
        form, rng = self.form(), np.random.default_rng(3)
        for _ in range(3):
            pieces, single = form.begin(MIXED), form.begin(BYTES)
            for _ in range(12):
                mask = pieces.allowed()
                for token, spelled in enumerate(MIXED.spelling):
                    if token != MIXED.end and spelled:
                        probe = single.fork()
                        assert mask[token] == self.reach_bytes(probe, spelled), spelled
                token = int(rng.choice(np.flatnonzero(mask)))
                if token == MIXED.end:
                    break
                pieces.advance(token)
                assert self.reach_bytes(single, MIXED.spelling[token])

    def reach_bytes(self, automaton: Any, spelled: bytes) -> bool:
        for byte in spelled:
            if not automaton.allowed()[byte + 1]:
                return False
            automaton.advance(byte + 1)
        return True

    def test_every_token_is_taken_or_refused_as_the_mask_says_and_a_refusal_changes_nothing(self):
        automaton = self.form().begin(MIXED)
        for token in (*range(MIXED.vocabulary), -1, MIXED.vocabulary):
            before = automaton.allowed()
            copy = automaton.fork()
            if 0 <= token < MIXED.vocabulary and before[token]:
                copy.advance(token)
                continue
            with pytest.raises(ParameterError, match="does not allow this token"):
                copy.advance(token)
            np.testing.assert_array_equal(copy.allowed(), before)

    def test_copies_move_on_their_own(self):
        form = self.form()
        first = form.begin(BYTES)
        start = first.allowed()
        self.reach(second := first.fork(), self.whole[-1], BYTES)
        np.testing.assert_array_equal(first.allowed(), start)
        third = second.fork()
        np.testing.assert_array_equal(third.allowed(), second.allowed())
        np.testing.assert_array_equal(form.begin(BYTES).allowed(), start)

    def test_after_the_end_only_the_end_is_left(self):
        automaton = self.form().begin(BYTES)
        self.reach(automaton, self.whole[0], BYTES)
        automaton.advance(BYTES.end)
        for one in (automaton, automaton.fork()):
            assert np.flatnonzero(one.allowed()).tolist() == [BYTES.end]
            one.advance(BYTES.end)
            with pytest.raises(ParameterError, match="does not allow this token"):
                one.advance(BYTES.spelling.index(b"a"))

    def test_a_form_is_compiled_once_for_each_model(self, monkeypatch):
        from dpsynth.text.structure import automaton

        made: list[str] = []
        real = automaton.Grammar._of.__func__
        monkeypatch.setattr(
            automaton.Grammar, "_of", classmethod(lambda cls, *given: made.append("one") or real(cls, *given))
        )
        form = self.form()
        made.clear()
        for model in (BYTES, MIXED, BYTES, MIXED, Vocabulary("the same", BYTES.spelling, BYTES.end)):
            form.begin(model)
        assert len(made) == 2

    def test_it_is_described_in_texts_and_equal_forms_are_equal(self):
        told = self.form().describe()
        assert json.loads(json.dumps(told)) == told
        assert all(isinstance(value, str) for value in told.values())
        assert {"form"} < set(told)
        assert self.form() == self.form()
        assert hash(self.form()) == hash(self.form())
