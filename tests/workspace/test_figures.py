"""The door for figures: the claimed event is the one spent, and one person moves one count by one."""

from __future__ import annotations

import json
from decimal import Decimal

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounting.event import EventTree
from accounting.ledger.entry import Kind
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.errors import BudgetRefused, ParameterError, WorkspaceError
from dpsynth.data.table import Table
from dpsynth.release.figures import CELLS, FIGURES, PARTS, PURPOSE
from dpsynth.workspace import Draft, Workspace
from dpsynth.workspace.figures import figure as door
from dpsynth.workspace.figures.copies import EXACT, NEAR, histogram, likeness
from dpsynth.workspace.figures.figure import STATISTICS, buy, noise_scale


class Plain:
    """A domain whose codes are the values themselves."""

    def encode(self, values):
        return values.to_numpy()


def table(rows, units=None):
    columns = {name: [row[i] for row in rows] for i, name in enumerate("abc")}
    body = {name: pa.array(values, pa.int64()) for name, values in columns.items()}
    if units is not None:
        body["who"] = pa.array(units, pa.string())
    return Table.from_arrow(pa.table(body))


DOMAINS = {name: Plain() for name in "abc"}
CELL = st.integers(0, 2)
PEOPLE = st.lists(
    st.tuples(st.booleans(), st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=4)), min_size=1, max_size=8
)


def counted(people, release, *, by_unit):
    """The histogram of people = [(held out, rows)], each with its own name; without units each row is a person."""
    parts = {}
    for part, held in zip(PARTS, (False, True), strict=True):
        own = [(f"p{i}", row) for i, (out, rows) in enumerate(people) if out is held for row in rows]
        parts[part] = table([row for _, row in own], [name for name, _ in own] if by_unit else None)
    return histogram(parts, table(release), DOMAINS, unit="who" if by_unit else None)


@settings(max_examples=60, deadline=None)
@given(people=PEOPLE, release=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=6), data=st.data())
def test_adding_or_removing_one_person_moves_one_count_by_one_whatever_their_rows(people, release, data):
    whole = counted(people, release, by_unit=True)
    assert whole.sum() == len(people) and len(whole) == len(CELLS["copies"])
    gone = data.draw(st.integers(0, len(people) - 1))
    others = [(out, rows if i != gone else []) for i, (out, rows) in enumerate(people)]
    change = np.abs(whole - counted(others, release, by_unit=True))
    assert change.sum() == 1 and change.max() == 1


def test_a_person_is_what_the_most_alike_of_their_rows_is():
    """In whatever order: a copied row among others must not be overlooked."""
    for rows in ([(1, 1, 1), (2, 2, 2)], [(2, 2, 2), (1, 1, 1)], [(1, 1, 1), (1, 1, 2), (2, 2, 2)]):
        assert counted([(False, rows)], [(1, 1, 1)], by_unit=True).tolist() == [1, 0, 0, 0, 0, 0]
        assert counted([(True, rows)], [(1, 1, 0)], by_unit=True).tolist() == [0, 0, 0, 0, 1, 0]


@settings(max_examples=40, deadline=None)
@given(people=PEOPLE, release=st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=6), data=st.data())
def test_adding_or_removing_one_row_moves_one_count_and_replacing_one_moves_two(people, release, data):
    people = [(out, rows[:1]) for out, rows in people]
    whole = counted(people, release, by_unit=False)
    at = data.draw(st.integers(0, len(people) - 1))
    removed = counted([p for i, p in enumerate(people) if i != at], release, by_unit=False)
    assert np.abs(whole - removed).sum() == 1
    other = data.draw(st.tuples(CELL, CELL, CELL))
    replaced = [(out, [other] if i == at else rows) for i, (out, rows) in enumerate(people)]
    assert np.abs(whole - counted(replaced, release, by_unit=False)).sum() <= 2


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(CELL, CELL, CELL), max_size=8), st.lists(st.tuples(CELL, CELL, CELL), max_size=8))
def test_hashed_likeness_is_that_of_comparing_all_with_all(rows, release):
    rows, release = (np.array(x, dtype=np.int64).reshape(len(x), 3) for x in (rows, release))
    for row, found in zip(rows, likeness(rows, release), strict=True):
        differ = (release != row).sum(axis=1).min(initial=9)
        assert found == (EXACT if differ == 0 else NEAR if differ == 1 else 0)


