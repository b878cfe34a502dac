"""Texts as they come from a user: a list, a Series, or a column of a table; checked before anything is attacked.

A missing text is nobody's writing and is left out. Anything else that is not text is refused: guessing what a number
or some bytes mean would change what is compared. Messages name the table and the type, never a text.

>>> texts_of("real", ["a b", None, "c"])
['a b', 'c']

Not guaranteed: that the texts are of one language, or clean.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from attacks.errors import AttackInputError

Source: TypeAlias = Any
"""A list or Series of texts, or a DataFrame with a column of them; what else it is, is found out and said."""


def texts_of(name: str, source: Source, column: str | None = None) -> list[str]:
    """The texts of a source without missing ones.

    Raises:
        AttackInputError: no such column, something else than text, or no text at all.
    """
    texts: list[str] = []
    for text in _cells(name, source, column):
        if isinstance(text, str):
            texts.append(text)
        elif not _missing(text):
            raise AttackInputError(
                f"The {name} texts hold a {type(text).__name__}, which is not text.", "Convert or decode it first."
            )
    if not texts:
        raise AttackInputError(f"There is no {name} text, so there is nothing to compare.", "Pass its texts.")
    return texts


def units_of(name: str, source: Source, column: str | None, unit: str) -> NDArray[np.generic]:
    """Whose each text is, for the texts that `texts_of` keeps."""
    if not isinstance(source, pd.DataFrame) or unit not in source.columns:
        raise AttackInputError(f"The {name} table lacks the unit column {unit!r}.", "Pass tables that have it.")
    kept = np.array([not _missing(text) for text in _cells(name, source, column)], dtype=bool)
    return np.asarray(source[unit].to_numpy(dtype=object)[kept])


def _cells(name: str, source: Source, column: str | None) -> list[object]:
    if isinstance(source, pd.DataFrame):
        if column is None:
            raise AttackInputError(
                f"The {name} texts come as a table, and no column is named.", "Name the text column."
            )
        if (source.columns == column).sum() != 1:
            raise AttackInputError(
                f"The {name} table does not have exactly one column {column!r}.", "Name its text column."
            )
        return list(source[column])
    if isinstance(source, str | bytes) or not isinstance(source, Iterable):
        raise AttackInputError(
            f"The {name} texts are a single {type(source).__name__}.", "Pass a list of texts, or a table and a column."
        )
    return list(source)


def _missing(text: object) -> bool:
    return text is None or text is pd.NA or text is pd.NaT or (isinstance(text, float) and np.isnan(text))
