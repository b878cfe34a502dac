"""What trains and judges a shadow attack, and the planted leaks that it must catch.

An attack is a way to turn a release into numbers (`features`); everything else is the same for all: a classifier for
each target, trained on the first worlds, whose scores on the others become effects. For each target the attack is used
that does best on training worlds. The positive control adds to every
release copies of a share of the very rows that it was made from, and trains and judges anew.

>>> [attack.name for attack in built()]
['shadow_counts', 'shadow_summaries']

Not guaranteed: a generator may leak less plainly than by copies.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from attacks.controls import CAUGHT_SHARE, LADDER, PositiveControl
from attacks.generators.coded import Codebook, Coded
from attacks.generators.evidence import Coins, effect_of
from attacks.generators.membership_classifier import Matrix, train
from attacks.generators.planning import ShadowPlan
from attacks.generators.worlds import STRATA, Worlds, rng_of
from attacks.limits import Limits
from attacks.protocol import Endpoint
from attacks.statistics import Effect, FloatArray
from attacks.verdict import FAMILY_ALPHA

FPR = 0.05

SHADOW_ATTACKS: Mapping[str, str] = MappingProxyType(
    {
        "shadow_counts": "attacks.shadow.count_queries:CountQueries",
        "shadow_summaries": "attacks.shadow.summaries:Summaries",
    }
)


class ShadowAttack(Protocol):
    """What a release tells of a target: the same features of every release."""

    @property
    def name(self) -> str:
        """Unique name; it seeds the attack's random numbers."""

    def features(
        self,
        releases: list[Coded],
        target: Coded,
        reference: Coded,
        rng: np.random.Generator,
        cache: dict[str, Matrix],
        /,
    ) -> Matrix:
        """Features, shape (releases, features); `cache` is shared by the targets of one set of releases."""


def built() -> list[ShadowAttack]:
    """The attacks, each with its default settings."""
    made = []
    for path in SHADOW_ATTACKS.values():
        module, _, attribute = path.partition(":")
        factory: Any = getattr(import_module(module), attribute)
        made.append(factory())
    return made


def endpoints() -> tuple[Endpoint, ...]:
    """The questions asked of each attack."""
    return tuple(
        endpoint
        for stratum in STRATA
        for endpoint in (
            Endpoint(name="auc", score="", statistic="auc", stratum=stratum, limit_id="shadow.auc", planted="random"),
            Endpoint(
                name=f"tpr_excess@fpr={FPR:g}",
                score="",
                statistic="tpr_excess",
                stratum=stratum,
                limit_id="shadow.tpr",
                fpr=FPR,
                planted="random",
            ),
        )
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Bench:
    """Trains on the first worlds and judges on the others."""

    worlds: Worlds
    book: Codebook
    plan: ShadowPlan

    def judge(self, releases: list[Coded], coins: Coins) -> FloatArray:
        """Scores of all targets in the judging worlds, shape (worlds, targets).

        For each target every attack is trained, and the one that does best on training worlds that its classifier did
        not see is used.
        """
        targets, reference = self.book.code(self.worlds.targets), self.book.code(self.worlds.training)
        cut, cache = self.plan.shadows, dict[str, Matrix]()
        scores = np.empty((len(releases) - cut, len(targets)))
        for at in range(len(targets)):
            target, best = targets.take(np.array([at])), -np.inf
            for attack in built():
                rng = rng_of(self.worlds.seed, attack.name, at)
                features = attack.features(releases, target, reference, rng, cache)
                features = np.nan_to_num(features, posinf=0.0, neginf=0.0)
                trained = train(features[:cut], coins[:cut, at], rng)
                if trained.auc > best:
                    best, scores[:, at] = trained.auc, trained.score(features[cut:])
        return scores

    def members(self, endpoint: Endpoint) -> list[int]:
        """Numbers of the targets of the endpoint's stratum."""
        return [at for at, stratum in enumerate(self.worlds.strata) if stratum == endpoint.stratum]

    def coins(self, coins: Coins, endpoint: Endpoint) -> Coins:
        """Coins of the stratum's targets in the judging worlds."""
        return coins[self.plan.shadows :][:, self.members(endpoint)]

    def effect(self, endpoint: Endpoint, scores: FloatArray, coins: Coins) -> Effect | None:
        """The endpoint's effect."""
        return effect_of(endpoint, scores[:, self.members(endpoint)], self.coins(coins, endpoint), self.plan.placed)

    def planted(self, releases: list[Coded], share: float, rng: np.random.Generator) -> list[Coded]:
        """The releases with copies of that share of the rows that each was made from."""
        targets = self.book.code(self.worlds.targets)
        pools = self.book.code(self.worlds.training), self.book.code(self.worlds.evaluation)
        found = []
        for world, release in enumerate(releases):
            pool = pools[0] if world < self.worlds.shadows else pools[1]
            fitted = pool.take(self.worlds.drawn(world)).joined(targets.take(np.flatnonzero(self.worlds.coins[world])))
            found.append(release.joined(fitted.take(np.flatnonzero(rng.random(len(fitted)) < share))))
        return found


def plant(
    bench: Bench, releases: list[Coded], bars: Limits, plan: ShadowPlan, trials: int
) -> dict[Endpoint, PositiveControl]:
    """The smallest planted share that each endpoint catches, or the last one tried."""
    found: dict[Endpoint, PositiveControl] = {}
    level, pending = FAMILY_ALPHA / plan.endpoints, list(endpoints())
    for share in LADDER:
        detected = {e: 0 for e in pending if share >= e.share_to_reach(bars[e.limit_id].value)}
        made = 0
        while made < trials and any(made - hits <= (1.0 - CAUGHT_SHARE) * trials for hits in detected.values()):
            planted = bench.planted(releases, share, rng_of(bench.worlds.seed, "plant", round(1000 * share), made))
            scores = bench.judge(planted, bench.worlds.coins)
            for endpoint in detected:
                effect = bench.effect(endpoint, scores, bench.worlds.coins)
                detected[endpoint] += effect is not None and effect.lower(level) > bars[endpoint.limit_id].value
            made += 1
        for endpoint, hits in detected.items() if made else ():
            found[endpoint] = PositiveControl(kind="random", fraction=share, detected=hits, trials=trials)
        pending = [e for e in pending if e not in found or not found[e].caught]
    return found
