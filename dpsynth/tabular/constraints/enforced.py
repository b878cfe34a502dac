"""What a model keeps of its constraints: the declaration as text, learned mappings as arrays, a trial's counts.

Plain parts only, so that a model file can hold them. `Enforced.over` makes the rules again from them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError, SchemaError
from dpsynth.core.noise import NoiseSource
from dpsynth.schema.model import Schema
from dpsynth.tabular.columns.binning import Binning
from dpsynth.tabular.constraints.enforcement import Enforcement

LEARNED_FROM = 50_000
"""Rows that a generator without records samples to learn from."""


@final
@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Enforced:
    """Constraints of a fitted model.

    Attributes:
        declared: JSON of the schema's modelled columns and constraints; empty if there are no constraints.
        learned: number of a functional dependency -> the dependent's domain code by determinant, -1 for missing.
        changed: how many rows of a trial constraints changed; empty without constraints.
    """

    declared: str = ""
    learned: Mapping[str, NDArray[np.int64]] = field(default_factory=dict)
    changed: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            self.schema()
        except (ValueError, SchemaError):
            raise ParameterError("The constraints of a model cannot be read.") from None

    @classmethod
    def learned_from(
        cls,
        schema: Schema,
        binnings: Mapping[str, Binning],
        sample: Callable[[int, np.random.Generator], Mapping[str, NDArray[np.integer[Any]]]],
        noise: NoiseSource,
    ) -> Enforced:
        """Of a model without records: learned from a sample. `noise` is read only if there are constraints."""
        if not schema.constraints:
            return cls()
        rng = np.random.Generator(np.random.PCG64(noise.uint64(4)))
        shapes = {name: binning.size + 1 for name, binning in binnings.items()}
        return cls.of(Enforcement.of(schema, binnings, shapes).fitted(sample(LEARNED_FROM, rng), rng))

    @classmethod
    def of(cls, enforcement: Enforcement) -> Enforced:
        """What is to be kept of a fitted model's rules."""
        schema = enforcement.schema
        if schema is None or not schema.constraints:
            return cls()
        document = schema.model_dump(mode="json")
        document["columns"] = {name: document["columns"][name] for name in schema.modelled}
        return cls(
            declared=json.dumps(document, separators=(",", ":"), ensure_ascii=False),
            learned={str(at): codes for at, codes in enforcement.learned.items()},
            changed=enforcement.changed,
        )

    def schema(self) -> Schema | None:
        """The declaration; None without constraints."""
        return Schema.from_dict(json.loads(self.declared)) if self.declared else None

    def over(self, binnings: Mapping[str, Binning], shapes: Mapping[str, int]) -> Enforcement:
        """The rules over the codes of the model; see `Enforcement.of`.

        Raises:
            ParameterError: what is kept does not belong to these columns.
        """
        schema = self.schema()
        if schema is None:
            return Enforcement.of(None, binnings, shapes)
        if set(schema.modelled) != set(binnings) or any(not at.isdecimal() for at in self.learned):
            raise ParameterError("The constraints of a model are of other columns than the model.")
        learned = {int(at): codes for at, codes in self.learned.items()}
        return Enforcement.of(schema, binnings, shapes, learned, self.changed)

    def describe(self) -> dict[str, Any]:
        """Declared constraints by kind and columns, and the trial; released and declared facts only."""
        schema = self.schema()
        if schema is None:
            return {}
        named = [{"kind": constraint.kind, "columns": list(constraint.columns)} for constraint in schema.constraints]
        return {"constraints": {"declared": named, "trial": dict(self.changed)}}
