"""One trial: a table is damaged by a seed, and judged. Fresh seeds, on which no choice was made, are 200 to 219."""

from __future__ import annotations

from typing import Final

from dpsynth.quality.sabotage import SABOTAGES, sabotaged
from tests.quality.worlds import Split, judged

REAL: Final = "real rows"
NAMES: Final = (REAL, *SABOTAGES)
SEEDS: Final = range(200, 220)
ENOUGH: Final = 19
_NEED_TARGET: Final = {"group_target_excess", "tstr_auc"}
_ALL_TRIPLES: Final = 11
"""Columns of which all triples are looked at, so that the target decides none of them."""


def trial(name: str, split: Split, target: str, seed: int) -> list[str] | None:
    """What was missed: of the metrics that must notice, those that did not; of real rows and copies, those that did.

    None where the table has not what the damage takes. Models of utility and detection are trained only where a metric
    of the list needs them: no other figure depends on them, if a table has few columns.
    """
    made = split["fresh"]
    if name != REAL:
        damaged = sabotaged(name, fresh=split["fresh"], real=split["real"], target=target, seed=seed)
        if damaged is None:
            return None
        made = damaged
    must = () if name == REAL else SABOTAGES[name].must
    asked = not must or any(one in _NEED_TARGET for names in must for one in names.split("|"))
    report = judged(
        split,
        made,
        target,
        predict=asked or made.shape[1] > _ALL_TRIPLES,
        detection=not must or "detection_auc" in must,
    )
    if must:
        return list(SABOTAGES[name].missed(report))
    return sorted(metric.name for metric in report.metrics if metric.noticed)
