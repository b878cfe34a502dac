"""Whether the events that ran are covered by the events that were reserved.

The plan is a pool: each of its events has a count, and each event that ran takes its count out of planned
events that dominate it. One event dominates another of the same type if every parameter is equal, or differs
in the direction that makes the second a post-processing or a special case of the first: more noise, less
sensitivity, a smaller sampling probability. Then the plan's guarantee holds for what ran.

`_RELAXED` lists those parameters; any parameter not named there, and any type without a line, must be equal.
So a new event type is covered from its first day, only strictly. Partition selection relaxes its threshold
but not sigma: more noise lets a lone key over the threshold more often.

Events are compared in their JSON form, so that a receiver needs no accountant for it.

>>> plan = [{"type": "gaussian", "sigma": "10", "l2_sensitivity": "1", "count": 20}]
>>> uncovered([{"type": "gaussian", "sigma": "12", "l2_sensitivity": "1", "count": 20}], plan) is None
True
>>> uncovered([{"type": "gaussian", "sigma": "9", "l2_sensitivity": "1"}], plan)
0

Not guaranteed: completeness. Trading one kind of event for another of equal price is refused, and matching is
first-fit, so that a refusal can be wrong and an acceptance cannot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Literal

Direction = Literal["more", "less"]

_RELAXED: Mapping[str, Mapping[str, Direction]] = {
    "gaussian": {"sigma": "more", "l2_sensitivity": "less"},
    "discrete_gaussian": {"l2_sensitivity": "less"},
    "laplace": {"scale": "more", "l1_sensitivity": "less"},
    "discrete_laplace": {"scale": "more", "l1_sensitivity": "less"},
    "exponential": {"bounded_range": "less"},
    "pure_dp": {"epsilon": "less"},
    "approx_dp": {"epsilon": "less", "delta": "less"},
    "partition_selection": {"threshold": "more", "max_keys": "less", "l2_sensitivity": "less"},
    "poisson_sampled": {"probability": "less"},
    "zcdp_filter": {"rho": "less"},
    "sparse_vector": {"threshold_scale": "more", "query_scale": "more", "sensitivity": "less", "positives": "less"},
    "prediction_tokens": {"clip": "less", "batch_size": "more", "temperature": "more", "rows_per_unit": "less"},
}


def uncovered(events: Sequence[Mapping[str, object]], plan: Sequence[Mapping[str, object]]) -> int | None:
    """Position of the first event that the plan does not cover, or None if all are covered.

    Args:
        events: what ran, in the JSON form of `EventTree`.
        plan: what was reserved, same form.
    """
    left = [max(_count(item), 0) for item in plan]
    needed = [_count(item) for item in events]
    if -1 in needed:
        return needed.index(-1)
    # Equal parameters first, so that a strong planned event is not used up by one that a weaker would cover.
    for covers in (_equal, _dominates):
        for i, event in enumerate(events):
            for j, planned in enumerate(plan):
                if needed[i] and left[j] and covers(planned, event):
                    taken = min(needed[i], left[j])
                    needed[i] -= taken
                    left[j] -= taken
    return next((i for i, count in enumerate(needed) if count), None)


def _count(event: Mapping[str, object]) -> int:
    count = event.get("count", 1)
    return count if isinstance(count, int) and not isinstance(count, bool) and count > 0 else -1


def _equal(planned: Mapping[str, object], event: Mapping[str, object]) -> bool:
    return {**planned, "count": 1} == {**event, "count": 1}


def _dominates(planned: Mapping[str, object], event: Mapping[str, object]) -> bool:
    relaxed = _RELAXED.get(str(planned.get("type")), {})
    names = set(planned) | set(event)
    return all(
        _parameter_covers(name, planned.get(name), event.get(name), relaxed.get(name)) for name in names - {"count"}
    )


def _parameter_covers(name: str, planned: object, ran: object, direction: Direction | None) -> bool:
    if planned == ran:
        return True
    if isinstance(planned, Mapping) and isinstance(ran, Mapping) and name == "event":
        return 0 < _count(ran) <= _count(planned) and _dominates(planned, ran)
    if direction is None:
        return False
    a, b = _number(planned), _number(ran)
    if a is None or b is None:
        return False
    return b >= a if direction == "more" else b <= a


def _number(value: object) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, (str, int)):
        return None
    try:
        number = Decimal(value)
    except InvalidOperation:
        return None
    return number if number.is_finite() and number > 0 else None
