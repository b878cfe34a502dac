"""How one budget becomes scales of noise: shares of zCDP, decided from public facts, turned into decimals.

A share is a part of rho = sum of `k^2 / (2 sigma^2)` (zCDP, add/remove one unit of at most k rows). Shares are only
the exchange rate between queries: the price is that of the tree, by its own accountant, and `calibrate` scales rho
until that price meets the target. Within the 1-ways a column of D outcomes weighs D^(2/3), which minimises
`sum_j D_j sigma_j` at a fixed rho.

Part of delta goes to partition selection (derived categories and spikes): `SELECTION_DELTA` of it in all, divided
equally. Sigmas are rounded up, so what is spent is never more than what is planned.

>>> five_digits(26.123456)
Decimal('26.124')
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import final

from accounting.decimals import decimal_down, decimal_up
from accounting.event import DiscreteGaussian, Event, PartitionSelection, ZCDPFilter
from dpsynth.mechanisms.partition_selection import threshold_for
from dpsynth.schema.categories import DeriveNoise
from dpsynth.schema.derive import open_questions, plan_derive
from dpsynth.schema.domain import CategoryDomain, known_domain
from dpsynth.schema.model import ColumnSpec, Schema
from dpsynth.sgd.schedule import Schedule
from dpsynth.tabular.columns.cells import NARROW
from dpsynth.tabular.columns.part_queries import asked_parts
from dpsynth.tabular.columns.parts import Part

NOMINAL = 48
"""Outcomes assumed for a wide or unknown column when shares are decided."""
SELECTION_DELTA = 0.1
DERIVE_SHARE = 0.10
NOISE = (30.0, 50.0)
"""Sigmas, in rows, between which shares pass from those for small to those for large noise. The number of rows is not
known when budgets are divided; this supposes some thousands to some tens of thousands, as in the tables it was tried
on. Adult is at 21 at epsilon 1, CoIL with its 86 columns at 51."""
SMALL_NOISE = (4.0, 8.0)
"""Sigmas, in rows, between which the share of triples falls to nothing. Adult is at 2.5 at epsilon 10, 7.5 at 3."""
TRIPLES_PER_COLUMN = 2
MANY_COLUMNS = 40
"""Columns from which a target gets halves where noise is large: many weak predictors add up, few do not. With 22 (NIST
at epsilon 0.3) they cost what they bring, with 86 (CoIL) not; nothing between was tried."""
PART_SHARE = 0.05
"""Of a wide column's own share, for each part (weekday, …, round numbers): parts have few outcomes, so they need less
than the intervals."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class RoundShares:
    """Parts of rho for one round of pairs.

    Attributes:
        scores: for one score of every pair.
        pairs: for the pair tables that the scores choose.
        per_column: pair tables for each column of the schema, no more than there are pairs; None for the d - 1 of a
            spanning tree.
    """

    scores: float
    pairs: float
    per_column: float | None = None


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Shares:
    """Parts of rho for what follows the 1-ways, which take the rest.

    Attributes:
        rounds: rounds of pairs whose numbers and scales are fixed beforehand, where noise is small.
        noisy: the same where noise is large, as many rounds; the same as `rounds` if left out.
        halved: those of `noisy` where there are halves, which save slots; as many, or the same if left out.
        adaptive: steps whose numbers and scales are chosen on the way, within a filter.
        triples: tables of the target and two other columns, where noise is very small; taken off before all others,
            1-ways included, so that those keep their proportions.
        halves: tables of the target and every other of many columns, cut in two, where noise is large; taken off alike.
        training: left for noisy gradient steps, whose noise the planner solves.
        trained: tables measured after training.
        lengths: for the histogram of people by their number of rows; only generators of whole people have it.
        stays: for counts of consecutive rows that agree, one for each column that may change; likewise.
        trained_per_column: such tables for each column, no more than there are pairs.
        votes: for the votes of teachers.
        asked: generated rows that teachers vote on.
    """

    rounds: tuple[RoundShares, ...] = ()
    noisy: tuple[RoundShares, ...] = ()
    halved: tuple[RoundShares, ...] = ()
    adaptive: float = 0.0
    triples: float = 0.0
    halves: float = 0.0
    training: float = 0.0
    trained: float = 0.0
    trained_per_column: float = 1.0
    lengths: float = 0.0
    stays: float = 0.0
    votes: float = 0.0
    asked: int = 0

    def triples_at(self, noise: float) -> float:
        """The share of triples at a level of noise, as in `at`."""
        return self.triples * (1.0 - _part(noise, SMALL_NOISE))

    def halves_at(self, noise: float) -> float:
        """The share of halves at a level of noise, as in `at`."""
        return self.halves * _part(noise, NOISE)

    def at(self, noise: float, *, halved: bool = False) -> tuple[RoundShares, ...]:
        """The rounds at a level of noise, by interpolation.

        Args:
            halved: whether there are halves.
            noise: sigma of every 1-way, in rows, if all of the budget went to them in equal parts: a public number.
        """
        if not self.noisy:
            return self.rounds
        part, large = _part(noise, NOISE), (self.halved if halved else ()) or self.noisy
        return tuple(_between(one, other, part) for one, other in zip(self.rounds, large, strict=True))