def test_the_scale_never_gives_more_than_the_epsilon_that_was_asked():
    for text in ("0.1", "0.3", "0.7", "1", "9.99"):
        for relation, change in ((NeighboringRelation.ADD_REMOVE, 1), (NeighboringRelation.REPLACE_ONE, 2)):
            assert change / noise_scale(Decimal(text), relation) <= Decimal(text)
    for text in ("0", "-1", "nan", "inf", "11", "1e-170", "0.00009"):
        with pytest.raises(ParameterError, match="above 0 and at most 10"):
            noise_scale(Decimal(text), NeighboringRelation.ADD_REMOVE)
    with pytest.raises(ParameterError, match="not sold under zero_out"):
        noise_scale(Decimal("0.1"), NeighboringRelation.ZERO_OUT)


@pytest.fixture(scope="module")
def draft(tmp_path_factory):
    home = tmp_path_factory.mktemp("figures")
    rng = np.random.default_rng(0)
    frame = pd.DataFrame({"a": rng.integers(0, 4, 500).astype(str), "b": rng.integers(0, 5, 500).astype(str)})
    frame["c"] = np.where(rng.random(500) < 0.8, frame["a"], "9")
    frame.to_csv(home / "people.csv", index=False)
    workspace = Workspace.init(home / "vault")
    record = workspace.register(home / "people.csv")
    workspace.create_budget(record, epsilon="1.5", delta="1e-5")
    return workspace.synthesize(record, "independent", epsilon=1, delta="1e-6")


def entries(draft):
    with draft.workspace.ledger() as ledger:
        return list(ledger.entries(draft.document.budget_id))


def test_what_is_spent_is_the_event_that_is_claimed_and_it_was_reserved_before_any_row_was_read(draft, monkeypatch):
    order = []
    original = door.discrete_laplace

    def watched(counts, **settings_):
        order.append([entry.kind for entry in entries(draft)][-2:])
        return original(counts, **settings_)

    monkeypatch.setattr(door, "discrete_laplace", watched)
    figure = draft.buy_figure("copies", epsilon="0.1")
    assert order == [[Kind.RESERVE, Kind.ACCESS]]
    reserve, commit = (
        next(e for e in reversed(entries(draft)) if e.kind is kind) for kind in (Kind.RESERVE, Kind.COMMIT)
    )
    assert reserve.body["purpose"] == PURPOSE and commit.body["reservation_id"] == reserve.body["reservation_id"]
    tree = EventTree.from_json(commit.body["events"])
    assert tree == EventTree.from_json(reserve.body["plan"])
    assert (tree.relation, tree.unit) == (NeighboringRelation.ADD_REMOVE, PrivacyUnit())
    event = tree.events[0]
    assert (event.scale, event.l1_sensitivity, event.count, event.noise) == (Decimal(10), 1, 1, "exact")
    assert figure.commit == commit.hash and list(figure.counts) == commit.body["facts"]["counts"]
    assert Decimal("0.0999") < figure.epsilon <= Decimal("0.10001")
    assert abs(sum(figure.counts) - 500) < 400  # 500 people and six noises of scale 10


def test_noise_is_fresh_each_time_and_each_figure_is_charged(draft):
    one, two = (draft.buy_figure("copies", epsilon="0.05") for _ in range(2))
    assert one.counts != two.counts and one.commit != two.commit


def test_a_short_budget_sells_nothing_and_counts_nothing(draft, monkeypatch):
    monkeypatch.setattr("dpsynth.workspace.figures.copies.likeness", lambda *_: pytest.fail("rows were compared"))
    before = len(entries(draft))
    with pytest.raises(BudgetRefused):
        draft.buy_figure("copies", epsilon="3")
    assert len(entries(draft)) == before


