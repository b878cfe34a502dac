"""No single metric decides: each known damage is noticed by the metrics that must, and real rows by none."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pandas as pd
import pytest

from dpsynth.core.errors import ParameterError
from dpsynth.quality.report import QualityReport
from dpsynth.quality.sabotage import SABOTAGES, sabotaged
from tests.quality.trials import ENOUGH, NAMES, SEEDS, trial
from tests.quality.worlds import SOURCES, Split, judged

QUICK = ("rows_repeated", "tails_clipped", "missing_scattered", "train_copied")
"""Run by default: diversity, a tail, a pattern of missing cells, nothing to notice; joints are in `test_evaluation`."""


def damaged(name: str, split: Split, target: str, seed: int) -> pd.DataFrame | None:
    return sabotaged(name, fresh=split["fresh"], real=split["real"], target=target, seed=seed)


@pytest.fixture(scope="module")
def world() -> tuple[Split, str]:
    return SOURCES["network"](2000, 1)


@pytest.fixture(scope="module")
def honest(world: tuple[Split, str]) -> QualityReport:
    split, target = world
    return judged(split, split["fresh"], target, detection=True)


@pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in SABOTAGES]
)
def test_each_sabotage_is_noticed_by_the_metrics_that_must(world: tuple[Split, str], name: str) -> None:
    split, target = world
    synthetic = damaged(name, split, target, 1)
    report = judged(split, synthetic, target, detection=True)
    assert SABOTAGES[name].missed(report) == ()
    if name == "train_copied":  # quality is as good as it can be; that it is a copy is for attacks to say
        assert not any(metric.noticed for metric in report.metrics)
        assert report.metric("tvd2_mean").matched < report.metric("tvd2_mean").reference


def test_real_rows_pass_everything(honest: QualityReport) -> None:
    assert not any(metric.noticed for metric in honest.metrics)


def test_a_copy_of_the_training_rows_has_perfect_quality_and_fails_the_attack(world: tuple[Split, str]) -> None:
    import attacks

    split, target = world
    copied = damaged("train_copied", split, target, 0)
    found = attacks.run("quick", release=copied, members=split["real"], nonmembers=split["holdout"], seed=0)
    assert found.verdict == "fail"


def test_every_metric_of_the_table_exists(honest: QualityReport) -> None:
    names = {metric.name for metric in honest.metrics}
    assert {one for sabotage in SABOTAGES.values() for must in sabotage.must for one in must.split("|")} <= names


def test_damages_do_what_they_say(world: tuple[Split, str]) -> None:
    split, target = world
    fresh = split["fresh"]
    torn = damaged("joint_destroyed", split, target, 0)
    assert all(Counter(torn[name].dropna()) == Counter(fresh[name].dropna()) for name in fresh)
    assert len(damaged("rows_repeated", split, target, 0).drop_duplicates()) <= 50
    scattered = damaged("missing_scattered", split, target, 0)
    assert (scattered.isna().mean() == fresh.isna().mean()).all()
    assert not damaged("missing_filled", split, target, 0).isna().any(axis=None)
    changed = [name for name in fresh if not damaged("column_permuted", split, target, 0)[name].equals(fresh[name])]
    assert len(changed) == 1
    flipped = damaged("target_flipped", split, target, 0)
    assert 0.03 * len(fresh) <= (flipped[target] != fresh[target]).sum() <= 0.31 * len(fresh)


def test_a_table_that_has_not_what_it_takes_is_left_alone() -> None:
    numbers = pd.DataFrame({"x": np.arange(100.0), "y": ["a", "b"] * 50})
    assert sabotaged("mode_dropped", fresh=numbers, real=numbers, target="y") is None
    assert sabotaged("missing_filled", fresh=numbers, real=numbers, target="y") is None
    with pytest.raises(ParameterError, match="Unknown sabotage 'typo'"):
        sabotaged("typo", fresh=numbers, real=numbers, target="y")


CASES = (
    ("network", 2_000),
    ("mixture", 2_000),
    ("randhie", 2_000),
    ("fair", 2_000),
    ("network", 20_000),
    ("mixture", 20_000),
    ("adult", 2_000),
)


KNOWN_SHORT = {("fair", "rare_dropped"): "group_share_excess missed 1 of 5: the docs say why, nothing holds it"}


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("source", "rows"), CASES)
def test_nineteen_of_twenty_seeds(source: str, rows: int, name: str) -> None:
    """On the seeds that docs/concepts/quality.md reports; no choice was made on them."""
    if (source, name) in KNOWN_SHORT:
        pytest.skip(KNOWN_SHORT[source, name])
    missed: dict[int, list[str] | None] = {}
    for seed in SEEDS:
        split, target = SOURCES[source](rows, seed)
        missed[seed] = trial(name, split, target, seed)
    tried = {seed: names for seed, names in missed.items() if names is not None}
    short = {seed: names for seed, names in tried.items() if names}
    print(f"{source} {rows} {name}: {len(tried) - len(short)} of {len(tried)} {short or ''}", flush=True)
    assert len(short) <= len(SEEDS) - ENOUGH, short
