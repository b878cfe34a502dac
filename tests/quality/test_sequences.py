"""Figures of people: known answers, and each of them sees what it is for."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from dpsynth.core.errors import SchemaError
from dpsynth.quality import evaluate
from dpsynth.quality.sequences import People, constant_kept, rows_per_person, sequence_metrics, transitions
from tests.tabular.sequences.panel import PANEL, panel

KINDS = {name: spec.kind for name, spec in PANEL.columns.items()}
WHO = People(unit="who", order="day", constant=("sex",), declared=KINDS)


@pytest.fixture(scope="module")
def frames():
    return {name: panel(1500, seed).to_pandas() for seed, name in enumerate(("real", "synthetic", "holdout"))}


def by_name(frames):
    return {metric.name: metric for metric in sequence_metrics(frames, WHO)}


def test_known_answers():
    frame = pd.DataFrame({"who": [1, 2, 1, 2, 3], "day": [2, 1, 1, 2, 1], "sex": list("fmfmf"), "x": list("babba")})
    people = People(unit="who", order="day", constant=("sex",))
    assert sorted(rows_per_person(frame, people)) == [1, 2, 2]
    other = pd.DataFrame({"who": [1, 1, 2, 2], "day": [1, 2, 1, 2], "sex": list("fmmm"), "x": list("aabb")})
    assert constant_kept(frame, people) == 1.0 and constant_kept(other, people) == 0.5
    twice = pd.concat([frame, frame.assign(who=frame["who"] + 10)])  # halves with pairs on both sides
    three = {"real": twice, "synthetic": other, "holdout": twice}
    (found,) = transitions(three, people, rng=np.random.default_rng(4))
    # real pairs (b, b) and (a, b), synthetic ones (a, a) and (b, b)
    assert (found.tvd, found.reference, found.stays_real, found.stays_synthetic) == (0.5, 0.0, 0.5, 1.0)


def test_people_of_the_same_law_are_at_the_floor(frames):
    found = by_name(frames)
    assert found["rows_per_person_tvd"].value < 0.06
    assert found["rows_per_person_mean_error"].value < 0.06
    assert found["transition_tvd_mean"].value < 1.5 * found["transition_tvd_mean"].floor + 0.02
    assert found["transition_tvd_mean"].shuffle > found["transition_tvd_mean"].value + 0.1
    assert found["constant_kept"].value == found["constant_kept"].reference == 1.0


def test_rows_without_their_people_are_seen(frames):
    real = frames["real"]
    loose = real.assign(who=np.random.default_rng(0).permutation(real["who"].to_numpy()))
    found = by_name({**frames, "synthetic": loose})
    assert found["rows_per_person_tvd"].value == 0.0
    assert found["transition_tvd_mean"].value > 0.8 * found["transition_tvd_mean"].shuffle
    assert found["constant_kept"].value < 0.9


def test_people_cut_short_are_seen(frames):
    found = by_name({**frames, "synthetic": frames["synthetic"].groupby("who").head(1)})
    assert found["rows_per_person_mean_error"].value > 0.3
    assert "transition_tvd_mean" not in found  # nobody has a second row


def test_the_report_has_them_and_counts_no_column_of_people(frames):
    report = evaluate(frames["real"], frames["synthetic"], frames["holdout"], schema=PANEL, people=WHO)
    assert report.metric("rows_per_person_tvd").value < 0.06
    assert {row.name for row in report.columns} == {"sex", "stage", "score"}


def test_a_table_without_people_is_refused(frames):
    with pytest.raises(SchemaError, match="belong to nobody"):
        sequence_metrics({**frames, "synthetic": frames["synthetic"].drop(columns="who")}, WHO)
