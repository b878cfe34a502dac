"""From the released numbers back: the noise in a fitted model is the noise that its events claim, to within 2 %.

The mechanisms' own tests look at draws. These look at what a model releases, so a scale lost, doubled or halved on the
way (in a plan, a merge, a repeated query) would show.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import chi2

from accounting.relation import PrivacyUnit
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.schema.derive import derive
from dpsynth.tabular.columns.oneway import measure_oneways
from dpsynth.tabular.independent import Independent
from tests.conformance.tables import schema

ALPHA = 1e-6
CATEGORIES = 60_000


def variance_is(errors: np.ndarray, sigma: float) -> bool:
    """Two-sided test of `Var(errors) == sigma^2` at alpha (the discrete Gaussian's kurtosis is the normal's)."""
    statistic = float((errors**2).sum()) / sigma**2
    return ALPHA / 2 < chi2.cdf(statistic, len(errors)) < 1 - ALPHA / 2


@pytest.mark.parametrize("records", [1, 4])
def test_released_one_way_counts_carry_the_noise_of_their_event(records):
    unit = PrivacyUnit() if records == 1 else PrivacyUnit(kind="user", column="id", max_records=records)
    of = schema(
        x={"kind": "categorical", "values": list(range(CATEGORIES))},
        y={"kind": "categorical", "values": list(range(CATEGORIES, 2 * CATEGORIES))},
    )
    rng = np.random.default_rng(0)
    codes = rng.integers(0, CATEGORIES, (2, 100_000))
    table = Table.from_arrow(
        pa.table({"x": pa.array(codes[0], pa.int64()), "y": pa.array(codes[1] + CATEGORIES, pa.int64())})
    )
    plan = Independent().plan(of, unit, epsilon="1", delta="1e-6")
    noise = unsafe_SeededNoise(3)
    domains, _ = derive(table, of, None, noise=noise)
    oneways, events = measure_oneways(table, domains, plan.settings, noise=noise)
    errors = np.concatenate(
        [
            oneways[name].counts - np.append(np.bincount(codes[at], minlength=CATEGORIES), 0)
            for at, name in enumerate(("x", "y"))
        ]
    )
    sigma = float(events[0].sigma)
    assert variance_is(errors, sigma)
    assert not variance_is(errors, 0.98 * sigma) and not variance_is(errors, 1.02 * sigma)
    assert float(events[0].l2_sensitivity) == records
    assert sigma == pytest.approx(float(plan.tree.events[0].sigma))
