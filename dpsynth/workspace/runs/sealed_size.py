"""How many rows a sealed draft may have.

A draft is attacked, evaluated, judged and released as one table, so it is drawn, encrypted and opened in memory: about
20 bytes a cell at the peak (`mst` on Adult, 1,000,000 rows). A stream of parts would spare the memory and evade the
gate: what was judged would not be what leaves. So sealed drafts end here, and streams (`tabular.streams`) are for data
that is declared public.

>>> most_rows(15)
6666666
"""

from __future__ import annotations

from dpsynth.core.errors import ParameterError

MOST_CELLS = 100_000_000


def most_rows(columns: int) -> int:
    """Rows of the largest sealed draft with so many columns; a public fact."""
    return max(MOST_CELLS // max(columns, 1), 1)


def check_rows(rows: int | None, columns: int) -> None:
    """Refuse to seal more, before anything is drawn or spent.

    Raises:
        ParameterError: too many rows, or none.
    """
    if rows is None:
        return
    if rows < 1:
        raise ParameterError(f"Expected rows={rows} >= 1.", "Leave it out for as many as the model stands for.")
    if rows > (most := most_rows(columns)):
        raise ParameterError(
            f"{rows:,} rows of {columns} columns are more than a sealed draft holds: it is attacked, judged and "
            f"released as one table in memory, at most {MOST_CELLS:,} cells.",
            f"Ask for at most {most:,} rows. Parts (--to) are for models of data that is public.",
        )
