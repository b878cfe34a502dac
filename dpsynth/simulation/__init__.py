"""Known populations: tables drawn from a law that is written down, so that an answer is judged by truth.

A `Population` is a law of independent rows (a Bayesian network, or a mixture of products) with rare modes planted in
it. It draws tables with a schema, and states the exact marginal of any columns. Public by construction: no row of a
real table is in it, so seeds, repetitions and exact figures are free.

    people = network(columns=8, seed=3)
    drawn  = people.draw(5000, seed=0)      # drawn.table, drawn.schema
    people.marginal(("c0", "target"))       # the exact shares of all cells
    people.modes                            # what was planted, and its share
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dpsynth.simulation.bayesian_network import BayesianNetwork
    from dpsynth.simulation.population import Column, Drawn, Population, RareMode
    from dpsynth.simulation.product_mixture import ProductMixture
    from dpsynth.simulation.worlds import WORLDS, mixture, network, resembling, world

_WHERE = {
    "WORLDS": "worlds",
    "BayesianNetwork": "bayesian_network",
    "Column": "population",
    "Drawn": "population",
    "Population": "population",
    "ProductMixture": "product_mixture",
    "RareMode": "population",
    "mixture": "worlds",
    "network": "worlds",
    "resembling": "worlds",
    "world": "worlds",
}
__all__ = [
    "WORLDS", "BayesianNetwork", "Column", "Drawn", "Population", "ProductMixture", "RareMode", "mixture", "network",
    "resembling", "world",
]  # fmt: skip


def __getattr__(name: str) -> object:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"dpsynth.simulation.{_WHERE[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
