"""What a filter admitted is kept with the model, and a file cannot claim more than the filter's bound."""

from __future__ import annotations

from dataclasses import replace

import pytest

from accounting.event import DiscreteGaussian, ZCDPFilter
from accounting.filters import exact_rho
from dpsynth.core.errors import ModelError
from dpsynth.tabular.saved.saving import SavedModel, from_bytes, to_bytes
from tests.tabular.saved.fits import SMALL, fitted, small_table
from tests.tabular.saved.test_hostile_files import rebuilt


@pytest.fixture(scope="module")
def saved() -> SavedModel:
    return fitted("aim", small_table(), SMALL)


def test_the_steps_are_kept_and_spend_nearly_all_of_the_bound(saved):
    """The price is the bound; what ran under it says how exact each table is."""
    admitted = from_bytes(to_bytes(saved)).model.admitted
    assert admitted == saved.model.admitted
    assert saved.model.describe()["admitted_steps"] == len(admitted.events) >= 2
    bound = next(event for event in saved.model.events.events if isinstance(event, ZCDPFilter))
    spent = sum(step.count * exact_rho(step) for step in admitted.events)
    assert 0.9 * float(bound.rho) < spent <= bound.rho
    tables = [step.sigma for step in admitted.events if isinstance(step, DiscreteGaussian)]
    precision = sum(float(sigma) ** -2 for sigma in tables)  # of one pair, averaged
    assert saved.model.measured[("sex", "age")] == pytest.approx(precision**-0.5)


def test_steps_beyond_the_bound_are_refused(saved):
    more = replace(saved.model.admitted, events=saved.model.admitted.events * 2)
    with pytest.raises(ModelError, match="beyond the bound of its filter"):
        from_bytes(to_bytes(replace(saved, model=replace(saved.model, admitted=more))))


def test_steps_without_a_filter_are_refused(saved):
    mst = fitted("gibbs", small_table(), SMALL)
    with pytest.raises(ModelError, match="that no filter of its events bounds"):
        from_bytes(to_bytes(replace(mst, model=replace(mst.model, admitted=saved.model.admitted))))


def test_a_file_from_before_a_field_was_added_is_still_read(saved):
    older = rebuilt(to_bytes(saved), lambda header, _: header["model"]["fields"].pop("admitted") and None)
    assert from_bytes(older).model.admitted is None
