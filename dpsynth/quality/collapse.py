"""Rounds: what becomes of a table when generators are trained on what generators made.

    replace      round t is trained on the rows of round t - 1 alone        (Shumailov et al., Nature 2024: collapse)
    accumulate   round t is trained on the real rows and all rounds so far  (Gerstgrasser et al., COLM 2024: bounded)

Each round is held against a reference: a known population, exactly (`simulate`), or real rows (`follow`, for a line of
releases that exist). Figures are over all pairs of columns with shares p of the reference and q of the round:

    error       mean total variation distance of p and q
    diversity   exp(mean H(q) - H(p)): effective number of cells, as a share of the reference's; below 1 is narrower
    coverage    mean share of the mass of p in cells that the round has at all
    tail        recall of what is rare: planted modes min(q / p, 1), or the mass overlap of cells of 10 to 99 real rows

A figure narrows if it is worse than real rows of the same number by more than 6 spreads of such rows (the rule of the
report, `Metric.noticed`).

>>> table = pd.DataFrame({"a": [0, 1] * 500, "b": [0, 0, 1, 1] * 250})
>>> line = follow(table, [table, table[table["a"] == 0]])
>>> [round(step.diversity, 2) for step in line.rounds], line.narrowing
([1.0, 0.5], ('coverage', 'diversity', 'error'))

Not guaranteed: that a line of one generator and one law tells of another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from dpsynth.core.errors import ParameterError
from dpsynth.core.progress import Progress, silent
from dpsynth.quality.coding import Coded, code_tables
from dpsynth.quality.report import BEYOND, LEAST_SPREAD

Scheme = Literal["replace", "accumulate"]
Shares = NDArray[np.float64]
REDRAWS: Final = 8
FIGURES: Final = ("error", "diversity", "coverage", "tail")
TAIL: Final = (10, 99)


class Truth(Protocol):
    """What is needed of a `dpsynth.simulation.Population`."""

    columns: Any
    modes: Any

    def draw(self, rows: int, *, seed: int) -> Any:
        """Rows of the law: `.table`."""

    def codes(self, table: Any) -> NDArray[np.int64]:
        """Cells as codes, shape (rows, columns); -1 for what cannot be."""

    def marginal(self, names: Sequence[str]) -> Shares:
        """Exact shares of the cells of these columns."""

    def share_of(self, mode: Any) -> float:
        """Exact share of rows that have a mode's combination."""


Generate = Callable[[Any, int], Any]
"""(training table, seed) -> synthetic table, both `dpsynth.data.Table`."""
Concatenate = Callable[[Sequence[Any]], Any]


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Round(_Document):
    """The figures of one round; round 0 is the real table."""

    round: int
    rows: int
    error: float
    diversity: float
    coverage: float
    tail: float | None


class Line(_Document):
    """All rounds, and what of them narrowed."""

    scheme: Literal["replace", "accumulate", "given"]
    rounds: tuple[Round, ...]
    spread: Mapping[str, float]
    narrowing: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    confidentiality: Literal["internal", "public"] = "internal"


def simulate(
    truth: Truth,
    generate: Generate,
    *,
    together: Concatenate,
    rows: int,
    rounds: int,
    scheme: Scheme,
    seed: int = 0,
    progress: Progress = silent,
) -> Line:
    """Rounds of a generator from rows of a known population; public, for no row is anybody's.

    Args:
        truth: the population.
        generate: a generator, fitted and sampled.
        together: tables as one below the other.
        rows: of the real table.
        rounds: how many.
        scheme: what each round is trained on.
        seed: of the real rows and of each round.
        progress: receives the step `rounds`.
    """
    if rounds < 1 or scheme not in ("replace", "accumulate"):
        raise ParameterError("Expected rounds >= 1 and the scheme replace or accumulate.")
    real = truth.draw(rows, seed=seed).table
    pool, last = [real], real
    steps = [_against_truth(truth, real, 0)]
    for number in range(1, rounds + 1):
        progress("rounds", number - 1, rounds)
        last = generate(last if scheme == "replace" else together(pool), seed + number)
        pool.append(last)
        steps.append(_against_truth(truth, last, number))
    progress("rounds", rounds, rounds)
    chance = [_against_truth(truth, truth.draw(rows, seed=seed + 10_000 + i).table, 0) for i in range(REDRAWS)]
    return _line(scheme, steps, chance, "public")


