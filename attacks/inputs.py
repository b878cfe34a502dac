"""Checks and alignment of the tables before anything is attacked.

Columns are matched by name, so their order does not matter; a missing, doubled or differently typed column is an
error that names it. A holdout that shares rows with training voids every comparison made here, so it is refused, but
only when the shared rows exceed what duplicates explain: on a table where half of the rows have a twin, half of an
honest holdout has a twin in training too. The expected share is that of training rows with a twin in training.

Not guaranteed: a few shared rows among thousands are not distinguishable from chance and pass; they bias the
estimates towards "no leak" by their share.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.special import bdtrc

from attacks.encoding import kind_of
from attacks.errors import AttackInputError
from attacks.protocol import Roles

OVERLAP_ALPHA = 1e-6
_COMPATIBLE = ({"number", "boolean"}, {"text", "boolean"})


def align(frames: Mapping[str, pd.DataFrame], *, columns_of: str) -> dict[str, pd.DataFrame]:
    """The same tables with the columns of `frames[columns_of]` in its order.

    Raises:
        AttackInputError: not a table, no rows, doubled, missing or extra columns, types that cannot be compared,
            infinite numbers.
    """
    for name, frame in frames.items():
        if not isinstance(frame, pd.DataFrame):
            raise AttackInputError(f"The {name} table is a {type(frame).__name__}.", "Pass a pandas DataFrame.")
        doubled = sorted({str(c) for c in frame.columns[frame.columns.duplicated()]})
        if doubled:
            raise AttackInputError(f"The {name} table has two columns called {_names(doubled)}.", "Rename one.")
        if len(frame) == 0:
            raise AttackInputError(f"The {name} table has no rows, so there is nothing to compare.", "Pass its rows.")
    columns = list(frames[columns_of].columns)
    if not columns:
        raise AttackInputError(f"The {columns_of} table has no columns.", "Pass at least one column.")
    for name, frame in frames.items():
        missing = [str(c) for c in columns if c not in frame.columns]
        extra = [str(c) for c in frame.columns if c not in columns]
        if missing:
            raise AttackInputError(
                f"The {name} table lacks the column {_names(missing)} of the {columns_of} table.",
                "Add it, or drop it from all tables.",
            )
        if extra:
            raise AttackInputError(
                f"The {name} table has the column {_names(extra)}, which the {columns_of} table lacks.",
                "Drop it, or add it to all tables.",
            )
    aligned = {name: frame[columns].reset_index(drop=True) for name, frame in frames.items()}
    for column in columns:
        check_types(str(column), {name: frame[column] for name, frame in aligned.items()})
    return aligned


def _names(columns: list[str]) -> str:
    shown = ", ".join(repr(c[:60]) for c in columns[:5])
    return shown if len(columns) <= 5 else f"{shown} and {len(columns) - 5} more"


def check_types(column: str, parts: Mapping[str, pd.Series]) -> None:
    """Raises AttackInputError if parts of a column cannot be compared, or hold infinite numbers."""
    kinds = {name: kind_of(part) for name, part in parts.items()}
    present = set(kinds.values()) - {"missing"}
    if len(present) > 1 and not any(present <= pair for pair in _COMPATIBLE):
        listed = ", ".join(f"{kind} in {name}" for name, kind in kinds.items())
        raise AttackInputError(
            f"Column {column!r} has types that cannot be compared: {listed}.",
            "Read all tables with the same types, for instance by one schema.",
        )
    for name, part in parts.items():
        if kinds[name] == "number" and np.isinf(part.to_numpy(dtype=np.float64, na_value=np.nan)).any():
            raise AttackInputError(
                f"Column {column!r} of the {name} table holds infinite numbers, which have no distance.",
                "Replace them by missing values or by a finite code.",
            )


def check_roles(roles: Roles, columns: list[str]) -> None:
    """Raises AttackInputError if a role names a column that the tables lack."""
    named = {*roles.sensitive, *roles.quasi_identifiers, *filter(None, (roles.target, roles.unit))}
    unknown = sorted(named - set(columns))
    if unknown:
        raise AttackInputError(
            f"A role names the column {_names(unknown)}, which the tables lack.", "Correct the roles."
        )


def check_units(members: pd.Series, nonmembers: pd.Series) -> None:
    """Raises AttackInputError if a person (unit) stands on both sides."""
    if set(members.dropna().unique()) & set(nonmembers.dropna().unique()):
        raise AttackInputError(
            f"Units of column {members.name!r} stand both in training and in the holdout: the split is broken and "
            "membership means nothing.",
            "Split by unit and fit again.",
        )


class Identified(Protocol):
    """Rows of which equal ones have equal `ids`."""

    @property
    def ids(self) -> NDArray[np.integer]:
        """One number a row."""

    def __len__(self) -> int:
        """Number of rows."""


def check_overlap(members: Identified, nonmembers: Identified) -> None:
    """Raises AttackInputError if more holdout rows equal a training row than duplicates explain.

    Under a random split a holdout row has a twin in training about as often as a training row has one among the
    other training rows. The count is compared with that share by a binomial test at 1e-6, with the share itself taken
    four standard errors high, so honest splits of data full of duplicates pass.
    """
    shared = int(np.isin(nonmembers.ids, members.ids).sum())
    if shared == 0:
        return
    _, inverse, counts = np.unique(members.ids, return_inverse=True, return_counts=True)
    n = len(members)
    twins = float((counts[inverse] > 1).mean())
    rate = min(1.0, twins + 4.0 * math.sqrt(twins * (1.0 - twins) / n) + 4.0 / n)
    if float(bdtrc(shared - 1, len(nonmembers), rate)) < OVERLAP_ALPHA and rate < 1.0:
        raise AttackInputError(
            "More holdout rows also stand in the training data than duplicates explain: the split is broken and "
            "membership results would be void.",
            "Take a holdout that was never used for training.",
        )
