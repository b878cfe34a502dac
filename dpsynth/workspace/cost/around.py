"""Steps before and after the fit: opening, checks, split, bound; model, targets, rows. As the engines' modules do them.

Not guaranteed: what a source that is a view does by itself each time that it is read.
"""

from __future__ import annotations

from dataclasses import replace

from dpsynth.data.engines.facts import MOST_OUTPUTS
from dpsynth.quality.published.cells import MOST, SIDE, pairs_of
from dpsynth.schema.model import Schema
from dpsynth.tabular.asks import Asks
from dpsynth.workspace.cost.manners import RAW_BYTES, Manner
from dpsynth.workspace.cost.steps import Relation, Step, scans
from dpsynth.workspace.private.targets import TARGETS
from dpsynth.workspace.runs.sealed_size import most_rows

DRAWN_BYTES = 20
"""Of a cell of a draft at the peak of drawing and sealing: `sealed_size`."""
TARGET_BYTES = 3
"""Times the bytes of the rows that a sample of targets may hold at most: `data.engines.rows.MOST`."""
NUMBERS, TEXTS = ("integer", "float"), ("categorical", "text")
IDENTITY_BYTES = 16
"""Of what tells rows or people apart; supposed, since it may be text."""


def row_bytes(schema: Schema) -> int:
    """Raw bytes of a row: every column that is not dropped."""
    return sum(RAW_BYTES[spec.kind] for spec in schema.columns.values() if not spec.drop)