@pytest.mark.parametrize("statistic", ["copies", "marginals"])
def test_whose_rows_are_counted_is_what_the_budget_says_and_not_the_registry(tmp_path, statistic):
    """`datasets.json` is plain text: without the person in it, a person's many rows would move as many counts."""
    rng, user = np.random.default_rng(0), {"kind": "user", "column": "who", "max_records": 3}
    rows = {"who": [f"p{n}" for n in rng.integers(0, 100, 500)], "a": rng.integers(0, 4, 500).astype(str)}
    pd.DataFrame({**rows, "b": rng.integers(0, 5, 500).astype(str)}).to_csv(tmp_path / "visits.csv", index=False)
    workspace = Workspace.init(tmp_path / "vault")
    record = workspace.register(tmp_path / "visits.csv", unit="who", max_per_unit=3)
    workspace.create_budget(record, epsilon=3, delta="1e-5")
    made = workspace.synthesize(record, "independent", epsilon=1, delta="1e-6")
    before, registry = len(entries(made)), workspace.layout.datasets
    body = json.loads(registry.read_text())
    for unit in ("record", {**user, "column": "a"}, {**user, "max_records": 9}):
        body["datasets"][0]["unit"] = unit
        registry.write_text(json.dumps(body))
        with pytest.raises(WorkspaceError, match="registered with another unit"):
            Workspace.open(workspace.layout.root).draft(made.name).buy_figure(statistic, epsilon="0.1")
        assert len(entries(made)) == before
    body["datasets"][0]["unit"] = user
    registry.write_text(json.dumps(body))
    assert Workspace.open(workspace.layout.root).draft(made.name).buy_figure(statistic, epsilon="0.1").commit


def test_a_figure_is_charged_where_the_rows_were_and_nowhere_else(draft):
    """`draft.json` is plain text: with another share in it, a bundle of the rows would not show the figure."""
    record = draft.workspace.registry.get(draft.document.dataset)
    with draft.workspace.ledger(write=True) as ledger:
        share = ledger.create_budget(
            dataset=record.name, unit=record.unit, relation=NeighboringRelation.ADD_REMOVE, epsilon="0.1",
            delta="1e-6", parent=draft.document.budget_id, purpose="aside",
        )  # fmt: skip
    moved = Draft(draft.workspace, draft.document.model_copy(update={"budget_id": share}))
    before = len(entries(draft))
    with pytest.raises(WorkspaceError, match="no commit that paid"):
        moved.buy_figure("copies", epsilon="0.01")
    assert len(entries(draft)) == before


def test_rows_under_a_condition_get_no_figure_and_more_rows_of_the_model_get_their_own(draft):
    sold = len(entries(draft))
    some = draft.workspace.sample(draft, given={"a": 1})
    before = len(entries(draft))
    with pytest.raises(ParameterError, match="under a condition"):
        some.buy_figure("copies", epsilon="0.01")
    assert len(entries(draft)) == before > sold
    more = draft.workspace.sample(draft, rows=50)
    figure = more.buy_figure("copies", epsilon="0.01")
    assert (figure.draft, figure.draft_digest) == (more.name, more.document.draft_digest) != (draft.name, "")


@pytest.mark.parametrize(("statistic", "epsilon"), [("mean_age", "0.1"), ("copies", "much"), ("copies", "-1")])
def test_what_cannot_be_sold_is_refused_before_anything_is_reserved(draft, statistic, epsilon):
    before = len(entries(draft))
    with pytest.raises(ParameterError):
        buy(draft, statistic, epsilon=epsilon)
    assert len(entries(draft)) == before


def test_a_count_that_breaks_down_is_still_paid_for(draft, monkeypatch):
    monkeypatch.setattr("dpsynth.workspace.figures.copies.likeness", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        draft.buy_figure("copies", epsilon="0.01")
    last = entries(draft)[-1]
    assert last.kind is Kind.ABORT and last.body["data_was_read"] is True


def test_every_statistic_has_its_figure():
    assert set(STATISTICS) == set(FIGURES)
