import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dpsynth.quality.coding import code_tables
from dpsynth.quality.marginals import PairDistances, distance, joints, mcdiarmid, one_way, total_variation

COUNTS = st.lists(st.integers(0, 50), min_size=4, max_size=4).filter(any)


@given(COUNTS, COUNTS, COUNTS)
@settings(max_examples=100, deadline=None)
def test_total_variation_is_a_metric_on_shares(a: list[int], b: list[int], c: list[int]) -> None:
    p, q, r = (np.array(x) for x in (a, b, c))
    assert total_variation(p, p * 3) == pytest.approx(0)
    assert total_variation(p, q) == pytest.approx(total_variation(q, p))
    assert 0 <= total_variation(p, q) <= 1
    assert total_variation(p, r) <= total_variation(p, q) + total_variation(q, r) + 1e-12
    assert distance(p, q).value == pytest.approx(total_variation(p, q))


def test_every_pair_equals_brute_force(fair: dict[str, pd.DataFrame]) -> None:
    left, right = fair["real"], fair["holdout"].head(700)
    coded = code_tables({"real": left, "synthetic": right})
    found = PairDistances(left="real", right="synthetic")
    for joint in joints(coded):
        found.add(joint)
    expected = []
    for a, b in itertools.combinations(left.columns, 2):  # few values a column: every value is its own cell
        p, q = (pd.crosstab(f[a], f[b]) / len(f) for f in (left, right))
        p, q = p.align(q, fill_value=0)
        expected.append(0.5 * np.abs(p.fillna(0) - q.fillna(0)).to_numpy().sum())
    assert left.nunique().max() <= 20
    np.testing.assert_allclose(found.values, expected, atol=1e-12)
    assert found.mean().value == pytest.approx(np.mean(expected))


def test_near_unique_columns_give_the_same_distance_without_a_dense_table() -> None:
    rng = np.random.default_rng(3)
    real = pd.DataFrame({"a": rng.integers(0, 1600, 3000).astype(str), "b": rng.integers(0, 1600, 3000).astype(str)})
    other = pd.DataFrame({"a": rng.integers(0, 1600, 3000).astype(str), "b": rng.integers(0, 1600, 3000).astype(str)})
    coded = code_tables({"real": real, "synthetic": other})
    assert coded.sizes[0] * coded.sizes[1] > 1 << 21
    (joint,) = joints(coded)
    p, q = (f.value_counts(normalize=True) for f in (real, other))
    p, q = p.align(q, fill_value=0)
    assert joint.counts["real"].size < 6001
    assert distance(joint.counts["real"], joint.counts["synthetic"]).value == pytest.approx(0.5 * (p - q).abs().sum())


def test_interval_covers_the_true_distance_and_is_not_wider_than_it_must_be() -> None:
    rng = np.random.default_rng(11)
    p, q = np.array([0.5, 0.3, 0.15, 0.05]), np.array([0.3, 0.3001, 0.2, 0.1999])
    truth = 0.5 * np.abs(p - q).sum()
    runs = [distance(rng.multinomial(2000, p), rng.multinomial(1500, q)) for _ in range(1000)]
    hits = sum(d.low <= truth <= d.high for d in runs)
    assert 910 <= hits <= 985  # 95 % +- 5.8 standard errors, alpha 1e-8; a 25 % wider or narrower interval is out
    width = np.mean([(d.high - d.low) / 2 for d in runs])
    assert width == pytest.approx(1.96 * np.std([d.value for d in runs]), rel=0.1)


def test_interval_of_the_mean_allows_for_pairs_that_share_rows(fair: dict[str, pd.DataFrame]) -> None:
    rng = np.random.default_rng(5)
    population = fair["real"]
    permuted = population.assign(religious=rng.permutation(population["religious"]), educ=population["educ"].mode()[0])
    means = []
    for _ in range(60):
        tables = {
            "real": population.sample(1000, replace=True, random_state=rng),
            "synthetic": permuted.sample(1000, replace=True, random_state=rng),
        }
        found = PairDistances(left="real", right="synthetic")
        for joint in joints(code_tables(tables)):
            found.add(joint)
        means.append(found.mean())
    spread = np.std([m.value for m in means], ddof=1)
    half = np.mean([(m.high - m.low) / 2 / 1.96 for m in means])
    assert 0.6 < half / spread < 1.6


def test_small_tables_get_mcdiarmids_interval() -> None:
    d = distance(np.array([5, 5]), np.array([50, 50]))
    half = np.sqrt(np.log(40) / 2 * (1 / 10 + 1 / 100))
    assert (d.low, d.high) == (0.0, pytest.approx(half))
    assert mcdiarmid(0.5, 10, 100) == (pytest.approx(0.5 - half), pytest.approx(min(1, 0.5 + half)))


def test_disjoint_tables_are_at_distance_one_without_a_warning() -> None:
    # 2,126 and 2,236 rows over many cells: the jackknife variance came out as -2.5e-20 and its root as a warning.
    rng = np.random.default_rng(0)
    for cells in range(2, 60):
        left, right = rng.multinomial(2126, np.ones(cells) / cells), rng.multinomial(2236, np.ones(cells) / cells)
        none = np.zeros(cells, dtype=np.int64)
        found = distance(np.append(left, none), np.append(none, right))
        assert found.value == pytest.approx(1.0)
        assert found.low == pytest.approx(1.0, abs=1e-6)


def test_one_way_histogram_counts_missing_last() -> None:
    frame = pd.DataFrame({"x": ["a", None, "a", "b"], "y": [1.0, np.nan, np.nan, 2.0]})
    coded = code_tables({"real": frame, "synthetic": frame})
    assert [h.tolist() for h in one_way(coded, "real")] == [[2, 1, 1], [1, 1, 2]]
