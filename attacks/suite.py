"""Named suites of attacks, and the harness that runs them.

`quick` asks the membership questions on few targets; `standard` asks what a release is judged by; `full` asks every
attack about every exposed tenth; `canaries` asks only the planted canaries, for tables on which no attack on real rows
can have power. The table below is literal: an attack
is one file and one line here, and a suite is a tuple of names. `run` prepares the people once, lets every attack score
blind, measures effects and both controls, and decides all endpoints as one family.

>>> SUITES["quick"].attacks
('verbatim', 'nearest_neighbour')

Not guaranteed: a suite finds what its attacks look for.
"""

from __future__ import annotations

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from importlib import import_module
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from attacks.canary import Canaries, attack_canaries
from attacks.controls import negative_scores, positive_controls
from attacks.errors import AttackParameterError
from attacks.evidence import Reading, denominators, look, measure, readings, wanted
from attacks.limits import Limit, Limits, resolve_limits
from attacks.population import Population, prepare
from attacks.protocol import EXPOSED, Attack, Endpoint, QueryAttack, Roles, Stratum
from attacks.released import Released, Rows
from attacks.report import AttackReport, NotApplicable, SamplingRecord
from attacks.rows import Asked, compose
from attacks.sampling import TARGETS, sampled
from attacks.statistics import Effect
from attacks.verdict import FAMILY_ALPHA, Measurement, conclusive

Progress = Callable[[str, int, int, str], None]
Found = tuple[list[Asked], list[Reading]]

ATTACKS: Mapping[str, str] = MappingProxyType(
    {
        "verbatim": "attacks.membership.verbatim:Verbatim",
        "nearest_neighbour": "attacks.membership.nearest_neighbour:NearestNeighbour",
        "subspace": "attacks.membership.subspace:Subspace",
        "singling_out": "attacks.linkage.singling_out:SinglingOut",
        "linkability": "attacks.linkage.linkability:Linkability",
        "record_linkage": "attacks.linkage.record_linkage:RecordLinkage",
        "attribute_inference": "attacks.inference.attribute:attribute_score",
        "attribute_forest": "attacks.inference.forest:forest_score",
        "reconstruction": "attacks.inference.reconstruction:reconstruction_score",
    }
)
"""Attack by name."""
PER_SECRET = ("attribute_inference", "attribute_forest", "reconstruction")
"""Attacks that are built once for each sensitive column."""
HALVED_COLUMNS = 12
"""Fewest columns of which a half is taken to name a person: with fewer, `subspace` is not asked by a named suite."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """Names of attacks, who is attacked, plantings a share in the positive control, and the most targets a class.

    Questions whose limit is `omitted` are not asked: each more makes a pass and a demonstrated failure harder.
    """

    attacks: tuple[str, ...]
    strata: tuple[Stratum, ...]
    trials: int
    max_targets: int | None
    omitted: tuple[str, ...] = ()

    def asks(self, endpoint: Endpoint) -> bool:
        """Whether the suite asks this question."""
        return endpoint.stratum in self.strata and endpoint.limit_id not in self.omitted


SUITES: Mapping[str, Suite] = MappingProxyType(
    {
        "canaries": Suite(attacks=(), strata=(), trials=10, max_targets=None),
        "quick": Suite(attacks=("verbatim", "nearest_neighbour"), strata=("all", "tail"), trials=5, max_targets=4_000),
        "standard": Suite(
            attacks=("verbatim", "nearest_neighbour", "subspace", "attribute_inference"),
            strata=("all", "tail"),
            trials=10,
            max_targets=None,
            omitted=(
                "membership.subspace.tpr",
                "membership.subspace.tail",
                "inference.attribute.tail",
                "inference.attribute.scarce",
            ),
        ),
        "full": Suite(attacks=tuple(ATTACKS), strata=("all", *EXPOSED), trials=10, max_targets=None),
    }
)


def silent(name: str, done: int, total: int, detail: str) -> None:
    """Progress that says nothing."""


def build(suite: Suite, roles: Roles, columns: int) -> tuple[list[Attack | QueryAttack], list[NotApplicable]]:
    """The suite's attacks for these roles and so many columns, and those that have nothing to attack."""
    attacks: list[Attack | QueryAttack] = []
    absent = []
    for name in suite.attacks:
        module, _, attribute = ATTACKS[name].partition(":")
        factory: Any = getattr(import_module(module), attribute)
        if name == "record_linkage" and not roles.quasi_identifiers:
            absent.append(NotApplicable(name=name, reason="No quasi-identifier is declared to look a person up by."))
        elif name == "subspace" and columns < HALVED_COLUMNS:
            reason = f"Half of fewer than {HALVED_COLUMNS} columns tells nobody from others."
            absent.append(NotApplicable(name=name, reason=reason))
        elif name not in PER_SECRET:
            attacks.append(factory())
        elif roles.sensitive:
            attacks.extend(factory(column) for column in roles.sensitive)
        else:
            absent.append(NotApplicable(name=name, reason="No sensitive column is declared, so no secret was guessed."))
    return attacks, absent


