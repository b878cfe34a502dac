"""A family of budgets: what a part spends, every budget above it spends, and the parts never exceed the whole."""

from __future__ import annotations

import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, given, settings

from accounting import EventTree, Ledger, NeighboringRelation, PrivacyUnit, PureDP, Signer
from accounting.ledger.chain import Chain
from accounting.ledger.entry import Entry, Head, body_digest, budget_tag, canonical, seal
from accounting.ledger.errors import BudgetExceeded, BudgetRefused, LedgerTampered, Reason, SliceRefused
from accounting.ledger.slice import verify_slice

TERMS: dict[str, Any] = {"relation": NeighboringRelation.ADD_REMOVE, "unit": PrivacyUnit()}
SIGNER = Signer.generate()
DELTAS = {"delta": "1e-3"}


def _plan(count: int) -> EventTree:
    return EventTree(events=(PureDP(epsilon="0.1", count=count),), **TERMS)


def _share(ledger: Ledger, parent: str, epsilon: str, purpose: str = "research", **more: Any) -> str:
    return ledger.create_budget(
        dataset="d", parent=parent, purpose=purpose, epsilon=epsilon, delta="1e-6", **{**TERMS, **more}
    )


def _run(ledger: Ledger, budget: str, count: int) -> None:
    run = ledger.reserve(budget, _plan(count), delta="1e-9", run_id="r", purpose="p")
    ledger.commit(run.id, _plan(count))


@pytest.fixture
def family(ledger: Ledger, grant: Any) -> tuple[Ledger, str, str, str]:
    """A root of 1, a share of 0.7 and one of 0.6."""
    root = grant(ledger, "1")
    return ledger, root, _share(ledger, root, "0.7"), _share(ledger, root, "0.6", "teaching")


def test_a_run_is_charged_to_its_budget_and_to_all_above(family: Any) -> None:
    ledger, root, research, teaching = family
    deep = _share(ledger, research, "0.5", "one study")
    run = ledger.reserve(deep, _plan(3), delta="1e-9", run_id="r", purpose="p")
    assert [ledger.balance(name).epsilon.reserved for name in (deep, research, root)] == [Decimal("0.3")] * 3
    ledger.commit(run.id, _plan(3))
    assert [ledger.balance(name).epsilon.spent for name in (deep, research, root)] == [Decimal("0.3")] * 3
    assert [ledger.balance(name).delta.spent for name in (deep, research, root)] == [Decimal("1e-9")] * 3
    assert ledger.balance(teaching).epsilon.left == Decimal("0.6")


def test_a_refusal_names_the_budget_above_that_lacks_it(family: Any) -> None:
    ledger, root, research, teaching = family
    _run(ledger, research, 7)
    head = ledger.head()
    with pytest.raises(
        BudgetExceeded, match=r"0\.4 .*0\.3 left of 'data-1'.*limit 1, spent 0\.7, reserved 0\. .*amend"
    ) as no:
        ledger.reserve(teaching, _plan(4), delta="1e-9", run_id="r", purpose="p")
    assert (no.value.budget_id, no.value.left, no.value.asked) == (root, Decimal("0.3"), Decimal("0.4"))
    assert ledger.head() == head
    _run(ledger, teaching, 3)
    assert ledger.balance(root).epsilon.left == 0


def test_a_refund_is_given_back_at_every_level(family: Any) -> None:
    ledger, root, research, _ = family
    run = ledger.reserve(research, _plan(5), delta="1e-9", run_id="r", purpose="p")
    ledger.abort(run.id, "bad config", data_was_read=False)
    assert [ledger.balance(name).epsilon.left for name in (research, root)] == [Decimal("0.7"), 1]


def test_versions_and_overlapping_data_draw_on_one_root(ledger: Ledger, grant: Any) -> None:
    root = grant(ledger, "1")
    version = ledger.create_budget(
        dataset="d, second year", commitment="data-2", parent=root, epsilon="1", delta="1e-6", **TERMS
    )
    assert ledger.find_budget("data-2") == version
    _run(ledger, root, 6)
    with pytest.raises(BudgetExceeded):
        ledger.reserve(version, _plan(5), delta="1e-9", run_id="r", purpose="p")


