"""Steps before and after the fit: opening, checks, split, bound; model, targets, rows. As the engines' modules do them.

Not guaranteed: what a source that is a view does by itself each time that it is read.
"""

from __future__ import annotations

from dpsynth.schema.model import Schema
from dpsynth.tabular.asks import Asks
from dpsynth.workspace.cost.manners import RAW_BYTES, Manner
from dpsynth.workspace.cost.steps import Step, scans
from dpsynth.workspace.sealed_size import most_rows

DRAWN_BYTES = 20
"""Of a cell of a draft at the peak of drawing and sealing: `sealed_size`."""
TARGET_ROWS = 20_000
"""Rows of each part that attacks and quality read, about."""
TARGET_BYTES = 3
"""Times the bytes of the rows that a sample of targets may hold at most: `data.engines.rows.MOST`."""


def row_bytes(schema: Schema) -> int:
    """Raw bytes of a row: every column that is not dropped."""
    return sum(RAW_BYTES[spec.kind] for spec in schema.columns.values() if not spec.drop)


def steps_before(manner: Manner, schema: Schema, rows: int, *, by_unit: bool) -> list[Step]:
    """Opening, checks and split, and the bound where a unit has several rows.

    Args:
        manner: of the engine.
        schema: public facts.
        rows: of the whole table, about: a public estimate.
        by_unit: whether a unit is more than a row.
    """
    size = rows * row_bytes(schema)
    kept = rows * (row_bytes(schema) + manner.row_bytes)
    if manner.name == "memory":
        held = [Step(name="read the file", here=size), Step(name="split", here=size)]
        return [*held, *([Step(name="bound rows of a unit", here=size)] if by_unit else [])]
    finite = any(spec.kind == "float" and not spec.drop for spec in schema.columns.values())
    floats = rows * sum(RAW_BYTES["float"] for spec in schema.columns.values() if spec.kind == "float")
    of = "copy" if manner.copies else "source"
    opened = Step(
        name="open: copy raw cells" if manner.copies else "open",
        statements=manner.copies + finite,
        source=1 if manner.copies else int(finite),
        copy=int(finite and manner.copies),
        read=(kept if manner.copies else 0) + floats,
        written=kept if manner.copies else 0,
        note="columns by name and type; numbers that are not finite are refused",
    )
    unit = rows * 16  # the identity alone
    check = Step(name="check", statements=1, **scans(of, 1), read=kept)
    split = Step(name="split", statements=2 if by_unit else 4, **scans(of, 2 if by_unit else 4),
                 read=(1 if by_unit else 3) * unit + kept, written=kept,
                 note="by keyed hashes of the unit" if by_unit else "by keyed hashes of the row key")  # fmt: skip
    steps = [opened, check, split]
    if by_unit:
        steps.append(Step(name="bound rows of a unit", statements=2, copy=2, read=unit + kept, written=kept,
                          shuffles=int(manner.shuffles), note="rows are ordered within each unit"))  # fmt: skip
    return steps


def steps_after(manner: Manner, schema: Schema, asks: Asks | None, rows: int, drawn: int | None) -> list[Step]:
    """The model, targets for attacks and quality, and the rows that are drawn.

    Args:
        manner: of the engine.
        schema: public facts.
        asks: what the generator says; None if it says nothing.
        rows: of the whole table, about.
        drawn: synthetic rows; None for as many as there are.
    """
    steps = []
    if asks is not None and asks.holds:
        what = ", ".join(name for name, _ in asks.holds)
        growth = 2 if any("all pairs" in name for name, _ in asks.holds) else 1
        steps.append(Step(name="fit the model", here=sum(size for _, size in asks.holds), growth=growth, note=what))
    if manner.name != "memory":
        held = TARGET_BYTES * TARGET_ROWS * row_bytes(schema)
        each = rows * (row_bytes(schema) + 2 * 16)
        steps.append(Step(name="sample targets", statements=6, copy=6, read=each, here=2 * held,
                          note=f"about {TARGET_ROWS:,} rows of each part, for attacks and quality"))  # fmt: skip
    columns = max(len(schema.modelled), 1)
    made = min(rows if drawn is None else drawn, most_rows(columns))
    note = None if drawn is not None or made >= rows else f"a sealed draft holds {made:,} rows of {columns} columns"
    steps.append(Step(name="draw rows", here=DRAWN_BYTES * made * columns, growth=1, note=note))
    return steps
