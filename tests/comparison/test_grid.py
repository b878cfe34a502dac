"""What is asked for: bad lists are refused before anything runs, and a run's digest holds all that it follows from."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest
from broken_generators import Broken, Copier

from dpsynth.comparison.grid import cells_of, contenders_of, epsilons_of, seeds_of
from dpsynth.comparison.settings import described, restored
from dpsynth.core.errors import ParameterError
from dpsynth.tabular import AIM, MST, Gibbs
from dpsynth.tabular.allocation import RoundShares, Shares


@pytest.mark.parametrize(
    ("epsilons", "message"),
    [
        ([], "is empty"),
        ([1, -1], "epsilon=-1 > 0"),
        ([0], "epsilon=0 > 0"),
        (["nan"], "epsilon=nan > 0"),
        (["inf"], "epsilon=inf > 0"),
        (["much"], "a number for epsilon"),
        ([1, "1.0"], "named twice"),
        ([0.3, Decimal("0.3")], "named twice"),
    ],
)
def test_epsilons_that_make_no_sweep_are_refused(epsilons, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        epsilons_of(epsilons)


def test_epsilons_are_sorted_and_exact() -> None:
    assert epsilons_of([10, 0.1, "1"]) == (Decimal("0.1"), Decimal(1), Decimal(10))
    assert epsilons_of(2) == (Decimal(2),)


@pytest.mark.parametrize("seeds", [0, [], [1, 1], [-1], 1001])
def test_seeds_that_make_no_sweep_are_refused(seeds) -> None:
    with pytest.raises(ParameterError, match="different seeds"):
        seeds_of(seeds)


@pytest.mark.parametrize(
    ("generators", "message"),
    [
        ([], "No generator"),
        (["gibbs", "nobody"], "Unknown generator 'nobody'"),
        (["gibbs", "gibbs"], "'gibbs' is named twice"),
        (["gibbs", Gibbs()], "'gibbs' is named twice"),
    ],
)
def test_generators_that_make_no_sweep_are_refused(generators, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        contenders_of(generators)


def test_settings_make_the_label_unless_a_person_gives_one() -> None:
    assert [one.label for one in contenders_of(["gibbs", Gibbs(codes=16)])] == ["gibbs", "gibbs (codes=16)"]
    assert [one.label for one in contenders_of({"wide": Gibbs(codes=64), "mst": "mst"})] == ["wide", "mst"]


def test_a_generator_survives_the_way_to_another_process(tmp_path: Path) -> None:
    prior = tmp_path / "prior.csv"
    prior.write_text("a\n1\n")
    shares = Shares(rounds=(RoundShares(scores=0.1, pairs=0.5, per_column=2.0),))
    for made in (Gibbs(), Gibbs(shares=shares, codes=7, prior=prior), AIM(strength=2.0), MST(), Broken(how="kill")):
        assert restored(described(made)) == made
    before = described(Gibbs(prior=prior))
    prior.write_text("a\n2\n")
    assert described(Gibbs(prior=prior)) != before


def test_what_has_no_plain_form_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=r"Gibbs.prior is a Table"):
        from tests.conformance.tables import open_table

        described(Gibbs(prior=open_table(5)))
    with pytest.raises(ParameterError, match="no file"):
        described(Gibbs(prior=tmp_path / "absent.csv"))

    class Inner(Broken):
        pass

    with pytest.raises(ParameterError, match="cannot be handed to another process"):
        described(Inner())


def test_a_baseline_runs_once_a_seed_whatever_the_epsilons() -> None:
    cells = cells_of(contenders_of(["mst", Copier()]), epsilons_of([1, 3]), seeds_of(2))
    assert [(c.contender.label, c.epsilon, c.seed) for c in cells] == [
        ("mst", 1, 0), ("mst", 3, 0), ("copier", None, 0), ("mst", 1, 1), ("mst", 3, 1), ("copier", None, 1),
    ]  # fmt: skip


def test_a_key_changes_with_everything_that_figures_follow_from() -> None:
    facts = {"data": "x", "target": "y"}

    def key(generator="mst", epsilon="1", seed=0, **changed) -> str:
        (cell,) = cells_of(contenders_of([generator]), epsilons_of([epsilon]), (seed,))
        return cell.key({**facts, **changed})

    others = [key("gibbs"), key(Gibbs(codes=9)), key(epsilon="2"), key(seed=1), key(data="z"), key(target=None)]
    assert len({key(), *others}) == 1 + len(others)
    assert key(epsilon="1.0") == key()
