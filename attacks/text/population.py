"""The texts of one run: encoded, folded, with the most surprising tenth, prepared once for all attacks.

>>> TAIL
'tail'

Not guaranteed: that the holdout was drawn at random; the overlap check, the drift of surprise and the negative control
look for the ways in which it was not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from attacks.evidence import Cohort
from attacks.inputs import check_overlap
from attacks.population import drift_between
from attacks.protocol import PlantKind
from attacks.statistics import FloatArray
from attacks.targets import Fold, exposed, split_folds
from attacks.text.ngram_membership import surprise
from attacks.text.paraphrase import paraphrase
from attacks.text.tokens import Texts, encode, joined
from attacks.text.view import TextView

TAIL = "tail"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class TextPopulation:
    """Encoded texts with their folds; surprise and tail cover each fold's members, then its nonmembers."""

    members: Texts
    member_texts: Sequence[str]
    nonmembers: Texts
    release: Texts
    folds: tuple[Fold, ...]
    surprises: tuple[FloatArray, ...]
    tails: tuple[NDArray[np.bool_], ...]
    seed: int
    shared: dict[Any, Any] = field(default_factory=dict)

    def candidates(self, kind: PlantKind) -> Texts:
        """Texts that a positive control may plant: members, those of the tail, or paraphrases of members."""
        if kind == "paraphrases":
            rng = np.random.default_rng([self.seed, 77])
            return encode(paraphrase(text, rng) for text in self.member_texts)
        if kind == "random":
            return self.members
        rows = [f.members[t[: len(f.members)]] for f, t in zip(self.folds, self.tails, strict=True)]
        return self.members.take(np.concatenate(rows))

    def drift(self) -> float:
        """How far members and holdout differ in how surprising holdout texts find them."""
        cuts = [len(f.members) for f in self.folds]
        members = np.concatenate([s[:c] for s, c in zip(self.surprises, cuts, strict=True)])
        nonmembers = np.concatenate([s[c:] for s, c in zip(self.surprises, cuts, strict=True)])
        return drift_between(members, nonmembers)

    def cohorts(self, max_targets: int | None, rng: np.random.Generator) -> tuple[Cohort, ...]:
        """The folds with at most `max_targets` members and as many nonmembers over all, in random order."""
        return tuple(self._cohort(f, max_targets, rng) for f in range(len(self.folds)))

    def _cohort(self, f: int, max_targets: int | None, rng: np.random.Generator) -> Cohort:
        fold, most = self.folds[f], None if max_targets is None else max_targets // len(self.folds)
        m = rng.permutation(len(fold.members))[:most]
        h = rng.permutation(len(fold.nonmembers))[:most] + len(fold.members)
        rows = rng.permutation(np.concatenate([m, h]))
        everyone = joined(self.members.take(fold.members), self.nonmembers.take(fold.nonmembers))
        ours = fold.reference < len(self.members)  # a reference that knows no label, see `split_folds`
        theirs = self.nonmembers.take(fold.reference[~ours] - len(self.members))
        view = TextView(
            release=self.release,
            targets=everyone.take(rows),
            reference=joined(self.members.take(fold.reference[ours]), theirs),
            shared=self.shared,
        )
        strata: Mapping[str, NDArray[np.bool_]] = {TAIL: self.tails[f][rows]}
        # Evidence and controls use of a view what rows and texts have in common (see `view`).
        unseen = cast("Any", self.nonmembers.take(fold.unseen))
        return Cohort(view=cast("Any", view), is_member=rows < len(fold.members), strata=strata, unseen=unseen)


def prepare_texts(
    *, release: Sequence[str], members: Sequence[str], nonmembers: Sequence[str], seed: int, rng: np.random.Generator
) -> TextPopulation:
    """Encodes and checks the texts, and draws folds and the tail.

    Raises:
        AttackInputError: more holdout texts also stand in training than duplicates explain.
    """
    ours, theirs = encode(members), encode(nonmembers)
    check_overlap(ours, theirs)
    folds = split_folds(len(ours), len(theirs), rng)
    surprises = []
    for fold in folds:
        view = TextView(
            release=theirs,
            targets=joined(ours.take(fold.members), theirs.take(fold.nonmembers)),
            reference=theirs.take(fold.unseen),
        )
        surprises.append(surprise(view))
    return TextPopulation(
        members=ours,
        member_texts=members,
        nonmembers=theirs,
        release=encode(release),
        folds=folds,
        surprises=tuple(surprises),
        tails=tuple(exposed(values, rng) for values in surprises),
        seed=seed,
    )