def _part(noise: float, between: tuple[float, float]) -> float:
    """How far noise is on the way from the lower to the upper level, 0 to 1."""
    low, high = between
    return min(max((noise - low) / (high - low), 0.0), 1.0)


def _between(one: RoundShares, other: RoundShares, part: float) -> RoundShares:
    slots = None
    if one.per_column is not None and other.per_column is not None:
        slots = one.per_column + part * (other.per_column - one.per_column)
    return RoundShares(
        scores=one.scores + part * (other.scores - one.scores),
        pairs=one.pairs + part * (other.pairs - one.pairs),
        per_column=slots,
    )


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class SpikeNoise:
    """Noise of the search for single values that many rows share.

    Attributes:
        sigma: scale of the discrete Gaussian noise on each value's count.
        threshold: smallest noisy count that makes a spike.
    """

    sigma: Decimal
    threshold: int


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class PartNoise:
    """Noise of the parts of one column.

    Attributes:
        parts: what is asked, one histogram each.
        sigma: scale of the discrete Gaussian noise on each count of each part.
    """

    parts: tuple[Part, ...]
    sigma: Decimal


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """Scales of noise of one round: scores of all pairs, then the tables of some.

    Attributes:
        scores, score_sigma: number of pair scores and their sigma.
        pairs, pair_sigma: number of pair tables and the sigma of each.
    """

    scores: int
    score_sigma: Decimal
    pairs: int
    pair_sigma: Decimal


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class TableNoise:
    """Tables of the target and one or two other columns, of merged codes.

    Attributes:
        count: number of tables.
        sigma: scale of the discrete Gaussian noise on each cell of each.
    """

    count: int
    sigma: Decimal


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Votes:
    """Counts of the votes of teachers, each of which sees the rows of its own units.

    Attributes:
        count: counts of votes, one for each generated row that teachers vote on.
        sigma: scale of the discrete Gaussian noise on each.
    """

    count: int
    sigma: Decimal

    def event(self) -> DiscreteGaussian:
        """One unit has one teacher, who has one vote: sensitivity 1 whatever k is (add/remove one unit)."""
        return DiscreteGaussian(sigma=self.sigma, l2_sensitivity=Decimal(1), count=self.count)


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Allocation:
    """All scales of noise of one run, fixed before data is read.

    Attributes:
        max_records: k, the most rows of one unit: L2 sensitivity of each table, largest change of each score.
        derive: noise for each open question about domains; None if the schema declares all.
        histogram: column -> sigma of its 1-way histogram.
        spikes: column -> noise of its spike search; only columns that may be wide.
        rounds: scores and tables of pairs, in time order; none for a single column.
        parts: column -> parts of its intervals and their noise; only columns that may be wide.
        adaptive: bound on the zCDP of steps chosen on the way, add/remove one unit; None if there are none.
        triples: tables of three columns after the rounds; None if there are none.
        halves: tables of the target and halves of another column, before the rounds; None if there are none.
        training: noisy gradient steps after the 1-ways, whose sensitivity is their clip whatever k is; None if none.
        trained: pair tables chosen from the trained model's own rows; None if there are none.
        lengths: sigma of the histogram of units by their number of rows, whose L2 sensitivity is 1 whatever k is; None
            if rows are made and not people.
        stays: counts of consecutive rows of a unit that agree in a column, L2 sensitivity k - 1 each; None likewise.
        votes: of teachers on generated rows, after the 1-ways; None if there are none.
    """

    max_records: int
    derive: DeriveNoise | None
    histogram: Mapping[str, Decimal]
    spikes: Mapping[str, SpikeNoise]
    rounds: tuple[Round, ...] = ()
    parts: Mapping[str, PartNoise] = field(default_factory=dict)
    adaptive: Decimal | None = None
    triples: TableNoise | None = None
    halves: TableNoise | None = None
    training: Schedule | None = None
    trained: TableNoise | None = None
    lengths: Decimal | None = None
    stays: TableNoise | None = None
    votes: Votes | None = None

    @property
    def reads_rows(self) -> bool:
        """Whether rows are read as codes, by unit, and not only counted."""
        return self.training is not None or self.votes is not None

    def events(self, schema: Schema) -> tuple[Event, ...]:
        """The worst case in time order: derivation, each column's queries, halves, rounds, triples, the filter.

        Of a network: derivation, each column's queries, numbers of rows, steps or votes, tables.
        """
        events = list(plan_derive(schema, self.derive))
        change = Decimal(self.max_records)
        for name, sigma in self.histogram.items():
            if name in self.spikes:
                events.append(spike_event(self.spikes[name], self.max_records))
            events.append(DiscreteGaussian(sigma=sigma, l2_sensitivity=change))
            if name in self.parts:
                asked = self.parts[name]
                events.append(DiscreteGaussian(sigma=asked.sigma, l2_sensitivity=change, count=len(asked.parts)))
        if self.halves is not None:
            events.append(DiscreteGaussian(sigma=self.halves.sigma, l2_sensitivity=change, count=self.halves.count))
        for part in self.rounds:
            events.append(DiscreteGaussian(sigma=part.score_sigma, l2_sensitivity=change, count=part.scores))
            events.append(DiscreteGaussian(sigma=part.pair_sigma, l2_sensitivity=change, count=part.pairs))
        if self.triples is not None:
            events.append(DiscreteGaussian(sigma=self.triples.sigma, l2_sensitivity=change, count=self.triples.count))
        if self.lengths is not None:
            events.append(DiscreteGaussian(sigma=self.lengths, l2_sensitivity=Decimal(1)))
        if self.stays is not None:
            events.append(DiscreteGaussian(sigma=self.stays.sigma, l2_sensitivity=change - 1, count=self.stays.count))
        if self.training is not None:
            events.append(self.training.event())
        if self.votes is not None:
            events.append(self.votes.event())
        if self.trained is not None:
            events.append(DiscreteGaussian(sigma=self.trained.sigma, l2_sensitivity=change, count=self.trained.count))
        if self.adaptive is not None:
            events.append(ZCDPFilter(rho=self.adaptive))
        return tuple(events)


