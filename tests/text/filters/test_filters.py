"""The filters that look at one text at a time, and the doubles: each holds the suite, and its own rules."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from attacks.text.identifiers import KINDS
from dpsynth.core.errors import ParameterError
from dpsynth.text.filters.form import FormFilter
from dpsynth.text.filters.language import Language
from dpsynth.text.filters.length import Length
from dpsynth.text.filters.near_duplicates import NearDuplicates
from dpsynth.text.filters.parses import Parses
from dpsynth.text.filters.patterns import EXTRA, has
from dpsynth.text.filters.pii import ALL, PersonalIdentifiers
from dpsynth.text.filters.repetition import Repetition, repeated_share, top_share
from dpsynth.text.filters.symbols import Symbols
from tests.conformance.text_filter import FilterConformance

STORY = "I paid the loan in March and the bank still reports it as late to every bureau"


class TestLength(FilterConformance):
    stay = ("two words", "three words here", "a b")
    go = ("one", "", " one ", "x" * 60 + " y", "a b c d e")

    def step(self):
        return Length(min_words=2, max_words=4, max_characters=60)

    @pytest.mark.parametrize(
        "bounds", [{}, {"min_words": 3, "max_words": 2}, {"max_characters": -1}, {"min_characters": -2}]
    )
    def test_bounds_that_say_nothing_or_contradict_are_refused(self, bounds):
        with pytest.raises(ParameterError, match=r"keeps everything|Expected 0 <= min"):
            Length(**bounds)

    def test_bounds_are_inclusive(self):
        assert Length(min_characters=2, max_characters=3).keep(["a", "ab", "abc", "abcd"], []).tolist() == [
            False,
            True,
            True,
            False,
        ]


class TestLanguage(FilterConformance):
    pytest.importorskip("py3langid", reason="the extra `text` is not installed")
    stay = (STORY, "Nobody at the credit union would ever answer my letters about this.", "12 34", "")
    go = ("Die Bank hat mir eine Gebühr berechnet und nie zurückgerufen.", "銀行は私に電話をかけ直しませんでした。")

    def step(self):
        return Language(only=("en",))

    @pytest.mark.parametrize(("settings", "told"), [({"only": ()}, "No language"), ({"only": ("xx",)}, "'xx'")])
    def test_unknown_languages_are_refused(self, settings, told):
        with pytest.raises(ParameterError, match=told):
            Language(**settings)
        with pytest.raises(ParameterError, match="probability"):
            Language(only=("en",), probability=1.5)


class TestRepetition(FilterConformance):
    stay = (STORY, "short short short", "one two three four five six seven eight nine ten eleven twelve")
    go = ("the fee " * 20, f"{STORY}. {STORY}.", "\n".join(["a list of the fees"] * 9 + ["and of the loans"]))

    def step(self):
        return Repetition()

    def test_shares_as_counted_by_hand(self):
        words = ["a", "b", "a", "b", "c"]
        assert top_share(words, 2) == pytest.approx(2 * 2 / 5)
        assert top_share(["a", "b", "c"], 2) == 0.0
        assert repeated_share(words, 2) == pytest.approx(2 / 5)
        assert repeated_share(words, 6) == top_share(words, 6) == repeated_share([], 2) == 0.0
        assert repeated_share(["aa", "b", "aa", "b", "aa", "b"], 2) == pytest.approx(1 - 3 / 9)

    def test_a_larger_scale_is_more_lenient(self):
        text = f"{STORY} and {STORY}"
        assert [bool(Repetition(scale=scale).keep([text], [])[0]) for scale in (1.0, 5.0)] == [False, True]
        with pytest.raises(ParameterError, match="scale"):
            Repetition(scale=0.0)


class TestSymbols(FilterConformance):
    stay = (STORY, "The fee was $35 on 3/4.", "बैंक ने मुझे वापस नहीं बुलाया", "银行没有给我回电话", "")
    go = ("@@## }{ ;; ++ <<", "1234 5678 90", "a" * 101, "a" + " " * 50, "wait... what... no...", "#x #y #z")

    def step(self):
        return Symbols()

    @pytest.mark.parametrize("settings", [{"other": 1.1}, {"digits": -0.1}, {"marks": -1.0}, {"long": 0}])
    def test_bounds_outside_their_range_are_refused(self, settings):
        with pytest.raises(ParameterError, match="Expected"):
            Symbols(**settings)


class TestParsesPython(FilterConformance):
    stay = ("x = 1", "", "def f():\n    return '\\d'")
    go = ("x =", "def f(:", "print 'a'", "(" * 4_000)

    def step(self):
        return Parses(language="python")


class TestParsesJSON(FilterConformance):
    stay = ("{}", "[1, 2]", '"a"')
    go = ("{", "{'a': 1}", "", "[" * 100_000)

    def step(self):
        return Parses(language="json")

    def test_an_unknown_language_is_refused(self):
        with pytest.raises(ParameterError, match="No parser of 'cobol'"):
            Parses(language="cobol")


class TestForm(FilterConformance):
    pytest.importorskip("llguidance", reason="the extra `text` is not installed")
    stay = ("DE-1234", "FR-0000")
    go = ("DE-123", "de-1234", "", "DE-1234 ")

    def step(self):
        from dpsynth.text.structure.regex import Regex

        return FormFilter(structure=Regex(r"[A-Z]{2}-\d{4}"))


HELD = {
    "card": "card 4111 1111 1111 1111.",
    "iban": "to GB82 WEST 1234 5698 7654 32 please",
    "email": "write a.b@example.org",
    "phone": "call (212) 555-0182 or so",
    "ssn": "my number 078-05-1120,",
    "nhs": "NHS 943 476 5919",
    "cpf": "CPF 529.982.247-25.",
    "dni": "DNI 12345678Z, NIE X1234567L",
    "nir": "no 2 55 08 14 168 025 38 ",
    "cf": "(RSSMRA85T10A562S)",
    "pesel": "PESEL 44051401359",
    "ip": "from 192.168.0.7, fe80::1",
    "url": "see https://a.example/x or www.example.org",
}
NEAR_MISSES = {
    "ssn": ("000-12-3456", "666-12-3456", "900-12-3456", "123-00-4567", "123-45-0000", "1078-05-1120", "078-05-11201"),
    "nhs": ("943 476 5918", "9434765919"),
    "cpf": ("529.982.247-26", "111.111.111-11", "52998224725"),
    "dni": ("12345678A", "X1234567T", "1234567Z"),
    "nir": ("2 55 08 14 168 025 39", "3 55 08 14 168 025 38"),
    "cf": ("RSSMRA85T10A562T", "rssmra85t10a562s"),
    "pesel": ("44051401358", "44131401359", "440514013591"),
    "ip": ("12:30", "1.2.3.400", "v1.2.3.4", "a::b", "::", "1.2.3", "10:20:30"),
    "url": ("see note://", "www. example", "http:/a"),
}


class TestPersonalIdentifiers(FilterConformance):
    stay = (STORY, "I owe $1,234.56 since 01/02/2023, case 12345.", "call me")
    go = tuple(HELD.values())

    def step(self):
        return PersonalIdentifiers()

    def test_every_kind_is_found_by_itself_and_by_no_other_filter_of_one_kind(self):
        assert set(HELD) == set(ALL) == {*KINDS, *EXTRA}
        for kind, text in HELD.items():
            assert not PersonalIdentifiers(kinds=(kind,)).keep([text], [])[0], kind
            assert PersonalIdentifiers(kinds=(kind,)).keep([STORY], [])[0], kind

    @pytest.mark.parametrize("kind", sorted(NEAR_MISSES))
    def test_checksums_and_forms_keep_other_numbers_out(self, kind):
        assert [text for text in NEAR_MISSES[kind] if has(kind, text)] == []

    def test_checksums_let_few_random_digits_pass(self):
        rng = np.random.default_rng(0)
        hits = {"nhs": 0, "pesel": 0, "nir": 0, "dni": 0}
        for _ in range(2_000):
            digits = "".join(map(str, rng.integers(10, size=15)))
            hits["nhs"] += has("nhs", f"{digits[:3]} {digits[3:6]} {digits[6:10]}")
            hits["pesel"] += has("pesel", digits[:11])
            hits["nir"] += has("nir", f"1{digits[1:15]}")
            hits["dni"] += has("dni", f"{digits[:8]}A")
        assert all(0 < hits[kind] < 2_000 * share for kind, share in (("nhs", 0.12), ("nir", 0.02), ("dni", 0.07)))
        assert hits["pesel"] < 2_000 * 0.03

    def test_unknown_kinds_are_refused(self):
        with pytest.raises(ParameterError, match=r"'passport'.*card"):
            PersonalIdentifiers(kinds=("email", "passport"))
        with pytest.raises(ParameterError, match="No kind"):
            PersonalIdentifiers(kinds=())


class TestNearDuplicates(FilterConformance):
    stay = (STORY, "nobody called me back about the fraud on my card", "?!", "fee", "...")
    go = (STORY, STORY.upper() + "!", STORY.replace("still ", ""), "?!", " fee. ")

    def step(self):
        return NearDuplicates(threshold=0.6)

    def test_boilerplate_of_many_texts_costs_linear_time_and_keeps_what_differs(self):
        head = "To whom it may concern I am writing about my account with the lender and "
        tails = [" ".join(f"{word}{i}" for word in ("a", "b", "c", "d", "e", "f", "g", "h")) for i in range(800)]
        kept = NearDuplicates(threshold=0.95).keep([head + tail for tail in tails], [])
        assert kept.all()

    def test_similarity_decides_near_the_threshold(self):
        words = [f"w{i}" for i in range(60)]
        other = [*words[:40], *(f"x{i}" for i in range(20))]  # 39 of 79 + pairs in common: 0.49
        near = [*words[:57], "x", "y", "z"]
        texts = [" ".join(words), " ".join(other), " ".join(near)]
        assert NearDuplicates(threshold=0.8).keep(texts, []).tolist() == [True, True, False]

    def test_texts_dropped_before_do_not_count_as_earlier(self):
        """A text that went is no reason for another to go."""
        words = [f"w{i}" for i in range(40)]
        middle = [*words[4:], *(f"x{i}" for i in range(4))]
        last = [*middle[4:], *(f"y{i}" for i in range(4))]
        texts = [" ".join(part) for part in (words, middle, last)]
        alike = NearDuplicates(threshold=0.75)
        assert alike.keep(texts[1:], []).tolist() == [True, False]
        assert alike.keep(texts, []).tolist() == [True, False, True]

    @pytest.mark.parametrize("threshold", [0.4, 1.1, float("nan")])
    def test_thresholds_that_banding_misses_are_refused(self, threshold):
        with pytest.raises(ParameterError, match="threshold"):
            NearDuplicates(threshold=threshold)


def test_answers_do_not_depend_on_the_process():
    """Hash seeds differ between processes; answers do not."""
    code = (
        "from dpsynth.text.filters import filters_from\n"
        "texts = ['the fee was late', 'The fee, was late', 'Die Bank rief nie an, schrieb nie', 'a@b.org', '?'] * 3\n"
        "steps = filters_from(['near-duplicates', 'language:only=en', 'pii', 'repetition', 'symbols'])\n"
        "print([''.join(str(int(x)) for x in step.keep(texts, ())) for step in steps])\n"
    )
    told = {
        subprocess.run(
            [sys.executable, "-c", code],
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(told) == 1
    assert "100" in told.pop()
