"""A user's checks: their code, their errors, their time; and no text of the draft in anything that is said."""

from __future__ import annotations

import functools
import threading
import time
from dataclasses import dataclass

import numpy as np
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.text.filters.child import Child, ChildFailed
from dpsynth.text.filters.verifier import NamedVerifier, Verified
from tests.conformance.text_filter import FilterConformance

SECRET = "my number is 078-05-1120"
CHECKS = """
import os, sys, time
print("imported")

def polite(text):
    print(text); print(text, file=sys.stderr)
    return "damn" not in text

class Polite:
    def check(self, text):
        return "damn" not in text

made = Polite()

def raises(text):
    raise ValueError(text)

def exits(text):
    sys.exit(text)

def dies(text):
    os._exit(3)

def maybe(text):
    return None

def numpy_bool(text):
    import numpy
    return numpy.bool_(len(text) > 3)

def slow(text):
    if "slow" in text:
        time.sleep(60)
    return True
"""


@pytest.fixture
def checks(tmp_path, monkeypatch):
    (tmp_path / "users_checks.py").write_text(CHECKS, "utf-8")
    (tmp_path / "users_broken.py").write_text("raise OSError('private')", "utf-8")
    monkeypatch.chdir(tmp_path)


@dataclass(frozen=True)
class Polite:
    def check(self, text: str) -> bool:
        return "damn" not in text


class TestVerified(FilterConformance):
    stay = ("thank you", "thanks")
    go = ("damn", "damn you")

    def step(self):
        return Verified(verifier=Polite(), name="toxicity")


@pytest.mark.usefixtures("checks")
class TestNamedVerifier(FilterConformance):
    stay = ("thank you", "thanks")
    go = ("damn", "damn you")

    def step(self):
        return NamedVerifier(check="users_checks:polite", seconds=30.0)


class Check:
    def __init__(self, check):
        self.check = check


def raises(text):
    if text == SECRET:
        raise ValueError(text)
    return True


@pytest.mark.parametrize(
    ("check", "told"),
    [
        (raises, r"'mine' raised ValueError \(test_verifiers.py:\d+\) at text 1"),
        (lambda text: None if text == SECRET else True, "answered NoneType instead of True or False at text 1"),
        (lambda text: 1, "answered int instead of True or False at text 0"),
        (lambda text: exit(text) if text == SECRET else True, "raised SystemExit .* at text 1"),
    ],
)
def test_what_goes_wrong_is_told_by_type_place_and_position_alone(check, told, capfd):
    step = Verified(verifier=Check(check), name="mine")
    with pytest.raises(ParameterError, match=told) as caught:
        step.keep(["ok", SECRET], [])
    assert caught.value.__context__ is None
    assert SECRET not in str(caught.value) + repr(caught.value) + "".join(capfd.readouterr())
    assert "078" not in str(caught.value)


def test_a_check_in_this_process_that_takes_too_long_stops_the_run():
    go = threading.Event()
    step = Verified(verifier=Check(lambda text: text != SECRET or go.wait(30)), name="mine", seconds=0.2)
    with pytest.raises(ParameterError, match=r"took more than 0\.2 s for text 1 .*module:attribute"):
        step.keep(["ok", SECRET], [])
    go.set()


def test_numpy_answers_are_answers():
    step = Verified(verifier=Check(lambda text: np.bool_(text == "a")))
    assert step.keep(["a", "b"], []).tolist() == [True, False]


@pytest.mark.usefixtures("checks")
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("users_checks:raises", r"raised ValueError \(users_checks.py:\d+\) at text 0"),
        ("users_checks:exits", "ended its process at text 0"),
        ("users_checks:dies", "ended its process at text 0"),
        ("users_checks:maybe", "answered NoneType instead of True or False at text 0"),
        ("users_checks:nothing", "cannot be imported: it raised AttributeError"),
        ("users_broken:polite", r"cannot be imported: it raised OSError \(users_broken.py:1\)"),
        ("users_missing:polite", "cannot be imported: it raised ModuleNotFoundError"),
    ],
)
def test_a_named_check_that_goes_wrong_is_told_by_type_place_and_position_alone(name, told, capfd):
    with pytest.raises(ParameterError, match=told) as caught:
        NamedVerifier(check=name, seconds=30.0).keep([SECRET, "ok"], [])
    assert SECRET not in str(caught.value) + "".join(capfd.readouterr())


@pytest.mark.usefixtures("checks")
@pytest.mark.parametrize("name", ["polite", "Polite", "made", "made.check", "numpy_bool"])
def test_functions_objects_and_classes_can_be_named(name, capfd):
    step = NamedVerifier(check=f"users_checks:{name}", seconds=30.0)
    assert step.keep(["good", "\ud800 é\n🙂"], []).all()
    assert capfd.readouterr() == ("", "")


@pytest.mark.usefixtures("checks")
def test_a_named_check_that_takes_too_long_counts_as_no_and_its_process_is_ended():
    start = time.monotonic()
    kept = NamedVerifier(check="users_checks:slow", seconds=0.5).keep(["a", "slow", "b"], [])
    assert kept.tolist() == [True, False, True]
    assert time.monotonic() - start < 30


@pytest.mark.usefixtures("checks")
def test_no_process_outlives_its_texts():
    with Child("users_checks:polite") as child:
        assert child.ask("a", seconds=30.0)
        process = child._process
    assert process.poll() is not None
    with Child("users_checks:raises") as child:
        with pytest.raises(ChildFailed, match="ValueError"):
            child.ask("a", seconds=30.0)
        assert child._process is None


@pytest.mark.parametrize(
    "name", ["checks", "checks:", ":polite", "a b:c", "checks:polite()", "os;x:y", "../checks:a", ""]
)
def test_only_identifiers_name_a_check(name):
    with pytest.raises(ParameterError, match="as module:attribute"):
        NamedVerifier(check=name)


@pytest.mark.parametrize("seconds", [0.0, -1.0, float("nan"), 1e9])
def test_time_limits_are_positive_and_finite(seconds):
    with pytest.raises(ParameterError, match="seconds"):
        NamedVerifier(check="a:b", seconds=seconds)
    with pytest.raises(ParameterError, match="seconds"):
        Verified(verifier=Polite(), seconds=seconds)


def test_what_has_no_check_is_no_verifier():
    with pytest.raises(ParameterError, match="a method check"):
        Verified(verifier=functools.partial(raises))
