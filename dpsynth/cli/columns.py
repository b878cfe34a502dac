r"""Columns of a table as a terminal is wide: nothing that is shown is cut.

Where lines and all columns have room, they are there. Else the lines between columns go, then words are broken, then
columns that the command calls spare are left out one by one, and the line below says which.

>>> fitted(["step", ">cells"], [["count columns", "12"]], spare=["cells"], width=12)
Fitted(kept=(0,), cells=(('step',), ('count\ncolumns',)), lines=False)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

LINES, BLANKS = 3, 2
"""Characters for a column beyond its cells, with and without lines."""
LEGIBLE, SHORTEST = 18, 8
"""A column of words is broken to so many characters before another is left out, and to so few in the end."""


class Fitted(NamedTuple):
    """What is printed.

    Attributes:
        kept: columns by position.
        cells: the heads and each row, of the columns that are kept; a cell may hold line ends.
        lines: whether there is room for lines between columns.
    """

    kept: tuple[int, ...]
    cells: tuple[tuple[str, ...], ...]
    lines: bool


def fitted(heads: Sequence[str], rows: Sequence[Sequence[str]], *, spare: Sequence[str], width: int) -> Fitted:
    """Break words and leave out columns until the table fits; what cannot fit is as narrow as it can be.

    Args:
        heads: names; those of numbers begin with '>', and their cells are never broken.
        rows: cells.
        spare: columns to leave out, the first one first.
        width: of the terminal, in characters.
    """
    names = [name.lstrip(">") for name in heads]
    words = [not name.startswith(">") for name in heads]
    table = [tuple(names), *(tuple(row) for row in rows)]
    wide = [max(len(row[at]) for row in table) for at in range(len(names))]
    if sum(wide) + LINES * len(names) + 1 <= width:
        return Fitted(tuple(range(len(names))), tuple(table), True)
    least = [max(max(len(row[at]) for row in table[1:]) if rows else 0, *map(len, name.split()), 1)
             for at, name in enumerate(names)]  # fmt: skip
    kept = list(range(len(names)))
    left = list(spare)
    while True:
        room = width - BLANKS * (len(kept) - 1)
        floor = LEGIBLE if left else SHORTEST
        if left and sum(min(least[at], floor) if words[at] else least[at] for at in kept) > room:
            kept.remove(names.index(left.pop(0)))
            continue
        break
    sizes = {at: least[at] for at in kept}
    while sum(sizes.values()) > room:
        widest = max((at for at in kept if words[at]), key=lambda at: sizes[at], default=None)
        if widest is None or sizes[widest] <= SHORTEST:
            break
        sizes[widest] -= 1
    cells = tuple(tuple(broken(row[at], sizes[at]) for at in kept) for row in table)
    return Fitted(tuple(kept), cells, False)


def broken(cell: str, width: int) -> str:
    r"""A cell in lines of so many characters, ended at a space, after '_' or before '@' where there is one.

    >>> broken("nearest_neighbour", 10), broken("match_excess@fpr=0.001", 14)
    ('nearest_\nneighbour', 'match_excess\n@fpr=0.001')
    """
    lines, line = [], ""
    for part in re.findall(r"@?[^\s_@]+_*|[_@]+|\s+", cell):
        if line and len(line) + len(part) > width:
            lines.append(line.rstrip())
            line = ""
        line = part.lstrip() if not line else line + part
        while len(line) > width:
            lines.append(line[:width])
            line = line[width:]
    return "\n".join([*lines, line.rstrip()] if line.strip() or not lines else lines)
