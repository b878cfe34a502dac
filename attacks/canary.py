"""Canaries: people who do not exist, planted by secret coins, whose trace in the release is free to publish.

Canary rows are drawn from values that are public anyway, each column by itself, so most are combinations that nobody
has. A fair coin decides for each whether it joins the training data. The generator is then asked, through its release
alone, which joined. The score is minus the distance to the nearest synthetic row, in a scale taken from the canaries:
no real row enters anywhere, so every figure is post-processing of the release and of coins, and may be published.

The same scores give an AUC with limit and controls, and a lower bound on epsilon (`dp_audit.one_run`). Comparing that
bound with the epsilon that was claimed is left to whoever knows the claim.

>>> public = {"age": [20, 40, 60], "city": ["Aach", "Bern", "Cork"]}
>>> make_canaries(public, 4, rng=np.random.default_rng(7)).rows.shape
(4, 2)

Not guaranteed: rows must be public by declaration, not read from the private table; the coins must stay secret until
the release is made; canaries left in the training data cost utility in proportion to their number.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attacks.beside import code
from attacks.controls import LADDER, PositiveControl
from attacks.dp_audit.one_run import OneRunBound, one_run_bound
from attacks.dp_audit.one_run_fdp import OneRunGaussianBound, one_run_gaussian_bound
from attacks.encoding import Encoded
from attacks.errors import AttackInputError
from attacks.evidence import MIN_GROUP
from attacks.inputs import align
from attacks.limits import Limit
from attacks.neighbours import nearest
from attacks.passes import nearest_of
from attacks.protocol import Endpoint
from attacks.released import Released, Rows
from attacks.statistics import Effect, FloatArray, auc_delong
from attacks.verdict import FAMILY_ALPHA, Measurement

Sampler: TypeAlias = Callable[[int, np.random.Generator], pd.DataFrame]
PublicDomain: TypeAlias = Mapping[str, Sequence[object]] | pd.DataFrame
ENDPOINT = Endpoint(name="auc", score="closeness", statistic="auc", stratum="all", limit_id="canary.auc")


@dataclass(frozen=True, slots=True, kw_only=True)
class Canaries:
    """Canary rows, their coins, and the delta at which an epsilon is bounded from them."""

    rows: pd.DataFrame
    included: NDArray[np.bool_]
    delta: float = 1e-6

    def __post_init__(self) -> None:
        if len(self.rows) != len(self.included):
            raise AttackInputError("Canary rows and coins differ in number.", "Pass one coin a canary.")

    def inserted(self) -> pd.DataFrame:
        """The rows that join the training data."""
        return self.rows[np.asarray(self.included, dtype=bool)].reset_index(drop=True)

    def __repr__(self) -> str:
        return f"Canaries(m={len(self.rows)}, coins=<secret>)"


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryEvidence:
    """Measured trace of the canaries: the AUC with its controls, and the one-run bounds; None of fewer than two."""

    measurement: Measurement
    bound: OneRunBound | None
    gaussian: OneRunGaussianBound | None
    seconds: float


def make_canaries(
    domain: PublicDomain | Sampler, count: int, *, rng: np.random.Generator, delta: float = 1e-6
) -> Canaries:
    """Draws distinct canaries and tosses their coins.

    Args:
        domain: public values by column (a mapping, or a frame whose columns list values, padded with missing), or a
            sampler `(count, rng) -> frame`.
        count: number of canaries m; about half will be inserted.
        rng: must be seeded secretly: who knows it knows the coins.
        delta: of the epsilon to be bounded.

    Raises:
        AttackInputError: the domain is empty or has fewer combinations than canaries asked for.
    """
    draw = domain if callable(domain) else _column_sampler(domain)
    rows = draw(count, rng).drop_duplicates()
    for _ in range(20):
        if len(rows) >= count:
            break
        rows = pd.concat([rows, draw(count, rng)], ignore_index=True).drop_duplicates()
    if len(rows) < count or count < 2:
        raise AttackInputError(
            f"The public domain does not yield {count} distinct canaries.",
            "Ask for fewer (two at least), or declare more public values.",
        )
    return Canaries(rows=rows.iloc[:count].reset_index(drop=True), included=rng.random(count) < 0.5, delta=delta)


def _column_sampler(domain: PublicDomain) -> Sampler:
    values = {str(column): pd.Series(list(domain[column])).dropna().to_numpy() for column in domain}
    empty = [column for column, known in values.items() if len(known) == 0]
    if empty or not values:
        raise AttackInputError(
            f"Column {empty[0]!r} has no public value." if empty else "The public domain has no column.",
            "Declare its values or bounds in the schema.",
        )

    def draw(count: int, rng: np.random.Generator) -> pd.DataFrame:
        return pd.DataFrame({column: rng.choice(known, size=count) for column, known in values.items()})

    return draw


def attack_canaries(
    canaries: Canaries, release: Rows, *, limit: Limit, family: int, trials: int, rng: np.random.Generator
) -> CanaryEvidence:
    """Scores the canaries against the release and measures both controls.

    Args:
        canaries: rows and coins.
        release: synthetic rows with the same columns.
        limit: of the AUC.
        family: number of endpoints that share the family-wise level.
        trials: plantings a share in the positive control.
        rng: breaks ties, draws fresh coins and plants.
    """
    start = time.perf_counter()
    coins = np.asarray(canaries.included, dtype=bool)
    if len(coins) < 2:  # a condition on the release may rule all of them out: nothing to measure, so no pass
        nothing = Measurement(
            endpoint=ENDPOINT,
            limit=limit,
            members=int(coins.sum()),
            nonmembers=int((~coins).sum()),
            effect=None,
            control=None,
            positive=None,
        )
        return CanaryEvidence(measurement=nothing, bound=None, gaussian=None, seconds=time.perf_counter() - start)
    source = Released.of(release)
    frames = align({"canary": canaries.rows, "release": source.head(source.columns)}, columns_of="canary")
    coded = code({"canary": frames["canary"]}, source, scale_on="canary", rng=rng)
    rows = coded.frames["canary"]
    distance = nearest_of(rows, coded.blocks, coded.coding.layout)[0]
    strict = FAMILY_ALPHA / family
    effect = _auc(-distance, coins)
    positive = _planted_canaries(rows, coins, distance, limit, strict, trials, rng) if effect is not None else None
    measurement = Measurement(
        endpoint=ENDPOINT,
        limit=limit,
        members=int(coins.sum()),
        nonmembers=int((~coins).sum()),
        effect=effect,
        control=_auc(-distance, rng.permutation(coins)),
        positive=positive,
    )
    bound = one_run_bound(-distance, coins, delta=canaries.delta, rng=rng)
    gaussian = one_run_gaussian_bound(-distance, coins, rng=rng)
    return CanaryEvidence(measurement=measurement, bound=bound, gaussian=gaussian, seconds=time.perf_counter() - start)


def _auc(scores: FloatArray, coins: NDArray[np.bool_]) -> Effect | None:
    if min(int(coins.sum()), int((~coins).sum())) < MIN_GROUP:
        return None
    return auc_delong(scores[coins], scores[~coins])


def _planted_canaries(
    rows: Encoded,
    coins: NDArray[np.bool_],
    distance: FloatArray,
    limit: Limit,
    strict: float,
    trials: int,
    rng: np.random.Generator,
) -> PositiveControl:
    """Copies a share of the inserted canaries into the release until the AUC fails."""
    inserted = np.flatnonzero(coins)
    result = PositiveControl(kind="canaries", fraction=LADDER[0], detected=0, trials=trials)
    for fraction in LADDER:
        count = round(fraction * len(inserted))
        if count == 0:
            continue
        detected = 0
        for _ in range(trials):
            planted = rows.take(rng.permutation(inserted)[:count])
            near = np.minimum(distance, nearest(rows.points, planted.points)[0][:, 0])
            effect = _auc(-near, coins)
            detected += effect is not None and effect.lower(strict) > limit.value
        result = PositiveControl(kind="canaries", fraction=fraction, detected=detected, trials=trials)
        if result.caught:
            break
    return result
