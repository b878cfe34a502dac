"""What texts are conditioned on: combinations of values of a few columns, in words, with their released shares.

Everything here follows from domains and a fitted model of the columns, which were paid for; only `codes` reads rows.
Where the columns have more than `MOST` combinations, which a derived domain may show only then, the first column alone
makes the topics, and its rarest values one topic together: what was paid for is used, and nothing is refused so late.

Not guaranteed: that a topic says much; a writer's model may not know the words.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.data.table import Table
from dpsynth.schema.domain import CategoryDomain, Domain
from dpsynth.tabular.conditions.conditional import share
from dpsynth.tabular.conditions.given import Allowed
from dpsynth.tabular.protocol import Model

MOST = 256
REST = "other"


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Topics:
    """Released facts about the topics.

    Attributes:
        domains: of the columns that make a topic; empty without a condition.
        words: of each topic, such as "issue: fees; state: TX".
        given: condition of a row of each topic.
        shares: of each topic, shape (topics,), sum 1.
        number: topic of each combination of codes (missing first), shape (combinations,).
    """

    domains: Mapping[str, CategoryDomain]
    words: tuple[str, ...]
    given: tuple[Mapping[str, Allowed], ...]
    shares: NDArray[np.float64]
    number: NDArray[np.int64]

    @classmethod
    def of(cls, names: tuple[str, ...], domains: Mapping[str, Domain], fitted: Model | None) -> Self:
        """The topics of these columns.

        Args:
            names: categorical or boolean columns.
            domains: of all columns, public or derived.
            fitted: model of the columns; None without any.
        """
        own = {name: domain for name in names if isinstance(domain := domains[name], CategoryDomain)}
        if fitted is None or not own:
            whole = np.zeros(1, dtype=np.int64)
            return cls(domains={}, words=("",), given=({},), shares=np.ones(1), number=whole)
        if math.prod(domain.size + 1 for domain in own.values()) > MOST:
            own = dict(itertools.islice(own.items(), 1))
        combinations = list(itertools.product(*(range(-1, domain.size) for domain in own.values())))
        given: list[dict[str, Allowed]] = [
            {name: _allowed([code]) for name, code in zip(own, codes, strict=True)} for codes in combinations
        ]
        shares = np.array([_share(fitted, condition) for condition in given])
        words = [
            "; ".join(f"{name}: {_word(own[name], code)}" for name, code in zip(own, codes, strict=True))
            for codes in combinations
        ]
        number = np.arange(len(words))
        if len(words) > MOST:  # of one column
            (name,) = own
            order = np.argsort(-shares, kind="stable")
            kept, rest = np.sort(order[: MOST - 1]), order[MOST - 1 :]
            number[rest] = MOST - 1
            number[kept] = np.arange(MOST - 1)
            together = {name: _allowed(sorted((rest - 1).tolist()))}
            words = [*(words[at] for at in kept), f"{name}: {REST}"]
            given = [*(given[at] for at in kept), together]
            shares = np.append(shares[kept], shares[rest].sum())
        total = shares.sum()
        shares = shares / total if total > 0 else np.full(len(shares), 1.0 / len(shares))
        return cls(domains=own, words=tuple(words), given=tuple(given), shares=shares, number=number)

    def codes(self, table: Table) -> NDArray[np.int64]:
        """Topic of each row (private), int64, shape (rows,)."""
        flat = np.zeros(table.unsafe_num_rows, dtype=np.int64)
        for name, domain in self.domains.items():
            flat = flat * (domain.size + 1) + domain.encode(table.column(name)) + 1
        return self.number[flat]


def _allowed(codes: list[int]) -> Allowed:
    """These codes, ascending, -1 for missing."""
    present = np.array([code for code in codes if code >= 0], dtype=np.int64)
    breaks = np.flatnonzero(np.diff(present, prepend=-2) > 1) if len(present) else np.zeros(0, dtype=np.int64)
    ends = np.append(breaks[1:], len(present)) - 1 if len(present) else breaks
    runs = np.stack([present[breaks], present[ends]], axis=1) if len(present) else np.zeros((0, 2), dtype=np.int64)
    return Allowed(runs=runs, missing=-1 in codes)


def _share(model: Any, given: Mapping[str, Allowed]) -> float:
    """Of a topic; none where the model knows no such row."""
    try:
        return max(share(model, given), 0.0)
    except ParameterError:
        return 0.0


def _word(domain: CategoryDomain, code: int) -> str:
    return "unknown" if code < 0 else str(domain.decode(np.array([code]))[0].as_py())
