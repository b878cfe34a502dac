"""Neighbouring tables at their worst, and what is claimed about them."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any

import pyarrow as pa

from accounting.crosscheck import price
from accounting.event import EventTree
from accounting.relation import PrivacyUnit
from attacks.dp_audit.two_world import TwoWorldBound, two_world
from dpsynth.core.noise import NoiseSource
from dpsynth.core.progress import silent
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.tabular import generator
from tests.audit.transcript import LogLikelihoodRatio
from tests.conformance.tables import RECORD, schema

COLUMNS = {
    "a": {"kind": "categorical", "values": ["x", "y"]},
    "b": {"kind": "categorical", "values": ["x", "y"]},
    "c": {"kind": "boolean"},
}
SMALL = schema(**COLUMNS)
CROWD, OTHER = ("x", "x", True), ("y", "y", False)


def table(*rows: tuple[Any, ...], of: tuple[str, ...] = ("a", "b", "c")) -> Table:
    """Rows as a table."""
    return Table.from_arrow(
        pa.table({name: list(column) for name, column in zip(of, zip(*rows, strict=True), strict=True)})
    )


def claimed(tree: EventTree, delta: float) -> float:
    """Epsilon that the accountants charge at `delta`; the events speak of whatever noise source."""
    return float(price(tree, str(delta)).epsilon)


@lru_cache(maxsize=32)
def planned(name: str, epsilon: str, unit: PrivacyUnit = RECORD) -> Any:
    return generator(name).plan(SMALL, unit, epsilon=epsilon, delta="1e-6")


def fit_of(name: str, rows: Table, plan: Any, of: Any = SMALL) -> Callable[[NoiseSource], Any]:
    """All that reads the table, as a function of the noise."""

    def fit(noise: NoiseSource) -> Any:
        domains, spent = derive(rows, of, plan.settings.derive, noise=noise)
        return generator(name).fit(rows, of, domains, plan, noise=noise, progress=silent, spent=spent)

    return fit


def audited(
    name: str, plan: Any, without: Table, joined: Table, *, noise: NoiseSource, runs: int, delta: float, alpha: float
) -> TwoWorldBound:
    """Two-world audit of a generator by the ratio of its whole transcript."""
    fits = {False: fit_of(name, without, plan), True: fit_of(name, joined, plan)}
    with LogLikelihoodRatio(noise).listening() as ratio:
        return two_world(
            lambda world: ratio.score(fits[world], fits[not world], joined=world),
            False, True, runs=runs, delta=delta, alpha=alpha,
        )  # fmt: skip
