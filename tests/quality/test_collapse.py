from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.data.table import Table
from dpsynth.quality.collapse import Line, follow, simulate
from dpsynth.simulation import Population, mixture, network
from dpsynth.workspace.runs.public import synthesize_public


def together(tables: Sequence[Table]) -> Table:
    return Table.from_arrow(pa.concat_tables([table.to_arrow() for table in tables]))


def resampled(table: Table, seed: int) -> Table:
    """The generator that knows its training rows by heart: 400 of them, drawn with replacement."""
    rows = np.random.default_rng(seed).integers(0, len(table.to_arrow()), 400)
    return table.take(rows)


def memory(law: Population, scheme: str, rounds: int = 12) -> Line:
    return simulate(law, resampled, together=together, rows=400, rounds=rounds, scheme=scheme, seed=3)


@pytest.mark.parametrize("make", [network, mixture])
def test_replaced_rows_narrow_round_by_round_and_accumulated_ones_do_not(make) -> None:
    """Drift of resampling: without new rows each round loses what it did not draw, and nothing brings it back."""
    law = make(columns=6, seed=1)
    replaced, kept = memory(law, "replace"), memory(law, "accumulate")
    assert {"coverage", "diversity", "error"} <= set(replaced.narrowing)
    assert "the line narrows" in replaced.warnings[0]
    coverage = [step.coverage for step in replaced.rounds]
    assert coverage == sorted(coverage, reverse=True)  # what is lost stays lost
    last, first = replaced.rounds[-1], replaced.rounds[0]
    assert last.error > 1.5 * first.error
    assert last.diversity < 0.9 * first.diversity
    assert kept.rounds[-1].error < (first.error + last.error) / 2
    assert kept.rounds[-1].coverage > (first.coverage + last.coverage) / 2
    assert (len(replaced.rounds), replaced.confidentiality) == (13, "public")


def test_a_real_generator_drifts_away_when_replaced_and_stays_when_anchored() -> None:
    law = network(columns=6, seed=1)

    def mst(table: Table, seed: int) -> Table:
        made = synthesize_public(table, "mst", epsilon=3, delta=1e-6, schema=law.schema, rows=1000)
        return Table.from_arrow(made.rows)

    lines = {
        scheme: simulate(law, mst, together=together, rows=1000, rounds=12, scheme=scheme)
        for scheme in ("replace", "accumulate")
    }
    replaced, kept = (lines[scheme].rounds for scheme in ("replace", "accumulate"))
    assert np.mean([step.error for step in replaced[-3:]]) > np.mean([step.error for step in kept[-3:]]) + 0.01
    assert np.mean([step.coverage for step in replaced[-3:]]) < np.mean([step.coverage for step in kept[-3:]])


def test_real_rows_round_after_round_do_not_narrow() -> None:
    """Chance alone: each round is a fresh real table, so that a warning would be a false alarm."""
    alarms = 0
    for seed in range(10):
        law = (network, mixture)[seed % 2](columns=5, seed=seed)

        def fresh(_table: Table, number: int, law: Population = law) -> Table:
            return law.draw(500, seed=77 + number).table

        line = simulate(law, fresh, together=together, rows=500, rounds=2, scheme="replace", seed=seed)
        alarms += bool(line.narrowing)
    assert alarms == 0


def test_a_line_of_releases_is_followed_against_real_rows() -> None:
    law = network(columns=5, seed=2)
    real, fresh = (law.draw(3000, seed=seed).table.to_pandas() for seed in (0, 1))
    steady = follow(real, [fresh, law.draw(3000, seed=2).table.to_pandas()])
    assert (steady.narrowing, steady.warnings, steady.confidentiality) == ((), (), "internal")
    common = fresh[fresh["c1"] == fresh["c1"].mode()[0]]
    narrow = follow(real, [fresh, common])
    assert {"coverage", "diversity", "tail"} <= set(narrow.narrowing)
    assert narrow.rounds[0].tail > narrow.rounds[1].tail


def test_the_exact_figures_of_a_table_by_hand() -> None:
    real = pd.DataFrame({"a": [0, 0, 1, 1] * 5, "b": [0, 1, 0, 1] * 5})
    line = follow(real, [real[real["a"] == 0]])
    (step,) = line.rounds
    assert step.error == pytest.approx(0.5)
    assert step.coverage == pytest.approx(0.5)
    assert step.diversity == pytest.approx(0.5)  # two of four equal cells


def test_bad_requests_are_refused() -> None:
    law = network(columns=3, seed=0)
    with pytest.raises(ParameterError, match="rounds >= 1"):
        simulate(law, resampled, together=together, rows=10, rounds=0, scheme="replace")
    with pytest.raises(ParameterError, match="the scheme replace or accumulate"):
        simulate(law, resampled, together=together, rows=10, rounds=1, scheme="forget")
