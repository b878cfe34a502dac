"""How many rows of one unit a fit may see, with or without an order: for private and public data alike."""

from __future__ import annotations

from accounting.relation import PrivacyUnit
from dpsynth.data.table import Table


def bounded(table: Table, unit: PrivacyUnit, key: bytes, order: str | None) -> Table:
    """Of each unit no more rows than its bound; the table itself where one row is one unit.

    Under an order the first rows of each unit, units together and in order; else some, by keyed hash.
    """
    if unit.column is None:
        return table
    if order is None:
        return table.bounded(unit.column, unit.max_records, key)
    return table.in_order(unit.column, order, unit.max_records, key)
