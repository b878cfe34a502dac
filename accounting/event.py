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
from typing import Any, get_args

import rfc8785

from accounting.errors import EventError
from accounting.events.additive import DiscreteGaussian, DiscreteLaplace, Gaussian, Laplace, PartitionSelection
from accounting.events.bounds import ApproxDP, PureDP, ZCDPFilter
from accounting.events.fields import Noise
from accounting.events.sampling import PoissonSampled
from accounting.events.selection import Exponential, PredictionTokens, SparseVector
from accounting.relation import NeighboringRelation, PrivacyUnit

SCHEMA = "dpsynth.events/1"
MAX_EVENTS = 20_000
MAX_BYTES = 8 * 1024 * 1024

__all__ = [
    "MAX_BYTES",
    "MAX_EVENTS",
    "SCHEMA",
    "ApproxDP",
    "DiscreteGaussian",
    "DiscreteLaplace",
    "Event",
    "EventTree",
    "Exponential",
    "Gaussian",
    "Laplace",
    "Noise",
    "PartitionSelection",
    "PoissonSampled",
    "PredictionTokens",
    "PureDP",
    "SparseVector",
    "ZCDPFilter",
    "event_from_json",
]

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
    | SparseVector
    | PredictionTokens
    | ZCDPFilter
)

_TYPES: dict[str, type[Event]] = {cls.type_name: cls for cls in get_args(Event)}


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTree:
    """Events in time order under one relation and one unit; parameters fixed before the first was run.

    Raises:
        EventError: for anything that is not an event, more than `MAX_EVENTS` of them, or one that states another
            relation.
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
        if any(isinstance(event, PredictionTokens) and event.relation is not self.relation for event in self.events):
            raise EventError(
                f"Expected prediction_tokens to state the tree's own relation, {self.relation.value}: their range "
                "depends on it.",
            )

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
