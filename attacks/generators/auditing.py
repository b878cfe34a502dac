"""Attack a generator that may be run again: would one person more in its training table show in its releases?

The black-box threat: the attacker owns the procedure, knows one full record and rows of the population, and trains a
classifier on releases of shadow tables with and without that record. It is judged on releases that it has not seen, of
tables drawn from the real rows (`worlds`). Every fit of the budget serves all targets. Verdicts, corrections and
limits are those of the other attacks; the suite is called `shadow` and belongs to no other, because it judges a
procedure and not a release.

Controls cost no fit. Positive: into every release, copies of a share of the very rows it was made from are put, as a
generator that memorises would, and the attack is trained and judged anew. Negative: all coins are tossed anew after the
fits, as if the generator had not looked at who was in.

>>> rng = np.random.default_rng(0)
>>> people = pd.DataFrame(rng.integers(0, 9, size=(400, 5)), columns=list("abcde"))
>>> found = audit_generator(lambda rows, seed: rows, people, fits=100, rows=60, each=1, trials=0)    # it copies
>>> found.verdict, found.epsilon.value > 1
('fail', True)

Not guaranteed: that the best attack was tried, or the worst record; that a fit which finds out that it is audited (it
is called hundreds of times, on small tables that share rows) does in earnest what it does here. A bound on epsilon of 0
confirms nothing. Without auxiliary rows (`knowledge="release"`) the shadows are made from a release, which lacks what
the generator loses: the bounds hold as before, the attack is weaker, and a pass says less.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import numpy as np
import pandas as pd

from attacks.encoding import encode
from attacks.errors import AttackInputError, AttackParameterError
from attacks.generators.backends import running_on
from attacks.generators.bench import Bench, endpoints, plant
from attacks.generators.coded import Codebook
from attacks.generators.evidence import ShadowEpsilon, epsilon_of
from attacks.generators.fit_pool import Fit, Progress, run_fits
from attacks.generators.planning import ShadowPlan, fits_needed
from attacks.generators.worlds import Worlds, choose_targets, rng_of, toss
from attacks.inputs import align, check_overlap, check_roles
from attacks.limits import Limit, Limits, resolve_limits
from attacks.protocol import Roles, ThreatModel
from attacks.report import AttackReport, NotApplicable
from attacks.rows import Asked, compose
from attacks.verdict import FAMILY_ALPHA, Measurement, Verdict

SCHEMA = "dpsynth.generator_audit/1"
Knowledge = Literal["auxiliary", "release"]
TRIALS = 5


THREATS: Mapping[Knowledge, ThreatModel] = MappingProxyType(
    {
        "auxiliary": ThreatModel(access="black_box", knowledge="the generator, one full record, rows like it"),
        "release": ThreatModel(access="black_box", knowledge="the generator, one full record, a release of it"),
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShadowModels:
    """What the rows of the report say of the attack: the best of `SHADOW_ATTACKS` for each target."""

    threat: ThreatModel
    name: str = "shadow_models"
    version: str = "1"


@dataclass(frozen=True, slots=True, kw_only=True)
class GeneratorAudit:
    """What was found: a report like any other, a bound on epsilon, and what the budget could have shown.

    All of it is internal: it is computed from real rows without noise.
    """

    report: AttackReport
    epsilon: ShadowEpsilon
    plan: ShadowPlan
    knowledge: Knowledge

    @property
    def verdict(self) -> Verdict:
        """The worst of the report."""
        return self.report.verdict

    def to_json(self) -> dict[str, Any]:
        """Plain data; the fields of the attack report, and `epsilon`, `plan`, `knowledge`."""
        return {
            **self.report.to_json(),
            "schema": SCHEMA,
            "knowledge": self.knowledge,
            "epsilon": {**asdict(self.epsilon), "confidentiality": "internal"},
            "plan": {**asdict(self.plan), "ceiling": self.plan.ceiling, "auc_caught": self.plan.auc_caught},
        }

    def __str__(self) -> str:
        shown = self.epsilon
        return (
            f"{self.report}\n  epsilon is at least {shown.value:.2f} at delta {shown.delta:g} "
            f"({1.0 - shown.alpha:.0%} confidence; all coins {shown.pooled:.2f} of at most {shown.ceiling:.2f}, "
            f"worst target {shown.single:.2f}; internal)"
        )


def silent(name: str, done: int, total: int, detail: str) -> None:
    """Progress that says nothing."""


def plan_audit(
    *, fits: int = 400, each: int = 4, delta: float = 1e-6, limits: str | Mapping[str, Limit | float] | None = None
) -> ShadowPlan:
    """What a budget of fits would buy; arguments as for `audit_generator`."""
    bars = _bars(limits)
    return ShadowPlan(fits=fits, each=each, endpoints=len(endpoints()), auc_limit=bars["shadow.auc"].value, delta=delta)


def audit_generator(
    fit: Fit,
    real: pd.DataFrame,
    auxiliary: pd.DataFrame | None = None,
    *,
    knowledge: Knowledge = "auxiliary",
    release: pd.DataFrame | None = None,
    fits: int = 400,
    rows: int = 1000,
    each: int = 4,
    delta: float = 1e-6,
    quasi_identifiers: tuple[str, ...] = (),
    folder: str | Path | None = None,
    identity: str | None = None,
    jobs: int | None = None,
    backend: str | None = None,
    address: str | None = None,
    limits: str | Mapping[str, Limit | float] | None = None,
    trials: int = TRIALS,
    seed: int = 0,
    progress: Progress = silent,
) -> GeneratorAudit:
    """Attacks a procedure.

    Args:
        fit: from a table and a seed to synthetic rows, with fresh noise each time.
        real: rows of the population, one a person; the worlds that judge are drawn from them.
        auxiliary: other rows of the population, which the attacker has; if None, a random half of `real`.
        knowledge: `auxiliary`, or `release`: the attacker has no row but those of a release.
        release: the release, for `knowledge="release"`; if None one is made, of the real rows without the targets.
        fits: budget.
        rows: rows of a world without its targets; at most half of the smaller pool is taken.
        each: targets of each kind: isolated, rare, random.
        delta: where epsilon is bounded.
        quasi_identifiers: columns that others know of a person.
        folder: where fits are kept, encrypted, to go on where a run was cut off; of this request alone.
        identity: what `fit` is, in words; needed with `folder` unless `fit` has an attribute `identity`.
        jobs: processes, or workers to start; None for what `joblib.parallel_config` says, or a cluster has.
        backend: `loky`, `threading`, `sequential`, `dask` or `ray`; None for what `joblib.parallel_config` says.
        address: of a running Dask or Ray cluster; None starts one here.
        limits: tier or limits by id.
        trials: plantings a share in the positive control; 0 leaves it out, and then nothing passes.
        seed: of targets, coins, tables and plantings, not of the noise.
        progress: receives (name, done, total, detail); first of all what the budget buys.

    Raises:
        AttackInputError: tables that cannot be compared or overlap, too few rows, or a fit that returns no table.
        AttackParameterError: too small a budget, an unknown limit or backend, a folder without identity, without the
            release that the shadows are made from, or of another request.
    """
    if folder is not None and knowledge == "release" and release is None:
        raise AttackParameterError(
            "Fits of an attacker who has a release are to be kept, but each run would make another release.",
            "Pass the release, so that a run that is cut off finds the shadows that were made from it.",
        )
    bars, plan = _bars(limits), plan_audit(fits=fits, each=each, delta=delta, limits=limits)
    for line in str(plan).splitlines():
        progress("budget", 0, fits, line)
    start = time.perf_counter()
    roles = Roles(quasi_identifiers=tuple(quasi_identifiers))
    worlds, book = _prepare(fit, real, auxiliary, knowledge, release, plan, rows, roles, seed)
    kept = None if folder is None else Path(folder)
    with running_on(backend, jobs=jobs, address=address):
        many = -1 if backend in ("dask", "ray") else jobs  # of a cluster, all that it has
        releases = run_fits(fit, worlds, book, folder=kept, identity=identity, jobs=many, progress=progress)
    bench = Bench(worlds=worlds, book=book, plan=plan)
    progress("shadow attack", 0, 3, "training and judging")
    judged = bench.judge(releases, worlds.coins)
    progress("shadow attack", 1, 3, "negative control")
    redrawn = toss(len(worlds), len(worlds.strata), seed + 1)
    silent_scores = bench.judge(releases, redrawn)
    progress("shadow attack", 2, 3, "planted leaks")
    positive = plant(bench, releases, bars, plan, trials)
    progress("shadow attack", 3, 3, "decided")
    seconds = (time.perf_counter() - start) / plan.endpoints
    asked = []
    for endpoint in endpoints():
        coins = bench.coins(worlds.coins, endpoint)
        measurement = Measurement(
            endpoint=endpoint,
            limit=bars[endpoint.limit_id],
            members=int(coins.sum()),
            nonmembers=int((~coins).sum()),
            effect=bench.effect(endpoint, judged, worlds.coins),
            control=bench.effect(endpoint, silent_scores, redrawn),
            positive=positive.get(endpoint),
            remedy=_remedy(bars, plan),
        )
        named = ShadowModels(threat=THREATS[knowledge])
        asked.append(Asked(attack=named, measurement=measurement, seconds=seconds, negative="redrawn_coins"))
    absent = [NotApplicable(name="canary", reason="A procedure was attacked and not a release.")]
    epsilon = epsilon_of(
        judged,
        worlds.coins[plan.shadows :],
        plan.placed,
        delta=delta,
        alpha=FAMILY_ALPHA,
        rng=rng_of(seed, "ties"),
    )
    report = compose("shadow", seed, asked, None, absent)
    return GeneratorAudit(report=report, epsilon=epsilon, plan=plan, knowledge=knowledge)


def _prepare(
    fit: Fit,
    real: pd.DataFrame,
    auxiliary: pd.DataFrame | None,
    knowledge: Knowledge,
    release: pd.DataFrame | None,
    plan: ShadowPlan,
    rows: int,
    roles: Roles,
    seed: int,
) -> tuple[Worlds, Codebook]:
    """The worlds, and how their releases are coded."""
    if knowledge not in ("auxiliary", "release"):
        raise AttackParameterError(f"Expected knowledge `auxiliary` or `release`, got {knowledge!r}.")
    own = align({"real": real}, columns_of="real")["real"]
    check_roles(roles, [str(c) for c in own.columns])
    other = own
    if knowledge == "auxiliary" and auxiliary is None:
        order = rng_of(seed, "halves").permutation(len(own))
        own, other = (own.iloc[np.sort(part)].reset_index(drop=True) for part in np.array_split(order, 2))
    elif knowledge == "auxiliary":
        aligned = align({"real": own, "auxiliary": auxiliary}, columns_of="real")
        own, other = aligned["real"], aligned["auxiliary"]
        encoded, _ = encode(aligned, scale_on="auxiliary")
        check_overlap(encoded["real"], encoded["auxiliary"])
    chosen, strata = choose_targets(own, other, each=plan.each, roles=roles, seed=seed)
    evaluation = own.drop(index=own.index[chosen]).reset_index(drop=True)
    book = Codebook.of([own, other])
    if knowledge == "release":
        made = release if release is not None else fit(evaluation, seed)
        made = made.to_pandas() if not isinstance(made, pd.DataFrame) and hasattr(made, "to_pandas") else made
        other = align({"real": own, "release": made}, columns_of="real")["release"]
    size = min(rows, len(evaluation) // 2, len(other) // 2)
    if size < 2 * plan.targets:
        raise AttackInputError(
            "There are too few rows for worlds in which the targets are not the half of everybody.",
            "Pass more rows, or ask for fewer targets.",
        )
    worlds = Worlds(
        training=other,
        evaluation=evaluation,
        targets=own.iloc[chosen].reset_index(drop=True),
        strata=strata,
        coins=toss(plan.fits, len(strata), seed),
        shadows=plan.shadows,
        rows=size,
        seed=seed,
    )
    return worlds, book


def _bars(limits: str | Mapping[str, Limit | float] | None) -> Limits:
    bars = resolve_limits(limits)
    for endpoint in endpoints():
        if endpoint.limit_id not in bars:
            raise AttackParameterError(f"No limit is given for {endpoint.limit_id!r}.", "Add it to the limits.")
    return bars


def _remedy(bars: Limits, plan: ShadowPlan) -> str:
    margin = bars["shadow.auc"].value - 0.5
    return (
        f"{plan.fits} fits were made; more fits, or more targets of a kind, tell more (the AUC of a generator without "
        f"leak passes with 80 % power from about {fits_needed(each=plan.each, margin=margin)} fits)."
    )
