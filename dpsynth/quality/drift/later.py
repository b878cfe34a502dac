"""Synthetic rows against the real future, beside the real past against the same future.

Tomorrow's rows differ from yesterday's, and no synthesizer can know how. So `later_tvd1` and `later_tvd2` stand beside
the distance of the real training rows to the same later rows (`reference`: real drift; of as many real rows as there
are synthetic ones, if there are more) and beside two halves of the later rows (`floor`: finite rows alone). What a
synthetic table adds to the drift is value less reference.

Not guaranteed: a comparison at equal numbers of rows where the synthetic table has more than the real one.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from dpsynth.quality.coding import Coded
from dpsynth.quality.marginals import Joint, PairDistances, one_way, total_variation
from dpsynth.quality.report import Metric

HALVES = "later_half", "other_later_half"
EVEN = "as many real rows"
_AGAINST: Mapping[str, tuple[str, str]] = {
    "value": ("later", "synthetic"), "reference": ("later", EVEN), "floor": HALVES
}  # fmt: skip


def with_halves(coded: Coded, rng: np.random.Generator) -> Coded:
    """The coded tables, two random halves of the later rows, and no more real rows than synthetic ones."""
    later, real = coded.tables["later"], coded.tables["real"]
    order = rng.permutation(later.shape[1])
    middle = max(order.size // 2, 1)
    some = rng.permutation(real.shape[1])[: coded.tables["synthetic"].shape[1]]
    return coded.with_tables(
        {HALVES[0]: later[:, order[:middle]], HALVES[1]: later[:, order[middle:]], EVEN: real[:, some]}
    )


class LaterDistances:
    """Takes in joint histograms of pairs, and gives the metrics.

    Args:
        coded: tables with `later` and its halves.
        time: the column of time, which no distance counts: it differs by construction.
    """

    def __init__(self, coded: Coded, *, time: str | None) -> None:
        self._coded = coded
        self._time = None if time is None else coded.columns.index(time)
        self._pairs = {key: PairDistances(left=left, right=right) for key, (left, right) in _AGAINST.items()}

    def add(self, joint: Joint) -> None:
        """Take in one more pair of columns."""
        if self._time not in joint.places and self._coded.tables["later"].shape[1] > 1:
            for distances in self._pairs.values():
                distances.add(joint)

    def metrics(self) -> list[Metric]:
        """Mean and maximum over columns and over pairs; nothing if there are no pairs or one later row."""
        if not self._pairs["value"].values:
            return []
        names = {name for tables in _AGAINST.values() for name in tables}
        counts = {name: one_way(self._coded, name) for name in names}
        places = [place for place in range(len(self._coded.columns)) if place != self._time]
        alone = {
            key: [total_variation(counts[left][i], counts[right][i]) for i in places]
            for key, (left, right) in _AGAINST.items()
        }
        mean = {key: one.mean() for key, one in self._pairs.items()}
        return [
            _metric("later_tvd1_mean", {key: float(np.mean(values)) for key, values in alone.items()}),
            _metric("later_tvd1_max", {key: float(np.max(values)) for key, values in alone.items()}),
            _metric("later_tvd2_mean", {key: found.value for key, found in mean.items()}).model_copy(
                update={
                    "ci_low": mean["value"].low, "ci_high": mean["value"].high,
                    "reference_low": mean["reference"].low, "reference_high": mean["reference"].high,
                }
            ),
            _metric("later_tvd2_max", {key: float(max(one.values)) for key, one in self._pairs.items()}),
        ]  # fmt: skip


def _metric(name: str, by: Mapping[str, float]) -> Metric:
    return Metric(name=name, group="time", better="low", confidentiality="internal", **by)
