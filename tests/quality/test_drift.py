from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from dpsynth.cli.app import call
from dpsynth.core.errors import ParameterError, SchemaError
from dpsynth.quality.coding import code_tables
from dpsynth.quality.drift import Drift, monitor
from dpsynth.quality.drift.monitoring import SIDES, _merged
from dpsynth.simulation import Population, mixture, network


def rows_of(law: Population, rows: int, seed: int) -> pd.DataFrame:
    return law.draw(rows, seed=seed).table.to_pandas()


def moved(law: Population, rows: int, by: float, seed: int) -> pd.DataFrame:
    """Rows whose column `c1` is at this exact total variation distance from the law."""
    frame, shares = rows_of(law, rows, seed), law.marginal(("c1",))
    rarest = int(np.argmin(shares))
    hit = np.random.default_rng(seed).random(rows) < by / (1 - shares[rarest])
    return frame.assign(c1=frame["c1"].mask(hit, law.columns[1].values[rarest]))


@pytest.mark.parametrize("by", [0.0, 0.05])
def test_false_alarms_are_no_more_than_stated_with_a_drift_as_large_as_the_tolerance(by: float) -> None:
    """100 tables at the edge of the null hypothesis; alpha = 5 %: more than 15 alarms have probability 3e-5."""
    alarms = 0
    for run in range(100):
        law = (network, mixture)[run % 2](columns=5, seed=run)
        before, new = rows_of(law, 1500, 1), moved(law, 700, by, 2)
        alarms += monitor(before, new, before=before, tolerance=0.05).answer == "regenerate"
    assert alarms <= 15


def test_a_drift_within_the_tolerance_is_no_alarm_however_many_rows_show_it() -> None:
    law = network(columns=5, seed=7)
    before, new = rows_of(law, 30_000, 1), moved(law, 30_000, 0.09, 2)
    assert monitor(before, new, before=before, tolerance=0.1).answer == "keep"
    assert monitor(before, new, before=before, tolerance=0.05).answer == "regenerate"


@pytest.mark.parametrize("make", [network, mixture])
def test_a_drift_that_it_says_it_would_see_is_seen_where_it_is(make) -> None:
    seen = 0
    for run in range(20):
        law = make(columns=5, seed=run)
        before = rows_of(law, 4000, 1)
        found = monitor(before, moved(law, 2000, 0.16, 2), before=before, tolerance=0.05)
        assert found.detectable < 0.16
        seen += found.answer == "regenerate" and found.columns[0].columns == ("c1",)
    assert seen >= 19


def test_a_release_far_from_its_own_law_is_told_apart_from_a_world_that_moved() -> None:
    law = network(columns=5, seed=1)
    release, before, new = moved(law, 3000, 0.4, 0), rows_of(law, 3000, 1), rows_of(law, 3000, 2)
    alone = monitor(release, new)
    assert (alone.answer, alone.against) == ("regenerate", "release")
    assert "its own error counts as drift" in alone.warnings[0]
    beside = monitor(release, new, before=before)
    assert (beside.answer, beside.against) == ("keep", "before")
    assert max(line.release for line in beside.columns) > 0.3


def test_a_pair_that_lost_its_dependence_is_drift_though_no_column_moved() -> None:
    law = network(columns=5, seed=2)
    before, new = rows_of(law, 4000, 1), rows_of(law, 4000, 2)
    torn = new.assign(target=np.random.default_rng(0).permutation(new["target"].to_numpy()))
    found = monitor(before, torn, before=before)
    assert found.answer == "regenerate"
    assert min(line.p_adjusted for line in found.columns) == 1.0
    assert "target" in found.pairs[0].columns


def test_cells_of_a_pair_are_groups_of_about_equal_mass_cut_at_the_known_rows() -> None:
    known = pd.DataFrame({"x": np.arange(8000) % 997, "c": np.repeat(list("abcdefghij"), 800)})
    coded = code_tables({"known": known, "new": known.head(10), "release": known})
    for place in (0, 1):
        group = _merged(coded, place)[coded.tables["known"][place]]
        share = np.bincount(group, minlength=SIDES) / 8000
        assert share.max() < 0.26
        assert (share > 0).sum() >= 5


def test_few_new_rows_say_that_they_show_little_and_do_not_cry_wolf() -> None:
    law = network(columns=5, seed=3)
    found = monitor(rows_of(law, 3000, 1), rows_of(law, 10, 2))
    assert found.answer == "keep"
    assert found.detectable > 0.5
    assert any("Fewer than 200 new rows" in warning for warning in found.warnings)


def test_bad_requests_are_refused() -> None:
    frame = pd.DataFrame({"a": [1, 2], "b": [1, 2]})
    with pytest.raises(SchemaError, match="different columns"):
        monitor(frame, frame.drop(columns="a"))
    with pytest.raises(ParameterError, match="0 < alpha < 1"):
        monitor(frame, frame, alpha=0.0)
    with pytest.raises(ParameterError, match="0 <= tolerance < 1"):
        monitor(frame, frame, tolerance=1.0)


def test_the_command_answers_by_exit_code_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    law = network(columns=4, seed=4)
    rows_of(law, 3000, 1).to_parquet(tmp_path / "release.parquet")
    rows_of(law, 2000, 2).to_csv(tmp_path / "same.csv", index=False)
    moved(law, 2000, 0.5, 3).to_csv(tmp_path / "moved.csv", index=False)

    def drift(*arguments: str) -> tuple[int, dict]:
        capsys.readouterr()
        code = call(["drift", str(tmp_path / "release.parquet"), *arguments, "--json"])
        return code, json.loads(capsys.readouterr().out)

    code, found = drift(str(tmp_path / "same.csv"))
    assert (code, found["answer"], found["confidentiality"]) == (0, "keep", "internal")
    code, found = drift(str(tmp_path / "moved.csv"))
    assert (code, found["answer"], found["columns"][0]["columns"]) == (3, "regenerate", ["c1"])
    code, found = drift(str(tmp_path / "moved.csv"), "--before", str(tmp_path / "moved.csv"))
    assert (code, found["answer"]) == (0, "keep")
    found["schema_"] = found.pop("schema")
    assert Drift.model_validate_json(json.dumps(found)).against == "before"
    code = call(["drift", str(tmp_path), str(tmp_path / "same.csv")])
    assert code == 1  # a folder that is no bundle
    assert "no statement can vouch for" in capsys.readouterr().err


def test_a_bundle_is_read_as_what_it_is(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    import zipfile

    bundle = Path(__file__).parents[1] / "release" / "bundle_f161650.zip"
    with zipfile.ZipFile(bundle) as archive:
        archive.extract("data.parquet", tmp_path)
    assert call(["drift", str(bundle), str(tmp_path / "data.parquet")]) == 0
    assert "keep: p = 1" in capsys.readouterr().out
    with zipfile.ZipFile(tmp_path / "anew.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(tmp_path / "data.parquet", "data.parquet")
    assert call(["drift", str(tmp_path / "anew.zip"), str(tmp_path / "data.parquet")]) == 1
