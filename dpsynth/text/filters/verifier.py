"""A user's own check of written texts: code that runs, numbers that add up, a classifier that finds nothing toxic.

    Verified(verifier=Polite(), name="toxicity")          # an object with check(text) -> bool, in this process
    NamedVerifier(check="checks:parses", seconds=5.0)     # module:attribute, in a process of its own

**Their code.** The second imports the module that was named, from the folder that the command runs in or from what is
installed, and runs it with the rights of the person who named it, on a command line or in a run file of their own; no
bundle, schema or draft can name one. A check that takes longer than `seconds` counts as no, and its process is ended.

An object in this process cannot be ended: if it takes longer, the run stops with an error. Errors tell the type, where
in the user's file, and the position of the text among those shown, never the text or what the user's error says of it.

There is no classifier of toxicity here; wrap the one you trust. Not guaranteed: that a check is pure. One that reads
private texts makes its acceptance rate, and the texts that stay, unaccounted functions of them: refused where it can be
seen (`admission`), forbidden where it cannot.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.text.filters.admission import refuse_private
from dpsynth.text.filters.child import Child, ChildFailed, place
from dpsynth.text.filters.protocol import Verifier

MOST_SECONDS = 3600.0


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A verifier in this process; see the module.

    Args:
        verifier: an object with `check`.
        name: for the card; a run's filters have different names.
        seconds: for one text.
    """

    verifier: Verifier
    name: str = "verifier"
    seconds: float = 60.0

    def __post_init__(self) -> None:
        _checked_seconds(self.seconds)
        if not callable(getattr(self.verifier, "check", None)):
            raise ParameterError("A verifier has a method check(text) -> bool.", "Wrap the function in such a class.")
        refuse_private(self.verifier)

    def keep(self, texts: Sequence[str], earlier: Sequence[str]) -> NDArray[np.bool_]:  # noqa: ARG002
        """Whether the verifier says yes to each text.

        Raises:
            ParameterError: it raised, answered neither True nor False, or took too long.
        """
        answers: queue.SimpleQueue[bool | str] = queue.SimpleQueue()
        given = tuple(texts)
        threading.Thread(target=_answer, args=(self.verifier.check, given, answers), daemon=True).start()
        kept = np.zeros(len(given), dtype=np.bool_)
        for at in range(len(given)):
            try:
                answer = answers.get(timeout=self.seconds)
            except queue.Empty:
                raise ParameterError(
                    f"The check {self.name!r} took more than {self.seconds:g} s for text {at} (from 0).",
                    "Name it as module:attribute, so that it runs in a process that can be ended, or allow more time.",
                ) from None
            if isinstance(answer, str):
                raise ParameterError(f"The check {self.name!r} {answer} at text {at} (from 0).", "Correct the check.")
            kept[at] = answer
        return kept

    def describe(self) -> dict[str, Any]:
        """Whose check it was; what it does stands in their code."""
        kind = type(self.verifier)
        return {"verifier": f"{kind.__module__}:{kind.__qualname__}", "seconds": self.seconds}


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class NamedVerifier:
    """A verifier by name, in a process of its own; see the module.

    Args:
        check: "module:attribute" of a function of a text, of an object with `check`, or of such an object's class.
        seconds: for one text; longer counts as no.
    """

    check: str
    seconds: float = 10.0

    def __post_init__(self) -> None:
        _checked_seconds(self.seconds)
        module, colon, attribute = self.check.partition(":")
        if not colon or not all(part.isidentifier() for part in (*module.split("."), *attribute.split("."))):
            raise ParameterError(
                f"Expected check={self.check!r} as module:attribute.", "Name one, such as checks:polite."
            )

    @property
    def name(self) -> str:
        """For the card."""
        return f"verifier:{self.check}"

    def keep(self, texts: Sequence[str], earlier: Sequence[str]) -> NDArray[np.bool_]:  # noqa: ARG002
        """Whether the check says yes to each text within its time.

        Raises:
            ParameterError: it cannot be imported, raised, answered neither True nor False, or its process died.
        """
        kept = np.zeros(len(texts), dtype=np.bool_)
        if not len(texts):
            return kept
        with Child(self.check) as child:
            for at, text in enumerate(texts):
                try:
                    kept[at] = child.ask(text, seconds=self.seconds)
                except ChildFailed as failed:
                    where = "" if failed.importing else f" at text {at} (from 0)"
                    raise ParameterError(f"The check {self.check!r} {failed}{where}.", "Correct the check.") from None
        return kept

    def describe(self) -> dict[str, Any]:
        """Whose check it was, and how long it may take."""
        return {"check": self.check, "seconds": self.seconds}


def _answer(check: Callable[[str], bool], texts: tuple[str, ...], answers: queue.SimpleQueue[bool | str]) -> None:
    """Put True, False, or what went wrong, for each text; stop at what went wrong."""
    for text in texts:
        with _Told(answers) as told:
            answer: object = check(text)
            told.good = isinstance(answer, (bool, np.bool_))
            answers.put(bool(answer) if told.good else f"answered {type(answer).__name__} instead of True or False")
        if not told.good:
            return


class _Told:
    """What their code raises, whatever it is, becomes its type and place, and goes no further."""

    def __init__(self, answers: queue.SimpleQueue[bool | str]) -> None:
        self._answers = answers
        self.good = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> bool:
        if error is not None:
            self.good = False
            at = place(error)
            self._answers.put(f"raised {type(error).__name__}" + (f" ({at})" if at else ""))
        return True


def _checked_seconds(seconds: float) -> None:
    if not 0.0 < seconds <= MOST_SECONDS:
        raise ParameterError(f"Expected seconds={seconds} in (0, {MOST_SECONDS:g}].", "Give seconds for one text.")
