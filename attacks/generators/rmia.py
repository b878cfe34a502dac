"""Membership from likelihoods: RMIA (Zarifzadeh, Liu and Shokri 2024, arXiv 2312.03262), offline, few reference models.

A generator that can say how likely a row is tells more than its rows do. The score of a person is how much more likely
the model finds them than models that never saw them:

    score(x) = log p(x | model) - log mean over references of p(x | reference)

RMIA compares this ratio with that of population rows z and reports the share of z that x dominates. With one model
under attack and the same z for everybody that share rises with the ratio, so the ratio is the score and the population
enters where it must: in the cut of a false positive rate, placed on other folds' nonmembers. References are given, or
fitted on one half of the nonmembers; the other half are the targets that were not in training.

Controls. Positive: the model is mixed with copies of a share f of the members, p'(x) = (1 - f) p(x) + f q(x) with q
uniform on the copied rows, which is what a generator whose release holds these copies would say. Negative: a reference
plays the model.

>>> class Uniform:
...     def log_density(self, rows):
...         return np.full(len(rows), -9.0)
>>> rng = np.random.default_rng(0)
>>> people = pd.DataFrame(rng.integers(0, 50, size=(2400, 4)), columns=list("abcd"))
>>> report = audit_likelihood(Uniform(), [Uniform(), Uniform()], people[:1200], people[1200:])    # knows nobody
>>> report.attacks[0].estimate
0.5

Not guaranteed: densities must be probabilities of whole rows as they are written down; where numbers have a density
without a grid, copies weigh less than they would, and the positive control says so.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, final

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import logsumexp

from attacks.controls import CAUGHT_SHARE, LADDER, PositiveControl
from attacks.encoding import encode
from attacks.errors import AttackInputError, AttackParameterError
from attacks.evidence import Cohort, checked_scores, measure
from attacks.generators.worlds import rng_of
from attacks.inputs import align, check_overlap
from attacks.limits import Limit, Limits, resolve_limits
from attacks.protocol import Endpoint, Roles, ThreatModel
from attacks.report import AttackReport
from attacks.rows import Asked, compose
from attacks.statistics import Effect, FloatArray
from attacks.targets import EXPOSURES, exposed, split_folds
from attacks.verdict import FAMILY_ALPHA, Measurement

TRIALS = 10
REFERENCES = 4
ENDPOINTS = (
    Endpoint(name="auc", score="ratio", statistic="auc", stratum="all", limit_id="likelihood.auc"),
    Endpoint(
        name="tpr_excess@fpr=0.01",
        score="ratio",
        statistic="tpr_excess",
        stratum="all",
        limit_id="likelihood.tpr",
        fpr=0.01,
    ),
    Endpoint(
        name="tpr_excess@fpr=0.05",
        score="ratio",
        statistic="tpr_excess",
        stratum="tail",
        limit_id="likelihood.tail",
        fpr=0.05,
    ),
)


class Likelihood(Protocol):
    """A model that says how likely rows are."""

    def log_density(self, rows: pd.DataFrame, /) -> FloatArray:
        """Natural log of the probability of each row, float64 (rows,), finite."""


Refit = Callable[[pd.DataFrame, int], Likelihood]
"""The generator's own fit: from a table and a seed to a model with likelihoods."""


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Rmia:
    """What the report says of the attack."""

    name: ClassVar[str] = "rmia"
    version: ClassVar[str] = "1"
    threat: ClassVar[ThreatModel] = ThreatModel(
        access="white_box", knowledge="the model's likelihoods, one full record, models of other rows"
    )


def audit_likelihood(
    model: Likelihood,
    references: Sequence[Likelihood] | Refit,
    members: pd.DataFrame,
    nonmembers: pd.DataFrame,
    *,
    limits: str | Mapping[str, Limit | float] | None = None,
    seed: int = 0,
) -> AttackReport:
    """Attacks a fitted model through its likelihoods.

    Args:
        model: the model under attack.
        references: two or more models that saw neither members nor nonmembers; or the procedure that made the model,
            which is then run four times on bootstraps of one half of the nonmembers.
        members: rows that the model was fitted on.
        nonmembers: rows of the same population that it never saw, split off at random.
        limits: tier or limits by id.
        seed: of halves, folds and plantings.

    Raises:
        AttackInputError: tables that cannot be compared or overlap, or a likelihood that is no finite number a row.
        AttackParameterError: fewer than two references, or an unknown limit.
    """
    start, bars = time.perf_counter(), resolve_limits(limits)
    for endpoint in ENDPOINTS:
        if endpoint.limit_id not in bars:
            raise AttackParameterError(f"No limit is given for {endpoint.limit_id!r}.", "Add it to the limits.")
    frames = align({"members": members, "nonmembers": nonmembers}, columns_of="members")
    population = frames["nonmembers"]
    if callable(references):
        order = rng_of(seed, "references").permutation(len(population))
        fitted, left = np.array_split(order, 2)
        models = [references(_bootstrap(population.iloc[fitted], seed, at), seed + at) for at in range(REFERENCES)]
        targets = {"members": frames["members"], "nonmembers": population.iloc[np.sort(left)].reset_index(drop=True)}
    else:
        models, targets = list(references), frames
    if len(models) < 2:
        raise AttackParameterError("RMIA needs two reference models or more.", "Fit another one on other rows.")
    people = _People.of(targets, population, seed)
    own = _said("the model", model, targets)
    others = np.stack([_said(f"reference {at}", one, targets) for at, one in enumerate(models, start=1)])
    asked = []
    bench = _Bench(people=people, others=others, bars=bars)
    effects, control = bench.effects(own, others), bench.effects(others[0], others[1:])
    planted = _plant(bench, own, seed)
    seconds = (time.perf_counter() - start) / len(ENDPOINTS)
    for endpoint in ENDPOINTS:
        counts = [cohort.counts(endpoint.stratum) for cohort in people.cohorts]
        measurement = Measurement(
            endpoint=endpoint,
            limit=bars[endpoint.limit_id],
            members=sum(m for m, _ in counts),
            nonmembers=sum(n for _, n in counts),
            effect=effects[endpoint],
            control=control[endpoint],
            positive=planted.get(endpoint),
        )
        asked.append(Asked(attack=Rmia(), measurement=measurement, seconds=seconds, negative="reference_model"))
    return compose("likelihood", seed, asked, None, [])


