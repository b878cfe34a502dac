"""Bought quality: the event that is claimed is the one that is spent, and a person moves the counts by k M at most."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from scipy.stats import beta

from accounting.event import EventTree
from accounting.ledger.entry import Kind
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.errors import BudgetRefused, ParameterError
from dpsynth.core.noise import unsafe_SeededNoise
from dpsynth.data.table import Table
from dpsynth.mechanisms.discrete_laplace import discrete_laplace
from dpsynth.quality.published.cells import cells_of
from dpsynth.release.figures import PURPOSE
from dpsynth.workspace import Workspace
from dpsynth.workspace.figures import figure as door
from dpsynth.workspace.figures.figure import noise_scale, sold
from dpsynth.workspace.figures.marginals import asked
from dpsynth.workspace.figures.publishing import publish_quality
from dpsynth.workspace.private.bounding import bounded

ADD, REPLACE = NeighboringRelation.ADD_REMOVE, NeighboringRelation.REPLACE_ONE
KEY = b"k" * 32
K = 3


def survey(people=400, rows=2, seed=0):
    rng = np.random.default_rng(seed)
    n = people * rows
    frame = pd.DataFrame({"who": np.repeat(np.arange(people), rows), "a": rng.integers(0, 4, n).astype(str)})
    frame["b"], frame["x"] = np.where(rng.random(n) < 0.8, frame["a"], "9"), rng.integers(0, 90, n)
    return frame


def made(home, *, unit=None, per_unit=1):
    survey().to_csv(home / "people.csv", index=False)
    workspace = Workspace.init(home / "vault")
    record = workspace.register(home / "people.csv", unit=unit, max_per_unit=per_unit)
    workspace.create_budget(record, epsilon="4", delta="1e-5")
    return workspace.synthesize(record, "independent", epsilon=1, delta="1e-6", target="b")


@pytest.fixture(scope="module")
def draft(tmp_path_factory):
    return made(tmp_path_factory.mktemp("marginals"), unit="who", per_unit=2)


def entries(draft):
    with draft.workspace.ledger() as ledger:
        return list(ledger.entries(draft.document.budget_id))


def test_the_event_that_is_claimed_is_spent_and_reserved_before_any_row_is_read(draft, monkeypatch):
    order, original = [], door.discrete_laplace

    def watched(counts, **settings):
        order.append([entry.kind for entry in entries(draft)][-2:])
        return original(counts, **settings)

    monkeypatch.setattr(door, "discrete_laplace", watched)
    figure = draft.buy_figure("marginals", epsilon="0.5")
    assert order == [[Kind.RESERVE, Kind.ACCESS]]
    reserve, commit = (
        next(e for e in reversed(entries(draft)) if e.kind is kind) for kind in (Kind.RESERVE, Kind.COMMIT)
    )
    assert reserve.body["purpose"] == PURPOSE and commit.body["reservation_id"] == reserve.body["reservation_id"]
    tree = EventTree.from_json(commit.body["events"])
    assert tree == EventTree.from_json(reserve.body["plan"])
    assert (tree.relation, tree.unit) == (ADD, PrivacyUnit(kind="user", column="who", max_records=2))
    event = tree.events[0]
    # three columns, two pairs with the target, two rows a person: ten cells move
    assert figure.marginals == (("a",), ("b",), ("x",), ("a", "b"), ("x", "b"))
    assert (event.l1_sensitivity, event.scale, event.noise, event.count) == (10, Decimal(20), "exact", 1)
    assert Decimal("0.4999") < figure.epsilon <= Decimal("0.50001")
    assert figure.commit == commit.hash and list(figure.counts) == commit.body["facts"]["counts"]
    said = figure.shown()
    assert set(said) == {"columns", "pairs", "unseen"} and said["columns"]["ci_low"] <= said["columns"]["ci_high"]


def test_cells_change_and_facts_are_functions_of_release_schema_and_unit(draft, monkeypatch):
    """Known before any row is opened, so that the plan can be reserved."""
    monkeypatch.setattr("dpsynth.workspace.private.room.prepare", lambda *_, **__: pytest.fail("rows were opened"))
    first = asked(draft)
    again = asked(draft)
    assert first.change == 10 and first.facts == again.facts
    released = Table.from_arrow(draft.rows())
    cells = cells_of(released, target="b", leave_out=("who",))
    assert first.facts["released"] == cells.count(released).tolist()  # whoever has the rows counts them again


def test_counted_are_the_rows_that_were_fitted_and_no_others(draft):
    """Bounded by the reservation's own key, train rows alone, no canary."""
    rows = draft._fitted_rows()
    exact = asked(draft).count(draft._source.parts)
    sizes = asked(draft).facts["sizes"]
    ends = np.cumsum(sizes)
    sums = {int(exact[end - size : end].sum()) for end, size in zip(ends, sizes, strict=True)}
    assert sums == {rows.unsafe_num_rows}


