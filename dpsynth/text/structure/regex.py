r"""Texts that match a regular expression as a whole.

>>> Regex(r"[A-Z]{2}-\d{4}").accepts("DE-1234")
True

The language is that of `re.fullmatch(pattern, text, re.ASCII)`; see `pattern` for what is refused. A pattern without a
bound, such as `.*`, lets a text run until its tokens are used up; the text is then whole wherever it stops.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from dpsynth.text.structure.automaton import Grammar, GrammarAutomaton
from dpsynth.text.structure.pattern import translated

if TYPE_CHECKING:
    from dpsynth.text.backends.protocol import LanguageModel


@final
@dataclass(frozen=True, slots=True)
class Regex:
    """A form; see the module.

    Args:
        pattern: in the syntax of Python's `re`.

    Raises:
        ParameterError: no such pattern, one that cannot be followed token by token, or one that no text matches.
    """

    pattern: str
    _grammar: str = field(init=False, repr=False, compare=False)
    _bytes: Grammar = field(init=False, repr=False, compare=False)
    _made: dict[str, Grammar] = field(init=False, repr=False, compare=False, default_factory=dict)

    def __post_init__(self) -> None:
        pattern = translated(self.pattern)
        grammar = f"/{pattern}/" if pattern else '""'
        object.__setattr__(self, "_grammar", grammar)
        object.__setattr__(self, "_bytes", Grammar.over_bytes(grammar))

    def begin(self, model: LanguageModel) -> GrammarAutomaton:
        """At the start of a text; compiled once for each fingerprint."""
        if model.fingerprint not in self._made:
            self._made[model.fingerprint] = Grammar.over(model, self._grammar)
        return self._made[model.fingerprint].begin()

    def accepts(self, text: str) -> bool:
        """Whether the whole text matches, in time linear in the text."""
        return self._bytes.accepts(text)

    def describe(self) -> dict[str, str]:
        """Public, for the card."""
        return {"form": "regex", "pattern": self.pattern}
