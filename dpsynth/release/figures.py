"""Figures about real rows that were paid for: noisy counts, whose cost stands in the ledger beside them.

`copies` is a histogram: every person falls into exactly one cell, so adding or removing one person changes one cell by
one (replacing one changes two), whatever the cells ask. `marginals`, which has several, is `dpsynth.release.marginals`.
Discrete Laplace noise on all cells makes a figure epsilon-DP (`dpsynth.workspace.figures.figure` draws it). The commit
that spent the epsilon holds cells and noisy counts as its facts, so a figure cannot be shown without its cost, nor one
that was bought be left out: `evidence.json` must list what the ledger lists. What follows from it is post-processing.

`copies` has the cells (part, likeness): was the person in training or in the holdout, and does the release hold one of
their rows (`exact`), one but for a single column (`near`), or neither. Who was held out was decided by a coin with a
share that is public, so without a leak both parts have copies at the same rate.

>>> bought = Figure(statistic="copies", version="1", draft="d-1", draft_digest="00" * 32, cells=CELLS["copies"],
...                 counts=(900, 0, 6100, 6, 2, 2992), scale="10", epsilon="0.1", commit="00" * 32)
>>> [round(part, 3) for part in bought.excess(("exact",))]
[0.126, 0.116, 0.137]

Not guaranteed: that there is no leak of another kind. The holder of the ledger's key vouches that the noise was drawn.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from statistics import NormalDist
from types import MappingProxyType
from typing import Any, Final, Literal, TypeAlias

from pydantic import Field, ValidationError, model_validator

from accounting.errors import AccountingError
from accounting.event import DiscreteLaplace
from accounting.guarantee import Guarantee
from accounting.ledger.entry import Entry, Kind
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.release.documents import JSON, Refusal
from dpsynth.release.fields import Closed, Hex64, Name
from dpsynth.release.marginals import MAX_COUNT, MAX_SCALE, MarginalsFigure

SCHEMA: Final = "dpsynth.figure/1"
PURPOSE: Final = "figures"
COMPARATORS: Final = "comparators"
NO_ROWS: Final = frozenset({PURPOSE, COMPARATORS})  # purposes of runs under which no draft can be made
"""Purpose of the reservation. A draft cannot be made under it, and what it pays for is no attempt."""
PARTS: Final = ("train", "holdout")
CELLS: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"copies": tuple(f"{part}/{likeness}" for part in PARTS for likeness in ("exact", "near", "neither"))}
)
CHANGE: Final[Mapping[NeighboringRelation, int]] = MappingProxyType(
    {NeighboringRelation.ADD_REMOVE: 1, NeighboringRelation.REPLACE_ONE: 2}
)
"""L1 norm of the largest change of a histogram of units between neighbours."""
ALPHA: Final = 0.05


class Figure(Closed):
    """Noisy counts by cell, and what they cost.

    `scale` is that of the discrete Laplace on every count; `epsilon` the price that the ledger charged, in its relation
    and unit; `commit` the entry that spent it.
    """

    statistic: Literal["copies"]
    version: Name
    draft: Name
    draft_digest: Hex64
    cells: tuple[str, ...]
    counts: tuple[int, ...]
    scale: Decimal = Field(gt=0, le=MAX_SCALE)
    epsilon: Decimal = Field(gt=0)
    commit: Hex64

    @model_validator(mode="after")
    def _cells_are_known(self) -> Figure:
        if self.cells != CELLS[self.statistic] or len(self.counts) != len(self.cells):
            raise ValueError("not the cells of this statistic")
        if any(abs(count) > MAX_COUNT for count in self.counts):
            raise ValueError("counts are those of no table")
        return self

    def to_json(self) -> dict[str, JSON]:
        """As `evidence.json` shows it: the counts, and what follows from them."""
        body: dict[str, JSON] = self.model_dump(mode="json")
        return body | {"excess": self.shown()}

    def shown(self) -> dict[str, dict[str, float]]:
        """Estimate and bounds of each likeness, rounded to six places."""
        names = ("estimate", "ci_low", "ci_high")
        return {
            likeness: {name: round(value, 6) for name, value in zip(names, self.excess(kinds), strict=True)}
            for likeness, kinds in LIKENESSES.items()
        }

    def excess(self, kinds: Collection[str], alpha: float = ALPHA) -> tuple[float, float, float]:
        """Share of such people in training minus share in the holdout, with one-sided bounds at `alpha` each.

        Normal bounds whose variance is that of the sample (one hit and one miss added to each part: Agresti and
        Caffo 2000) plus that of the noise. Minus one to one where the noise drowns the number of people.
        """
        q = math.exp(-1.0 / float(self.scale))
        noise = 2.0 * q / math.expm1(-1.0 / float(self.scale)) ** 2
        share, variance = [], 0.0
        for part in PARTS:
            own = {cell.partition("/")[2]: n for cell, n in zip(self.cells, self.counts, strict=True)
                   if cell.startswith(f"{part}/")}  # fmt: skip
            people, hits = sum(own.values()) + 2, sum(own[kind] for kind in kinds) + 1
            if people <= 4.0 * math.sqrt(len(own) * noise) or people < 5:
                return 0.0, -1.0, 1.0
            p = min(max(hits / people, 0.0), 1.0)
            missed = len(own) - len(kinds)
            drawn = noise * (len(kinds) * (1.0 - p) ** 2 + missed * p**2) / people**2
            share.append(p)
            variance += p * (1.0 - p) / people + drawn
        estimate = share[0] - share[1]
        reach = NormalDist().inv_cdf(1.0 - alpha) * math.sqrt(variance)
        return estimate, max(estimate - reach, -1.0), min(estimate + reach, 1.0)


LIKENESSES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {"exact": ("exact",), "exact_or_near": ("exact", "near")}
)


AnyFigure: TypeAlias = Figure | MarginalsFigure
FIGURES: Final[Mapping[str, type[Figure] | type[MarginalsFigure]]] = MappingProxyType(
    {"copies": Figure, "marginals": MarginalsFigure}
)
"""What can be bought, by name."""


def facts_of(figure: Mapping[str, Any]) -> dict[str, Any]:
    """What the commit says of a figure: all of it but what the entry itself says, scale, epsilon and hash."""
    return {"schema": SCHEMA, **figure}


def figure_of(entry: Entry) -> AnyFigure:
    """The figure that a commit paid for; its noise and price are read off the committed event.

    Raises:
        Refusal: `figure_malformed` if facts, event and guarantee do not make one figure of this version.
    """
    facts = entry.body.get("facts")
    try:
        if not isinstance(facts, Mapping) or facts.get("schema") != SCHEMA:
            raise ValueError
        from accounting.event import EventTree

        tree, guarantee = EventTree.from_json(entry.body["events"]), Guarantee.from_json(entry.body["guarantee"])
        event = tree.events[0]
        if len(tree.events) != 1 or not isinstance(event, DiscreteLaplace) or event.count != 1:
            raise ValueError
        told: dict[str, Any] = {name: value for name, value in facts.items() if name != "schema"}
        figure = FIGURES[told["statistic"]].model_validate(
            {**told, "scale": event.scale, "epsilon": guarantee.epsilon, "commit": entry.hash}
        )
        change = CHANGE[tree.relation] * _rows_changed(figure, tree.unit)
        if event.noise != "exact" or event.l1_sensitivity < change:
            raise ValueError
    except (AccountingError, ValidationError, ValueError, KeyError, IndexError, TypeError):
        raise Refusal("figure_malformed", "A figure in the ledger is not one that this version can check: its counts, "
                      "cells, event or price.") from None  # fmt: skip
    return figure


def _rows_changed(figure: AnyFigure, unit: PrivacyUnit) -> int:
    """L1 change of the counts when one unit is added: a unit of k rows stands in one cell of each marginal k times."""
    return 1 if isinstance(figure, Figure) else unit.max_records * len(figure.marginals)


def bought(entries: Iterable[Entry], draft: str) -> tuple[AnyFigure, ...]:
    """Every figure that the ledger's entries show for a draft, oldest first.

    Raises:
        Refusal: `figure_malformed` for a commit under the purpose of figures that holds none.
    """
    entries = list(entries)
    runs = figure_runs(entries)
    commits = [e for e in entries if e.kind is Kind.COMMIT and e.body.get("reservation_id") in runs]
    return tuple(found for found in map(figure_of, commits) if found.draft == draft)


def last_bought(entries: Iterable[Entry], draft: str) -> int:
    """The entry of the last figure that was bought for a draft, checked or not; -1 if there is none."""
    entries = list(entries)
    runs, last = figure_runs(entries), -1
    for entry in entries:
        facts = entry.body.get("facts")
        if entry.kind is Kind.COMMIT and entry.body.get("reservation_id") in runs and isinstance(facts, Mapping):
            last = entry.seq if facts.get("draft") == draft else last
    return last


def figure_runs(entries: Iterable[Entry]) -> frozenset[object]:
    """Reservations that were made for figures."""
    return frozenset(
        entry.body.get("reservation_id")
        for entry in entries
        if entry.kind is Kind.RESERVE and entry.body.get("purpose") == PURPOSE
    )


def runs_without_rows(entries: Iterable[Entry]) -> frozenset[object]:
    """Reservations under which no draft can be made: for figures, and for private models to compare with."""
    return frozenset(
        entry.body.get("reservation_id")
        for entry in entries
        if entry.kind is Kind.RESERVE and entry.body.get("purpose") in NO_ROWS
    )


def together(rows: Decimal, figures: Iterable[AnyFigure]) -> Decimal:
    """Epsilon of rows and figures of one draft together, by basic composition; the deltas of figures are zero."""
    return rows + sum((figure.epsilon for figure in figures), Decimal(0))


def notes(epsilon: Decimal, figures: Iterable[AnyFigure]) -> list[str]:
    """What whoever verifies should know: the figures cost epsilon beside the rows'."""
    figures = list(figures)
    if not figures:
        return []
    people, tables = (sum(isinstance(one, kind) for one in figures) for kind in (Figure, MarginalsFigure))
    named = ((people, "histogram{} of people"), (tables, "table{} of how near the fitted rows are"))
    said = " and ".join(f"{n} noisy {words.format('s' * (n > 1))}" for n, words in named if n)
    return [
        f"Beside its rows the bundle publishes {said}; "
        f"rows and figures together cost epsilon {format(together(epsilon, figures).normalize(), 'f')}. What is said "
        "of the rows' epsilon and of an attacker's ceiling is of the rows alone."
    ]