def test_under_replace_one_the_noise_is_twice_as_wide():
    assert noise_scale(Decimal("0.5"), ADD, 7) == 14 and noise_scale(Decimal("0.5"), REPLACE, 7) == 28


def test_rows_that_are_people_are_counted_with_every_column(tmp_path):
    figure = made(tmp_path).buy_figure("marginals", epsilon="0.5")
    assert figure.marginals[:4] == (("who",), ("a",), ("b",), ("x",)) and figure.scale == 14


def test_a_short_budget_and_a_price_beyond_reason_sell_nothing(draft):
    before = len(entries(draft))
    with pytest.raises(BudgetRefused):
        draft.buy_figure("marginals", epsilon="9")
    with pytest.raises(ParameterError, match="above 0"):
        draft.buy_figure("marginals", epsilon="0")
    assert len(entries(draft)) == before
    with pytest.raises(ParameterError, match="noise of scale"):
        noise_scale(Decimal("0.0001"), ADD, 10**6)


def test_nothing_is_bought_for_a_draft_that_the_gate_keeps_inside(draft, tmp_path):
    other = draft.workspace.sample(draft, rows=50)
    before = len(sold(other, "marginals"))
    assert publish_quality(other, tmp_path / "out", "0.1") is None  # never attacked
    assert len(sold(other, "marginals")) == before == 0


def test_what_was_bought_is_not_charged_again(draft, tmp_path):
    known = draft.buy_figure("marginals", epsilon="0.5")
    assert sold(draft, "marginals")[-1] == known
    before = len(entries(draft))
    assert publish_quality(draft, tmp_path / "out", "0.1") == known and len(entries(draft)) == before


# --- audit: two neighbouring tables, the likeliest set of outcomes, exact binomial bounds ---------------------------

EPSILON, RUNS, ALPHA = Decimal(1), 40_000, 1e-6
CELLS = cells_of(Table.from_arrow(pa.table({"a": ["x", "y"] * 50, "b": ["u", "v"] * 50})), target="b")


def people(rows_of_last):
    who = [str(i // 2) for i in range(40)] + ["last"] * rows_of_last
    return Table.from_arrow(pa.table({"who": who, "a": ["x"] * len(who), "b": ["u"] * len(who)}))


def shown_epsilon(scale, *, bound):
    """A lower bound at 1 - ALPHA of what the noisy counts give away of one person with nine rows."""
    unit = PrivacyUnit(kind="user", column="who", max_records=bound)
    there, gone = (CELLS.count(bounded(people(rows), unit, KEY, None)) for rows in (9, 0))
    hits = []
    for seed, counts in enumerate((there, gone)):
        noisy, _ = discrete_laplace(
            np.tile(counts, (RUNS, 1)), scale=scale, noise=unsafe_SeededNoise(seed), l1_sensitivity=1, count=RUNS
        )
        hits.append(int((noisy[:, there > gone] >= there[there > gone]).all(axis=1).sum()))
    low = beta.ppf(ALPHA / 2, hits[0], RUNS - hits[0] + 1)
    high = beta.ppf(1 - ALPHA / 2, hits[1] + 1, RUNS - hits[1])
    return float(np.log(low / high))


def test_an_audit_shows_no_more_than_is_charged_and_catches_half_the_noise_and_unbounded_people():
    scale = noise_scale(EPSILON, ADD, K * len(CELLS.marginals))
    assert 0.8 < shown_epsilon(scale, bound=K) <= float(EPSILON)
    assert shown_epsilon(scale / 2, bound=K) > 1.5 * float(EPSILON)
    assert shown_epsilon(scale, bound=9) > 1.5 * float(EPSILON)
