"""What an attack is, and what it may see.

An attack looks at a release and at *targets* and returns one number a target: how strongly it believes that this
person was in the training data (or whether its guess of a secret was right). It never learns which targets were. An
`AttackView` holds the release, the targets in random order and a reference sample of the real population; the harness
alone keeps the membership and joins it to the scores afterwards. So no attack can be tuned to its own answer, and
adding one is one file: a `name`, a `threat`, `endpoints` and `score`. A `QueryAttack` makes predicates from the release
instead (`queries`) and sees no target at all; the harness asks them of a table of members and of one of nonmembers.

The people are cut in five folds. Fold f attacks its own members and nonmembers; its reference is drawn from the *other*
folds without a look at who is a member, so that nobody is target and reference in one view, and scores are
exchangeable between members and nonmembers whom nothing betrays.

>>> ThreatModel(access="no_box", knowledge="one full record").access
'no_box'

Not guaranteed: a view hides labels from code that plays by the protocol; it is no sandbox against hostile code.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from attacks.blocks import Block
from attacks.encoding import Encoded, Layout, joined
from attacks.neighbours import nearest
from attacks.passes import Distinct, Passes, distinct, matched, nearest_of
from attacks.planting import Near, nearer
from attacks.statistics import FloatArray

Access = Literal["no_box", "black_box", "white_box"]
Stratum = Literal["all", "tail", "rare", "group"]
PlantKind = Literal["random", "tail", "rare", "group", "canaries", "paraphrases", "rewritten"]
EXPOSED: tuple[Stratum, ...] = ("tail", "rare", "group")
NEIGHBOURS = 5
DENSITY_ROWS = 8192
Statistic = Literal["auc", "roc_excess", "tpr_excess", "rate_excess", "mean_excess", "singled_excess"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ThreatModel:
    """Who is assumed to attack: `no_box` sees the synthetic rows only; `knowledge` is what else is known."""

    access: Access
    knowledge: str

    def __str__(self) -> str:
        return f"{self.access}: {self.knowledge}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Roles:
    """Roles of columns: which are sensitive, which identify a person only together, and whose row it is (`unit`)."""

    sensitive: tuple[str, ...] = ()
    quasi_identifiers: tuple[str, ...] = ()
    target: str | None = None
    unit: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """One pre-registered question to the scores of an attack.

    Attributes:
        name: as printed, such as `tpr_excess@fpr=0.01`.
        score: key of the score array that it reads.
        statistic: how scores become one effect; `roc_excess` reads the ROC curve at `fpr`, `tpr_excess` takes the rates
            at a cut that other nonmembers placed, for scores that are tied for nearly everybody.
        stratum: `all` targets, or one of the exposed tenths of `attacks.targets`: `tail`, `rare`, `group`.
        limit_id: the key of its limit in the policy.
        fpr: false positive rate of the cut, for `roc_excess` and `tpr_excess`.
        covariate: key of a score array that is blind to the release and explains which targets are easy, for
            `mean_excess`.
        among: key of a score array that is blind to the release and 1 for the targets that are asked about; None for
            all of the stratum.
        planted: what the positive control plants, if not copies of the stratum's members.
    """

    name: str
    score: str
    statistic: Statistic
    stratum: Stratum
    limit_id: str
    fpr: float | None = None
    covariate: str | None = None
    among: str | None = None
    planted: PlantKind | None = None

    @property
    def plant(self) -> PlantKind:
        """Members planted as positive control: random ones, or those of the stratum, unless `planted` says else."""
        if self.planted is not None:
            return self.planted
        return "random" if self.stratum == "all" else self.stratum

    @property
    def chance(self) -> float:
        """The value of an attack that knows nothing."""
        return 0.5 if self.statistic == "auc" else 0.0

    def share_to_reach(self, limit: float) -> float:
        """Share of copied members below which copies alone cannot move a clean release beyond the limit.

        Flagging all copies adds at most their share to a rate, and half of it to an AUC.
        """
        return (limit - self.chance) * (2.0 if self.statistic == "auc" else 1.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """Something to be told of members and of nonmembers without a verdict, by attacks that have a method `figures`.

    Attributes:
        name: as printed.
        score: key of the scores (or answers to predicates) that it reads.
        above: the share of scores above this number is told; None for their mean.
    """

    name: str
    score: str
    above: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AttackView:
    """All that a no-box attack sees of one fold.

    Attributes:
        release: the synthetic rows, or the sample of them that attacks which learn may hold (`attacks.released`).
        passes: all of them, block by block; None if `release` is all.
        everyone: the targets of all folds, so that a pass can answer for all of them; None for these alone.
        place: where the targets stand among everyone.
        planted: rows added to the release by a positive control, else None; part of the release for the attack.
        plantable: rows of which a positive control plants some; None if it may plant others.
        targets: people to attack, members and nonmembers in random order.
        reference: real rows of the same population, in training or not, disjoint from the targets.
        isolation: float64 (targets,), mean distance to the five nearest reference rows.
        layout: meaning of codes and dimensions.
        roles: declared column roles.
    """

    release: Encoded
    targets: Encoded
    reference: Encoded
    isolation: FloatArray
    layout: Layout
    roles: Roles
    planted: Encoded | None = None
    plantable: Encoded | None = None
    passes: Passes | None = None
    everyone: Encoded | None = None
    place: NDArray[np.intp] | None = None
    cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    shared: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def cached(self, key: Any, build: Any) -> Any:
        """`build()` once per release: planted views share what depends on the original release only."""
        if key not in self.cache:
            self.cache[key] = build()
        return self.cache[key]

    def blocks(self) -> Iterable[Encoded | Block]:
        """All rows of the release without what is planted."""
        return (self.release,) if self.passes is None else self.passes

    def rows(self) -> Encoded:
        """The release, or its sample, with what a positive control has planted in it."""
        return self.release if self.planted is None else joined(self.release, self.thinned(self.planted))

    def thinned(self, planted: Encoded) -> Encoded:
        """As many planted rows as a sample of the release would hold of them; they come in random order."""
        if self.passes is None:
            return planted
        return planted.take(np.arange(round(len(self.release) / len(self.passes) * len(planted))))

    def told(self, key: Any, ask: Callable[[Encoded], tuple[NDArray[Any], ...]]) -> tuple[NDArray[Any], ...]:
        """What a pass over the release says of each target, asked once for the targets of all folds."""
        if self.everyone is None:
            found: tuple[NDArray[Any], ...] = self.cached(("pass", key), lambda: ask(self.targets))
            return found
        slot = ("pass", key)
        if slot not in self.shared:
            self.shared[slot] = ask(self.everyone)
        return tuple(part[self.place] for part in self.shared[slot])

    def distinct(self, most: int) -> Distinct:
        """Some distinct rows of the release, and how many there are."""
        slot = ("distinct", most)
        if slot not in self.shared:
            self.shared[slot] = distinct(self.blocks(), most)
        found: Distinct = self.shared[slot]
        return found

    def once(self, key: Any, build: Any) -> Any:
        """`build()` once for a release with what is planted in it: folds share what depends on these rows alone."""
        slot = (key, self.planted is None)
        held = self.shared.get(slot)
        if held is None or held[0] is not self.planted:
            held = self.shared[slot] = (self.planted, build())
        return held[1]

    def with_planted(self, planted: Encoded) -> AttackView:
        """The same view with rows added to the release (positive control)."""
        return replace(self, planted=planted)

    def with_release(self, release: Encoded) -> AttackView:
        """The same targets against another release (negative control)."""
        alone: dict[str, Any] = {"passes": None, "everyone": None, "place": None}
        return replace(self, release=release, planted=None, cache={}, shared={}, **alone)

    def without_targets(self) -> AttackView:
        """The same release without a target to look at."""
        nobody = np.zeros(0, dtype=np.intp)
        return replace(self, targets=self.targets.take(nobody), isolation=self.isolation[nobody], place=nobody)

    def matches(self) -> NDArray[np.bool_]:
        """Whether each target stands in the release, equal in every column."""
        hit: NDArray[np.bool_] = self.told("matches", lambda people: (matched(people, self.blocks()),))[0]
        return hit if self.planted is None else hit | np.isin(self.targets.ids, self.planted.ids)

    def isolation_in_release(self) -> FloatArray:
        """Mean distance of each matched target to the five nearest release rows that differ from it, else 0.

        At most `DENSITY_ROWS` distinct rows of the release are looked at. Planted rows are left out: their density
        is the leak's and not the release's.
        """
        result = np.zeros(len(self.targets))
        wanted = np.flatnonzero(self.matches())
        known: FloatArray = self.cached("isolation_in_release", lambda: np.full(len(result), np.nan))
        new = wanted[np.isnan(known[wanted])]
        if len(new):
            known[new] = self.isolation_among_release(self.targets.points[new])
        result[wanted] = known[wanted]
        return result

    def isolation_among_release(self, points: NDArray[np.float32]) -> FloatArray:
        """Mean distance of each point to the five nearest of some distinct release rows that differ from it."""
        found = nearest(points, self.distinct(DENSITY_ROWS).rows.points, k=NEIGHBOURS + 1)[0]
        own = found[:, :1] == 0.0
        kept = np.where(own, found[:, 1:], found[:, :-1])
        return np.asarray(np.where(np.isfinite(kept), kept, 0.0).mean(axis=1))

    def release_distance(self) -> FloatArray:
        """Distance of each target to the nearest row of the release."""
        return self.distance_in(None)

    def distance_in(self, dims: NDArray[np.intp] | None) -> FloatArray:
        """The same over some dimensions of the points; None for all."""
        key = None if dims is None else tuple(dims.tolist())
        found: FloatArray = self.told(key, lambda people: nearest_of(people, self.blocks(), self.layout, dims))[0]
        if self.planted is None:
            return found
        near = self.nearer_planted(key, dims, found)
        if near is None:
            return np.minimum(found, nearest_of(self.targets, (self.planted,), self.layout, dims)[0])
        return near.lowered(found)

    def nearer_planted(self, key: Any, dims: NDArray[np.intp] | None, found: FloatArray) -> Near | None:
        """Targets and rows of `plantable` that are planted and nearer than the release; None if they are too many.

        Rows that equal a planted one stand for it. `key` names the dimensions and the distances `found` in the release.
        """
        if self.plantable is None or self.planted is None or not np.isin(self.planted.ids, self.plantable.ids).all():
            return None
        rows = self.plantable.points
        chosen = slice(None) if dims is None else dims
        near: Near | None = self.cached(
            ("near", key), lambda: nearer(self.targets.points[:, chosen], rows[:, chosen], found)
        )
        return None if near is None else near.among(np.isin(self.plantable.ids, self.planted.ids))


class Attack(Protocol):
    """An attack: `score` is blind to membership, deterministic given the view and the generator."""

    @property
    def name(self) -> str:
        """Unique name; it seeds the attack's random numbers."""

    @property
    def version(self) -> str:
        """Changes whenever scores would."""

    @property
    def threat(self) -> ThreatModel:
        """Who is assumed to attack."""

    @property
    def max_targets(self) -> int | None:
        """Most members, and most nonmembers, that are attacked; None for all."""

    def endpoints(self, roles: Roles, /) -> Sequence[Endpoint]:
        """The questions asked of the scores, fixed before anything is looked at."""

    def score(self, view: AttackView, rng: np.random.Generator, /) -> dict[str, FloatArray]:
        """One finite number a target for each score key; larger means "more likely a member" or "guessed right"."""


