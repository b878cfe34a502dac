"""A release beside real tables: one coding for all of them, and the rows of the release that are held.

A release of no more rows than its sample is held whole. Of a larger one a random sample is held, for attacks that
learn, and all others go through it block by block (`attacks.passes`). What is in memory then is a block, its points
(4 bytes a dimension), the sample, the real tables, and the different texts of each column.

>>> real = pd.DataFrame({"age": [20, 30, 40], "city": list("aab")})
>>> release = Released.of(pd.concat([real] * 100_000), sample=1000)
>>> found = code({"real": real}, release, scale_on="real", rng=np.random.default_rng(0))
>>> len(found.release), [len(block) for block in found.blocks]
(1000, [262144, 37856])

Not guaranteed: a rank within the sample; ranks are those of the real table that sets the scale.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from attacks.blocks import Block
from attacks.encoding import Coding, Encoded, kind_of, longer
from attacks.errors import AttackInputError
from attacks.inputs import check_types
from attacks.passes import Passes
from attacks.released import Released

MOST_TEXTS = 250_000
"""Most different texts of one column of a release that is read in blocks; their codes take 64 MiB."""


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Coded:
    """Real tables, and a release beside them: the rows that are held, and all of them if these are not."""

    frames: Mapping[str, Encoded]
    release: Encoded
    passes: Passes | None
    coding: Coding

    @property
    def blocks(self) -> Iterable[Encoded | Block]:
        """All rows of the release."""
        return (self.release,) if self.passes is None else self.passes


def code(frames: Mapping[str, pd.DataFrame], release: Released, *, scale_on: str, rng: np.random.Generator) -> Coded:
    """Codes aligned real tables and a release with the same columns.

    A release that is not held whole is gone through once, for the texts that occur in it.

    Args:
        frames: aligned tables.
        release: aligned by its first block.
        scale_on: name of the table whose ranges set the scale of numeric columns.
        rng: of the rows that are held; nothing else that it draws changes.

    Raises:
        AttackInputError: a later block cannot be compared, or a column holds too many different texts.
    """
    columns = tuple(frames[scale_on].columns)
    held = release.drawn(release.sample, rng.spawn(1)[0], columns)  # what else `rng` draws is the same with a sample
    more = None if release.whole else _seen(frames, release, columns)
    coding = Coding.of({**frames, "release": held}, scale_on=scale_on, texts=more)
    return Coded(
        frames={name: coding.encode(frame) for name, frame in frames.items()},
        release=coding.encode(held),
        passes=None if release.whole else Passes(source=release, coding=coding, columns=columns),
        coding=coding,
    )


def _seen(frames: Mapping[str, pd.DataFrame], release: Released, columns: Sequence[Hashable]) -> list[list[pd.Series]]:
    """For each column what a coding must know of it: new texts of each block, or one value of each kind."""
    real = [{name: _one_value(frame[column]) for name, frame in frames.items()} for column in columns]
    found: list[list[pd.Series]] = [[] for _ in columns]
    texts = [pd.Index([], dtype=object) for _ in columns]
    for block in release.blocks(columns):
        for at, column in enumerate(columns):
            part = block[column]
            check_types(str(column), {**real[at], "release": part})
            if kind_of(part) not in ("text", "boolean"):
                if not found[at]:
                    found[at].append(_one_value(part))
                continue
            values = pd.Series(part.unique()).dropna()
            new = values[~values.isin(texts[at])]
            if len(new):
                texts[at] = longer(texts[at], pd.Index(new, dtype=object))
                found[at].append(new)
            if len(texts[at]) > MOST_TEXTS:
                raise AttackInputError(
                    f"Column {str(column)!r} of the release holds more than {MOST_TEXTS:,} different texts, which have "
                    "no distance that tells people apart.",
                    "Drop the column from all tables, or attack it as text.",
                )
    return found


def _one_value(part: pd.Series) -> pd.Series:
    return part[part.notna()].iloc[:1]