def fitted_from(manner: Manner, *, by_unit: bool) -> Relation:
    """What a fit reads: the bounded rows of units are a copy, and rows of a split are found anew in each scan."""
    return "copy" if manner.copies or by_unit else "source"


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
    of: Relation = "copy" if manner.copies else "source"
    opened = Step(
        name="open",
        statements=int(manner.copies) + int(finite and manner.copies),
        source=int(manner.copies),
        copy=int(finite and manner.copies),
        read=kept + floats if manner.copies else 0,
        written=kept if manner.copies else 0,
        note="raw cells are copied; numbers that are not finite are refused"
        if manner.copies
        else "numbers that are not finite are refused: by footers, and a scan only where these do not say",
    )
    unit = rows * (IDENTITY_BYTES if manner.columnar else kept // rows)
    named = 1 if by_unit else 3
    steps = [
        opened,
        _checks(schema, of, kept),
        _digest(manner, of, kept),
        Step(name="split", statements=named, **scans(of, named), read=named * unit,
             note=f"by keyed hashes of {'the unit' if by_unit else 'what tells rows apart'}, in each scan"),
    ]  # fmt: skip
    if by_unit:
        steps.append(Step(name="bound rows of a unit", statements=4, **scans(of, 4), read=unit + kept, written=kept,
                          shuffles=2 * manner.shuffles, note="of both parts; rows in order within each"))  # fmt: skip
    return steps


def quality_marginals(schema: Schema, unit: str | None) -> list[tuple[str, ...]]:
    """Columns and pairs that bought quality counts: a public rule, by names and target."""
    names = [name for name in schema.modelled if name != unit and schema.columns[name].kind != "text"][:MOST]
    return [*((name,) for name in names), *pairs_of(names, schema.target)]


def steps_of_quality(manner: Manner, schema: Schema, rows: int, fitted: int, *, unit: str | None) -> list[Step]:
    """Buying quality (`--publish-quality`) for a draft: the rows are opened, checked and split again, then counted.

    Args:
        manner: of the engine.
        schema: public facts.
        rows: of the whole table, about.
        fitted: of the training part, about.
        unit: the column that names a unit of several rows; None if a row is one.
    """
    marginals = quality_marginals(schema, unit)
    singles = sum(len(names) == 1 for names in marginals)
    cells = singles * SIDE + (len(marginals) - singles) * SIDE**2
    counted = Step(name="count", histograms=len(marginals), cells=cells, here=8 * cells, growth=1)
    before = [step for step in steps_before(manner, schema, rows, by_unit=unit is not None) if "bound" not in step.name]
    if manner.name != "memory":
        of, many = fitted_from(manner, by_unit=unit is not None), len(marginals) > 1
        sent, width = manner.statements(marginals), singles * fitted
        texts = sum(schema.columns[name].kind in TEXTS for (name,) in marginals[:singles])
        number = {"source": 0, "copy": 0, of: 1}
        if unit is not None:
            kept = fitted * (row_bytes(schema) + manner.row_bytes)
            raw: Relation = "copy" if manner.copies else "source"
            before.append(
                Step(
                    name="bound rows of a unit",
                    statements=2,
                    **scans(raw, 2),
                    read=2 * kept,
                    written=kept,
                    shuffles=manner.shuffles,
                )
            )
        counted = replace(
            counted,
            statements=sent.number + many,
            uploads=2 * texts,
            source=number["source"],
            copy=number["copy"],
            codes=sent.number if many else 0,
            read=fitted * row_bytes(schema) + sent.columns * fitted,
            written=width,
            shuffles=sent.number * manner.shuffles,
            note="in cells that the released rows decide",
        )
    return [replace(step, name=f"quality: {step.name}") for step in (*before, counted)]


def _digest(manner: Manner, of: Relation, kept: int) -> Step:
    """So that a run is resumed on equal rows only: files by what their footers say, rows elsewhere by one statement."""
    if manner.name == "duckdb":
        return Step(name="digest the rows", note="names, sizes, times and footers of the files: no scan")
    return Step(name="digest the rows", statements=1, **scans(of, 1), read=kept, note="to resume on equal rows only")


def _checks(schema: Schema, of: Relation, kept: int) -> Step:
    """At most, by `data.engines.facts`: a look at the first rows, which are kept for a moment, and three scans."""
    specs = [spec for spec in schema.columns.values() if not spec.drop]
    numbers, texts = (sum(spec.kind in kinds for spec in specs) for kinds in (NUMBERS, TEXTS))
    look = -(-(1 + 2 * numbers + len(specs)) // MOST_OUTPUTS)
    first = -(-(4 + len(schema.constraints) + 2 * len(specs)) // MOST_OUTPUTS)
    second = -(-(5 * numbers + texts) // MOST_OUTPUTS) if numbers or texts else 0
    number = {"source": 0, "copy": look}
    number[of] += 1 + first + second + 1
    return Step(
        name="check",
        statements=1 + look + first + second + 1,
        source=number["source"],
        copy=number["copy"],
        read=(first + second + 1) * kept,
        note="the last two scans only where the first leaves a question",
    )


def steps_after(
    manner: Manner, schema: Schema, asks: Asks | None, rows: int, drawn: int | None, *, by_unit: bool
) -> list[Step]:
    """The model, targets for attacks and quality, and the rows that are drawn.

    Args:
        manner: of the engine.
        schema: public facts.
        asks: what the generator says; None if it says nothing.
        rows: of the whole table, about.
        drawn: synthetic rows; None for as many as there are.
        by_unit: whether a unit is more than a row.
    """
    steps = []
    if asks is not None and asks.holds:
        what = ", ".join(name for name, _ in asks.holds)
        growth = 2 if any("all pairs" in name for name, _ in asks.holds) else 1
        steps.append(Step(name="fit the model", here=sum(size for _, size in asks.holds), growth=growth, note=what))
    if manner.name != "memory":
        held = TARGET_BYTES * TARGETS * row_bytes(schema)
        drawn_from = fitted_from(manner, by_unit=by_unit)
        each = rows * (row_bytes(schema) + 2 * IDENTITY_BYTES)
        steps.append(Step(name="draw targets", statements=4, **scans(drawn_from, 4), read=each,
                          here=2 * held, note=f"about {TARGETS:,} rows of each part, for attacks"))  # fmt: skip
    columns = max(len(schema.modelled), 1)
    made = min(rows if drawn is None else drawn, most_rows(columns))
    note = None if drawn is not None or made >= rows else f"a sealed draft holds {made:,} rows of {columns} columns"
    steps.append(Step(name="draw rows", here=DRAWN_BYTES * made * columns, growth=1, note=note))
    return steps
