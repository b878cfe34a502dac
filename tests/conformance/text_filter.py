"""What every filter of written texts must keep. A filter's test subclasses this and says what stays and what goes.

    class TestLength(FilterConformance):
        def step(self): return Length(min_words=2)
        stay = ("two words", "three words here")
        go = ("one", "")

`stay` are texts that stay together, in this order; each of `go` goes when it is alone with `stay` before it.
"""

from __future__ import annotations

import copy
import inspect
import json
import re
from collections.abc import Sequence
from dataclasses import FrozenInstanceError
from typing import Any, ClassVar

import numpy as np
import pytest

from dpsynth.text.filters.admission import admitted, rehearsed

ODD = ("", " ", "\x00", "\ud800", "é" * 50, "🙂" * 40, "a" * 20_000, "\n" * 500, "٣٤٥", "\ufeff", "<b>&amp;</b>", "{}")


class FilterConformance:
    """Checks that each filter inherits."""

    stay: ClassVar[tuple[str, ...]]
    go: ClassVar[tuple[str, ...]]

    def step(self) -> Any:
        """A fresh filter."""
        raise NotImplementedError

    def kept(self, texts: Sequence[str], earlier: Sequence[str] = ()) -> list[str]:
        told = self.step().keep(texts, earlier)
        assert told.shape == (len(texts),)
        assert told.dtype == np.bool_
        return [text for text, stays in zip(texts, told.tolist(), strict=True) if stays]

    def mixture(self, seed: int = 0, size: int = 30) -> list[str]:
        rng = np.random.default_rng(seed)
        pool = [*self.stay, *self.go, *ODD]
        return [pool[i] for i in rng.integers(len(pool), size=size)]

    def test_what_stays_stays_and_what_goes_goes(self):
        assert self.kept(self.stay) == list(self.stay)
        for text in self.go:
            assert self.kept([text], self.stay) == [], text
            assert self.kept([*self.stay, text]) == list(self.stay), text

    def test_no_text_gives_no_answer(self):
        assert self.kept([]) == []
        assert self.kept([], self.stay) == []

    def test_the_same_texts_get_the_same_answers(self):
        texts, earlier = self.mixture(), self.mixture(1)
        state = np.random.get_state()[1].copy()  # noqa: NPY002 - the state that must not move
        step = self.step()
        first = step.keep(texts, earlier)
        np.testing.assert_array_equal(step.keep(texts, earlier), first)
        np.testing.assert_array_equal(self.step().keep(tuple(texts), tuple(earlier)), first)
        np.testing.assert_array_equal(np.random.get_state()[1], state)  # noqa: NPY002

    def test_nothing_given_is_changed(self):
        texts, earlier = self.mixture(), self.mixture(1)
        before = copy.deepcopy((texts, earlier))
        self.step().keep(texts, earlier)
        assert (texts, earlier) == before

    def test_what_was_kept_is_kept_again(self):
        for seed in range(3):
            earlier = self.mixture(seed + 10)
            once = self.kept(self.mixture(seed), earlier)
            assert self.kept(once, earlier) == once

    def test_rounds_do_not_matter(self):
        """One answer for all texts at once, or text by text with what was kept before: the same texts stay."""
        texts, earlier = self.mixture(5), self.mixture(6, 5)
        whole = self.kept(texts, earlier)
        for cut in (1, 7, 29):
            first = self.kept(texts[:cut], earlier)
            assert first + self.kept(texts[cut:], [*earlier, *first]) == whole

    def test_a_later_text_decides_nothing_about_an_earlier_one(self):
        texts = self.mixture(7)
        whole = self.step().keep(texts, ())
        for cut in (1, 11, 23):
            np.testing.assert_array_equal(self.step().keep(texts[:cut], ()), whole[:cut])

    def test_odd_texts_are_judged_too(self):
        self.kept(ODD)
        self.kept(ODD, ODD)

    def test_settings_stand_in_the_card_and_no_text_does(self):
        step = self.step()
        told = step.describe()
        assert json.loads(json.dumps(told)) == told
        step.keep(self.stay, self.go)
        assert step.describe() == told
        assert not any(text and f'"{text}"' in json.dumps(told) for text in (*self.stay, *self.go))
        assert re.fullmatch(r"[a-z][\w:.-]*", step.name)

    def test_a_filter_is_a_value(self):
        step = self.step()
        assert self.step() == step
        with pytest.raises((FrozenInstanceError, AttributeError, TypeError)):
            step.name = "another"

    def test_there_is_no_argument_for_private_texts(self):
        assert list(inspect.signature(self.step().keep).parameters) == ["texts", "earlier"]

    def test_a_run_admits_it_and_rehearses_it(self):
        assert admitted([self.step()]) == (self.step(),)
        rehearsed([self.step()])