def allocate(schema: Schema, max_records: int, *, rho: float, delta: float, shares: Shares) -> Allocation:
    """Scales of noise that cost `rho` in all (zCDP, add/remove one unit) beside the delta of the thresholds.

    Args:
        schema: public facts: kinds, declared domains.
        max_records: k, the most rows of one unit.
        rho: total zCDP parameter.
        delta: total delta; `SELECTION_DELTA` of it pays for partition selection.
        shares: how rho is divided after derivation; of a single column all of it goes to the histogram.
    """
    questions = open_questions(schema)
    wide = [name for name in schema.modelled if may_be_wide(schema.columns[name])]
    selections = len(wide) + sum(question == "categories" for _, question in questions)
    atom = delta * SELECTION_DELTA / max(selections, 1)
    derive = None
    if questions:
        sigma = _sigma(DERIVE_SHARE * rho / len(questions), max_records)
        derive = DeriveNoise(sigma=sigma, threshold=_threshold(sigma, atom, max_records), max_records=max_records)
        rho *= 1 - DERIVE_SHARE
    columns = len(schema.modelled)
    noise = max_records * math.sqrt(columns / (2 * rho))
    triples = halves = None
    if schema.target is not None and columns > 3 and (share := shares.triples_at(noise)) > 0:
        count = min(TRIPLES_PER_COLUMN * columns, math.comb(columns - 1, 2))
        triples = TableNoise(count=count, sigma=_sigma(share * rho / count, max_records))
        rho *= 1 - share
    elif schema.target is not None and columns >= MANY_COLUMNS and (share := shares.halves_at(noise)) > 0:
        halves = TableNoise(count=columns - 1, sigma=_sigma(share * rho / (columns - 1), max_records))
        rho *= 1 - share
    divided = shares.at(noise, halved=halves is not None)
    rounds = _rounds(divided, columns, rho, max_records)
    adaptive = shares.adaptive if columns > 1 else 0.0
    trained = None
    if columns > 1 and shares.trained > 0:
        count = min(math.ceil(shares.trained_per_column * columns), math.comb(columns, 2))
        trained = TableNoise(count=count, sigma=_sigma(shares.trained * rho / count, max_records))
    votes = None
    if columns > 1 and shares.votes > 0:
        votes = Votes(count=shares.asked, sigma=_sigma(shares.votes * rho / shares.asked, 1))
    oneway = 1.0 - sum(part.scores + part.pairs for part in divided if rounds) - adaptive
    if columns > 1:
        oneway -= shares.training + shares.trained + shares.lengths + shares.stays + shares.votes
    weights = {name: _weight(schema.columns[name]) for name in schema.modelled}
    total = sum(weights.values())
    histogram: dict[str, Decimal] = {}
    spikes: dict[str, SpikeNoise] = {}
    parts: dict[str, PartNoise] = {}
    for name, weight in weights.items():
        part = oneway * rho * weight / total
        asked = asked_parts(schema.columns[name])
        if asked:
            parts[name] = PartNoise(parts=asked, sigma=_sigma(PART_SHARE * part, max_records))
            part *= 1 - PART_SHARE * len(asked)
        if name in wide:
            sigma = _sigma(part / 2, max_records)
            spikes[name] = SpikeNoise(sigma=sigma, threshold=_threshold(sigma, atom, max_records))
            histogram[name] = sigma
        else:
            histogram[name] = _sigma(part, max_records)
    return Allocation(
        max_records=max_records,
        derive=derive,
        histogram=histogram,
        spikes=spikes,
        rounds=rounds,
        parts=parts,
        adaptive=_five_digits_down(adaptive * rho) if adaptive else None,
        triples=triples,
        halves=halves,
        trained=trained,
        lengths=_sigma(shares.lengths * rho, 1) if shares.lengths else None,
        stays=_stays(schema, max_records, shares.stays * rho),
        votes=votes,
    )


