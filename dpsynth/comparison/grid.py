"""The cells of a sweep: which generator, at which epsilon, with which seed, and the digest that names the run.

A cell's **key** is the digest of everything that its figures follow from: rows, schema, split, target, generator with
settings, epsilon, delta, seed, version. A folder of cells can therefore be added to, and never mixes two sweeps.

>>> epsilons_of([1, "0.3"]), seeds_of(2)
((Decimal('0.3'), Decimal('1')), (0, 1))
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

import dpsynth
from accounting.decimals import decimal_text
from dpsynth.comparison.settings import described
from dpsynth.core.errors import ParameterError

if TYPE_CHECKING:
    from dpsynth.tabular.protocol import Generator

MOST_CELLS = 10_000
MOST_SEEDS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    """One generator of a sweep.

    Attributes:
        label: what the table calls it, unique in the sweep.
        made: the generator.
        about: the generator as plain data.
        private: whether it gives a guarantee; one that gives none is a baseline, run once for each seed.
    """

    label: str
    made: Any
    about: Mapping[str, Any]
    private: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One run of a sweep; `epsilon` is None for a baseline without a guarantee."""

    contender: Contender
    epsilon: Decimal | None
    seed: int

    @property
    def title(self) -> str:
        """In words."""
        at = "no guarantee" if self.epsilon is None else f"epsilon {decimal_text(self.epsilon)}"
        return f"{self.contender.label}, {at}, seed {self.seed}"

    def key(self, facts: Mapping[str, Any]) -> str:
        """Digest of what the figures follow from.

        Args:
            facts: of the sweep: data, schema, split, target, unit, delta.
        """
        own = {
            "generator": self.contender.about,
            "epsilon": None if self.epsilon is None else decimal_text(self.epsilon),
            "seed": self.seed,
            "version": dpsynth.__version__,
        }
        body = json.dumps({**facts, **own}, sort_keys=True, separators=(",", ":"), default=str)
        return hashlib.sha256(body.encode()).hexdigest()[:32]


def contenders_of(generators: Sequence[Generator | str] | Mapping[str, Generator | str]) -> tuple[Contender, ...]:
    """Generators by name or as they are; a mapping gives them labels.

    Raises:
        ParameterError: none, an unknown name, or one label twice.
    """
    if isinstance(generators, str):
        generators = [generators]
    named = isinstance(generators, Mapping)
    pairs = list(generators.items()) if isinstance(generators, Mapping) else [("", one) for one in generators]
    if not pairs:
        raise ParameterError("No generator to compare.", 'Name some, such as ["gibbs", "mst"].')
    found: list[Contender] = []
    for label, one in pairs:
        made: Any = _named(one) if isinstance(one, str) else one
        about = described(made)
        changed = ", ".join(f"{key}={_brief(value)}" for key, value in about["settings"].items() if key != "name")
        own = f"{made.name} ({changed})" if changed else made.name
        if not gives_guarantee(made):
            about["library"] = made.version
        found.append(Contender(label=label if named else own, made=made, about=about, private=gives_guarantee(made)))
    twice = [one.label for one in found if [other.label for other in found].count(one.label) > 1]
    if twice:
        raise ParameterError(
            f"The generator {twice[0]!r} is named twice.", "Name each once, or give labels: {label: …}."
        )
    return tuple(found)


def gives_guarantee(made: Any) -> bool:
    """Whether a generator plans what it spends; a baseline (`tabular.baselines`) has no plan and no guarantee."""
    return hasattr(made, "plan")


def _named(name: str) -> Any:
    from dpsynth import tabular

    return tabular.baseline(name) if name in tabular.BASELINES else tabular.generator(name)


def epsilons_of(values: Sequence[Decimal | float | int | str] | Decimal | float | int | str) -> tuple[Decimal, ...]:
    """Epsilons, smallest first.

    Raises:
        ParameterError: none, one that is no positive number, or one twice.
    """
    given = [values] if isinstance(values, str | float | int | Decimal) else list(values)
    if not given:
        raise ParameterError("The list of epsilons is empty.", "Give at least one, such as epsilon=[0.3, 1, 3].")
    found = []
    for value in given:
        try:
            epsilon = Decimal(str(value))
        except InvalidOperation:
            raise ParameterError(f"Expected a number for epsilon, not {value!r}.", "Write 0.3, for example.") from None
        if not epsilon.is_finite() or epsilon <= 0:
            raise ParameterError(f"Expected epsilon={value} > 0 and finite.", "Leave it out of the list.")
        found.append(epsilon)
    if len(set(found)) < len(found):
        raise ParameterError("An epsilon is named twice; repetitions are what seeds are for.", "Name each once.")
    return tuple(sorted(found))


def seeds_of(seeds: int | Sequence[int]) -> tuple[int, ...]:
    """Seeds, or 0 to n - 1 for a number of them.

    Raises:
        ParameterError: none, a negative one, or one twice.
    """
    found = tuple(range(seeds)) if isinstance(seeds, int) else tuple(int(seed) for seed in seeds)
    if not found or min(found) < 0 or len(set(found)) < len(found) or len(found) > MOST_SEEDS:
        raise ParameterError(f"Expected 1 to {MOST_SEEDS} different seeds, none negative.", "Use seeds=3, for example.")
    return found


def cells_of(contenders: Sequence[Contender], epsilons: Sequence[Decimal], seeds: Sequence[int]) -> tuple[Cell, ...]:
    """All cells; whole repetitions one after the other, so that a sweep that is stopped has seen every generator."""
    cells = tuple(
        Cell(contender=contender, epsilon=epsilon, seed=seed)
        for seed in seeds
        for contender in contenders
        for epsilon in (epsilons if contender.private else (None,))
    )
    if len(cells) > MOST_CELLS:
        raise ParameterError(f"The sweep has {len(cells):,} runs; {MOST_CELLS:,} is the most.", "Leave something out.")
    return cells


def _brief(value: Any) -> str:
    if isinstance(value, dict) and "file" in value:
        return str(value["file"]).rpartition("/")[2]
    return "…" if isinstance(value, dict) else str(value)
