"""Record linkage: is the release row that shares a person's quasi-identifiers really that person's?

The intruder knows the quasi-identifiers of a person, finds the distinct release rows with exactly these, picks one at
random and believes the rest of it. The belief is right where every other column agrees: categories equal, numbers
within five percentage points of the real distribution. The chance to be right is this person's risk:

    prosecutor   agreeing rows / rows in the person's class of the release (the intruder knows that the person is in)
    journalist   agreement found / people of the reference in that class, this one added (who is in is not known)
    marketer     the mean of the prosecutor's risks: the share of people who are linked rightly

A risk above 0.09, one in eleven, is the convention of EMA policy 0070 and of Health Canada for public release (El Emam
2013 for the three intruders). Here it marks people *at risk*; the verdict is on the excess of members at risk over
holdout rows at risk, because on coarse tables a row that agrees by chance is nobody's. The figures are told of both
sides without a verdict. The highest risk is left out: it would be a figure of a single person.

>>> RecordLinkage().endpoints(Roles())[0].limit_id
'linkage.record.all'

Not guaranteed: that an intruder knows no more than the declared columns. Without quasi-identifiers nothing is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from attacks.encoding import Encoded, Layout
from attacks.protocol import AttackView, Endpoint, Figure, Roles, ThreatModel
from attacks.statistics import FloatArray

THREAT = ThreatModel(access="no_box", knowledge="the quasi-identifiers of a person")
RISK_CONVENTION = 0.09
RANK_TOLERANCE = 0.05
BLOCK = 200_000
"""Pairs of a target and a release row that are compared at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordLinkage:
    """Excess of members at risk of being linked rightly by their quasi-identifiers."""

    name: str = "record_linkage"
    version: str = "2"
    threat: ThreatModel = THREAT
    max_targets: int | None = 10_000

    def endpoints(self, _roles: Roles, /) -> Sequence[Endpoint]:
        """Share at risk, over all targets and among the most isolated."""
        return tuple(
            Endpoint(
                name=f"at_risk_excess@{RISK_CONVENTION}",
                score="at_risk",
                statistic="rate_excess",
                stratum=stratum,
                limit_id=f"linkage.record.{stratum}",
            )
            for stratum in ("all", "tail")
        )

    def figures(self, _roles: Roles, /) -> Sequence[Figure]:
        """Shares above the convention for two intruders, the mean risk for the third."""
        return (
            Figure(name=f"prosecutor risk above {RISK_CONVENTION}", score="prosecutor", above=RISK_CONVENTION),
            Figure(name=f"journalist risk above {RISK_CONVENTION}", score="journalist", above=RISK_CONVENTION),
            Figure(name="marketer risk (mean)", score="prosecutor"),
        )

    def score(self, view: AttackView, _rng: np.random.Generator, /) -> dict[str, FloatArray]:
        """Risks of each target, and `at_risk`: 1 where the prosecutor's exceeds the convention."""
        layout, targets = view.layout, view.targets
        known = [at for at, column in enumerate(layout.columns) if column in view.roles.quasi_identifiers]

        def base() -> tuple[NDArray[np.int64], NDArray[np.int64]]:
            return _agreement(targets, _distinct(view.release), known, layout)

        agreeing, size = view.cached("record linkage", base)
        if view.planted is not None:
            new = _distinct(view.thinned(view.planted))
            new = new.take(np.flatnonzero(~np.isin(new.ids, view.release.ids)))
            more = _agreement(targets, new, known, layout)
            agreeing, size = agreeing + more[0], size + more[1]
        people: FloatArray = view.cached(
            "class in reference", lambda: 1.0 + _class_sizes(targets, view.reference, known)
        )
        prosecutor = agreeing / np.maximum(size, 1)
        return {
            "prosecutor": prosecutor,
            "journalist": (agreeing > 0) / people,
            "at_risk": (prosecutor > RISK_CONVENTION).astype(np.float64),
        }


def _distinct(rows: Encoded) -> Encoded:
    return rows.take(np.unique(rows.ids, return_index=True)[1])


def _classes(first: Encoded, second: Encoded, known: Sequence[int]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Numbers of the classes of equal quasi-identifiers, joint to both tables; one class if there are none."""
    codes = np.concatenate([first.codes[:, known], second.codes[:, known]])
    number = np.unique(codes, axis=0, return_inverse=True)[1].ravel() if known else np.zeros(len(codes), dtype=np.intp)
    return number[: len(first)], number[len(first) :]


def _class_sizes(targets: Encoded, rows: Encoded, known: Sequence[int]) -> FloatArray:
    """Rows in each target's class."""
    own, others = _classes(targets, rows, known)
    return np.bincount(others, minlength=int(own.max(initial=0)) + 1)[own].astype(np.float64)


def _agreement(
    targets: Encoded, rows: Encoded, known: Sequence[int], layout: Layout
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """For each target the rows of its class that agree in every other column, and the rows of its class."""
    own, others = _classes(targets, rows, known)
    order = np.argsort(others, kind="stable")
    start = np.searchsorted(others[order], own, side="left")
    size = np.searchsorted(others[order], own, side="right") - start
    rest = [at for at in range(len(layout.columns)) if at not in known]
    agreeing = np.zeros(len(targets), dtype=np.int64)
    ends, at = np.cumsum(size), 0
    while at < len(targets):
        done = ends[at] - size[at]
        stop = max(int(np.searchsorted(ends, done + BLOCK, side="right")), at + 1)
        who = np.repeat(np.arange(at, stop), size[at:stop])
        place = np.arange(len(who)) - (ends - size)[who] + done  # the how manieth row of its class
        row = order[start[who] + place]
        for column in rest:
            same = _agree(targets.codes[who, column], rows.codes[row, column], layout.ranks[column])
            who, row = who[same], row[same]
        agreeing += np.bincount(who, minlength=len(targets))
        at = stop
    return agreeing, size.astype(np.int64)


def _agree(one: NDArray[np.int32], two: NDArray[np.int32], ranks: FloatArray | None) -> NDArray[np.bool_]:
    if ranks is None:
        return np.asarray(one == two)
    near = np.abs(ranks[one] - ranks[two]) <= RANK_TOLERANCE + 1e-9
    return np.where((one >= 0) & (two >= 0), near, one == two)
