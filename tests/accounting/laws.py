"""Laws that every price of an event tree must obey, stated once so that any accountant can be held to them.

An *oracle* maps (tree, delta) to {accountant: epsilon}, empty where it has no proof. A law returns complaints, none if
it holds. Tolerances cover grids and rounding of the oracle (`slack`, relative) and never a factor.
"""

import math
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from accounting.event import (
    ApproxDP,
    DiscreteGaussian,
    DiscreteLaplace,
    EventTree,
    Exponential,
    Laplace,
    PartitionSelection,
    PoissonSampled,
    PredictionTokens,
    PureDP,
    SparseVector,
    ZCDPFilter,
)
from accounting.relation import NeighboringRelation, PrivacyUnit

ULP = 2e-6  # prices are rounded up to six decimals
TENTH = Decimal("1.1")


@dataclass(frozen=True)
class Oracle:
    """Somebody's accountants, and how far two of their answers to one question may be apart."""

    ask: Any
    slack: float
    loop_slack: float

    def best(self, tree, delta):
        return min(self.ask(tree, delta).values(), default=math.nan)


def of(tree, *events, relation=None, unit=None):
    relation = relation or tree.relation
    stated = (replace(event, relation=relation) if isinstance(event, PredictionTokens) else event for event in events)
    return EventTree(relation=relation, unit=unit or tree.unit, events=tuple(stated))


def _at_most(oracle, small, large, what):
    if math.isnan(small) or math.isnan(large) or small <= large * (1 + oracle.slack) + ULP:
        return []
    return [f"{what}: {small:.6f} > {large:.6f}"]


def self_composed_is_the_loop(oracle, tree, delta):
    loop = of(tree, *(replace(event, count=1) for event in tree.events for _ in range(event.count)))
    once, looped = oracle.ask(tree, delta), oracle.ask(loop, delta)
    if once.keys() != looped.keys():
        return [f"{sorted(once)} priced the power, {sorted(looped)} the loop"]
    return [
        f"{name}: counted {once[name]:.6f}, looped {looped[name]:.6f}"
        for name in once
        if not math.isclose(once[name], looped[name], rel_tol=oracle.loop_slack, abs_tol=ULP)
    ]


def noisier(event):
    match event:
        case Exponential():
            return replace(event, bounded_range=event.bounded_range / TENTH)
        case ZCDPFilter():
            return replace(event, rho=event.rho / TENTH)
        case PureDP() | ApproxDP():
            return replace(event, epsilon=event.epsilon / TENTH)
        case Laplace() | DiscreteLaplace():
            return replace(event, scale=event.scale * TENTH)
        case PartitionSelection():
            # A wider noise with the threshold fixed would release more lonely keys.
            return replace(event, sigma=event.sigma * TENTH, threshold=event.threshold * TENTH)
        case PoissonSampled():
            return replace(event, event=replace(event.event, sigma=event.event.sigma * TENTH))
        case SparseVector():
            scales = {"threshold_scale": event.threshold_scale * TENTH, "query_scale": event.query_scale * TENTH}
            return replace(event, **scales)
        case PredictionTokens():
            return replace(event, temperature=event.temperature * TENTH)
        case _:
            return replace(event, sigma=event.sigma * TENTH)


def more_noise_never_costs_more(oracle, tree, delta):
    less = of(tree, *map(noisier, tree.events))
    return _at_most(oracle, oracle.best(less, delta), oracle.best(tree, delta), "with more noise")


def scaled(event, factor):
    """The same noise on a change `factor` (an integer) times as large."""
    match event:
        case Exponential():
            return replace(event, bounded_range=event.bounded_range * factor)
        case ZCDPFilter():
            return replace(event, rho=event.rho * factor**2)
        case PureDP():
            return replace(event, epsilon=event.epsilon * factor)
        case ApproxDP():
            return replace(event, epsilon=event.epsilon * factor, delta=event.delta * factor)
        case Laplace() | DiscreteLaplace():
            return replace(event, l1_sensitivity=event.l1_sensitivity * factor)
        case PartitionSelection():
            # Raise the threshold as a careful caller would: k rows on one key are k steps nearer to it.
            return replace(
                event,
                l2_sensitivity=event.l2_sensitivity * factor,
                max_keys=event.max_keys * factor,
                threshold=event.threshold + (factor - 1) * event.l2_sensitivity,
            )
        case PoissonSampled():
            return replace(event, event=replace(event.event, l2_sensitivity=event.event.l2_sensitivity * factor))
        case SparseVector():
            return replace(event, sensitivity=event.sensitivity * factor)
        case PredictionTokens():
            return replace(event, rows_per_unit=event.rows_per_unit * factor)
        case _:
            return replace(event, l2_sensitivity=event.l2_sensitivity * factor)