def _stays(schema: Schema, max_records: int, rho: float) -> TableNoise | None:
    """Counts of agreeing consecutive rows, of which a unit has at most k - 1."""
    count = len(schema.modelled) - len(schema.constant)
    if not rho or not count:
        return None
    return TableNoise(count=count, sigma=_sigma(rho / count, max_records - 1))


def spike_event(spikes: SpikeNoise, max_records: int) -> PartitionSelection:
    """The event of one spike search."""
    return PartitionSelection(
        sigma=spikes.sigma,
        threshold=Decimal(spikes.threshold),
        l2_sensitivity=Decimal(max_records),
        max_keys=max_records,
    )


def may_be_wide(spec: ColumnSpec) -> bool:
    """Whether the column's grid has, or may turn out to have, more than `NARROW` ticks."""
    if spec.kind in ("categorical", "boolean"):
        return False
    domain = known_domain(spec)
    return domain is None or domain.size > NARROW


def five_digits(sigma: float) -> Decimal:
    """`sigma` rounded up to five significant digits."""
    return decimal_up(sigma, max(0, 4 - math.floor(math.log10(sigma))))


def _five_digits_down(rho: float) -> Decimal:
    return decimal_down(rho, max(0, 4 - math.floor(math.log10(rho))))


def _rounds(parts: tuple[RoundShares, ...], columns: int, rho: float, max_records: int) -> tuple[Round, ...]:
    """Every round's numbers and scales; the number of tables follows from the number of columns alone."""
    scores = columns * (columns - 1) // 2
    rounds = []
    for part in parts if scores else ():
        pairs = columns - 1 if part.per_column is None else min(math.ceil(part.per_column * columns), scores)
        rounds.append(
            Round(
                scores=scores,
                score_sigma=_sigma(part.scores * rho / scores, max_records),
                pairs=pairs,
                pair_sigma=_sigma(part.pairs * rho / pairs, max_records),
            )
        )
    return tuple(rounds)


def _weight(spec: ColumnSpec) -> float:
    domain = known_domain(spec)
    if isinstance(domain, CategoryDomain):
        return float(max(domain.size, 2) ** (2 / 3))
    return float(min(domain.size, NOMINAL) ** (2 / 3)) if domain is not None else float(NOMINAL ** (2 / 3))


def _sigma(rho: float, max_records: int) -> Decimal:
    return five_digits(max_records / math.sqrt(2 * rho))


@lru_cache(maxsize=256)
def _threshold(sigma: Decimal, atom: float, max_records: int) -> int:
    """A pure function; columns of one weight share a sigma, and of 147 columns 138 may: 10 of 20 s of a plan."""
    return threshold_for(sigma=sigma, delta=atom, weight=max_records, max_keys=max_records)
