"""What a fit by records knows so far: released 1-ways, the pair tables learned, and the schedule of sweeps.

Between two measurements the state of knowledge is the expected table of every pair: at first the product of the 1-ways,
then, after each round, the mean over a few sweeps of the fitted records' tables. All of it is post-processing.

A column without significant missing (`Binning.has_missing`) gets no code for it: a code without rows would only add
cells of noise to every table. Priors are floored at a third of the 1-way's noise, so that no code is ruled out.
A chain has at most 20,000 records (12,500 for more than 25 columns) and at least 1,000, with tables and noise scaled.
On Adult two such chains were as accurate as one of 40,000, for the same work. Where tables are sharp beside the rows,
records of a sub-sample are the coarser of the two, and a chain has up to twice as many (`_most_records`).
"""

from __future__ import annotations

import functools
import itertools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.progress import Clock, Progress
from dpsynth.data.table import Table
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.forests.tree import Pair, Vector, combine, project
from dpsynth.tabular.records.chains import Chains, Sweep
from dpsynth.tabular.records.pair_tables import PairTables
from dpsynth.tabular.records.proposals import JointProposal
from dpsynth.tabular.records.public_prior import LEAST_SHARE, public_codes, raked_tables, towards
from dpsynth.tabular.records.record_table import RecordTable
from dpsynth.tabular.records.residuals import Columns, Marginal
from dpsynth.tabular.records.shrinkage import evident_strength

