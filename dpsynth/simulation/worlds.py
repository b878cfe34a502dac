"""Populations by a seed: a Bayesian network, a mixture, or one with the columns that a schema declares.

    network       a few strong dependences, three causes of the target; numbers bunch around what their cause says
    mixture       many weak dependences through hidden groups
    resembling    a network with a schema's number, kinds and sizes of columns, and its target

Rare categories come by themselves (shares fall off as powers), rare combinations are planted. The same arguments give
the same law on every machine; rows follow from their own seed.

>>> people = network(columns=6, seed=1)
>>> people.target, len(people.modes), round(float(people.marginal(("target",)).sum()), 12)
('target', 3, 1.0)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import cycle, islice
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from dpsynth.core.errors import ParameterError
from dpsynth.schema.model import ColumnSpec, Schema
from dpsynth.simulation.bayesian_network import BayesianNetwork
from dpsynth.simulation.population import Column, Density, Population, RareMode
from dpsynth.simulation.product_mixture import ProductMixture

SHAPES: tuple[tuple[Literal["categorical", "integer"], int], ...] = (
    ("integer", 60), ("categorical", 5), ("categorical", 2), ("integer", 20), ("categorical", 12), ("categorical", 3),
)  # fmt: skip
MOST_CELLS = 20_000
"""Of one conditional table."""
WIDEST = 100
"""Codes of a column that stands for a declared range."""
GROUPS = 6
MODE_SHARE = 0.002
CANDIDATES = 200


def network(*, columns: int = 10, seed: int = 0, modes: int = 3) -> Population:
    """A Bayesian network over columns of mixed kinds, the last of which, `target`, has two values.

    Args:
        columns: how many, at least 2.
        seed: of the law.
        modes: how many rare modes of three columns (or all) are planted, each with 0.2 % of the rows.
    """
    return _planted("network", _shapes(columns), "target", _network, seed, modes)


def mixture(*, columns: int = 10, seed: int = 0, modes: int = 3) -> Population:
    """A mixture of six products over the same kinds of column; arguments as `network`."""
    return _planted("mixture", _shapes(columns), "target", _mixture, seed, modes)


def resembling(schema: Schema, *, seed: int = 0, modes: int = 3) -> Population:
    """A network with the modelled columns of a schema: their names, kinds and sizes, and the target; no row is read.

    Ranges beyond 100 whole numbers, decimals, dates and open sets are stood for by columns of 100 or 20 codes.

    Args:
        schema: what is public.
        seed: of the law.
        modes: as in `network`.
    """
    names = [name for name in schema.modelled if name != schema.target]
    if schema.target is not None:
        names.append(schema.target)
    made = [_stand_in(name, schema.columns[name]) for name in names]
    return _planted("resembling", made, schema.target, _network, seed, modes)


WORLDS: dict[str, Callable[..., Population]] = {"network": network, "mixture": mixture}


def world(name: str, *, columns: int = 10, seed: int = 0) -> Population:
    """The population of that name.

    Raises:
        ParameterError: unknown name.
    """
    if name not in WORLDS:
        raise ParameterError(f"Unknown population {name!r}.", f"Use one of {', '.join(sorted(WORLDS))}.")
    return WORLDS[name](columns=columns, seed=seed)


def _shapes(columns: int) -> list[Column]:
    if columns < 2:
        raise ParameterError(f"Expected columns={columns} >= 2.")
    shapes = islice(cycle(SHAPES), columns - 1)
    made = [Column(name=f"c{number}", size=size, kind=kind) for number, (kind, size) in enumerate(shapes)]
    return [*made, Column(name="target", size=2)]


def _stand_in(name: str, spec: ColumnSpec) -> Column:
    if spec.kind == "categorical":
        return Column(name=name, size=max(len(spec.values), 2) if spec.values else 20)
    if spec.kind == "boolean":
        return Column(name=name, size=2)
    if spec.kind == "integer" and isinstance(spec.min, int) and isinstance(spec.max, int):
        return Column(name=name, size=max(min(spec.max - spec.min + 1, WIDEST), 2), kind="integer")
    return Column(name=name, size=WIDEST, kind="integer")


def _planted(
    name: str,
    columns: Sequence[Column],
    target: str | None,
    make: Callable[[Sequence[Column], np.random.Generator], Density],
    seed: int,
    modes: int,
) -> Population:
    rng = np.random.default_rng(seed)
    body = make(columns, rng)
    planted = tuple(_rare(columns, body, rng) for _ in range(modes))
    return Population(name=name, columns=tuple(columns), body=body, modes=planted, target=target)


def _rare(columns: Sequence[Column], body: Density, rng: np.random.Generator) -> RareMode:
    """The least likely of many combinations of three columns; each code by itself is not rare, so the mode is."""
    chosen = sorted(int(c) for c in rng.choice(len(columns), size=min(3, len(columns)), replace=False))
    joint = body.marginal(chosen)
    alone = [body.marginal((c,)) for c in chosen]
    tried = np.stack([rng.choice(shares.size, size=CANDIDATES, p=shares) for shares in alone])
    best = tried[:, int(np.argmin(joint[tuple(tried)]))]
    fixed = {columns[c].name: int(code) for c, code in zip(chosen, best, strict=True)}
    return RareMode(fixed=fixed, share=MODE_SHARE)


def _network(columns: Sequence[Column], rng: np.random.Generator) -> BayesianNetwork:
    parents: list[tuple[int, ...]] = []
    tables: list[NDArray[np.float64]] = []
    for place, column in enumerate(columns):
        last = place == len(columns) - 1
        wanted = min(place, 3 if last else int(rng.integers(1, 3)))
        order = [int(c) for c in rng.permutation(place)]
        above: list[int] = []
        cells = column.size
        for parent in order:
            if len(above) < wanted and cells * columns[parent].size <= MOST_CELLS:
                above.append(parent)
                cells *= columns[parent].size
        above.sort()
        parents.append(tuple(above))
        tables.append(_conditional(column, [columns[c].size for c in above], rng))
    return BayesianNetwork(parents=tuple(parents), tables=tuple(tables))


def _conditional(column: Column, above: Sequence[int], rng: np.random.Generator) -> NDArray[np.float64]:
    """Shares given parents: of a number a bell around a weighted mean of them, of categories a tilted power law."""
    shape = tuple(above)
    codes = np.indices(shape) if shape else np.zeros((0, 1))
    scaled = [axis / max(size - 1, 1) for axis, size in zip(codes, above, strict=True)]
    weights = rng.uniform(0.5, 1.0, len(above)) * rng.choice([-1.0, 1.0], len(above))
    pull = sum((w * (axis - 0.5) for w, axis in zip(weights, scaled, strict=True)), np.zeros(shape))
    grid = np.arange(column.size)
    if column.kind == "integer":
        middle = np.clip(0.4 + 0.5 * pull, 0.05, 0.95)[..., None] * (column.size - 1)
        score = -0.5 * ((grid - middle) / (0.15 * column.size)) ** 2
        return _shares(score, floor=0.02)
    power = -rng.uniform(0.6, 1.4) * np.log1p(rng.permutation(column.size))
    tilt = rng.normal(0.0, 1.0, column.size)
    tilt = (tilt - tilt.mean()) / tilt.std()
    score = power + 3.0 * pull[..., None] * tilt + rng.normal(0.0, 0.3, (*shape, column.size))
    return _shares(score, floor=0.0)


def _mixture(columns: Sequence[Column], rng: np.random.Generator) -> ProductMixture:
    weights = rng.dirichlet(np.full(GROUPS, 4.0))
    tables = []
    for column in columns:
        grid = np.arange(column.size)
        if column.kind == "integer":
            middle = rng.uniform(0.1, 0.9, GROUPS)[:, None] * (column.size - 1)
            tables.append(_shares(-0.5 * ((grid - middle) / (0.12 * column.size)) ** 2, floor=0.02))
        else:
            power = -np.log1p(rng.permutation(column.size))
            tables.append(_shares(power + rng.normal(0.0, 1.6, (GROUPS, column.size)), floor=0.0))
    return ProductMixture(weights=weights, tables=tuple(tables))


def _shares(score: NDArray[np.float64], *, floor: float) -> NDArray[np.float64]:
    """Scores as shares of the last axis, of which `floor` is spread evenly."""
    weight = np.exp(score - score.max(axis=-1, keepdims=True))
    made: NDArray[np.float64] = (1 - floor) * weight / weight.sum(axis=-1, keepdims=True) + floor / score.shape[-1]
    return made