def test_a_share_stands_for_the_data_that_it_is_a_share_of(family: Any) -> None:
    ledger, root, research, _ = family
    assert ledger.budget(research).commitment == ledger.budget(root).commitment
    assert ledger.find_budget("data-1") == root
    assert [item.budget_id for item in ledger.budgets(research)][:2] == [root, research]


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another unit": ({"unit": PrivacyUnit(kind="user", column="id", max_records=2)}, "unit and relation"),
    "another relation": ({"relation": NeighboringRelation.REPLACE_ONE}, "unit and relation"),
    "another filter": ({"filter": "zcdp"}, "filter of the root"),
    "an unknown filter": ({"filter": "rumour"}, "no filter"),
    "an order without rdp": ({"filter": "basic", "order": "5"}, "one order"),
    "more than the whole": ({"epsilon": "1.1"}, "larger than the whole"),
    "more delta than the whole": ({"delta": "2e-6"}, "larger than the whole"),
    "an unknown parent": ({"parent": "budget-of-nobody"}, "No such budget"),
    "a reservation as parent": ({"parent": "run-0"}, "No such budget"),
    "data that has a budget": ({"commitment": "data-1"}, "has a budget already"),
    "no purpose, version or recipient": ({"purpose": None}, "another version"),
    "a blank purpose": ({"purpose": "  "}, "empty"),
    "unknown recipients": ({"recipient": "friends"}, "recipients"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_part_is_refused_and_nothing_changes(ledger: Ledger, grant: Any, case: str) -> None:
    root = grant(ledger, "1")
    wrong, words = REFUSED[case]
    head, before = ledger.head(), ledger.balance(root)
    with pytest.raises(BudgetRefused, match=words):
        ledger.create_budget(
            **{"dataset": "d", "parent": root, "purpose": "p", "epsilon": "0.5", "delta": "1e-7", **TERMS, **wrong}
        )
    assert (ledger.head(), ledger.balance(root)) == (head, before)


def test_a_share_for_the_public_has_no_share_for_somebody_else(ledger: Ledger, grant: Any) -> None:
    public = _share(ledger, grant(ledger), "0.5", recipient="public")
    assert ledger.budget(_share(ledger, public, "0.1", recipient="public")).recipient == "public"
    with pytest.raises(BudgetRefused, match="is for public"):
        _share(ledger, public, "0.1", recipient="internal")


def test_a_lineage_has_a_bounded_depth(ledger: Ledger, grant: Any) -> None:
    node = grant(ledger)
    for _ in range(15):
        node = _share(ledger, node, "1")
    with pytest.raises(BudgetRefused, match="generations"):
        _share(ledger, node, "1")


# What a forger with the ledger's key may not do either.
FORGED: dict[str, tuple[dict[str, Any], Reason]] = {
    "its own parent": ({"parent": "budget-x"}, Reason.RULE_BROKEN),
    "a parent that comes later": ({"parent": "budget-y"}, Reason.RULE_BROKEN),
    "another relation": ({"relation": "replace_one"}, Reason.RULE_BROKEN),
    "another unit": ({"unit": {"kind": "user", "column": "id", "max_records": 2}}, Reason.RULE_BROKEN),
    "a larger grant": ({"granted": {"epsilon": "2", "delta": "1e-7"}}, Reason.RULE_BROKEN),
    "the same data": ({"commitment": "data-1"}, Reason.RULE_BROKEN),
    "an unknown filter": ({"filter": {"name": "pld"}}, Reason.UNKNOWN_SCHEMA),
    "another filter": (
        {"filter": {"name": "zcdp", "conversion_delta": "5e-8", "limit": {"rho": "0.001", "delta": "5e-8"}}},
        Reason.RULE_BROKEN,
    ),
    "unknown recipients": ({"recipient": "friends"}, Reason.RULE_BROKEN),
    "a negative grant": ({"granted": {"epsilon": "-1", "delta": "1e-7"}}, Reason.RULE_BROKEN),
    "an empty purpose": ({"purpose": ""}, Reason.RULE_BROKEN),
}


@pytest.mark.parametrize("case", FORGED)
def test_the_owner_of_the_key_cannot_sign_such_a_part(
    ledger: Ledger, signer: Signer, grant: Any, forger: Any, case: str
) -> None:
    root = grant(ledger, "1")
    change, reason = FORGED[case]
    body = {
        "budget_id": "budget-x", "parent": root, "dataset": "d", "commitment": None, "relation": "add_remove",
        "unit": "record", "filter": "basic", "granted": {"epsilon": "0.5", "delta": "1e-7"}, "purpose": "p",
        "recipient": "any",
    }  # fmt: skip
    genuine = forger(ledger.entries(), signer)
    genuine.add("budget.child", **body)
    verify_slice(genuine.slice("budget-x"), ledger_key=signer.public_bytes)
    forged = forger(ledger.entries(), signer)
    forged.add("budget.child", **(body | change))
    with pytest.raises(SliceRefused) as refused:
        verify_slice(forged.slice("budget-x"), ledger_key=signer.public_bytes)
    assert refused.value.reason is reason


def test_a_forged_reservation_over_the_roots_limit_is_refused(family: Any, signer: Signer, forger: Any) -> None:
    """Each part alone has room; the root has none. A receiver adds up every ancestor."""
    ledger, root, research, teaching = family
    _run(ledger, research, 7)
    run = ledger.reserve(teaching, _plan(3), delta="1e-9", run_id="r", purpose="p")
    forged = forger(ledger.entries(), signer)

    def dearer(bodies: list[dict[str, Any]]) -> None:
        body = next(item for item in bodies if item.get("reservation_id") == run.id)
        body["plan"]["events"][0]["count"] = 4
        body["charge"]["epsilon"] = body["guarantee"]["epsilon"] = "0.4"

    forged.rewrite(dearer)
    for budget in (root, research, teaching):
        with pytest.raises(SliceRefused) as refused:
            verify_slice(forged.slice(budget), ledger_key=signer.public_bytes)
        assert refused.value.reason is Reason.OVERSPENT


def test_a_slice_shows_the_whole_family_and_adds_up_each_of_it(family: Any, signer: Signer, grant: Any) -> None:
    ledger, root, research, teaching = family
    other = grant(ledger, "1", commitment="other")
    _run(ledger, other, 1)
    _run(ledger, research, 2)
    _run(ledger, teaching, 3)
    for asked in (root, research, teaching):
        facts = verify_slice(ledger.slice(asked), ledger_key=signer.public_bytes)
        assert (facts.budget_id, facts.root.budget_id) == (asked, root)
        assert {name: str(item.epsilon.spent) for name, item in facts.balances.items()} == {
            root: "0.5", research: "0.2", teaching: "0.3",
        }  # fmt: skip
        assert facts.balances[asked] == ledger.balance(asked)
    assert other not in str(ledger.slice(root))


def test_an_entry_of_a_sibling_cannot_be_withheld(family: Any, signer: Signer) -> None:
    ledger, root, research, teaching = family
    _run(ledger, teaching, 3)
    for asked in (root, research):
        shown = ledger.slice(asked)
        item = shown["entries"][-1]
        body = item.pop("body")
        item |= {"body_digest": body_digest(canonical(body)).hex(), "tag": budget_tag(root, item["prev_hash"])}
        with pytest.raises(SliceRefused) as refused:
            verify_slice(shown, ledger_key=signer.public_bytes)
        assert refused.value.reason is Reason.REDACTED_OWN_ENTRY
        item["tag"] = budget_tag(teaching, item["prev_hash"])  # as if the part were a family of its own
        with pytest.raises(SliceRefused) as refused:
            verify_slice(shown, ledger_key=signer.public_bytes)
        assert refused.value.reason is Reason.SIGNATURE_INVALID


def test_a_forger_cannot_tag_a_part_as_a_family_of_its_own(family: Any, signer: Signer) -> None:
    """The tag follows from the books: an entry signed under the part's own id does not verify."""
    ledger, _, research, _ = family
    entries = ledger.entries()
    child = next(entry for entry in entries if entry.budget_id == research)
    before = entries[child.seq - 1]
    body = dict(child.body)
    forged = Entry.from_row(seal(body, Head(before.seq, before.hash), signer, family=research), body)
    chain = Chain()
    for entry in entries[: child.seq]:
        chain.read_disclosed(entry)
    with pytest.raises(LedgerTampered) as refused:
        chain.read_disclosed(forged)
    assert refused.value.reason is Reason.SIGNATURE_INVALID


# The model: a forest in twenty lines. One unit is epsilon 0.1.
class Forest:
    def __init__(self) -> None:
        self.parent: dict[str, str | None] = {}
        self.limit: dict[str, int] = {}
        self.spent: dict[str, int] = {}

    def line(self, node: str | None) -> list[str]:
        return [] if node is None else [node, *self.line(self.parent[node])]

    def add(self, node: str, parent: str | None, limit: int) -> None:
        self.parent[node], self.limit[node], self.spent[node] = parent, limit, 0

    def lacking(self, node: str, cost: int) -> str | None:
        return next((one for one in self.line(node) if self.spent[one] + cost > self.limit[one]), None)

    def spend(self, node: str, cost: int) -> None:
        for one in self.line(node):
            self.spent[one] += cost


STEP = st.one_of(
    st.tuples(st.just("root"), st.just(0), st.integers(5, 20)),
    st.tuples(st.just("part"), st.integers(0, 99), st.integers(1, 20)),
    st.tuples(st.just("part"), st.integers(0, 99), st.integers(1, 20)),
    st.tuples(st.just("run"), st.integers(0, 99), st.integers(1, 8)),
    st.tuples(st.just("run"), st.integers(0, 99), st.integers(1, 8)),
    st.tuples(st.just("run"), st.integers(0, 99), st.integers(1, 8)),
)


@given(steps=st.lists(STEP, min_size=5, max_size=30))
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_random_forests_agree_with_the_model_and_no_node_exceeds_its_grant(steps: list[tuple[str, int, int]]) -> None:
    forest = Forest()
    with tempfile.TemporaryDirectory() as folder, Ledger.create(Path(folder) / "l.db", signer=SIGNER) as ledger:
        for number, (what, choice, amount) in enumerate(steps):
            nodes = list(forest.parent)
            epsilon = Decimal(amount) / 10
            if what == "root" or not nodes:
                amount = max(amount, 5)
                made = ledger.create_budget(
                    dataset="d", commitment=f"c{number}", epsilon=Decimal(amount) / 10, **DELTAS, **TERMS
                )
                forest.add(made, None, amount)
            elif what == "part":
                parent = nodes[choice % len(nodes)]
                arguments = {"parent": parent, "purpose": "p", "epsilon": epsilon, **DELTAS, **TERMS}
                if amount > forest.limit[parent] or len(forest.line(parent)) >= 16:
                    with pytest.raises(BudgetRefused):
                        ledger.create_budget(dataset="d", **arguments)
                else:
                    forest.add(ledger.create_budget(dataset="d", **arguments), parent, amount)
            else:
                node = nodes[choice % len(nodes)]
                lacking = forest.lacking(node, amount)
                if lacking is None:
                    _run(ledger, node, amount)
                    forest.spend(node, amount)
                else:
                    with pytest.raises(BudgetExceeded) as refused:
                        _run(ledger, node, amount)
                    assert refused.value.budget_id == lacking
        for node in forest.parent:
            balance = ledger.balance(node)
            assert balance.epsilon.spent == Decimal(forest.spent[node]) / 10 <= balance.epsilon.granted
            parts = [ledger.balance(one).epsilon.spent for one, above in forest.parent.items() if above == node]
            assert sum(parts, Decimal(0)) <= balance.epsilon.spent
        for root in (node for node, above in forest.parent.items() if above is None):
            facts = verify_slice(ledger.slice(root), ledger_key=SIGNER.public_bytes)
            assert all(facts.balances[name] == ledger.balance(name) for name in facts.balances)
            assert set(facts.balances) == {node for node in forest.parent if root in forest.line(node)}
