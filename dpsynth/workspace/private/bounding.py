"""How many rows of one unit a fit may see, with or without an order: private and public data, here and in engines."""

from __future__ import annotations

from typing import overload

from accounting.relation import PrivacyUnit
from dpsynth.data.engines.keyed import bounded as bounded_in_engine
from dpsynth.data.engines.warehouse import EngineTable
from dpsynth.data.table import Table


@overload
def bounded(table: Table, unit: PrivacyUnit, key: bytes, order: str | None) -> Table: ...
@overload
def bounded(table: EngineTable, unit: PrivacyUnit, key: bytes, order: str | None) -> EngineTable: ...
def bounded(table: Table | EngineTable, unit: PrivacyUnit, key: bytes, order: str | None) -> Table | EngineTable:
    """Of each unit no more rows than its bound; the table itself where one row is one unit.

    Under an order the first rows of each unit, units together and in order; else some, by keyed hash. An engine has no
    order of rows, and a schema that asks for one is refused there before (`places.check_counted`).
    """
    if unit.column is None:
        return table
    if isinstance(table, EngineTable):
        return bounded_in_engine(table, unit.column, unit.max_records, key)
    if order is None:
        return table.bounded(unit.column, unit.max_records, key)
    return table.in_order(unit.column, order, unit.max_records, key)
