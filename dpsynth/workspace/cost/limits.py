"""What breaks first: each cost beside what it may be, worst first, and the advice that follows.

Limits are this machine's memory, a day of one core, what engines and drafts hold, and one row in a hundred for noise:
round numbers to compare with, not measurements. Costs are worst cases, so a part of 0.3 is comfortable.
"""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

from dpsynth.core.amounts import DAY, duration, size
from dpsynth.data.table import MAX_CELLS
from dpsynth.workspace.cost.around import row_bytes
from dpsynth.workspace.cost.steps import Step

if TYPE_CHECKING:
    from dpsynth.schema.model import Schema
    from dpsynth.tabular.asks import Asks
    from dpsynth.tabular.protocol import Plan
    from dpsynth.workspace.cost.estimate import Estimate
    from dpsynth.workspace.cost.manners import Manner

SEEN = 0.01
"""Part of the rows that a dependence should move at most before scores show it."""
DECLARE = "Declare values and bounds in the schema: what is public costs no question and bounds every table."
BLOCKS = (
    "Fewer pairs: make blocks of columns that belong together (a schema each, `drop: true` for the others), each a run "
    "with its own part of the budget; dependence between blocks is lost. Or `independent`, which asks for no pair."
)
COARSER = "Declare coarser public bins (bounds, precision, a closed list), so that tables are smaller."


@final
@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """A cost beside what it may be.

    Attributes:
        name: of the cost.
        part: of the limit that is used, worst case; 1 and more breaks.
        says: the cost and the limit in words.
        advice: what to do about it.
    """

    name: str
    part: float
    says: str
    advice: str

    def to_json(self) -> dict[str, Any]:
        """One of the `limits` of `plan --json`."""
        return {"name": self.name, "part": float(f"{self.part:.3g}"), "says": self.says, "advice": self.advice}


def memory_of_this_machine() -> int:
    """Bytes of physical memory."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def limits(
    manner: Manner,
    schema: Schema,
    plan: Plan,
    asks: Asks | None,
    steps: Sequence[Step],
    *,
    rows: int,
    fitted: int,
    time: Estimate | None,
    memory: int,
) -> tuple[Limit, ...]:
    """All limits that apply, worst first.

    Args:
        manner: of the engine.
        schema: public facts.
        plan: of the run.
        asks: what the generator says; None if nothing.
        steps: of the run.
        rows: of the table, about.
        fitted: of the training part.
        time: estimate, if there is one.
        memory: bytes that this machine has.
    """
    columns = len(schema.modelled)
    found = [_memory(manner, schema, asks, steps, rows, memory)]
    if time is not None:
        joint = time.joint >= time.singles
        found.append(
            Limit(
                name="time",
                part=time.seconds / DAY,
                says=f"about {duration(time.seconds)} of CPU time to count{time.elsewhere(manner.name)}, most of it "
                f"{'pairs of columns' if joint else 'single columns'}, against a day of one core",
                advice=BLOCKS if joint else DECLARE,
            )
        )
    if asks is not None and (counted := [ask for ask in asks.asks if ask.reads == "histograms"]):
        largest = max(math.prod(a.sizes[n] + 1 for n in clique) for a in counted for clique in a.cliques)
        says = f"the largest histogram has up to {largest:,} cells of {MAX_CELLS:,} that one may have"
        found.append(Limit(name="cells", part=largest / MAX_CELLS, says=says, advice=COARSER))
    if manner.most_columns is not None:
        says = f"{len(schema.columns)} columns of at most {manner.most_columns:,} that a relation of {manner.name} has"
        found.append(Limit(name="columns", part=len(schema.columns) / manner.most_columns, says=says, advice=BLOCKS))
    for scales in plan.settings.rounds[:1]:
        noise = float(scales.score_sigma)
        moved = 2 * noise / fitted
        found.append(
            Limit(
                name="noise of scores",
                part=moved / SEEN,
                says=f"the score of a pair has noise of {noise:,.0f} rows, so a dependence that moves less than "
                f"{moved:.2g} of the rows is not told from noise, against {SEEN:g}",
                advice=f"More rows, more epsilon, or fewer columns: {columns * (columns - 1) // 2:,} scores share it.",
            )
        )
    return tuple(sorted(found, key=lambda one: -one.part))


def _memory(manner: Manner, schema: Schema, asks: Asks | None, steps: Sequence[Step], rows: int, memory: int) -> Limit:
    """The step that needs most; beside the table itself, if that is here."""
    peak = max(steps, key=lambda step: step.here)
    table = rows * row_bytes(schema) if manner.name == "memory" else 0
    of_table = f" beside a table of {size(table)}" if table else ""
    advice = COARSER
    if asks is not None and peak.name in ("find spikes and count columns", "find categories", "read the file"):
        advice = "Let an engine hold the rows." if table else DECLARE
    elif peak.growth == 2:
        advice = BLOCKS
    elif peak.name == "draw rows":
        advice = "Ask for fewer synthetic rows (--draw)."
    return Limit(
        name="memory here",
        part=(table + peak.here) / memory,
        says=f"'{peak.name}' may need {size(peak.here)}{of_table}; this machine has {size(memory)}",
        advice=advice,
    )