def a_unit_of_two_rows_never_costs_less_than_one(oracle, tree, delta):
    unit = PrivacyUnit(kind="user", column="person", max_records=2)
    both = of(tree, *(scaled(event, 2) for event in tree.events), unit=unit)
    return _at_most(oracle, oracle.best(tree, delta), oracle.best(both, delta), "one row instead of two")


def replaced(event):
    """The event of the same mechanism under replace_one: disjoint cells, so squares add up and L1 changes double."""
    match event:
        case DiscreteGaussian() | PartitionSelection():
            root = (Decimal(2) * event.squared_change).sqrt()
            grown = replace(event, l2_sensitivity=root)
            return (
                replace(grown, max_keys=2 * event.max_keys, threshold=max(event.threshold, root + 1))
                if isinstance(event, PartitionSelection)
                else grown
            )
        case PoissonSampled():
            return event
        case SparseVector():
            return replace(event, sensitivity=event.sensitivity * 2, monotonic=False)
        case PureDP() | ApproxDP() | ZCDPFilter() | PredictionTokens():
            return event  # stated by whoever ran it for the relation of the tree
        case Exponential() | Laplace() | DiscreteLaplace():
            return scaled(event, 2)
        case _:
            return replace(event, l2_sensitivity=event.l2_sensitivity * Decimal(2).sqrt())


def replacing_a_unit_never_costs_less_than_adding_it(oracle, tree, delta):
    if any(isinstance(event, PoissonSampled) for event in tree.events):
        return []
    other = of(tree, *map(replaced, tree.events), relation=NeighboringRelation.REPLACE_ONE)
    return _at_most(oracle, oracle.best(tree, delta), oracle.best(other, delta), "add_remove against replace_one")


def blanking_a_unit_costs_what_adding_it_costs(oracle, tree, delta):
    """Sensitivities are those of the relation: the same events cost the same under zero_out."""
    blank = of(tree, *tree.events, relation=NeighboringRelation.ZERO_OUT)
    first, second = oracle.ask(tree, delta), oracle.ask(blank, delta)
    return [] if first == second else [f"{first} against {second}"]


def one_more_use_never_costs_less(oracle, tree, delta):
    first, *rest = tree.events
    more = of(tree, replace(first, count=first.count + 1), *rest)
    return _at_most(oracle, oracle.best(tree, delta), oracle.best(more, delta), "with one use fewer")


def a_larger_delta_never_costs_more(oracle, tree, delta):
    large = str(Decimal(delta) * 10)
    return _at_most(oracle, oracle.best(tree, large), oracle.best(tree, delta), "at ten times delta")


def a_whole_costs_at_least_its_dearest_part(oracle, tree, delta):
    whole = oracle.best(tree, delta)
    return [
        complaint
        for event in set(tree.events)
        for complaint in _at_most(oracle, oracle.best(of(tree, event), delta), whole, "a part alone")
    ]


def a_whole_costs_at_most_the_sum_of_its_parts(oracle, tree, delta):
    """Basic composition, with delta split evenly; accountant by accountant, since not all of them price every part."""
    share = str(Decimal(delta) / len(tree.events))
    parts = [oracle.ask(of(tree, event), share) for event in tree.events]
    return [
        complaint
        for name, whole in oracle.ask(tree, delta).items()
        if all(name in part for part in parts)
        for complaint in _at_most(oracle, whole, math.fsum(part[name] for part in parts), f"{name} and its parts")
    ]


def order_matters_among_exponential_mechanisms_alone(oracle, tree, delta):
    ranged = (Exponential, PredictionTokens, SparseVector)
    others = [event for event in tree.events if not isinstance(event, ranged)]
    choices = [event for event in tree.events if isinstance(event, ranged)]
    shuffled = of(tree, *reversed(others), *choices)
    first, second = oracle.ask(tree, delta), oracle.ask(shuffled, delta)
    return [
        f"{name}: {first[name]:.6f} against {second.get(name, math.nan):.6f} in another order"
        for name in first
        if not math.isclose(first[name], second.get(name, math.nan), rel_tol=oracle.loop_slack, abs_tol=ULP)
    ]


LAWS = (
    self_composed_is_the_loop,
    more_noise_never_costs_more,
    a_unit_of_two_rows_never_costs_less_than_one,
    replacing_a_unit_never_costs_less_than_adding_it,
    blanking_a_unit_costs_what_adding_it_costs,
    one_more_use_never_costs_less,
    a_larger_delta_never_costs_more,
    a_whole_costs_at_least_its_dearest_part,
    a_whole_costs_at_most_the_sum_of_its_parts,
    order_matters_among_exponential_mechanisms_alone,
)
