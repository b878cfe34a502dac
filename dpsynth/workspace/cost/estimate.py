"""CPU time, from what was measured on one machine and stands in `measured.json` with its command.

A histogram costs something however few rows there are (its cells leave the engine), and the rows to a power that is
fitted to the sizes that were run. For an engine that was not measured the answer is what another one took, and says so.
It says nothing of other machines, or of other tables; an answer carries where it comes from.

>>> exponent([(1e6, 1.0), (1e7, 10.0), (1e8, 100.0)])
1.0
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any, final

import numpy as np


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """CPU seconds in the engine.

    Attributes:
        singles: for histograms from raw cells.
        joint: for codes and histograms of them.
        exponents: of rows, of both.
        beyond: how many times more rows than any that was measured; 1 or less within.
        engine: that was measured.
        measured: machine, command and date.
    """

    singles: float
    joint: float
    exponents: tuple[float, float]
    beyond: float
    engine: str
    measured: str

    @property
    def seconds(self) -> float:
        """Of all."""
        return self.singles + self.joint

    def elsewhere(self, engine: str) -> str:
        """Words for an engine that was not measured."""
        return "" if engine == self.engine else f" if {engine} counts as fast as {self.engine}"

    def to_json(self) -> dict[str, Any]:
        """`time` of `plan --json`."""
        return {
            "cpu_seconds": round(self.seconds, 1),
            "singles": round(self.singles, 1),
            "joint": round(self.joint, 1),
            "exponents": {"singles": round(self.exponents[0], 3), "joint": round(self.exponents[1], 3)},
            "beyond": round(self.beyond, 2),
            "engine": self.engine,
            "measured": self.measured,
        }


def estimated(engine: str, rows: int, singles: int, joint: int) -> Estimate:
    """CPU seconds of so many histograms, in this engine if it was measured, else in one that was.

    Args:
        engine: its name.
        rows: that are counted.
        singles: histograms from the raw cells.
        joint: histograms of codes, the codes' own scan included.
    """
    known = _facts()
    own = engine if engine in known else next(iter(known))
    facts = known[own]
    powers, seconds = [], []
    for step, asked in (("singles", singles), ("joint", joint)):
        each = facts[step]["histograms"]
        points = [(float(point["rows"]), float(point["cpu_s"]) / each) for point in facts[step]["points"]]
        powers.append(exponent(points))
        most, cost = max(points)
        seconds.append(asked * (facts[step]["least_s"] + cost * (rows / most) ** powers[-1]))
    largest = max(point["rows"] for step in ("singles", "joint") for point in facts[step]["points"])
    return Estimate(
        singles=seconds[0],
        joint=seconds[1],
        exponents=(powers[0], powers[1]),
        beyond=rows / largest,
        engine=own,
        measured=f"{facts['machine']}; {facts['command']}; {facts['date']}",
    )


def exponent(points: Sequence[tuple[float, float]]) -> float:
    """Least squares in logarithms of (rows, seconds)."""
    rows, seconds = ([math.log(value) for value in values] for values in zip(*points, strict=True))
    return float(round(np.polyfit(rows, seconds, 1)[0], 6))


@cache
def _facts() -> dict[str, Any]:
    document: dict[str, Any] = json.loads(
        resources.files("dpsynth.workspace.cost").joinpath("measured.json").read_text("utf-8")
    )
    return document["engines"]  # type: ignore[no-any-return]
