"""What rows are asked to be like: for a column one value, a list of them, a range, or missing.

    {"sex": "f"}    {"region": ["north", "east"]}    {"income": Between(50_000, None)}    {"born": None}    # missing

A condition is translated once into runs of domain codes, so that models need not know about dates and decimals, and
values come back as they were asked for: a code of five years of age is told which of its years are wanted. On the
command line and in documents a condition is text: `sex=f`, `income=50000..`, `born=` (missing), several for a column
are alternatives.

>>> age = GridDomain(kind="integer", low=0, high=110)
>>> allowed_in("age", age, [Between(30, 39), 65, None]).text(age)
('30..39', '65', '')

A value outside the domain was declared impossible or never released: it is refused, naming the column and what is
allowed. Not guaranteed: that a model knows anything about a value that it allows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, final

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.schema.domain import CategoryDomain, Domain, GridDomain, ticks_of

SHOWN = 8
RANGE = ".."


@final
@dataclass(frozen=True, slots=True)
class Between:
    """All values from `low` to `high`, both included; None is the end of the domain."""

    low: Any = None
    high: Any = None


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Allowed:
    """Outcomes of one column.

    Attributes:
        runs: first and last domain code of each run, ascending and apart, int64, shape (runs, 2).
        missing: whether missing is one of them.
    """

    runs: NDArray[np.int64]
    missing: bool

    def holds(self, codes: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which domain codes (missing -1) are among the outcomes, shape (rows,)."""
        if not len(self.runs):
            inside = np.zeros(len(codes), dtype=bool)
        else:
            at = np.maximum(np.searchsorted(self.runs[:, 0], codes, side="right") - 1, 0)
            inside = (codes >= self.runs[at, 0]) & (codes <= self.runs[at, 1])
        return np.where(codes < 0, self.missing, inside)

    def matches(self, cells: pa.ChunkedArray, domain: Domain) -> NDArray[np.bool_]:
        """Which cells of a table are among the outcomes, shape (rows,)."""
        return self.holds(domain.encode(cells))

    def below(self, codes: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many outcomes are smaller than each domain code."""
        if not len(self.runs):
            return np.zeros(len(codes), dtype=np.int64)
        lengths = self.runs[:, 1] - self.runs[:, 0] + 1
        before = np.cumsum(lengths) - lengths
        at = np.maximum(np.searchsorted(self.runs[:, 0], codes, side="right") - 1, 0)
        below: NDArray[np.int64] = before[at] + np.clip(codes - self.runs[at, 0], 0, lengths[at])
        return below

    def numbered(self, number: NDArray[np.int64]) -> NDArray[np.int64]:
        """The outcomes with these numbers, counted from 0 in ascending order; there must be that many."""
        lengths = self.runs[:, 1] - self.runs[:, 0] + 1
        ends = np.cumsum(lengths)
        at = np.searchsorted(ends, number, side="right")
        outcomes: NDArray[np.int64] = self.runs[at, 0] + number - (ends - lengths)[at]
        return outcomes

    def text(self, domain: Domain) -> tuple[str, ...]:
        """The condition as `where` reads it back."""
        words = []
        for first, last in self.runs.tolist():
            if isinstance(domain, CategoryDomain):
                words += [_spelt(domain, code) for code in range(first, last + 1)]
            else:
                words.append(_spelt(domain, first) + (RANGE + _spelt(domain, last) if last > first else ""))
        return (*words, "") if self.missing else tuple(words)


Given = Mapping[str, Any]
"""Column -> a value, a sequence of values and ranges, `Between`, None for missing, or `Allowed`."""


def conditions(given: Given | None, domains: Mapping[str, Domain]) -> dict[str, Allowed]:
    """What each column may hold.

    Raises:
        ParameterError: a column that is not modelled, or a value outside its domain.
    """
    made = {}
    for name, wanted in (given or {}).items():
        if name not in domains:
            raise ParameterError(
                f"There is no column {name!r} to hold fixed.",
                f"The model has {_some(repr(known) for known in domains)}.",
            )
        made[name] = wanted if isinstance(wanted, Allowed) else allowed_in(name, domains[name], wanted)
    return made


def allowed_in(name: str, domain: Domain, wanted: Any) -> Allowed:
    """One column's condition as domain codes.

    Raises:
        ParameterError: nothing is wanted, or something outside the domain.
    """
    many = isinstance(wanted, Sequence) and not isinstance(wanted, str)
    options = list(wanted) if many else [wanted]
    if not options:
        raise ParameterError(f"The condition on column {name!r} allows nothing.", allowed_words(name, domain))
    runs = [_run(name, domain, option) for option in options if option is not None]
    return Allowed(runs=_joined(runs), missing=any(option is None for option in options))


def where(words: Iterable[str], domains: Mapping[str, Domain]) -> dict[str, Allowed]:
    """Conditions as written on a command line: `column=value`, `column=low..high`, `column=` for missing.

    Raises:
        ParameterError: a word is no condition, or as `conditions`.
    """
    parts: dict[str, list[str]] = {}
    for word in words:
        name, sign, text = word.partition("=")
        if not sign:
            raise ParameterError("Expected a condition of the form COLUMN=VALUE.", "For example: --where sex=f")
        parts.setdefault(name, []).append(text)
    return from_text(parts, domains)


def from_text(texts: Mapping[str, Sequence[str]], domains: Mapping[str, Domain]) -> dict[str, Allowed]:
    """Conditions from what `Allowed.text` wrote, or a person did."""
    known = conditions(dict.fromkeys(texts), domains)  # refuses unknown columns
    return conditions({name: [_read(name, domains[name], text) for text in texts[name]] for name in known}, domains)


def allowed_words(name: str, domain: Domain) -> str:
    """A sentence on what a column may hold: public or released facts."""
    if isinstance(domain, CategoryDomain):
        values = [_spelt(domain, code) for code in range(min(domain.size, SHOWN + 1))]
        return f"Column {name!r} may hold {_some(values)}, or be missing."
    ends = f"{_spelt(domain, 0)} to {_spelt(domain, domain.size - 1)}"
    step = "" if domain.scale == 1 else f" in steps of {float(domain.scale):g}"
    return f"Column {name!r} may hold values from {ends}{step}, or be missing."


def _run(name: str, domain: Domain, option: Any) -> tuple[int, int]:
    if isinstance(option, np.generic):
        option = option.item()
    if isinstance(option, Between):
        if isinstance(domain, CategoryDomain):
            raise ParameterError(f"Column {name!r} has categories and no ranges.", "List the values.")
        low = 0 if option.low is None else _tick(name, domain, option.low, math.ceil)
        high = domain.size - 1 if option.high is None else _tick(name, domain, option.high, math.floor)
        if None not in (option.low, option.high) and option.low > option.high:
            raise ParameterError(f"The range for column {name!r} ends before it begins.", "Swap its two ends.")
        if max(low, 0) > min(high, domain.size - 1):
            raise _outside(name, domain)
        return max(low, 0), min(high, domain.size - 1)
    if isinstance(domain, CategoryDomain):
        labels = domain.decode(np.arange(domain.size)).to_pylist()
        if type(option) is not type((labels or [""])[0]) or option not in labels:
            raise _outside(name, domain)
        return labels.index(option), labels.index(option)
    code = _tick(name, domain, option, None)
    if not 0 <= code < domain.size:
        raise _outside(name, domain)
    return code, code


def _tick(name: str, domain: GridDomain, value: Any, direction: Any) -> int:
    """The code of a value; between two ticks the next in a direction, or an error where none is given."""
    kinds = {"integer": int, "float": (int, float), "date": date, "datetime": datetime}
    wrong = isinstance(value, bool) or not isinstance(value, kinds[domain.kind])  # type: ignore[arg-type]
    if wrong or (domain.kind == "date" and isinstance(value, datetime)):
        raise ParameterError(f"Column {name!r} holds values of kind {domain.kind}.", allowed_words(name, domain))
    if isinstance(value, float) and not math.isfinite(value):
        raise _outside(name, domain)
    tick = ticks_of(value, domain.scale)
    exact = domain.decode(np.array([min(max(tick - domain.low, 0), domain.size - 1)]))[0].as_py()
    if not 0 <= tick - domain.low < domain.size or exact == value:
        return tick - domain.low
    if direction is None:
        raise _outside(name, domain)
    return tick - domain.low + (int(exact < value) if direction is math.ceil else -int(exact > value))


def _read(name: str, domain: Domain, text: str) -> Any:
    if not text:
        return None
    if isinstance(domain, CategoryDomain):
        kind = type(domain.values[0]) if domain.values else str
        spelling = {"true": True, "false": False} if kind is bool else {str(value): value for value in domain.values}
        return spelling.get(text, text)
    low, sign, high = text.partition(RANGE)
    if sign:
        return Between(_number(name, domain, low) if low else None, _number(name, domain, high) if high else None)
    return _number(name, domain, text)


def _number(name: str, domain: GridDomain, text: str) -> Any:
    readers: dict[str, Any] = {
        "integer": int,
        "float": float,
        "date": date.fromisoformat,
        "datetime": datetime.fromisoformat,
    }
    try:
        return readers[domain.kind](text)
    except ValueError:
        raise ParameterError(
            f"The condition on column {name!r} is no {domain.kind}.", allowed_words(name, domain)
        ) from None


def _spelt(domain: Domain, code: int) -> str:
    value = domain.decode(np.array([code]))[0].as_py()
    if isinstance(value, bool):
        return str(value).lower()
    return value.isoformat() if isinstance(value, date) else str(value)


def _joined(runs: list[tuple[int, int]]) -> NDArray[np.int64]:
    """Runs in order, those that touch or overlap as one."""
    made: list[list[int]] = []
    for first, last in sorted(runs):
        if made and first <= made[-1][1] + 1:
            made[-1][1] = max(made[-1][1], last)
        else:
            made.append([first, last])
    return np.array(made, dtype=np.int64).reshape(-1, 2)


def _outside(name: str, domain: Domain) -> ParameterError:
    return ParameterError(
        f"The condition on column {name!r} asks for a value that is not in its domain: it was declared impossible, or "
        "never released.",
        allowed_words(name, domain),
    )


def _some(words: Iterable[str]) -> str:
    listed = list(words)
    return ", ".join(listed[:SHOWN]) + (", …" if len(listed) > SHOWN else "")
