"""A sweep on registered data: priced whole before anything runs, paid run by run, with noise that has no seed."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest
from broken_generators import Broken, Copier

import dpsynth as dp
from dpsynth.comparison import compare
from dpsynth.comparison.price import SweepRefused
from dpsynth.core.errors import BudgetRefused, ParameterError
from dpsynth.simulation import network

DRAWN = network(columns=3, seed=1).draw(600, seed=0)


class World:
    """A workspace with one registered table and a budget."""

    def __init__(self, root: Path, epsilon: str, filter_: str, delta: str = "1e-5") -> None:
        root.mkdir()
        DRAWN.table.to_pandas().to_csv(root / "people.csv", index=False)
        (root / "people.yaml").write_text(DRAWN.schema.to_yaml())
        self.workspace = dp.Workspace.init(root / "vault")
        self.data = self.workspace.register(root / "people.csv", schema=root / "people.yaml")
        self.workspace.create_budget(self.data, epsilon=epsilon, delta=delta, filter=filter_)

    def compare(self, generators, **options):
        return compare(generators, self.data, workspace=self.workspace, **{"epsilon": [0.2, 0.5], "seeds": 1} | options)

    @property
    def runs(self) -> int:
        with self.workspace.ledger() as ledger:
            return len(ledger.reservations(ledger.find_budget(self.data.commitment)))


@pytest.mark.parametrize("filter_", ["basic", "zcdp"])
def test_the_bill_is_what_the_ledger_then_charges(filter_: str, tmp_path: Path) -> None:
    world = World(tmp_path / filter_, "4", filter_)
    found = world.compare(["mst", "independent"])
    assert [c["status"] for c in found.cells] == ["done"] * 4
    balance = world.workspace.balance(world.data)
    assert balance.loss.spent == Decimal(found.facts["budget"]["cost"]["loss"])
    assert balance.loss.reserved == 0
    assert world.runs == 4
    again = world.compare(["mst", "independent"])
    assert again.cells == found.cells
    assert again.facts["budget"] is None
    assert world.runs == 4


def test_a_sweep_that_the_budget_does_not_hold_never_starts(tmp_path: Path) -> None:
    world = World(tmp_path / "w", "1", "basic")
    with pytest.raises(SweepRefused, match=r"sweep of 6 runs costs epsilon 2\.09") as refused:
        world.compare(["mst"], seeds=3)
    assert refused.value.exit_code == 6
    assert refused.value.remedy == "With 1 repetition instead of 3 it would fit (--seeds 1)."
    facts = refused.value.to_json()
    assert (facts["runs"], facts["filter"], facts["left"]["loss"]) == (6, "basic composition", "1")
    assert float(facts["cost"]["loss"]) == pytest.approx(6 * 0.35, rel=0.01)
    assert world.runs == 0


@pytest.mark.parametrize(
    ("granted", "remedy"),
    [
        ("0.6", "With 2 repetitions of epsilon 0.2 alone it would fit."),
        ("0.25", "With 1 repetition of epsilon 0.2 alone it would fit."),
        ("0.1", "No run of it would fit."),
    ],
)
def test_it_says_what_would_fit(granted: str, remedy: str, tmp_path: Path) -> None:
    world = World(tmp_path / "w", granted, "basic")
    with pytest.raises(BudgetRefused) as refused:
        world.compare(["mst"], seeds=2, epsilon=[0.2, 0.5])
    assert refused.value.remedy.startswith(remedy)
    assert world.runs == 0


def test_one_of_two_generators_may_fit(tmp_path: Path) -> None:
    world = World(tmp_path / "w", "0.21", "basic")
    with pytest.raises(BudgetRefused, match=r"Only one run at epsilon 0.2 would fit: independent or mst"):
        world.compare(["mst", "independent"], epsilon=0.2)


def test_a_budget_above_refuses_too(tmp_path: Path) -> None:
    """A share may hold the sweep while what it is a share of has spent too much."""
    world = World(tmp_path / "w", "1", "basic")
    world.workspace.create_budget(world.data, epsilon="0.9", delta="9e-6", purpose="study")
    world.workspace.synthesize(world.data, "independent", epsilon="0.5", delta="1e-6", canaries=0)
    with pytest.raises(BudgetRefused, match=r"'people' has epsilon 0\.5"):
        world.compare(["mst"], epsilon=0.7, budget="study")
    found = world.compare(["mst"], epsilon=0.3, budget="study")
    assert found.facts["budget"]["node"] != "people"


def test_every_run_is_a_sealed_draft_with_noise_from_the_system(tmp_path: Path) -> None:
    world = World(tmp_path / "w", "3", "basic")
    found = world.compare(["mst"], seeds=[7, 8], epsilon=0.5)
    drafts = [world.workspace.draft(cell["draft"]) for cell in found.cells]
    assert len({draft.name for draft in drafts}) == 2
    rows = [draft.rows() for draft in drafts]
    assert not rows[0].equals(rows[1])
    with world.workspace.ledger() as ledger:
        for entry in ledger.entries():
            assert '"seeded"' not in str(entry.body)
    assert found.facts["confidentiality"] == "internal"
    assert "internal, not for release" in found.to_html()
    assert found.facts["rows"] is None


def test_a_run_that_was_paid_is_measured_and_not_paid_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from dpsynth.workspace.draft import Draft

    world = World(tmp_path / "w", "1", "basic")

    def stopped(self, **options):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Draft, "evaluate", stopped)
        with pytest.raises(KeyboardInterrupt):
            world.compare(["independent"], epsilon=0.8)
    assert world.runs == 1
    found = world.compare(["independent"], epsilon=0.8)  # could not be paid twice
    assert not found.failed
    assert world.runs == 1


def test_a_generator_that_fails_on_private_rows_shows_its_type_alone(tmp_path: Path) -> None:
    world = World(tmp_path / "w", "2", "basic")
    found = world.compare(["independent", Broken()], epsilon=0.5)
    (failed,) = found.failed
    assert failed["error"]["type"] == "ValueError"
    assert "4711" not in str(found.to_json())
    assert world.workspace.balance(world.data).epsilon.spent > Decimal("0.9")  # what failed is spent


def test_private_rows_are_shown_to_no_baseline_and_figures_stay_inside(tmp_path: Path) -> None:
    world = World(tmp_path / "w", "2", "basic")
    with pytest.raises(ParameterError, match="gives no guarantee"):
        world.compare(["independent", Copier()])
    with pytest.raises(ParameterError, match="stay in the workspace"):
        world.compare(["independent"], folder=tmp_path / "out")
    with pytest.raises(ParameterError, match="need no workspace"):
        world.compare(["independent"], public=True)
    assert world.runs == 0


def test_data_without_a_budget_are_refused(tmp_path: Path) -> None:
    world = World(tmp_path / "w", "2", "basic")
    other = tmp_path / "other.csv"
    other.write_bytes(io.BytesIO(b"a,b\n" + b"1,2\n" * 200).getvalue())
    with pytest.raises(BudgetRefused, match="Nobody has granted"):
        compare(["mst"], other, epsilon=1, workspace=world.workspace)