@runtime_checkable
class WithFigures(Protocol):
    """What an attack has besides, if it tells figures without a verdict."""

    def figures(self, roles: Roles, /) -> Sequence[Figure]:
        """What is told, fixed before anything is looked at; never a figure of a single target."""


class Queries(Protocol):
    """Predicates on rows, each made from another release row."""

    def singled(self, table: Encoded, /) -> NDArray[np.intp]:
        """For each predicate the row that it matches alone in the table; -1 where it matches none or several."""


@runtime_checkable
class QueryAttack(Protocol):
    """An attack that makes predicates: `queries` sees the release alone, and no target.

    `name`, `version`, `threat`, `max_targets` and `endpoints` are those of an `Attack`; every endpoint's statistic is
    `singled_excess`, and its stratum says from which tenth of the release rows the predicates under its key are made.
    """

    @property
    def name(self) -> str:
        """Unique name; it seeds the attack's random numbers."""

    @property
    def version(self) -> str:
        """Changes whenever predicates would."""

    @property
    def threat(self) -> ThreatModel:
        """Who is assumed to attack."""

    @property
    def max_targets(self) -> int | None:
        """Most rows of the table of members, and of that of nonmembers; None for all."""

    def endpoints(self, roles: Roles, /) -> Sequence[Endpoint]:
        """The questions, fixed before anything is looked at."""

    def queries(self, view: AttackView, keys: Collection[str], rng: np.random.Generator, /) -> dict[str, Queries]:
        """Predicates for each of the score keys; as many as could be made, which is what a rate is measured against."""
