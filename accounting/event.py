"""What touched the private table: a closed set of events and the tree that composes them.

An event says which noise was added to which worst-case change, never "epsilon" alone: the ratio forgets how it was
made, and with it the check. Sensitivities and `max_keys` are those of the tree's relation and unit. Events stand
in time order, because adaptively composed exponential mechanisms do not commute (`accounting.block`). Parameters are
fixed before the first event ran; what is chosen on the way stands in a `ZCDPFilter`, by its bound alone.

>>> tree = EventTree(relation=NeighboringRelation.ADD_REMOVE, unit=PrivacyUnit(),
...                  events=(Gaussian(sigma="10", l2_sensitivity="1", count=20),))
>>> tree.to_json()["events"]
[{'type': 'gaussian', 'sigma': '10', 'l2_sensitivity': '1', 'count': 20}]
>>> EventTree.from_json(tree.to_json()) == tree
True

Not guaranteed: that the event is what ran. A mechanism must return its own event with its value.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Any, Literal, cast, get_args

import rfc8785

from accounting.decimals import decimal_text, read_positive
from accounting.errors import EventError
from accounting.relation import NeighboringRelation, PrivacyUnit

SCHEMA = "dpsynth.events/1"
MAX_EVENTS = 20_000
MAX_COUNT = 1_000_000_000
MAX_KEYS = 1_000_000_000
MAX_BYTES = 8 * 1024 * 1024

Noise = Literal["exact", "seeded"]


class _Checked:
    """Reads and checks the fields of an event by their names, the same way for each type."""

    __slots__ = ()

    def __post_init__(self) -> None:
        for field in fields(cast("Any", self)):
            value = getattr(self, field.name)
            object.__setattr__(self, field.name, _READERS.get(field.name, read_positive)(value, field.name))
        self._check()

    def _check(self) -> None:
        """What a single field cannot tell."""

    def to_json(self) -> dict[str, Any]:
        """The event's object in `dpsynth.events/1`; numbers as decimal strings, count always, noise if not exact."""
        body: dict[str, Any] = {"type": _NAMES[cast("Any", type(self))]}
        for field in fields(cast("Any", self)):
            value = getattr(self, field.name)
            if field.name == "noise" and value == "exact":
                continue
            body[field.name] = decimal_text(value) if isinstance(value, Decimal) else value
        return body


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaussian(_Checked):
    """Real-valued query plus continuous N(0, sigma^2) on each coordinate."""

    sigma: Decimal
    l2_sensitivity: Decimal
    count: int = 1
    noise: Noise = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscreteGaussian(_Checked):
    """Integer query plus Pr[j] proportional to exp(-j^2 / (2 sigma^2)) on each coordinate."""

    sigma: Decimal
    l2_sensitivity: Decimal
    count: int = 1
    noise: Noise = "exact"

    def _check(self) -> None:
        _changes_an_integer(self.l2_sensitivity, "l2_sensitivity")

    @property
    def squared_change(self) -> int:
        """Largest squared L2 norm of the integer change vector."""
        return _squared_change(self.l2_sensitivity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Laplace(_Checked):
    """Real-valued query plus density proportional to exp(-|x| / scale) on each coordinate."""

    scale: Decimal
    l1_sensitivity: Decimal
    count: int = 1
    noise: Noise = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiscreteLaplace(_Checked):
    """Integer query plus Pr[j] proportional to exp(-|j| / scale) on each coordinate."""

    scale: Decimal
    l1_sensitivity: Decimal
    count: int = 1
    noise: Noise = "exact"

    def _check(self) -> None:
        _changes_an_integer(self.l1_sensitivity, "l1_sensitivity")

    @property
    def change(self) -> int:
        """Largest L1 norm of the integer change vector."""
        return int(self.l1_sensitivity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exponential(_Checked):
    """Exponential mechanism, Gumbel report-noisy-max, or softmax draw: Pr[y] proportional to exp(c u(D, y)).

    `bounded_range` is c times the range over y of u(D, y) - u(D', y): twice c * sensitivity in general, once for
    scores that move one way only. Permute-and-flip and Laplace noisy max are `PureDP`, not this.
    """

    bounded_range: Decimal
    count: int = 1
    noise: Noise = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class PureDP(_Checked):
    """Anything whose loss never exceeds epsilon, such as randomized response."""

    epsilon: Decimal
    count: int = 1
    noise: Noise = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApproxDP(_Checked):
    """Anything that is (epsilon, delta)-DP and says no more: what another library's accountant reports of a query.

    Worst is the mechanism that gives a unit away with probability delta and is randomized response otherwise (Kairouz,
    Oh and Viswanath 2015, Theorem 3.3 proof), so delta is an atom at infinite loss beside `PureDP(epsilon)`.
    """

    epsilon: Decimal
    delta: Decimal
    count: int = 1
    noise: Noise = "exact"


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionSelection(_Checked):
    """Keys released with their discrete-Gaussian noisy count if that reaches `threshold`; empty keys never.

    Two neighbours differ in the counts of at most `max_keys` keys, and by at most `l2_sensitivity` in all.
    """

    sigma: Decimal
    threshold: Decimal
    l2_sensitivity: Decimal
    max_keys: int
    count: int = 1
    noise: Noise = "exact"

    def _check(self) -> None:
        _changes_an_integer(self.l2_sensitivity, "l2_sensitivity")
        if self.threshold <= self.l2_sensitivity:
            raise EventError(
                "Expected threshold > l2_sensitivity: otherwise one unit alone releases its own key.",
                "Raise the threshold by several sigma.",
            )

    @property
    def squared_change(self) -> int:
        """Largest squared L2 norm of the integer change vector over all keys."""
        return _squared_change(self.l2_sensitivity)


@dataclass(frozen=True, slots=True, kw_only=True)
class PoissonSampled(_Checked):
    """`event` on a fresh sample that each privacy unit joins independently with `probability`, `count` times."""

    probability: Decimal
    event: Gaussian
    count: int = 1
    noise: Noise = "exact"

    def _check(self) -> None:
        if self.event.count != 1:
            raise EventError("Expected count 1 inside poisson_sampled: one draw a step.", "Put the count outside.")

    def to_json(self) -> dict[str, Any]:
        """As for other events; the inner object carries no count of its own."""
        inner = {key: value for key, value in self.event.to_json().items() if key != "count"}
        return {**_Checked.to_json(self), "event": inner}


@dataclass(frozen=True, slots=True, kw_only=True)
class ZCDPFilter(_Checked):
    """Steps whose kind, number and noise were chosen from earlier outputs, while their zCDP added up to at most `rho`.

    Theorem (Feldman and Zrnic 2021, Theorem 4.3; Whitehouse, Ramdas, Rogers and Wu 2023, Theorem 1): if each step is
    rho_t-zCDP given the outputs before it, and sum_t rho_t <= rho for every course of events, then all steps together
    are rho-zCDP, as if all had been fixed beforehand. Sketch: with l_t the loss of step t and alpha > 1,
    exp((alpha - 1)(sum_{s<=t} l_s - alpha sum_{s<=t} rho_s)) is a non-negative supermartingale that starts at one, so
    E[exp((alpha - 1) sum_t l_t)] <= exp((alpha - 1) alpha rho): the Renyi divergence is at most alpha rho.

    Only the bound enters the price, never what ran: a filter that was not used up costs what it might have spent.
    `accounting.filters` enforces the bound while the steps run.
    """

    rho: Decimal
    count: int = 1
    noise: Noise = "exact"


Event = (
    Gaussian
    | DiscreteGaussian
    | Laplace
    | DiscreteLaplace
    | Exponential
    | PureDP
    | ApproxDP
    | PartitionSelection
    | PoissonSampled
    | ZCDPFilter
)

_TYPES: dict[str, type[Event]] = {
    "gaussian": Gaussian,
    "discrete_gaussian": DiscreteGaussian,
    "laplace": Laplace,
    "discrete_laplace": DiscreteLaplace,
    "exponential": Exponential,
    "pure_dp": PureDP,
    "approx_dp": ApproxDP,
    "partition_selection": PartitionSelection,
    "poisson_sampled": PoissonSampled,
    "zcdp_filter": ZCDPFilter,
}
_NAMES: dict[type[Event], str] = {cls: name for name, cls in _TYPES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTree:
    """Events in time order under one relation and one unit; parameters fixed before the first was run.

    Raises:
        EventError: for anything that is not an event, or more than `MAX_EVENTS` of them.
    """

    relation: NeighboringRelation
    unit: PrivacyUnit
    events: tuple[Event, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.relation, NeighboringRelation):
            raise EventError(f"Expected relation to be one of {', '.join(NeighboringRelation)}.")
        if not isinstance(self.unit, PrivacyUnit):
            raise EventError("Expected unit to be a PrivacyUnit.")
        if not isinstance(self.events, tuple) or not all(isinstance(event, get_args(Event)) for event in self.events):
            raise EventError("Expected events to be a tuple of events of the closed set.")
        if len(self.events) > MAX_EVENTS:
            raise EventError(f"Expected at most {MAX_EVENTS} events.", "Use `count` for repeated equal events.")

    def to_json(self) -> dict[str, Any]:
        """The tree as a `dpsynth.events/1` document."""
        return {
            "schema": SCHEMA,
            "relation": self.relation.value,
            "unit": self.unit.to_json(),
            "events": [event.to_json() for event in self.events],
        }

    @classmethod
    def from_json(cls, document: object) -> EventTree:
        """Read a parsed `dpsynth.events/1` document; everything unknown is refused.

        Raises:
            EventError: for an unknown schema, relation, type or field, a float, or an oversized list.
        """
        body = _object(document, "the event tree", {"schema", "relation", "unit", "events"})
        if body["schema"] != SCHEMA:
            raise EventError(f"Expected schema {SCHEMA!r}: another version may mean other units.")
        if not isinstance(body["relation"], str) or body["relation"] not in set(NeighboringRelation):
            raise EventError(
                f"Expected relation to be one of {', '.join(NeighboringRelation)}.",
                "One relation holds for the whole tree; price trees of different relations apart.",
            )
        if not isinstance(body["events"], list) or len(body["events"]) > MAX_EVENTS:
            raise EventError(f"Expected events to be a list of at most {MAX_EVENTS} objects.")
        return cls(
            relation=NeighboringRelation(body["relation"]),
            unit=PrivacyUnit.from_json(body["unit"]),
            events=tuple(event_from_json(item) for item in body["events"]),
        )

    @classmethod
    def parse(cls, text: str | bytes) -> EventTree:
        """Read a document from untrusted text: bounded size, no duplicate keys, no NaN.

        Raises:
            EventError: as `from_json`, and for text that is not such JSON.
        """
        if len(text) > MAX_BYTES:
            raise EventError(f"Expected at most {MAX_BYTES} bytes of events.")
        try:
            document = json.loads(text, object_pairs_hook=_unique, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            if isinstance(error, EventError):
                raise
            raise EventError("Expected a JSON document; this text does not parse as one.") from None
        return cls.from_json(document)

    def digest(self) -> str:
        """SHA-256 (hex) of the RFC 8785 canonical form: equal trees and only equal trees agree."""
        return hashlib.sha256(rfc8785.dumps(self.to_json())).hexdigest()


def event_from_json(value: object) -> Event:
    """Read one event's object.

    Raises:
        EventError: for an unknown type or field, or a value out of range.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("type"), str) or value["type"] not in _TYPES:
        raise EventError(f"Expected an event object whose type is one of {', '.join(_TYPES)}.")
    cls = _TYPES[value["type"]]
    known = {field.name for field in fields(cls)}
    body = _object(value, value["type"], {"type", *known - {"count", "noise"}}, optional={"count", "noise"})
    if cls is PoissonSampled:
        body["event"] = event_from_json(_object(body["event"], "the sampled event", None, refused={"count"}))
    return cls(**{key: item for key, item in body.items() if key != "type"})


def _object(
    value: object,
    name: str,
    required: set[str] | None,
    *,
    optional: frozenset[str] | set[str] = frozenset(),
    refused: frozenset[str] | set[str] = frozenset(),
) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise EventError(f"Expected {name} to be an object.")
    keys = set(value)
    wrong = keys & refused if required is None else (required - keys) | (keys - required - optional)
    if wrong:
        shown = ", ".join(sorted(str(key)[:40] for key in wrong)[:5])
        raise EventError(f"Missing or unknown fields in {name}: {shown}.", "Fields are closed; see `accounting.event`.")
    return dict(value)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    body = dict(pairs)
    if len(body) != len(pairs):
        raise EventError("A JSON object names the same field twice: two readers would read two prices.")
    return body


def _no_constant(_: str) -> None:
    raise EventError("NaN and Infinity are not decimal strings.")


def _changes_an_integer(sensitivity: Decimal, name: str) -> None:
    if sensitivity < 1:
        raise EventError(f"Expected {name} >= 1: an integer query changes by at least one or not at all.")


def _squared_change(sensitivity: Decimal) -> int:
    # sqrt(2) written with six digits or more still means the integer 2, whichever way it was rounded.
    return int(sensitivity * sensitivity * Decimal("1.000001"))


def _read_count(value: object, name: str) -> int:
    limit = MAX_KEYS if name == "max_keys" else MAX_COUNT
    if type(value) is not int or not 1 <= value <= limit:
        raise EventError(f"Expected {name} to be an integer from 1 to {limit}.")
    return value


def _read_noise(value: object, _: str) -> object:
    if value not in get_args(Noise):
        raise EventError("Expected noise to be 'exact' or 'seeded'.")
    return value


def _read_probability(value: object, name: str) -> Decimal:
    probability = read_positive(value, name)
    if probability > 1:
        raise EventError(f"Expected {name} <= 1.")
    return probability


def _read_delta(value: object, name: str) -> Decimal:
    delta = read_positive(value, name)
    if delta >= 1:
        raise EventError(f"Expected {name} < 1: at 1 nothing is promised.")
    return delta


def _read_inner(value: object, _: str) -> object:
    if not isinstance(value, Gaussian):
        raise EventError("Expected a gaussian event inside poisson_sampled: no other amplification is proved here.")
    return value


_READERS: dict[str, Any] = {
    "count": _read_count,
    "max_keys": _read_count,
    "noise": _read_noise,
    "probability": _read_probability,
    "delta": _read_delta,
    "event": _read_inner,
}
