"""The planner against tables of InvisibleInk and of Amin et al., and against our own accountant."""

from __future__ import annotations

from decimal import Decimal

import pytest

from accounting.calibration import calibrate
from accounting.event import EventTree, PredictionTokens
from accounting.relation import NeighboringRelation, PrivacyUnit
from dpsynth.core.errors import ParameterError
from dpsynth.text.prediction.planner import clip_for, feasible, refuse_idle, refuse_test, zcdp_of

RHO = {
    (1e-5, 1): 0.03056,
    (1e-5, 3): 0.22425,
    (1e-5, 10): 1.78270,
    (1e-6, 1): 0.02436,
    (1e-6, 3): 0.18507,
    (1e-6, 10): 1.53928,
}


@pytest.mark.parametrize(("target", "rho"), RHO.items())
def test_the_zcdp_of_a_target_is_the_tables(target, rho):
    delta, epsilon = target
    assert zcdp_of(epsilon, delta) == pytest.approx(rho, rel=5e-4)


# InvisibleInk: delta 1e-6, T = 500, tau = 1.1, s = B - 1 for B = 4, 8, 16, 32.
INVISIBLE_INK = {1: (0.033, 0.076, 0.163, 0.337), 3: (0.09, 0.21, 0.45, 0.93), 10: (0.26, 0.60, 1.30, 2.68)}


@pytest.mark.parametrize(("epsilon", "clips"), INVISIBLE_INK.items())
def test_the_clips_of_invisible_ink(epsilon, clips):
    rho = zcdp_of(epsilon, 1e-6)
    found = [clip_for(rho, batch_size=s, tokens=500, temperature=1.1) for s in (3, 7, 15, 31)]
    assert found == pytest.approx(clips, abs=0.006)


@pytest.mark.parametrize(("epsilon", "s", "clip"), [(10, 7, 1.32), (10, 31, 5.85), (1, 7, 0.173), (1, 31, 0.766)])
def test_the_clips_of_a_hundred_tokens(epsilon, s, clip):
    assert clip_for(zcdp_of(epsilon, 1e-5), batch_size=s, tokens=100, temperature=1.0) == pytest.approx(clip, rel=5e-3)


# Amin et al., their settings: delta 1e-6, 100 private tokens, sigma 0.3; batches B of which one row is public.
AMIN = {(10, 64): 8.8, (10, 128): 21.3, (3, 128): 3.9, (1, 512): 9.1}


@pytest.mark.parametrize(("case", "clip"), AMIN.items())
def test_the_clips_of_a_sparse_vector_test(case, clip):
    epsilon, b = case
    rho = zcdp_of(epsilon, 1e-6)
    found = [clip_for(rho, batch_size=s, tokens=100, temperature=1.0, sparse_sigma=0.3) for s in (b - 1, b)]
    assert min(abs(one - clip) for one in found) < 0.06


@pytest.mark.parametrize(("epsilon", "s"), [(1, 32), (1, 64), (3, 32), (3, 64), (10, 32)])
def test_small_batches_afford_no_test_at_all(epsilon, s):
    rho = zcdp_of(epsilon, 1e-6)
    assert clip_for(rho, batch_size=s, tokens=100, temperature=1.0, sparse_sigma=0.3) == 0
    with pytest.raises(ParameterError, match="batch size of") as refused:
        refuse_test(rho, batch_size=s, tokens=100, sigma=0.3)
    enough = int(str(refused.value).split("batch size of ")[1].split()[0])
    refuse_test(rho, batch_size=enough, tokens=100, sigma=0.3)
    with pytest.raises(ParameterError):
        refuse_test(rho, batch_size=enough - 1, tokens=100, sigma=0.3)


def test_replacement_halves_the_clip():
    rho = zcdp_of(3.0, 1e-6)
    once = clip_for(rho, batch_size=31, tokens=100, temperature=1.0)
    assert clip_for(rho, batch_size=31, tokens=100, temperature=1.0, moved=2) == pytest.approx(once / 2)


def events(clip, s, tokens, relation=NeighboringRelation.ADD_REMOVE):
    event = PredictionTokens(
        relation=relation,
        clip=Decimal(repr(round(clip, 8))),
        batch_size=s,
        temperature=Decimal("1.1"),
        batch="summed",
        rows_per_unit=1,
        count=tokens,
    )
    return EventTree(relation=relation, unit=PrivacyUnit(), events=(event,))


@pytest.mark.parametrize("epsilon", [1, 3, 10])
def test_the_accountant_affords_more_than_the_table_and_not_much_more(epsilon):
    """500 tokens: the block profile against zCDP; and a plan takes seconds."""
    table = clip_for(zcdp_of(epsilon, 1e-6), batch_size=31, tokens=500, temperature=1.1)
    clip, _ = calibrate(lambda c: events(c, 31, 500), epsilon=epsilon, delta="1e-6", bracket=(0.1, 10.0))
    assert 1.03 < clip / table < 1.12


def test_an_idle_clip_is_refused_and_its_advice_is_enough():
    with pytest.raises(ParameterError, match=r"all records of a bin raise a token's odds by 6\.2%") as refused:
        refuse_idle(0.03, batch_size=3, tokens=500, temperature=1.0)
    enough = int(str(refused.value).split("batch size of ")[1].split(",")[0])
    refuse_idle(0.03 * enough / 3, batch_size=enough, tokens=500, temperature=1.0)
    shorter = int(str(refused.value).split("texts of ")[1].split()[0])
    refuse_idle(0.03 * (500 / shorter) ** 0.5, batch_size=3, tokens=shorter, temperature=1.0)


def test_the_table_has_a_line_for_each_choice_and_says_which_are_heard():
    table = feasible(1.0, 1e-6, batch_sizes=(1, 63), tokens=(50, 500))
    assert [(row.batch_size, row.tokens, row.feasible) for row in table] == [
        (1, 50, False),
        (1, 500, False),
        (63, 50, True),
        (63, 500, True),
    ]
    assert all(not row.feasible for row in feasible(3.0, 1e-6, batch_sizes=(32, 64), tokens=(100,), sparse_sigma=0.3))