def follow(real: pd.DataFrame, rounds: Sequence[pd.DataFrame], *, kinds: Mapping[str, str] | None = None) -> Line:
    """A line of releases against the real rows that the first was made from; internal.

    Args:
        real: real rows.
        rounds: the releases, first to last.
        kinds: column -> kind as in a schema.

    Raises:
        SchemaError, DataError: as `coding.code_tables`.
    """
    names = [f"round {number}" for number in range(1, len(rounds) + 1)]
    coded = code_tables({"real": real, **dict(zip(names, rounds, strict=True))}, declared=kinds)
    codes = coded.tables["real"]
    rng = np.random.default_rng(0)
    halves = []
    for _ in range(REDRAWS):
        order = rng.permutation(codes.shape[1])
        parts = coded.with_tables({"real": codes[:, order[::2]], "other": codes[:, order[1::2]]})
        halves.append(_against_rows(parts, "other", 0))
    steps = [_against_rows(coded, name, number) for number, name in enumerate(names, start=1)]
    return _line("given", steps, halves, "internal")


def _against_truth(truth: Truth, table: Any, number: int) -> Round:
    codes = truth.codes(table)
    names = [column.name for column in truth.columns]
    sizes = [column.size for column in truth.columns]
    pairs = []
    for j in range(len(names)):
        for i in range(j):
            known = (codes[:, [i, j]] >= 0).all(axis=1)
            cells = np.bincount(codes[known, i] * sizes[j] + codes[known, j], minlength=sizes[i] * sizes[j])
            pairs.append((truth.marginal((names[i], names[j])).ravel(), cells / len(codes)))
    recalls = []
    for mode in truth.modes:
        has = np.ones(len(codes), dtype=bool)
        for name, code in mode.fixed.items():
            has &= codes[:, names.index(name)] == code
        recalls.append(min(float(has.mean()) / truth.share_of(mode), 1.0))
    return _round(number, len(codes), pairs, float(np.mean(recalls)) if recalls else None)


def _against_rows(coded: Coded, name: str, number: int) -> Round:
    real, other = coded.tables["real"], coded.tables[name]
    pairs, kept, mass = [], 0.0, 0.0
    for j in range(len(coded.columns)):
        for i in range(j):
            cells = coded.sizes[i] * coded.sizes[j]
            counts = np.bincount(real[i] * coded.sizes[j] + real[j], minlength=cells)
            p, q = counts / real.shape[1], np.bincount(other[i] * coded.sizes[j] + other[j], minlength=cells)
            pairs.append((p, q / other.shape[1]))
            rare = (counts >= TAIL[0]) & (counts <= TAIL[1])
            kept, mass = kept + float(np.minimum(p, pairs[-1][1])[rare].sum()), mass + float(p[rare].sum())
    return _round(number, other.shape[1], pairs, kept / mass if mass > 0 else None)


def _round(number: int, rows: int, pairs: Sequence[tuple[Shares, Shares]], tail: float | None) -> Round:
    return Round(
        round=number,
        rows=rows,
        error=float(np.mean([0.5 * np.abs(p - q).sum() for p, q in pairs])),
        diversity=float(np.exp(np.mean([_entropy(q) - _entropy(p) for p, q in pairs]))),
        coverage=float(np.mean([p[q > 0].sum() for p, q in pairs])),
        tail=tail,
    )


def _entropy(shares: Shares) -> float:
    some = shares[shares > 0]
    return -float(some @ np.log(some))


def _line(
    scheme: Literal["replace", "accumulate", "given"],
    steps: Sequence[Round],
    chance: Sequence[Round],
    confidentiality: Literal["internal", "public"],
) -> Line:
    """The last round against real rows of the same number."""
    spread: dict[str, float] = {}
    narrowing = []
    for name in FIGURES:
        real = [value for one in chance if (value := getattr(one, name)) is not None]
        last = getattr(steps[-1], name)
        if not real or last is None:
            continue
        spread[name] = float(np.std(real, ddof=1))
        worse = (last - np.mean(real)) * (1.0 if name == "error" else -1.0)
        if worse > BEYOND * max(spread[name], LEAST_SPREAD):
            narrowing.append(name)
    lost = sorted(set(narrowing) - {"error"})
    warnings: tuple[str, ...] = ()
    if lost:
        warnings = (
            f"By the last round {', '.join(lost)} fell below what real rows of the same number have: the line narrows. "
            "Train each round on the real rows as well, or stop regenerating.",
        )
    return Line(
        scheme=scheme,
        rounds=tuple(steps),
        spread=spread,
        narrowing=tuple(sorted(narrowing)),
        warnings=warnings,
        confidentiality=confidentiality,
    )