def _bootstrap(rows: pd.DataFrame, seed: int, at: int) -> pd.DataFrame:
    drawn = rng_of(seed, "bootstrap", at).integers(0, len(rows), len(rows))
    return rows.iloc[drawn].reset_index(drop=True)


def _said(name: str, model: Likelihood, targets: Mapping[str, pd.DataFrame]) -> FloatArray:
    """Log-likelihoods of members, then of nonmembers."""
    parts = []
    for frame in targets.values():
        values = np.asarray(model.log_density(frame), dtype=np.float64)
        if values.shape != (len(frame),) or not np.isfinite(values).all():
            raise AttackInputError(
                f"The log-likelihoods of {name} are not one finite number a row.",
                "Give rows that the model thinks impossible a very small probability.",
            )
        parts.append(values)
    return np.concatenate(parts)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _People:
    """Folds of targets; `rows` are numbers into members, then nonmembers, and `ids` say which rows are equal."""

    cohorts: tuple[Cohort, ...]
    rows: tuple[NDArray[np.intp], ...]
    ids: NDArray[np.uint64]
    members: int

    @classmethod
    def of(cls, targets: Mapping[str, pd.DataFrame], population: pd.DataFrame, seed: int) -> _People:
        encoded, layout = encode({**targets, "population": population}, scale_on="population")
        people, others = encoded["members"], encoded["nonmembers"]
        check_overlap(people, others)
        count, rng = len(people), rng_of(seed, "folds")
        ids = np.concatenate([people.ids, others.ids])
        values = [EXPOSURES["tail"](side, encoded["population"], layout, Roles()) for side in (people, others)]
        tail = exposed(np.concatenate(values), rng)
        cohorts, rows = [], []
        for fold in split_folds(count, len(others), rng):
            own = np.concatenate([fold.members, fold.nonmembers + count])
            nothing: Any = None
            cohorts.append(Cohort(view=nothing, is_member=own < count, strata={"tail": tail[own]}))
            rows.append(own)
        return cls(cohorts=tuple(cohorts), rows=tuple(rows), ids=ids, members=count)

    def candidates(self, endpoint: Endpoint) -> NDArray[np.intp]:
        """Members that a positive control copies: all, or those of the stratum."""
        if endpoint.stratum == "all":
            return np.arange(self.members)
        parts = [
            rows[cohort.is_member & cohort.strata[endpoint.stratum]]
            for rows, cohort in zip(self.rows, self.cohorts, strict=True)
        ]
        return np.concatenate(parts)


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class _Bench:
    people: _People
    others: FloatArray
    bars: Limits

    def effects(self, own: FloatArray, others: FloatArray) -> dict[Endpoint, Effect | None]:
        """Effects of all endpoints for one model against some references."""
        ratio = own - (logsumexp(others, axis=0) - np.log(len(others)))
        scores = [checked_scores("rmia", {"ratio": ratio[rows]}, len(rows)) for rows in self.people.rows]
        return {e: measure(e, self.people.cohorts, scores) for e in ENDPOINTS}

    def copied(self, own: FloatArray, rows: NDArray[np.intp]) -> FloatArray:
        """What the model would say if its release held a copy of each of these members."""
        share = len(rows) / self.people.members
        known, times = np.unique(self.people.ids[rows], return_counts=True)
        at = np.minimum(np.searchsorted(known, self.people.ids), len(known) - 1)
        copies = np.where(known[at] == self.people.ids, times[at], 0) / self.people.members
        with np.errstate(divide="ignore"):
            return np.asarray(np.logaddexp(np.log1p(-min(share, 1.0 - 1e-9)) + own, np.log(copies)))


def _plant(bench: _Bench, own: FloatArray, seed: int) -> dict[Endpoint, PositiveControl]:
    """The smallest share of copied members that each endpoint catches, or the last one tried."""
    found: dict[Endpoint, PositiveControl] = {}
    level = FAMILY_ALPHA / len(ENDPOINTS)
    for endpoint in ENDPOINTS:
        limit, candidates = bench.bars[endpoint.limit_id].value, bench.people.candidates(endpoint)
        for share in LADDER:
            count = round(share * len(candidates))
            if count == 0 or share < endpoint.share_to_reach(limit):
                continue
            detected = made = 0
            while made < TRIALS and made - detected <= (1.0 - CAUGHT_SHARE) * TRIALS:
                order = rng_of(seed, "plant", round(1000 * share), made).permutation(len(candidates))
                effect = bench.effects(bench.copied(own, candidates[order[:count]]), bench.others)[endpoint]
                detected += effect is not None and effect.lower(level) > limit
                made += 1
            found[endpoint] = PositiveControl(kind=endpoint.plant, fraction=share, detected=detected, trials=TRIALS)
            if found[endpoint].caught:
                break
    return found
