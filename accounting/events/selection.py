"""One of many outcomes drawn with a probability that favours the best, or the first that passes a noisy threshold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_CEILING, Context, Decimal
from typing import ClassVar, Literal, get_args

from accounting.errors import EventError
from accounting.events.fields import Checked, Noise, Reader, read_count
from accounting.relation import NeighboringRelation

Batch = Literal["summed", "truncated", "averaged"]

_UP = Context(prec=40, rounding=ROUND_CEILING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponential(Checked):
    """Exponential mechanism, Gumbel report-noisy-max, or softmax draw: Pr[y] proportional to exp(c u(D, y)).

    `bounded_range` is c times the range over y of u(D, y) - u(D', y): twice c * sensitivity in general, once for
    scores that move one way only. Permute-and-flip and Laplace noisy max are `PureDP`, not this.
    """

    type_name: ClassVar[str] = "exponential"

    bounded_range: Decimal
    count: int = 1
    noise: Noise = "exact"


def _read_flag(value: object, name: str) -> bool:
    if not isinstance(value, bool):
        raise EventError(f"Expected {name} to be true or false.")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseVector(Checked):
    """Sparse vector technique: says of each query whether it passes a threshold, and stops after `positives` that do.

    One run draws rho ~ Laplace(`threshold_scale`) once, nu ~ Laplace(`query_scale`) anew for each query, and answers
    "above" where q(D) + nu >= T + rho. Queries and T may depend on earlier answers, and there may be any number; each q
    changes by at most `sensitivity` under the tree's relation and unit. A threshold drawn anew after each "above" is
    `count` runs of one positive. Numeric answers, if any, are events of their own.

    Theorem (Dwork and Roth 2014, Theorem 3.23; Lyu, Su and Li 2017, Theorems 4 and 5): with c positives and sensitivity
    d, the loss is at most `d / threshold_scale + 2 c d / query_scale`. Moving rho by d makes every "below" at least as
    likely, and then moving nu by 2 d keeps each "above". If queries are `monotonic` (between two neighbours all move
    the same way, such as counts under add_remove), d is enough for nu; and where all fall, rho need not move at all:

        -c d / query_scale <= loss <= d / threshold_scale + c d / query_scale,   or the same with the tables exchanged.

    So monotonic runs also have bounded range `d / threshold_scale + 2 c d / query_scale`, and rho = range^2 / 8 where
    epsilon^2 / 2 would be nearly twice as much. Not covered: thresholds or scales chosen from earlier answers, and the
    variants that Lyu, Su and Li show to be not private (no noise on queries, c that does not scale it).
    """

    type_name: ClassVar[str] = "sparse_vector"
    own_readers: ClassVar[Mapping[str, Reader]] = {"positives": read_count, "monotonic": _read_flag}

    threshold_scale: Decimal
    query_scale: Decimal
    sensitivity: Decimal
    positives: int
    monotonic: bool
    count: int = 1
    noise: Noise = "exact"

    @property
    def threshold_loss(self) -> Decimal:
        """What moving the threshold by one sensitivity costs, rounded up."""
        return _UP.divide(self.sensitivity, self.threshold_scale)

    @property
    def query_loss(self) -> Decimal:
        """What moving the noise of all positives by one sensitivity costs, rounded up."""
        return _UP.divide(_UP.multiply(Decimal(self.positives), self.sensitivity), self.query_scale)

    @property
    def epsilon(self) -> Decimal:
        """Largest loss in either direction, rounded up."""
        return _UP.add(self.threshold_loss, _UP.multiply(Decimal(1 if self.monotonic else 2), self.query_loss))

    @property
    def bounded_range(self) -> Decimal:
        """Largest distance between two losses of one pair of neighbours, rounded up."""
        if self.monotonic:
            return _UP.add(self.threshold_loss, _UP.multiply(Decimal(2), self.query_loss))
        return _UP.multiply(Decimal(2), self.epsilon)


def _read_relation(value: object, name: str) -> NeighboringRelation:
    if not isinstance(value, str) or value not in set(NeighboringRelation):
        raise EventError(f"Expected {name} to be one of {', '.join(NeighboringRelation)}.")
    return NeighboringRelation(value)


def _read_batch(value: object, name: str) -> object:
    if value not in get_args(Batch):
        raise EventError(f"Expected {name} to be one of {', '.join(get_args(Batch))}.")
    return value


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionTokens(Checked):
    """`count` tokens drawn from the softmax of clipped logits that are averaged over private rows.

    For each token, row i of a batch gives logits that depend on that row, public text and the tokens before; what it
    adds to the public logits is clipped to [-`clip`, `clip`] coordinate by coordinate (or the logits to a box of width
    2 `clip`); the rows are added up and divided by `batch_size`; the token is drawn from softmax(sum / `temperature`)
    on a set of candidates that depends on public data only. That is an exponential mechanism whose score moves by a
    vector in [-m C / s, m C / s] for a unit with m = `rows_per_unit` rows that come or go, and its bounded range is:

    - 2 m C / (s tau) for a `batch` that is "summed": every row of it, over the constant s; or under zero_out with one
      that is "truncated": slots are public, and a blanked row adds nothing and keeps its slot;
    - 4 m C / (s tau) under add_remove with a batch "truncated" to s rows, where each new row displaces another; or for
      a batch "averaged" over the rows present, at least s of them, among which no blanked row is;
    - twice that under replace_one: a row goes and another comes, in one batch or in two.

    Writing 2 where a batch is truncated is the trap: the price would be a quarter of the true zCDP.

    Tokens of one batch compose as a block (`accounting.block`); other batches cost nothing (parallel composition) if a
    keyed hash of the unit's id assigns it to one of a public number of batches, and no batch reads what another said.
    `count` is the number of tokens of one batch, all its sequences together. Public tokens are free, but the test that
    chooses them is not: see `SparseVector`, with sensitivity 1 / s for the L1 distance of the averaged distribution to
    the public one if a blanked row adds the zero vector, 2 / s if it adds the public distribution or is replaced.

    Sources: Amin et al. 2024 (arXiv 2407.12108), Vinod, Pillutla and Thakurta 2025 (arXiv 2507.02974); range by
    Durfee and Rogers 2019. Not covered: candidates chosen from private rows, and a `batch_size` that counts them.
    """

    type_name: ClassVar[str] = "prediction_tokens"
    own_readers: ClassVar[Mapping[str, Reader]] = {
        "relation": _read_relation,
        "batch": _read_batch,
        "batch_size": read_count,
        "rows_per_unit": read_count,
    }

    relation: NeighboringRelation
    clip: Decimal
    batch_size: int
    temperature: Decimal
    batch: Batch
    rows_per_unit: int
    count: int = 1
    noise: Noise = "exact"

    @property
    def bounded_range(self) -> Decimal:
        """Of one token, rounded up; relation of the event, all rows of one unit."""
        replaced = self.relation is NeighboringRelation.REPLACE_ONE
        kept = self.relation is NeighboringRelation.ZERO_OUT and self.batch == "truncated"  # a blank keeps its slot
        displaced = self.batch != "summed" and not kept
        moved = _UP.multiply(Decimal(2 * (1 + replaced) * (1 + displaced) * self.rows_per_unit), self.clip)
        return _UP.divide(moved, _UP.multiply(Decimal(self.batch_size), self.temperature))
