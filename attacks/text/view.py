"""What an attack on texts is, and what it may see: the protocol of `attacks.protocol`, with texts for rows.

Scores are blind to membership, targets come in random order, five folds take each other's nonmembers as reference.
`attacks.evidence` and `attacks.controls` read a view through `release`, `targets`, `reference`, `with_planted` and
`with_release` alone, which is why cuts, intervals, controls and verdicts are the very same as for tables.

Not guaranteed: as there, a view hides labels from code that plays by the protocol; it is no sandbox.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from attacks.protocol import Endpoint, Roles, ThreatModel
from attacks.statistics import FloatArray
from attacks.text.counts import Counts, counted
from attacks.text.tokens import Hashes, Owners, Texts, grams

TEXT_THREAT = ThreatModel(access="no_box", knowledge="one full text, reference texts of the population")


@dataclass(frozen=True, slots=True, kw_only=True)
class TextView:
    """All that a no-box attack on texts sees of one fold.

    Attributes:
        release: the synthetic texts.
        targets: texts to attack, members and nonmembers in random order.
        reference: real texts of the same population, in training or not, disjoint from the targets.
        planted: texts added to the release by a positive control, else None.
        cache: what depends on targets, reference and the original release only.
        shared: what depends on the original release only; one for all folds.
    """

    release: Texts
    targets: Texts
    reference: Texts
    planted: Texts | None = None
    cache: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)
    shared: dict[Any, Any] = field(default_factory=dict, repr=False, compare=False)

    def cached(self, key: Any, build: Callable[[], Any]) -> Any:
        """`build()` once per targets, reference and original release."""
        if key not in self.cache:
            self.cache[key] = build()
        return self.cache[key]

    def with_planted(self, planted: Texts) -> TextView:
        """The same view with texts added to the release (positive control)."""
        return replace(self, planted=planted)

    def with_release(self, release: Texts) -> TextView:
        """The same targets against another release (negative control)."""
        return replace(self, release=release, planted=None, cache={}, shared={})

    def target_grams(self, n: int) -> tuple[Hashes, Owners]:
        """The targets' n-grams and whose each is."""
        found: tuple[Hashes, Owners] = self.cached(("grams", n), lambda: grams(self.targets, n))
        return found

    def in_release(self, n: int) -> NDArray[np.int64]:
        """How often each of the targets' n-grams stands in the release, planted texts included."""
        wanted = self.target_grams(n)[0]
        base: NDArray[np.int64] = self.cached(("release", n), lambda: self._release(n).of(wanted))
        return base if self.planted is None else base + counted(grams(self.planted, n)[0]).of(wanted)

    def in_reference(self, n: int) -> NDArray[np.int64]:
        """How often each of the targets' n-grams stands in the reference texts."""
        found: NDArray[np.int64] = self.cached(
            ("reference", n), lambda: counted(grams(self.reference, n)[0]).of(self.target_grams(n)[0])
        )
        return found

    def per_target(self, values: NDArray[Any], n: int) -> FloatArray:
        """Mean over each target's n-grams; 0 for a text without words."""
        owner = self.target_grams(n)[1]
        count = np.bincount(owner, minlength=len(self.targets))
        total = np.bincount(owner, weights=values, minlength=len(self.targets))
        return np.asarray(total / np.maximum(count, 1))

    def _release(self, n: int) -> Counts:
        if n not in self.shared:
            self.shared[n] = counted(grams(self.release, n)[0])
        found: Counts = self.shared[n]
        return found


class TextAttack(Protocol):
    """An attack on texts: `score` is blind to membership, deterministic given the view and the generator."""

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

    def score(self, view: TextView, rng: np.random.Generator, /) -> dict[str, FloatArray]:
        """One finite number a target for each score key; larger means "more likely a member"."""
