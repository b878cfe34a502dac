"""A grammar over a model's tokens: which may come next, where the text may end, copies that move on their own.

llguidance (MIT) walks the trie of all tokens' bytes beside an Earley parser whose lexemes are lazy derivatives of
regular expressions, so nothing is tabulated over states times tokens (figures: `benchmarks/text_structure.py`). Four
things are set by us:

- **A token is allowed exactly where its bytes are.** Left alone, the engine offers only one tokenization of what is
  forced, and that choice of its own would bias a draw.
- **The end is allowed where the grammar is satisfied, nowhere else.** The engine also offers it where it has nothing
  else to offer.
- **Bytes that no token spells alone** are added to its trie beyond the model's tokens and never offered, so that a
  small vocabulary (letters only, say) gets right answers.
- **A dead end ends the text.** Every reachable prefix can go on in bytes, so a vocabulary that spells all 256 bytes has
  no dead end, short of the engine's own limits. At one, only `end` is allowed; the text then lacks its form, and
  `FormFilter` counts it.

Not guaranteed: that a model likes any token that is allowed; a form that contradicts a model gives poor texts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError

if TYPE_CHECKING:
    from dpsynth.text.backends.protocol import LanguageModel

_ENGINE_SAYS_AT_MOST = 300
_OPTIONS = '%llguidance {"no_forcing": true}'


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Grammar:
    """A grammar over one vocabulary, at its beginning.

    Attributes:
        matcher: llguidance's, copied for each text.
        vocabulary: V.
        end: the id that ends a text.
        spelled: ids that spell something, bool, shape (V,).
    """

    matcher: Any
    vocabulary: int
    end: int
    spelled: NDArray[np.bool_]

    @classmethod
    def over(cls, model: LanguageModel, grammar: str) -> Self:
        """The grammar over a model's tokens.

        Args:
            model: whose tokens.
            grammar: the right side of a rule in llguidance's Lark, such as `/ab*/` or `%json {…}`.

        Raises:
            ParameterError: a grammar that the engine does not take, or under which this model has no first token.
        """
        made = cls._of(grammar, tuple(model.spelling), model.end)
        if not made.matcher.is_accepting() and np.flatnonzero(made.begin().allowed()).tolist() == [made.end]:
            raise ParameterError(
                f"No token of {model.name} begins a text of this form.", "Use another form, or another model."
            )
        return made

    @classmethod
    def over_bytes(cls, grammar: str) -> Self:
        """The grammar over single bytes: it says whether a whole text has the form, in time linear in the text.

        Raises:
            ParameterError: a grammar that the engine does not take, or that no text satisfies.
        """
        return cls._of(grammar, (*(bytes([byte]) for byte in range(256)), b""), 256)

    @classmethod
    def _of(cls, grammar: str, spelling: tuple[bytes, ...], end: int) -> Self:
        llguidance = engine()
        size = len(spelling)
        known = set(spelling)
        beyond = [one for byte in range(256) if (one := bytes([byte])) not in known]
        tokens = [b"" if at == end else token for at, token in enumerate(spelling)] + beyond
        silent = [at for at, token in enumerate(tokens) if not token]
        tokenizer = llguidance.LLTokenizer(
            llguidance.TokenizerWrapper(_Tokenizer(tokens, end, silent)), n_vocab=len(tokens), eos_token=end
        )
        matcher = llguidance.LLMatcher(tokenizer, f"{_OPTIONS}\nstart: {grammar}\n", log_level=0)
        if matcher.is_error():
            said = " ".join(matcher.get_error().split("<backtrace>")[0].split())[:_ENGINE_SAYS_AT_MOST]
            raise ParameterError(f"This form cannot be held while writing: {said}.", "Describe a simpler form.")
        made = cls(
            matcher=matcher, vocabulary=size, end=end, spelled=np.array([bool(token) for token in tokens[:size]])
        )
        probe = matcher.deep_copy()
        probe.compute_bitmask()
        if probe.is_error():
            raise ParameterError("No text has this form.", "Describe a form that some text has.")
        return made

    def begin(self) -> GrammarAutomaton:
        """At the start of a text."""
        return GrammarAutomaton(self, self.matcher.deep_copy())

    def accepts(self, text: str) -> bool:
        """Whether the whole text satisfies the grammar; for one over bytes."""
        written = list(text.encode("utf-8", "surrogatepass"))
        matcher = self.matcher.deep_copy()
        return matcher.try_consume_tokens(written) == len(written) and bool(matcher.is_accepting())


@final
class GrammarAutomaton:
    """Where one text stands in a grammar."""

    __slots__ = ("_ended", "_grammar", "_matcher")

    def __init__(self, grammar: Grammar, matcher: Any, *, ended: bool = False) -> None:
        self._grammar = grammar
        self._matcher = matcher
        self._ended = ended

    def allowed(self) -> NDArray[np.bool_]:
        """Tokens that may come next, shape (V,), at least one; after the end, the end alone."""
        grammar = self._grammar
        if self._ended:
            mask = np.zeros(grammar.vocabulary, dtype=np.bool_)
        else:
            bits = np.frombuffer(self._matcher.compute_bitmask(), dtype=np.uint8)
            mask = np.unpackbits(bits, bitorder="little", count=grammar.vocabulary).view(np.bool_)
            mask &= grammar.spelled
            if self._matcher.is_error():  # a limit of the engine: a dead end
                mask[:] = False
        mask[grammar.end] = self._ended or bool(self._matcher.is_accepting()) or not mask.any()
        return mask

    def advance(self, token: int) -> None:
        """Take a token that is allowed.

        Raises:
            ParameterError: it is not.
        """
        if token == self._grammar.end and (self._ended or self.allowed()[token]):
            self._ended = True
            return
        if (
            self._ended
            or not 0 <= token < self._grammar.vocabulary
            or not self._grammar.spelled[token]
            or self._matcher.try_consume_tokens([token]) != 1
        ):
            raise ParameterError("The form does not allow this token here.", "Take one of `allowed()`.")

    def fork(self) -> GrammarAutomaton:
        """A copy that moves on its own."""
        return GrammarAutomaton(self._grammar, self._matcher.deep_copy(), ended=self._ended)


class _Tokenizer:
    """What llguidance asks of a tokenizer: every token's bytes, and some encoding of a string."""

    def __init__(self, tokens: list[bytes], end: int, special: list[int]) -> None:
        self.tokens = tokens
        self.eos_token_id = end
        self.bos_token_id = None
        self.special_token_ids = special
        self._single = {token[0]: number for number, token in enumerate(tokens) if len(token) == 1}

    def __call__(self, text: str | bytes) -> list[int]:
        return [self._single[byte] for byte in (text.encode() if isinstance(text, str) else text)]


def engine() -> Any:
    """Llguidance.

    Raises:
        ParameterError: it is not installed.
    """
    try:
        import llguidance
    except ModuleNotFoundError:
        raise ParameterError(
            "Forms of texts need llguidance, which is not installed.", "pip install 'dpsynth-release[text]'"
        ) from None
    return llguidance