def run(
    suite: str | Suite | Sequence[Attack | QueryAttack] = "standard",
    *,
    release: Rows,
    members: Rows | None,
    nonmembers: Rows | None,
    targets: int | None = None,
    drawn: int | None = None,
    roles: Roles | None = None,
    canaries: Canaries | None = None,
    limits: str | Mapping[str, Limit | float] | None = None,
    seed: int = 0,
    progress: Progress = silent,
    jobs: int = 1,
) -> AttackReport:
    """Attacks a release and decides.

    Args:
        suite: `quick`, `standard`, `full`, a `Suite`, or attacks of your own. Without trials no leak is planted: a
            leak fails all the same, and nothing can pass.
        release: synthetic rows: a frame, Parquet (a path, a pattern, a list of paths, a pyarrow dataset), or a
            `Released` with settings of its own. What does not fit in memory is gone through in blocks.
        members: rows that the generator was trained on (canaries not among them), as a frame or Parquet. None if there
            are too few to compare: every endpoint on real rows is then asked, and inconclusive.
        nonmembers: real rows of the same population that it never saw, split off at random; None likewise.
        targets: most members, and most nonmembers, that are drawn at random before anything is looked at; None for
            everybody in a frame, and 20,000 of a file.
        drawn: if members and nonmembers are a sample that the caller drew, about how many rows each has at most; the
            report says so, and nothing else depends on it.
        roles: roles of columns; attribute inference runs for each sensitive one.
        canaries: if some were planted.
        limits: tier `public` (default) or `restricted`, or limits by id.
        seed: of folds, targets, ties and plantings; equal inputs and seed give an equal report but for `seconds`.
        progress: receives (name, done, total, detail); never a private figure.
        jobs: attacks run at once, in threads; memory grows with it.

    Returns:
        The report; `verdict` is the worst of its rows.

    Raises:
        AttackInputError: the tables, roles or canaries cannot be attacked as they stand.
        AttackParameterError: unknown suite, tier or limit.
    """
    roles = roles or Roles()
    bars = resolve_limits(limits)
    source = _followed(Released.of(release), progress)
    settings, attacks, absent = _resolve(suite, roles, sum(column != roles.unit for column in source.columns))
    endpoints = [(attack, tuple(e for e in attack.endpoints(roles) if settings.asks(e))) for attack in attacks]
    family = sum(len(asked) for _, asked in endpoints) + (canaries is not None)
    for limit_id in [e.limit_id for _, asked in endpoints for e in asked] + ["canary.auc"] * (canaries is not None):
        if limit_id not in bars:
            raise AttackParameterError(f"No limit is given for {limit_id!r}.", "Add it to the limits.")
    progress("attacks", 0, max(len(attacks), 1), "preparing")
    people = None
    if members is not None and nonmembers is not None:
        rng = _rng(seed, "population")
        sides = [
            sampled(rows, targets, unit=roles.unit, rng=_rng(seed, name), name=name)
            for name, rows in (("members", members), ("nonmembers", nonmembers))
        ]
        people = prepare(
            release=source,
            members=sides[0],
            nonmembers=sides[1],
            roles=roles,
            rng=rng,
            strata=[name for name in EXPOSED if any(e.stratum == name for _, asked in endpoints for e in asked)],
        )

    def one(at: int) -> Found:
        attack, asked = endpoints[at]
        if people is None:
            rows: Found = [_unmeasured(attack, e, bars) for e in asked], []
        else:
            rows = _attack(attack, asked, people, bars, family, settings, seed, progress)
        progress("attacks", at + 1, len(attacks), attack.name)
        return rows

    found = _parallel(one, len(attacks), jobs)
    rows, told = [row for part, _ in found for row in part], [reading for _, part in found for reading in part]
    trace = None
    if canaries is None:
        absent.append(NotApplicable(name="canary", reason="No canaries were planted before training."))
    else:
        trace = attack_canaries(
            canaries,
            source,
            limit=bars["canary.auc"],
            family=family,
            trials=settings.trials,
            rng=_rng(seed, "canary"),
        )
    if not endpoints:
        progress("attacks", 1, 1, "canary")
    name = suite if isinstance(suite, str) else "custom"
    everything = [(e, bars[e.limit_id]) for _, asked in endpoints for e in asked]
    sampling = _sampling(source, members, nonmembers, targets, drawn, everything)
    return compose(name, seed, rows, trace, absent, told, sampling=sampling)