FEWEST, MOST, MOST_OF_MANY = 1_000, 20_000, 12_500
MANY = 25
SHARP, SHARPEST = 700.0, 2.0
"""Released rows over the noise of a column's counts, from which chains grow in proportion, and by how much at most:
Adult at epsilon 1 is at 690, COVID at 1,660. There 25,000 records a chain instead of 12,500 lower, with
the sweeps below, the pair error of the expected tables from 0.0089 to 0.0084, and 40,000 no further."""
CHAINS = 2
PRIOR_FLOOR = 0.3
"""Least prior count of a code, in standard deviations of its column's 1-way."""
TRUSTED = 4
"""Most public tables for each column that stand in for measurements."""
ALMOST_EQUAL = 0.7
"""Distance from independence, as a part of the rows, from which two columns move together."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Sweeps:
    """How long one fit takes.

    Attributes:
        start: strength of the first sweep; half of the sweeps rise from it to the final strength.
        annealed, averaged: sweeps that fit, and further ones whose tables are averaged.
    """

    start: float
    annealed: int
    averaged: int


FIRST = Sweeps(start=0.3, annealed=6, averaged=2)
LATER = Sweeps(start=3.0, annealed=8, averaged=8)
"""For records that are fitted already. The loss stands still two sweeps after the strength does (Adult, COVID), so
sweeps beyond that are averaged. TVD2 of the expected tables on Adult at epsilon 1, three runs each: 0.0250, 0.0237
and 0.0237 with 4, 8 and 16 averaged; one run varies by 0.0007."""
LAST = Sweeps(start=10.0, annealed=8, averaged=4)
"""For triples, which refine pairs."""


@final
class RecordFit:
    """Records, the tables they are fitted to, and what they predict.

    Args:
        binnings: column -> codes with released counts.
        total: released number of rows, at least 1.
        strength: strength of the 1-ways at the end of annealing (see `record_table`); that of every pair table is
            estimated from itself (see `shrinkage`).
        rng: random numbers for post-processing.
        progress: called sweep by sweep.
        penalties: columns by number -> cells that no record may be in, of shape `shapes`, as in `Residuals`.
        chains: how many record tables are fitted side by side; a setting, and not the number of cores, so that a fit
            can be repeated elsewhere.
        public: rows of a public prior, at least one, with a column for each binning; see `public_prior`.

    Attributes:
        shapes: column -> number of codes that are modelled, missing included where it stands out.
        chains: the record tables.
        mean: the expected table of every pair, 1-ways included, in rows.
        tables, sigmas: pair -> average of its noisy tables and the noise of that, in rows.
        halves, triples: noisy tables of two and three columns, by number, of merged codes, in rows.
        history: how well the chains fitted after each sweep, run by run.
    """

    def __init__(
        self,
        binnings: Mapping[str, Binning],
        total: float,
        strength: float,
        rng: np.random.Generator,
        progress: Progress,
        *,
        penalties: Mapping[Columns, NDArray[np.bool_]] = MappingProxyType({}),
        chains: int = CHAINS,
        public: Table | None = None,
    ) -> None:
        self._names, self._total, self._strength = tuple(binnings), total, strength
        self._progress, self.penalties = progress, penalties
        kept = modelled_codes(binnings)
        self.shapes: Mapping[str, int] = kept
        self._counts = {name: binning.counts[: kept[name]] for name, binning in binnings.items()}
        self._variances = {name: binning.variance[: kept[name]] for name, binning in binnings.items()}
        shares = [project(counts, total, self._variances[name]) / total for name, counts in self._counts.items()]
        size = int(np.clip(round(total), FEWEST, _most_records(self._variances, total)))
        sizes = tuple(kept.values())
        self.chains = Chains([RecordTable(sizes, shares, size, rng) for _ in range(chains)], rng)
        self.mean = PairTables.product(sizes, shares, total)
        self._public: PairTables | None = None
        self._nearer: set[Pair] = set()
        self._trusted: dict[Pair, float] = {}
        if public is not None:
            by_name = dict(zip(self._names, shares, strict=True))
            codes = public_codes(public, binnings, kept, by_name, rng)
            for table in self.chains.tables:
                table.records[:, :-1] = codes[rng.permutation(np.arange(size) % len(codes))]
            self._independent, self._public = self.mean, raked_tables(codes, by_name, total)
            self.mean = self._public
        self.tables: dict[Pair, Vector] = {}
        self.sigmas: dict[Pair, float] = {}
        self.halves: list[Marginal] = []
        self.triples: list[Marginal] = []
        self.history: list[tuple[Sweep, ...]] = []

    @property
    def has_prior(self) -> bool:
        """Whether the fit began with public rows."""
        return self._public is not None

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All pairs of columns by name."""
        return tuple(itertools.combinations(self._names, 2))

    def expected(self) -> Mapping[Pair, NDArray[np.int64]]:
        """Pair -> integer table that is predicted now, in rows; released numbers only. Made one by one, on demand."""
        return _Expected(self._names, self.mean)

    def learn(self, tables: Mapping[Pair, Vector], sigmas: Mapping[Pair, float]) -> None:
        """Take in noisy tables; one of a known pair is averaged with what is known, by precision."""
        for pair, fresh in tables.items():
            new = sigmas[pair] ** -2
            old = 0.0
            if pair in self.tables:
                old = self.sigmas[pair] ** -2
                fresh = (old * self.tables[pair] + new * fresh) / (old + new)
            self.tables[pair], self.sigmas[pair] = fresh, (old + new) ** -0.5

    def trust(self, scores: Mapping[Pair, float], sigma: float) -> dict[Pair, float]:
        """Decide by the first scores which public tables are nearer than independence, and which of them stand in for
        pairs that are not measured: those whose scores say so beyond their noise.

        Args:
            scores: pair -> released distance from the public table, rows.
            sigma: standard deviation of the scores' noise.

        Returns:
            Pair -> distance from independence, in rows, as far as public tables and scores know it.
        """
        if self._public is None:
            return dict(scores)
        apart: dict[Pair, float] = {}
        for pair, score in scores.items():
            public, product = self._public[self._numbers(pair)], self._independent[self._numbers(pair)]
            apart[pair] = float(np.abs(public - product).sum())
            if score < apart[pair] / 2:
                self._nearer.add(pair)
            if score + 2 * sigma < apart[pair] / 2:
                self._trusted[pair] = max(score, sigma) / public.size**0.75
        most = TRUSTED * len(self._names)
        best = sorted(self._trusted, key=lambda pair: scores[pair] - apart[pair])[:most]
        self._trusted = {pair: self._trusted[pair] for pair in best}
        return {pair: max(apart[pair], scores[pair]) for pair in scores}

    def refine(self, name: str, counts: Vector, sigma: float) -> None:
        """Take in fresh noisy counts of one column's codes, averaged with what is known by precision."""
        old, new = 1.0 / self._variances[name], sigma**-2
        self._counts[name] = (old * self._counts[name] + new * counts) / (old + new)
        self._variances[name] = 1.0 / (old + new)

    def known(self) -> dict[str, tuple[Vector, float]]:
        """Column -> counts of its codes from all that was measured, tables too, and their mean standard deviation."""
        counts, variances = combine(self._counts, self._variances, self.tables, self.sigmas, self._total)
        return {name: (counts[name], float(np.sqrt(variances[name].mean()))) for name in self._names}

    def run(self, sweeps: Sweeps, distances: Mapping[Pair, float], stage: str) -> None:
        """Anneal to all that is known, then average the tables of further sweeps into `mean`.

        Args:
            sweeps: how many, and how strong at first.
            distances: pair -> distance from independence, in rows; measured pairs near the row total move together.
            stage: what progress calls it; nothing is reported if empty.
        """
        scale = self.chains.records / self._total
        joint = [
            JointProposal.of(self._numbers(pair), project(table, self._total))
            for pair, table in self.tables.items()
            if distances[pair] > ALMOST_EQUAL * self._total
        ]
        cooling = np.geomspace(sweeps.start, self._strength, sweeps.annealed // 2)
        steady = sweeps.annealed - len(cooling) + sweeps.averaged
        strengths = np.concatenate([cooling, np.full(steady, self._strength)]) * scale
        seen: list[Sweep] = []
        clock = Clock(len(strengths))

        def each(sweep: Sweep) -> None:
            seen.append(sweep)
            if stage:
                detail = f"loss {sweep.loss:.2f}, chains {sweep.apart:.3f} apart, {clock.left(len(seen))}"
                self._progress(stage, len(seen), len(strengths), detail)

        targets, noise = self._targets(scale)
        mean = self.chains.anneal(
            targets, noise, self.penalties, strengths, averaged=sweeps.averaged, joint=joint, each=each
        )
        self.history.append(tuple(seen))
        self.mean = mean.scaled(1 / scale)

    def _targets(self, scale: float) -> tuple[list[Marginal], list[float]]:
        """All that was measured, and its noise, scaled to the number of records.

        What is known of the 1-ways by now, from tables too, becomes the records' prior and is held at full strength.
        Pair tables are held by their own evidence: a strength of theirs stands in the sigma that the moves see.
        """
        known = self.known()
        floored = (np.maximum(counts, PRIOR_FLOOR * deviation) for counts, deviation in known.values())
        self.chains.set_base([counts / self._total for counts in floored])
        targets = [
            Marginal(columns=(at,), table=counts * scale, sigma=deviation * scale)
            for at, (counts, deviation) in enumerate(known.values())
        ]
        noise = [target.sigma for target in targets]
        for pair, (table, sigma) in self._believed().items():
            expected = np.outer(known[pair[0]][0], known[pair[1]][0]) / self._total
            weaker = math.sqrt(self._strength / evident_strength(table, expected, sigma))
            held = Marginal(columns=self._numbers(pair), table=table * scale, sigma=sigma * weaker * scale)
            targets.append(held)
            noise.append(sigma * scale)
        for coarse in (*self.halves, *self.triples):
            evident = evident_strength(coarse.table, self._product(coarse, known), coarse.sigma)
            weaker = math.sqrt(self._strength / evident)
            held = Marginal(
                columns=coarse.columns,
                table=coarse.table * scale,
                sigma=coarse.sigma * weaker * scale,
                maps=coarse.maps,
            )
            targets.append(held)
            noise.append(coarse.sigma * scale)
        return targets, noise

    def _product(self, marginal: Marginal, known: Mapping[str, tuple[Vector, float]]) -> Vector:
        """What the 1-ways predict for a table of merged codes, in rows."""
        shares = [
            np.bincount(np.asarray(mapping), weights=known[self._names[at]][0]) / self._total
            for at, mapping in zip(marginal.columns, marginal.maps, strict=True)
        ]
        return np.asarray(self._total * functools.reduce(np.multiply.outer, shares))

    def _believed(self) -> dict[Pair, tuple[Vector, float]]:
        """Tables and their noise: measured ones, pulled towards public ones that are nearer; trusted public ones."""
        out = {pair: (table, self.sigmas[pair]) for pair, table in self.tables.items()}
        if self._public is None:
            return out
        for pair, sigma in self._trusted.items():
            out.setdefault(pair, (self._public[self._numbers(pair)].astype(np.float64), sigma))
        for pair in self._nearer & self.tables.keys():
            public = self._public[self._numbers(pair)].astype(np.float64)
            table, sigma = out[pair]
            pulled, share = towards(public, table, np.full(table.shape, sigma**2))
            out[pair] = pulled, sigma * math.sqrt(max(share, LEAST_SHARE))
        return out

    def _numbers(self, pair: Pair) -> tuple[int, int]:
        return self._names.index(pair[0]), self._names.index(pair[1])


def modelled_codes(binnings: Mapping[str, Binning]) -> dict[str, int]:
    """Column -> number of codes in a record table: missing has one where it stands out of the noise."""
    return {name: binning.size + binning.has_missing for name, binning in binnings.items()}


def _most_records(variances: Mapping[str, Vector], total: float) -> int:
    """Most records of a chain, from released numbers alone."""
    most = MOST_OF_MANY if len(variances) > MANY else MOST
    noise = float(np.median([math.sqrt(variance.mean()) for variance in variances.values()]))
    return round(most * min(max(total / (SHARP * noise), 1.0), SHARPEST))


@final
class _Expected(Mapping[Pair, NDArray[np.int64]]):
    """Pairs by name -> integer tables, rounded when they are asked for: all of them at once would be large."""

    def __init__(self, names: tuple[str, ...], mean: PairTables) -> None:
        self._number = {name: at for at, name in enumerate(names)}
        self._mean = mean

    def __getitem__(self, pair: Pair) -> NDArray[np.int64]:
        return np.rint(self._mean[self._number[pair[0]], self._number[pair[1]]]).astype(np.int64)

    def __iter__(self) -> Iterator[Pair]:
        return itertools.combinations(self._number, 2)

    def __len__(self) -> int:
        return math.comb(len(self._number), 2)
