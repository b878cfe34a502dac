"""A pattern's automaton writes the language of `re.fullmatch`, and refuses what it cannot follow."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.core.errors import ParameterError
from dpsynth.text.structure.pattern import translated
from dpsynth.text.structure.regex import Regex
from tests.conformance.structure import BYTES, MIXED, WORDS, StructureConformance, Vocabulary

pytest.importorskip("llguidance", reason="the extra `text` is not installed")


class TestDates(StructureConformance):
    whole = ("2024-01-31", "2000-12-09")
    broken = ("", "2024", "2024-01-31 ", "1999-01-01", "2024-13-01", "2024-01-32", "２024-01-01")

    def form(self):
        return Regex(r"20\d{2}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])")


class TestUnicode(StructureConformance):
    whole = ("", "é", "日🙂日", "ab")
    broken = ("a", "\n", "日" * 5, "é\n")

    def form(self):
        return Regex(r"[^\na-z]{0,4}|(?:ab)+")


class TestEmailBlock(StructureConformance):
    whole = ("To: a.b@c.de\n\nHi", "To: a@b.c\n\nab ab, é\n")
    broken = ("", "To: a.b@c.de", "To: @c.de\n\nHi", "to: a@b.c\n\nHi", "To: a@b.c\n\nHi;")

    def form(self):
        return Regex(r"To: [\w.]{1,9}@\w+\.\w{1,3}\n\n(?s:[^;]*)")


atoms = st.sampled_from(["a", "b", "c", ".", "[ab]", "[^a]", "[a-c]", r"\w", r"\d", r"\s", r"\W", "ab", "", r"\x61"])
patterns = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        st.tuples(inner, st.sampled_from(["*", "+", "?", "*?", "+?", "{2}", "{1,2}", "{0,3}", "{2,}"])).map(
            lambda two: f"({two[0]}){two[1]}"
        ),
    ),
    max_leaves=6,
)
ALPHABET = "abc1 \n_é"
SHORT = ["".join(letters) for size in range(4) for letters in itertools.product(ALPHABET, repeat=size)]
LETTERS = Vocabulary(
    "letters", (b"", *(c.encode() for c in ALPHABET), b"ab", b"bc", b"aaa", b"\xc3", b"\xa9", b"1 "), 0
)


@settings(max_examples=60, deadline=None)
@given(patterns)
def test_the_language_is_that_of_fullmatch(pattern):
    form, python = Regex(pattern), re.compile(pattern, re.ASCII)
    differ = [text for text in SHORT if form.accepts(text) != bool(python.fullmatch(text))]
    assert differ == [], pattern


@settings(max_examples=40, deadline=None)
@given(patterns, st.integers(0, 2**32 - 1))
def test_what_is_written_over_pieces_of_letters_matches_in_python(pattern, seed):
    form, rng = Regex(pattern), np.random.default_rng(seed)
    try:
        automaton = form.begin(LETTERS)
    except ParameterError:
        return
    tokens: list[int] = []
    for _ in range(8):
        mask = automaton.allowed()
        text = LETTERS.text(tokens)
        if mask[LETTERS.end] and (mask.sum() > 1 or re.fullmatch(pattern, text, re.ASCII)):
            assert re.fullmatch(pattern, text, re.ASCII), (pattern, text)
        token = int(rng.choice(np.flatnonzero(mask)))
        if token == LETTERS.end:
            break
        automaton.advance(token)
        tokens.append(token)


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(?=a)b", "look-around"),
        ("(?<!a)b", "look-around"),
        (r"(a)\1", "a back reference"),
        (r"(a)?(?(1)b|c)", "a conditional group"),
        (r"a\bc", "an anchor or boundary inside"),
        ("(^a)*", "an anchor or boundary inside"),
        ("a$\n", "an anchor or boundary inside"),
        ("(?>a)", "an atomic group"),
        ("a*+", "a possessive repeat"),
        ("(?i)a", "ignoring case"),
        ("a(?i:b)", "ignoring case"),
        ("[^\\x00-\\U0010ffff]", "an empty class"),
        ("[", "Not a regular expression"),
        ("a{3,2}", "Not a regular expression"),
        ("(" * 3000 + ")" * 3000, "Not a regular expression"),
    ],
)
def test_what_no_automaton_follows_is_refused_by_name(pattern, reason):
    with pytest.raises(ParameterError, match=reason):
        Regex(pattern)


@pytest.mark.parametrize("pattern", ["^a$|^b$", r"\A(a|b)\Z", "^(^a|b$)$", "(?x) a | b  # two letters"])
def test_anchors_at_the_ends_mean_nothing(pattern):
    form = Regex(pattern)
    assert [form.accepts(text) for text in ("a", "b", "ab", "", "a\n")] == [True, True, False, False, False]


@pytest.mark.parametrize(
    "text", ["&&", "--", "~~", "[a]", "/", "\\", '"', "{2}", "#", " ", "\x00", "\x7f", "٣", "ı", "K"]
)
def test_what_the_engines_syntax_reads_otherwise_is_taken_literally(text):
    assert Regex(re.escape(text)).accepts(text)
    assert Regex(f"[{re.escape(text)}]+").accepts(text)
    assert Regex(r"[\w\W]*").accepts(text)
    assert Regex(r"\w").accepts(text) == bool(re.fullmatch(r"\w", text, re.ASCII))


@pytest.mark.parametrize("pattern", [r"\d", r"\D", r"\w", r"\W", r"\s", r"\S", ".", "(?s:.)", r"[^\s\d]", r"[\W5]"])
def test_classes_hold_the_characters_that_python_says(pattern):
    form, python = Regex(pattern), re.compile(pattern, re.ASCII)
    letters = [chr(point) for point in (*range(0x500), 0x2028, 0x3042, 0xFFFF, 0x1F600, 0x10FFFF)]
    assert [c for c in letters if form.accepts(c) != bool(python.fullmatch(c))] == []


def test_classes_are_ascii_and_written_out():
    assert translated(r"\d") == r"[\x{30}-\x{39}]"
    assert translated(r"[^\W\d]") == r"[\x{41}-\x{5A}\x{5F}\x{61}-\x{7A}]"


def test_surrogates_are_in_no_text():
    assert translated(".") == r"[\x{0}-\x{9}\x{B}-\x{D7FF}\x{E000}-\x{10FFFF}]"
    assert not Regex(".").accepts("\ud800")


def test_a_vocabulary_without_the_needed_bytes_ends_the_text_and_the_text_is_refused():
    form = Regex("abx")
    automaton = form.begin(WORDS)
    automaton.advance(WORDS.spelling.index(b"ab"))
    assert np.flatnonzero(automaton.allowed()).tolist() == [WORDS.end]
    assert not form.accepts("ab")


def test_a_model_that_cannot_begin_is_refused():
    with pytest.raises(ParameterError, match="No token of words begins a text of this form"):
        Regex("xyz").begin(WORDS)


def test_patterns_that_make_a_backtracking_matcher_hang_are_decided_at_once():
    form = Regex("(a|a)*(a|aa)+b")
    assert not form.accepts("a" * 3000)
    assert form.accepts("a" * 3000 + "b")


def test_tokens_that_spell_the_same_are_allowed_together():
    twice = Vocabulary("twice", (b"ab", b"ab", b"a", b"b", b"", b"\xff"), 4, complete=False)
    mask = Regex("ab").begin(twice).allowed()
    assert mask.tolist() == [True, True, True, False, False, False]


def test_half_a_character_is_no_end():
    automaton = Regex("é*").begin(MIXED)
    automaton.advance(MIXED.spelling.index(b"\xc3"))
    assert not automaton.allowed()[MIXED.end]
    assert BYTES.vocabulary == 257
