"""dp-accounting: its event trees as ours, counts multiplied out.

Released versions of the library lose the repeat count of some events; a tree read here keeps it. Their events hold
only the ratio of noise to sensitivity, so ours get sensitivity one, except for the discrete Laplace, whose
sensitivity they keep.

>>> from dp_accounting import dp_event
>>> tree = from_dp_accounting(dp_event.SelfComposedDpEvent(dp_event.GaussianDpEvent(10.0), 20))
>>> tree.to_json()["events"]
[{'type': 'gaussian', 'sigma': '10', 'l2_sensitivity': '1', 'count': 20}]

Not guaranteed: events without a proof here (sampling without replacement, tree aggregation, private selection) are
refused, not approximated.
"""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

from accounting.adapters.numbers import loss_of, scale_of, share_of, times_of
from accounting.errors import EventError, UnsupportedEventError
from accounting.event import DiscreteLaplace, Event, EventTree, Gaussian, Laplace, PoissonSampled, PureDP, ZCDPFilter
from accounting.relation import NeighboringRelation, PrivacyUnit

RECORD = PrivacyUnit()
MAX_DEPTH = 50
ONE = Decimal(1)


def from_dp_accounting(
    event: Any,
    *,
    relation: NeighboringRelation = NeighboringRelation.ADD_REMOVE,
    unit: PrivacyUnit = RECORD,
) -> EventTree:
    """The tree of a `DpEvent`.

    Args:
        event: a `dp_accounting.dp_event.DpEvent`, such as `DpEventBuilder.build()` returns.
        relation: the relation under which its noise multipliers are meant.
        unit: whose data it protects.

    Raises:
        UnsupportedEventError: a kind of event that is not priced here, or one that is not private at all.
        EventError: not an event, a number outside its range, or a nesting deeper than 50.
    """
    return EventTree(relation=relation, unit=unit, events=tuple(_events(event, 0)))


def _events(event: Any, depth: int) -> list[Event]:
    from dp_accounting import dp_event as theirs

    if depth > MAX_DEPTH:
        raise EventError(f"Expected events nested at most {MAX_DEPTH} deep.")
    match event:
        case theirs.NoOpDpEvent():
            return []
        case theirs.ComposedDpEvent():
            return [ours for inner in event.events for ours in _events(inner, depth + 1)]
        case theirs.SelfComposedDpEvent():
            times = times_of(event.count, "count")
            # Order matters for exponential mechanisms alone, and the library has no such event.
            return [replace(ours, count=ours.count * times) for ours in _events(event.event, depth + 1)]
        case theirs.GaussianDpEvent():
            return [Gaussian(sigma=scale_of(event.noise_multiplier, "noise_multiplier"), l2_sensitivity=ONE)]
        case theirs.LaplaceDpEvent():
            return [Laplace(scale=scale_of(event.noise_multiplier, "noise_multiplier"), l1_sensitivity=ONE)]
        case theirs.DiscreteLaplaceDpEvent():
            scale = scale_of((1 - 1e-15) / float(loss_of(event.noise_parameter, "noise_parameter")), "scale")
            change = Decimal(times_of(event.sensitivity, "sensitivity"))
            return [DiscreteLaplace(scale=scale, l1_sensitivity=change)]
        case theirs.RandomizedResponseDpEvent():
            return _randomized_response(event)
        case theirs.PoissonSampledDpEvent() if isinstance(event.event, theirs.GaussianDpEvent):
            (step,) = _events(event.event, depth + 1)
            share = share_of(event.sampling_probability, "sampling_probability")
            return [PoissonSampled(probability=share, event=step)]  # type: ignore[arg-type]
        case theirs.ZCDpEvent() if event.xi == 0:
            return [ZCDPFilter(rho=loss_of(event.rho, "rho"))]
        case theirs.DpEvent():
            raise UnsupportedEventError(
                f"{type(event).__name__} has no price here: no proof of ours covers it.",
                "Charge it as ApproxDP or PureDP, with the guarantee that its own documentation proves.",
            )
        case _:
            raise EventError("Expected a dp_accounting DpEvent.", "Hand over what `DpEventBuilder.build()` returns.")


def _randomized_response(event: Any) -> list[Event]:
    """With probability p a uniform bucket of k, else the truth: Pr[truth] / Pr[another] = 1 + (1 - p) k / p."""
    share, buckets = float(share_of(event.noise_parameter, "noise_parameter")), times_of(event.num_buckets, "buckets")
    if share == 1:
        return []
    return [PureDP(epsilon=loss_of(math.log1p((1 - share) * buckets / share) * (1 + 1e-12), "epsilon"))]
