"""Whom nobody resembles: the rows that a generator remembers first, and that an average sees last.

>>> people = pd.DataFrame({"age": [30, 31, 32, 33, 34, 35, 36, 99], "rooms": [3, 3, 4, 4, 3, 3, 4, 40]})
>>> most_isolated(people, 1).tolist()
[7]

Not guaranteed: that isolation in this measure is what an intruder would look for.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attacks.encoding import encode
from attacks.errors import AttackParameterError
from attacks.neighbours import nearest

NEIGHBOURS = 5


def most_isolated(rows: pd.DataFrame, number: int) -> NDArray[np.intp]:
    """Positions of the rows that are farthest from their five nearest others, the farthest first.

    Args:
        rows: a table; columns are put on the scales that the attacks use.
        number: how many, at most all.

    Raises:
        AttackParameterError: the number is negative or larger than the table.
    """
    if not 0 <= number <= len(rows):
        raise AttackParameterError(f"Expected 0 <= number <= rows, got {number}.", "Ask for as many rows as there are.")
    points = encode({"rows": rows}, scale_on="rows")[0]["rows"].points
    others = nearest(points, points, k=NEIGHBOURS + 1)[0][:, 1:]
    return np.argsort(-others.mean(axis=1), kind="stable")[:number]