def _followed(source: Released, progress: Progress) -> Released:
    """The release, of which each pass over its blocks tells how far it is."""
    if source.whole or source.heard is not None:
        return source
    return replace(source, heard=lambda rows: progress("rows of the release", rows, source.rows, f"{rows:,}"))


def _sampling(
    source: Released,
    members: Rows | None,
    nonmembers: Rows | None,
    targets: int | None,
    drawn: int | None,
    asked: Sequence[tuple[Endpoint, Limit]],
) -> SamplingRecord | None:
    """What the report says of samples; None if everything was looked at whole."""
    files = any(rows is not None and not isinstance(rows, pd.DataFrame) for rows in (members, nonmembers))
    most = TARGETS if targets is None and files else targets
    if source.whole and most is None and drawn is None:
        return None
    learned = min(source.rows, source.sample)
    enough = conclusive(asked) if asked else None
    return SamplingRecord(release_rows=source.rows, learned_rows=learned, targets=most, drawn=drawn, conclusive=enough)


def _resolve(
    suite: str | Suite | Sequence[Attack | QueryAttack], roles: Roles, columns: int
) -> tuple[Suite, list[Attack | QueryAttack], list[NotApplicable]]:
    if isinstance(suite, Suite):
        return suite, *build(suite, roles, columns)
    if isinstance(suite, str):
        if suite not in SUITES:
            raise AttackParameterError(f"There is no suite {suite!r}.", f"Use one of {', '.join(SUITES)}.")
        return SUITES[suite], *build(SUITES[suite], roles, columns)
    return Suite(attacks=(), strata=("all", *EXPOSED), trials=10, max_targets=None), list(suite), []


def _rng(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(name.encode())])


def _parallel(one: Callable[[int], Found], count: int, jobs: int) -> list[Found]:
    if jobs == 1 or count < 2:
        return [one(at) for at in range(count)]
    with ThreadPoolExecutor(max_workers=jobs) as pool:
        return list(pool.map(one, range(count)))


def _unmeasured(attack: Attack | QueryAttack, endpoint: Endpoint, bars: Limits) -> Asked:
    """An endpoint that there are too few people for: as inconclusive for none as for some."""
    measurement = Measurement(
        endpoint=endpoint,
        limit=bars[endpoint.limit_id],
        members=0,
        nonmembers=0,
        effect=None,
        control=None,
        positive=None,
    )
    return Asked(attack=attack, measurement=measurement, seconds=0.0)


def _attack(
    attack: Attack | QueryAttack,
    asked: Sequence[Endpoint],
    people: Population,
    bars: Limits,
    family: int,
    settings: Suite,
    seed: int,
    progress: Progress,
) -> Found:
    """Scores, controls, effects and figures of one attack."""
    start = time.perf_counter()
    rng = _rng(seed, attack.name)
    caps = [cap for cap in (attack.max_targets, settings.max_targets if attack.max_targets else None) if cap]
    folds = people.cohorts(min(caps, default=None), rng)
    cohorts = (people.together(min(caps, default=None), rng),) if isinstance(attack, QueryAttack) else folds
    keys = wanted(attack, asked, people.roles)
    scores = [look(attack, c, c.view, keys, rng) for c in cohorts]
    counts = {e: denominators(e, cohorts, scores) for e in asked}
    drift = people.drifted
    effects: dict[Endpoint, Effect | None] = dict.fromkeys(asked)
    baseline: dict[Endpoint, Effect | None] = dict.fromkeys(asked)
    positive = {}
    if all(len(c.view.reference) and len(f.unseen) for c, f in zip(folds, people.folds, strict=True)):
        controls = negative_scores(attack, asked, folds, rng)
        effects = {e: measure(e, cohorts, scores) for e in asked}
        baseline = {e: measure(e, folds, controls) for e in asked}
        positive = positive_controls(
            attack,
            [e for e in asked if effects[e] is not None],
            cohorts,
            people.candidates,
            fails=lambda e, effect: effect.lower(FAMILY_ALPHA / family) > bars[e.limit_id].value,
            smallest={e: people.share_to_reach(e, bars[e.limit_id].value) for e in asked},
            trials=settings.trials,
            rng=rng,
            progress=lambda done, total: progress(attack.name, done, total, "planted leaks"),
        )
    seconds = (time.perf_counter() - start) / max(len(asked), 1)
    rows = [
        Asked(
            attack=attack,
            measurement=Measurement(
                endpoint=e,
                limit=bars[e.limit_id],
                members=counts[e][0],
                nonmembers=counts[e][1],
                effect=effects[e],
                control=baseline[e],
                positive=positive.get(e),
                drift=drift,
            ),
            seconds=seconds,
        )
        for e in asked
    ]
    return rows, readings(attack, people.roles, cohorts, scores)
