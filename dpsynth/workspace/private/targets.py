"""Sealed targets: the rows of a table in an engine that attacks and quality look at.

Of each part a sample of units, whole up to `OF_A_UNIT` rows, is drawn while the table is as it was fitted, and
encrypted with the draft under the vault, so that a table that changes, or a server that is away, leaves the draft what
it was. What attacks need is kept and nothing else: the columns that are modelled and the one of time. Row keys are left
out, and people's identifiers are replaced by numbers, which say who belongs together and no more.

Beside them lies which version of the table they are of, and what told its rows apart, so that nothing is counted for a
draft on other rows later (`check_moment`).

The targets stay until a person deletes the files: once a draft is judged nothing but another look needs them.

Not guaranteed: that the rows are few in a small table; a table with fewer rows than `TARGETS` is kept whole. Nor that a
disk forgets what was deleted.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dpsynth.core.errors import SealError, WorkspaceError
from dpsynth.data.engines.protocol import SourceChanged
from dpsynth.data.table import Table
from dpsynth.release.documents import canonical
from dpsynth.release.formats import encode_parquet
from dpsynth.workspace.private.split import Split

if TYPE_CHECKING:
    from dpsynth.release.seal import Vault

TARGETS = 20_000
"""Rows that are drawn from each part, about."""
OF_A_UNIT = TARGETS // 20
"""Rows of one unit at most: with more, a sample of whole units could be empty, or the whole table."""
SAMPLED: Final = (
    f"Attacks and quality looked at a sample of the real rows, at most about {TARGETS:,} of each part of the data and "
    f"{OF_A_UNIT:,} of one unit; what is detectable is what this sample detects."
)
"""Of every data set in an engine, the same whether the table has more rows than that or fewer: which is private."""


def keep(vault: Vault, run_id: str, parts: Split[Table], columns: Sequence[str], unit: str | None) -> None:
    """Encrypt the parts.

    Args:
        vault: of the workspace.
        run_id: of the run that fitted.
        parts: rows that were drawn.
        columns: that are kept as they are.
        unit: the column that names people, if any; numbers take its place.
    """
    named = [(name, part) for name, part in _parts(parts) if part is not None]
    people = None if unit is None else _numbers([part.column(unit) for _, part in named])
    for at, (name, part) in enumerate(named):
        rows = part.select(tuple(column for column in columns if column != unit)).to_arrow()
        if people is not None and unit is not None:
            rows = rows.append_column(unit, people[at])
        vault.seal(f"{run_id}-real-{name}", encode_parquet(rows), {"kind": "targets"})


def kept(vault: Vault, run_id: str, *, later: bool) -> Split[Table]:
    """What `keep` encrypted.

    Raises:
        SealError: it was deleted or altered.
    """

    def part(name: str) -> Table:
        if not vault.holds(f"{run_id}-real-{name}"):
            raise SealError(
                f"The rows that run {run_id} drew for attacks and quality from its engine were deleted.",
                "What was judged stands: gate, review, report, release and sample go on without them. To attack or"
                " evaluate, synthesize again, which is charged.",
            )
        return Table.from_arrow(pq.read_table(io.BytesIO(vault.open(f"{run_id}-real-{name}"))))

    return Split(train=part("train"), holdout=part("holdout"), later=part("later") if later else None)


def keep_moment(vault: Vault, run_id: str, *, version: str, identity: str | None) -> None:
    """Encrypt which rows a run of an engine's table fitted.

    Args:
        vault: of the workspace.
        run_id: of the run.
        version: keyed commitment of what the table held.
        identity: the column that decided which part a row was in.
    """
    vault.seal(f"{run_id}-moment", canonical({"version": version, "identity": identity}), {"kind": "moment"})


def check_moment(vault: Vault, run_id: str, *, version: str, identity: str | None) -> None:
    """Refuse rows that the run did not fit.

    Raises:
        WorkspaceError: it is not known which they were.
        SourceChanged: they are others now.
        SealError: what was kept was altered.
    """
    if not (vault.drafts_dir / f"{run_id}-moment.json").is_file():
        raise WorkspaceError(
            "Which rows this draft was fitted to was not kept, so nothing can be counted for it.",
            "Synthesize again with this version.",
        )
    if vault.open(f"{run_id}-moment") != canonical({"version": version, "identity": identity}):
        raise SourceChanged(
            "The table holds other rows than when the draft was made, or another column tells them apart, so a count "
            "now would say nothing of this draft. Nothing was reserved.",
            "Put the rows back (files with their times), or synthesize again and ask for the new draft.",
        )


def _parts(parts: Split[Table]) -> tuple[tuple[str, Table | None], ...]:
    return ("train", parts.train), ("holdout", parts.holdout), ("later", parts.later)


def _numbers(columns: Sequence[pa.ChunkedArray]) -> list[pa.ChunkedArray]:
    """Each column with a number in place of each identifier, the same one in all, as the column's own type."""
    together = pa.chunked_array([chunk for column in columns for chunk in column.chunks], columns[0].type)
    number = pc.dictionary_encode(together.combine_chunks()).indices.cast(together.type)
    starts = [sum(len(column) for column in columns[:at]) for at in range(len(columns))]
    return [pa.chunked_array([number.slice(start, len(column))]) for start, column in zip(starts, columns, strict=True)]
