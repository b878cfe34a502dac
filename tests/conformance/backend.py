"""What every language model must hold: subclass, return one from `make`, inherit the checks.

class TestMine(BackendConformance):
    def make(self):
        return Mine()

The proofs of private prediction take a row's logits for a function of that row's own prefix. The first checks ask for
that to the last bit: whatever other rows hold, wherever a row stands, and however many there are.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.errors import ParameterError

ODD_TEXTS = (
    "",
    " ",
    "plain words",
    "  two  spaces and a tab\t",
    "café, naïve, Ærø",
    "価格は安い 🏦 e\u0301",
    "null \x00 byte and \x1b[31m escape",
    "\ufeffbyte order mark",
    "caf\udce9 read as latin-1",
    "<|endoftext|> </s> <eos> [PAD]",
    "a" * 200,
)
"""Of every encoding that a careless reader leaves behind, and of none."""


class BackendConformance:
    """The checks. `make` gives a model with a context of at least 60 tokens."""

    width = 20
    steps = 4
    ulp = 0
    """By how much a row may differ with other rows: nothing."""
    restart = 2e-5
    """By how much, relative to the largest logit, a step from the cache may differ from reading the prefix again."""
    keeps_bytes = True
    """Whether every well-formed text comes back as it was."""

    def make(self):
        raise NotImplementedError

    def prompts(self, model, count, seed=0):
        rng = np.random.default_rng(seed)
        lengths = [0, 1, self.width, *rng.integers(0, self.width + 1, count)][:count]
        return [self.ids(model, rng, length) for length in lengths]

    def ids(self, model, rng, length):
        chosen = rng.integers(0, model.vocabulary, length)
        return np.where(chosen == model.end, (model.end + 1) % model.vocabulary, chosen)

    def logits(self, model, prompts, seed=1):
        """Of all steps, shape (rows, steps + 1, V); row i takes the same tokens whatever stands beside it."""
        decoding = model.start(prompts, width=self.width, room=self.steps)
        told = [decoding.logits()]
        for step in range(self.steps):
            decoding.append(np.array([int(prompt.sum() + seed + step) % model.vocabulary for prompt in prompts]))
            told.append(decoding.logits())
        return np.stack(told, axis=1)

    def same(self, one, other):
        if self.ulp == 0:
            assert np.array_equal(one, other), f"differ by {np.abs(one - other).max():.3g}"
        else:
            np.testing.assert_array_max_ulp(one, other, maxulp=self.ulp)

    # --- a row is a function of its own prefix -----------------------------------------------------------------------

    def test_what_other_rows_hold_changes_nothing(self):
        model = self.make()
        prompts = self.prompts(model, 6)
        alone = self.logits(model, prompts)
        for seed in (5, 6):
            others = self.prompts(model, 12, seed)[6:]
            others[2] = np.zeros(0, dtype=np.int64)
            for at in range(6):
                changed = [prompts[at] if row == at else others[row] for row in range(6)]
                self.same(self.logits(model, changed)[at], alone[at])

    def test_the_place_of_a_row_changes_nothing(self):
        model = self.make()
        prompts = self.prompts(model, 9)
        told = self.logits(model, prompts)
        for order in ([8, 7, 6, 5, 4, 3, 2, 1, 0], [3, 4, 5, 6, 7, 8, 0, 1, 2]):
            self.same(self.logits(model, [prompts[row] for row in order]), told[order])

    def test_how_many_rows_there_are_changes_nothing(self):
        model = self.make()
        prompts = self.prompts(model, 4)
        told = self.logits(model, prompts)
        for at in range(4):
            self.same(self.logits(model, prompts[at : at + 1])[0], told[at])
        many = self.logits(model, [*self.prompts(model, 67, seed=9), *prompts])
        self.same(many[67:], told)

    def test_the_same_rows_twice_give_the_same_bits(self):
        model = self.make()
        prompts = self.prompts(model, 5)
        assert np.array_equal(self.logits(model, prompts), self.logits(model, prompts))

    def test_a_decoding_does_not_show_its_prefixes(self):
        """They may be private, and what is printed of an error may show any object."""
        model = self.make()
        told = {
            repr(model.start([self.ids(model, np.random.default_rng(seed), 5)], width=5, room=1)) for seed in (0, 1)
        }
        assert len(told) == 1

    # --- prefixes grow -----------------------------------------------------------------------------------------------

    def test_a_step_from_the_cache_is_reading_the_longer_prefix(self):
        model = self.make()
        prompts = [prompt[: self.width - 3] for prompt in self.prompts(model, 5)]
        more = self.ids(model, np.random.default_rng(3), 3)
        decoding = model.start(prompts, width=self.width, room=3)
        for taken in range(1, 4):
            decoding.append(np.full(len(prompts), more[taken - 1]))
            longer = [np.concatenate([prompt, more[:taken]]) for prompt in prompts]
            read = model.start(longer, width=self.width, room=0).logits()
            told = decoding.logits()
            for at, prompt in enumerate(prompts):
                if len(prompt):  # after an empty prompt the end token stands, which a longer prompt need not begin with
                    assert np.abs(read[at] - told[at]).max() <= self.restart * np.abs(told[at]).max()

    def test_what_is_appended_changes_what_comes_next(self):
        model = self.make()
        prompts = [self.ids(model, np.random.default_rng(4), 3)] * 2
        decoding = model.start(prompts, width=3, room=1)
        first, second = model.tokens("The")[0], model.tokens(".")[0]
        decoding.append(np.array([first, second]))
        told = decoding.logits()
        assert not np.array_equal(told[0], told[1])

    def test_a_fork_goes_its_own_way(self):
        model = self.make()
        prompts = self.prompts(model, 5)
        decoding = model.start(prompts, width=self.width, room=6)
        decoding.append(np.arange(5))
        rows = np.array([4, 0, 0, 2])
        copied = decoding.fork(rows)
        assert copied.rows == 4 and decoding.rows == 5
        before = decoding.logits()
        self.same(copied.logits(), before[rows])
        copied.append(np.array([1, 2, 3, 4]))
        after = copied.logits()
        self.same(decoding.logits(), before)
        decoding.append(np.array([2, 9, 9, 9, 1]))
        told = decoding.logits()
        self.same(after[[0, 1]], told[[4, 0]])

    def test_a_fork_of_more_rows_than_there_were(self):
        model = self.make()
        decoding = model.start(self.prompts(model, 2), width=self.width, room=2)
        decoding.append(np.array([1, 1]))
        copied = decoding.fork(np.arange(70) % 2)
        self.same(copied.logits(), decoding.logits()[np.arange(70) % 2])

    def test_logits_are_finite_float32_of_every_row_and_token(self):
        model = self.make()
        told = model.start(self.prompts(model, 3), width=self.width, room=0).logits()
        assert told.dtype == np.float32 and told.shape == (3, model.vocabulary) and np.isfinite(told).all()

    # --- tokens and texts --------------------------------------------------------------------------------------------

    def test_every_text_has_tokens_among_the_vocabulary(self):
        model = self.make()
        for text in ODD_TEXTS:
            ids = model.tokens(text)
            assert ids.dtype == np.int64 and ids.ndim == 1
            assert (len(ids) > 0) == (text != "")
            assert not len(ids) or (ids.min() >= 0 and ids.max() < model.vocabulary)
            assert model.end not in ids, "a text must not end itself"
            model.text(ids).encode("utf-8")

    def test_texts_come_back(self):
        model = self.make()
        if not self.keeps_bytes:
            pytest.skip("this tokenizer does not keep every byte")

        @settings(max_examples=60)
        @given(st.text(st.characters(exclude_categories=["Cs"]), max_size=40))
        def comes_back(text):
            assert model.text(model.tokens(text)) == text

        comes_back()
        for text in ODD_TEXTS:
            clean = text.encode("utf-8", "replace").decode()
            assert model.text(model.tokens(text)) == clean

    def test_any_tokens_make_a_text_that_can_be_stored(self):
        model = self.make()
        rng = np.random.default_rng(2)
        for _ in range(20):
            model.text(rng.integers(0, model.vocabulary, 30)).encode("utf-8")
        assert model.text([]) == "" and model.text([model.end]) == ""

    def test_spelling_joins_to_the_text(self):
        model = self.make()
        assert len(model.spelling) == model.vocabulary and model.spelling[model.end] == b""
        for text in ODD_TEXTS:
            ids = model.tokens(text)
            joined = b"".join(model.spelling[token] for token in ids).decode("utf-8", "replace")
            assert joined.lstrip(" ") == model.text(ids).lstrip(" ")

    # --- bad input ---------------------------------------------------------------------------------------------------

    def test_a_prompt_beyond_the_public_width_is_refused(self):
        model = self.make()
        with pytest.raises(ParameterError, match="longer than the 3 tokens"):
            model.start([np.zeros(4, dtype=np.int64)], width=3, room=1)

    def test_more_than_the_context_is_refused(self):
        model = self.make()
        model.start([np.zeros(0, dtype=np.int64)], width=0, room=model.context)
        with pytest.raises(ParameterError, match="reads no more than"):
            model.start([np.zeros(0, dtype=np.int64)], width=1, room=model.context)

    def test_more_than_the_room_is_refused(self):
        model = self.make()
        decoding = model.start([np.zeros(1, dtype=np.int64)], width=1, room=1)
        decoding.append(np.array([0]))
        with pytest.raises(ParameterError, match="room"):
            decoding.append(np.array([0]))

    def test_ids_beyond_the_vocabulary_and_missing_rows_are_refused(self):
        model = self.make()
        with pytest.raises(ParameterError, match="not among the model's"):
            model.start([np.array([model.vocabulary])], width=1, room=1)
        decoding = model.start([np.zeros(1, dtype=np.int64)], width=1, room=1)
        with pytest.raises(ParameterError, match="one token for each of 1 rows"):
            decoding.append(np.array([0, 1]))
        with pytest.raises(ParameterError, match="at least one row"):
            model.start([], width=1, room=1)

    def test_an_empty_prompt_begins_a_text(self):
        model = self.make()
        empty = np.zeros(0, dtype=np.int64)
        told = model.start([empty, empty], width=5, room=1).logits()
        assert np.isfinite(told).all() and np.array_equal(told[0], told[1])

    def test_the_fingerprint_is_a_digest_that_is_the_same_twice(self):
        one, other = self.make(), self.make()
        assert one.fingerprint == other.fingerprint and len(one.fingerprint) == 64
